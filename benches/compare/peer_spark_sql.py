"""Spark SQL.

usage: peer_spark_sql.py (word-count | sort | sum-by-key) INPUT OUTPUT THREADS FOLDER   (FOLDER: for what does not fit)
"""

import sys
import time

from pyspark.sql import functions as f
from spark_session import start

contest, source, target, threads, folder = sys.argv[1:]
spark = start(threads, folder)
began = time.perf_counter()
if contest == "word-count":
    words = spark.read.text(source).select(f.explode(f.split("value", " ")).alias("word"))
    result = words.groupBy("word").count().orderBy("word").select(f.concat_ws("\t", "word", "count"))
elif contest == "sort":
    result = spark.read.text(source).orderBy("value")
elif contest == "sum-by-key":
    sums = spark.read.parquet(source).groupBy("key").agg(f.sum("value").alias("sum"))
    result = sums.orderBy("key").select(f.concat_ws("\t", "key", "sum"))
else:
    sys.exit(f"no contest {contest}")
result.write.text(target)
print("seconds", time.perf_counter() - began)

"""Spark's RDDs from Python, as map-reduce is written there.

usage: peer_spark_rdd.py (word-count | sort) INPUT OUTPUT THREADS FOLDER   (FOLDER: for what does not fit)
"""

import operator
import sys
import time

from spark_session import start

contest, source, target, threads, folder = sys.argv[1:]
lines = start(threads, folder).sparkContext.textFile(source)
began = time.perf_counter()
if contest == "word-count":
    counts = lines.flatMap(lambda line: line.split(" ")).map(lambda word: (word, 1)).reduceByKey(operator.add)
    result = counts.sortByKey().map(lambda pair: f"{pair[0]}\t{pair[1]}")
elif contest == "sort":
    result = lines.sortBy(lambda line: line)
else:
    sys.exit(f"no contest {contest}")
result.saveAsTextFile(target)
print("seconds", time.perf_counter() - began)

"""Polars.

usage: peer_polars.py (word-count | sort | sum-by-key) INPUT OUTPUT THREADS (streaming | in-memory)
"""

import os
import sys
import time

contest, source, target, threads, engine = sys.argv[1:]
os.environ["POLARS_MAX_THREADS"] = threads  # read when the module is loaded

import polars

began = time.perf_counter()
if contest == "word-count":
    words = polars.scan_lines(source, name="line").select(polars.col("line").str.split(" ").alias("word"))
    result = words.explode("word").group_by("word").agg(polars.len()).sort("word")
elif contest == "sort":
    result = polars.scan_lines(source, name="line").sort("line")
elif contest == "sum-by-key":
    result = polars.scan_ipc(source).group_by("key").agg(polars.col("value").sum()).sort("key")
else:
    sys.exit(f"no contest {contest}")
result.sink_csv(target, include_header=False, separator="\t", quote_style="never", engine=engine)
print("seconds", time.perf_counter() - began)

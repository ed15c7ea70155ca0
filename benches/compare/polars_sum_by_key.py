"""Sums values by key with Polars on demand: reads a line, answers seconds and the number of keys.

usage: polars_sum_by_key.py ROWS OUTPUT   (rows of two little-endian u64: key, value)

The lines: "memory" groups columns that are in memory; "file" reads the rows, groups, sorts by key and writes OUTPUT.
"""

import sys
import time

import numpy
import polars


def read():
    rows = numpy.fromfile(sys.argv[1], dtype="<u8").reshape(-1, 2)
    return polars.DataFrame({"key": rows[:, 0], "value": rows[:, 1]})


def group(frame):
    return frame.group_by("key").agg(polars.col("value").sum())


frame = read()
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    if line.strip() == "memory":
        sums = group(frame)
    else:
        sums = group(read()).sort("key")
        sums.write_csv(sys.argv[2], separator="\t", include_header=False)
    print(time.perf_counter() - began, len(sums), flush=True)

"""K-means in PySpark as map-reduce is written there, on demand: a map to the nearest centroid, and reduceByKey.

usage: peer_spark_map_reduce.py POINTS START THREADS FOLDER   (FOLDER: for what does not fit)
"""

import os
import sys

import numpy

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

from on_demand import load, serve
from spark_session import start as start_spark

path, start, threads, folder = sys.argv[1:]
points, start = load(path), load(start)
parts = 2 * int(threads)
ends = [len(points) * i // parts for i in range(parts + 1)]


def rows_of(part):
    return numpy.asarray(numpy.load(path, mmap_mode="r")[ends[part] : ends[part + 1]], dtype=numpy.float32)


rows = start_spark(threads, folder).sparkContext.parallelize(range(parts), parts).flatMap(rows_of).cache()
rows.count()


def fit(iterations):
    centroids = start.copy()
    for _ in range(iterations):
        now = centroids.copy()
        pairs = rows.map(lambda row: (int(((now - row) ** 2).sum(axis=1).argmin()), (row, 1)))
        sums = pairs.reduceByKey(lambda a, b: (a[0] + b[0], a[1] + b[1]))
        for cluster, (total, count) in sums.collect():
            centroids[cluster] = total / count
    return centroids, None, iterations


serve(points, fit)

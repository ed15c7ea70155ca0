"""K-means of Spark MLlib on demand, from start centroids of its own, which are random rows: it takes no others.

usage: peer_spark_mllib.py POINTS START THREADS FOLDER   (FOLDER: for what does not fit)
"""

import os
import sys

import pyarrow
import pyarrow.parquet

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))

from on_demand import load, serve
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import VectorAssembler
from spark_session import start as start_spark

points, start, threads, folder = sys.argv[1:]
points, k = load(points), len(load(start))

file = os.path.join(folder, f"points-{os.getpid()}.parquet")
names = [f"x{i}" for i in range(points.shape[1])]
table = pyarrow.table([points[:, i] for i in range(len(names))], names=names)
# Several row groups, so that there is something to read for every thread.
pyarrow.parquet.write_table(table, file, compression="none", row_group_size=max(1, len(points) // 16))
del table

spark = start_spark(threads, folder)
rows = spark.read.parquet(file).repartition(2 * int(threads))
rows = VectorAssembler(inputCols=names, outputCol="features").transform(rows).select("features").cache()
rows.count()


def fit(iterations):
    model = KMeans(k=k, initMode="random", maxIter=iterations, tol=0.0, seed=1).fit(rows)
    # It labels the rows for its summary, which counts them.
    sum(model.summary.clusterSizes)
    return model.clusterCenters(), None, model.summary.numIter


serve(points, fit)

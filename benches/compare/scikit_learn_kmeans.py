"""Fits K-means with scikit-learn on demand: reads a number of iterations a line, answers seconds and inertia.

usage: scikit_learn_kmeans.py POINTS START   (a little-endian u64 row width, then f32 rows)
"""

import sys
import time
import warnings

import numpy
from sklearn.cluster import KMeans

warnings.filterwarnings("ignore")


def rows(path):
    width = int(numpy.fromfile(path, dtype="<u8", count=1)[0])
    return numpy.fromfile(path, dtype="<f4", offset=8).reshape(-1, width)


points, start = rows(sys.argv[1]), rows(sys.argv[2])
print("ready", flush=True)
for line in sys.stdin:
    kmeans = KMeans(len(start), init=start, n_init=1, max_iter=int(line), tol=0, algorithm="lloyd", copy_x=True)
    began = time.perf_counter()
    kmeans.fit(points)
    print(time.perf_counter() - began, kmeans.inertia_, flush=True)

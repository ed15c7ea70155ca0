"""K-means of clostera on demand: its exact one, from start centroids of its own, which are random rows.

usage: peer_clostera.py POINTS START THREADS   (as many threads as RAYON_NUM_THREADS says)
"""

import sys

from clostera import DenseKMeans
from on_demand import load, serve

points, start, threads = sys.argv[1:]
points, start = load(points), load(start)


def fit(iterations):
    kmeans = DenseKMeans(k=len(start), iterations=iterations, init="random")
    kmeans.fit(points)
    return kmeans.cluster_centers_, kmeans.labels_, len(kmeans.inertia_history_)


serve(points, fit)

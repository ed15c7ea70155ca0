"""K-means of superkmeans on demand: of all points, flat, from start centroids of its own.

usage: peer_superkmeans.py POINTS START THREADS
"""

import sys

from on_demand import load, serve
from superkmeans import SuperKMeans

points, start, threads = sys.argv[1:]
points, start = load(points), load(start)


def fit(iterations):
    (n, d), k = points.shape, len(start)
    # By default it takes some of the points, clusters them in two levels if they are many, and stops early.
    kmeans = SuperKMeans(
        k, d, hierarchical=False, iters=iterations, sampling_fraction=1.0, max_points_per_cluster=n,
        n_threads=int(threads), early_termination=False,
    )
    centroids = kmeans.train(points)
    return centroids, kmeans.assign_training_points(points, centroids), len(kmeans.iteration_stats)


serve(points, fit)

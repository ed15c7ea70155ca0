"""K-means of FAISS on demand, of all points and from given centroids.

usage: peer_faiss.py POINTS START THREADS
"""

import sys

import faiss
from on_demand import load, serve

points, start, threads = sys.argv[1:]
points, start = load(points), load(start)
faiss.omp_set_num_threads(int(threads))


def fit(iterations):
    (n, d), k = points.shape, len(start)
    # By default it takes 256 points of each cluster, and warns of less than 39.
    kmeans = faiss.Kmeans(d, k, niter=iterations, max_points_per_centroid=n, min_points_per_centroid=1)
    kmeans.train(points, init_centroids=start)
    _, labels = kmeans.assign(points)
    return kmeans.centroids, labels, len(kmeans.obj)


serve(points, fit)

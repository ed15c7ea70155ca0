"""K-means of scikit-learn, or of oneDAL behind the same interface, on demand.

usage: peer_scikit_learn.py POINTS START THREADS (scikit-learn | onedal)
"""

import sys
import warnings

from on_demand import load, serve

points, start, threads, library = sys.argv[1:]
points, start = load(points), load(start)
if library == "onedal":
    from sklearnex.cluster import KMeans

    options = {"n_jobs": int(threads)}
else:
    from sklearn.cluster import KMeans

    options = {}  # OMP_NUM_THREADS says it
warnings.filterwarnings("ignore")  # that it has not converged


def fit(iterations):
    kmeans = KMeans(len(start), init=start, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd", **options)
    kmeans.fit(points)
    return kmeans.cluster_centers_, kmeans.labels_, kmeans.n_iter_


serve(points, fit)

"""Start centroids of scikit-learn's greedy k-means++ on demand, for `compare --only kmeans-start`.

usage: peer_scikit_learn_start.py POINTS K ITERATIONS THREADS   (as many threads as OMP_NUM_THREADS says)

Says `ready`, and then reads a seed a line. For each it answers a line: the seconds of the choice alone, the cost of the
centroids chosen, and that after so many iterations.
"""

import sys
import time
import warnings

from on_demand import answer_each, inertia, load
from sklearn.cluster import KMeans, kmeans_plusplus

points, k, iterations = load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
warnings.filterwarnings("ignore")  # that it has not converged


def choose(seed):
    began = time.perf_counter()
    start, _ = kmeans_plusplus(points, k, random_state=seed)
    seconds = time.perf_counter() - began
    kmeans = KMeans(k, init=start, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd")
    return seconds, inertia(points, start), inertia(points, kmeans.fit(points).cluster_centers_)


answer_each(choose)

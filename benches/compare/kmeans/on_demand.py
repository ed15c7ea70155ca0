"""What the contestants of K-means in Python have in common.

Such a program loads its points, says `ready`, and then reads a number of iterations a line. For each it fits from the same
start centroids, and answers a line: the seconds from the points in memory to centroids and labels, and the inertia of those.
"""

import os
import sys
import time

import numpy

ROWS_AT_ONCE = 1 << 14


def load(path):
    """The rows of an .npy file, in f32."""
    return numpy.ascontiguousarray(numpy.load(path), dtype=numpy.float32)


def inertia(points, centroids):
    """The sum of the squared distances of all points from the nearest centroid."""
    # Differences to a point among them: products of large coordinates would leave no digits for the distances.
    middle = centroids.mean(axis=0)
    near = (centroids - middle).astype(numpy.float32)
    squares = (near * near).sum(axis=1)
    total = 0.0
    for begin in range(0, len(points), ROWS_AT_ONCE):
        rows = (points[begin : begin + ROWS_AT_ONCE] - middle).astype(numpy.float32)
        nearest = (squares - 2 * rows @ near.T).argmin(axis=1)
        total += ((rows - near[nearest]) ** 2).sum(dtype=numpy.float64)
    return total


def answer_each(answer):
    """Says that it is ready, and then answers each number with a line of several, until the input ends."""
    # Some of the libraries print.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print("ready", file=answers)
    for line in sys.stdin:
        print(*answer(int(line)), file=answers)


def serve(points, fit):
    """Answers until the input ends. `fit` takes a number of iterations and gives centroids, labels, and how many
    iterations it has done (None if it does not know)."""

    def answer(iterations):
        began = time.perf_counter()
        centroids, labels, done = fit(iterations)
        seconds = time.perf_counter() - began
        if done is not None and done != iterations:
            sys.exit(f"did {done} of {iterations} iterations")
        if labels is not None and len(labels) != len(points):
            sys.exit("not every row has a label")
        return seconds, inertia(points, numpy.asarray(centroids))

    answer_each(answer)

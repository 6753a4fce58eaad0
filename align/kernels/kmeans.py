"""k-means: greedy k-means++ seeding and Lloyd's iterations.

The objective is the *inertia*, the sum over all rows of the squared Euclidean distance to the nearest
centroid (Lloyd 1982; seeding: Arthur & Vassilvitskii 2007, section 2.2, in its greedy form with several
trials a step).

Same input, same bits: one thread, fixed order of summation, no random numbers inside (the caller passes
uniforms), ties to the lowest index. Rows are float64 and finite; the caller centres and scales them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["lloyd", "nearest_centroids", "seed_centroids"]

Floats = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def _squared_distances(points: Floats, centre: Floats, out: Floats) -> None:
    for i in range(points.shape[0]):
        total = 0.0
        for c in range(points.shape[1]):
            difference = points[i, c] - centre[c]
            total += difference * difference
        out[i] = total


@njit(cache=True, nogil=True)
def _draw(weights: Floats, total: float, uniform: float) -> Any:
    """The first row whose cumulated weight exceeds ``uniform * total``: never a row of weight 0."""
    threshold, cumulated, last = uniform * total, 0.0, 0
    for i in range(weights.shape[0]):
        if weights[i] > 0.0:
            cumulated += weights[i]
            last = i
            if cumulated > threshold:
                return i
    return last


@njit(cache=True, nogil=True)
def seed_centroids(points: Floats, n_clusters: int, uniforms: Floats) -> Floats:
    """Choose rows as first centroids: greedy k-means++.

    The first is drawn evenly. Each next one is the best of ``n_trials`` rows drawn with probability
    proportional to their squared distance to the centroids so far: the one that leaves the smallest sum of
    them (first on a tie). Seeding ends early when every row already is a centroid, so that **identical rows
    reduce k**.

    Args:
        points: (n, d) float64, finite, n >= 1.
        n_clusters: k >= 1.
        uniforms: (k, n_trials) numbers in [0, 1); row 0 uses its first only.

    Returns:
        (min(k, distinct rows), d) float64, all rows distinct.
    """
    n = points.shape[0]
    chosen = np.empty(n_clusters, np.int64)
    chosen[0] = min(int(uniforms[0, 0] * n), n - 1)
    nearest, trial, best = np.empty(n), np.empty(n), np.empty(n)
    _squared_distances(points, points[chosen[0]], nearest)
    count = 1
    while count < n_clusters:
        total = 0.0
        for i in range(n):
            total += nearest[i]
        if total <= 0.0:
            break
        best_total = np.inf
        for t in range(uniforms.shape[1]):
            candidate = _draw(nearest, total, uniforms[count, t])
            _squared_distances(points, points[candidate], trial)
            left = 0.0
            for i in range(n):
                trial[i] = min(trial[i], nearest[i])
                left += trial[i]
            if left < best_total:
                best_total = left
                chosen[count] = candidate
                best, trial = trial, best
        nearest, best = best, nearest
        count += 1
    return points[chosen[:count]]


@njit(cache=True, nogil=True)
def _assign(points: Floats, centroids: Floats, labels: npt.NDArray[np.int64], distances: Floats) -> bool:
    """Label every row with its nearest centroid (the lowest index on a tie); returns whether one changed."""
    n_clusters, n_columns = centroids.shape
    columns = np.ascontiguousarray(centroids.T)
    lanes = np.empty(n_clusters)
    changed = False
    for i in range(points.shape[0]):
        lanes[:] = 0.0
        for c in range(n_columns):
            x = points[i, c]
            for k in range(n_clusters):
                difference = x - columns[c, k]
                lanes[k] += difference * difference
        best = 0
        for k in range(1, n_clusters):
            if lanes[k] < lanes[best]:
                best = k
        distances[i] = lanes[best]
        if labels[i] != best:
            labels[i] = best
            changed = True
    return changed


@njit(cache=True, nogil=True)
def _fill_empty(
    labels: npt.NDArray[np.int64], distances: Floats, sizes: npt.NDArray[np.int64], n_clusters: int
) -> None:
    """Give every empty cluster, in ascending order, the row that lies farthest from its own centroid.

    Only clusters of two or more give rows away; the lowest row wins a tie. The moved row's distance becomes
    0, so the inertia falls.
    """
    for k in range(n_clusters):
        if sizes[k] > 0:
            continue
        farthest = -1
        for i in range(labels.shape[0]):
            if sizes[labels[i]] > 1 and (farthest < 0 or distances[i] > distances[farthest]):
                farthest = i
        sizes[labels[farthest]] -= 1
        sizes[k] = 1
        labels[farthest] = k
        distances[farthest] = 0.0


@njit(cache=True, nogil=True)
def lloyd(points: Floats, start: Floats, max_iterations: int) -> Any:
    """Lloyd's iterations from ``start``: assign, refill empty clusters, average; until no label changes.

    Args:
        points: (n, d) float64, finite.
        start: (k, d) float64, k <= the number of distinct rows of ``points``.
        max_iterations: at most this many assignments, >= 1.

    Returns:
        ``(centroids f8 (k, d), labels i8 (n,), inertias f8 (iterations,))``. Every cluster owns a row; every
        centroid is the mean of its rows; ``inertias`` holds the inertia after each assignment and never
        rises. When fewer than ``max_iterations`` were used, each label is the nearest centroid.

    The rule for empty clusters is ``_fill_empty``'s: since k does not exceed the number of distinct rows, a
    cluster with two different rows exists as long as another is empty, so the rule always finds a row.
    Complexity O(iterations n k d), memory O(n + k d).
    """
    n, n_columns = points.shape
    n_clusters = start.shape[0]
    centroids = start.copy()
    labels, distances = np.full(n, -1, np.int64), np.empty(n)
    inertias = np.empty(max_iterations)
    used = 0
    while used < max_iterations:
        changed = _assign(points, centroids, labels, distances)
        sizes = np.zeros(n_clusters, np.int64)
        for i in range(n):
            sizes[labels[i]] += 1
        _fill_empty(labels, distances, sizes, n_clusters)
        total = 0.0
        for i in range(n):
            total += distances[i]
        inertias[used] = total
        used += 1
        if not changed:
            break
        centroids[:, :] = 0.0
        for i in range(n):
            for c in range(n_columns):
                centroids[labels[i], c] += points[i, c]
        for k in range(n_clusters):
            for c in range(n_columns):
                centroids[k, c] /= sizes[k]
    return centroids, labels, inertias[:used].copy()


@njit(cache=True, nogil=True)
def nearest_centroids(points: Floats, centroids: Floats) -> Any:
    """``(labels i8 (n,), squared distances f8 (n,))`` of each row's nearest centroid; ties to the lowest.

    Args:
        points: (n, d) float64, no NaN.
        centroids: (k, d) float64, k >= 1.
    """
    labels, distances = np.full(points.shape[0], -1, np.int64), np.empty(points.shape[0])
    _assign(points, centroids, labels, distances)
    return labels, distances

"""How far centroids move, which lets rows sleep (``align.kernels.kmeans``), and how far rows lie from theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["centroid_moves", "own_distances"]

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

_OUT = np.float32(1.0 + 2.0**-20)  # as in align.kernels.kmeans: widens a bound by more than its rounding
_IN = np.float32(1.0 - 2.0**-20)
_HUGE = np.float32(1e30)
_ZERO = np.float32(0.0)

_inside = njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    _nrt=False,
    fastmath={"contract", "reassoc"},
    forceinline=True,
)


@_inside
def _square(a: Any, i: int, b: Any, j: int) -> Any:
    """Squared distance of two rows."""
    total = 0.0
    for c in range(a.shape[1]):
        difference = np.float64(a[i, c]) - np.float64(b[j, c])
        total += difference * difference
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def centroid_moves(before: Floats, after: Floats, scale: float) -> Singles:
    """(3, k) float32, times ``scale``: how far each centroid moved, how far any other did, half the least gap.

    The first two are rounded up, the last, half the distance to the nearest other centroid, down.

    Args: before, after: (k, d) float64; scale: of the tiles.
    """
    k = after.shape[0]
    moves = np.zeros((3, k), np.float32)
    largest, runner_up = _ZERO, _ZERO
    for j in range(k):
        moves[0, j] = np.float32(np.sqrt(_square(before, j, after, j)) * scale) * _OUT
        if moves[0, j] > largest:
            largest, runner_up = moves[0, j], largest
        elif moves[0, j] > runner_up:
            runner_up = moves[0, j]
    for j in range(k):
        moves[1, j] = largest if moves[0, j] < largest else runner_up
        least = np.inf
        for i in range(k):
            if i != j:
                least = min(least, _square(after, i, after, j))
        moves[2, j] = np.float32(min(0.5 * np.sqrt(least) * scale, np.float64(_HUGE))) * _IN
    return moves


@njit(cache=True, nogil=True)
def own_distances(points: Any, part: Any, centroids: Floats, labels: Any, distances: Floats) -> float:
    """Write the squared distance of the rows of a part to their own centroids; returns the sum.

    Args: ``points``, ``part``, ``centroids``, ``labels`` as of ``assign_rows``; distances: (n,) float64.
    """
    total = 0.0
    for i in range(part[0], part[1]):
        distances[i] = _square(points, i, centroids, labels[i])
        total += distances[i]
    return total

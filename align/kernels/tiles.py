"""Rows laid out for k-means: 256 side by side, column by column, in float32; and plain sums over rows.

A *tile* is centred and scaled by a power of two so that no square overflows; sixteen rows fit a vector register.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["TILE", "column_ranges", "make_tiles", "sum_rows"]

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

TILE = 256


@njit(cache=True, nogil=True, error_model="numpy")
def column_ranges(points: Any) -> Floats:
    """(3, d) float64: least, greatest and mean of each column; a mean is not finite where a number is not.

    Args: points: (n, d) float32 or float64, n >= 1.
    """
    n, n_columns = points.shape
    least, most, total = points[0].copy(), points[0].copy(), np.zeros(n_columns)
    for i in range(n):
        for c in range(n_columns):
            x = points[i, c]
            least[c] = x if x < least[c] else least[c]
            most[c] = x if x > most[c] else most[c]
            total[c] += x
    ranges = np.empty((3, n_columns))
    for c in range(n_columns):
        ranges[0, c], ranges[1, c], ranges[2, c] = least[c], most[c], total[c] / n
    return ranges


@njit(cache=True, nogil=True)
def make_tiles(points: Any, origin: Floats, scale: float, tiles: Singles) -> Floats:
    """Write ``(points - origin) * scale`` into tiles; (d,) the mean square of each column of them.

    Args:
        points: (n, d) float32 or float64, finite.
        origin: (d,) float64; ``scale``: a power of two that brings every difference into [-1, 1].
        tiles: (>= n / 256, >= d, 256) float32; what lies beyond the data is left as it is and should be 0.
    """
    n, n_columns = points.shape
    squares = np.zeros(n_columns)
    for i in range(n):
        t, lane = i // TILE, i % TILE
        for c in range(n_columns):
            x = (np.float64(points[i, c]) - origin[c]) * scale
            tiles[t, c, lane] = np.float32(x)
            squares[c] += x * x
    return squares / n


@njit(cache=True, nogil=True)
def sum_rows(points: Any, part: Any, origin: Floats, labels: Any, sums: Floats) -> None:
    """Add the rows ``part[0]`` to ``part[1]`` to the sums of their clusters.

    Args:
        points: (n, d) float32 or float64.
        part: first and last row.
        origin: (d,) float64, taken from each row.
        labels: (>= n,) integers from 0 to k - 1.
        sums: (k, d + 1) float64, changed; the last column counts rows.
    """
    n_columns = points.shape[1]
    for i in range(part[0], part[1]):
        for c in range(n_columns):
            sums[labels[i], c] += points[i, c] - origin[c]
        sums[labels[i], n_columns] += 1.0

"""Dynamic time warping: the cheapest monotone way to lay one sequence over another.

For local costs ``cost[i, j] >= 0`` a *warping path* is a list of index pairs from (0, 0) to (n - 1, m - 1)
whose steps are (1, 1), (1, 0) or (0, 1); its total is the sum of the costs it visits. The smallest
total obeys

    total[i, j] = cost[i, j] + min(total[i-1, j-1], total[i-1, j], total[i, j-1])

(Sakoe & Chiba 1978, section III, with weights 1; Müller 2007, equation 4.3). Between two series the local
cost is the squared Euclidean distance of two rows, so that the *distance* is the root of the total: for
[0, 1, 2] and [0, 1, 4] it is 2, as in tslearn and unlike aeon (4). Taking that root is the caller's work.

Ties go to the diagonal, then to (1, 0), then to (0, 1), the same on every machine. Everything is float64;
NaN must not enter (the caller validates). One thread, so nothing depends on the number of threads.
For two series without their table of costs see ``kernels.dtw_linear``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["accumulate", "local_costs", "warping_path"]

Floats = npt.NDArray[np.float64]

_DIAGONAL, _DOWN, _RIGHT = 0, 1, 2


@njit(cache=True, nogil=True)
def _fill_local_row(row: Floats, columns: Floats, local: Floats) -> None:
    """local[j] = sum over c of (row[c] - columns[c, j])^2; the inner loop over j vectorises."""
    n_channels, m = columns.shape
    for j in range(m):
        local[j] = 0.0
    for c in range(n_channels):
        x = row[c]
        for j in range(m):
            difference = x - columns[c, j]
            local[j] += difference * difference


@njit(cache=True, nogil=True)
def _advance_row(totals: Floats, local: Floats, steps: npt.NDArray[np.uint8]) -> None:
    """Turn the totals of row i - 1 into those of row i, in place; ``totals[j + 1]`` belongs to column j."""
    diagonal = totals[0]
    totals[0] = np.inf
    for j in range(local.shape[0]):
        best, step = diagonal, _DIAGONAL
        if totals[j + 1] < best:
            best, step = totals[j + 1], _DOWN
        if totals[j] < best:
            best, step = totals[j], _RIGHT
        diagonal = totals[j + 1]
        totals[j + 1] = local[j] + best
        steps[j] = step


@njit(cache=True, nogil=True)
def _first_totals(m: int) -> Floats:
    """The row above the first one: only its corner, before (0, 0), costs nothing."""
    totals = np.full(m + 1, np.inf)
    totals[0] = 0.0
    return totals


@njit(cache=True, nogil=True)
def _trace(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Walk the step codes back from the last corner; returns the pairs from the first corner on."""
    n, m = steps.shape
    backwards = np.empty((n + m - 1, 2), np.int64)
    i, j, length = n - 1, m - 1, 0
    while True:
        backwards[length, 0] = i
        backwards[length, 1] = j
        length += 1
        if i == 0 and j == 0:
            break
        # At an edge only one way is left, also when totals overflowed and the code there means nothing.
        step = steps[i, j]
        if j == 0 or (i > 0 and step != _RIGHT):
            i -= 1
            if j > 0 and step == _DIAGONAL:
                j -= 1
        else:
            j -= 1
    return backwards[:length][::-1].copy()


@njit(cache=True, nogil=True)
def local_costs(a: Floats, b: Floats) -> Floats:
    """All squared Euclidean distances between rows of ``a`` (n, d) and of ``b`` (m, d): (n, m)."""
    columns = np.ascontiguousarray(b.T)
    cost = np.empty((a.shape[0], b.shape[0]))
    for i in range(a.shape[0]):
        _fill_local_row(a[i], columns, cost[i])
    return cost


@njit(cache=True, nogil=True)
def accumulate(cost: Floats) -> Floats:
    """The table of smallest totals of ``cost`` (n, m), n and m at least 1; infinite costs bar a cell."""
    n, m = cost.shape
    totals = _first_totals(m)
    steps = np.empty(m, np.uint8)
    table = np.empty((n, m))
    for i in range(n):
        _advance_row(totals, cost[i], steps)
        table[i] = totals[1:]
    return table


@njit(cache=True, nogil=True)
def warping_path(cost: Floats) -> Any:
    """``(total, path)`` of the cheapest warping path through ``cost`` (n, m), n and m at least 1.

    Every row and every column is visited, in order: with segments as rows and notes as columns, every segment
    matches some note and every note at least one segment. Costs should be >= 0: a negative one rewards
    detours. Memory: one byte per cell.
    """
    n, m = cost.shape
    totals = _first_totals(m)
    steps = np.empty((n, m), np.uint8)
    for i in range(n):
        _advance_row(totals, cost[i], steps[i])
    return totals[m], _trace(steps)

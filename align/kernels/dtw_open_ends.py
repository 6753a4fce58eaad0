"""Dynamic time warping with open ends: a query onto the best stretch of a longer series.

Wherever the stretch begins and ends (Müller 2007, section 4.4): total[0, j] = cost[0, j], otherwise as in
``kernels.dtw``; the least total of the last row ends the stretch. Values are finite (the caller validates).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["open_ends", "open_totals"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

unsigned = np.uint64
called = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by kernels only


@called
def _fill_diagonal(local: Floats, totals: Floats, starts: Ints, now: int, begin: int, end: int) -> None:
    """Cells (i, s - i) of one anti-diagonal, begin <= i < end, from the two before it in the rings of three.

    Index i + 1 of a ring's row belongs to row i of the query; index 0, before the query, costs nothing.
    """
    width = unsigned(totals.shape[0] // 3)
    here = unsigned(now % 3) * width
    last, past = unsigned((now + 2) % 3) * width, unsigned((now + 1) % 3) * width
    one = unsigned(1)
    for i in range(unsigned(begin), unsigned(end)):
        best, start = totals[past + i], starts[past + i]
        above, beside = totals[last + i], totals[last + i + one]
        start = starts[last + i] if above < best else start
        best = above if above < best else best
        start = starts[last + i + one] if beside < best else start
        best = beside if beside < best else best
        totals[here + i + one] = best + local[i]
        starts[here + i + one] = start


@njit(cache=True, nogil=True)
def open_ends(query: Floats, series: Floats) -> Any:
    """For every row of ``series``: the least total of a stretch that ends there, and where that begins.

    Args:
        query: (m, n_channels). series: (n, n_channels).

    Returns:
        ``(totals (n,), begins i8 (n,))``. Of equally cheap stretches: backwards from the end, a diagonal step
        is preferred, then one in the query alone, then one in the series alone. Time O(n m n_channels), memory
        O((n + m) n_channels).
    """
    m, n, n_channels = query.shape[0], series.shape[0], query.shape[1]
    rows, backwards = np.ascontiguousarray(query.T), np.ascontiguousarray(series[::-1].T)
    totals, starts = np.full(3 * (m + 1), np.inf), np.zeros(3 * (m + 1), np.int64)
    local, out, begins = np.empty(m), np.empty(n), np.empty(n, np.int64)
    for k in range(3):
        totals[k * (m + 1)] = 0.0
    for s in range(n + m - 1):
        begin, end = max(0, s - n + 1), min(m, s + 1)
        for k in range(3):
            starts[k * (m + 1)] = s
        for c in range(n_channels):
            shift = n - 1 - s
            for i in range(begin, end):
                step = rows[c, i] - backwards[c, shift + i]
                local[i] = step * step if c == 0 else local[i] + step * step
        _fill_diagonal(local, totals, starts, s, begin, end)
        if end == m:
            at = s % 3 * (m + 1) + m
            out[s - m + 1], begins[s - m + 1] = totals[at], starts[at]
    return out, begins


@njit(cache=True, nogil=True)
def open_totals(query: Floats, series: Floats) -> Floats:
    """All totals with open ends: (m, n) float64, of ``query`` (m, n_channels) and ``series`` (n, n_channels)."""
    m, n = query.shape[0], series.shape[0]
    totals = np.empty((m, n))
    for i in range(m):
        for j in range(n):
            cost = 0.0
            for c in range(query.shape[1]):
                step = query[i, c] - series[j, c]
                cost += step * step
            if i > 0:
                best = totals[i - 1, j]
                if j > 0:
                    best = min(min(best, totals[i - 1, j - 1]), totals[i, j - 1])
                cost += best
            totals[i, j] = cost
    return totals

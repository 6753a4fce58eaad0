"""Edit distance of two series: rows are kept, replaced, or left out on either side.

With rows i and j *alike* when their Euclidean distance is at most epsilon, the least price of turning the first i
rows of one series into the first j of the other is

    total[i, j] = min(total[i-1, j-1] + (0 if alike else replace), total[i-1, j] + 1, total[i, j-1] + 1)

with total[i, 0] = i and total[0, j] = j. ``replace = 1`` is EDR (Chen, Özsu & Oria 2005, definition 2). With
``replace = 2``, no better than leaving out both, n + m - total is twice the length of the longest common
subsequence (Vlachos, Kollios & Gunopulos 2002). A band bars pairs; leaving rows out is always allowed.
Values are finite (the caller validates).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["edit_pairs", "edit_table", "edit_total"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PAIR, _DOWN, _RIGHT = 0, 1, 2
_BARRED = 2  # as dear as leaving out both rows
called = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by kernels only


@called
def _prices(a: Floats, columns: Floats, reach: float, i: int, limits: Ints, replace: int, out: Any) -> None:
    """Price of pairing row i of ``a`` with each row of ``b``, whose channels are ``columns`` (d, m)."""
    n_channels, m = columns.shape
    low, high = (limits[0, i], limits[1, i]) if limits.shape[1] else (0, m)
    out[:] = _BARRED
    for j in range(low, high):
        squares = 0.0
        for c in range(n_channels):
            step = a[i, c] - columns[c, j]
            squares += step * step
        out[j] = 0 if squares <= reach else replace


@called
def _advance(totals: Any, prices: Any, steps: Any) -> None:
    """Turn the totals of one row into those of the next, in place: ``totals[j]`` is for the first j rows of b."""
    diagonal = totals[0]
    totals[0] += 1
    for j in range(len(prices)):
        best, step = diagonal + prices[j], _PAIR
        if totals[j + 1] + 1 < best:
            best, step = totals[j + 1] + 1, _DOWN
        if totals[j] + 1 < best:
            best, step = totals[j] + 1, _RIGHT
        diagonal = totals[j + 1]
        totals[j + 1] = best
        steps[j] = step


@njit(cache=True, nogil=True)
def edit_total(a: Floats, b: Floats, reach: float, limits: Ints, replace: int) -> int:
    """The least price of turning ``a`` into ``b``.

    Args:
        a: (n, d). b: (m, d).
        reach: squared epsilon.
        limits: (2, n) columns from and up to which a row may be paired; (2, 0) bars nothing.
        replace: price of pairing rows that are not alike, 1 or 2.

    Complexity: time O(n m d), memory O(m).
    """
    n, m = a.shape[0], b.shape[0]
    columns = np.ascontiguousarray(b.T)
    totals, prices, steps = np.arange(m + 1), np.empty(m, np.int64), np.empty(m, np.uint8)
    for i in range(n):
        _prices(a, columns, reach, i, limits, replace, prices)
        _advance(totals, prices, steps)
    return int(totals[m])


@njit(cache=True, nogil=True)
def edit_table(a: Floats, b: Floats, reach: float, limits: Ints, replace: int) -> Ints:
    """All totals, (n, m) i8: of the first i + 1 rows of ``a`` and the first j + 1 of ``b``.

    Args:
        a, b, reach, limits, replace: as for ``edit_total``.
    """
    n, m = a.shape[0], b.shape[0]
    columns = np.ascontiguousarray(b.T)
    totals, prices, steps = np.arange(m + 1), np.empty(m, np.int64), np.empty(m, np.uint8)
    table = np.empty((n, m), np.int64)
    for i in range(n):
        _prices(a, columns, reach, i, limits, replace, prices)
        _advance(totals, prices, steps)
        table[i] = totals[1:]
    return table


@njit(cache=True, nogil=True)
def edit_pairs(a: Floats, b: Floats, reach: float, limits: Ints, replace: int) -> Any:
    """``(total, pairs)``: the rows that are paired, kept or replaced, ascending (k, 2) i8; the others are left out.

    Of equally dear ways, backwards from the end, a pair is preferred, then leaving out a row of ``a``. One byte a
    cell.

    Args:
        a, b, reach, limits, replace: as for ``edit_total``.
    """
    n, m = a.shape[0], b.shape[0]
    columns = np.ascontiguousarray(b.T)
    totals, prices, steps = np.arange(m + 1), np.empty(m, np.int64), np.empty((n, m), np.uint8)
    for i in range(n):
        _prices(a, columns, reach, i, limits, replace, prices)
        _advance(totals, prices, steps[i])
        for j in range(m):
            if steps[i, j] == _PAIR and prices[j] == _BARRED:
                steps[i, j] = _DOWN + _RIGHT  # both left out
    pairs = np.empty((min(n, m), 2), np.int64)
    i, j, count = n - 1, m - 1, 0
    while i >= 0 and j >= 0:
        step = steps[i, j]
        if step == _PAIR:
            pairs[count, 0], pairs[count, 1] = i, j
            count += 1
        i -= step != _RIGHT
        j -= step != _DOWN
    return totals[m], pairs[:count][::-1].copy()

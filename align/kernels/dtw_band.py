"""The total of dynamic time warping inside a band: its diagonals one after another, each one loop of vector code.

For rows i of ``a`` and j of ``b``: total[i, j] = cost[i, j] + min(total[i-1, j-1], total[i-1, j], total[i, j-1])
(Sakoe & Chiba 1978, section III), cost the squared difference.

The cells of an anti-diagonal i + j = d do not wait for each other, and those inside a band whose ends never turn back
are neighbours: as d grows by one, their first and last row grow by one or stay. So nothing is compared inside the
loop; an infinite total is laid beside each end instead. Lanes further out are computed along, may hold any number,
and are never read by a cell of the band.

Two diagonals are kept, and the one before last becomes the new one in place: the lane of row i stands at
i - d // 2 (and a constant), so that a cell lies where the one diagonally before it was, and a band along the
diagonal stays in the same few cache lines.

For narrow bands: two diagonals and what they read should fit the first cache (``kernels.dtw_linear`` sweeps strips).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["band_total"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PAD = 16  # lanes before the first and behind the last
VECTOR = 8  # lanes that a loop's ends are rounded to
CACHE_LINE = 64

unsigned = np.uint64
ONE = unsigned(1)
called = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)


@called
def advance(
    a: Floats, b: Floats, own: Floats, other: Floats, place: tuple[int, int, int, int], count: int
) -> None:
    """``count`` lanes of a diagonal, in place of the one before last; ``other`` is the last.

    ``place``: the first lane here, the one above it there, its row and its column.
    """
    here, there, row, column = unsigned(place[0]), unsigned(place[1]), unsigned(place[2]), unsigned(place[3])
    for k in range(unsigned(count)):
        x = a[row + k] - b[column + k]
        corner, above, beside = own[here + k], other[there + k], other[there + k + ONE]
        best = corner if corner < beside else beside
        best = above if above < best else best
        own[here + k] = x * x + best


@njit(cache=True, nogil=True, error_model="numpy")
def band_total(a: Floats, b: Floats, limits: Ints) -> Any:
    """The smallest total of a warping path inside a band.

    Args:
        a, b: (n,) and (m,), one float type, n and m at least 1, finite.
        limits: i8 (2, n) first column and end of columns of each row, neither ever descending, a path fits.

    Returns:
        The total, in the type of the series. Time O(cells of the band + n + m), memory O(n + m).
    """
    n, m = a.shape[0], b.shape[0]
    size = ((n + m) // 2 + 3 * PAD) & -PAD
    room = np.empty(2 * size + n + m + 6 * PAD + CACHE_LINE, a.dtype)
    room = room[(-room.ctypes.data) % CACHE_LINE // room.itemsize :]
    own, other = room[:size], room[size : 2 * size]
    rows, reverse = room[2 * size : 2 * size + n + 2 * PAD], room[2 * size + n + 2 * PAD :]
    for k in range(room.shape[0]):
        room[k] = 0.0 if k >= 2 * size else np.inf
    for i in range(n):
        rows[PAD + i] = a[i]
    for j in range(m):
        reverse[PAD + m - 1 - j] = b[j]
    base = PAD + m // 2  # the lane of row i on diagonal d: base + i - d // 2
    own[base] = 0.0  # every path begins before (0, 0), two diagonals earlier
    low, high = 0, 0
    for d in range(n + m - 1):
        if high + 1 < n and high + 1 + limits[0, high + 1] <= d:
            high += 1
        if low + limits[1, low] <= d:
            low += 1
        first, last = base + low - d // 2, base + high - d // 2
        begin, end = first & -VECTOR, (last + VECTOR) & -VECTOR
        row = begin - base + d // 2
        place = (begin, begin - d % 2, PAD + row, PAD + m - 1 - d + row)
        advance(rows, reverse, own, other, place, end - begin)
        own[first - 1] = np.inf
        own[last + 1] = np.inf
        own, other = other, own
    return other[base + n - 1 - (n + m - 2) // 2]

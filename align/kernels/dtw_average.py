"""One round of DTW barycentre averaging: every series warped onto the centre, and what it lays on each row.

Totals and ties as in ``kernels.dtw`` with the series first and the centre second: backwards from the end, a
diagonal step is preferred, then one in the series alone, then one in the centre alone. 32 series are warped side
by side, one per lane; a byte per cell keeps the step. Values are finite (the caller validates).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["laid_on_centre"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

LANES = 32
CACHE_LINE = 64  # arrays that do not begin on one are half as fast

unsigned = np.uint64
_LANES = unsigned(LANES)
_DIAGONAL, _DOWN, _RIGHT = np.uint8(0), np.uint8(1), np.uint8(2)
called = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by kernels only


@called
def _fill_row(
    series: Floats, centre: Floats, work: Floats, steps: Bytes, row: int, low: int, high: int
) -> None:
    """Totals and steps of one row of all lanes, in columns ``low`` to ``high - 1``.

    ``work`` holds lanes: the totals of the row above by column, then the diagonal, the cell beside, and the cost
    in all channels but the first (0 where there is only one).
    """
    m, n_channels = unsigned(centre.shape[0]), unsigned(centre.shape[1])
    diagonal, beside, others = m * _LANES, (m + unsigned(1)) * _LANES, (m + unsigned(2)) * _LANES
    first = unsigned(row) * n_channels * _LANES
    for column in range(unsigned(low), unsigned(high)):
        if n_channels > 1:
            for lane in range(_LANES):
                work[others + lane] = 0.0
            for c in range(unsigned(1), n_channels):
                for lane in range(_LANES):
                    step = series[first + c * _LANES + lane] - centre[column, c]
                    work[others + lane] += step * step
        at, out, value = column * _LANES, (unsigned(row) * m + column) * _LANES, centre[column, 0]
        for lane in range(_LANES):
            best, above, left = work[diagonal + lane], work[at + lane], work[beside + lane]
            code = _DOWN if above < best else _DIAGONAL
            best = min(above, best)
            code = _RIGHT if left < best else code
            best = min(left, best)
            step = series[first + lane] - value
            best += step * step + work[others + lane]
            work[diagonal + lane] = above
            work[at + lane] = best
            work[beside + lane] = best
            steps[out + lane] = code


@called
def _lay(
    series: Floats, steps: Bytes, last: int, lane: int, weight: float, sums: Floats, weights: Floats
) -> None:
    """Walk one lane's path back from its end and add what lies on each row of the centre."""
    m, n_channels = sums.shape
    i, j = last, m - 1
    while True:
        weights[j] += weight
        for c in range(n_channels):
            sums[j, c] += weight * series[(i * n_channels + c) * LANES + lane]
        if i == 0 and j == 0:
            break
        step = steps[(i * m + j) * LANES + lane]
        if j == 0 or (i > 0 and step != _RIGHT):
            i -= 1
            if j > 0 and step == _DIAGONAL:
                j -= 1
        else:
            j -= 1


@njit(cache=True, nogil=True)
def laid_on_centre(
    flat: Floats,
    starts: Ints,
    weights: Floats,
    centre: Floats,
    ranges: Ints,
    sums: Floats,
    weight_sums: Floats,
) -> Floats:
    """Warp equally long series onto ``centre``; add to ``sums`` what their paths lay on each of its rows.

    Args:
        flat: (rows * n_channels,) series by row. starts: i8 (n_series,) their first rows.
        weights: (n_series,) of the series.
        centre: (m, n_channels).
        ranges: i8 (2, n) half-open columns of the centre that each of a series' n rows may visit, non-decreasing.
        sums: (m, n_channels) weighted sums of values, added to. weight_sums: (m,) sums of weights, likewise.

    Returns:
        (n_series,) totals. Time O(n m n_channels) a series; memory 32 n m bytes.

    Reference: Petitjean et al. 2011, algorithm 5 (one iteration, without the division).
    """
    (m, n_channels), n = centre.shape, ranges.shape[1]
    size = n * n_channels * LANES
    memory = np.empty(size + (m + 3) * LANES + CACHE_LINE)
    memory = memory[(-memory.ctypes.data) % CACHE_LINE // memory.itemsize :]
    series, work = memory[:size], memory[size:]
    for lane in range(LANES):
        work[(m + 2) * LANES + lane] = 0.0
    steps, totals = np.empty(n * m * LANES, np.uint8), np.empty(starts.shape[0])
    for first in range(0, starts.shape[0], LANES):
        n_lanes = min(LANES, starts.shape[0] - first)
        for lane in range(LANES):
            begin = unsigned(starts[first + min(lane, n_lanes - 1)] * n_channels)
            for k in range(unsigned(n * n_channels)):
                series[k * _LANES + unsigned(lane)] = flat[begin + k]
        for k in range(m * LANES):
            work[k] = np.inf
        for row in range(n):
            low, high = ranges[0, row], ranges[1, row]
            for lane in range(LANES):
                work[m * LANES + lane] = 0.0 if row == 0 else np.inf
                if low > 0:
                    work[m * LANES + lane] = work[(low - 1) * LANES + lane]
                    work[(low - 1) * LANES + lane] = np.inf  # no later row may come from there
                work[(m + 1) * LANES + lane] = np.inf
            _fill_row(series, centre, work, steps, row, low, high)
        for lane in range(n_lanes):
            totals[first + lane] = work[(m - 1) * LANES + lane]
            _lay(series, steps, n - 1, lane, weights[first + lane], sums, weight_sums)
    return totals

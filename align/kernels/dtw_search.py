"""What narrows a search by dynamic time warping: envelopes, windows, and lower bounds.

The *envelope* of a series b is, for each row of another series, the least and the greatest value of b that a
warping path within the band can lay on it. The *bound of Keogh* of a series against that envelope is the sum
of its squared ways into it; no warping path has a smaller total (Keogh & Ratanamahatana 2005, section 4;
envelopes in one pass: Lemire 2009, section 4).

Bounds are rounded: whoever prunes by one leaves a margin. Values are finite unless said otherwise. One thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["band_bounds", "envelope", "improved_bounds", "keogh_bounds", "window_bounds"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LANES = 64  # windows side by side
SIDE = 32  # candidates side by side; in one candidate what loops are rounded to
FETCHED = 16  # candidates fetched at a time
CACHE_LINE = 64  # arrays that do not begin on one are half as fast
_TINY = 1e-300  # variances below count as none: their root's inverse could overflow

unsigned = np.uint64
called = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by kernels only
called_loosely = njit(  # sums in any order: the margin of those who prune covers it
    nogil=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"reassoc", "contract"}
)


@called
def _greatest(series: Floats, sign: float, ranges: Ints, out: Floats) -> None:
    """out[row] = the greatest of sign * series[low:high]: a queue of those that nothing later exceeds."""
    queue = np.empty(series.shape[0], np.int64)
    head, tail, arrived = 0, 0, 0
    for row in range(ranges.shape[1]):
        while arrived < ranges[1, row]:
            while tail > head and sign * series[queue[tail - 1]] <= sign * series[arrived]:
                tail -= 1
            queue[tail] = arrived
            tail += 1
            arrived += 1
        while queue[head] < ranges[0, row]:
            head += 1
        out[row] = series[queue[head]]


@njit(cache=True, nogil=True)
def envelope(series: Floats, ranges: Ints) -> Floats:
    """Least and greatest value of each channel of ``series`` (n, n_channels) within ranges of its rows.

    Args:
        series: float64, C-contiguous.
        ranges: i8 (2, rows), half-open, not empty, both ends non-decreasing.

    Returns:
        (2, rows, n_channels): lower and upper. Time O(n + rows) a channel.
    """
    n_channels = series.shape[1]
    out, one = np.empty((2, ranges.shape[1], n_channels)), np.empty(ranges.shape[1])
    for c in range(n_channels):
        channel = series[:, c].copy()
        for side in range(2):
            _greatest(channel, -1.0 if side == 0 else 1.0, ranges, one)
            for row in range(ranges.shape[1]):
                out[side, row, c] = one[row]
    return out


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def keogh_bounds(candidates: Floats, lower: Floats, upper: Floats) -> Floats:
    """The bound of Keogh of each row of ``candidates``: the sum of its squared ways into the envelope.

    Args:
        candidates: (n, width); a row that holds NaN or infinite values gives a bound that is not finite.
        lower, upper: (width,) the envelope.

    Returns:
        (n,) float64, to within rounding: the order of summation is the machine's.
    """
    bounds = np.empty(candidates.shape[0])
    for i in range(candidates.shape[0]):
        total = 0.0
        for j in range(unsigned(candidates.shape[1])):
            over, under = candidates[i, j] - upper[j], lower[j] - candidates[i, j]
            way = over if over > under else under  # NaN stays NaN in both lines
            way = 0.0 if way < 0.0 else way
            total += way * way
        bounds[i] = total
    return bounds


@njit(cache=True, nogil=True)
def window_bounds(series: Floats, lower: Floats, upper: Floats) -> Any:
    """Mean, inverse deviation and bound of Keogh of every window of a series, each window z-normalised.

    Each window is summed for itself, 64 side by side, about its first value: nothing drifts, and a constant
    window has a deviation of exactly 0. Its inverse is given as 0 then: all its values count as 0.

    Args:
        series: (n,), n >= m.
        lower, upper: (m,) the query's envelope.

    Returns:
        ``(norms (n - m + 1, 2), bounds (n - m + 1,))``: mean and inverse of the (population) deviation; sums of
        squares. Time O(n m), memory O(n).
    """
    m, n_windows = lower.shape[0], series.shape[0] - lower.shape[0] + 1
    padded = np.zeros(series.shape[0] + LANES)
    for t in range(series.shape[0]):
        padded[t] = series[t]
    norms, bounds = np.empty((n_windows, 2)), np.empty(n_windows)
    mean, scale, total = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for first in range(0, n_windows, LANES):
        begin = unsigned(first)
        for lane in range(unsigned(LANES)):
            total[lane] = 0.0
            scale[lane] = 0.0
        for j in range(unsigned(m)):
            for lane in range(unsigned(LANES)):
                total[lane] += padded[begin + j + lane] - padded[begin + lane]
        for lane in range(unsigned(LANES)):
            mean[lane] = padded[begin + lane] + total[lane] / m
            total[lane] = 0.0
        for j in range(unsigned(m)):
            for lane in range(unsigned(LANES)):
                away = padded[begin + j + lane] - mean[lane]
                scale[lane] += away * away
        for lane in range(unsigned(LANES)):
            variance = scale[lane] / m
            scale[lane] = 1.0 / np.sqrt(variance) if variance > _TINY else 0.0
        for j in range(unsigned(m)):
            most, least = upper[j], lower[j]
            for lane in range(unsigned(LANES)):
                z = (padded[begin + j + lane] - mean[lane]) * scale[lane]
                way = max(max(z - most, least - z), 0.0)
                total[lane] += way * way
        for lane in range(min(LANES, n_windows - first)):
            norms[first + lane, 0], norms[first + lane, 1] = mean[lane], scale[lane]
            bounds[first + lane] = total[lane]
    return norms, bounds


@called
def _clip(n_rows: int, around: Floats, total: Floats, upper: Floats, lower: Floats) -> None:
    """Clip the packed series in ``upper`` into the envelope, copy it to ``lower``; its squared ways to total."""
    for lane in range(unsigned(SIDE)):
        total[lane] = 0.0
    for k in range(unsigned(n_rows)):
        least, most = around[k], around[unsigned(n_rows) + k]
        for lane in range(unsigned(SIDE)):
            value = upper[k * unsigned(SIDE) + lane]
            inside = min(max(value, least), most)
            total[lane] += (value - inside) * (value - inside)
            upper[k * unsigned(SIDE) + lane] = inside
            lower[k * unsigned(SIDE) + lane] = inside


@called
def _add_ways(query: Floats, ranges: Ints, width: int, upper: Floats, lower: Floats, total: Floats) -> None:
    """Add the squared ways of the query's rows whose range two stretches of ``width`` rows cover.

    ``upper`` and ``lower`` hold the extremes of the ``width`` rows from each row on.
    """
    n_channels = unsigned(query.shape[1])
    for i in range(query.shape[0]):
        if width <= ranges[1, i] - ranges[0, i] < 2 * width:
            for c in range(n_channels):
                value = query[i, c]
                first = (unsigned(ranges[0, i]) * n_channels + c) * unsigned(SIDE)
                second = (unsigned(ranges[1, i] - width) * n_channels + c) * unsigned(SIDE)
                for lane in range(unsigned(SIDE)):
                    over = value - max(upper[first + lane], upper[second + lane])
                    under = min(lower[first + lane], lower[second + lane]) - value
                    way = max(max(over, under), 0.0)
                    total[lane] += way * way


@called
def _widen(upper: Floats, lower: Floats, shift: int, more_upper: Floats, more_lower: Floats) -> None:
    """The extremes of twice as many rows from each row on."""
    for first in range(0, upper.shape[0] - shift, SIDE):
        here, there = unsigned(first), unsigned(first + shift)
        for lane in range(unsigned(SIDE)):
            more_upper[here + lane] = max(upper[here + lane], upper[there + lane])
            more_lower[here + lane] = min(lower[here + lane], lower[there + lane])


@njit(cache=True, nogil=True)
def improved_bounds(
    flat: Floats, starts: Ints, norms: Floats, query: Floats, around: Floats, ranges: Ints
) -> Floats:
    """The improved bound of many candidates, 32 side by side: Keogh's, and that of the query against the rest.

    With h the candidate clipped into the query's envelope, the sum of the squared ways from the candidate to h
    and of the query's squared ways into the envelope of h (Lemire 2009, corollary 4). Its extremes come from two
    overlapping stretches of a power of two.

    Args:
        flat: (rows * n_channels,) candidates by row. starts: i8 (n,) their first rows.
        norms: (n, 2) each value x of candidate p counts as (x - norms[p, 0]) * norms[p, 1]; or (1, 2) for all.
        query: (m, n_channels). around: (2, length * n_channels) its envelope, one row for each candidate's.
        ranges: i8 (2, m) half-open columns of a candidate that each row of the query may visit.

    Returns:
        (n,) sums of squares. Time O((length log widest + m) n_channels) a candidate.
    """
    n, size = starts.shape[0], around.shape[1]
    shift = SIDE * query.shape[1]  # one row further on
    work = np.empty((4 * size + 1) * SIDE + CACHE_LINE)
    work = work[(-work.ctypes.data) % CACHE_LINE // work.itemsize :]
    total, work = work[:SIDE], work[SIDE:]
    upper, lower = work[: size * SIDE], work[size * SIDE : 2 * size * SIDE]
    more_upper, more_lower = work[2 * size * SIDE : 3 * size * SIDE], work[3 * size * SIDE : 4 * size * SIDE]
    bounds, edges = np.empty(n), around.ravel()
    widest = 0
    for i in range(ranges.shape[1]):
        widest = max(widest, ranges[1, i] - ranges[0, i])
    for first in range(0, n, SIDE):
        for lane in range(SIDE):
            p = min(first + lane, n - 1)
            mean, scale = norms[p % norms.shape[0], 0], norms[p % norms.shape[0], 1]
            begin = unsigned(starts[p] * query.shape[1])
            for k in range(unsigned(size)):
                upper[k * unsigned(SIDE) + unsigned(lane)] = (flat[begin + k] - mean) * scale
        _clip(size, edges, total, upper, lower)
        width = 1
        while width <= widest:
            _add_ways(query, ranges, width, upper, lower, total)
            if 2 * width <= widest:
                _widen(upper, lower, width * shift, more_upper, more_lower)
                upper, more_upper, lower, more_lower = more_upper, upper, more_lower, lower
            width *= 2
        for lane in range(min(SIDE, n - first)):
            bounds[first + lane] = total[lane]
    return bounds


@called_loosely
def _clip_one(candidate: Floats, begin: int, around: Floats, work: Floats, to: int) -> float:
    """A candidate clipped into the query's envelope, from ``work[to]`` on; the sum of its squared ways."""
    first, at, size, total = unsigned(begin), unsigned(to), unsigned(around.shape[0] // 2), 0.0
    for k in range(size):
        value = candidate[first + k]
        near = min(max(value, around[k]), around[size + k])
        total += (value - near) * (value - near)
        work[at + k] = near
    return total


@called_loosely
def _widen_one(work: Floats, count: int, upper: int, lower: int, to: int, room: int, shift: int) -> None:
    """The extremes of three times as many rows from each row on; ``shift`` is how far they reach as yet."""
    most, least, out, beyond = unsigned(upper), unsigned(lower), unsigned(to), unsigned(to + room)
    second, third = unsigned(shift), unsigned(2 * shift)
    for k in range(unsigned(count)):
        work[out + k] = max(max(work[most + k], work[most + second + k]), work[most + third + k])
        work[beyond + k] = min(min(work[least + k], work[least + second + k]), work[least + third + k])


@called_loosely
def _ways_out(query: Floats, work: Floats, upper: int, lower: int, half: int, shift: int) -> float:
    """The sum of the query's squared ways into three stretches: from each row on, ``half`` and ``shift`` later."""
    most, least, second, third, total = unsigned(upper), unsigned(lower), unsigned(half), unsigned(shift), 0.0
    for k in range(unsigned(query.shape[0])):
        over = query[k] - max(max(work[most + k], work[most + second + k]), work[most + third + k])
        under = min(min(work[least + k], work[least + second + k]), work[least + third + k]) - query[k]
        way = max(max(over, under), 0.0)
        total += way * way
    return total


@called_loosely
def _one_bound(
    candidate: Floats, begin: int, query: Floats, around: Floats, work: Floats, sizes: Ints
) -> float:
    """The bound of one candidate; ``sizes`` and ``work`` as ``band_bounds`` lays them out."""
    n_channels, front, widest, end = sizes[0], sizes[1], sizes[2], sizes[3]
    count, room = sizes[4], sizes[5]
    total = _clip_one(candidate, begin, around, work, front)
    for k in range(front - 1, -1, -1):
        work[k] = work[k + n_channels]
    for k in range(front + around.shape[0] // 2, end):
        work[k] = work[k - n_channels]
    upper, lower, width, to, then = 0, 0, 1, room, 3 * room
    while 3 * width < widest:
        _widen_one(work, count, upper, lower, to, room, width * n_channels)
        upper, lower, width, to, then = to, to + room, 3 * width, then, to
    shift = widest - width
    return total + _ways_out(query, work, upper, lower, (shift + 1) // 2 * n_channels, shift * n_channels)


@called_loosely
def _fetch(flat: Floats, begin: int, shift: float, scale: float, to: int, near: Floats, size: int) -> None:
    """Copy a candidate, normalised."""
    first, at = unsigned(begin), unsigned(to)
    for k in range(unsigned(size)):
        near[at + k] = (flat[first + k] - shift) * scale


@njit(cache=True, nogil=True)
def band_bounds(
    flat: Floats, starts: Ints, norms: Floats, query: Floats, around: Floats, before: int, after: int
) -> Floats:
    """``improved_bounds`` where row i of the query may visit the columns from i - before to i + after.

    Candidates come one after another: their own rows are the lanes, and nothing is laid out anew. Beyond its ends a
    candidate goes on with its first and last row, which adds nothing to any range. The extremes of a range come
    from stretches of 1, 3, 9, ... rows, three of which cover it. Candidates that lie apart are fetched several at a
    time, so that memory answers for all of them at once.

    Args:
        flat, starts, norms, query, around: as for ``improved_bounds``.
        before, after: rows, at least 0; each row's range holds a row of the candidate.

    Returns:
        (n,) sums of squares, to within rounding. Time O((length + m + widest) log widest n_channels) a candidate.
    """
    (m, n_channels), size, n = query.shape, around.shape[1], starts.shape[0]
    sizes = np.empty(6, np.int64)
    sizes[0], sizes[1], sizes[2] = n_channels, before * n_channels, before + after + 1
    sizes[3] = (m + before + after) * n_channels
    sizes[4] = (sizes[3] + SIDE - 1) & -SIDE
    sizes[5] = (max(sizes[4], sizes[1] + size) + 2 * sizes[2] * n_channels + SIDE) & -SIDE
    work = np.zeros(5 * sizes[5] + FETCHED * size + CACHE_LINE)
    work = work[(-work.ctypes.data) % CACHE_LINE // work.itemsize :]
    bounds, wanted, edges, near = np.empty(n), query.ravel(), around.ravel(), work[5 * sizes[5] :]
    for first in range(0, n, FETCHED):
        end = min(first + FETCHED, n)
        for p in range(first, end):
            mean, scale = norms[p % norms.shape[0], 0], norms[p % norms.shape[0], 1]
            _fetch(flat, starts[p] * n_channels, mean, scale, (p - first) * size, near, size)
        for p in range(first, end):
            bounds[p] = _one_bound(near, (p - first) * size, wanted, edges, work, sizes)
    return bounds

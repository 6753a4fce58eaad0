"""Online detection of a change in the mean: the exact generalised likelihood ratio over all windows.

With S_t the sum of a channel's first t samples, the misfit that one change point after sample s saves is

    known mean 0 before it:   (S_t - S_s)^2 / (t - s)
    unknown mean before it:   S_s^2 / s + (S_t - S_s)^2 / (t - s) - S_t^2 / t

(twice the logarithm of the likelihood ratio where the noise has variance 1). Both are convex in the point
(s, S_s), so the best s is a vertex of the convex hull of the points (s, S_s): of its lower side for a rise, of
its upper side for a fall. One sample adds one point at the right end and removes those that it leaves inside.
A random walk of n steps has about ln n vertices on a side, whatever the noise is like.

Reference: Romano, Eckley, Fearnhead & Rigaill 2023, Fast online changepoint detection via functional pruning CUSUM
statistics, JMLR 24(81) (FOCuS, the mean before the change known and unknown). Departures: hull points and not
quadratics are kept; ratios are compared by products; the hull of a side has a capacity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["CAPACITY", "glr_now", "glr_push", "glr_until", "hold_levels"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Hulls = tuple[Floats, Floats, Ints, Ints, Floats, Ints, Floats]

OPTIONS = {"error_model": "numpy", "nogil": True, "_nrt": False}
NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called by kernels only
called = njit(**OPTIONS, **NO_WRAPPERS)
inlined = njit(**OPTIONS, **NO_WRAPPERS, forceinline=True)

CAPACITY = 128  # vertices of one side; 24 are expected after 1e10 samples of noise
SLACK = 1e-9  # of the bound: what rounding may have taken from it
SMOOTHING = 1.0 / 16.0  # of the level that stands in for missing cells


@njit(cache=True, **OPTIONS)
def glr_push(
    values: npt.NDArray[Any],
    shift: Floats,
    scale: Floats,
    hulls: Hulls,
    mode: tuple[bool, bool],
    statistic: Floats,
    change: Ints,
) -> None:
    """Take samples, with the statistic after each.

    Args:
        values: (n, d) f4 or f8; a missing cell (NaN) leaves its channel as it was.
        shift: (d,) subtracted; the known mean, or anything near the level.
        scale: (d,) then multiplied; 0 to ignore a channel.
        hulls: what is known of the samples before, changed in place: times (d, 2, CAPACITY) f8, in valid samples
            of the channel; sums (d, 2, CAPACITY) f8; samples (d, 2, CAPACITY) i8, the same times in rows; sizes
            (d, 2) i8; totals (d, 2) f8, valid samples and their sum; counts (2,) i8, rows and vertices dropped;
            bound (1,) f8, at least the statistic of the last row.
        mode: whether the mean before the change is known, and whether channels add up (else the largest counts).
        statistic: (n,) f8, filled. O(log n) expected per row and channel.
        change: (n,) i8, filled: the row that the change came before, in the channel that saves most; -1 where
            nothing is saved.
    """
    for i in range(values.shape[0]):
        _take_row(values, i, shift, scale, hulls, mode)
        statistic[i], change[i] = glr_now(scale, hulls, mode)
        hulls[6][0] = statistic[i]


@njit(cache=True, **OPTIONS)
def glr_until(
    values: npt.NDArray[Any],
    shift: Floats,
    scale: Floats,
    hulls: Hulls,
    mode: tuple[bool, bool],
    threshold: float,
) -> tuple[int, bool]:
    """Take samples up to and with the first whose statistic is above the threshold, or all.

    The statistic is only worked out where it can have passed. A sample of a channel adds at most what it adds to the
    misfit without a change, ``(x - mean)^2 n / (n + 1)``: misfits never fall when a sample is added. So a bound
    that was below the threshold goes on by that, and is put right where it is above.

    Args:
        values, shift, scale, hulls, mode: as of ``glr_push``.
        threshold: above which to stop.

    Returns:
        rows taken, and whether the last one passed. O(1) expected per row and channel, and O(log n) where the
        statistic is worked out.
    """
    bound = hulls[6]
    for i in range(values.shape[0]):
        bound[0] += _take_row(values, i, shift, scale, hulls, mode)
        if bound[0] * (1.0 + SLACK) > threshold:
            bound[0], _ = glr_now(scale, hulls, mode)
            if bound[0] > threshold:
                return i + 1, True
    return values.shape[0], False


@njit(cache=True, **OPTIONS)
def glr_now(scale: Floats, hulls: Hulls, mode: tuple[bool, bool]) -> tuple[float, int]:
    """The statistic of the samples taken so far, and the row before which the change is that saves most, or -1.

    Args:
        scale, hulls, mode: as of ``glr_push``; nothing is changed.
    """
    known, together = mode
    total, largest, place = 0.0, 0.0, -1
    for c in range(len(scale)):
        if scale[c] == 0.0:
            continue
        best, where = _best_split(c, hulls, known)
        total += best
        if best > largest:
            largest, place = best, where
    return (total if together else largest), place


@inlined
def _take_row(
    values: npt.NDArray[Any], i: int, shift: Floats, scale: Floats, hulls: Hulls, mode: tuple[bool, bool]
) -> float:
    """One row into the hulls; returns how much it may add to the statistic."""
    known, together = mode
    totals, counts = hulls[4], hulls[5]
    counts[0] += 1
    added = 0.0
    for c in range(values.shape[1]):
        x = (values[i, c] - shift[c]) * scale[c]
        if scale[c] == 0.0 or np.isnan(x):
            continue
        n, before = totals[c, 0] + 1.0, totals[c, 1]
        totals[c, 0], totals[c, 1] = n, before + x
        more = x * x
        if not known:
            away = x - before / max(n - 1.0, 1.0)
            more = away * away * ((n - 1.0) / n)
        added = added + more if together else max(added, more)
        _add_point(c, 0, n, before + x, counts[0], hulls, known)
        _add_point(c, 1, n, -before - x, counts[0], hulls, known)
    return added


@inlined
def _add_point(c: int, side: int, n: float, end: float, row: int, hulls: Hulls, known: bool) -> None:
    """The point (n, end) at the right end of one side's hull."""
    times, sums, samples, sizes = hulls[0][c, side], hulls[1][c, side], hulls[2][c, side], hulls[3]
    size = sizes[c, side]
    while size > 1:  # the last vertex is no more one when the new point lies below its edge
        last, other = np.uint64(size - 1), np.uint64(size - 2)
        run, rise = times[last] - times[other], end - sums[last]
        if rise * run > (sums[last] - sums[other]) * (n - times[last]):
            break
        size -= 1
    if known and end <= sums[np.uint64(size - 1)]:
        size = 0  # whatever comes, a rise from a lower point that is later saves more
    if size == len(times):
        size = _thinned(times, sums, samples, n)
        hulls[5][1] += 1
    at = np.uint64(size)
    times[at], sums[at], samples[at] = n, end, row
    sizes[c, side] = size + 1


@inlined
def _best_split(c: int, hulls: Hulls, known: bool) -> tuple[float, int]:
    """What the best change point of one channel saves, and the row that it comes before.

    The newest vertex is the last sample, behind which there is nothing; vertices that it took the place of would
    save no more than the one before them.
    """
    n = hulls[4][c, 0]
    if n == 0.0:
        return 0.0, -1
    over, under, where = 0.0, 1.0, -1  # the largest ratio so far
    for side in range(2):
        times, sums = hulls[0][c, side], hulls[1][c, side]
        end = hulls[4][c, 1] if side == 0 else -hulls[4][c, 1]
        mean = 0.0 if known else end / n
        for k in range(np.uint64(0 if known else 1), np.uint64(hulls[3][c, side] - 1)):
            after = n - times[k]
            excess = end - sums[k] - after * mean
            square, weight = excess * excess, after if known else after * times[k]
            if square * under > over * weight:
                over, under, where = square, weight, hulls[2][c, side, k]
    return (over / under if known else over / under * n), where


@called
def _thinned(times: Floats, sums: Floats, samples: Ints, n: float) -> int:
    """Drop the inner vertex whose neighbours are nearest to each other for its age; returns how many are left.

    So the windows that are left grow by an even factor.
    """
    drop, least = 1, np.inf
    for k in range(1, len(times) - 1):
        closeness = (times[k + 1] - times[k - 1]) / (n - times[k])
        if closeness < least:
            drop, least = k, closeness
    for k in range(drop, len(times) - 1):
        times[k], sums[k], samples[k] = times[k + 1], sums[k + 1], samples[k + 1]
    return len(times) - 1


@njit(cache=True, nogil=True)
def hold_levels(values: Floats, levels: Floats) -> None:
    """Give each missing cell the smoothed level of its channel so far.

    ``level += (value - level) / 16`` at every valid cell; it begins at the first valid one. So that what fills
    a cell never depends on what comes later, and a long stretch earns no change point.

    Args:
        values: (n, d) f8, NaN = missing; filled in place, 0 where nothing valid came before.
        levels: (d,) f8, NaN before the first valid cell; changed in place.
    """
    for i in range(values.shape[0]):
        for c in range(values.shape[1]):
            x = values[i, c]
            if np.isnan(x):
                values[i, c] = 0.0 if np.isnan(levels[c]) else levels[c]
            elif np.isnan(levels[c]):
                levels[c] = x
            else:
                levels[c] += (x - levels[c]) * SMOOTHING

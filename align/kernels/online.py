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

__all__ = ["CAPACITY", "glr_push", "hold_levels"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Hulls = tuple[Floats, Floats, Ints, Ints, Floats, Ints]

CAPACITY = 128  # vertices of one side; 24 are expected after 1e10 samples of noise
SMOOTHING = 1.0 / 16.0  # of the level that stands in for missing cells


@njit(cache=True, nogil=True, error_model="numpy")
def glr_push(
    values: npt.NDArray[Any],
    shift: Floats,
    scale: Floats,
    hulls: Hulls,
    mode: tuple[bool, bool],
    threshold: float,
    statistic: Floats,
    change: Ints,
) -> int:
    """Take samples until the statistic is above the threshold, or all.

    Args:
        values: (n, d) f4 or f8; a missing cell (NaN) leaves its channel as it was.
        shift: (d,) subtracted; the known mean, or anything near the level.
        scale: (d,) then multiplied; 0 to ignore a channel.
        hulls: what is known of the samples before, changed in place: times (d, 2, CAPACITY) f8, in valid samples
            of the channel; sums (d, 2, CAPACITY) f8; samples (d, 2, CAPACITY) i8, the same times in rows; sizes
            (d, 2) i8; totals (d, 2) f8, valid samples and their sum; counts (2,) i8, rows and vertices dropped.
        mode: whether the mean before the change is known, and whether channels add up (else the largest counts).
        threshold: above which to stop; inf to take all.
        statistic: (n,) f8, filled.
        change: (n,) i8, filled: the row that the change came before, in the channel that saves most; -1 where
            nothing is saved.

    Returns:
        rows taken, up to and with the first above the threshold. O(log n) expected per row and channel.
    """
    known, together = mode
    counts = hulls[5]
    for i in range(values.shape[0]):
        total, largest, place = 0.0, 0.0, -1
        for c in range(values.shape[1]):
            if scale[c] == 0.0:
                continue
            x = (values[i, c] - shift[c]) * scale[c]
            best, where = _channel_push(x, c, hulls, known, counts[0] + 1)
            total += best
            if best > largest:
                largest, place = best, where
        counts[0] += 1
        statistic[i] = total if together else largest
        change[i] = place
        if statistic[i] > threshold:
            return i + 1
    return int(values.shape[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _channel_push(x: float, c: int, hulls: Hulls, known: bool, row: int) -> tuple[float, int]:
    """One sample of one channel: what the best change point saves, and the row that it comes before."""
    times, sums, samples, sizes, totals, counts = hulls
    valid = not np.isnan(x)
    if valid:
        totals[c, 0] += 1.0
        totals[c, 1] += x
    n = totals[c, 0]
    best, where = 0.0, -1
    for side in range(2):
        end = totals[c, 1] if side == 0 else -totals[c, 1]
        mean = 0.0 if known or n == 0.0 else end / n
        size = sizes[c, side]
        for k in range(0 if known else 1, size):  # the first vertex is before all samples: no change
            after = n - times[c, side, k]
            excess = end - sums[c, side, k] - after * mean
            weight = after if known else after * (times[c, side, k] / n)
            if excess * excess > best * weight:
                best = excess * excess / weight
                where = samples[c, side, k]
        if not valid:
            continue
        while size > 1:  # the last vertex is no more one when the new point lies below its edge
            run, rise = times[c, side, size - 1] - times[c, side, size - 2], end - sums[c, side, size - 1]
            step = sums[c, side, size - 1] - sums[c, side, size - 2]
            if rise * run > step * (n - times[c, side, size - 1]):
                break
            size -= 1
        if known and end <= sums[c, side, size - 1]:
            size = 0  # whatever comes, a rise from a lower point that is later saves more
        if size == times.shape[2]:
            size = _thinned(times[c, side], sums[c, side], samples[c, side], n)
            counts[1] += 1
        times[c, side, size] = n
        sums[c, side, size] = end
        samples[c, side, size] = row
        sizes[c, side] = size + 1
    return best, where


@njit(cache=True, nogil=True)
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

"""What segments cost under losses that outliers cannot bend: the exact least sum over one level.

The losses are those of ``robust``. Sample y pulls at level mu while mu is within K of it, so as mu rises the
samples come within reach in ascending order and leave it in the same order: one pass over the ordered samples
sees every set that can be within reach, and the best level is found among at most 2 l sets of l samples.

Reference: Huber 1964, Annals of Mathematical Statistics 35(1), 73-101 (the loss; here doubled, so that it is
r^2 near 0); Fearnhead & Rigaill 2019, JASA 114(525), 169-183 (both losses).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["robust_costs"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNREACHABLE = 1e300
FEW = 64  # so many samples are put in order faster one by one than by sorting all again


@njit(cache=True, nogil=True)
def _huber_level(ordered: Floats, threshold: float) -> float:
    """The level with the least sum of Huber losses: where the sum of the clipped residuals passes 0."""
    mu = ordered[0] - threshold
    pull = -threshold * len(ordered)
    entering = leaving = 0
    while pull < 0.0:
        end = ordered[leaving] + threshold
        if entering < len(ordered):
            end = min(end, ordered[entering] - threshold)
        active = entering - leaving
        step = active * (end - mu)
        if pull + step >= 0.0 and active > 0:
            return mu - pull / active
        if entering == len(ordered) and leaving == len(ordered) - 1:
            return end  # by rounding only: here no residual is negative beyond the clip
        pull += step
        mu = end
        if entering < len(ordered) and ordered[entering] - threshold <= mu:
            entering += 1
        else:
            leaving += 1
    return mu


@njit(cache=True, nogil=True)
def _biweight_level(ordered: Floats, threshold: float) -> float:
    """The level with the least sum of biweight losses: the best of the means of the samples within reach.

    As mu rises, samples come within K of it and leave, in order. A least sum is the mean of those within reach;
    the mean of a set that lies partly out of its own reach costs less than is counted here, and is no trap.
    """
    n = len(ordered)
    mean = spread = 0.0
    entering = leaving = 0
    best = UNREACHABLE
    best_from, best_to = 0, 1
    while leaving < n - 1:
        if entering < n and (
            entering == leaving or ordered[entering] - threshold <= ordered[leaving] + threshold
        ):
            y = ordered[entering]
            entering += 1
            step = y - mean
            mean += step / (entering - leaving)
            spread += step * (y - mean)
        else:
            y = ordered[leaving]
            leaving += 1
            if entering == leaving:
                mean = spread = 0.0
            else:
                step = y - mean
                mean -= step / (entering - leaving)
                spread -= step * (y - mean)
        cost = spread + threshold * threshold * (n - entering + leaving)
        if entering > leaving and cost < best:
            best = cost
            best_from, best_to = leaving, entering
    base = ordered[best_from]
    return base + (ordered[best_from:best_to] - base).sum() / (best_to - best_from)


@njit(cache=True, nogil=True)
def _include(ordered: Floats, size: int, y: float) -> None:
    """Put y in its place among the first ``size`` ascending numbers."""
    k = size
    while k > 0 and ordered[k - 1] > y:
        ordered[k] = ordered[k - 1]
        k -= 1
    ordered[k] = y


@njit(cache=True, nogil=True)
def _exclude(ordered: Floats, size: int, y: float) -> None:
    """Take y out of the first ``size`` ascending numbers."""
    for k in range(np.searchsorted(ordered[:size], y), size - 1):
        ordered[k] = ordered[k + 1]


@njit(cache=True, nogil=True)
def _least_sum(ordered: Floats, threshold: float, biweight: bool) -> float:
    """Least sum of losses of ascending samples over one level, by its definition at the best level."""
    mu = _biweight_level(ordered, threshold) if biweight else _huber_level(ordered, threshold)
    capped = threshold * threshold
    total = 0.0
    for y in ordered:
        far = abs(y - mu)
        if far <= threshold:
            total += far * far
        elif biweight:
            total += capped
        else:
            total += 2.0 * threshold * far - capped
    return total


@njit(cache=True, nogil=True)
def robust_costs(values: Floats, starts: Ints, ends: Ints, threshold: float, biweight: bool) -> Floats:
    """Least sum of robust losses of each segment, over one level per channel: the exact global minimum.

    Args:
        values: (n, d) f8, finite.
        starts: (q,) first samples.
        ends: (q,) one past the last samples, > starts.
        threshold: K, > 0.
        biweight: True for the biweight loss, False for Huber's.

    Returns:
        (q,) f8 costs, summed over channels. O(d l log l) for a segment of l samples, O(d l) for one that
        differs little from the one before it at one end only: ask for neighbours one after another.
    """
    costs = np.zeros(len(starts))
    if len(starts) == 0:
        return costs
    ordered = np.empty((ends - starts).max())
    for c in range(values.shape[1]):
        begin = end = 0  # whose samples are in order
        for q in range(len(starts)):
            s, e = starts[q], ends[q]
            if s == begin and end <= e <= end + FEW and end > begin:
                for i in range(end, e):
                    _include(ordered, i - s, values[i, c])
            elif e == end and begin <= s <= begin + FEW:
                for i in range(begin, s):
                    _exclude(ordered, e - i, values[i, c])
            else:
                ordered[: e - s] = np.sort(values[s:e, c])
            begin, end = s, e
            costs[q] += _least_sum(ordered[: e - s], threshold, biweight)
    return costs

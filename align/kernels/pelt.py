"""Exact change points in the mean: prefix sums, pruned dynamic programming, backtracking, misfit.

All kernels here and in ``lazy_bounds`` share one layout: position ``p = front + s`` stands for "s samples
lie to the left", ``sums[c, p]`` is channel c's sum S of its first s samples, and ``price[p]`` is the least
cost of those samples plus the penalty for starting a segment after them (0 at s = 0, where the first one
starts). Sums of squares are left out of every cost, since they telescope: the cost of samples s..t (t
excluded) is ``-|S_t - S_s|^2 / (t - s)``, and the *value* of candidate s at t is ``price[s]`` plus that.

Reference: Killick, Fearnhead & Eckley 2012, JASA 107(500), section 3 (optimal partitioning eq. 4; pruning
theorem 3.1). Departures: many channels; a minimum segment length, under which a candidate is dropped only
once its rival can itself start a segment; pruning every 16 steps; no arg-min is stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["backtrack", "misfit", "pelt", "prefix_sums"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK = 65_536  # samples summed around their own mean before they are merged
PRUNE_EVERY = 16
UNREACHABLE = 1e300


@njit(cache=True)
def prefix_sums(values: npt.NDArray[Any], shift: Floats, scale: Floats, front: int, back: int) -> Floats:
    """Sums of the first s samples of ``(values - shift) * scale``, block by block around each block's mean.

    Centring bounds the rounding error by that of one block plus one rounding per block, whatever the offset
    (Chan, Golub & LeVeque 1983, eq. 2.1 for merging sums of parts).

    Args:
        values: (n, d) f4 or f8, finite, C order.
        shift: (d,) subtracted; the channels' means, so that an offset does not eat the digits.
        scale: (d,) then multiplied.
        front: positions before s = 0, filled with 0.
        back: positions after s = n, filled with the total.

    Returns:
        (d, front + n + 1 + back) f8, channel-major. O(n d).
    """
    n, d = values.shape
    sums = np.empty((d, front + n + 1 + back))
    base = np.zeros(d)
    sums[:, : front + 1] = 0.0
    for begin in range(0, n, BLOCK):
        end = min(n, begin + BLOCK)
        for c in range(d):
            mean = 0.0
            for i in range(begin, end):
                mean += (values[i, c] - shift[c]) * scale[c]
            mean /= end - begin
            local = 0.0
            for i in range(begin, end):
                local += (values[i, c] - shift[c]) * scale[c] - mean
                sums[c, front + i + 1] = base[c] + ((i + 1 - begin) * mean + local)
            base[c] = sums[c, front + end]
    for c in range(d):
        sums[c, front + n + 1 :] = sums[c, front + n]
    return sums


@njit(cache=True)
def _value(sums: Floats, price: Floats, s: int, t: int) -> float:
    """Least cost up to position t when the last segment is s..t."""
    squares = 0.0
    for c in range(sums.shape[0]):
        step = sums[c, t] - sums[c, s]
        squares += step * step
    return price[s] - squares / (t - s)


@njit(cache=True)
def pelt(sums: Floats, front: int, n: int, penalty: float, min_size: int) -> Floats:
    """Least penalised cost of every prefix, by dynamic programming over the candidates that can still win.

    ``price(t) = penalty + min over s <= t - min_size of value(s, t)``, price(0) = 0. Since splitting a
    segment never raises its cost, a candidate s with ``value(s, u) >= price(u)`` loses to u wherever u may
    start the last segment, that is for all t >= u + min_size; it is dropped then and not before.

    Args:
        sums: from ``prefix_sums``.
        front: its ``front``.
        n: samples, >= 1.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment, >= 1.

    Returns:
        (front + n + 1,) f8, ``price``; 1e300 where no segmentation ends. O(n) to O(n^2).
    """
    price = np.full(front + n + 1, UNREACHABLE)
    price[front] = 0.0
    candidates = np.empty(n + 1, np.int64)
    n_candidates = 0
    for t in range(front + min_size, front + n + 1):
        newest = t - min_size
        if price[newest] < UNREACHABLE:
            if newest % PRUNE_EVERY == 0:
                kept = 0
                for i in range(n_candidates):
                    s = candidates[i]
                    if _value(sums, price, s, newest) < price[newest]:
                        candidates[kept] = s
                        kept += 1
                n_candidates = kept
            candidates[n_candidates] = newest
            n_candidates += 1
        least = UNREACHABLE
        for i in range(n_candidates):
            value = _value(sums, price, candidates[i], t)
            if value < least:
                least = value
        price[t] = least + penalty
    return price


@njit(cache=True)
def backtrack(sums: Floats, price: Floats, front: int, n: int, penalty: float, min_size: int) -> Ints:
    """Change points of the best segmentation, found by looking again for who reached each price.

    Args:
        sums: from ``prefix_sums``.
        price: from ``pelt`` or ``lazy_bounds``.
        front: theirs.
        n: samples.
        penalty: theirs.
        min_size: theirs.

    Returns:
        (n_changes,) i8, ascending, in 1..n-1. O(n d) over all segments together.
    """
    changes = np.empty(n // min_size + 1, np.int64)
    count = 0
    t = front + n
    while t > front:
        found = front
        nearest = np.inf
        for s in range(t - min_size, front - 1, -1):
            if price[s] >= UNREACHABLE:
                continue
            excess = _value(sums, price, s, t) - (price[t] - penalty)
            if excess < nearest:
                nearest = excess
                found = s
            if excess <= 1e-13 * (abs(price[t]) + abs(price[s]) + penalty):
                break
        t = found
        changes[count] = found - front
        count += 1
    return changes[: count - 1][::-1].copy()


@njit(cache=True)
def misfit(values: npt.NDArray[Any], scale: Floats, boundaries: Ints) -> float:
    """Sum over segments and channels of the squared deviations of ``values * scale`` from their mean.

    Args:
        values: (n, d) f4 or f8, finite.
        scale: (d,).
        boundaries: (n_segments + 1,) ascending sample indices.

    Returns:
        the cost, computed in two passes per segment: exact to rounding whatever the offset.
    """
    d = values.shape[1]
    first, mean = np.empty(d), np.empty(d)
    total = 0.0
    for j in range(len(boundaries) - 1):
        begin, end = boundaries[j], boundaries[j + 1]
        for c in range(d):
            first[c] = values[begin, c]
            mean[c] = 0.0
        for i in range(begin, end):
            for c in range(d):
                mean[c] += values[i, c] - first[c]
        for c in range(d):
            mean[c] = first[c] + mean[c] / (end - begin)
        squares = 0.0
        for i in range(begin, end):
            for c in range(d):
                deviation = (values[i, c] - mean[c]) * scale[c]
                squares += deviation * deviation
        total += squares
    return total

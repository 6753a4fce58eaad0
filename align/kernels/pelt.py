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

__all__ = ["backtrack", "last_settled", "misfit", "pelt", "prefix_sums"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK = (
    1024  # samples summed around their own mean before they are merged; of a few channels, they fit a cache
)
PRUNE_EVERY = 16
UNREACHABLE = 1e300
ONE, TWO, THREE, FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
LANES = np.uint64(32)  # candidates looked at together on the way back


def prefix_sums(values: npt.NDArray[Any], shift: Floats, scale: Floats, front: int, back: int) -> Floats:
    """Sums of the first s samples of ``(values - shift) * scale``, block by block around each block's mean.

    Centring bounds the rounding error by that of one block, whatever the offset (Chan, Golub & LeVeque 1983,
    eq. 2.1 for merging sums of parts); the sum of the blocks carries its own rounding error along (Neumaier).

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
    sums = np.empty((d, front + n + 1 + back))  # by numpy: it asks for huge pages, numba does not
    _fill_sums(values, shift, scale, front, np.zeros((2, d)), sums)
    return sums


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _fill_sums(
    values: npt.NDArray[Any], shift: Floats, scale: Floats, front: int, base: Floats, sums: Floats
) -> None:
    """Fill ``sums``; ``base`` holds each channel's total and its rounding error. Quarters of a block run side
    by side, since each sum waits for the one before."""
    n, d = values.shape
    for begin in range(0, n, BLOCK):
        size = min(n - begin, BLOCK)
        quarter = np.uint64(size // 4)
        i0 = np.uint64(begin)
        i1, i2, i3, i4 = i0 + quarter, i0 + quarter * TWO, i0 + quarter * THREE, i0 + quarter * FOUR
        for c in range(np.uint64(d)):
            low, factor = shift[c], scale[c]
            s0 = s1 = s2 = s3 = rest = 0.0
            for i in range(quarter):
                s0 += (values[i0 + i, c] - low) * factor
                s1 += (values[i1 + i, c] - low) * factor
                s2 += (values[i2 + i, c] - low) * factor
                s3 += (values[i3 + i, c] - low) * factor
            for i in range(i4, np.uint64(begin + size)):
                rest += (values[i, c] - low) * factor
            mean = ((s0 + s1) + (s2 + s3) + rest) / size
            part = quarter * mean  # of each quarter's sum
            total, error = base[0, c], base[1, c]
            s3 = (s0 - part) + (s1 - part) + (s2 - part)
            s2 = (s0 - part) + (s1 - part)
            s1 = s0 - part
            s0 = 0.0
            at = np.uint64(front + 1)
            for i in range(quarter):
                level = (i + ONE) * mean + error
                s0 += (values[i0 + i, c] - low) * factor - mean
                s1 += (values[i1 + i, c] - low) * factor - mean
                s2 += (values[i2 + i, c] - low) * factor - mean
                s3 += (values[i3 + i, c] - low) * factor - mean
                sums[c, at + i0 + i] = total + (level + s0)
                sums[c, at + i1 + i] = total + (level + part + s1)
                sums[c, at + i2 + i] = total + (level + 2.0 * part + s2)
                sums[c, at + i3 + i] = total + (level + 3.0 * part + s3)
            for i in range(i4, np.uint64(begin + size)):
                s3 += (values[i, c] - low) * factor - mean
                sums[c, at + i] = total + ((i + ONE - i0) * mean + error + s3)
            step = size * mean + s3  # s3 is 0 but for rounding
            base[0, c] = total + step
            base[1, c] = error + (
                (total - base[0, c]) + step if abs(total) >= abs(step) else (step - base[0, c]) + total
            )
    for c in range(np.uint64(d)):
        for i in range(np.uint64(front + 1)):
            sums[c, i] = 0.0
        end = sums[c, np.uint64(front + n)]
        for i in range(np.uint64(front + n + 1), np.uint64(sums.shape[1])):
            sums[c, i] = end


@njit(cache=True, nogil=True)
def _value(sums: Floats, price: Floats, s: int, t: int) -> float:
    """Least cost up to position t when the last segment is s..t."""
    squares = 0.0
    for c in range(sums.shape[0]):
        step = sums[c, t] - sums[c, s]
        squares += step * step
    return price[s] - squares / (t - s)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True, error_model="numpy")
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
    squares = np.empty(LANES)
    count = 0
    t = front + n
    while t > front:
        t = _last_start(sums, price, front, t, penalty, min_size, squares)
        changes[count] = t - front
        count += 1
    return changes[: count - 1][::-1].copy()


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _last_start(
    sums: Floats, price: Floats, front: int, t: int, penalty: float, min_size: int, squares: Floats
) -> int:
    """Where the last segment before position t starts: the latest candidate that reaches t's price."""
    i = np.uint64(t)
    n_lanes = np.uint64(len(squares))
    goal = price[i] - penalty
    scale = abs(price[i]) + penalty
    end = t - min_size + 1
    while end >= front + len(squares):
        end -= len(squares)
        k = np.uint64(end)
        for lane in range(n_lanes):
            squares[lane] = 0.0
        for c in range(np.uint64(sums.shape[0])):
            origin = sums[c, i]
            for lane in range(n_lanes):
                step = sums[c, k + lane] - origin
                squares[lane] += step * step
        age = float(t - end)
        found = 0
        for lane in range(n_lanes):
            paid = price[k + lane]
            excess = paid - squares[lane] / (age - lane) - goal
            found += int((excess <= 1e-13 * (scale + abs(paid))) & (paid < UNREACHABLE))
        if found > 0:
            end += len(squares)
            break
    nearest, start = np.inf, front
    for s in range(end - 1, front - 1, -1):
        if price[s] < UNREACHABLE:
            excess = _value(sums, price, s, t) - goal
            if excess < nearest:
                nearest, start = excess, s
            if excess <= 2e-13 * (scale + abs(price[s])):
                break
    return start


@njit(cache=True, nogil=True, error_model="numpy")
def _reaches(sums: Floats, price: Floats, s: int, t: int, penalty: float) -> bool:
    """Whether t's price is that of a last segment s..t, but for rounding."""
    excess = _value(sums, price, s, t) - (price[t] - penalty)
    return excess <= 2e-13 * (abs(price[t]) + penalty + abs(price[s]))


@njit(cache=True, nogil=True, error_model="numpy")
def last_settled(sums: Floats, price: Floats, front: int, n: int, penalty: float, min_size: int) -> int:
    """The last change point that stays in an optimal segmentation whatever comes after the n samples.

    With u = n - min_size, a candidate s < u is beaten by u at every later step when price[s] + cost(s, u) is at
    least price[u] (PELT's pruning). Whatever is not beaten, u, and the positions after u are all from which a
    later segment can follow; a change point common to the best segmentations up to each of them is settled.

    Args:
        sums: from ``prefix_sums``.
        price: from ``pelt`` or ``lazy_bounds`` for these samples.
        front: theirs.
        n: samples, >= 2 ``min_size``.
        penalty: theirs.
        min_size: theirs.

    Returns:
        samples before that change point; 0 when there is none, or when to look for it takes over 64 n steps.

    Reference: Killick, Fearnhead & Eckley 2012, theorem 3.1; the common ancestor is this project's.
    """
    u, end = front + n - min_size, front + n
    live = np.zeros(end + 1, np.bool_)
    squares = np.empty(LANES)
    count = 0
    for s in range(front, end + 1):
        if price[s] < UNREACHABLE:
            margin = 1e-9 * (penalty + abs(price[u] - price[s]))
            live[s] = s >= u or _value(sums, price, s, u) < price[u] + margin
            count += live[s]
    steps = 64 * n
    start = end  # neighbours nearly always follow the same change point: that of the last one is tried first
    for s in range(end, front, -1):
        if live[s]:
            if count == 1:
                return s - front
            if steps < 0:
                break
            if start > s - min_size or not _reaches(sums, price, start, s, penalty):
                start = _last_start(sums, price, front, s, penalty, min_size, squares)
                steps -= s - start
            count -= live[start]
            live[start] = True
    return 0


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def misfit(values: npt.NDArray[Any], scale: Floats, boundaries: Ints) -> float:
    """Sum over segments and channels of the squared deviations of ``values * scale`` from their mean.

    Args:
        values: (n, d) f4 or f8, finite.
        scale: (d,).
        boundaries: (n_segments + 1,) ascending sample indices.

    Returns:
        the cost, computed in two passes per segment: exact to rounding whatever the offset.
    """
    total = 0.0
    for j in range(len(boundaries) - 1):
        begin, end = boundaries[j], boundaries[j + 1]
        for c in range(values.shape[1]):
            first = np.float64(values[begin, c])
            mean = 0.0
            for i in range(begin, end):
                mean += values[i, c] - first
            mean = first + mean / (end - begin)
            squares = 0.0
            for i in range(begin, end):
                deviation = (values[i, c] - mean) * scale[c]
                squares += deviation * deviation
            total += squares
    return total

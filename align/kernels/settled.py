"""The last change point that no later sample can move, from the prices of the samples so far.

Layout as in ``pelt``: position ``p = front + s`` has s samples to its left, ``sums`` are prefix sums, ``price`` the
least penalised cost. With the last segment at level mu, candidate s costs ``q_s(mu) = price[s] + sum over samples
s.. of |y - mu|^2`` and later samples add the same to all, so s is of use only where some mu puts it below both
the newest candidate u and a rival r. Those are two balls of levels: around the mean of s..u, and around the
mean between s and r.

Reference: Pishchagina, Rigaill & Runge 2024, "Geometric-based pruning rules for change point detection in multiple
independent time series", Computo (pruning by balls); the common ancestor of what is left is this project's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["last_common"]

Floats = npt.NDArray[np.float64]

UNREACHABLE = 1e300
STEPS = 64  # looks per sample before the search gives up
SLACK = 1e-9  # of the penalty and the prices: a candidate that loses by less is kept


@njit(cache=True, nogil=True)
def _value(sums: Floats, price: Floats, s: int, t: int) -> float:
    """Least cost up to position t when the last segment is s..t."""
    squares = 0.0
    for c in range(sums.shape[0]):
        step = sums[c, t] - sums[c, s]
        squares += step * step
    return price[s] - squares / (t - s)


@njit(cache=True, nogil=True)
def _start(sums: Floats, price: Floats, front: int, t: int, penalty: float, min_size: int, hint: int) -> int:
    """Where the last segment before position t starts: at the hint if that is as good, else the latest best."""
    goal = price[t] - penalty
    slack = 2e-13 * (abs(price[t]) + penalty)
    fits = front <= hint <= t - min_size and price[hint] < UNREACHABLE
    if fits and _value(sums, price, hint, t) - goal <= slack + 2e-13 * abs(price[hint]):
        return hint
    nearest, start = np.inf, front
    for s in range(t - min_size, front - 1, -1):
        if price[s] < UNREACHABLE:
            excess = _value(sums, price, s, t) - goal
            if excess < nearest:
                nearest, start = excess, s
            if excess <= slack + 2e-13 * abs(price[s]):
                break
    return start


@njit(cache=True, nogil=True)
def _loses(sums: Floats, price: Floats, s: int, r: int, u: int, slack: float) -> bool:
    """Whether at every level candidate s costs as much as rival r or as u, whatever follows."""
    spread = price[u] + slack - _value(sums, price, s, u)
    if spread <= 0.0:
        return True
    first, second = min(s, r), max(s, r)
    between = price[second] - _value(sums, price, first, second)
    if s < r and between <= -slack:
        return True
    if s > r and between <= 0.0:
        return False
    distance = 0.0
    for c in range(sums.shape[0]):
        mean = (sums[c, u] - sums[c, s]) / (u - s)
        other = (sums[c, second] - sums[c, first]) / (second - first)
        distance += (mean - other) * (mean - other)
    distance, radius = np.sqrt(distance), np.sqrt(spread / (u - s))
    if s < r:  # s is below r inside the second ball
        return distance > radius + np.sqrt(max(between + slack, 0.0) / (second - first))
    return distance + radius < np.sqrt(max(between - slack, 0.0) / (second - first))


@njit(cache=True, nogil=True)
def last_common(sums: Floats, price: Floats, front: int, n: int, penalty: float, min_size: int) -> int:
    """The last change point that stays in an optimal segmentation whatever comes after the n samples.

    With u = n - min_size, all that a later segment can follow are the positions from u on and the candidates before
    u that do not lose to u or to the start of the best last segment before u. A change point common to the
    best segmentations up to each of them is settled.

    Args:
        sums: (d, front + n + 1 or more) from ``pelt.prefix_sums``.
        price: (front + n + 1,) from ``pelt`` or ``lazy_bounds`` for these samples.
        front: positions before sample 0.
        n: samples, >= 2 ``min_size``.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment, >= 1.

    Returns:
        samples before that change point; 0 when there is none, or when to look for it takes over 64 n steps.
    """
    u, end = front + n - min_size, front + n
    live = np.zeros(end + 1, np.bool_)
    rival = _start(sums, price, front, u, penalty, min_size, u - 1) if u - front >= min_size else front
    count = 0
    for s in range(front, end + 1):
        if price[s] < UNREACHABLE:
            slack = SLACK * (penalty + abs(price[u] - price[s]))
            live[s] = s >= u or s == rival or not _loses(sums, price, s, rival, u, slack)
            count += live[s]
    steps, hint = STEPS * n, rival
    for s in range(end, front, -1):
        if live[s]:
            if count == 1:
                return s - front
            if steps < 0:
                break
            start = _start(sums, price, front, s, penalty, min_size, hint)
            steps -= 1 if start == hint else s - start
            hint = start
            count -= live[start]
            live[start] = True
    return 0

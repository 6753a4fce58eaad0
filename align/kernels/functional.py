"""Exact change points in one channel's mean by functional pruning: a check on ``pelt`` and ``lazy_bounds``.

Layout, recursion and result are those of ``pelt``. What is kept is not a list of candidates but, for every
level mu that the last segment may have, the candidate s that is best if it has it: of all

    q_s(mu) = price[s] + sum of (y_i - mu)^2 over the samples from s up to u

(without the sum of y_i^2, which telescopes) the lower envelope, as a row of stretches of mu. One more sample
is added to all q_s alike, so their order at any mu never changes, and the new candidate u, a constant, takes
the levels at which it lies below the envelope. A candidate that holds no level never wins again.

Reference: Maidstone, Hocking, Rigaill & Fearnhead 2017, Statistics and Computing 27, 519-533, the
algorithm FPOP. Departures: a minimum segment length m, by an envelope that ends m - 1
samples before the end of the last segment; stretches hold a candidate and not three coefficients.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["functional_pruning"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNREACHABLE = 1e300


@njit(cache=True, nogil=True)
def _value(sums: Floats, price: Floats, s: int, t: int) -> float:
    """Least cost up to position t when the last segment is s..t."""
    step = sums[0, t] - sums[0, s]
    return price[s] - step * step / (t - s)


@njit(cache=True, nogil=True)
def _append(ends: Floats, owners: Ints, count: int, end: float, owner: int) -> int:
    """Give the levels up to ``end`` to ``owner``; returns the number of stretches."""
    if count > 0 and owners[count - 1] == owner:
        count -= 1
    ends[count] = end
    owners[count] = owner
    return count + 1


@njit(cache=True, nogil=True)
def _admit(
    sums: Floats,
    price: Floats,
    ends: Floats,
    owners: Ints,
    count: int,
    u: int,
    new_ends: Floats,
    new_owners: Ints,
) -> int:
    """The envelope after candidate u took the levels at which it is the cheapest.

    A stretch keeps the levels within ``sqrt(spread)`` of its segment's mean, where q_s(mu) < price[u].
    Writes to ``new_ends`` and ``new_owners``; returns their number.
    """
    kept = 0
    left = -np.inf
    for i in range(count):
        s, right = owners[i], ends[i]
        spread = (price[u] - _value(sums, price, s, u)) / (u - s)
        low = high = right
        if spread > 0.0:
            mean = (sums[0, u] - sums[0, s]) / (u - s)
            reach = np.sqrt(spread)
            low, high = max(left, mean - reach), min(right, mean + reach)
        if low < high:
            if low > left:
                kept = _append(new_ends, new_owners, kept, low, u)
            kept = _append(new_ends, new_owners, kept, high, s)
        if high < right or not low < high:
            kept = _append(new_ends, new_owners, kept, right, u)
        left = right
    return kept


@njit(cache=True, nogil=True)
def functional_pruning(sums: Floats, front: int, n: int, penalty: float, min_size: int) -> Floats:
    """Least penalised cost of every prefix of one channel: what ``pelt`` returns, by functional pruning.

    ``price(t) = penalty + min over s <= t - min_size of value(s, t)``. With the envelope over all s <= u at
    u = t - min_size, that minimum is the least over mu of the envelope plus the last min_size samples' misfit
    to mu: a candidate without a level at u cannot reach it, so only owners of levels are looked at.

    Args:
        sums: (1, front + n + 1 or more) from ``prefix_sums``.
        front: its ``front``.
        n: samples, >= 1.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment, >= 1.

    Returns:
        (front + n + 1,) f8, ``price``; 1e300 where no segmentation ends. nearly O(n) on most signals, O(n^2) at worst.
    """
    price = np.full(front + n + 1, UNREACHABLE)
    price[front] = 0.0
    ends, spare = np.empty(64), np.empty(64)
    owners, spare_owners = np.empty(64, np.int64), np.empty(64, np.int64)
    ends[0], owners[0] = np.inf, front
    count = 1
    for t in range(front + min_size, front + n + 1):
        least = UNREACHABLE
        for i in range(count):
            least = min(least, _value(sums, price, owners[i], t))
        price[t] = least + penalty
        u = t - min_size + 1
        if price[u] < UNREACHABLE:
            if 3 * count > len(spare):
                spare, spare_owners = np.empty(6 * count), np.empty(6 * count, np.int64)
            count = _admit(sums, price, ends, owners, count, u, spare, spare_owners)
            ends, spare = spare, ends
            owners, spare_owners = spare_owners, owners
    return price

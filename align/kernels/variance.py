"""The cost of mean and variance: its table of sums, what rounding does to it, any segment's cost, backtracking.

The cost is that of ``lazy_variance``: N (log max(v, 1) + min(v, 1) - 1) for N samples of mean squared deviation
v, summed over channels, in units in which the variance's floor is 1. A floor is needed: without one, two equal
samples cost minus infinity.

Sums of squares cancel: N v is the small difference of large sums when the channel wanders far more than it
is noisy. The sums are therefore compensated (each entry is right to one rounding, whatever n is), an offset
is taken out before, and ``variance_rounding`` says what is left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["variance_changes", "variance_costs", "variance_rounding", "variance_sums"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNREACHABLE = 1e300


@njit(cache=True, nogil=True)
def _exact_sum(total: float, term: float) -> tuple[float, float]:
    """total + term and its rounding error, exactly (Knuth 1969; Ogita, Rump & Oishi 2005, algorithm 3.1)."""
    rounded = total + term
    part = rounded - total
    return rounded, (total - (rounded - part)) + (term - part)


@njit(cache=True, nogil=True)
def variance_sums(values: npt.NDArray[Any], shift: Floats, scale: Floats, front: int, back: int) -> Floats:
    """Sums of the first s samples of y = (values - shift) * scale and of y^2, each right to one rounding.

    Compensated summation (Ogita, Rump & Oishi 2005, SIAM J. Sci. Comput. 26(6), algorithm 4.4, proposition 4.5):
    an entry S is off by at most u |S| + (n u)^2 sum |y|, u = 2^-53.

    Args:
        values: (n, d) f4 or f8, finite, C order.
        shift: (d,) subtracted; the channels' means, so that an offset does not eat the digits.
        scale: (d,) then multiplied: 1 / sqrt(least variance that a segment is credited with); 0 to ignore a
            channel.
        front: positions before s = 0, filled with 0.
        back: positions after s = n, filled with the total.

    Returns:
        (2 d, front + n + 1 + back) f8: the channels' sums, then the channels' sums of squares. O(n d).
    """
    n, d = values.shape
    table = np.empty((2 * d, front + n + 1 + back))
    for c in range(d):
        total, squares, lost, squares_lost = 0.0, 0.0, 0.0, 0.0
        table[c, : front + 1] = 0.0
        table[d + c, : front + 1] = 0.0
        for i in range(n):
            y = (values[i, c] - shift[c]) * scale[c]
            total, error = _exact_sum(total, y)
            lost += error
            table[c, front + 1 + i] = total + lost
            squares, error = _exact_sum(squares, y * y)
            squares_lost += error
            table[d + c, front + 1 + i] = squares + squares_lost
        table[c, front + n + 1 :] = table[c, front + n]
        table[d + c, front + n + 1 :] = table[d + c, front + n]
    return table


def variance_rounding(table: Floats) -> Floats:
    """How far rounding can move the cost of a segment at most, per channel.

    With u = 2^-53, Q the channel's sum of squares, A its largest sum and M its largest value in absolute terms,
    a segment's N v is off by at most ``10 u Q + 9 u M A`` (the entries' own roundings, one each for difference,
    square, share and subtraction), and as the cost's derivative by N v is at most 1 / floor = 1, so is its cost.
    A floor f times as high divides it by f: raise the floor until this is far below the penalty.

    Args:
        table: (2 d, n_positions) from ``variance_sums``.

    Returns:
        (d,) f8, >= 0.
    """
    d = len(table) // 2
    out = np.zeros(d)
    for c in range(d):
        largest = np.abs(np.diff(table[c])).max(initial=0.0)
        out[c] = 2.0**-53 * (10.0 * table[d + c, -1] + 9.0 * largest * np.abs(table[c]).max(initial=0.0))
    return out


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _cost(table: Floats, s: int, t: int) -> float:
    """Cost of the samples between two positions."""
    d = table.shape[0] // 2
    length = float(t - s)
    share = 1.0 / length
    cost = 0.0
    for c in range(d):
        step = table[c, t] - table[c, s]
        v = abs(abs(table[d + c, t] - table[d + c, s]) - step * (step * share)) * share
        cost += length * (np.log(max(v, 1.0)) + (min(v, 1.0) - 1.0))
    return cost


@njit(cache=True, nogil=True)
def _slack(table: Floats, s: int, t: int) -> float:
    """What a cost's last digits count from: squares that cancel, in units of the variance, and the cost itself."""
    d = table.shape[0] // 2
    slack = abs(_cost(table, s, t))
    for c in range(d):
        squares = table[d + c, t] - table[d + c, s]
        step = table[c, t] - table[c, s]
        slack += squares / max((squares - step * step / (t - s)) / (t - s), 1.0)
    return slack


@njit(cache=True, nogil=True)
def variance_costs(table: Floats, starts: Ints, ends: Ints) -> Floats:
    """Cost of each segment.

    Args:
        table: from ``variance_sums``.
        starts: (m,) positions: its ``front`` + first sample.
        ends: (m,) positions: ``front`` + last sample + 1, > starts.

    Returns:
        (m,) f8: ``lazy_variance``'s cost. O(m d).
    """
    out = np.empty(len(starts))
    for i in range(len(starts)):
        out[i] = _cost(table, starts[i], ends[i])
    return out


@njit(cache=True, nogil=True)
def variance_changes(table: Floats, price: Floats, front: int, n: int, penalty: float, min_size: int) -> Ints:
    """Change points of the best segmentation, found by looking again for who reached each price.

    Args:
        table: from ``variance_sums``.
        price: from ``lazy_variance``.
        front: theirs.
        n: samples.
        penalty: theirs.
        min_size: theirs.

    Returns:
        (n_changes,) i8, ascending, in 1..n-1; of candidates that are equally good but for rounding, the latest.
        O(n d) over all segments together.
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
            excess = price[s] + _cost(table, s, t) - (price[t] - penalty)
            if excess < nearest:
                nearest = excess
                found = s
                if excess <= 1e-14 * (abs(price[t]) + abs(price[s]) + penalty + _slack(table, s, t)):
                    break
        t = found
        changes[count] = found - front
        count += 1
    return changes[: count - 1][::-1].copy()

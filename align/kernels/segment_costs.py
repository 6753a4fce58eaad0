"""Exact change points under any cost that is the least misfit of a model: one search, one cost switch.

A cost here is ``cost(s, t) = min over theta of the sum of losses of samples s..t (t excluded)``, up to terms that
telescope. The best theta of a segment fits both parts of a split at least as well as their own, so

    cost(s, t) >= cost(s, u) + cost(u, t)        for s < u < t,

which is all that the lazy bounds of ``docs/lazy-bounds.md`` need; block, lane, leaf, checkpoint, held and
newborn have their meaning there. ``lazy_bounds`` and ``lazy_variance`` are the same search written for one cost
each; this one prices a segment at a time, whatever the kind:

    POISSON      -S log(S / N) per channel, S the sum of counts
    TREND        sum of squares around the least-squares line, without the sum of x^2
    AUTOREGRESSIVE  the same around a + b z1 + c z2, z the two lagged columns
    CATEGORICAL  -sum over codes of n_c log(n_c / N)
    MEDIAN       sum of |x - median|

``table`` (f8) and ``counts`` (i4) are what ``align.segmentation.cost_tables`` makes for each: sums over the first
s samples in row s, except for MEDIAN (see ``_median``).

Reference: the inequality is Killick, Fearnhead & Eckley 2012, JASA 107(500), eq. 5; wavelet matrix: Claude,
Navarro & Ordonez 2015, Information Systems 47, section 4 (rank), here with a prefix sum at each level.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["AUTOREGRESSIVE", "CATEGORICAL", "MEDIAN", "POISSON", "TREND", "lazy_changes", "segment_costs"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]

POISSON, TREND, AUTOREGRESSIVE, CATEGORICAL, MEDIAN = range(5)
MOMENTS = 8  # columns per channel under AUTOREGRESSIVE: z1, z2, r, z1 z1, z1 z2, z2 z2, z1 r, z2 r
FAN = 16  # steps per block, candidates per leaf, children per parent
UNREACHABLE = 1e300
RESOLVED = 1e-9  # share of a column's sum of squares that must be its own for it to count as another column

# Rows of ``lanes``: least value so far; the candidate that has it; cost(u, t).
LEAST, OWNER, AHEAD = 0, 1, 2
# Entries of ``place``: kind of cost; newest common candidate u; first position of the block; lanes in it; best
# candidate before the block, held out of the tree.
KIND, NEWEST, FIRST, LANES, HELD = 0, 1, 2, 3, 4
# ``nodes[BOUND, level, i]``: least value of the candidates below node i at its checkpoint ``nodes[AT, level, i]``.
BOUND, AT = 0, 1


@njit(cache=True, nogil=True)
def _poisson(table: Floats, s: int, t: int) -> float:
    cost = 0.0
    for c in range(table.shape[1]):
        total = table[t, c] - table[s, c]
        if total > 0.0:
            cost -= total * math.log(total / (t - s))
    return cost


@njit(cache=True, nogil=True)
def _trend(table: Floats, s: int, t: int) -> float:
    """Columns: sum of x, sum of i x, with i counted from the run's middle, per channel."""
    n = float(t - s)
    middle = (s + t + 1 - table.shape[0]) / 2.0  # mean of i; the table has a row more than the run
    spread = n * (n * n - 1.0) / 12.0
    cost = 0.0
    for c in range(table.shape[1] // 2):
        total = table[t, 2 * c] - table[s, 2 * c]
        slope = table[t, 2 * c + 1] - table[s, 2 * c + 1] - middle * total
        cost -= total * total / n
        if spread > 0.0:
            cost -= slope * slope / spread
    return cost


@njit(cache=True, nogil=True)
def _autoregressive(table: Floats, s: int, t: int) -> float:
    """Gram-Schmidt of the centred columns; one that is no column of its own explains nothing.

    The columns have variance 1 over the run, so that ``least`` is what rounding leaves of a sum of squares.
    """
    n = float(t - s)
    least = 1e-14 * table.shape[0]
    cost = 0.0
    for k in range(0, table.shape[1], MOMENTS):
        z1 = table[t, k] - table[s, k]
        z2 = table[t, k + 1] - table[s, k + 1]
        r = table[t, k + 2] - table[s, k + 2]
        z11 = table[t, k + 3] - table[s, k + 3] - z1 * z1 / n
        z12 = table[t, k + 4] - table[s, k + 4] - z1 * z2 / n
        z22 = table[t, k + 5] - table[s, k + 5] - z2 * z2 / n
        z1r = table[t, k + 6] - table[s, k + 6] - z1 * r / n
        z2r = table[t, k + 7] - table[s, k + 7] - z2 * r / n
        cost -= r * r / n
        share = 0.0
        if z11 > least:
            cost -= z1r * z1r / z11
            share = z12 / z11
        own = z22 - share * z12
        if own > max(least, RESOLVED * z22):
            rest = z2r - share * z1r
            cost -= rest * rest / own
    return cost


@njit(cache=True, nogil=True)
def _categorical(table: Floats, counts: Counts, s: int, t: int) -> float:
    """``table`` has k log k, and that times the number of channels; ``counts`` all channels' codes side by side."""
    cost = table[t - s, 1]
    for c in range(counts.shape[1]):
        cost -= table[counts[t, c] - counts[s, c], 0]
    return cost


@njit(cache=True, nogil=True)
def _median(table: Floats, counts: Counts, s: int, t: int) -> float:
    """Walk down a wavelet matrix per channel: which half of the values holds the median, level by level.

    Per channel, ``counts`` has a row per level: how many of the first s values, in that level's order, go to the
    lower half; ``table`` has the sums of the first s values in each level's order, and in a last row the values
    themselves in the last order.
    """
    n = counts.shape[1] - 1
    n_channels = (table.shape[0] - counts.shape[0]) // 2
    levels = counts.shape[0] // max(n_channels, 1)
    cost = 0.0
    for c in range(n_channels):
        row, base = c * levels, c * (levels + 2)
        i, j = s, t
        rank = (t - s) // 2  # values below the median, in order
        below = 0.0
        for level in range(levels):
            low, high = counts[row + level, i], counts[row + level, j]
            if rank < high - low:
                i, j = low, high
            else:
                rank -= high - low
                below += table[base + level + 1, high] - table[base + level + 1, low]
                zeros = counts[row + level, n]
                i, j = zeros + i - low, zeros + j - high
        median = table[base + levels + 1, i]
        below += rank * median
        cost += table[base, t] - table[base, s] - 2.0 * below
        if (t - s) % 2 == 1:
            cost -= median
    return cost


@njit(cache=True, nogil=True)
def _cost(kind: int, table: Floats, counts: Counts, s: int, t: int) -> float:
    if kind == POISSON:
        return _poisson(table, s, t)
    if kind == TREND:
        return _trend(table, s, t)
    if kind == AUTOREGRESSIVE:
        return _autoregressive(table, s, t)
    if kind == CATEGORICAL:
        return _categorical(table, counts, s, t)
    return _median(table, counts, s, t)


@njit(cache=True, nogil=True)
def segment_costs(kind: int, table: Floats, counts: Counts, starts: Ints, ends: Ints) -> Floats:
    """Cost of each segment [start, end).

    Args:
        kind: POISSON, TREND, AUTOREGRESSIVE, CATEGORICAL or MEDIAN.
        table: f8, C order, from ``cost_tables``.
        counts: i4, C order, likewise.
        starts: (m,) first samples.
        ends: (m,) one past the last samples, > starts.

    Returns:
        (m,) costs, without the terms that telescope. O(m), times log n for MEDIAN.
    """
    out = np.empty(len(starts))
    for i in range(len(starts)):
        out[i] = _cost(kind, table, counts, starts[i], ends[i])
    return out


@njit(cache=True, nogil=True)
def _push(
    table: Floats, counts: Counts, paid: Floats, s: int, youngest: int, lanes: Floats, place: Ints
) -> None:
    """Let candidate s compete at the block's lanes from ``youngest`` on."""
    for lane in range(youngest, place[LANES]):
        value = paid[s] + _cost(place[KIND], table, counts, s, place[FIRST] + lane)
        if value < lanes[LEAST, lane]:
            lanes[LEAST, lane] = value
            lanes[OWNER, lane] = s


@njit(cache=True, nogil=True)
def _threshold(lanes: Floats, place: Ints) -> float:
    """The bound at u from which on nothing matters in this block: max over t of least value - cost(u, t)."""
    highest = -np.inf
    for lane in range(place[LANES]):
        highest = max(highest, lanes[LEAST, lane] - lanes[AHEAD, lane])
    return highest


@njit(cache=True, nogil=True)
def _child_bound(
    table: Floats, counts: Counts, paid: Floats, nodes: Floats, place: Ints, level: int, index: int
) -> float:
    """Least value at u below a child: a candidate (level -1), whose value is exact, or a node.

    At or above the price of u, which may start a segment wherever this child is asked, it never matters again.
    """
    u = place[NEWEST]
    if level < 0:
        if index == place[HELD] or paid[index] >= UNREACHABLE:
            return UNREACHABLE
        value = paid[index] + _cost(place[KIND], table, counts, index, u)
        if value >= paid[u]:
            paid[index] = UNREACHABLE
            return UNREACHABLE
        return value
    bound = nodes[BOUND, level, index]
    if bound >= UNREACHABLE:
        return UNREACHABLE
    at = np.int64(nodes[AT, level, index])
    if at < u:
        bound += _cost(place[KIND], table, counts, at, u)
    return bound if bound < paid[u] else UNREACHABLE


@njit(cache=True, nogil=True)
def _open(
    table: Floats,
    counts: Counts,
    paid: Floats,
    nodes: Floats,
    lanes: Floats,
    place: Ints,
    level: int,
    index: int,
) -> float:
    """Let every candidate below a node compete whose bound fails; returns the node's new bound at u."""
    least = UNREACHABLE
    threshold = _threshold(lanes, place)
    for child in range(FAN * index, FAN * index + FAN):
        bound = _child_bound(table, counts, paid, nodes, place, level - 1, child)
        if bound < threshold:
            if level == 0:
                _push(table, counts, paid, child, 0, lanes, place)
            else:
                bound = _open(table, counts, paid, nodes, lanes, place, level - 1, child)
            threshold = _threshold(lanes, place)
        least = min(least, bound)
    nodes[BOUND, level, index] = least
    nodes[AT, level, index] = place[NEWEST]
    return least


@njit(cache=True, nogil=True)
def _complete_nodes(table: Floats, counts: Counts, paid: Floats, nodes: Floats, place: Ints) -> None:
    """Set up the nodes whose last candidate is the one before u."""
    u = place[NEWEST]
    size = 1
    for level in range(nodes.shape[1]):
        size *= FAN
        if u == 0 or u % size:
            return
        index = u // size - 1
        least = UNREACHABLE
        for child in range(FAN * index, FAN * index + FAN):
            least = min(least, _child_bound(table, counts, paid, nodes, place, level - 1, child))
        nodes[BOUND, level, index] = least
        nodes[AT, level, index] = u


@njit(cache=True, nogil=True)
def _open_failing(
    table: Floats, counts: Counts, paid: Floats, nodes: Floats, lanes: Floats, place: Ints
) -> None:
    """Open every complete node that is not below another one and whose bound does not rule it out."""
    u = place[NEWEST]
    threshold = _threshold(lanes, place)
    size = 1
    for level in range(nodes.shape[1]):
        size *= FAN
        begin = u // (size * FAN) * FAN if level + 1 < nodes.shape[1] else 0
        for index in range(begin, u // size):
            if _child_bound(table, counts, paid, nodes, place, level, index) < threshold:
                _open(table, counts, paid, nodes, lanes, place, level, index)
                threshold = _threshold(lanes, place)


@njit(cache=True, nogil=True)
def _put_back(table: Floats, counts: Counts, paid: Floats, nodes: Floats, place: Ints) -> None:
    """Lower the bounds of all complete nodes above the held candidate, which was left out of them."""
    s = place[HELD]
    size = 1
    for level in range(nodes.shape[1]):
        size *= FAN
        index = s // size
        if size * (index + 1) > place[NEWEST]:
            return
        value = paid[s] + _cost(place[KIND], table, counts, s, np.int64(nodes[AT, level, index]))
        nodes[BOUND, level, index] = min(nodes[BOUND, level, index], value)


@njit(cache=True, nogil=True)
def lazy_changes(kind: int, table: Floats, counts: Counts, n: int, penalty: float, min_size: int) -> Ints:
    """Change points that minimise the segments' costs plus ``penalty`` per change point: exactly.

    ``price(t) = penalty + min over s <= t - min_size of price(s) + cost(s, t)``, price(0) = 0. In a block of 16
    positions t from u + min_size on, a candidate s < u cannot win where ``price(s) + cost(s, u)``, or a bound
    of that for a group of candidates, is at least ``max over t of (least value so far at t - cost(u, t))``.

    Args:
        kind: of cost, as ``segment_costs``.
        table: likewise.
        counts: likewise.
        n: samples, >= min_size.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment, >= 1.

    Returns:
        (n_changes,) i8, ascending, in 1..n-1. About 15 costs per sample on noise and with sparse changes,
        O(n^2) costs at worst.
    """
    paid = np.full(n + 1, UNREACHABLE)  # price, and 1e300 once a candidate cannot win any more
    paid[0] = 0.0
    owner = np.zeros(n + 1, np.int32)
    n_levels = 1
    while FAN ** (n_levels + 1) < n:
        n_levels += 1
    nodes = np.full((2, n_levels, n // FAN + 1), UNREACHABLE)
    lanes = np.empty((3, FAN))
    place = np.array([kind, 0, 0, 0, -1])
    for u in range(0, n - min_size + 1, FAN):
        first = u + min_size
        place[NEWEST], place[FIRST], place[LANES] = u, first, min(FAN, n + 1 - first)
        lanes[LEAST] = np.inf
        _complete_nodes(table, counts, paid, nodes, place)
        if place[HELD] >= 0:
            _push(table, counts, paid, place[HELD], 0, lanes, place)
        if paid[u] < UNREACHABLE:
            _push(table, counts, paid, u, 0, lanes, place)
        for lane in range(place[LANES]):
            lanes[AHEAD, lane] = _cost(kind, table, counts, u, first + lane)
        _open_failing(table, counts, paid, nodes, lanes, place)
        for lane in range(place[LANES]):
            s = u + lane
            if s >= first:
                paid[s] = lanes[LEAST, s - first] + penalty  # all that may precede it have competed
            if lane > 0 and paid[s] < UNREACHABLE:
                _push(table, counts, paid, s, lane, lanes, place)
        for lane in range(place[LANES]):
            paid[first + lane] = lanes[LEAST, lane] + penalty
            owner[first + lane] = np.int32(lanes[OWNER, lane])
        best = np.int64(lanes[OWNER, place[LANES] - 1])
        if place[HELD] >= 0 and best != place[HELD]:
            _put_back(table, counts, paid, nodes, place)
        place[HELD] = best
    changes = np.empty(n // min_size + 1, np.int64)
    count = 0
    t = np.int64(owner[n])
    while t > 0:
        changes[count] = t
        count += 1
        t = np.int64(owner[t])
    return changes[:count][::-1].copy()

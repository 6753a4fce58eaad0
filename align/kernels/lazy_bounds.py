"""Exact change points in the mean in nearly linear time: groups of candidates sleep behind one bound.

Layout and recursion are those of ``pelt``. PELT evaluates every candidate that is still alive at every step,
which is all of them where nothing changes. Here candidates stand in a tree (leaves of 32, parents of 32
children), and each node keeps a checkpoint c with the least value of its candidates there. As no cost falls
when a segment is split,

    value(s, t) >= value(s, c) - |S_t - S_c|^2 / (t - c)        for s < c < t,

so a node is tested by the same formula as one candidate, and opened only when its bound fails. Time advances
in blocks of 32 steps ("lanes"). With u the newest candidate that may precede all of them, a bound taken at u
cannot matter when it is at least ``max over t of (least value so far at t + |S_t - S_u|^2 / (t - u))``.
Minimum segment length costs nothing: the bounds hold for any s and u, only u itself must be able to start a
segment, and does.

Reference: the inequality is Killick, Fearnhead & Eckley 2012, JASA 107(500), eq. 5; using it lazily, on
groups and for blocks of steps, is this project's. O(n d) on noise and on signals with changes, measured;
O(n^2 d) at worst (slow drifts, where many candidates stay nearly tied).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["BACK", "front_for", "lazy_bounds"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LANES = np.uint64(32)  # steps per block, candidates per leaf, children per parent
FAN = 32
BACK = 32  # positions that prefix sums need behind the last sample
UNREACHABLE = 1e300

# Rows of ``lanes``: least value so far; |S_t - S_u|^2 / (t - u); scratch; values at each level of the tree.
LEAST, DRIFT, SCRATCH, VALUES = 0, 1, 2, 3
# Entries of ``place``: newest common candidate u; first position of the block; best candidate before the
# block, held out of the tree; best candidate for the block's last lane.
NEWEST, FIRST, HELD, BEST = 0, 1, 2, 3


def front_for(min_size: int) -> int:
    """Positions that ``prefix_sums`` must leave before sample 0, so that blocks and leaves line up.

    Args:
        min_size: samples that a segment holds at least, >= 1.
    """
    return FAN + (min_size - 1) % FAN


@njit(cache=True, fastmath={"contract"})
def _distances(point: Floats, at: int, table: Floats, first: int, out: Floats) -> None:
    """out[l] = squared distance of column ``at`` of ``point`` from column ``first + l`` of ``table``."""
    i = np.uint64(at)
    k = np.uint64(first)
    d = point.shape[0]
    n_lanes = np.uint64(len(out))
    for lane in range(n_lanes):
        out[lane] = 0.0
    c = 0
    while c + 4 <= d:
        p0, p1, p2, p3 = point[c, i], point[c + 1, i], point[c + 2, i], point[c + 3, i]
        row0, row1, row2, row3 = table[c], table[c + 1], table[c + 2], table[c + 3]
        for lane in range(n_lanes):
            x0 = row0[k + lane] - p0
            x1 = row1[k + lane] - p1
            x2 = row2[k + lane] - p2
            x3 = row3[k + lane] - p3
            out[lane] += (x0 * x0 + x1 * x1) + (x2 * x2 + x3 * x3)
        c += 4
    while c < d:
        p0 = point[c, i]
        row0 = table[c]
        for lane in range(n_lanes):
            x0 = row0[k + lane] - p0
            out[lane] += x0 * x0
        c += 1


@njit(cache=True, fastmath={"contract"})
def _newborn_wins(sums: Floats, price: Floats, first: int, lag: int, lanes: Floats) -> int:
    """How often a candidate less than 32 + lag old would beat the least value so far: all pairs by age."""
    d = sums.shape[0]
    least = lanes[LEAST]
    squares = lanes[SCRATCH]
    wins = 0
    n_lanes = np.uint64(len(squares))  # 32; a known count would be unrolled to scalars before vectorisation
    t = np.uint64(first)
    for age in range(lag, lag + FAN - 1):
        s = np.uint64(first - age)
        share = 1.0 / age
        for lane in range(n_lanes):
            x0 = sums[0, t + lane] - sums[0, s + lane]
            squares[lane] = x0 * x0
        c = 1
        while c + 4 <= d:
            row0, row1, row2, row3 = sums[c], sums[c + 1], sums[c + 2], sums[c + 3]
            for lane in range(n_lanes):
                x0 = row0[t + lane] - row0[s + lane]
                x1 = row1[t + lane] - row1[s + lane]
                x2 = row2[t + lane] - row2[s + lane]
                x3 = row3[t + lane] - row3[s + lane]
                squares[lane] += (x0 * x0 + x1 * x1) + (x2 * x2 + x3 * x3)
            c += 4
        while c < d:
            row0 = sums[c]
            for lane in range(n_lanes):
                x0 = row0[t + lane] - row0[s + lane]
                squares[lane] += x0 * x0
            c += 1
        for lane in range(n_lanes):
            wins += int(price[s + lane] - squares[lane] * share < least[lane])
    return wins


@njit(cache=True, fastmath={"contract"})
def _push(sums: Floats, price: Floats, s: int, youngest: int, lanes: Floats, place: Ints) -> None:
    """Let candidate s compete at the block's lanes from ``youngest`` on."""
    first = place[FIRST]
    least = lanes[LEAST]
    squares = lanes[SCRATCH]
    _distances(sums, s, sums, first, squares)
    before = least[LANES - np.uint64(1)]
    paid = price[s]
    age = float(first - s)
    n_lanes = np.uint64(len(least))
    for lane in range(n_lanes):
        value = paid - squares[lane] / max(age + lane, 1.0)
        keep = (np.int64(lane) < youngest) | (value >= least[lane])
        least[lane] = least[lane] if keep else value
    if least[LANES - np.uint64(1)] < before:
        place[BEST] = s


@njit(cache=True, fastmath={"contract"})
def _drift(sums: Floats, lanes: Floats, place: Ints) -> None:
    """Fill the row DRIFT: |S_t - S_u|^2 / (t - u) at each lane."""
    drift = lanes[DRIFT]
    _distances(sums, place[NEWEST], sums, place[FIRST], drift)
    age = float(place[FIRST] - place[NEWEST])
    n_lanes = np.uint64(len(drift))
    for lane in range(n_lanes):
        drift[lane] = drift[lane] / (age + lane)


@njit(cache=True)
def _threshold(lanes: Floats) -> float:
    """The bound at u from which on nothing can matter in this block: max of LEAST + DRIFT, in four chains."""
    least, drift = lanes[LEAST], lanes[DRIFT]
    m0 = m1 = m2 = m3 = -UNREACHABLE
    for lane in range(np.uint64(0), LANES, np.uint64(4)):
        m0 = max(m0, least[lane] + drift[lane])
        m1 = max(m1, least[lane + np.uint64(1)] + drift[lane + np.uint64(1)])
        m2 = max(m2, least[lane + np.uint64(2)] + drift[lane + np.uint64(2)])
        m3 = max(m3, least[lane + np.uint64(3)] + drift[lane + np.uint64(3)])
    return max(max(m0, m1), max(m2, m3))


@njit(cache=True)
def _count_below(values: Floats, threshold: float) -> int:
    """How many of 32 values lie below the threshold."""
    count = 0
    for lane in range(LANES):
        count += int(values[lane] < threshold)
    return count


@njit(cache=True, fastmath={"contract"})
def _node_bounds(sums: Floats, u: int, nodes: Floats, first: int, out: Floats) -> None:
    """Bounds at u of 32 neighbouring nodes; ``nodes`` holds per column their S_c, least value at c, and c."""
    d = sums.shape[0]
    k = np.uint64(first)
    _distances(sums, u, nodes, first, out)
    bound, checkpoint = nodes[d], nodes[d + 1]
    n_lanes = np.uint64(len(out))
    for lane in range(n_lanes):
        out[lane] = bound[k + lane] - out[lane] / max(u - checkpoint[k + lane], 1.0)


@njit(cache=True, fastmath={"contract"})
def _candidate_values(sums: Floats, price: Floats, u: int, first: int, out: Floats) -> None:
    """Values at u of the 32 candidates from position ``first`` on."""
    k = np.uint64(first)
    _distances(sums, u, sums, first, out)
    age = float(u - first)
    n_lanes = np.uint64(len(out))
    for lane in range(n_lanes):
        out[lane] = price[k + lane] - out[lane] / max(age - lane, 1.0)


@njit(cache=True)
def _set_node(sums: Floats, nodes: Floats, node: int, u: int, bound: float, dead: float) -> float:
    """Move a node's checkpoint to u; at or above ``dead``, the price of u itself, it never matters again."""
    d = sums.shape[0]
    if bound >= dead:
        bound = UNREACHABLE
    for c in range(d):
        nodes[c, node] = sums[c, u]
    nodes[d, node] = bound
    nodes[d + 1, node] = u
    return bound


@njit(cache=True)
def _dominated(sums: Floats, price: Floats, r: int, s: int, u: int, value: float) -> bool:
    """Whether r < s < u leave no segment mean at which s is the best start, now or later.

    A tail with mean m costs less from s than from u within a ball around the mean of s..u, and less from s
    than from r outside a ball around the mean of r..s: s is done when the first ball lies in the second.
    """
    between = 0.0
    squares = 0.0
    for c in range(sums.shape[0]):
        before = (sums[c, s] - sums[c, r]) / (s - r)
        step = (sums[c, u] - sums[c, s]) / (u - s) - before
        between += step * step
        squares += before * before
    outer = (price[s] - price[r]) / (s - r) + squares
    inner = max(0.0, (price[u] - value) / (u - s))
    return outer > 0.0 and np.sqrt(between) + np.sqrt(inner) <= np.sqrt(outer)


@njit(cache=True)
def _open(
    sums: Floats,
    price: Floats,
    nodes: Floats,
    offsets: Ints,
    lanes: Floats,
    place: Ints,
    level: int,
    index: int,
) -> float:
    """Let every candidate below a node compete whose bound fails; returns the node's new bound at u.

    A candidate that turns out to be dominated for good gets the price UNREACHABLE.
    """
    u = place[NEWEST]
    values = lanes[VALUES + level]
    least = UNREACHABLE
    if level == 0:
        _candidate_values(sums, price, u, FAN * index, values)
        threshold = _threshold(lanes)
        older = place[HELD]
        for j in range(FAN):
            s = FAN * index + j
            if s == place[HELD] or values[j] >= price[u]:
                continue
            if values[j] < threshold:
                if 0 <= older < s and _dominated(sums, price, older, s, u, values[j]):
                    price[s] = UNREACHABLE
                    continue
                _push(sums, price, s, 0, lanes, place)
                threshold = _threshold(lanes)
                older = s
            least = min(least, values[j])
        return _set_node(sums, nodes, offsets[0] + index, u, least, price[u])
    _node_bounds(sums, u, nodes, offsets[level - 1] + FAN * index, values)
    threshold = _threshold(lanes)
    for j in range(FAN):
        bound = values[j]
        if bound < threshold:
            bound = _open(sums, price, nodes, offsets, lanes, place, level - 1, FAN * index + j)
            threshold = _threshold(lanes)
        least = min(least, bound)
    return _set_node(sums, nodes, offsets[level] + index, u, least, price[u])


@njit(cache=True)
def _complete_nodes(
    sums: Floats, price: Floats, nodes: Floats, offsets: Ints, lanes: Floats, place: Ints
) -> None:
    """Set up the nodes whose last candidate is the one before u."""
    u = place[NEWEST]
    values = lanes[SCRATCH]
    size = 1
    for level in range(len(offsets)):
        size *= FAN
        if u % size:
            return
        index = u // size - 1
        least = UNREACHABLE
        if level == 0:
            _candidate_values(sums, price, u, FAN * index, values)
        else:
            _node_bounds(sums, u, nodes, offsets[level - 1] + FAN * index, values)
        for j in range(FAN):
            if level > 0 or FAN * index + j != place[HELD]:
                least = min(least, values[j])
        _set_node(sums, nodes, offsets[level] + index, u, least, price[u])


@njit(cache=True)
def _put_back(sums: Floats, price: Floats, nodes: Floats, offsets: Ints, u: int, s: int) -> None:
    """Lower the bounds of all nodes above candidate s, which was held out of them."""
    d = sums.shape[0]
    size = 1
    for level in range(len(offsets)):
        size *= FAN
        if size * (s // size + 1) > u:
            return
        node = offsets[level] + s // size
        squares = 0.0
        for c in range(d):
            step = nodes[c, node] - sums[c, s]
            squares += step * step
        nodes[d, node] = min(nodes[d, node], price[s] - squares / (nodes[d + 1, node] - s))


@njit(cache=True)
def _level_offsets(n_positions: int) -> Ints:
    """First node of each level, and after the last one the number of nodes; 32 spare ones per level."""
    offsets = [0]
    size = FAN
    while True:
        offsets.append(offsets[-1] + n_positions // size + 2 * FAN)
        if n_positions <= size * FAN:
            return np.array(offsets)
        size *= FAN


@njit(cache=True)
def lazy_bounds(sums: Floats, front: int, n: int, penalty: float, min_size: int) -> Floats:
    """Least penalised cost of every prefix: what ``pelt`` returns, without looking at every candidate.

    Args:
        sums: from ``prefix_sums`` with ``front_for(min_size)`` before and ``BACK`` behind.
        front: ``front_for(min_size)``.
        n: samples, >= 1.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment, >= 1.

    Returns:
        (front + n + 1 + BACK,) f8: for each position the least cost up to it plus the penalty of starting a
        segment there, as ``pelt``.
    """
    price = np.full(sums.shape[1], UNREACHABLE)
    price[front] = 0.0
    alive = price.copy()  # the same, for candidates that may still win
    ends = _level_offsets(sums.shape[1])
    offsets = ends[:-1]
    nodes = np.zeros((sums.shape[0] + 2, ends[-1]))
    nodes[sums.shape[0]] = UNREACHABLE
    lanes = np.empty((VALUES + len(offsets) + 1, FAN))
    place = np.full(4, -1)
    for u in range(FAN, front + n - min_size + 1, FAN):
        first = u + min_size
        place[NEWEST], place[FIRST], place[HELD] = u, first, place[BEST]
        lanes[LEAST] = UNREACHABLE
        _complete_nodes(sums, alive, nodes, offsets, lanes, place)
        if place[HELD] >= 0:
            _push(sums, alive, place[HELD], 0, lanes, place)
            place[BEST] = place[HELD]
        if alive[u] < UNREACHABLE:
            _push(sums, alive, u, 0, lanes, place)
        _drift(sums, lanes, place)
        threshold = _threshold(lanes)
        size = 1
        for level in range(len(offsets)):
            size *= FAN
            begin = u // (size * FAN) * FAN if level + 1 < len(offsets) else 0
            values = lanes[VALUES + level + 1]
            _node_bounds(sums, u, nodes, offsets[level] + begin, values)
            if _count_below(values, threshold) > 0:  # rarely
                for j in range(FAN):
                    if values[j] < threshold:
                        _open(sums, alive, nodes, offsets, lanes, place, level, begin + j)
                        threshold = _threshold(lanes)
        alive[first : first + FAN] = lanes[LEAST] + penalty
        if _newborn_wins(sums, alive, first, min_size, lanes) > 0:
            for j in range(1, FAN):
                if u + j >= first:
                    alive[u + j] = lanes[LEAST, u + j - first] + penalty
                if alive[u + j] < UNREACHABLE:
                    _push(sums, alive, u + j, j, lanes, place)
            alive[first : first + FAN] = lanes[LEAST] + penalty
        price[first : first + FAN] = alive[first : first + FAN]
        if place[HELD] >= 0 and place[BEST] != place[HELD]:
            _put_back(sums, alive, nodes, offsets, u, place[HELD])
    return price

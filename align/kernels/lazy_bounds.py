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
segment, and does. Candidates of opened leaves that two others leave nothing to win are dropped for good
(``lazy_lanes.sieve``).

Reference: the inequality is Killick, Fearnhead & Eckley 2012, JASA 107(500), eq. 5; using it lazily, on
groups and for blocks of steps, is this project's (docs/lazy-bounds.md). O(n d) on noise and on signals with
changes, measured; O(n^2 d) at worst (slow drifts in many channels: many candidates stay nearly tied).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from align.kernels.lazy_lanes import (
    BEST,
    FAN,
    FIRST,
    HELD,
    LEAST,
    NEWEST,
    OPTIONS,
    PASSED,
    UNREACHABLE,
    VALUES,
    Block,
    Tree,
    Width,
    block_threshold,
    called,
    count_awake,
    inlined,
    is_useless,
    leaf_values,
    least_of,
    newborn_wins,
    node_bounds,
    push,
    set_prices,
    sieve,
    start_block,
    unsigned,
)

__all__ = ["BACK", "front_for", "lazy_bounds"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BACK = 32  # positions that prefix sums need behind the last sample
WIDTHS = (8, 4, 2, 1)  # numbers of channels that are compiled for; more of them take a slower loop


def front_for(min_size: int) -> int:
    """Positions that ``prefix_sums`` must leave before sample 0, so that blocks and leaves line up.

    Args:
        min_size: samples that a segment holds at least, >= 1.
    """
    return FAN + (min_size - 1) % FAN


@inlined
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


@called
def _open_leaf(sums: Floats, price: Floats, tree: Tree, index: int, block: Block, width: Width) -> float:
    """Let the candidates of a leaf compete that may matter in this block; returns the leaf's bound at u."""
    (_, _, done), (lanes, place) = tree, block
    begin = FAN * index
    u, held, older = place[NEWEST], place[HELD], place[PASSED]
    leaf_values(sums, price, tree, begin, block, width)
    threshold = block_threshold(lanes)
    if least_of(lanes, VALUES) < threshold:
        if 0 <= held < begin + FAN:
            sieve(sums, price, tree, begin, held, u, lanes)
        elif older >= 0:
            sieve(sums, price, tree, begin, older, held if held >= 0 else u, lanes)
        for j in range(FAN):
            s = begin + j
            value = lanes[VALUES, unsigned(j)]
            if value < threshold:
                useless = older >= 0 and is_useless(sums, price, older, s, u)
                if useless or (older >= 0 and s < held and is_useless(sums, price, older, s, held)):
                    done[s] = 1
                    lanes[VALUES, unsigned(j)] = UNREACHABLE
                else:
                    push(sums, price, s, 0, block, width)
                    threshold = block_threshold(lanes)
                    older = s
        place[PASSED] = older
    return least_of(lanes, VALUES)


@called
def _open(
    sums: Floats, price: Floats, tree: Tree, level: int, index: int, block: Block, width: Width
) -> float:
    """Open what lies below one node whose bound fails; returns its new bound at u."""
    (nodes, offsets, _), (lanes, place) = tree, block
    u = place[NEWEST]
    if level == 0:
        least = _open_leaf(sums, price, tree, index, block, width)
        return _set_node(sums, nodes, offsets[0] + index, u, least, price[u])
    least = UNREACHABLE
    row = VALUES + unsigned(level)
    node_bounds(sums, u, nodes, offsets[level - 1] + FAN * index, lanes, row, width)
    threshold = block_threshold(lanes)
    for j in range(FAN):
        bound = lanes[row, unsigned(j)]
        if bound < threshold:
            bound = _open(sums, price, tree, level - 1, FAN * index + j, block, width)
            threshold = block_threshold(lanes)
        least = min(least, bound)
    return _set_node(sums, nodes, offsets[level] + index, u, least, price[u])


@inlined
def _complete_nodes(sums: Floats, price: Floats, tree: Tree, block: Block, width: Width) -> None:
    """Set up the nodes whose last candidate is the one before u."""
    (nodes, offsets, _), (lanes, place) = tree, block
    u = place[NEWEST]
    size = 1
    for level in range(len(offsets)):
        size *= FAN
        if u % size:
            return
        index = u // size - 1
        if level == 0:
            leaf_values(sums, price, tree, FAN * index, block, width)
        else:
            node_bounds(sums, u, nodes, offsets[level - 1] + FAN * index, lanes, VALUES, width)
        _set_node(sums, nodes, offsets[level] + index, u, least_of(lanes, VALUES), price[u])


@inlined
def _put_back(sums: Floats, price: Floats, tree: Tree, u: int, s: int) -> None:
    """Lower the bounds of all nodes above candidate s, which was held out of them."""
    nodes, offsets, _ = tree
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


@njit(cache=True, **OPTIONS)
def _solve(
    sums: Floats,
    price: Floats,
    tree: Tree,
    block: Block,
    end: int,
    penalty: float,
    min_size: int,
    width: Width,
) -> None:
    """Fill ``price`` up to position ``end``, block by block."""
    (nodes, offsets, _), (lanes, place) = tree, block
    for u in range(FAN, end - min_size + 1, FAN):
        first = u + min_size
        place[NEWEST], place[FIRST], place[HELD], place[PASSED] = u, first, place[BEST], -1
        _complete_nodes(sums, price, tree, block, width)
        start_block(sums, price, block, width)
        threshold = block_threshold(lanes)
        for level in range(len(offsets) - 1, -1, -1):  # oldest first
            begin = u // FAN ** (level + 2) * FAN if level + 1 < len(offsets) else 0
            at = offsets[level] + begin
            if count_awake(sums, u, nodes, at, threshold, lanes, width) > 0:  # rarely
                row = VALUES + unsigned(level + 1)
                node_bounds(sums, u, nodes, at, lanes, row, width)
                for j in range(FAN):
                    if lanes[row, unsigned(j)] < threshold:
                        _open(sums, price, tree, level, begin + j, block, width)
                        threshold = block_threshold(lanes)
        set_prices(price, first, lanes, penalty)
        if newborn_wins(sums, price, u, first, lanes, width) > 0:
            for j in range(1, FAN):
                if u + j >= first:
                    price[u + j] = lanes[LEAST, unsigned(u + j - first)] + penalty
                if price[u + j] < UNREACHABLE:
                    push(sums, price, u + j, j, block, width)
            set_prices(price, first, lanes, penalty)
        if place[HELD] >= 0 and place[BEST] != place[HELD]:
            _put_back(sums, price, tree, u, place[HELD])


def _level_offsets(n_positions: int) -> Ints:
    """First node of each level, and after the last one the number of nodes; 32 spare ones per level."""
    offsets = [0]
    size = FAN
    while True:
        offsets.append(offsets[-1] + n_positions // size + 2 * FAN)
        if n_positions <= size * FAN:
            return np.array(offsets)
        size *= FAN


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
    d, n_positions = sums.shape
    price = np.full(n_positions, UNREACHABLE)
    price[front] = 0.0
    offsets = _level_offsets(n_positions)
    nodes = np.zeros((d + 2, offsets[-1]))
    nodes[d] = UNREACHABLE
    tree = (nodes, offsets[:-1], np.zeros(n_positions, np.uint8))
    block = (np.zeros((len(offsets) + 8, FAN)), np.full(5, -1))
    width = ((),) * max(w for w in WIDTHS if w <= d)
    _solve(sums, price, tree, block, front + n, float(penalty), min_size, width)
    return price

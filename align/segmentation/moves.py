"""The moves that inexact searches are made of: split a segment, join two, shift a change point, two for one.

Splitting a segment in two *gains* its cost less the costs of its parts; joining two segments *raises* the
cost by the same. The costs of many segments are asked for at a time, but of no more than ``CHUNK``, so that
memory stays that of the fitted tables plus O(n) numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.costs import Fitted, costs_between

__all__ = ["CHUNK", "best_splits", "joined", "settled", "total_cost", "worth_keeping"]

Ints = npt.NDArray[np.int64]

CHUNK = 1 << 16  # segments whose costs are asked for at a time
_JOINED_AT_A_TIME = 64  # the cheapest of this many pairs are joined in one round
_MOST_SWEEPS = 20  # rounds in which change points are shifted


def total_cost(fitted: Fitted, changes: Ints) -> float:
    """Sum of the costs of the segments between change points, without penalties.

    Up to the constant of ``costs_between``: only differences between two segmentations of a run mean
    something.

    Args:
        fitted: from ``fit_cost``.
        changes: (n_changes,) ascending samples of the run.

    Returns:
        the sum; 0 for a run too short for two segments, which has one segmentation only.
    """
    if not fitted.tables:
        return 0.0
    edges = np.concatenate([[0], changes, [fitted.n_samples]]).astype(np.int64)
    return float(_costs(fitted, edges[:-1], edges[1:]).sum())


def _costs(fitted: Fitted, starts: Ints, ends: Ints) -> Floats:
    """``costs_between``, ``CHUNK`` segments at a time."""
    parts = [
        costs_between(fitted, starts[i : i + CHUNK], ends[i : i + CHUNK])
        for i in range(0, len(starts), CHUNK)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def best_splits(fitted: Fitted, starts: Ints, ends: Ints) -> tuple[Floats, Ints]:
    """Largest gain of splitting each segment into two of ``min_size`` or more, and the first place with it.

    Args:
        fitted: from ``fit_cost``.
        starts, ends: (m,) samples, ``ends - starts >= 2 min_size``.

    Returns:
        (m,) gains and (m,) change points. Costs of 2 sum(ends - starts) segments.
    """
    counts = ends - starts - 2 * fitted.min_size + 1
    first = np.concatenate([[0], np.cumsum(counts)])  # the places of all segments in a row: whose begin where
    shift = starts + fitted.min_size - first[:-1]
    least, at = np.full(len(starts), np.inf), np.zeros(len(starts), np.int64)
    for low in range(0, int(first[-1]), CHUNK):
        high = min(low + CHUNK, int(first[-1]))
        a = int(np.searchsorted(first, low, "right")) - 1
        b = int(np.searchsorted(first, high, "left"))
        count = np.minimum(first[a + 1 : b + 1], high) - np.maximum(first[a:b], low)
        place = np.arange(low, high) + np.repeat(shift[a:b], count)
        parts = costs_between(fitted, np.repeat(starts[a:b], count), place)
        parts = parts + costs_between(fitted, place, np.repeat(ends[a:b], count))
        begin = np.cumsum(count) - count
        lowest = np.minimum.reduceat(parts, begin)
        hits = np.flatnonzero(parts == np.repeat(lowest, count))
        where = place[hits[np.searchsorted(hits, begin)]]
        better = lowest < least[a:b]  # false where an earlier chunk saw as low a cost of the same segment
        least[a:b][better] = lowest[better]
        at[a:b][better] = where[better]
    return _costs(fitted, starts, ends) - least, at


def joined(fitted: Fitted, changes: Ints) -> tuple[Ints, Floats]:
    """Join neighbours, cheapest first, until one segment is left.

    While there are k >= 128 pairs of neighbours, a round joins all of the k // 64 cheapest ones that are
    cheaper than the pairs beside them; then one at a time.

    Args:
        fitted: from ``fit_cost``.
        changes: (m,) ascending samples, segments of ``min_size`` or more.

    Returns:
        the (m,) change points in the order in which they go, and by how much the cost rises with each.
        Costs of at most 4 m segments, about 64 m other steps.
    """
    edges = np.concatenate([[0], changes, [fitted.n_samples]])
    cost = _costs(fitted, edges[:-1], edges[1:])
    both = _costs(fitted, edges[:-2], edges[2:])  # of segment i and the next together
    order, rises = [np.empty(0, np.int64)], [np.empty(0)]
    while len(edges) > 2:
        rise = both - cost[:-1] - cost[1:]
        pairs = _cheapest_apart(rise, max(1, len(rise) // _JOINED_AT_A_TIME))
        order.append(edges[pairs + 1])
        rises.append(rise[pairs])
        cost[pairs] = both[pairs]
        pairs = np.sort(pairs)
        edges, cost, both = np.delete(edges, pairs + 1), np.delete(cost, pairs + 1), np.delete(both, pairs)
        new = pairs - np.arange(len(pairs))  # where the joined segments are now
        touched = np.unique(np.concatenate([new - 1, new]))
        touched = touched[(touched >= 0) & (touched < len(both))]
        both[touched] = _costs(fitted, edges[touched], edges[touched + 2])
    return np.concatenate(order), np.concatenate(rises)


def _cheapest_apart(rise: Floats, count: int) -> Ints:
    """Of the ``count`` cheapest pairs those cheaper than the pairs beside them, cheapest first.

    Of two equally cheap ones the one with the even number counts as cheaper.
    """
    if count == 1:
        return np.array([np.argmin(rise)])
    pairs = np.sort(np.argpartition(rise, count - 1)[:count])
    price, even = rise[pairs], pairs % 2 == 0
    beside = np.diff(pairs) == 1
    left_wins = (price[:-1] < price[1:]) | ((price[:-1] == price[1:]) & even[:-1])
    loses = np.zeros(count, bool)
    loses[1:] |= beside & left_wins
    loses[:-1] |= beside & ~left_wins
    pairs = pairs[~loses]
    return pairs[np.argsort(rise[pairs], kind="stable")]


def worth_keeping(order: Ints, rises: Floats, penalty: float, most: int) -> tuple[Ints, float]:
    """Of the segmentations that joining passes, the best with at most ``most`` change points.

    Args:
        order, rises: from ``joined``.
        penalty: price of one more change point, >= 0.
        most: largest number of change points.

    Returns:
        its change points, ascending, and by how much it is below no change point at all, penalties included
        (>= 0); the fewest change points where several are equally good.
    """
    earned = np.cumsum(rises[::-1][: max(0, most)])
    earned -= penalty * np.arange(1, len(earned) + 1)
    if not earned.size or earned.max() <= 0:
        return np.empty(0, np.int64), 0.0
    count = int(np.argmax(earned)) + 1
    return np.sort(order[len(order) - count :]), float(earned[count - 1])


def settled(fitted: Fitted, changes: Ints, penalty: float, most: int) -> Ints:
    """Join, shift and put one for two, until none of them helps.

    Joining (``joined``, ``worth_keeping``) takes what does not earn the penalty, and more than ``most``.
    Shifting moves every second change point to the best place between its neighbours, then the others, until
    none moves (or 20 times). One for two replaces neighbouring change points by the best single one when that
    raises the cost by less than the penalty: two around a true one, fewer than ``min_size`` samples from
    either, cannot reach it by shifting. Each lowers the sum of costs plus penalties.

    Args:
        fitted: from ``fit_cost``.
        changes: (m,) ascending samples, segments of ``min_size`` or more.
        penalty: price of one more change point, >= 0.
        most: largest number of change points.

    Returns:
        (n_changes,) ascending samples. O(n) costs per turn; every turn but the last takes change points.
    """
    if not len(changes):  # also where the run is too short for tables
        return changes
    changes, _ = worth_keeping(*joined(fitted, changes), penalty, most)
    while True:
        changes = _shifted(fitted, changes)
        fewer, _ = worth_keeping(*joined(fitted, changes), penalty, most)
        if len(fewer) == len(changes):
            fewer = _one_for_two(fitted, changes, penalty)
        if len(fewer) == len(changes):
            return changes
        changes = fewer


def _shifted(fitted: Fitted, changes: Ints) -> Ints:
    edges = np.concatenate([[0], changes, [fitted.n_samples]])
    stale = np.ones(len(edges), bool)  # looked at before, and no neighbour moved since: not stale
    for sweep in range(2 * _MOST_SWEEPS):
        i = np.arange(1 + sweep % 2, len(edges) - 1, 2)
        i = i[stale[i]]
        stale[i] = False
        if i.size:
            gain, at = best_splits(fitted, edges[i - 1], edges[i + 1])
            here = _costs(fitted, edges[i - 1], edges[i]) + _costs(fitted, edges[i], edges[i + 1])
            moves = gain > _costs(fitted, edges[i - 1], edges[i + 1]) - here
            edges[i[moves]] = at[moves]
            stale[i[moves] - 1] = stale[i[moves] + 1] = True
        if not stale[1:-1].any():
            break
    return edges[1:-1]


def _one_for_two(fitted: Fitted, changes: Ints, penalty: float) -> Ints:
    if len(changes) < 2:
        return changes
    edges = np.concatenate([[0], changes, [fitted.n_samples]])
    cost = _costs(fitted, edges[:-1], edges[1:])
    gain, at = best_splits(fitted, edges[:-3], edges[3:])
    rise = _costs(fitted, edges[:-3], edges[3:]) - gain - (cost[:-2] + cost[1:-1] + cost[2:])
    worth = np.flatnonzero(rise < penalty)
    free = np.ones(len(rise) + 4, bool)
    for i in worth[np.argsort(rise[worth], kind="stable")].tolist():
        if free[i]:
            free[max(0, i - 2) : i + 3] = False  # they share a change point with this one's segments
            edges[i + 1] = at[i]
            edges[i + 2] = -1
    return edges[1:-1][edges[1:-1] >= 0]

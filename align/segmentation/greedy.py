"""Inexact searches, for any cost: ``binary``, ``seeded``, ``bottom_up``, ``window``.

Each is ``search(fitted, penalty, most) -> changes``. Every segment found holds at least ``fitted.min_size``
samples, at most ``most`` change points are placed, and the sum of costs plus ``penalty`` per change point is
never above that of no change point at all. Nothing bounds how far it is above the optimum: where the exact
search is fast enough for a cost, use that. On levels with noise under "l2", ``bottom_up`` and ``seeded`` come
nearest. The moves they share, and what *gain* means, are in ``moves``.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.costs import Fitted, costs_between
from align.segmentation.moves import CHUNK, best_splits, settled

__all__ = ["SEARCHES", "binary", "bottom_up", "seeded", "window"]

Ints = npt.NDArray[np.int64]

_DECAY = 2**-0.5  # length of the intervals of one layer of ``seeded`` over the next wider one's


def binary(fitted: Fitted, penalty: float, most: int) -> Ints:
    """Split the segment that gains most at its best place, again and again, while that exceeds the penalty.

    The change points for ``most`` are the first ``most`` of those without limit. O(n) costs per level of
    splits: O(n log n) where splits are balanced, O(n x changes) at worst, which a level that alternates
    regularly comes near to (10 s for 1e5 samples in 1e4 segments; the other searches 0.1 s).

    Args:
        fitted: from ``fit_cost``.
        penalty: price of one more change point, >= 0.
        most: largest number of change points, >= 0.

    Returns:
        (n_changes,) ascending samples of the run.

    Reference: Scott & Knott 1974, Biometrics 30(3); Vostrikova 1981, Soviet Math. Doklady 24.
    Departure: all segments of one level are split at once; a heap then takes the splits in order.
    """
    at, gain, parent = _split_tree(fitted, penalty, most)
    if len(at) <= most:
        return np.sort(at)
    children: dict[int, list[int]] = {}
    for node, above in enumerate(parent.tolist()):
        children.setdefault(above, []).append(node)
    gains = gain.tolist()
    chosen: list[int] = []
    heap = [(-gains[0], 0)]
    while len(chosen) < most:
        _, node = heapq.heappop(heap)
        chosen.append(node)
        for child in children.get(node, ()):
            heapq.heappush(heap, (-gains[child], child))
    return np.sort(at[chosen])


def _split_tree(fitted: Fitted, penalty: float, most: int) -> tuple[Ints, Floats, Ints]:
    """Every split that ``binary`` may take: where, its gain, and the split whose part it splits (-1: none).

    A split can be among the first ``most`` only if the least gain on the way to it is among the ``most``
    largest such: below a split for which that is not so, nothing is looked at.
    """
    size = fitted.min_size
    levels: list[tuple[Ints, Floats, Ints, Floats]] = []
    starts, ends = np.array([0]), np.array([fitted.n_samples])
    parent, weakest = np.array([-1]), np.array([np.inf])
    count = 0
    for _ in range(most):  # a split at depth k comes after k others
        wide = ends - starts >= 2 * size
        starts, ends, parent, weakest = starts[wide], ends[wide], parent[wide], weakest[wide]
        gain, at = best_splits(fitted, starts, ends)
        weakest = np.minimum(weakest, gain)
        kept = gain > penalty
        if count + kept.sum() > most:
            so_far = np.concatenate([*(level[3] for level in levels), weakest[kept]])
            kept &= weakest >= np.partition(so_far, -most)[-most]
        if not kept.any():
            break
        at, starts, ends, weakest = at[kept], starts[kept], ends[kept], weakest[kept]
        levels.append((at, gain[kept], parent[kept], weakest))
        parent = np.tile(np.arange(count, count + len(at)), 2)
        count += len(at)
        starts, ends = np.concatenate([starts, at]), np.concatenate([at, ends])
        weakest = np.tile(weakest, 2)
    if not levels:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    return tuple(np.concatenate(column) for column in list(zip(*levels, strict=True))[:3])  # type: ignore[return-value]


def seeded(fitted: Fitted, penalty: float, most: int) -> Ints:
    """Look for one change in each of a fixed set of intervals, and believe the narrowest ones first.

    Layer k = 1, 2, ... of the intervals: ``2 ceil(r^(k-1)) - 1`` of them, ``n r^(1-k)`` long, evenly spread,
    with r = sqrt(2); down to two shortest segments. From the narrowest layer to the widest, and within a
    layer from the largest gain down, the best split of an interval is taken when it gains more than the
    penalty and no split taken before lies inside that interval (narrowest over threshold). The splits taken
    are then settled (``moves.settled``). O(n log n) costs, in practice far fewer where there are changes.

    Args:
        fitted: from ``fit_cost``.
        penalty: price of one more change point, >= 0.
        most: largest number of change points, >= 0.

    Returns:
        (n_changes,) ascending samples of the run.

    Reference: Kovacs, Buhlmann, Li & Munk 2023, Biometrika 110(1), definition 1 (the intervals); Baranowski,
    Chen & Fryzlewicz 2019, JRSS B 81(3), section 2 (narrowest over threshold). Departures: intervals of one
    layer count as equally narrow, though rounding makes them differ by one sample; the gain is compared with
    the penalty; settling, since a gain inside an interval is not that of the whole segmentation.
    """
    return settled(fitted, _narrowest_over_threshold(fitted, penalty), penalty, most)


def _narrowest_over_threshold(fitted: Fitted, penalty: float) -> Ints:
    taken = np.empty(0, np.int64)
    for starts, ends in _seeded_layers(fitted.n_samples, fitted.min_size):
        inside = np.searchsorted(taken, ends, "left") - np.searchsorted(taken, starts, "right")
        starts, ends = starts[inside == 0], ends[inside == 0]
        gain, at = best_splits(fitted, starts, ends)
        new = _largest_apart(starts, ends, gain, at, penalty)
        taken = np.sort(np.concatenate([taken, new]))
    return taken


def _seeded_layers(n: int, size: int) -> Iterator[tuple[Ints, Ints]]:
    """Starts and ends of the seeded intervals, narrowest layer first; all hold two segments of ``size``."""
    n_layers = 0
    while n * _DECAY**n_layers >= 2 * size:
        n_layers += 1
    for k in reversed(range(n_layers)):
        length = n * _DECAY**k
        count = 2 * int(np.ceil(_DECAY**-k)) - 1
        shift = (n - length) / max(1, count - 1) * np.arange(count)
        ends = np.minimum(np.ceil(shift + length - 1e-6).astype(np.int64), n)  # 1e-6: rounding of shift
        yield np.floor(shift + 1e-6).astype(np.int64), ends


def _largest_apart(starts: Ints, ends: Ints, gain: Floats, at: Ints, penalty: float) -> Ints:
    """Splits that gain more than the penalty, largest first, none inside the interval of a later one.

    ``starts`` and ``ends`` ascend, so that the intervals around a place are neighbours.
    """
    first = np.searchsorted(ends, at, "right").tolist()
    behind = np.searchsorted(starts, at, "left").tolist()
    free = bytearray(b"\1") * len(starts)
    worth = np.flatnonzero(gain > penalty)
    chosen = []
    for i in worth[np.argsort(-gain[worth], kind="stable")].tolist():
        if free[i]:
            chosen.append(i)
            free[first[i] : behind[i]] = bytes(behind[i] - first[i])
    return at[chosen]


def bottom_up(fitted: Fitted, penalty: float, most: int) -> Ints:
    """Cut into shortest segments, join the cheapest neighbours until one is left, return the best on the way.

    Starts from blocks of ``min_size`` samples (the last one longer). The result is the segmentation with the
    least sum of costs plus penalties among those passed, settled (``moves.settled``) so that it is not bound
    to the blocks. 4 n / min_size costs and about 64 n / min_size other steps, plus O(n) costs per turn.

    Args:
        fitted: from ``fit_cost``.
        penalty: price of one more change point, >= 0.
        most: largest number of change points, >= 0.

    Returns:
        (n_changes,) ascending samples of the run.

    Reference: Keogh, Chu, Hart & Pazzani 2001, IEEE ICDM, section 2.3. Departures: with 128 pairs or more
    many are joined in one round (``moves.joined``); goes on where a pair costs more than the penalty, since
    the next may earn that back; settling.
    """
    blocks = np.arange(1, fitted.n_samples // fitted.min_size, dtype=np.int64) * fitted.min_size
    return settled(fitted, blocks, penalty, most)


def window(fitted: Fitted, penalty: float, most: int) -> Ints:
    """Slide windows with two halves along the run; change points are where splitting one gains most.

    With half width h, the gain at k is that of splitting ``[k - h, k + h)`` at k, the window being cut off at
    the ends of the run. Peaks are the places with more than the penalty that gain most within
    ``max(h // 2, min_size - 1)`` samples. The width is not asked for: h goes through min_size, 2 min_size,
    4 min_size, ... n / 2, and a peak is taken when no peak of a narrower width lies inside its window. What
    is taken is then settled (``moves.settled``). O(n log(n / min_size)) costs.

    Args:
        fitted: from ``fit_cost``.
        penalty: price of one more change point, >= 0.
        most: largest number of change points, >= 0.

    Returns:
        (n_changes,) ascending samples of the run.

    Reference: Truong, Oudre & Vayatis 2020, Signal Processing 167, section 5.2.1 (one width); Messer et al.
    2014, Annals of Applied Statistics 8(4), section 3 (many widths, narrowest first). Departures: windows are
    cut off at the ends instead of leaving them out; settling.
    """
    return settled(fitted, _peaks_of_all_widths(fitted, penalty), penalty, most)


def _peaks_of_all_widths(fitted: Fitted, penalty: float) -> Ints:
    taken = np.empty(0, np.int64)
    half = fitted.min_size
    while 2 * half <= fitted.n_samples:
        gain = _window_gains(fitted, half)
        at = _peaks(gain, max(half // 2, fitted.min_size - 1))
        at = at[gain[at] > penalty] + fitted.min_size
        inside = np.searchsorted(taken, at + half, "left") - np.searchsorted(taken, at - half, "right")
        taken = np.sort(np.concatenate([taken, at[inside == 0]]))
        half *= 2
    return taken


def _window_gains(fitted: Fitted, half: int) -> Floats:
    """Gain of splitting the window around each place from ``min_size`` to ``n - min_size``."""
    n = fitted.n_samples
    gains = []
    for first in range(fitted.min_size, n - fitted.min_size + 1, CHUNK):
        k = np.arange(first, min(first + CHUNK, n - fitted.min_size + 1))
        starts, ends = np.maximum(k - half, 0), np.minimum(k + half, n)
        parts = costs_between(fitted, starts, k) + costs_between(fitted, k, ends)
        gains.append(costs_between(fitted, starts, ends) - parts)
    return np.concatenate(gains)


def _peaks(values: Floats, reach: int) -> Ints:
    """Places larger than all within ``reach`` before and at least as large as all within ``reach`` after."""
    if reach == 0:
        return np.arange(len(values))
    before = _largest_of(values, reach)  # [i] = largest of the reach values before i
    after = _largest_of(values[::-1], reach)[::-1]
    return np.flatnonzero((values > before) & (values >= after))


def _largest_of(values: Floats, length: int) -> Floats:
    """Largest of the ``length`` values before each, -inf where there is none, in O(n) (van Herk 1992)."""
    blocks = -(-(len(values) + length) // length)
    padded = np.full(blocks * length, -np.inf)
    padded[length : length + len(values)] = values
    table = padded.reshape(blocks, length)
    down = np.maximum.accumulate(table, axis=1).ravel()
    up = np.maximum.accumulate(table[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.maximum(up[: len(values)], down[length - 1 : length - 1 + len(values)])


SEARCHES: Mapping[str, Callable[[Fitted, float, int], Ints]] = MappingProxyType(
    {"binary": binary, "bottom-up": bottom_up, "seeded": seeded, "window": window}
)

"""CROPS: every segmentation that is optimal at some penalty of an interval, with few calls of a search."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError

__all__ = ["Path", "crops"]

Ints = npt.NDArray[np.int64]

_TIE = 1e-12  # of the costs compared: differences below this are rounding


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Segmentations over an interval of penalties, from most change points to fewest.

    ``penalties`` (n + 1,) f8 ascending: solution i is the best of all found from ``penalties[i]`` to
    ``penalties[i + 1]``; the first and the last are the ends of the interval. ``n_changes`` (n,) i8
    descending; ``costs`` (n,) f8, without penalties, ascending; ``changes``, n arrays of change points.
    ``certain`` (n - 1,) bool: whether solutions i and i + 1 are known to be neighbours. Where it is False the
    search was stopped before it could tell, there may be further solutions between the two, and
    ``penalties[i + 1]`` lies among theirs. ``calls``: how often the search ran.
    """

    penalties: Floats
    n_changes: Ints
    costs: Floats
    changes: tuple[Ints, ...]
    certain: npt.NDArray[np.bool_]
    calls: int

    @property
    def complete(self) -> bool:
        """Whether no solution of the interval is missing."""
        return bool(self.certain.all())

    def at(self, penalty: float) -> Ints:
        """Change points of the solution for a penalty of the interval; of two, those with fewer.

        Args:
            penalty: from ``penalties[0]`` to ``penalties[-1]``.

        Raises:
            ParameterError: a penalty outside the interval.
        """
        if not self.penalties[0] <= penalty <= self.penalties[-1]:
            allowed = f"{self.penalties[0]:.6g} to {self.penalties[-1]:.6g}, the interval that was searched"
            raise ParameterError("penalty", penalty, allowed)
        return self.changes[int(np.searchsorted(self.penalties[1:-1], penalty, "right"))]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    count: int
    cost: float
    changes: Ints


def crops(
    changes_at: Callable[[float], Ints],
    cost_of: Callable[[Ints], float],
    low: float,
    high: float,
    most: int = 100,
) -> Path:
    """Find every segmentation that is optimal at some penalty from ``low`` to ``high``.

    A segmentation with m changes and cost Q is a line, ``Q + penalty m``, and the optimum at a penalty is the
    lowest line there. Two solutions are neighbours when the search finds nothing lower where their lines
    cross; otherwise what it finds lies between them, and each half is looked at again. The pair whose numbers
    of changes have the largest ratio comes first, so that a search stopped by ``most`` has covered the
    interval evenly on that scale. A segmentation that is optimal at a single penalty only, where others are
    as good, is left out. With n solutions the search is called at most 2 n times: at both ends, once per
    further solution and once per pair of neighbours; pairs one change apart need no call, so that
    ``m(low) - m(high) + 2`` calls are never exceeded either.

    Args:
        changes_at: the search: penalty -> (n_changes,) change points, of a run or of many. With an inexact
            one the path holds the best of what it found.
        cost_of: cost of what ``changes_at`` returns, without penalties; a constant may be missing from all
            (``moves.total_cost``).
        low, high: ends of the interval, finite, 0 <= low <= high.
        most: stop once this many solutions are known, >= 2. All their change points are held in memory.

    Returns:
        a ``Path``.

    Raises:
        ParameterError: an argument outside what is said above.

    Reference: Haynes, Eckley & Fearnhead 2017, J. Computational and Graphical Statistics 26(1), section 3.
    Departures: the order; ties; the stop.

    >>> x = np.array([0.0, 0, 0, 1, 1, 1, 5, 5, 5])
    >>> best = {0: [], 1: [6], 2: [3, 6]}
    >>> cost = {0: 42.0, 1: 1.5, 2: 0.0}
    >>> def search(penalty): return np.array(best[min(best, key=lambda m: cost[m] + penalty * m)])
    >>> crops(search, lambda changes: cost[len(changes)], 0.5, 100.0).penalties.tolist()
    [0.5, 1.5, 40.5, 100.0]
    """
    _check(low, high, most)
    calls = 0

    def found_at(penalty: float) -> _Found:
        nonlocal calls
        calls += 1
        changes = np.asarray(changes_at(penalty), np.int64)
        return _Found(len(changes), float(cost_of(changes)), changes)

    left = found_at(low)
    right = found_at(high) if high > low else left
    known = {found.count: found for found in (right, left)}  # by number of changes
    waiting = [_urgency(left, right)] if left.count > right.count else []
    closed = set()  # known solutions with none missing before the next known one, which has fewer changes
    while waiting:
        _, more, fewer = heapq.heappop(waiting)
        a, b = known[more], known[fewer]
        if more - fewer == 1:
            closed.add(more)
        elif len(known) < most:
            penalty = min(max(_crossing(a, b), low), high)
            between = found_at(penalty)
            if fewer < between.count < more and _is_lower(between, a, b, penalty):
                known[between.count] = between
                heapq.heappush(waiting, _urgency(a, between))
                heapq.heappush(waiting, _urgency(between, b))
            else:
                closed.add(more)
    hull = _hull(known, low, high)
    pairs = list(pairwise(hull))
    return Path(
        np.array([low, *(_crossing(more, fewer) for more, fewer in pairs), high], np.float64),
        np.array([found.count for found in hull], np.int64),
        np.array([found.cost for found in hull], np.float64),
        tuple(found.changes for found in hull),
        np.array([_nothing_between(known, closed, more, fewer) for more, fewer in pairs], bool),
        calls,
    )


def _check(low: float, high: float, most: int) -> None:
    if not (math.isfinite(low) and low >= 0):
        raise ParameterError("low", low, "a finite penalty >= 0")
    if not (math.isfinite(high) and high >= low):
        raise ParameterError("high", high, f"a finite penalty >= low, which is {low:.6g}")
    if most < 2:
        raise ParameterError("most", most, "a number of solutions >= 2")


def _urgency(more: _Found, fewer: _Found) -> tuple[float, int, int]:
    return (-(more.count + 1) / (fewer.count + 1), more.count, fewer.count)


def _crossing(more: _Found, fewer: _Found) -> float:
    """The penalty at which both cost the same."""
    return (fewer.cost - more.cost) / (more.count - fewer.count)


def _is_lower(found: _Found, more: _Found, fewer: _Found, penalty: float) -> bool:
    """Whether ``found`` is below both others at the penalty by more than rounding."""
    least = min(one.cost + penalty * one.count for one in (more, fewer))
    rounding = _TIE * (abs(more.cost) + abs(fewer.cost) + penalty * more.count)
    return found.cost + penalty * found.count < least - rounding


def _hull(known: dict[int, _Found], low: float, high: float) -> list[_Found]:
    """What is best somewhere in the interval, from most changes to fewest: all, when the search is exact."""
    hull: list[_Found] = []
    for count in sorted(known, reverse=True):
        found = known[count]
        while hull and (_crossing(hull[-1], found) <= low or _hides(hull, found)):
            hull.pop()
        if not hull or _crossing(hull[-1], found) < high:
            hull.append(found)
    return hull


def _hides(hull: list[_Found], found: _Found) -> bool:
    """Whether the last of the hull is nowhere below both the one before it and ``found``."""
    return len(hull) > 1 and _crossing(hull[-1], found) <= _crossing(hull[-2], hull[-1])


def _nothing_between(known: dict[int, _Found], closed: set[int], more: _Found, fewer: _Found) -> bool:
    """Whether no solution can be missing between two of the hull."""
    return all(count in closed for count in known if fewer.count < count <= more.count)

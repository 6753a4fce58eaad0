"""Partial order: which notes may change places, and the order among those allowed that fits best.

Each author's notes stay in the order written; notes of different authors may change places unless
their times rule that out, and so may notes of one author whose times contradict the order written. One order is
chosen, the one that the decoder explains best; the probabilities that follow are given that order and do not
count the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.datatypes import Note
from align.errors import ParameterError
from align.matching.author_clocks import AuthorClock
from align.matching.time_prior import Window, decoding_order, note_window, ruled_out

__all__ = ["best_order", "start_order", "swappable"]

_BETTER = 1e-9  # nats by which a new order must be better

Clocks = Mapping[str, AuthorClock]
Order = tuple[int, ...]


def swappable(
    notes: Sequence[Note], evidence: Evidence, clocks: Clocks | None = None
) -> npt.NDArray[np.bool_]:
    """(n, n) whether two notes may stand in either order; symmetric, False on the diagonal.

    Notes of different authors may, unless their times are so far apart that one must come first
    (``time_prior.ruled_out``). Notes of one author may only where their times contradict the order written that
    much: then either may be the mistake. Unnamed authors count as one.

    Args:
        notes: in the order written.
        evidence, clocks: say how imprecise written times are.
    """
    windows = [note_window(note, evidence, clocks) for note in notes]
    out = np.zeros((len(notes), len(notes)), np.bool_)
    for i, first in enumerate(windows):
        for j in range(i):
            late, early = first, windows[j]
            if notes[i].author == notes[j].author:
                out[i, j] = _separate(early, late)
            else:
                out[i, j] = not _separate(early, late) and not _separate(late, early)
    return out | out.T


def _separate(first: Window | None, second: Window | None) -> bool:
    return first is not None and second is not None and ruled_out(first, second)


def start_order(notes: Sequence[Note], evidence: Evidence, clocks: Clocks | None = None) -> list[int]:
    """The order to begin with: each author's notes as they are decoded alone, merged by their times.

    A note counts from the latest time of its author so far, so that no author's order changes; one before
    its author's first time comes first. Equal times stay as written.

    Args:
        notes: in the order written.
        evidence, clocks: as for ``decoding_order``.

    Returns:
        Indices of all notes, each once.
    """
    keyed: list[tuple[float, int, int, int]] = []
    authors = list(dict.fromkeys(note.author for note in notes))
    for rank, author in enumerate(authors):
        own = [i for i, note in enumerate(notes) if note.author == author]
        own = [own[k] for k in decoding_order([notes[i] for i in own], evidence, clocks)]
        latest, highest = -np.inf, -1
        for i in own:
            window = note_window(notes[i], evidence, clocks)
            latest = latest if window is None else max(latest, window.likely)
            highest = max(highest, i)
            keyed.append((latest, highest, rank, i))
    place = {i: k for k, (_, _, _, i) in enumerate(keyed)}
    return [i for *_, i in sorted(keyed, key=lambda row: (*row[:3], place[row[3]]))]


def best_order(
    start: Sequence[int],
    may_swap: npt.NDArray[np.bool_],
    score_of: Callable[[Sequence[int]], float],
    most: int = 720,
) -> list[int]:
    """The best order that exchanges of neighbours reach from ``start``.

    Exact when there are no more than ``most`` such orders (six notes that may all change places have 720).
    Else each note in turn takes the best of the places that it can reach, until none gains or ``most`` orders
    have been scored: never worse than ``start``, and when it was not stopped, no better order is one note away.

    Args:
        start: distinct indices into ``may_swap``.
        may_swap: (n, n) symmetric: which notes may change places when they are neighbours.
        score_of: an order -> how well it explains the evidence (log normaliser of the decoder), higher is better;
            called once per order.
        most: orders scored at most, >= 1.

    Returns:
        ``start`` rearranged; ``start`` itself among equals.

    >>> best_order([0, 1, 2], ~np.eye(3, dtype=bool), lambda order: order[0])
    [2, 0, 1]
    """
    if most < 1:
        raise ParameterError("most", most, ">= 1")
    if may_swap.ndim != 2 or may_swap.shape[0] != may_swap.shape[1] or (may_swap != may_swap.T).any():
        raise ParameterError("may_swap", may_swap.shape, "(n, n), symmetric")
    first = tuple(start)
    if len(set(first)) != len(first) or not set(first) <= set(range(len(may_swap))):
        raise ParameterError("start", len(first), "distinct indices into may_swap")
    known: dict[Order, float] = {}

    def score(order: Order) -> float:
        if order not in known:
            known[order] = score_of(order)
        return known[order]

    every = _reachable(first, may_swap, most)
    if every is not None:
        return list(first if len(every) == 1 else _argmax(every, score))
    best = first
    gained = True
    while gained and len(known) < most:
        gained = False
        for note in best:
            if len(known) >= most:
                break
            moved = _argmax([best, *_moves(best, note, may_swap)][: most - len(known)], score)
            gained |= moved != best
            best = moved
    return list(best)


def _argmax(orders: Sequence[Order], score: Callable[[Order], float]) -> Order:
    """The best of them; the first unless another is better by more than rounding."""
    best = orders[0]
    for order in orders[1:]:
        if score(order) > score(best) + _BETTER:
            best = order
    return best


def _reachable(start: Order, may_swap: npt.NDArray[np.bool_], most: int) -> list[Order] | None:
    """All orders that exchanges of neighbours reach, ``start`` first; None when there are more than ``most``."""
    found = {start: None}
    to_do = [start]
    while to_do:
        order = to_do.pop()
        for k in range(len(order) - 1):
            a, b = order[k], order[k + 1]
            swapped = (*order[:k], b, a, *order[k + 2 :])
            if may_swap[a, b] and swapped not in found:
                if len(found) == most:
                    return None
                found[swapped] = None
                to_do.append(swapped)
    return list(found)


def _moves(order: Order, note: int, may_swap: npt.NDArray[np.bool_]) -> Iterator[Order]:
    """The order with one note at each other place that it reaches by changing places with its neighbours."""
    at = order.index(note)
    rest = (*order[:at], *order[at + 1 :])
    for places in (range(at - 1, -1, -1), range(at + 1, len(order))):
        for k in places:
            passed = rest[k] if k < at else rest[k - 1]
            if not may_swap[note, passed]:
                break
            yield (*rest[:k], note, *rest[k:])

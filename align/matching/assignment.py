"""Free order: each note brings its few best spans, and one is chosen for each, or none.

Two spans are in conflict when they overlap by more than half of the shorter one. Two authors may mean the same
stretch (intersection over union at least 0.5): that is no conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.answers import Link
from align.clock import span_iou
from align.datatypes import Floats, Note
from align.errors import ParameterError

__all__ = ["assign_free", "settle"]

AGREE = 0.5  # intersection over union from which two authors mean the same stretch
CLAIM = 0.5  # of the shorter span: what may overlap, as edges are not exact
_BETTER = 1e-9  # score by which a new choice must be better
_STEPS = 20_000  # of the search for one group of notes in conflict
_LEAST = 0.01  # probability of a span beside which "none of these" is as good
_SURE = 0.5


def assign_free(
    spans: Sequence[Floats], scores: Sequence[Floats], authors: Sequence[str] = ()
) -> npt.NDArray[np.int64]:
    """One span for each note, or none, of the highest total score, with no two in conflict.

    See the module for what a conflict is. A span scores against "none of these", which scores 0. This is weighted
    interval selection, which is NP-hard in general; notes in conflict form small groups, and each is searched by
    branch and bound (the bound: every note left takes its best span). A group that takes more than 20,000 steps
    keeps the best choice found by then, which is never worse than taking spans by falling score.

    Args:
        spans: per note (n_candidates, 2) seconds, start <= end.
        scores: per note (n_candidates,) finite.
        authors: one per note; default: all notes are one author's.

    Returns:
        (n_notes,) the chosen candidate of each note, -1 for none.

    Raises:
        ParameterError: the two do not match.

    >>> a, b = np.array([[0.0, 4.0], [6.0, 9.0]]), np.array([[1.0, 8.0]])
    >>> assign_free([a, b], [np.array([2.0, 1.0]), np.array([1.5])]).tolist()
    [0, -1]
    """
    by = list(authors) or [""] * len(spans)
    if len(by) != len(spans):
        raise ParameterError("authors", len(by), f"{len(spans)}: one per note, or none at all")
    if len(spans) != len(scores) or any(s.shape != (len(c), 2) for s, c in zip(spans, scores, strict=False)):
        raise ParameterError("spans, scores", (len(spans), len(scores)), "(k, 2) and (k,) for each note")
    chosen = np.full(len(spans), -1, np.int64)
    owner = np.repeat(np.arange(len(spans)), [len(c) for c in scores])
    if not owner.size:
        return chosen
    flat = np.concatenate(spans)
    worth = np.concatenate(scores)
    first = np.append(0, np.cumsum([len(c) for c in scores]))
    conflicts = _conflicts(flat, owner, worth, by)
    for group in _groups(len(spans), owner, conflicts):
        options = [
            sorted((c for c in range(first[i], first[i + 1]) if worth[c] > 0), key=lambda c: -worth[c])
            for i in group
        ]
        for i, c in zip(group, _best_choice(options, worth, conflicts), strict=True):
            chosen[i] = c - first[i] if c >= 0 else -1
    return chosen


def _conflicts(
    spans: Floats, owner: npt.NDArray[np.int64], worth: Floats, authors: Sequence[str]
) -> list[set[int]]:
    """For each candidate those of other notes that exclude it; candidates worth nothing exclude nobody."""
    out: list[set[int]] = [set() for _ in owner]
    lengths = spans[:, 1] - spans[:, 0]
    by_start = [int(c) for c in np.argsort(spans[:, 0], kind="stable") if worth[c] > 0]
    for k, c in enumerate(by_start):
        for other in by_start[k + 1 :]:
            if spans[other, 0] >= spans[c, 1]:
                break
            shared = min(spans[c, 1], spans[other, 1]) - spans[other, 0]
            if owner[other] == owner[c] or shared <= CLAIM * min(lengths[c], lengths[other]):
                continue
            agreed = span_iou(spans[c], spans[other])[0] >= AGREE
            if not agreed or authors[owner[other]] == authors[owner[c]]:
                out[c].add(other)
                out[other].add(c)
    return out


def _groups(n: int, owner: npt.NDArray[np.int64], conflicts: list[set[int]]) -> Iterator[list[int]]:
    """Notes that conflicts connect, ascending."""
    near: list[set[int]] = [set() for _ in range(n)]
    for c, others in enumerate(conflicts):
        near[owner[c]].update(int(owner[o]) for o in others)
    seen: set[int] = set()
    for i in range(n):
        group, to_do = [], [i]
        while to_do:
            j = to_do.pop()
            if j not in seen:
                seen.add(j)
                group.append(j)
                to_do.extend(near[j])
        if group:
            yield sorted(group)


def _best_choice(options: list[list[int]], worth: Floats, conflicts: list[set[int]]) -> list[int]:
    """One candidate per note or -1, of the highest total: depth first, the most valuable note first."""
    n = len(options)
    best = _greedy(options, worth, conflicts)
    top = sum(float(worth[c]) for c in best if c >= 0)
    level = sorted(range(n), key=lambda i: -max((float(worth[c]) for c in options[i]), default=0.0))
    at_most = np.zeros(n + 1)  # what the notes from level k on can add
    for k in range(n - 1, -1, -1):
        at_most[k] = at_most[k + 1] + max((float(worth[c]) for c in options[level[k]]), default=0.0)
    taken = [-1] * n
    values = np.zeros(n + 1)
    tried = [0] * n
    k = 0
    for _ in range(_STEPS):
        if k == n:
            if values[n] > top + _BETTER:
                top, best = float(values[n]), taken.copy()
            k -= 1
        i = level[k]
        taken[i] = -1
        choices = [*options[i], -1]
        if tried[k] == len(choices) or values[k] + at_most[k] <= top + _BETTER:
            tried[k] = 0
            k -= 1
            if k < 0:
                break
            continue
        c = choices[tried[k]]
        tried[k] += 1
        if c >= 0 and any(other in conflicts[c] for other in taken if other >= 0):
            continue
        taken[i] = c
        values[k + 1] = values[k] + (float(worth[c]) if c >= 0 else 0.0)
        k += 1
    return best


def _greedy(options: list[list[int]], worth: Floats, conflicts: list[set[int]]) -> list[int]:
    """Candidates by falling score, each taken unless its note has one or it is in conflict with one taken."""
    taken = [-1] * len(options)
    for i, c in sorted(((i, c) for i, row in enumerate(options) for c in row), key=lambda ic: -worth[ic[1]]):
        if taken[i] < 0 and not conflicts[c].intersection(taken):
            taken[i] = c
    return taken


def settle(links: Sequence[Link], notes: Sequence[Note]) -> list[Link]:
    """Answers that were found for each note by itself, made to agree with one another.

    Each note's span and alternatives are candidates, worth the log of their probability over 0.01; see
    ``assign_free``. A note that loses its span to another takes its best alternative and keeps the lost one among
    its alternatives; one that loses them all keeps its answer: it may be the other that is wrong.

    Args:
        links: one per note, each decoded alone.
        notes: in the same order.

    Returns:
        One per note, in the same order; those without conflict as they were.
    """
    found = [[(*link.span, link.probability), *link.alternatives] if link.span else [] for link in links]
    spans = [np.array([row[:2] for row in rows], np.float64).reshape(-1, 2) for rows in found]
    worth = [np.log(np.maximum([row[2] for row in rows], 1e-9) / _LEAST) for rows in found]
    chosen = assign_free(spans, worth, [note.author for note in notes])
    out = []
    for link, rows, c in zip(links, found, chosen, strict=True):
        if c <= 0:
            out.append(link)
            continue
        others = tuple(sorted((row for k, row in enumerate(rows) if k != c), key=lambda row: -row[2]))
        begin, end, p = rows[c]
        status: Literal["aligned", "ambiguous"] = "aligned" if p >= _SURE else "ambiguous"
        moved = replace(
            link, status=status, span=(begin, end), probability=p, alternatives=others, edges=None
        )
        out.append(moved)
    return out

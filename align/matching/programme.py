"""The semi-Markov programme that places notes in order, with "nothing" between them.

Every note takes a span [a, b) of frames with score

    V_i(a, b) = P_i[b] - P_i[a] + D_i[b - a] + M_i(a, b) + c[a] + c[b]

or is left out at the price ``skip[i]``, or shares one span with the next note (``items.pair_item``). ``P_i`` are
prefix sums of the frames' log odds against "nothing" (a frame of nothing scores 0), ``D_i`` the log probability of
its duration, ``M_i`` its time prior, once per note, ``c`` what an edge weighs (change points). No span crosses a frame
without data: a gap scores nothing. Notes keep their order and never overlap.

``before[i, t]`` sums over all placements of notes 0..i-1 in the first t frames, ``after[i, t]`` over those of notes
i.. in frames t on; Z = before[n_notes, n] is the normaliser. Only every k-th row of ``before`` is kept (k about the
root of their number); the rows between are computed again on the way back, so that memory is O(n sqrt(n_notes)).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.items import (
    Item,
    backward,
    best_start,
    forward,
    forward_best,
    pair_item,
    single_item,
)
from align.matching.lattice import Lattice
from align.matching.tables import Table, table_of

__all__ = ["best_spans", "log_normaliser", "posteriors"]

NEVER = -1e30
_KEPT = 4_000_000  # edges times notes up to which every row is kept


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """Note i on the way forward: rows i and i - 1, its own item and the pair with note i - 1, their ends."""

    row: Floats
    previous: Floats
    single: Item
    pair: Item | None
    own_ends: Floats
    pair_ends: Floats | None

    @property
    def ends(self) -> Floats:
        return self.own_ends if self.pair_ends is None else np.logaddexp(self.own_ends, self.pair_ends)


_Ends = Callable[[Item, Floats], Floats]
_Advance = Callable[[_Step, float], Floats]


def _summed(step: _Step, skip: float) -> Floats:
    from align.kernels import decode as kernel

    return np.asarray(kernel.advance(step.row, step.ends, skip))


def _best(step: _Step, skip: float) -> Floats:
    from align.kernels import decode as kernel

    ends = step.own_ends if step.pair_ends is None else np.maximum(step.own_ends, step.pair_ends)
    return np.asarray(kernel.advance_best(step.row, ends, skip))


def _steps(
    lattice: Lattice, first: int, last: int, rows: tuple[Floats, Floats], ends: _Ends, advance: _Advance
) -> Iterator[tuple[_Step, tuple[Floats, Floats]]]:
    """Notes first..last-1 one after the other, each with rows (i, i + 1) behind it; ``rows`` are (first - 1, first)."""
    begin = max(0, first - 1)
    prefixes = lattice.prefixes(slice(begin, last))
    runs = lattice.runs
    for i in range(first, last):
        own = prefixes[i - begin]
        single = single_item(lattice, i, own, runs)
        pair = pair_item(lattice, i - 1, prefixes[i - 1 - begin : i + 1 - begin], runs) if i else None
        pair_ends = None if pair is None else ends(pair, rows[0])
        step = _Step(rows[1], rows[0], single, pair, ends(single, rows[1]), pair_ends)
        rows = rows[1], advance(step, float(lattice.skip[i]))
        yield step, rows


def _backwards(
    lattice: Lattice, ends: _Ends, advance: _Advance, spacing: int | None
) -> tuple[Floats, Iterator[tuple[int, _Step]]]:
    """The last row, and the steps from the last note to the first."""
    n_notes, n_edges = len(lattice.skip), lattice.n_frames + 1
    usual = n_notes if n_notes * n_edges <= _KEPT else int(np.ceil(np.sqrt(n_notes)))
    block = max(1, spacing or usual)
    rows = np.zeros(n_edges), np.zeros(n_edges)
    marks = {0: rows}
    held: list[_Step] = []
    for first in range(0, n_notes, block):
        marks[first] = rows
        held = []
        for step, found in _steps(lattice, first, min(n_notes, first + block), rows, ends, advance):
            rows = found
            if first + block >= n_notes:
                held.append(step)

    def steps() -> Iterator[tuple[int, _Step]]:
        kept = held
        for first in sorted(marks, reverse=True):
            last = min(n_notes, first + block)
            if last < n_notes:
                kept = [step for step, _ in _steps(lattice, first, last, marks[first], ends, advance)]
            while kept:
                yield first + len(kept) - 1, kept.pop()

    return rows[1], steps()


def log_normaliser(lattice: Lattice) -> float:
    """Log of the sum of the weights of all placements: how well these notes in this order explain the frames.

    Args:
        lattice: as built.
    """
    rows = np.zeros(lattice.n_frames + 1), np.zeros(lattice.n_frames + 1)
    n_notes = len(lattice.skip)
    block = max(1, int(np.sqrt(n_notes)))
    for first in range(0, n_notes, block):
        steps = _steps(lattice, first, min(n_notes, first + block), rows, forward, _summed)
        rows = deque(steps, maxlen=1)[0][1]
    return float(rows[1][-1])


def posteriors(lattice: Lattice, spacing: int | None = None) -> list[list[Table]]:
    """For every note the posteriors of its own span and of those it shares with the next or the previous note.

    A note's own span comes first. The probabilities of a note's tables add up to that of its being placed.

    Args:
        lattice: as built.
        spacing: every how many rows one is kept; the answers do not depend on it. Default: by size.
    """
    out: list[list[Table]] = [[] for _ in lattice.skip]
    last_row, steps = _backwards(lattice, forward, _summed, spacing)
    z = float(last_row[-1])
    after = np.zeros(lattice.n_frames + 1)  # of the notes behind note i
    from_pair: Floats | None = None  # starts of the pair (i, i + 1)
    for i, step in steps:
        starts = backward(step.single, after)
        out[i].insert(0, table_of(step.single, step.row - z, after, starts, step.own_ends - z))
        begun = starts if from_pair is None else np.logaddexp(starts, from_pair)
        from_pair = None
        if step.pair is not None and step.pair_ends is not None:
            from_pair = backward(step.pair, after)
            shared = table_of(step.pair, step.previous - z, after, from_pair, step.pair_ends - z)
            out[i].append(shared)
            out[i - 1].append(shared)
        after = _advanced_back(after, begun, float(lattice.skip[i]))
    return out


def _advanced_back(after: Floats, starts: Floats, skip: float) -> Floats:
    from align.kernels import decode as kernel

    flipped = kernel.advance(np.ascontiguousarray(after[::-1]), np.ascontiguousarray(starts[::-1]), skip)
    return np.ascontiguousarray(flipped[::-1])


def best_spans(lattice: Lattice, spacing: int | None = None) -> npt.NDArray[np.int64]:
    """(n_notes, 2) the most probable placement of all; (-1, -1) for a note left out.

    Args:
        lattice, spacing: as for ``posteriors``.
    """
    out = np.full((len(lattice.skip), 2), -1, np.int64)
    _, steps = _backwards(lattice, forward_best, _best, spacing)
    t, taken = lattice.n_frames, -1
    for i, step in steps:
        if taken == i:  # on the span of the note behind it
            continue
        ends = step.own_ends if step.pair_ends is None else np.maximum(step.own_ends, step.pair_ends)
        end = int(np.argmax(ends[: t + 1]))
        if ends[end] <= 0.1 * NEVER or ends[end] <= step.row[t] + lattice.skip[i]:
            continue
        a = -1
        if step.own_ends[end] >= ends[end]:
            _, a = best_start(step.single, step.row, end)
        elif step.pair is not None:
            _, a = best_start(step.pair, step.previous, end)
            out[i - 1], taken = (a, end), i - 1
        out[i], t = (a, end), a
    return out

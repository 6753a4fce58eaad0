"""The semi-Markov programme that places notes in order, with "nothing" between them.

Every note takes a span [a, b) of frames with score

    V_i(a, b) = P_i[b] - P_i[a] + D_i[b - a] + M_i(a, b) + c[a] + c[b]

or is left out at the price ``skip[i]``, or shares one span with the next note (``items.pair_item``). ``P_i`` are
prefix sums of the frames' log odds against "nothing" (a frame of nothing scores 0), ``D_i`` the log probability of
its duration, ``M_i`` its time prior, once per note, ``c`` what an edge weighs (change points). A gap scores
nothing; a span has data at both ends, and crosses no gap that is longer than its note usually lasts. Notes keep their
order and never overlap.

``before[i, t]`` sums over all placements of notes 0..i-1 in the first t frames, ``after[i, t]`` over those of notes
i.. in frames t on; Z = before[n_notes, n] is the normaliser. Only every k-th row of ``before`` is kept (k about the
root of their number); the rows between are computed again on the way back, so that memory is O(n sqrt(n_notes)).
A row holds all edges only where notes are looked at edge by edge (see ``grids.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.grids import Grid, grids_of
from align.matching.items import (
    Part,
    backward,
    best_start,
    coarse_sums,
    forward,
    forward_best,
    pair_parts,
    single_parts,
)
from align.matching.lattice import Lattice
from align.matching.tables import Table, table_of

__all__ = ["best_spans", "log_normaliser", "posteriors"]

NEVER = -1e30
_KEPT = 4_000_000  # edges times meanings, of all notes, up to which every row is kept


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A row of the programme and the edges it holds."""

    grid: Grid
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """Note i on the way forward: rows i and i - 1, its own parts and those of the pair with note i - 1.

    ``skipped`` is row i on the edges of row i + 1; ``own_ends`` and ``pair_ends`` lie on them too.
    """

    row: _Row
    previous: _Row
    skipped: _Row
    single: list[Part]
    pair: list[Part]
    own_ends: Floats
    pair_ends: Floats


_Combine = Callable[[Sequence[Floats]], Floats]


@dataclass(frozen=True, slots=True)
class _Algebra:
    """How spans and rows are put together: by their sum or by their best."""

    spans: Callable[[Part, Floats], Floats]
    combine: _Combine
    advance: Callable[[Floats, Floats, float], Floats]


def _summed(rows: Sequence[Floats]) -> Floats:
    """Log of the sum of their exponentials, edge by edge."""
    if len(rows) == 1:
        return rows[0]
    top = np.maximum.reduce(rows)
    return top + np.log(sum(np.exp(row - top) for row in rows))


def _best(rows: Sequence[Floats]) -> Floats:
    """Edge by edge."""
    return np.maximum.reduce(rows)


def _advance(row: Floats, ends: Floats, skip: float) -> Floats:
    from align.kernels import decode as kernel

    return kernel.advance(row, ends, skip)


def _advance_best(row: Floats, ends: Floats, skip: float) -> Floats:
    return np.maximum(np.maximum.accumulate(ends), row + skip)


_SUM = _Algebra(forward, _summed, _advance)
_BEST = _Algebra(forward_best, _best, _advance_best)


def _spread(
    parts: Sequence[Part], row: _Row, grid: Grid, spans: Callable[[Part, Floats], Floats], combine: _Combine
) -> Floats:
    """What the parts' spans give, from the edges of ``row`` to those of ``grid``."""
    out = np.full(grid.size, NEVER)
    for _, alike in groupby(sorted(parts, key=_place), _place):
        same = list(alike)
        to, values = same[0].at(grid), row.values[same[0].at(row.grid)]
        out[to] = combine([out[to], combine([spans(part, values) for part in same])])
    return out


def _place(part: Part) -> tuple[bool, int, int, int]:
    """Parts with the same edges have the same."""
    return part.is_far, part.first, part.stride, len(part.start)


def _steps(
    lattice: Lattice, first: int, last: int, rows: tuple[_Row, _Row], plan: _Plan
) -> Iterator[tuple[_Step, tuple[_Row, _Row]]]:
    """Notes first..last-1 one after the other, each with rows (i, i + 1) behind it; ``rows`` are (first - 1, first)."""
    algebra = plan.algebra
    for i in range(first, last):
        single = single_parts(lattice, i, plan.sums, plan.stretches)
        pair = pair_parts(lattice, i - 1, plan.sums, plan.stretches)
        grid = plan.grids[i + 1]
        skipped = _Row(grid, rows[1].grid.moved(rows[1].values, grid))
        own = _spread(single, rows[1], grid, algebra.spans, algebra.combine)
        shared = _spread(pair, rows[0], grid, algebra.spans, algebra.combine) if pair else own
        ends = algebra.combine([own, shared]) if pair else own
        step = _Step(rows[1], rows[0], skipped, single, pair, own, shared)
        rows = rows[1], _Row(grid, algebra.advance(skipped.values, ends, float(lattice.skip[i])))
        yield step, rows


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What all steps of a lattice share."""

    grids: Sequence[Grid]
    sums: Floats
    stretches: npt.NDArray[np.int64]
    algebra: _Algebra

    @property
    def first_rows(self) -> tuple[_Row, _Row]:
        """Nothing lies before the first note."""
        row = _Row(self.grids[0], np.zeros(self.grids[0].size))
        return row, row


def _plan(lattice: Lattice, algebra: _Algebra) -> _Plan:
    grids = grids_of(lattice)
    return _Plan(grids, coarse_sums(lattice, grids[0].step), lattice.stretches, algebra)


def _backwards(
    lattice: Lattice, plan: _Plan, spacing: int | None
) -> tuple[_Row, Iterator[tuple[int, _Step]]]:
    """The last row, and the steps from the last note to the first."""
    n_notes = len(lattice.skip)
    held_edges = sum(plan.grids[i].size * lattice.n_meanings(i) for i in range(n_notes))
    usual = n_notes if held_edges <= _KEPT else int(np.ceil(np.sqrt(n_notes)))
    block = max(1, spacing or usual)
    rows = plan.first_rows
    marks = {0: rows}
    held: list[_Step] = []
    for first in range(0, n_notes, block):
        marks[first] = rows
        held = []
        for step, found in _steps(lattice, first, min(n_notes, first + block), rows, plan):
            rows = found
            if first + block >= n_notes:
                held.append(step)

    def steps() -> Iterator[tuple[int, _Step]]:
        kept = held
        for first in sorted(marks, reverse=True):
            last = min(n_notes, first + block)
            if last < n_notes:
                kept = [step for step, _ in _steps(lattice, first, last, marks[first], plan)]
            while kept:
                yield first + len(kept) - 1, kept.pop()

    return rows[1], steps()


def log_normaliser(lattice: Lattice) -> float:
    """Log of the sum of the weights of all placements: how well these notes in this order explain the frames.

    Args:
        lattice: as built.
    """
    plan = _plan(lattice, _SUM)
    last = plan.first_rows[1]
    for _, rows in _steps(lattice, 0, len(lattice.skip), plan.first_rows, plan):
        last = rows[1]
    return float(last.values[-1])


def posteriors(lattice: Lattice, spacing: int | None = None) -> list[list[Table]]:
    """For every note the posteriors of its own span and of those it shares with the next or the previous note.

    A note's own span comes first. The probabilities of a note's tables add up to that of its being placed.

    Args:
        lattice: as built.
        spacing: every how many rows one is kept; the answers do not depend on it. Default: by size.
    """
    out: list[list[Table]] = [[] for _ in lattice.skip]
    plan = _plan(lattice, _SUM)
    last_row, steps = _backwards(lattice, plan, spacing)
    z = float(last_row.values[-1])
    after = _Row(plan.grids[-1], np.zeros(plan.grids[-1].size))  # of the notes behind note i
    from_pair: Floats | None = None  # starts of the pair (i, i + 1)
    for i, step in steps:
        grid = step.row.grid
        starts = _spread(step.single, after, grid, backward, _summed)
        behind = after.grid, after.values
        out[i].insert(
            0,
            table_of(step.single, (grid, step.row.values - z, starts), (*behind, step.own_ends - z)),
        )
        begun = starts if from_pair is None else _summed([starts, from_pair])
        from_pair = None
        if step.pair:
            front = step.previous.grid
            from_pair = _spread(step.pair, after, front, backward, _summed)
            before = front, step.previous.values - z, from_pair
            shared = table_of(step.pair, before, (*behind, step.pair_ends - z))
            out[i].append(shared)
            out[i - 1].append(shared)
        moved = after.grid.moved(after.values, grid, back=True)
        after = _Row(grid, _advanced_back(moved, begun, float(lattice.skip[i])))
    return out


def _advanced_back(after: Floats, starts: Floats, skip: float) -> Floats:
    flipped = _advance(np.ascontiguousarray(after[::-1]), np.ascontiguousarray(starts[::-1]), skip)
    return np.ascontiguousarray(flipped[::-1])


def best_spans(lattice: Lattice, spacing: int | None = None) -> npt.NDArray[np.int64]:
    """(n_notes, 2) the most probable placement of all; (-1, -1) for a note left out.

    Args:
        lattice, spacing: as for ``posteriors``.
    """
    out = np.full((len(lattice.skip), 2), -1, np.int64)
    _, steps = _backwards(lattice, _plan(lattice, _BEST), spacing)
    t, taken = lattice.n_frames, -1
    for i, step in steps:
        if taken == i:  # on the span of the note behind it
            continue
        grid = step.skipped.grid
        here = grid.position(t)
        ends = np.maximum(step.own_ends[: here + 1], step.pair_ends[: here + 1])
        at = int(np.argmax(ends))
        if ends[at] <= 0.1 * NEVER or ends[at] <= step.skipped.values[here] + lattice.skip[i]:
            continue
        end = grid.edge(at)
        is_own = step.own_ends[at] >= ends[at]
        row = step.row if is_own else step.previous
        parts = step.single if is_own else step.pair
        _, a = max(best_start(part, row.values[part.at(row.grid)], end) for part in parts)
        if not is_own:
            out[i - 1], taken = (a, end), i - 1
        out[i], t = (a, end), a
    return out

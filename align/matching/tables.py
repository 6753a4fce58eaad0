"""What the posteriors say of one item's span: kept only where there is any probability, edge by edge or in strides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.items import Item, best_end, mass

__all__ = ["Table", "likeliest_from", "mass_near", "placed", "summed_edges", "table_of"]

Indices = npt.NDArray[np.int64]
_LEAST = 1e-10  # probability below which an edge is not kept
_LOG_LEAST = -23.0


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One item's posterior, p(a, b) = exp(starts[a] + durations[b - a] + M(a, b) + ends[b]).

    ``starts`` and ``ends`` of the edges from ``first`` on cover what is looked at edge by edge, ``far_starts`` and
    ``far_ends`` every stride-th edge from 0 on (stride 0: none). ``onset_at``, ``onset``: the edges at which the span
    may start, ascending, and how probably; ``offset_at``, ``offset``: likewise its end.
    """

    item: Item
    first: int
    starts: Floats
    ends: Floats
    far_starts: Floats
    far_ends: Floats
    onset_at: Indices
    onset: Floats
    offset_at: Indices
    offset: Floats

    @property
    def probability(self) -> float:
        """How probable it is that this span exists."""
        return float(min(1.0, self.onset.sum()))


def table_of(item: Item, before: Floats, after: Floats, starts: Floats, ends: Floats) -> Table:
    """The table of one item.

    Args:
        item: a note, or two on one span.
        before: (n + 1,) log sums of what lies before it, less the log normaliser.
        after: (n + 1,) log sums of what lies behind it.
        starts: (n + 1,) from ``backward``: the item's spans by their start, with what lies behind them.
        ends: (n + 1,) from ``forward`` on ``before``: by their end, with what lies before them.
    """
    onset_at, onset = _kept(before + starts)
    offset_at, offset = _kept(ends + after)
    near = slice(0, 0)
    if item.has_window and len(onset_at) and len(offset_at):
        window = item.window
        low = max(int(onset_at[0]), int(min(window[0], window[2])))
        high = min(int(offset_at[-1]), int(max(window[1], window[3])))
        near = slice(low, max(low, high + 1))
    step = item.stride or len(before) + 1
    has_far = 1 if item.stride else 0
    return Table(
        item.without_edges(),
        near.start,
        before[near] + item.start[near],
        after[near] + item.end[near],
        (before[::step] + item.start[::step])[: has_far * len(before)],
        (after[::step] + item.end[::step])[: has_far * len(before)],
        onset_at,
        onset,
        offset_at,
        offset,
    )


def _kept(log: Floats) -> tuple[Indices, Floats]:
    at = np.flatnonzero(log > _LOG_LEAST)
    return at, np.exp(np.minimum(0.0, log[at]))


def placed(tables: Sequence[Table]) -> float:
    """How probable it is that a note with these tables is placed at all."""
    return float(min(1.0, sum(table.probability for table in tables)))


def summed_edges(tables: Sequence[Table]) -> tuple[int, Floats, Floats]:
    """``(first, onset, offset)``: p(starts at edge first + k) and p(ends there), own and shared spans together."""
    kept = [at for table in tables for at in (table.onset_at, table.offset_at) if len(at)]
    first = min((int(at[0]) for at in kept), default=0)
    size = max((int(at[-1]) for at in kept), default=0) - first + 1
    onset, offset = np.zeros(size), np.zeros(size)
    for table in tables:
        onset[table.onset_at - first] += table.onset
        offset[table.offset_at - first] += table.offset
    return first, onset, offset


def mass_near(tables: Sequence[Table], span: tuple[float, float]) -> float:
    """Posterior mass of the spans whose intersection over union with ``span`` (frames) is at least 0.5."""
    total = 0.0
    for table in tables:
        if table.probability <= 1e-9:
            continue
        if len(table.starts):
            moved = table.item.counted_from(table.first, len(table.starts) - 1)
            near = span[0] - table.first, span[1] - table.first
            total += mass(moved, table.starts, table.ends, near, far=False)
        if len(table.far_starts):
            total += mass(table.item, table.far_starts, table.far_ends, span, far=True)
    return float(min(1.0, total))


def likeliest_from(table: Table, a: int) -> tuple[float, int]:
    """Log probability and end of the most probable span that starts at edge a; (NEVER, a) without one."""
    best = -1e30, a
    if 0 <= a - table.first < len(table.starts):
        moved = table.item.counted_from(table.first, len(table.starts) - 1)
        value, b = best_end(moved, table.starts, table.ends, a - table.first, far=False)
        best = value, b + table.first
    if len(table.far_starts) and a % table.item.stride == 0:
        best = max(best, best_end(table.item, table.far_starts, table.far_ends, a, far=True))
    return best

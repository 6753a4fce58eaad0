"""What the posteriors say of one item's span: kept only where there is any probability, edge by edge or in strides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.grids import Grid
from align.matching.items import Part, best_end, mass

__all__ = ["Table", "between_edges", "likeliest_from", "mass_near", "placed", "summed_edges", "table_of"]

Indices = npt.NDArray[np.int64]
_LEAST = 1e-10  # probability below which an edge is not kept
_LOG_LEAST = -23.0


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One item's posterior, in each of its parts p(a, b) = exp(starts[a] + durations[b - a] + M(a, b) + ends[b]).

    ``parts``: each with its ``starts`` and ``ends``. ``onset_at``, ``onset``: the edges at which the span may start,
    ascending, and how probably; ``offset_at``, ``offset``: likewise its end.
    """

    parts: tuple[tuple[Part, Floats, Floats], ...]
    onset_at: Indices
    onset: Floats
    offset_at: Indices
    offset: Floats

    @property
    def probability(self) -> float:
        """How probable it is that this span exists."""
        return float(min(1.0, self.onset.sum()))


def table_of(
    parts: Sequence[Part], before: tuple[Grid, Floats, Floats], after: tuple[Grid, Floats, Floats]
) -> Table:
    """The table of one item.

    Args:
        parts: of a note, or of two on one span.
        before: the grid of the row in front of it, the log sums of what lies there, less the log normaliser, and
            the item's spans by their start, with what lies behind them.
        after: the grid of the row behind it, the log sums of what lies there, and the item's spans by their end,
            with what lies before them, less the log normaliser.
    """
    onset_at, onset = _kept(before[0], before[1] + before[2])
    offset_at, offset = _kept(after[0], after[1] + after[2])
    held = []
    for part in parts:
        starts = before[1][part.at(before[0])] + part.start
        ends = after[1][part.at(after[0])] + part.end
        if part.is_far:
            held.append((part.between(0, len(starts) - 1), starts, ends))
        elif len(onset_at) and len(offset_at):
            low = max(0, int(onset_at[0]) - part.first)
            high = min(len(starts) - 1, int(offset_at[-1]) - part.first)
            if low < high:
                near = slice(low, high + 1)
                held.append((part.between(low, high), starts[near].copy(), ends[near].copy()))
    return Table(tuple(held), onset_at, onset, offset_at, offset)


def _kept(grid: Grid, log: Floats) -> tuple[Indices, Floats]:
    at = np.flatnonzero(log > _LOG_LEAST)
    return grid.edges()[at], np.exp(np.minimum(0.0, log[at]))


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


def between_edges(
    tables: Sequence[Sequence[Table]], spans: Indices, observed: npt.NDArray[np.bool_]
) -> Floats:
    """(n_notes, 2) the spans with boundaries between the edges of the grid, within half a frame of those found and a
    quarter of the span.

    A boundary is where the posterior expects it among that edge and its two neighbours, as the centre of a peak is
    found below the step of its samples. Notes that share a span still do, and spans that met at an edge still meet.

    Args:
        tables: of every note.
        spans: (n_notes, 2) edges, in order; -1: not placed.
        observed: (n_frames,) a boundary does not move into a frame without data.
    """
    out = spans.astype(np.float64)
    for k, (own, span) in enumerate(zip(tables, spans.tolist(), strict=True)):
        if span[0] >= 0:
            first, onset, offset = summed_edges(own)
            most = min(0.5, 0.25 * (span[1] - span[0]))
            for side, weights in enumerate((onset, offset)):
                moved = _expected(weights, first, span[side], observed) - span[side]
                out[k, side] += min(most, max(-most, moved))
    places, which = np.unique(spans, axis=0, return_inverse=True)
    which = which.reshape(-1)
    own_mean = np.stack([out[which == k].mean(axis=0) for k in range(len(places))]) if len(places) else out
    meets = np.flatnonzero((places[:-1, 1] == places[1:, 0]) & (places[:-1, 0] >= 0))
    own_mean[meets, 1] = own_mean[meets + 1, 0] = 0.5 * (own_mean[meets, 1] + own_mean[meets + 1, 0])
    found, is_placed = own_mean[which], spans[:, 0] >= 0
    found[is_placed] = np.maximum.accumulate(found[is_placed], axis=0)  # spans that overlap stay in order
    return found


def _expected(weights: Floats, first: int, edge: int, observed: npt.NDArray[np.bool_]) -> float:
    """The mean of an edge and its neighbours under their weights."""
    low, high = (0 <= k < len(observed) and bool(observed[k]) for k in (edge - 1, edge))
    at = np.arange(edge - low, edge + high + 1)
    at = at[(at >= first) & (at < first + len(weights))]
    known = weights[at - first]
    return float((known * at).sum() / known.sum()) if known.sum() > 0.0 else float(edge)


def mass_near(tables: Sequence[Table], span: tuple[float, float]) -> float:
    """Posterior mass of the spans whose intersection over union with ``span`` (frames) is at least 0.5."""
    total = 0.0
    for table in tables:
        if table.probability <= 1e-9:
            continue
        total += sum(mass(part, starts, ends, span) for part, starts, ends in table.parts)
    return float(min(1.0, total))


def likeliest_from(table: Table, a: int) -> tuple[float, int]:
    """Log probability and end of the most probable span that starts at edge a; (NEVER, a) without one."""
    found = [best_end(part, starts, ends, a) for part, starts, ends in table.parts]
    return max(found, default=(-1e30, a))

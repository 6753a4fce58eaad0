"""What the posteriors say of one note's span: how probable it is, where its edges lie, where else it could be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from align.answers import Edge, Evidence, Link
from align.datatypes import Floats
from align.matching.tables import Table, likeliest_from, mass_near, placed, summed_edges

__all__ = ["SURE", "link_of", "other_places"]

ALTERNATIVES = 3
SURE = 0.5
_LEAST = 0.01  # probability below which an alternative is not worth a line
_TRIED = 64  # starts whose best span is looked at for alternatives
_TAIL = 0.05  # of each side of the interval of an edge
_CLOSE_S = 1.0


def link_of(
    tables: Sequence[Table], span: tuple[float, float] | None, evidence: Evidence, first: int = 0
) -> Link:
    """The answer for one note.

    Args:
        tables: the note's, from ``posteriors``.
        span: edges of the answer, not necessarily whole, or None: unmatched.
        evidence: the frame grid and the streams.
        first: edge of that grid from which the tables and the span count.
    """
    origin = evidence.first + first
    others = [(*_seconds(c, origin, evidence.hop), mass_near(tables, c)) for c in other_places(tables, span)]
    others = sorted((o for o in others if o[2] >= _LEAST), key=lambda o: -o[2])[:ALTERNATIVES]
    if span is None:
        return Link("unmatched", None, 1.0 - placed(tables), tuple(others))
    p = mass_near(tables, span)
    return Link(
        "aligned" if p >= SURE else "ambiguous",
        _seconds(span, origin, evidence.hop),
        p,
        tuple(others),
        evidence.streams,
        edges=_edges(tables, span, origin, evidence.hop),
    )


def _edges(tables: Sequence[Table], span: tuple[float, float], origin: int, hop: float) -> tuple[Edge, Edge]:
    first, onset, offset = summed_edges(tables)
    seconds = np.asarray((origin + first + np.arange(len(onset))) * hop, np.float64)
    return (
        _edge(onset, seconds, (origin + span[0]) * hop, hop),
        _edge(offset, seconds, (origin + span[1]) * hop, hop),
    )


def _edge(weights: Floats, seconds: Floats, answer: float, hop: float) -> Edge:
    """An edge between two frames lies anywhere within half a frame of it.

    The interval is that of a note which is placed; the probability also counts that it may not be.
    """
    below = np.concatenate([[0.0], np.cumsum(weights)]) / max(float(weights.sum()), 1e-300)
    low, high = np.interp([_TAIL, 1.0 - _TAIL], below, np.append(seconds, seconds[-1] + hop) - 0.5 * hop)
    shared = np.minimum(seconds + 0.5 * hop, answer + _CLOSE_S)
    shared -= np.maximum(seconds - 0.5 * hop, answer - _CLOSE_S)
    close = float((weights * np.clip(shared / hop, 0.0, 1.0)).sum())
    return Edge(float(min(low, answer)), float(max(high, answer)), min(1.0, close))


def other_places(tables: Sequence[Table], answer: tuple[float, float] | None) -> list[tuple[float, float]]:
    """The best few (start, end) that overlap neither the answer nor one another, best first.

    Args:
        tables: the note's, from ``posteriors``.
        answer: edges of the answer, if any.
    """
    own = tables[0]
    free = own.onset.copy()
    if answer is not None:  # a span that starts here is mostly the answer again
        reach = (answer[1] - answer[0]) // 2
        free[(own.onset_at >= answer[0] - reach) & (own.onset_at < answer[1])] = 0.0
    starts = np.argsort(-free, kind="stable")[:_TRIED]
    found = [(int(a), *likeliest_from(own, int(a))) for a in own.onset_at[starts[free[starts] > 0.0]]]
    chosen: list[tuple[float, float]] = [] if answer is None else [answer]
    n_known = len(chosen)
    for a, _, b in sorted(found, key=lambda f: -f[1]):
        if b > a and all(b <= other[0] or a >= other[1] for other in chosen):
            chosen.append((a, b))
        if len(chosen) - n_known == ALTERNATIVES:
            break
    return chosen[n_known:]


def _seconds(span: tuple[float, float], origin: int, hop: float) -> tuple[float, float]:
    return (origin + span[0]) * hop, (origin + span[1]) * hop

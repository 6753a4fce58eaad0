"""How closely the decoder looks where: every edge while that is cheap, else every g-th and, around what it finds, all.

Looking at all spans of a note costs frames x durations. Where that is more than a note's share of ``BUDGET``, every
g-th edge stands for those around it (never so coarse that a usual span is under ``_CELLS`` strides). What the
posterior says on that grid opens a window for each note: all edges within it are looked at, the far field stays on
the coarse grid. So no place is ruled out, however wrong a time is; what is lost is the detail of places that hold
about 1 % of the probability (two posteriors differ by that much, see tests), and meanings of words never heard that
hold next to none. A span found on the coarse grid is at last moved to its best edges within a stride.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.items import probability
from align.matching.lattice import Lattice, repriced
from align.matching.programme import best_spans, posteriors
from align.matching.tables import Table, placed, summed_edges

__all__ = ["BUDGET", "narrowed", "planned", "refined_spans", "searched"]

Indices = npt.NDArray[np.int64]
HARDLY = -1e29
BUDGET = 3e8  # pairs of edges that one pass over all notes may look at
_CELLS = 6  # strides that a usual span has at least
_TAIL = 0.005  # probability beyond each side of a window
_MARGIN = 2  # strides around it
_LEAST = 1e-4  # probability of a meaning below which it is not looked at again


def searched(lattice: Lattice, budget: float = BUDGET) -> tuple[Lattice, list[list[Table]]]:
    """The lattice as it is best looked at, and the posteriors on it.

    A first look says which notes are about nothing here; what a place costs is then reckoned without them.

    Args:
        lattice: as built.
        budget: pairs of edges a pass.
    """
    lattice = planned(lattice, budget)
    if lattice.stride.any():
        lattice = _opened(lattice, budget)
        return lattice, posteriors(lattice)
    found = posteriors(lattice)
    again = _repriced(lattice, found)
    return again, found if again is lattice else posteriors(again)


def _repriced(lattice: Lattice, found: Sequence[Sequence[Table]]) -> Lattice:
    return repriced(lattice, np.asarray([placed(own) for own in found], np.float64))


def _opened(lattice: Lattice, budget: float) -> Lattice:
    """The planned lattice with windows where its posteriors say so; all edges of no use to any note are left out."""
    g = int(lattice.stride.min())
    if g < 2:
        found = posteriors(lattice)
        return narrowed(_after(lattice, found), [summed_edges(own) for own in found], budget)
    thin = lattice.thinned(g)
    thin.stride[thin.stride == 1] = 0
    is_far = thin.stride > 0
    thin.windows[is_far] = 0, -1, 0, -1
    found = posteriors(thin)
    edges = []
    for own in found:
        first, onset, offset = summed_edges(own)
        apart = np.zeros((2, g * (len(onset) - 1) + 1))
        apart[:, ::g] = onset, offset
        edges.append((first * g, apart[0], apart[1]))
    return narrowed(_after(lattice, found), edges, budget)


def _after(lattice: Lattice, found: Sequence[Sequence[Table]]) -> Lattice:
    """The same with places at their price, and without the meanings that hold next to no probability."""
    lattice = _repriced(lattice, found)
    meanings = lattice.meanings
    if meanings is None:
        return lattice
    shares = np.zeros(meanings.weights.shape)
    for row, own in zip(shares, found, strict=True):
        for part, starts, ends in own[0].parts:
            if part.meaning >= 0:
                row[part.meaning] += probability(part, starts, ends)
    return dataclasses.replace(lattice, meanings=meanings.without(shares < _LEAST))


def planned(lattice: Lattice, budget: float = BUDGET) -> Lattice:
    """The same with a stride for every note whose spans are too many to look at."""
    n, n_notes = lattice.n_frames, len(lattice.skip)
    stride, windows = lattice.stride.copy(), lattice.windows.copy()
    share = budget / max(1, n_notes)
    for i in range(n_notes):
        allowed = np.flatnonzero(lattice.durations[i] > HARDLY)
        if not len(allowed) or windows[i].tolist() != [0, n, 0, n]:
            continue
        usual = int(allowed[np.argmax(lattice.durations[i, allowed] + np.log(allowed))])
        work, g = float(n) * float(np.ptp(allowed) + 1) * lattice.n_meanings(i), 1
        while work / g**2 > share and 2 * g * _CELLS <= usual:
            g *= 2
        if g > 1:
            stride[i], windows[i] = g, (0, -1, 0, -1)
    return dataclasses.replace(lattice, stride=stride, windows=windows)


def narrowed(
    lattice: Lattice, edges: Sequence[tuple[int, Floats, Floats]], budget: float = BUDGET
) -> Lattice:
    """The same with a window, for every note that has a stride, around where it probably starts and ends.

    Args:
        lattice: as planned.
        edges: for every note the first edge and from there on the probabilities of its start and of its end.
        budget: pairs of edges a pass; a note that would need more keeps to the coarse grid.
    """
    windows = lattice.windows.copy()
    share = budget / max(1, len(lattice.skip))
    for i, (first, onset, offset) in enumerate(edges):
        g = int(lattice.stride[i])
        if g == 0 or onset.sum() <= 0.0:
            continue
        for tail in (_TAIL, 10 * _TAIL):
            low_start, high_start = _between(onset, first, g, tail, lattice.n_frames)
            low_end, high_end = _between(offset, first, g, tail, lattice.n_frames)
            if (high_start - low_start) * (high_end - low_end) <= share:
                windows[i] = low_start, high_start, low_end, high_end
                break
    return dataclasses.replace(lattice, windows=windows)


def _between(weights: Floats, first: int, g: int, tail: float, n: int) -> tuple[int, int]:
    """Whole strides that hold all but ``tail`` on each side, and a margin."""
    share = np.cumsum(weights) / weights.sum()
    low, high = np.searchsorted(share, [tail, 1.0 - tail])
    top = n // g * g
    return (
        int(max(0, ((first + low) // g - _MARGIN) * g)),
        int(min(top, (-(-(first + min(high, len(weights) - 1)) // g) + _MARGIN) * g)),
    )


def refined_spans(lattice: Lattice) -> Indices:
    """(n_notes, 2) the best placement; spans found on the coarse grid move to their best edges within a stride."""
    spans = best_spans(lattice)
    inside = (spans >= lattice.windows[:, ::2]) & (spans <= lattice.windows[:, 1::2])
    if (inside.all(axis=1) | (lattice.stride == 0) | (spans[:, 0] < 0)).all():
        return spans
    windows = np.zeros_like(lattice.windows)
    reach = lattice.stride
    for k, edge in enumerate(spans.T):
        windows[:, 2 * k] = np.maximum(0, edge - reach)
        windows[:, 2 * k + 1] = np.where(edge < 0, -1, np.minimum(lattice.n_frames, edge + reach))
    close = dataclasses.replace(lattice, windows=windows, stride=np.zeros_like(lattice.stride))
    return best_spans(close)

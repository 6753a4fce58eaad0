"""Spans whose time may not point anywhere into them (``Evidence.reach`` < 1): sums and maxima, span by span.

Such a time prior, ``M(a, b) = -0.5 (max(0, |m - centre| - half - reach (b - a) / 2) / sd)^2`` with the middle
``m = (a + b) / 2``, never below ``-floor``, is no function of a plus a function of b, so no row of durations holds
for all starts. Training always says reach 1; for other models every duration is one pass over the edges.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["mass_near", "span_maxima", "span_sums", "time_weight"]

Indices = npt.NDArray[np.int64]
NEVER = -1e30
HARDLY = -1e29
_CLOSE = 1e-12


def time_weight(priors: Floats, a: Indices, b: Indices | int) -> Floats:
    """Sum of M(a, b) over all priors.

    Args:
        priors: (k, 5) centre, half width, deviation (> 0), floor and reach, in frames but for the last two.
        a, b: edges, alike in shape.
    """
    out = np.zeros(np.shape(a))
    for centre, half, sd, floor, reach in priors:
        off = np.maximum(0.0, np.abs(0.5 * (a + b) - centre) - half - 0.5 * reach * (b - a)) / sd
        out += np.maximum(-0.5 * off * off, -floor)
    return out


def _by_duration(
    starts: Floats, durations: Floats, priors: Floats, runs: Indices, areas: Indices
) -> Iterator[tuple[Indices, Indices, Floats]]:
    """Starts, ends and scores of all spans of each duration, of the box ``areas[0]`` without the hole ``areas[1]``."""
    box, hole = areas
    until = np.full(len(starts), -1, np.int64)  # the last edge of the run that an edge lies in
    for first, last in runs:
        until[first : last + 1] = last
    a = np.flatnonzero(starts > HARDLY)
    a = a[(a >= box[0]) & (a <= box[1])]
    for length in np.flatnonzero(durations > HARDLY):
        b = a + length
        holed = (a >= hole[0]) & (a <= hole[1]) & (b >= hole[2]) & (b <= hole[3])
        kept = (b <= until[a]) & (b >= box[2]) & (b <= box[3]) & ~holed
        if length and kept.any():
            low, high = a[kept], b[kept]
            yield low, high, starts[low] + durations[length] + time_weight(priors, low, high)


def span_sums(starts: Floats, durations: Floats, priors: Floats, runs: Indices, areas: Indices) -> Floats:
    """As the kernel of that name, with time priors in the score.

    Args:
        starts, durations, runs: as for the kernel.
        priors: as for ``time_weight``.
        areas: (2, 4) box and hole.
    """
    out = np.full(len(starts), NEVER)
    for _, b, value in _by_duration(starts, durations, priors, runs, areas):
        out[b] = np.logaddexp(out[b], value)
    return out


def span_maxima(starts: Floats, durations: Floats, priors: Floats, runs: Indices, areas: Indices) -> Floats:
    """The same with the maximum in place of the log sum.

    Args:
        starts, durations, priors, runs, areas: as for ``span_sums``.
    """
    out = np.full(len(starts), NEVER)
    for _, b, value in _by_duration(starts, durations, priors, runs, areas):
        out[b] = np.maximum(out[b], value)
    return out


def mass_near(
    edges: tuple[Floats, Floats],
    durations: Floats,
    priors: Floats,
    runs: Indices,
    areas: Indices,
    span: tuple[float, float],
) -> float:
    """As the kernel of that name, with time priors in the score.

    Args:
        edges: (n + 1,) each, log weight of a start and of an end at each edge.
        durations, priors, runs, areas: as for ``span_sums``.
        span: edges, start < end, not necessarily whole.
    """
    starts, ends = edges
    total = 0.0
    for a, b, value in _by_duration(starts, durations, priors, runs, areas):
        shared = np.minimum(b, span[1]) - np.maximum(a, span[0])
        whole = np.maximum(b, span[1]) - np.minimum(a, span[0])
        near = shared >= (0.5 - _CLOSE) * whole
        total += float(np.exp(value[near] + ends[b[near]]).sum())
    return min(1.0, total)

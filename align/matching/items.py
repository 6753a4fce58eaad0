"""One note's spans, or those of two notes that share one, as the kernels read them: every edge or every g-th."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching import inner_times
from align.matching.duration_prior import NEVER, thin_durations, weighted
from align.matching.grids import Grid
from align.matching.lattice import Lattice

__all__ = [
    "Part",
    "backward",
    "best_end",
    "best_start",
    "coarse_sums",
    "forward",
    "forward_best",
    "mass",
    "pair_parts",
    "probability",
    "single_parts",
]

Indices = npt.NDArray[np.int64]
HARDLY = -1e29
_NO_BOX = np.asarray([0, -1, 0, -1], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some spans of an item: V(a, b) = start[a] + durations[b - a] + M(a, b) + end[b].

    Its edges are ``first``, ``first + stride``, ...: those of a window, or every stride-th of all; within the part
    they count 0, 1, .... ``start``, ``end`` (edges,); ``durations`` (longest + 1,) log weights, ``whole`` those of
    the best span; ``priors`` (k, 5) those time priors that are no sum of a start's and an end's (reach < 1);
    ``runs`` (n_runs, 2); ``areas`` (2, 4) where spans may lie, and the hole in it that another part holds.
    ``meaning``: which one its spans have (``lattice.meanings``), -1: what the note says.
    """

    start: Floats
    end: Floats
    durations: Floats
    whole: Floats
    priors: Floats
    runs: Indices
    areas: Indices
    first: int
    stride: int
    is_far: bool
    meaning: int

    def at(self, grid: Grid) -> slice | Indices:
        """Where in a row of ``grid`` its edges lie."""
        if self.is_far:
            return grid.far(self.stride, len(self.start))
        return grid.near(self.first, len(self.start))

    def between(self, low: int, high: int) -> Part:
        """The same from its edge ``low`` to ``high`` alone, without its edges' weights."""
        runs, priors = _counted_from(self.runs, self.priors, low, high)
        none = np.zeros(0)
        areas = self.areas - low
        return replace(
            self, start=none, end=none, runs=runs, priors=priors, areas=areas, first=self.first + low
        )


def _counted_from(runs: Indices, priors: Floats, low: int, high: int) -> tuple[Indices, Floats]:
    runs = np.clip(runs - low, 0, high - low)
    return np.ascontiguousarray(runs[runs[:, 1] > runs[:, 0]]), priors - np.asarray([low, 0, 0, 0, 0])


def coarse_sums(lattice: Lattice, step: int) -> Floats:
    """(rows, n // step + 1) prefix sums of the log odds at every step-th edge, no columns where no note needs it.

    One row per note, then one per meaning.

    Args:
        lattice: as built.
        step: in frames.
    """
    n = lattice.n_frames // step if lattice.stride.any() else -1
    rows = [lattice.odds[column] for column in lattice.columns]
    rows += [] if lattice.meanings is None else list(lattice.meanings.odds)
    out = np.zeros((len(rows), n + 1))
    for sums, odds in zip(out, rows, strict=True):
        if n > 0:
            cells = odds[: n * step].reshape(n, step)
            np.cumsum(cells.sum(axis=1, dtype=np.float64), out=sums[1:])
    return out


def bridged(stretches: Indices, most: float) -> Indices:
    """(n_runs, 2) the same, those between which a gap is not too long as one: what a span may lie on.

    Args:
        stretches: (n, 2) first and last edge of every unbroken stretch of data, ascending.
        most: frames of a gap.
    """
    if not len(stretches):
        return stretches
    apart = stretches[1:, 0] - stretches[:-1, 1] > most
    return np.column_stack([stretches[np.append(True, apart), 0], stretches[np.append(apart, True), 1]])


def single_parts(lattice: Lattice, i: int, sums: Floats, stretches: Indices) -> list[Part]:
    """Note i by itself: what its words say, and whatever else it may mean.

    Args:
        lattice: as built.
        i: its row.
        sums: ``coarse_sums`` of the lattice.
        stretches: ``lattice.stretches``. A span goes across a gap that is no longer than its note usually lasts.
    """
    runs = bridged(stretches, float(lattice.places[i, 0]))
    place, meanings = (lattice.windows[i], int(lattice.stride[i])), lattice.meanings
    rows, durations = [lattice.odds[lattice.columns[i]]], lattice.durations[i]
    if meanings is None:
        said = [_Said(rows, sums[[i]], durations)]
    else:
        said = [_Said(rows, sums[[i]], weighted(durations, float(meanings.own[i])))]
        for k, others in meanings.of(i):
            said.append(_Said([meanings.odds[k]], sums[[len(lattice.columns) + k]], others, k))
    return _parts(lattice, said, runs, lattice.priors[[i]], place)


def pair_parts(lattice: Lattice, i: int, sums: Floats, stretches: Indices) -> list[Part]:
    """Notes i and i + 1 on one span; none where they cannot share one.

    One event: the mean of both notes' log odds (a frame counts once), the geometric mean of both durations, the
    price of one place, the larger of the two, and both time priors.

    Args:
        lattice, i, sums, stretches: as for ``single_parts``.
    """
    if i < 0 or lattice.share[i] <= HARDLY:
        return []
    one, two = lattice.durations[i], lattice.durations[i + 1]
    allowed = (one > HARDLY) & (two > HARDLY)
    if not allowed.any():
        return []
    both = np.where(allowed, 0.5 * (one + two), NEVER)
    price = max(_log_sum(one), _log_sum(two))
    both[allowed] += price - _log_sum(both) + lattice.share[i]
    first, second = lattice.windows[i], lattice.windows[i + 1]
    window = np.maximum(first, second)
    window[1::2] = np.minimum(first, second)[1::2]
    full = [0, lattice.n_frames, 0, lattice.n_frames]
    pinned = [k for k in (i, i + 1) if lattice.stride[k] == 0 and lattice.windows[k].tolist() != full]
    stride = 0 if pinned else int(lattice.stride[i : i + 2].max())
    said = _Said([lattice.odds[column] for column in lattice.columns[i : i + 2]], sums[i : i + 2], both)
    runs = bridged(stretches, float(lattice.places[i : i + 2, 0].min()))
    return _parts(lattice, [said], runs, lattice.priors[i : i + 2], (window, stride))


def _log_sum(log: Floats) -> float:
    top = float(log.max())
    return top + float(np.log(np.exp(log - top).sum()))


@dataclass(frozen=True, slots=True)
class _Said:
    """What spans of one meaning are made of: the mean of some ``rows`` of log odds, of which ``sums`` are the coarse
    sums, and their ``durations``."""

    rows: Sequence[npt.NDArray[np.float32]]
    sums: Floats
    durations: Floats
    meaning: int = -1


def _parts(
    lattice: Lattice, said: Sequence[_Said], runs: Indices, priors: Floats, place: tuple[Indices, int]
) -> list[Part]:
    """All spans of one item, of each meaning those in its window and the others; ``place``: window, stride."""
    window, stride = place
    priors = priors[priors[:, 2] > 0]
    has_window = window[0] <= window[1] and window[2] <= window[3]
    out = []
    if has_window:
        low, high = int(min(window[0], window[2])), int(max(window[1], window[3]))
        inner, moved = _counted_from(runs, priors, low, high)
        areas = np.stack([window - low, _NO_BOX])
        start, end, rest = _edges(lattice.gain[low : high + 1], moved, lattice.observed[low:high])
        for one in said:
            prefix = np.zeros(high - low + 1)
            for row in one.rows:
                prefix[1:] += np.cumsum(row[low:high], dtype=np.float64) / len(one.rows)
            durations = np.ascontiguousarray(one.durations)
            edges = start - prefix, end + prefix
            out.append(Part(*edges, durations, durations, rest, inner, areas, low, 1, False, one.meaning))
    if stride:
        step = int(np.gcd.reduce(lattice.stride[lattice.stride > 0]))
        inner = np.column_stack([-(-runs[:, 0] // stride), runs[:, 1] // stride])
        inner = np.ascontiguousarray(inner[inner[:, 1] > inner[:, 0]])
        last = (said[0].sums.shape[1] - 1) // (stride // step)
        hole = window // stride if has_window else _NO_BOX
        areas = np.stack([np.asarray([0, last, 0, last]), hole]).astype(np.int64)
        moved = priors / np.asarray([stride, stride, stride, 1.0, 1.0])
        cells = lattice.observed[: lattice.n_frames // stride * stride].reshape(-1, stride).any(axis=1)
        start, end, rest = _edges(lattice.gain[::stride], moved, np.asarray(cells, np.bool_))
        for one in said:
            prefix = one.sums[:, :: stride // step]
            prefix = prefix[0] if len(prefix) == 1 else prefix.mean(axis=0)
            coarse = thin_durations(one.durations, stride)
            whole = np.ascontiguousarray(one.durations[::stride])
            if not (whole[1:] > HARDLY).any():
                whole = coarse  # no duration is a whole stride: any coarse span stands for the item
            edges = start - prefix, end + prefix
            out.append(Part(*edges, coarse, whole, rest, inner, areas, 0, stride, True, one.meaning))
    return out


def _edges(gain: Floats, priors: Floats, observed: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """What a start and an end weigh at each edge, frames aside, and the time priors that are no sum of the two.

    A span's first frame and its last have data (``observed``), whatever lies between.
    """
    start, end = gain.copy(), gain.copy()
    edges = np.arange(len(gain))
    split = priors[:, 4] >= 1.0
    for centre, half, sd, floor, _ in priors[split]:
        # with reach 1 only one side of the span can lie off: its end before the time or its start behind it
        end += np.maximum(-0.5 * (np.maximum(0.0, centre - half - edges) / sd) ** 2, -floor)
        start += np.maximum(-0.5 * (np.maximum(0.0, edges - centre - half) / sd) ** 2, -floor)
    start[:-1][~observed] = end[1:][~observed] = NEVER
    return start, end, np.ascontiguousarray(priors[~split])


def _mirrored(box: Indices, last: int) -> Indices:
    return np.asarray([last - box[3], last - box[2], last - box[1], last - box[0]], np.int64)


def _sums(
    row: Floats, durations: Floats, priors: Floats, runs: Indices, areas: Indices, back: bool
) -> Floats:
    """``span_sums`` over a box with a hole, from starts to ends or, mirrored, from ends to starts."""
    from align.kernels import decode as kernel

    if back:
        last = len(row) - 1
        flipped = priors.copy()
        flipped[:, 0] = last - flipped[:, 0]
        runs = np.ascontiguousarray(last - runs[::-1, ::-1])
        areas = np.stack([_mirrored(area, last) if area[0] <= area[1] else _NO_BOX for area in areas])
        return _sums(np.ascontiguousarray(row[::-1]), durations, flipped, runs, areas, False)[::-1]
    if len(priors):
        return inner_times.span_sums(row, durations, priors, runs, areas)
    return kernel.span_sums(row, durations, runs, areas[0], areas[1])


def forward(part: Part, row: Floats) -> Floats:
    """(edges,) log sum over the part's spans that end at each edge, given the log sums of what lies before.

    Args:
        part: of a note, or of two on one span.
        row: (edges,) log sum over all that may lie before each edge.
    """
    found = _sums(row + part.start, part.durations, part.priors, part.runs, part.areas, False)
    return np.maximum(NEVER, found + part.end)


def backward(part: Part, row: Floats) -> Floats:
    """(edges,) log sum over the part's spans that start at each edge, given the log sums of what lies behind."""
    found = _sums(row + part.end, part.durations, part.priors, part.runs, part.areas, True)
    return np.maximum(NEVER, found + part.start)


def forward_best(part: Part, row: Floats) -> Floats:
    """(edges,) as ``forward``, the best span in place of the sum over all."""
    from align.kernels import decode as kernel

    starts = row + part.start
    if len(part.priors):
        areas = np.stack([part.areas[0], _NO_BOX])
        found = inner_times.span_maxima(starts, part.whole, part.priors, part.runs, areas)
    else:
        found = kernel.span_maxima(starts, part.whole, part.runs, part.areas[0])
    return np.maximum(NEVER, found + part.end)


def best_start(part: Part, row: Floats, end: int) -> tuple[float, int]:
    """The best start of a span that ends at ``end``, and its value, which ``forward_best`` gave; else (NEVER, -1).

    Args:
        part, row: as for ``forward_best``.
        end: an edge of the whole row.
    """
    b, off = divmod(end - part.first, part.stride)
    box = part.areas[0]
    run = int(np.searchsorted(part.runs[:, 1], b))
    if off or not box[2] <= b <= box[3] or run == len(part.runs):
        return NEVER, -1
    low = max(int(part.runs[run, 0]), int(box[0]), b - len(part.whole) + 1)
    a = np.arange(min(b - 1, int(box[1])), low - 1, -1)  # of equals the shortest
    if not len(a):
        return NEVER, -1
    values = row[a] + part.start[a] + part.whole[b - a] + inner_times.time_weight(part.priors, a, b)
    at = int(np.argmax(values))
    return float(values[at] + part.end[b]), part.first + int(a[at]) * part.stride


def mass(part: Part, starts: Floats, ends: Floats, span: tuple[float, float]) -> float:
    """Posterior mass of the part's spans whose intersection over union with ``span`` is at least 0.5.

    Args:
        part: of a note, or of two on one span.
        starts, ends: (edges,) log weights that give the posterior: starts[a] + durations[b - a] + M(a, b) + ends[b].
        span: edges of the whole row, start < end, not necessarily whole.
    """
    from align.kernels import decode as kernel

    where = (span[0] - part.first) / part.stride, (span[1] - part.first) / part.stride
    if len(part.priors):
        edges = starts, ends
        return inner_times.mass_near(edges, part.durations, part.priors, part.runs, part.areas, where)
    return kernel.mass_near(starts, ends, part.durations, part.runs, part.areas, where)


def probability(part: Part, starts: Floats, ends: Floats) -> float:
    """That the item has one of the part's spans.

    Args:
        part, starts, ends: as for ``mass``.
    """
    behind = _sums(ends, part.durations, part.priors, part.runs, part.areas, True)
    return float(min(1.0, np.exp(np.minimum(0.0, starts + behind)).sum()))


def best_end(part: Part, starts: Floats, ends: Floats, start: int) -> tuple[float, int]:
    """Log probability and end of the most probable span that starts at an edge; (NEVER, start) without one.

    Args:
        part, starts, ends: as for ``mass``.
        start: an edge of the whole row.
    """
    a, off = divmod(start - part.first, part.stride)
    box = part.areas[0]
    if off or not 0 <= a < len(starts) or not box[0] <= a <= box[1]:
        return NEVER, start
    run = int(part.runs[:, 1].searchsorted(a, side="right"))
    if run == len(part.runs) or a < part.runs[run, 0]:
        return NEVER, start
    low = max(a + 1, int(box[2]))
    high = min(int(part.runs[run, 1]), int(box[3]), a + len(part.durations) - 1, len(ends) - 1)
    if low > high:
        return NEVER, start
    value = part.durations[low - a : high + 1 - a] + ends[low : high + 1]
    if len(part.priors):
        b = np.arange(low, high + 1)
        value = value + inner_times.time_weight(part.priors, np.full(len(b), a), b)
    best = int(value.argmax())
    return float(starts[a] + value[best]), part.first + (low + best) * part.stride

"""One note's spans, or those of two notes that share one, as the kernels read them: every edge or every g-th."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.lattice import Lattice, thin_durations

__all__ = [
    "Item",
    "backward",
    "best_end",
    "best_start",
    "forward",
    "forward_best",
    "mass",
    "pair_item",
    "single_item",
]

Indices = npt.NDArray[np.int64]
NEVER = -1e30
HARDLY = -1e29
_NO_BOX = np.asarray([0, -1, 0, -1], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """What may lie on one span: V(a, b) = start[a] + durations[b - a] + M(a, b) + end[b].

    ``start``, ``end`` (n + 1,); ``durations`` (longest + 1,) log weights; ``priors`` (k, 5) those time priors that
    are no sum of a start's and an end's (reach < 1); ``runs`` (n_runs, 2); ``window`` (4,) and ``stride`` as in
    ``Lattice``; ``coarse`` (longest // g + 2,) log weights of durations counted in strides.
    """

    start: Floats
    end: Floats
    durations: Floats
    priors: Floats
    runs: Indices
    window: Indices
    stride: int
    coarse: Floats

    @property
    def has_window(self) -> bool:
        """Whether any span is looked at edge by edge."""
        return bool(self.window[0] <= self.window[1] and self.window[2] <= self.window[3])

    def without_edges(self) -> Item:
        """The same without its edges' weights."""
        return replace(self, start=np.zeros(0), end=np.zeros(0))

    def counted_from(self, first: int, length: int) -> Item:
        """The same for the edges ``first`` to ``first + length`` alone, counted from the first of them."""
        runs = np.clip(self.runs - first, 0, length)
        priors = self.priors.copy()
        priors[:, 0] -= first
        runs = np.ascontiguousarray(runs[runs[:, 1] > runs[:, 0]])
        return replace(self, priors=priors, runs=runs, window=self.window - first)

    def thinned(self) -> tuple[Floats, Indices]:
        """Time priors and runs counted in strides."""
        runs = np.column_stack([-(-self.runs[:, 0] // self.stride), self.runs[:, 1] // self.stride])
        scale = np.asarray([self.stride, self.stride, self.stride, 1.0, 1.0])
        return self.priors / scale, np.ascontiguousarray(runs[runs[:, 1] > runs[:, 0]])


def single_item(lattice: Lattice, i: int, prefix: Floats, runs: Indices) -> Item:
    """Note i by itself.

    Args:
        lattice: as built.
        i: its row.
        prefix: (n + 1,) its prefix sums.
        runs: ``lattice.runs``.
    """
    rows = lattice.priors[i : i + 1]
    return _item(
        lattice, prefix, lattice.durations[i], rows, runs, lattice.windows[i], int(lattice.stride[i])
    )


def pair_item(lattice: Lattice, i: int, prefixes: Floats, runs: Indices) -> Item | None:
    """Notes i and i + 1 on one span; None where they cannot share one.

    One event: the mean of both notes' log odds (a frame counts once), the geometric mean of both durations, the
    price of one place, the larger of the two, and both time priors.

    Args:
        lattice, i, runs: as for ``single_item``.
        prefixes: (2, n + 1) prefix sums of both.
    """
    if lattice.share[i] <= HARDLY:
        return None
    one, two = lattice.durations[i], lattice.durations[i + 1]
    allowed = (one > HARDLY) & (two > HARDLY)
    if not allowed.any():
        return None
    both = np.where(allowed, 0.5 * (one + two), NEVER)
    price = max(_log_sum(one), _log_sum(two))
    both[allowed] += price - _log_sum(both) + lattice.share[i]
    first, second = lattice.windows[i], lattice.windows[i + 1]
    window = np.maximum(first, second)
    window[1::2] = np.minimum(first, second)[1::2]
    full = [0, lattice.n_frames, 0, lattice.n_frames]
    pinned = [k for k in (i, i + 1) if lattice.stride[k] == 0 and lattice.windows[k].tolist() != full]
    stride = 0 if pinned else int(lattice.stride[i : i + 2].max())
    return _item(lattice, prefixes.mean(axis=0), both, lattice.priors[i : i + 2], runs, window, stride)


def _log_sum(log: Floats) -> float:
    top = float(log.max())
    return top + float(np.log(np.exp(log - top).sum()))


def _item(
    lattice: Lattice,
    prefix: Floats,
    durations: Floats,
    priors: Floats,
    runs: Indices,
    window: Indices,
    stride: int,
) -> Item:
    start, end = lattice.gain - prefix, lattice.gain + prefix
    edges = np.arange(len(prefix))
    split = priors[:, 4] >= 1.0
    for centre, half, sd, floor, _ in priors[split & (priors[:, 2] > 0)]:
        # with reach 1 only one side of the span can lie off: its end before the time or its start behind it
        end += np.maximum(-0.5 * (np.maximum(0.0, centre - half - edges) / sd) ** 2, -floor)
        start += np.maximum(-0.5 * (np.maximum(0.0, edges - centre - half) / sd) ** 2, -floor)
    rest = np.ascontiguousarray(priors[~split & (priors[:, 2] > 0)])
    coarse = thin_durations(durations, stride) if stride else np.zeros(0)
    return Item(start, end, np.ascontiguousarray(durations), rest, runs, window, stride, coarse)


def _mirrored(box: Indices, last: int) -> Indices:
    return np.asarray([last - box[3], last - box[2], last - box[1], last - box[0]], np.int64)


def _sums(
    row: Floats, durations: Floats, priors: Floats, runs: Indices, boxes: Indices, back: bool
) -> Floats:
    """``span_sums`` over a box with a hole, from starts to ends or, mirrored, from ends to starts."""
    from align.kernels import decode as kernel

    box, hole = boxes
    if not back:
        return np.asarray(kernel.span_sums(row, durations, priors, runs, box, hole))
    last = len(row) - 1
    flipped = priors.copy()
    flipped[:, 0] = last - flipped[:, 0]
    found = kernel.span_sums(
        np.ascontiguousarray(row[::-1]),
        durations,
        flipped,
        np.ascontiguousarray(last - runs[::-1, ::-1]),
        _mirrored(box, last),
        _mirrored(hole, last) if hole[0] <= hole[1] else hole,
    )
    return np.asarray(found[::-1])


def _all_sums(item: Item, row: Floats, back: bool) -> Floats:
    """Every edge within the window, every g-th edge outside it."""
    out = np.full(len(row), NEVER)
    if item.has_window:
        out = _sums(row, item.durations, item.priors, item.runs, np.stack([item.window, _NO_BOX]), back)
    if item.stride:
        g = item.stride
        thin = np.ascontiguousarray(row[::g])
        boxes = _far_boxes(item, len(thin) - 1)
        far = _sums(thin, item.coarse, *item.thinned(), boxes, back)
        out[::g] = np.logaddexp(out[::g], far)
    return out


def _far_boxes(item: Item, last: int) -> Indices:
    """(2, 4) all of the coarse grid, and the part of it that the window holds edge by edge."""
    hole = _NO_BOX
    if item.has_window:
        hole = item.window // item.stride
    return np.stack([np.asarray([0, last, 0, last]), hole]).astype(np.int64)


def forward(item: Item, row: Floats) -> Floats:
    """(n + 1,) log sum over the item's spans that end at each edge, given the log sums of what lies before.

    Args:
        item: a note, or two on one span.
        row: (n + 1,) log sum over all that may lie in the first t frames.
    """
    return np.maximum(NEVER, _all_sums(item, row + item.start, back=False) + item.end)


def backward(item: Item, row: Floats) -> Floats:
    """(n + 1,) log sum over the item's spans that start at each edge, given the log sums of what lies behind."""
    return np.maximum(NEVER, _all_sums(item, row + item.end, back=True) + item.start)


def forward_best(item: Item, row: Floats) -> Floats:
    """(n + 1,) as ``forward``, the best span in place of the sum over all."""
    from align.kernels import decode as kernel

    starts = row + item.start
    out = np.full(len(row), NEVER)
    if item.has_window:
        out = kernel.span_maxima(starts, item.durations, item.priors, item.runs, item.window)
    if item.stride:
        g = item.stride
        thin = np.ascontiguousarray(starts[::g])
        box = np.asarray([0, len(thin) - 1, 0, len(thin) - 1], np.int64)
        far = kernel.span_maxima(thin, _thin_durations(item), *item.thinned(), box)
        out[::g] = np.maximum(out[::g], far)
    return np.maximum(NEVER, out + item.end)


def _thin_durations(item: Item) -> Floats:
    """(longest // g + 1,) the log weights of those durations that are whole strides."""
    thin = item.durations[:: item.stride]
    if (thin[1:] > HARDLY).any():
        return np.ascontiguousarray(thin)
    return item.coarse  # no duration is: any coarse span stands for the item


def best_start(item: Item, row: Floats, end: int) -> tuple[float, int]:
    """The best start of a span that ends at ``end``, and its value, which ``forward_best`` gave."""
    starts = row + item.start
    run = int(np.searchsorted(item.runs[:, 1], end))
    first = int(item.runs[run, 0])
    best = NEVER, -1
    low, high = max(first, int(item.window[0])), min(end - 1, int(item.window[1]))
    low = max(low, end - len(item.durations) + 1)
    if low <= high and item.window[2] <= end <= item.window[3]:
        a = np.arange(high, low - 1, -1)  # of equals the shortest
        best = _best_of(a, starts[a] + item.durations[end - a] + _prior_sum(item.priors, a, end))
    if item.stride and end % item.stride == 0:
        durations = _thin_durations(item)
        low = max(-(-first // item.stride), end // item.stride - len(durations) + 1)
        a = np.arange(end // item.stride - 1, low - 1, -1) * item.stride
        if len(a):
            lengths = durations[(end - a) // item.stride]
            far = _best_of(a, starts[a] + lengths + _prior_sum(item.priors, a, end))
            best = max(best, far)
    return best[0] + float(item.end[end]), best[1]


def _best_of(starts: Indices, values: Floats) -> tuple[float, int]:
    at = int(np.argmax(values))
    return float(values[at]), int(starts[at])


def _prior_sum(priors: Floats, a: Indices, b: int) -> Floats:
    out = np.zeros(len(a))
    for centre, half, sd, floor, reach in priors:
        off = np.maximum(0.0, np.abs(0.5 * (a + b) - centre) - half - 0.5 * reach * (b - a)) / sd
        out += np.maximum(-0.5 * off * off, -floor)
    return out


def mass(item: Item, starts: Floats, ends: Floats, span: tuple[float, float], *, far: bool) -> float:
    """Posterior mass of the item's spans whose intersection over union with ``span`` is at least 0.5.

    Args:
        item: a note, or two on one span.
        starts, ends: log weights that give the posterior: starts[a] + durations[b - a] + M(a, b) + ends[b]; of every
            edge within the window, or of every stride-th.
        span: edges, start < end, not necessarily whole.
        far: whether they are those of every stride-th edge.
    """
    from align.kernels import decode as kernel

    where = np.asarray(span, np.float64)
    if not far:
        areas = np.stack([item.window, _NO_BOX])
        return float(kernel.mass_near(starts, ends, item.durations, item.priors, item.runs, areas, where))
    areas = _far_boxes(item, len(starts) - 1)
    return float(kernel.mass_near(starts, ends, item.coarse, *item.thinned(), areas, where / item.stride))


def best_end(item: Item, starts: Floats, ends: Floats, a: int, *, far: bool) -> tuple[float, int]:
    """Log probability and end of the most probable span that starts at edge a; (NEVER, a) without one.

    Args:
        item, starts, ends, far: as for ``mass``.
        a: an edge of the grid; with ``far`` a whole number of strides.
    """
    g = item.stride if far else 1
    weights = item.coarse if far else item.durations
    run = int(np.searchsorted(item.runs[:, 1], a, side="right"))
    if run == len(item.runs) or a < item.runs[run, 0]:
        return NEVER, a
    first, last = a // g + 1, min(int(item.runs[run, 1]) // g, a // g + len(weights) - 1, len(ends) - 1)
    if not far:
        first, last = max(first, int(item.window[2])), min(last, int(item.window[3]))
        if not item.window[0] <= a <= item.window[1]:
            return NEVER, a
    b = np.arange(first, last + 1)
    if not len(b):
        return NEVER, a
    value = starts[a // g] + weights[b - a // g] + ends[b]
    best = int(np.argmax(value))
    return float(value[best]), int(b[best]) * g

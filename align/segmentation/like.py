"""``segment(..., like=spans)``: the penalty whose segments are most like those that a person marked."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Floats, Stream
from align.errors import ParameterError

__all__ = ["likeness", "penalty_like", "spans_as_samples"]

Ints = npt.NDArray[np.int64]

_STEP = 2.0  # ratio of neighbouring penalties on the first pass
_MOST_STEPS = 30  # of that size, up and down
_FINER = 3  # times the ratio is halved (in logarithm) around the best
_TOO_SHORT = 8  # segments shorter than the shortest example by this factor are not looked for
_TIE = 1e-9


def penalty_like(
    stream: Stream, changes_at: Callable[[float], Ints], like: npt.ArrayLike, start: float
) -> float:
    """The penalty whose segments are most like the examples, near the examples.

    ``likeness`` is looked at on a grid of penalties, each twice the last, from one that leaves no change to
    one whose segments are an eighth of the shortest example, and then more finely around the best.

    Args:
        stream: what is cut.
        changes_at: the search: penalty -> change points as samples of the stream, fewer the higher it is.
        like: (k, 2) seconds, k >= 1: segments as they should come out.
        start: a penalty > 0 to start from.

    Returns:
        of all penalties that are equally good next to each other, the middle (of the logarithm): the farthest
        from where anything changes.

    Raises:
        ParameterError: spans that are not as said above, or that touch no sample.
    """
    examples = spans_as_samples(stream, like)
    start = max(start, 1e-300)
    shortest = float((examples[:, 1] - examples[:, 0]).min())
    scores: dict[float, float] = {}

    def look_at(penalty: float) -> int:
        changes = changes_at(penalty)
        scores[penalty] = likeness(stream, changes, examples)
        return len(changes)

    price = start
    for _ in range(_MOST_STEPS):
        if look_at(price) == 0:
            break
        price *= _STEP
    price = start / _STEP
    for _ in range(_MOST_STEPS):
        if stream.n_samples < (1 + look_at(price)) * shortest / _TOO_SHORT:
            break
        price /= _STEP
    for _ in range(_FINER):
        ordered = sorted(scores)
        best = max(scores.values())
        near = [i for i, p in enumerate(ordered) if scores[p] >= best - _TIE]
        for i in {i for j in near for i in (j - 1, j) if 0 <= i < len(ordered) - 1}:
            if not scores[ordered[i]] == scores[ordered[i + 1]] == best:
                look_at(math.sqrt(ordered[i] * ordered[i + 1]))
    return _middle_of_best(scores)


def _middle_of_best(scores: dict[float, float]) -> float:
    """Of the longest stretch of penalties with the best score, the one nearest to its middle."""
    ordered = sorted(scores)
    best = max(scores.values()) - _TIE
    good = np.array([scores[p] >= best for p in ordered])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]])))
    stretches = [(ordered[a], ordered[b - 1]) for a, b in edges.reshape(-1, 2).tolist()]
    low, high = max(stretches, key=lambda s: (s[1] / s[0], s[0]))
    middle = math.sqrt(low) * math.sqrt(high)
    return min((p for p in ordered if low <= p <= high), key=lambda p: (abs(math.log(p / middle)), p))


def likeness(stream: Stream, changes: Ints, examples: Ints) -> float:
    """How like the examples the segments near them are, 0 to 1.

    Mean over the examples of the half sum of: the best intersection over union with a segment; and how near
    the nearest boundaries are to its two edges, ``1 - distance / length``, not below 0.

    Args:
        stream: what was cut.
        changes: (m,) samples of the stream.
        examples: (k, 2) samples, half-open, each within one run.
    """
    edges = np.unique(np.concatenate([changes, stream.run_index, [stream.n_samples]]))
    total = 0.0
    for first, end in examples.tolist():
        low = int(np.searchsorted(edges, first, side="right")) - 1
        high = int(np.searchsorted(edges, end, side="left"))
        begins, ends = edges[low:high], edges[low + 1 : high + 1]
        both = np.minimum(ends, end) - np.maximum(begins, first)
        either = np.maximum(ends, end) - np.minimum(begins, first)
        near = [np.abs(edges - edge).min() / (end - first) for edge in (first, end)]
        total += 0.5 * float((both / either).max()) + 0.25 * sum(max(0.0, 1.0 - float(x)) for x in near)
    return total / len(examples)


def spans_as_samples(stream: Stream, spans: npt.ArrayLike) -> Ints:
    """(k, 2) half-open samples of spans in seconds; a span over a gap counts where most of it is.

    Args:
        stream: what the spans are of.
        spans: (k, 2) seconds on the session clock, k >= 1, start < end.

    Raises:
        ParameterError: another shape, a number that is not finite, an end before its start, or a span without
            any sample.
    """
    given = np.asarray(spans, np.float64)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given):
        raise ParameterError("like", f"shape {given.shape}", "(k, 2) seconds, k >= 1: start, end of each")
    if not np.isfinite(given).all() or (given[:, 1] <= given[:, 0]).any():
        raise ParameterError("like", given.tolist()[:3], "finite spans, each with start < end")
    return np.array([_inside(stream, float(a), float(b)) for a, b in given], np.int64)


def _inside(stream: Stream, begin: float, end: float) -> tuple[int, int]:
    run_spans: Floats = stream.run_spans
    overlap = np.minimum(run_spans[:, 1], end) - np.maximum(run_spans[:, 0], begin)
    run = int(overlap.argmax())
    low, high = int(stream.run_index[run]), int(stream.run_ends[run])
    first, last = clock.samples_in(begin, end, float(stream.run_start[run]), stream.rate)
    first, last = max(low, low + first), min(high, low + last)
    if first >= last:
        allowed = f"spans that hold samples, within {run_spans[0, 0]:.6g} to {run_spans[-1, 1]:.6g} s"
        raise ParameterError("like", [begin, end], allowed)
    return first, last

"""One thing looked for in one recording: per-frame log odds -> where it occurs, each place with its probability.

A recording is frames of something else with spans of the query between them, any number of them (``repeats`` in
``align/kernels``). A span's weight is the product of its frames' odds, the log-normal probability of its duration, and
how often the thing is expected to begin. The sums over all ways to cut the recording give each span's posterior.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.duration_prior import LARGEST, NEVER, log_durations

__all__ = ["Occurrence", "occurrences"]

Indices = npt.NDArray[np.int64]
_CELLS = 16  # frames of a usual span that are told apart while searching
_SHARE = 0.1  # of the time that something is expected to take before the recording is looked at
_MOST_SHARE = 0.99
_ROUNDS = 3
_SPARE = 2  # places looked at for one that is given


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A place: frames [start, end), the probability that the query holds about there, and its mean log odds.

    *About there*: on a span that overlaps this one with an intersection over union of at least 0.5.
    """

    start: int
    end: int
    probability: float
    log_odds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """What the kernel reads: prefix sums of log odds, log weights of durations, lowest start per end."""

    prefix: Floats
    durations: Floats
    lowest: Indices
    stay: float


def occurrences(
    log_odds: npt.NDArray[np.float32],
    observed: npt.NDArray[np.bool_],
    duration: tuple[float, float],
    k: int,
) -> list[Occurrence]:
    """The k most probable places of one thing, best first; no two overlap.

    Long things are searched on a grid of several frames a cell (a usual span keeps at least 16), and the edges of what
    is found are then moved to the frames that fit best. How much of the time the thing takes is learned from the
    recording itself, by expectation-maximisation from a tenth of it; once in the recording is the least it may come to.

    Args:
        log_odds: f4 (n,) per frame, query against anything else.
        observed: (n,) False in gaps, which no span crosses.
        duration: mean and standard deviation of the log duration in frames.
        k: how many at most, >= 1.

    Returns:
        At most k: fewer where no more fit side by side.
    """
    mean, sd = duration
    usual = float(np.exp(np.clip(mean, 0.0, LARGEST)))
    step = max(1, int(usual / _CELLS))
    odds = np.where(observed, log_odds, np.float32(0.0)).astype(np.float64)
    n = -(-len(odds) // step)
    cells = np.zeros(n * step)
    cells[: len(odds)] = odds
    seen = np.zeros(n * step, np.bool_)
    seen[: len(odds)] = observed
    seen[len(odds) :] = bool(observed[-1]) if len(observed) else False
    places = _places(
        cells.reshape(n, step).sum(axis=1),
        np.asarray(seen.reshape(n, step).all(axis=1)),
        (mean - float(np.log(step)), sd),
        k,
    )
    prefix = np.concatenate([[0.0], np.cumsum(odds)])
    runs = _lowest_starts(observed)
    out = []
    for place in places:
        start, end = place.start * step, min(len(odds), place.end * step)
        if step > 1:
            start, end = _refined(prefix, runs, start, end, step)
        mean_odds = float(prefix[end] - prefix[start]) / (end - start)
        out.append(Occurrence(start, end, place.probability, mean_odds))
    return _apart(out)


def _places(
    odds: Floats, observed: npt.NDArray[np.bool_], duration: tuple[float, float], k: int
) -> list[Occurrence]:
    """The same on the grid of the search, one frame a cell."""
    from align.kernels.repeats import repeats

    n = len(odds)
    if n == 0 or not observed.any():
        return []
    usual = max(1.0, float(np.exp(min(LARGEST, duration[0]))))
    shape = log_durations(np.asarray([duration]), 1.0, n)[0]
    prefix = np.concatenate([[0.0], np.cumsum(odds)])
    lowest = _lowest_starts(observed)
    back = _lowest_starts(observed[::-1])
    turned = np.concatenate([[0.0], np.cumsum(odds[::-1])])
    share = _SHARE
    for _ in range(_ROUNDS):
        rate = share / usual  # of the frames of something else that end with a beginning
        grid = _Grid(prefix, shape + np.log(rate), lowest, float(np.log1p(-rate)))
        total, best, start = repeats(prefix, grid.durations, lowest, grid.stay)
        rest = repeats(turned, grid.durations, back, grid.stay)[0][::-1]
        calm = np.exp(np.minimum(0.0, total[:-1] + grid.stay + rest[1:] - total[-1])).sum()
        share = float(np.clip(1.0 - calm / n, min(_SHARE, usual / n), _MOST_SHARE))
    return _best_places(grid, total, rest, (best, start), k)


def _best_places(
    grid: _Grid, total: Floats, rest: Floats, modes: tuple[Floats, Indices], k: int
) -> list[Occurrence]:
    """Modes of the posterior one after the other, none overlapping an earlier one, by what they are worth."""
    log_z = total[-1]
    best, start = modes[0].copy(), modes[1].copy()
    weight = best + grid.prefix + rest - log_z
    weight[start < 0] = NEVER
    lowest = grid.lowest.copy()
    taken = np.zeros(len(weight), np.bool_)
    longest = len(grid.durations) - 1
    found: list[Occurrence] = []
    for _ in range(_SPARE * k):
        end = int(np.argmax(weight))
        if weight[end] <= 0.5 * NEVER:
            break
        begin = int(start[end])
        mass = _mass_about(grid, total, rest, (begin, end))
        found.append(Occurrence(begin, end, mass, (grid.prefix[end] - grid.prefix[begin]) / (end - begin)))
        weight[begin + 1 : end + 1] = NEVER
        taken[begin + 1 : end + 1] = True
        behind = np.arange(end + 1, min(len(weight), end + longest + 1))
        lowest[behind] = np.maximum(lowest[behind], end)
        touched = behind[(start[behind] < end) & ~taken[behind]]
        for b in touched.tolist():
            weight[b], start[b] = _best_start(grid, total, int(lowest[b]), b)
            weight[b] += grid.prefix[b] + rest[b] - log_z if start[b] >= 0 else 0.0
    order = sorted(found, key=lambda o: (-round(o.probability, 3), -o.log_odds))
    return order[:k]


def _best_start(grid: _Grid, total: Floats, low: int, b: int) -> tuple[float, int]:
    low = max(low, b - len(grid.durations) + 1)
    if low >= b:
        return NEVER, -1
    starts = np.arange(low, b)
    weight = total[starts] - grid.prefix[starts] + grid.durations[b - starts]
    at = int(np.argmax(weight))
    return (float(weight[at]), low + at) if weight[at] > 0.5 * NEVER else (NEVER, -1)


def _mass_about(grid: _Grid, total: Floats, rest: Floats, span: tuple[int, int]) -> float:
    """Posterior of all spans that overlap ``span`` with an intersection over union of at least 0.5."""
    first, last = span
    length = last - first
    n, longest = len(total) - 1, len(grid.durations) - 1
    a = np.arange(max(0, first - length), min(n, last - length // 2 + 1))
    b = np.arange(max(1, first + length // 2), min(n, last + length) + 1)
    width = b[None, :] - a[:, None]
    common = np.minimum(b[None, :], last) - np.maximum(a[:, None], first)
    alike = 2 * common >= width + length - common
    alike &= (width >= 1) & (width <= longest) & (grid.lowest[b][None, :] <= a[:, None])
    log = (total - grid.prefix)[a][:, None] + (grid.prefix + rest)[b][None, :] - total[-1]
    log = np.where(alike, log + grid.durations[np.clip(width, 0, longest)], NEVER)
    return float(min(1.0, np.exp(np.minimum(log, 0.0))[alike].sum()))


def _lowest_starts(observed: npt.NDArray[np.bool_]) -> Indices:
    """(n + 1,) for each end the first edge of the unbroken stretch of data before it; itself behind a gap."""
    edges = np.arange(len(observed) + 1)
    breaks = np.where(np.concatenate([[False], observed]), 0, edges)
    return np.maximum.accumulate(breaks).astype(np.int64)


def _refined(prefix: Floats, runs: Indices, start: int, end: int, step: int) -> tuple[int, int]:
    """Both edges moved within one cell to where the sum of log odds is largest; never across a gap."""
    b = np.arange(max(start + 1, end - step), min(len(runs) - 1, end + step) + 1)
    b = b[runs[b] <= start]
    last = int(b[np.argmax(prefix[b])]) if b.size else end
    a = np.arange(max(int(runs[last]), start - step), min(last, start + step + 1))
    return (int(a[np.argmin(prefix[a])]) if a.size else start), last


def _apart(places: list[Occurrence]) -> list[Occurrence]:
    """Without those that a better one has come to overlap when its edges moved: they are cut back to its edge."""
    out: list[Occurrence] = []
    for place in places:
        start, end = place.start, place.end
        for other in out:
            if start < other.end and other.start < end:
                start, end = (other.end, end) if start >= other.start else (start, other.start)
        if end > start:
            out.append(Occurrence(start, end, place.probability, place.log_odds))
    return out

"""Written times -> a slot on a regular grid for every row, and the runs.

A real device's clock is a grid seen through jitter, late delivery, lost samples and pauses. Let ``p`` be the
sample period and ``u_k = t_k / p - k``. On a perfect clock ``u`` is constant. Jitter shakes it, a late batch
lifts it for a few rows, and a lost sample lifts it by one for good. So the number of samples lost before row
k is the lowest level that ``u`` still returns to at or after row k. From it follow the slot of each row, the
rows of NaN that stand for lost samples, and the runs (cut at every step over ``gap_factor`` periods).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["STEADY", "Grid", "apart", "lay_out", "refined"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_EARLY = 0.6  # periods that a sample may come before its slot: 0.4 of jitter, 0.2 of unknown phase
_LATE = 0.4  # a row that the next one follows this much (in periods) too soon was late itself
_BLOCK = 512  # samples per estimate of the phase
_WANDER = 0.49  # periods that the phase may wander within one run
STEADY = 0.05  # periods: a clock that keeps to its grid this well starts exactly where it was written
_PART = 1 << 20  # rows looked at together, where what is looked for does not need all
_STALL = 32  # a pause of more periods than this is a gap even when a batch of late samples follows it


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Slots of all rows at one period (ns): (n,) grid row and distance in periods; first row of each run."""

    period: float
    slot: Ints
    off: Floats
    first: Ints
    start: Ints

    @property
    def n_slots(self) -> int:
        return int(self.slot[-1]) + 1

    def jitter(self) -> tuple[float, float]:
        """Standard deviation and largest size of ``off``."""
        mean = self.off.mean()
        squares = 0.0
        for begin in range(0, self.off.size, _PART):
            away = self.off[begin : begin + _PART] - mean
            squares += float((away * away).sum())
        most = max(float(self.off.max()), -float(self.off.min()))
        return float(np.sqrt(squares / self.off.size)), most


def lay_out(times: Ints, period: float, gap: float) -> Grid:
    """Slots, runs and run starts at one period."""
    off = _away(times, period)
    if off.max() <= STEADY and off.min() >= -STEADY:
        return Grid(period, np.arange(times.size), off, np.zeros(1, np.int64), times[:1])
    del off  # a day at 100 Hz is 69 MB in every array
    cuts = np.flatnonzero(np.diff(times) > max(_STALL, gap) * period) + 1
    cuts = np.concatenate([cuts, _inner_cuts(times, cuts, period, gap)])
    first = np.unique(np.concatenate([[0], cuts])).astype(np.int64)
    level, phase = _levels_and_phase(times, first, period)
    # a second look: pieces of a run whose phase has wandered start anew
    first = _cut_wander(first, phase)
    run = np.repeat(np.arange(first.size), np.diff(np.append(first, times.size)))
    slot = np.arange(times.size, dtype=np.int64) - first[run] + level - level[first][run]
    length = np.append(slot[first[1:] - 1], slot[-1]) + 1
    run_index = np.concatenate([[0], np.cumsum(length)[:-1]])
    start = _starts(times, first, slot, period)
    start = apart(start, length, period)
    written = (times - start[run]) / period
    return Grid(period, slot + run_index[run], written - slot, first, start)


def _away(times: Ints, period: float) -> Floats:
    """(n,) periods that each row comes later than a perfect clock from the first row on."""
    away = np.empty(times.size)
    for begin in range(0, times.size, _PART):
        part = times[begin : begin + _PART]
        away[begin : begin + _PART] = (part - times[0]) / period - np.arange(begin, begin + part.size)
    return away


def _inner_cuts(times: Ints, cuts: Ints, period: float, gap: float) -> Ints:
    """Rows after a pause of more than ``gap`` periods that no late batch fills."""
    long = np.flatnonzero(np.diff(times) > gap * period) + 1
    if long.size == cuts.size:
        return np.zeros(0, np.int64)
    first = np.concatenate([[0], cuts]).astype(np.int64)
    level, _ = _levels_and_phase(times, first, period)
    return long[np.diff(level)[long - 1] + 1 > gap]


def _levels_and_phase(times: Ints, first: Ints, period: float) -> tuple[Ints, Floats]:
    """Per row: samples lost since the run began, and the phase of the clock in periods, for given runs."""
    ends = np.append(first[1:], times.size)
    run = np.repeat(np.arange(first.size), ends - first)
    late = (times - times[first][run]) / period - (np.arange(times.size) - first[run])
    low, high = np.minimum.reduceat(late, first), np.maximum.reduceat(late, first)
    level = np.zeros(times.size, np.int64)
    phase = ((low + high) / 2.0)[run]
    for i in np.flatnonzero(high - low > 2.0 * STEADY):
        piece = slice(first[i], ends[i])
        if high[i] - low[i] < 0.95:
            phase[piece] = float(np.median(late[piece]))
        else:
            phase[piece] = _phase(late[piece])
            level[piece] = _levels(late[piece] - phase[piece])
    return level, phase


def _phase(late: Floats) -> Floats:
    """The slow part of ``late`` modulo one: circular mean per block of the rows that were not late, unwrapped,
    joined by straight lines."""
    n_blocks = late.size // _BLOCK if late.size >= 4 * _BLOCK else 1
    edges = np.linspace(0, late.size, n_blocks + 1).astype(np.int64)
    prompt = np.diff(late, append=np.inf) > -_LATE
    count = np.maximum(1, np.add.reduceat(prompt.astype(np.int64), edges[:-1]))
    mean = np.add.reduceat(prompt * np.exp(2j * np.pi * late), edges[:-1]) / count
    angle = np.unwrap(np.angle(mean)) / (2.0 * np.pi)
    # a block that points nowhere (resultant no longer than chance) takes its neighbours' phase
    sure = np.abs(mean) * np.sqrt(count) > 2.5
    if not sure.any():
        return np.full(late.size, float(np.median(late)))
    centre = (edges[:-1] + edges[1:]) / 2.0
    return np.interp(np.arange(late.size), centre[sure], angle[sure])


def _levels(late: Floats) -> Ints:
    """Samples lost before each row: the level ``late`` still returns to, in whole periods.

    From the end backwards, a level is held until a row lies more than ``_EARLY`` below it.
    """
    floor = np.minimum.accumulate(late[::-1])[::-1]
    level = np.empty(late.size, np.int64)
    end = late.size
    while end > 0:
        now = int(np.floor(floor[end - 1] + 0.5))
        begin = int(np.searchsorted(floor[:end], now - _EARLY))
        level[min(begin, end - 1) : end] = now
        end = min(begin, end - 1)
    return level


def _cut_wander(first: Ints, phase: Floats) -> Ints:
    """Cut runs where the phase has left the width ``_WANDER``."""
    ends = np.append(first[1:], phase.size)
    low, high = np.minimum.reduceat(phase, first), np.maximum.reduceat(phase, first)
    cuts = [first]
    for i in np.flatnonzero(high - low > _WANDER):
        begin, end = int(first[i]), int(ends[i])
        while begin < end:
            begin = _left_at(phase, begin, end)
            cuts.append(np.array([begin])) if begin < end else None
    return np.unique(np.concatenate(cuts))


def _left_at(phase: Floats, begin: int, end: int) -> int:
    """The first row at which the phase from ``begin`` on has left the width ``_WANDER``; ``end`` when none."""
    size = 4 * _BLOCK  # a few rows first: a long run may have to be cut often
    while True:
        ahead = phase[begin : min(begin + size, end)]
        width = np.maximum.accumulate(ahead) - np.minimum.accumulate(ahead)
        found = int(np.searchsorted(width, _WANDER, side="right"))
        if found < ahead.size or begin + size >= end:
            return begin + found
        size *= 4


def _starts(times: Ints, first: Ints, slot: Ints, period: float) -> Ints:
    """Time of slot 0 of each run: as written on a steady clock, else the median row is on its slot."""
    ends = np.append(first[1:], times.size)
    off = (times - np.repeat(times[first], ends - first)) / period - slot
    low, high = np.minimum.reduceat(off, first), np.maximum.reduceat(off, first)
    shift = np.zeros(first.size)
    for i in np.flatnonzero(np.maximum(high, -low) > STEADY):
        shift[i] = float(np.median(off[first[i] : ends[i]]))
    return times[first] + np.floor(shift * period + 0.5).astype(np.int64)


def apart(start: Ints, length: Ints, period: float) -> Ints:
    """Move a run's start later where it would begin more than half a period before the last one ends."""
    out = start.copy()
    for i in range(1, out.size):
        out[i] = max(out[i], out[i - 1] + int(np.ceil((length[i - 1] - _WANDER) * period)))
    return out


def refined(grid: Grid) -> tuple[float, float]:
    """Period by least squares of time on slot, each run with its own start, and its standard error (ns)."""
    n, n_runs = grid.slot.size, grid.first.size
    count = np.diff(np.append(grid.first, n))
    total, late = np.zeros(n_runs), np.zeros(n_runs)
    for rows, runs, starts, run in _parts(grid.first, n):
        total[runs] += np.add.reduceat(_within(grid, rows, run), starts)
        late[runs] += np.add.reduceat(grid.off[rows], starts)
    centre, usual = total / count, late / count
    spread = slope = power = 0.0
    for rows, _, _, run in _parts(grid.first, n):
        centred = _within(grid, rows, run) - centre[run]
        spread += float(centred @ centred)
        slope += float(centred @ (grid.off[rows] - usual[run]))
    if spread == 0.0:
        return grid.period, 0.0
    slope /= spread
    for rows, _, _, run in _parts(grid.first, n):
        rest = (grid.off[rows] - usual[run]) - slope * (_within(grid, rows, run) - centre[run])
        power += float(rest @ rest)
    doubt = float(np.sqrt(power / max(1, n - n_runs - 1) / spread))
    return grid.period * (1.0 + slope), grid.period * doubt


def _within(grid: Grid, rows: slice, run: Ints) -> Floats:
    """Slots of some rows, counted from the first of their run."""
    return (grid.slot[rows] - grid.slot[grid.first][run]).astype(np.float64)


def _parts(first: Ints, n: int) -> Iterator[tuple[slice, slice, Ints, Ints]]:
    """Stretches of rows: the rows, the runs that they touch, where each begins among them, and each row's run."""
    for begin in range(0, n, _PART):
        end = min(begin + _PART, n)
        low = int(np.searchsorted(first, begin, side="right")) - 1
        high = int(np.searchsorted(first, end, side="left"))
        starts = np.maximum(first[low:high], begin) - begin
        run = np.repeat(np.arange(low, high), np.diff(np.append(starts, end - begin)))
        yield slice(begin, end), slice(low, high), starts, run

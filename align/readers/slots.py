"""Written times -> a slot on a regular grid for every row, and the runs.

A real device's clock is a grid seen through jitter, late delivery, lost samples and pauses. Let ``p`` be the
sample period and ``u_k = t_k / p - k``. On a perfect clock ``u`` is constant. Jitter shakes it, a late batch
lifts it for a few rows, and a lost sample lifts it by one for good. So the number of samples lost before row
k is the lowest level that ``u`` still returns to at or after row k. From it follow the slot of each row, the
rows of NaN that stand for lost samples, and the runs (cut at every step over ``gap_factor`` periods).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["STEADY", "Grid", "lay_out", "refined"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_EARLY = 0.6  # periods that a sample may come before its slot: 0.4 of jitter, 0.2 of unknown phase
_LATE = 0.4  # a row that the next one follows this much (in periods) too soon was late itself
_BLOCK = 512  # samples per estimate of the phase
_WANDER = 0.49  # periods that the phase may wander within one run
STEADY = 0.05  # periods: a clock that keeps to its grid this well starts exactly where it was written
_STALL = 32  # a pause of more periods than this is a gap even when a batch of late samples follows it


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Slots of all rows at one period (ns): (n,) grid row and distance in periods; first row of each run."""

    period: float
    slot: Ints
    off: Floats
    first: Ints
    start: Ints


def lay_out(times: Ints, period: float, gap: float) -> Grid:
    """Slots, runs and run starts at one period."""
    rows = np.arange(times.size, dtype=np.int64)
    off = (times - times[0]) / period - rows
    if off.max() <= STEADY and off.min() >= -STEADY:
        return Grid(period, rows, off, np.zeros(1, np.int64), times[:1])
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
    start = _apart(start, length, period)
    written = (times - start[run]) / period
    return Grid(period, slot + run_index[run], written - slot, first, start)


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
            ahead = phase[begin:end]
            width = np.maximum.accumulate(ahead) - np.minimum.accumulate(ahead)
            begin += int(np.searchsorted(width, _WANDER, side="right"))
            cuts.append(np.array([begin])) if begin < end else None
    return np.unique(np.concatenate(cuts))


def _starts(times: Ints, first: Ints, slot: Ints, period: float) -> Ints:
    """Time of slot 0 of each run: as written on a steady clock, else the median row is on its slot."""
    ends = np.append(first[1:], times.size)
    off = (times - np.repeat(times[first], ends - first)) / period - slot
    low, high = np.minimum.reduceat(off, first), np.maximum.reduceat(off, first)
    shift = np.zeros(first.size)
    for i in np.flatnonzero(np.maximum(high, -low) > STEADY):
        shift[i] = float(np.median(off[first[i] : ends[i]]))
    return times[first] + np.floor(shift * period + 0.5).astype(np.int64)


def _apart(start: Ints, length: Ints, period: float) -> Ints:
    """Move a run's start later where it would begin more than half a period before the last one ends."""
    out = start.copy()
    for i in range(1, out.size):
        out[i] = max(out[i], out[i - 1] + int(np.ceil((length[i - 1] - _WANDER) * period)))
    return out


def refined(times: Ints, grid: Grid) -> tuple[float, float]:
    """Period by least squares of time on slot, each run with its own start, and its standard error (ns)."""
    ends = np.append(grid.first[1:], times.size)
    run = np.repeat(np.arange(grid.first.size), ends - grid.first)
    within = (grid.slot - grid.slot[grid.first][run]).astype(np.float64)
    centred = within - (np.add.reduceat(within, grid.first) / (ends - grid.first))[run]
    off = grid.off - (np.add.reduceat(grid.off, grid.first) / (ends - grid.first))[run]
    spread = float(centred @ centred)
    if spread == 0.0:
        return grid.period, 0.0
    slope = float(centred @ off) / spread
    rest = off - slope * centred
    doubt = float(np.sqrt(rest @ rest / max(1, times.size - grid.first.size - 1) / spread))
    return grid.period * (1.0 + slope), grid.period * doubt

"""Written timestamps -> a regular grid per run: rate, jitter, loss and gaps measured, time never closed up.

``pace`` measures the period, ``slots`` lays the rows on the grid; here are the checks before (order, equal
times), the choice between the nominal and the measured rate, and the words for what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from align.clock import NS
from align.datatypes import Finding
from align.errors import InputError
from align.readers.pace import Pace, measure_period, nominal_rate
from align.readers.policy import Policy
from align.readers.slots import STEADY, Grid, lay_out, refined

__all__ = ["LOOK", "Lines", "Timeline", "duplicate_error", "duplicated", "lay_timeline", "runs_from_times",
           "settled_pace", "unsorted_error"]  # fmt: skip

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Lines = Callable[[int], int | None] | Sequence[int] | Ints | None

_TIES = 1 << 16  # looked at together
LOOK = 32  # rows before and after equal times that tell a late batch from a duplicate


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Where each row of a table stands in time.

    Attributes:
        rate: samples per second of the grid.
        run_index: (n_runs,) i8, first grid row of each run.
        run_start_ns: (n_runs,) i8, time of those rows on the written clock.
        keep: (n_kept,) i8, the table's rows that are kept, in time order.
        slot: (n_kept,) i8, strictly ascending grid row of each kept row.
        n_slots: number of grid rows; those that no kept row takes are lost samples.
        nominal, measured: Hz, the round rate (nan when none fits) and the measured one.
        jitter, jitter_max: share of a period, sd and largest distance of a written time from its slot.
        loss: share of the samples inside runs that are missing.
        findings: the same in words.
    """

    rate: float
    run_index: Ints
    run_start_ns: Ints
    keep: Ints
    slot: Ints
    n_slots: int
    nominal: float
    measured: float
    jitter: float
    jitter_max: float
    loss: float
    findings: tuple[Finding, ...]

    @property
    def keeps_order(self) -> bool:
        """Whether every row of the table is kept, where it was."""
        return _is_arange(self.keep)

    def place(self, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        """Rows of the whole table (n_rows, n_channels) -> grid (n_slots, n_channels), NaN where lost."""
        if self.n_slots == self.keep.size == len(values) and _is_arange(self.keep):
            return values
        grid = np.full((self.n_slots, *values.shape[1:]), np.nan, dtype=values.dtype)
        grid[self.slot] = values[self.keep]
        return grid


def runs_from_times(times_ns: Ints, policy: Policy, *, file: str = "", lines: Lines = None) -> Timeline:
    """Measure an irregular clock and lay its samples on a regular grid, run by run.

    Args:
        times_ns: (n,) i8 written times in nanoseconds, in file order.
        policy: ``sort``, ``dup`` and ``gap_factor`` are used.
        file: for messages.
        lines: row -> line of the file, as a function or an array; None when the file has no lines.

    Returns:
        Timeline. A slot lies within one period of the written time, but for samples that a device handed over
        late in a batch (stated in W-JITTER).

    Raises:
        InputError: E-NO-SAMPLES, E-UNSORTED (line, both times) or E-DUP-TIME (the two lines).

    >>> tl = runs_from_times(np.array([0, 10, 20, 40, 50, 900, 910]) * 1_000_000, Policy())
    >>> tl.rate, tl.run_index.tolist(), tl.slot.tolist()
    (100.0, [0, 6], [0, 1, 2, 4, 5, 6, 7])
    """
    times = np.asarray(times_ns, dtype=np.int64)
    if times.size == 0:
        raise InputError("E-NO-SAMPLES", "the file has no sample", hint="give a file with rows", file=file)
    if times.size == 1:
        return _alone(times, np.zeros(1, np.int64), [])
    keep, findings = _in_order(times, policy, file, lines)
    times = times if keep is None else times[keep]
    times, pace, coarse = _finer(times, policy.gap_factor)
    findings += coarse
    repeated = _repeated(times, pace)
    if repeated.any():
        if policy.dup != "first":
            keep = np.arange(times.size) if keep is None else keep
            _refuse_duplicate(keep, times, int(np.flatnonzero(repeated)[0]) + 1, file, lines)
        findings.append(
            _counted("P-DUP-TIME", int(repeated.sum()), "row", "dropped: the time of the row before")
        )
        kept = np.flatnonzero(np.concatenate([[True], ~repeated]))
        keep, times = kept if keep is None else keep[kept], times[kept]
        if times.size == 1:
            return _alone(times, keep, findings)
        pace = _settled(times, measure_period(times, policy.gap_factor), policy.gap_factor)
    return lay_timeline(times, keep, pace, policy.gap_factor, findings)


def _alone(times: Ints, keep: Ints, findings: list[Finding]) -> Timeline:
    zero, nan = np.zeros(1, np.int64), float("nan")
    said = Finding("W-RATE", "one sample: its rate cannot be measured, 1 Hz is assumed")
    return Timeline(1.0, zero, times, keep, zero, 1, nan, nan, 0.0, 0.0, 0.0, (*findings, said))


def _finer(times: Ints, gap: float) -> tuple[Ints, Pace, list[Finding]]:
    """Times and pace; rows that share the written times of a coarse clock are spread evenly."""
    pace = settled_pace(times, gap)
    if pace.group == 1:
        return times, pace, []
    first = np.flatnonzero(np.concatenate([[True], times[1:] != times[:-1]]))
    count = np.diff(np.append(first, times.size))
    step = np.append(np.diff(times[first]), 0)
    share = np.where((step > 0) & (step <= gap * pace.group * pace.period), step / count, pace.period)
    inside = np.arange(times.size) - np.repeat(first, count)
    finer = times + np.floor(inside * np.repeat(share, count)).astype(np.int64)
    written = pace.resolution / NS
    said = (
        f"the clock is written in steps of {written:.6g} s; the rows that share one are spread evenly over it"
    )
    return finer, measure_period(finer, gap), [Finding("W-COARSE", said, int(times.size - first.size))]


def settled_pace(times: Ints, gap: float) -> Pace:
    """The pace of rows that do not decrease; of a coarse clock (``group`` over 1) as it was measured.

    Args:
        times: (n,) i8 ns, n >= 2.
        gap: periods from which a pause is a gap.
    """
    pace = measure_period(times, gap)
    return pace if pace.group > 1 else _settled(times, pace, gap)


def _settled(times: Ints, pace: Pace, gap: float) -> Pace:
    """The mean step as period where it explains the times as well without lost samples.

    Batches that come twice a second or so give the written times side frequencies a few per cent away; a
    period taken from one of those pays with samples that were never lost.
    """
    grid = lay_out(times, pace.period, gap)
    n_slots, jitter = grid.n_slots, grid.jitter()[0]
    del grid
    if n_slots == times.size:
        return pace
    steps = np.diff(times)
    steps = steps[steps <= 32 * pace.period]
    mean = float(steps.mean()) if steps.size else pace.period
    del steps
    if not 0.8 < mean / pace.period < 1.25:
        return pace
    other = lay_out(times, mean, gap)
    return (
        replace(pace, period=mean) if other.n_slots < n_slots and other.jitter()[0] <= 1.1 * jitter else pace
    )


def _is_arange(index: Ints) -> bool:
    """Whether distinct numbers from 0 on are 0, 1, 2, ...; without a second array of their size."""
    return bool(index[0] == 0 and index[-1] == index.size - 1 and (index[1:] > index[:-1]).all())


def line_of(lines: Lines, row: int) -> int | None:
    """The file's line of a table row, when the file has lines."""
    if lines is None:
        return None
    found = lines(row) if callable(lines) else lines[row]
    return None if found is None else int(found)


def _in_order(times: Ints, policy: Policy, file: str, lines: Lines) -> tuple[Ints | None, list[Finding]]:
    """The rows in time order, None where they are."""
    backwards = np.flatnonzero(times[1:] < times[:-1])
    if backwards.size == 0:
        return None, []
    if not policy.sort:
        row = int(backwards[0]) + 1
        raise unsorted_error(row, (int(times[row - 1]), int(times[row])), file, line_of(lines, row))
    keep = np.argsort(times, kind="stable")
    moved = int((keep != np.arange(times.size)).sum())
    return keep, [_counted("P-SORT", moved, "row", "moved to sort the times")]


def unsorted_error(row: int, times: tuple[int, int], file: str, line: int | None = None) -> InputError:
    """E-UNSORTED: ``row`` is earlier than the row before; ``times`` ns of that row and of this."""
    before, after = times
    return InputError(
        "E-UNSORTED",
        f"time goes back by {(before - after) / NS:.6g} s, from {_seconds(before)} to {_seconds(after)}; "
        "allowed: times that never decrease",
        hint="--sort sorts the rows (stable) and counts them",
        file=file or None,
        line=line,
        sample=row,
    )


def _seconds(ns: int) -> str:
    """Seconds to the last digit that is not zero."""
    whole, part = divmod(abs(ns), NS)
    return f"{'-' if ns < 0 else ''}{whole}{f'.{part:09d}'.rstrip('0') if part else ''} s"


def _counted(code: str, count: int, noun: str, rest: str) -> Finding:
    return Finding(code, f"{count} {noun}{'s' if count != 1 else ''} {rest}", count)


def _repeated(times: Ints, pace: Pace) -> npt.NDArray[np.bool_]:
    """(n - 1,) True where a row's time equals the one before and no pause makes up for it: a duplicate.

    A file may begin in the middle of a batch: equal times near the start pass when others prove batches.
    """
    tied = times[1:] == times[:-1]
    if not tied.any():
        return tied
    rows = np.flatnonzero(tied) + 1
    tied[rows - 1] = duplicated(times, rows, pace.period)
    if not tied[rows[rows > LOOK] - 1].any() and not tied[rows - 1].all():
        tied[:] = False
    return tied


def duplicated(times: Ints, rows: Ints, period: float) -> npt.NDArray[np.bool_]:
    """Which rows, each of the same time as the row before it, are duplicates, and not of a batch.

    A device that hands its samples over in batches writes equal times after a pause: ``u`` falls back to
    where it was. A duplicated row takes ``u`` down by one for good. So the lowest ``u`` of the ``LOOK`` rows before
    is compared with the lowest of this row and those after, ``LOOK`` in all.

    Args:
        times: (n,) i8 ns that never decrease.
        rows: (m,) i8, from 1 on.
        period: ns of a sample.
    """
    found = np.zeros(rows.size, np.bool_)
    if not rows.size:
        return found
    late = np.full(times.size + 2 * LOOK, np.inf)
    late[LOOK:-LOOK] = (times - times[0]) / period - np.arange(times.size)
    windows = np.lib.stride_tricks.sliding_window_view(late, LOOK)
    for first in range(0, rows.size, _TIES):
        part = rows[first : first + _TIES]
        before, after = windows[part].min(axis=1), windows[part + LOOK].min(axis=1)
        found[first : first + _TIES] = before - after > 0.5
    return found


def _refuse_duplicate(keep: Ints, times: Ints, row: int, file: str, lines: Lines) -> None:
    rows = int(keep[row - 1]), int(keep[row])
    at = None if lines is None else (line_of(lines, rows[0]), line_of(lines, rows[1]))
    raise duplicate_error(rows, int(times[row]), file, at)


def duplicate_error(
    rows: tuple[int, int], time: int, file: str, lines: tuple[int | None, int | None] | None = None
) -> InputError:
    """E-DUP-TIME: two rows, and their lines where the file has some, have the time ``time`` in ns."""
    one, two = lines or (None, None)
    where = f"lines {one} and {two}" if one is not None else f"samples {rows[0]} and {rows[1]}"
    return InputError(
        "E-DUP-TIME",
        f"{where} have the same time, {_seconds(time)}; allowed: one row per time",
        hint="--dup first keeps the first of them and counts the others",
        file=file or None,
        line=two,
        sample=rows[1],
    )


def lay_timeline(
    times: Ints, keep: Ints | None, pace: Pace, gap: float, findings: Sequence[Finding] = ()
) -> Timeline:
    """Rows that were checked, laid on the grid of the nominal rate where it fits, else of the measured one.

    Args:
        times: (n,) i8 ns that never decrease, n >= 1.
        keep: (n,) i8, the table's rows that they are of; None for all, in their order.
        pace: the period near which the measured one is looked for.
        gap: periods from which a pause is a gap.
        findings: what was noticed before.
    """
    grid = lay_out(times, pace.period, gap)
    measured, doubt = refined(grid)
    longest = int(np.diff(np.append(grid.first, times.size)).max())
    del grid
    nominal = nominal_rate(NS / measured, doubt / measured, pace)
    period = measured
    if np.isfinite(nominal):
        apart = abs(NS / nominal / measured - 1.0)
        if apart * longest <= 0.25 or apart * measured <= 3.0 * doubt:
            period = NS / nominal
    grid = lay_out(times, period, gap)
    n_slots = grid.n_slots
    lost = n_slots - times.size
    jitter, jitter_max = grid.jitter()
    findings = [
        *findings,
        *_rate_finding(NS / measured, nominal, NS / period, doubt / measured),
        *_jitter_finding(grid, times, jitter, jitter_max),
        *([_counted("W-LOSS", lost, "sample", f"lost inside runs ({lost / n_slots:.3%})")] if lost else []),
        *_gap_finding(times, grid, gap),
    ]
    run_index = grid.slot[grid.first]
    if keep is None:
        keep = grid.slot if lost == 0 else np.arange(times.size)
    return Timeline(
        NS / period, run_index, grid.start, keep, grid.slot, n_slots, nominal, NS / measured, jitter,
        jitter_max, lost / n_slots, tuple(findings),
    )  # fmt: skip


def _rate_finding(measured: float, nominal: float, rate: float, doubt: float) -> list[Finding]:
    if not np.isfinite(nominal):
        return [Finding("W-RATE", f"measured {measured:.8g} Hz; no round rate is near; the grid uses it")]
    ppm = (measured / nominal - 1.0) * 1e6
    if abs(ppm) <= max(1.0, 3e6 * doubt):
        return []
    used = "nominal" if rate == nominal else "measured"
    return [
        Finding(
            "W-RATE",
            f"nominal {nominal:.8g} Hz, measured {measured:.8g} Hz ({ppm:+.0f} ppm); the grid uses the {used} one",
        )
    ]


def _jitter_finding(grid: Grid, times: Ints, jitter: float, jitter_max: float) -> list[Finding]:
    away = int(((grid.off > STEADY) | (grid.off < -STEADY)).sum())
    if away == 0:
        return []
    tied = int((times[1:] == times[:-1]).sum())
    batches = f"; {tied} rows came in batches with the time of the row before" if tied else ""
    message = f"written times lie off the grid: sd {jitter:.1%}, max {jitter_max:.1%} of a period{batches}"
    return [Finding("W-JITTER", message, away)]


def _gap_finding(times: Ints, grid: Grid, gap: float) -> list[Finding]:
    """Pauses (W-GAP), and runs that were cut because the clock's rate wandered (W-WANDER)."""
    if grid.first.size < 2:
        return []
    pause = (times[grid.first[1:]] - times[grid.first[1:] - 1]) / grid.period
    real = pause[pause > gap]
    seconds = real * grid.period / NS
    found = []
    if real.size:
        rest = f"longer than {gap:g} periods: {seconds.sum():.6g} s in all, the longest {seconds.max():.6g} s"
        found.append(_counted("W-GAP", int(real.size), "gap", rest))
    if real.size < pause.size:
        rest = "where the clock had wandered half a period from its own rate"
        found.append(_counted("W-WANDER", int(pause.size - real.size), "run", f"begun anew {rest}"))
    return found

"""A long table looked through once, a block of rows at a time: what can be said of all its rows, or why it cannot.

Here is found whatever the whole table decides: the first order fault and the first duplicate, channels without any
number, the kind of its times, and whether every block keeps to one pace. Where blocks could decide differently from
the whole, that is said (``Survey.why_whole``) and the table has to be read as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from align.clock import NS
from align.datatypes import Finding
from align.errors import InputError
from align.readers.pace import Pace
from align.readers.parquet_tables import ParquetTable
from align.readers.policy import Policy
from align.readers.screening import Screen
from align.readers.timeline import (
    LOOK,
    duplicate_error,
    duplicated,
    lay_timeline,
    settled_pace,
    unsorted_error,
)
from align.readers.timestamps import Times, parse_time_column

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BlockTimes", "Survey", "agrees"]

Ints = npt.NDArray[np.int64]

_ASKED = 256  # rows from which a block's pace counts
_AGREE = 1e-3  # share by which the paces of blocks may differ: clocks differ by some 1e-4 at most
_TOLD = 2.0  # samples from the first row to the last to which the pace of few rows can be told


def agrees(pace: Pace, other: Pace, within: float = _AGREE) -> bool:
    """Whether two paces are of one clock whose samples have a written time each, within a share of the period."""
    return max(pace.group, other.group) == 1 and abs(pace.period / other.period - 1.0) <= within


@dataclass(slots=True, eq=False)
class BlockTimes:
    """The time column of a table, parsed a block at a time as the whole column would be.

    Unit and kind of times that never decrease follow from the first and the last: a block is parsed between these two.

    Attributes:
        told: of the first block; all others must be like it.
        is_alike: whether all were so far.
    """

    table: ParquetTable
    policy: Policy
    told: Times | None = None
    is_alike: bool = True
    _ends: tuple[pl.Series, pl.Series] = field(init=False)

    def __post_init__(self) -> None:
        n = self.table.n_rows
        self._ends = self.table.times(0, 1), self.table.times(n - 1, n)

    def parsed(self, written: pl.Series, first: int) -> Ints | None:
        """(m,) ns of the rows from ``first`` on; None where only a later block shows what is wrong.

        Raises:
            InputError: as ``parse_time_column``, with the row of the table.
        """
        import polars as pl

        end, name = first + len(written), self.table.names[self.table.time]
        head = self._ends[0].head(int(first > 0))
        tail = self._ends[1].head(int(end < self.table.n_rows))
        column = pl.concat([part.alias("") for part in (head, written, tail)])
        try:
            times = parse_time_column(name, column, self.policy, file=str(self.table.path))
        except InputError as error:
            row = error.where.get("sample")
            if not isinstance(row, int):
                raise
            if row == len(head) + len(written):  # the last row of the table: an earlier one may be wrong, too
                self.is_alike = False
                return None
            row = first + row - len(head) if row >= len(head) else 0
            where = {**error.where, "sample": row}
            raise InputError(error.code, error.message, hint=error.hint, **where) from error
        told = self.told = self.told or times
        self.is_alike &= (told.absolute, told.timezone, told.findings) == (
            times.absolute, times.timezone, times.findings,
        )  # fmt: skip
        return times.ns[len(head) : len(head) + len(written)]


@dataclass(slots=True, eq=False)
class Survey:
    """What is known of a table after ``add`` of its blocks, in order; then ``checked``.

    Attributes:
        pace: of the first block.
        start_ns: where the first block's grid begins, ns.
        marks: (row, ns) of a row of every part of the table, in order.
        why_whole: why the table cannot be read block by block, or "".
    """

    table: ParquetTable
    policy: Policy
    times: BlockTimes
    pace: Pace | None = None
    start_ns: int = 0
    marks: list[tuple[int, int]] = field(default_factory=list)
    why_whole: str = ""
    _screen: Screen = field(init=False)
    _zero_ns: int = 0
    _noted: dict[int, int] = field(default_factory=dict)  # ns of rows that an error may name
    _rows: Ints = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )  # the last kept rows of the blocks before
    _ns: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    _n: int = 0  # rows kept so far
    _n_steps: int = 0  # of them, those that are later than the one before
    _unsorted: InputError | None = None
    _duplicate: InputError | None = None
    _any_far: bool = False
    _all_duplicates: bool = True
    _findings: dict[str, list[Finding]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._screen = Screen(len(self.table.wanted), self.policy)

    def add(self, first: int, end: int) -> None:
        """The rows from ``first`` to ``end``: those after the rows added before.

        Raises:
            InputError: a time that is none, E-DECODE.
        """
        rows, ns, at = [], [], first
        for values, written in self.table.blocks(first, end):
            some = self._screen.screened(values)[1]
            times = self.times.parsed(written, at)
            if times is not None:
                self._note(at, times)
                rows.append(at + (np.arange(times.size) if some is None else np.flatnonzero(some)))
                ns.append(times if some is None else times[some])
            at += len(written)
        if self.times.is_alike and self._unsorted is None:
            self._timed(np.concatenate(rows), np.concatenate(ns), is_last=end == self.table.n_rows)

    def _note(self, first: int, times: Ints) -> None:
        if first == 0:
            self._zero_ns = int(times[0])
        self.marks.append((first, int(times[0])))
        for cell in (self._screen.large, self._screen.wrong):
            if cell is not None and first <= cell[0] < first + times.size:
                self._noted[cell[0]] = int(times[cell[0] - first])

    def _timed(self, rows: Ints, ns: Ints, *, is_last: bool) -> None:
        """Order, pace, equal times and losses of the rows that hold a number, after those of the block before."""
        before = self._ns.size
        rows, ns = np.concatenate([self._rows, rows]), np.concatenate([self._ns, ns])
        steps = np.diff(ns[max(0, before - 1) :])
        if (steps < 0).any():
            at = max(1, before) + int(np.argmax(steps < 0))
            self._unsorted = unsorted_error(
                int(rows[at]), (int(ns[at - 1]), int(ns[at])), str(self.table.path)
            )
            return
        self._n += ns.size - before
        self._n_steps += int((steps > 0).sum())
        if ns.size > before and not self.why_whole:
            self._paced(ns[max(0, before - 1) :])
        if self.pace is not None:
            undecided = max(1, before - LOOK + 1)
            decided = ns.size if is_last else ns.size - LOOK + 1
            self._tied(rows, ns, undecided, decided)
        # as many rows as a duplicate's neighbourhood takes, twice
        self._rows, self._ns = rows[-2 * LOOK :].copy(), ns[-2 * LOOK :].copy()

    def _paced(self, ns: Ints) -> None:
        if ns.size < _ASKED:
            if self.pace is None:
                self.why_whole = f"fewer than {_ASKED} of its first rows hold a number"
                return
        else:
            own = settled_pace(ns, self.policy.gap_factor)
            self.pace = self.pace or own
            if not agrees(own, self.pace, max(_AGREE, _TOLD / ns.size)):
                self.why_whole = "its times do not keep one pace from block to block"
                return
        if self.pace is None or ns.size < 2:
            return
        line = lay_timeline(ns, None, self.pace, self.policy.gap_factor)
        if self._n == ns.size:
            self.start_ns = int(line.run_start_ns[0])
        for found in line.findings:
            self._findings.setdefault(found.code, []).append(found)

    def _tied(self, rows: Ints, ns: Ints, first: int, end: int) -> None:
        """Equal times at the rows from ``first`` to ``end`` of those given, the last of all rows so far."""
        tied = np.flatnonzero(ns[1:] == ns[:-1]) + 1
        tied = tied[(tied >= first) & (tied < end)]
        if not tied.size or self.pace is None:
            return
        twice = duplicated(ns, tied, self.pace.period)
        self._all_duplicates &= bool(twice.all())
        self._any_far |= bool((twice & (tied + self._n - ns.size > LOOK)).any())
        if twice.any() and self._duplicate is None:
            at = int(tied[np.argmax(twice)])
            pair = int(rows[at - 1]), int(rows[at])
            self._duplicate = duplicate_error(pair, int(ns[at]), str(self.table.path))

    def checked(self, channels: tuple[str, ...]) -> tuple[Finding, ...]:
        """What was noticed, added up; or ``why_whole`` is said.

        Args:
            channels: names, for messages.

        Raises:
            InputError: E-RANGE, E-NONFINITE, E-NO-SAMPLES, E-UNSORTED, E-DUP-TIME.
        """
        if not self.times.is_alike:
            self.why_whole = "its times are of several kinds or offsets"
            return ()
        told = self.times.told
        assert told is not None  # there is a row
        zero = self._zero_ns if told.absolute else 0
        cells = self._screen.checked(
            channels, lambda row: (self._noted[row] - zero) / NS, self.table.path, None
        )
        if self._unsorted is not None:
            if not self.policy.sort:
                raise self._unsorted
            self.why_whole = "its rows are to be sorted"
        elif self.why_whole:
            pass
        elif self._n >= 3 * (self._n_steps + 1):
            self.why_whole = "its clock is written in coarse steps"
        elif self._duplicate is not None and (self._any_far or self._all_duplicates):
            if self.policy.dup != "first":
                raise self._duplicate
            self.why_whole = "it has rows of one time, the first of which is to be kept"
        if self.why_whole:
            return ()
        return (*self.table.findings, *told.findings, *cells, *map(_added, self._findings.values()))


def _added(found: list[Finding]) -> Finding:
    """One finding for those of several blocks: counts add up, but the rate is one, and the words are the first's."""
    first = found[0]
    if len(found) == 1 or first.code == "W-RATE":
        return first
    said = f"{first.message}; so the first of {len(found)} blocks of rows, all are counted"
    return Finding(first.code, said, sum(one.count for one in found))

"""A Parquet table that is too long to hold, read as streams of some of its rows.

A block is what the whole table is at these rows, on the same clock: seconds count from the same moment, times are read
in the same unit. Its grid is its own: the rate is measured on its rows, near the pace of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from align.clock import NS
from align.datatypes import Finding, Stream
from align.errors import InputError
from align.readers.block_survey import BlockTimes, Survey, agrees
from align.readers.gathering import Cells
from align.readers.pace import Pace
from align.readers.parquet_tables import ParquetTable, open_parquet
from align.readers.policy import Policy
from align.readers.slots import apart
from align.readers.sniff import require_file, sniff
from align.readers.tables import Mark, check_unchanged, mark_of, names_and_units
from align.readers.timeline import lay_timeline, settled_pace

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Block", "TableBlocks", "read_blocks"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The rows from ``first`` to ``end`` of a table.

    ``stream`` is None where none of them holds a number. ``rows`` (n_kept,) are those that do, counted from ``first``,
    None for all; ``samples`` (n_kept,) are the samples of the stream that they are, ascending, None where no sample
    was lost between them.
    """

    first: int
    end: int
    stream: Stream | None
    rows: Ints | None = None
    samples: Ints | None = None

    def row_at(self, sample: int) -> int:
        """The row of the table at a sample, or the first after it; ``end`` where there is none.

        Args:
            sample: from 0 to the number of samples.
        """
        if self.stream is None or sample >= self.stream.n_samples:
            return self.end
        at = sample if self.samples is None else int(np.searchsorted(self.samples, sample))
        return self.first + (at if self.rows is None else int(self.rows[at]))


@dataclass(frozen=True, slots=True, eq=False)
class TableBlocks:
    """A table that was looked through from end to end, see ``read_blocks``.

    ``epoch`` and ``findings`` are as of the stream that the whole table is; ``size`` rows are to be read at once, or
    half as many again.
    """

    table: ParquetTable
    policy: Policy
    size: int
    name: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    pace: Pace
    epoch: int | None
    findings: tuple[Finding, ...]
    marks: tuple[tuple[int, int], ...]
    _times: BlockTimes
    _mark: Mark

    @property
    def n_rows(self) -> int:
        return self.table.n_rows

    @property
    def rate(self) -> float:
        """Samples per second, roughly: each block measures its own."""
        return NS / self.pace.period

    def end_of(self, first: int) -> int:
        """Where the block that begins at a row ends: after ``size`` rows, the last after up to half as many again."""
        return _end_of(first, self.n_rows, self.size)

    def read(self, first: int, end: int, start: float | None = None) -> Block:
        """The rows from ``first`` to ``end``.

        Args:
            first: a row.
            end: a row after it, at most ``n_rows``.
            start: seconds from which on the block may begin, as where the one before it ends: it begins there if it
                would begin sooner, or up to half a sample later.

        Raises:
            InputError: E-CHANGED, the file is not what it was.
        """
        for wide in (False, True):
            found = self._read(first, end, start, wide)
            if found is not None:
                return found
        raise AssertionError("float64 holds every column")

    def _read(self, first: int, end: int, start: float | None, wide: bool) -> Block | None:
        cells, parts, at = Cells(len(self.channels), self.policy, wide=wide, expected=end - first), [], first
        with _unchanged(self.table.path, self._mark):
            for values, written in self.table.blocks(first, end):
                cells.add(values)
                parts.append(self._parsed(written, at))
                at += len(written)
        ns, kept = np.concatenate(parts), cells.rows
        ns = ns if kept is None else ns[kept]
        if not ns.size:
            return Block(first, end, None)
        pace, gap = self.pace, self.policy.gap_factor
        if ns.size > 1:
            own = settled_pace(ns, gap)
            pace = own if agrees(own, self.pace) else self.pace
        line = lay_timeline(ns, None, pace, gap)
        grid = cells.place(line)
        if grid is None:
            return None
        begins = (line.run_start_ns - (self.epoch or 0)) / NS
        if start is not None and begins[0] < start + 0.5 / line.rate:
            runs = line.run_start_ns.copy()
            runs[0] = (self.epoch or 0) + round(start * NS)
            runs = apart(runs, np.diff(np.append(line.run_index, line.n_slots)), NS / line.rate)
            begins = (runs - (self.epoch or 0)) / NS
            begins[0] = start
        stream = Stream(
            grid,
            line.rate,
            name=self.name,
            channels=self.channels,
            units=self.units,
            run_index=line.run_index,
            run_start=begins,
            epoch=self.epoch,
        )
        return Block(first, end, stream, kept, None if line.n_slots == ns.size else line.slot)

    def _parsed(self, written: pl.Series, first: int) -> Ints:
        found = self._times.parsed(written, first)
        if found is None:  # it was parsed before
            raise InputError("E-TIME", "a time is none any more", hint="read it again", file=self.table.path)
        return found

    def around(self, seconds: float, n_rows: int) -> Block:
        """About so many rows around a moment.

        Args:
            seconds: on the table's clock.
            n_rows: how many.

        Raises:
            InputError: as ``read``.
        """
        moment = (self.epoch or 0) + round(seconds * NS)
        at = max(0, int(np.searchsorted([ns for _, ns in self.marks], moment, side="right")) - 1)
        begin, behind = self.marks[at][0], [*(row for row, _ in self.marks), self.n_rows][at + 1]
        with _unchanged(self.table.path, self._mark):
            times = self._parsed(self.table.times(begin, behind), begin)
        row = begin + int(np.searchsorted(times, moment))
        first = max(0, min(row - n_rows // 2, self.n_rows - n_rows))
        return self.read(first, min(self.n_rows, first + n_rows))


def _end_of(first: int, n_rows: int, size: int) -> int:
    return n_rows if n_rows - first <= 1.5 * size else first + size


@contextmanager
def _unchanged(path: Path, before: Mark) -> Iterator[None]:
    """E-CHANGED where the file is another than before, whatever else was found wrong with it meanwhile."""
    try:
        yield
    except InputError:
        check_unchanged(path, before)
        raise
    check_unchanged(path, before)


def read_blocks(path: Path, policy: Policy, most_rows: int, most_cells: int) -> TableBlocks | Finding | None:
    """Look through a long Parquet file, and read it block by block.

    All that is checked where a table is read as a whole is checked, over all rows: order and equal times, channels
    without any number, cells; places in errors count in the file. What was noticed is added up.

    What is not read block by block, because a block might decide otherwise than the whole: rows that are to be sorted,
    or equal times of which the first is to be kept; a clock written in coarse steps; times whose kind or offset
    changes; a clock that does not keep one pace within 0.1 %.

    Args:
        path: of any stream file.
        policy: opt-in repairs.
        most_rows: of a block, if the table is longer than half as many again.
        most_cells: numbers of a block, likewise.

    Returns:
        the table; None where it is no Parquet file, or not a long one; W-WHOLE, which says why it has to be read as a
        whole.

    Raises:
        InputError, UnsafeError: as where the file is read as a whole.
    """
    if path.suffix.lower() not in (".parquet", ".pq") or sniff(path) != "parquet":
        return None
    mark = mark_of(require_file(path))
    table = open_parquet(path, policy)
    channels, units = names_and_units(table.channels, path)
    size = max(1, min(most_rows, most_cells // len(channels)))
    if table.n_rows <= 1.5 * size:
        return None
    times = BlockTimes(table, policy)
    survey = Survey(table, policy, times)
    with _unchanged(path, mark):
        end = 0
        while end < table.n_rows:
            first, end = end, _end_of(end, table.n_rows, size)
            survey.add(first, end)
    found = survey.checked(channels)
    if survey.why_whole or survey.pace is None or times.told is None:
        said = f"read as a whole, in memory that grows with its length: {survey.why_whole}"
        return Finding("W-WHOLE", f"{path.stem}: {said}")
    epoch = survey.start_ns if times.told.absolute else None
    return TableBlocks(
        table, policy, size, path.stem, channels, units, survey.pace, epoch, found, tuple(survey.marks), times, mark
    )  # fmt: skip

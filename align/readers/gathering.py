"""A table's cells, gathered block by block: checked as they come, kept as float32 where that keeps the signal.

A day of six channels at 100 Hz is 5.2e7 numbers: 207 MB as float32, but a gigabyte as a frame of float64, its
array, its masks and its copies. So a reader hands over blocks of rows; nothing but what is kept outlives its block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from align.clock import NS
from align.datatypes import Finding, Floats
from align.errors import InputError
from align.readers.policy import Policy
from align.readers.screening import Mask, Screen, Values
from align.readers.timeline import Timeline
from align.readers.timestamps import Times, parse_time_column

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Cells", "RawTable", "TimeBlocks", "rows_at_once"]

_VALUES = 1 << 21  # cells of a block
_FEWEST = 1 << 16  # rows of a block of a wide table: a Parquet file is searched anew for every block
_LOST = 1e-3  # of the mean step between samples: rounding beyond it needs float64, as in ``Stream``
_DOUBT = 0.99  # of that: rounding moves the mean step itself by up to 0.2 %


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """A table before it is laid on its clock.

    ``times`` reads the time column; ``cells`` are all other columns, named ``channels``; ``lines`` row -> line,
    None for a format without lines.
    """

    times: Callable[[], Times]
    channels: tuple[str, ...]
    cells: Cells
    lines: Callable[[int], int] | None = None
    findings: tuple[Finding, ...] = ()


def rows_at_once(n_columns: int) -> int:
    """Rows of a block of a table."""
    return max(_FEWEST, _VALUES // max(1, n_columns))


@dataclass(slots=True, eq=False)
class Cells:
    """Cells of ``n_channels`` columns: ``add`` block after block, then ``checked``, then ``place``.

    What is missing or wrong is found by ``screen``; rows without any number are left out at once (``rows``).

    Args:
        n_channels: columns.
        policy: ``sentinels`` and ``on_nan``.
        wide: keep float64; else float64 only when the first block cannot do without.
        expected: rows, roughly; more make the array grow.
    """

    n_channels: int
    policy: Policy
    wide: bool = False
    expected: int = 0
    screen: Screen = field(init=False)
    _values: Values = field(default_factory=lambda: np.empty((0, 0), np.float32))
    _n: int = 0
    _kept: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _error: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.screen = Screen(self.n_channels, self.policy)
        self._error = np.zeros(self.n_channels)

    @property
    def n_rows(self) -> int:
        """Rows so far, those without a number too."""
        return self.screen.n_rows

    def add(self, block: Values, declared: Mask | None = None) -> None:
        """The next rows.

        Args:
            block: (m, n_channels) f4 or f8; f4 blocks only, or f8 only.
            declared: cells that are NaN because the caller knows them as missing.
        """
        first = self.n_rows
        block, some = self.screen.screened(block, declared)
        if block.size:
            dropped = np.zeros(0, np.int64) if some is None else np.flatnonzero(~some)
            self._keep(block if some is None else block[some], dropped, first)

    def _keep(self, block: Values, dropped: npt.NDArray[np.int64], first: int) -> None:
        if dropped.size or self._kept:
            if not self._kept:
                self._kept.append(np.arange(first))
            self._kept.append(first + np.delete(np.arange(len(block) + dropped.size), dropped))
        if not self.wide and block.dtype == np.float64:
            lost = self._rounding(block)
            if self._n == 0 and (lost > _LOST * _mean_step(block)).any():
                self.wide = True
            self._error = np.maximum(self._error, lost)
        self._store(block)

    def _rounding(self, block: Values) -> Floats:
        """(n_channels,) largest distance of a number from the nearest float32."""
        with np.errstate(over="ignore", invalid="ignore"):
            away = np.abs(block - block.astype(np.float32))
        out: Floats = np.max(away, axis=0, where=np.isfinite(block), initial=0.0)
        return out

    def _store(self, block: Values) -> None:
        end = self._n + len(block)
        if self._n == 0:
            kind = np.float64 if self.wide and block.dtype == np.float64 else np.float32
            self._values = np.empty((max(end, self.expected), self.n_channels), kind)
        elif end > len(self._values):  # in place: nothing else holds this array yet
            self._values.resize((max(end, end + end // 8), self.n_channels), refcheck=False)
        with np.errstate(over="ignore", invalid="ignore"):
            self._values[self._n : end] = block
        self._n = end

    @property
    def rows(self) -> npt.NDArray[np.int64] | None:
        """The table's rows that are kept; None when all are."""
        return np.concatenate(self._kept) if self._kept else None

    def checked(
        self, channels: tuple[str, ...], times: Times, path: Path, lines: Callable[[int], int] | None
    ) -> list[Finding]:
        """As of ``Screen.checked``, with the ``times`` of all rows."""

        def seconds(row: int) -> float:
            zero = int(times.ns[0]) if times.absolute else 0
            return (int(times.ns[row]) - zero) / NS

        return self.screen.checked(channels, seconds, path, lines)

    def place(self, timeline: Timeline) -> Values | None:
        """The cells on the grid, read-only; None when float32 may have lost some of the signal.

        Gives the array away: to be called once.
        """
        values, self._values = self._values, np.empty((0, 0), np.float32)
        values.resize((self._n, self.n_channels), refcheck=False)
        if timeline.n_slots == self._n == timeline.keep.size and timeline.keeps_order:
            grid = values
        elif self._n == timeline.keep.size and timeline.keeps_order:
            grid = _spread(values, timeline)
        else:
            grid = timeline.place(values)
        lossy = grid.dtype == np.float32 and self._error.any()
        if lossy and (self._error > _DOUBT * _LOST * _mean_step(grid)).any():
            return None
        grid.flags.writeable = False
        return grid


def _mean_step(values: Values) -> Floats:
    """(n_channels,) sum of the finite steps between neighbours over their number with the others."""
    total = np.zeros(values.shape[1])
    size = rows_at_once(values.shape[1])
    for first in range(0, len(values) - 1, size):
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.abs(np.diff(values[first : first + size + 1].astype(np.float64), axis=0))
        total += np.sum(steps, axis=0, where=np.isfinite(steps))
    return total / max(1, len(values) - 1)


def _spread(values: Values, timeline: Timeline) -> Values:
    """Move the rows to their slots within the same array, the last first: a slot is never before its row."""
    n = len(values)
    values.resize((timeline.n_slots, values.shape[1]), refcheck=False)
    size = rows_at_once(values.shape[1])
    behind = timeline.n_slots
    for first in range((n - 1) // size * size, -1, -size):
        rows = values[first : min(first + size, n)].copy()
        slots = timeline.slot[first : first + len(rows)]
        values[slots[0] : behind] = np.nan
        values[slots] = rows
        behind = int(slots[0])
    return values


@dataclass(slots=True, eq=False)
class TimeBlocks:
    """A time column that is parsed block by block, for as long as all blocks are of one kind.

    What depends on the whole column (a unit that only some values tell, offsets that change, every error) is
    left to ``parse_time_column`` on the column read again.

    Args:
        name: the column's header.
        policy: as for ``parse_time_column``.
        file: for messages.
    """

    name: str
    policy: Policy
    file: str
    _parts: list[Times] = field(default_factory=list)
    _alike: bool = True

    def add(self, block: pl.Series) -> None:
        """The next rows."""
        if not self._alike:
            return
        try:
            part = parse_time_column(self.name, block, self.policy, file=self.file)
        except InputError:
            self._alike = False
        else:
            first = self._parts[0] if self._parts else part
            told = (first.absolute, first.timezone, first.findings)
            self._alike = told == (part.absolute, part.timezone, part.findings)
            self._parts.append(part)
        if not self._alike:
            self._parts.clear()

    def times(self, again: Callable[[], pl.Series], lines: Callable[[int], int] | None) -> Times:
        """All of them.

        Args:
            again: reads the whole column.
            lines: row -> line.

        Raises:
            InputError: as ``parse_time_column``.
        """
        if not self._alike or not self._parts:
            return parse_time_column(self.name, again(), self.policy, file=self.file, lines=lines)
        first = self._parts[0]
        ns = np.concatenate([part.ns for part in self._parts])
        self._parts.clear()
        return Times(ns, first.absolute, first.timezone, first.findings)

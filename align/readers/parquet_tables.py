"""Parquet as columns of numbers, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from align.datatypes import Finding
from align.errors import InputError
from align.readers.gathering import Cells, RawTable, TimeBlocks, rows_at_once
from align.readers.headers import check_names, left_out
from align.readers.policy import Policy
from align.readers.screening import Values
from align.readers.timestamps import find_time_column
from align.readers.unfolding import Unfolding

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ParquetTable", "open_parquet", "read_parquet_table"]


@dataclass(frozen=True, slots=True, eq=False)
class ParquetTable:
    """A Parquet table whose columns were looked at, and none of whose rows was.

    ``names`` of all columns; ``wanted`` are the places of the channels, ``time`` that of the time column.
    """

    path: Path
    scan: pl.LazyFrame
    n_rows: int
    names: tuple[str, ...]
    wanted: tuple[int, ...]
    time: int
    findings: tuple[Finding, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.names[i] for i in self.wanted)

    def blocks(self, first: int, end: int) -> Iterator[tuple[Values, pl.Series]]:
        """Channels and times of the rows from ``first`` to ``end``, so many at once as a reader holds.

        Yields:
            (m, n_channels) float32 where every channel is, else float64, nulls are NaN; m times as stored.

        Raises:
            InputError: E-DECODE.
        """
        with _decoding(self.path):
            columns = _columns(self.scan, [*self.wanted, self.time])
            kinds = self.scan.collect_schema().dtypes()
            size = rows_at_once(len(self.wanted) + 1)
            for begin in range(first, end, size):
                block = columns.slice(begin, min(size, end - begin)).collect()
                yield _numbers(block, [kinds[i] for i in self.wanted]), block.to_series(len(self.wanted))

    def times(self, first: int, end: int) -> pl.Series:
        """The time column from one row to another, as stored.

        Raises:
            InputError: E-DECODE.
        """
        with _decoding(self.path):
            return _columns(self.scan, [self.time]).slice(first, end - first).collect().to_series()


def open_parquet(path: Path, policy: Policy) -> ParquetTable:
    """Look at the columns of a Parquet file.

    Raises:
        InputError: E-TRUNCATED, E-DECODE, E-NO-SAMPLES, E-NO-TIME, E-NUMBER, E-DUP-COLUMN, E-LIMIT.
        UnsafeError: E-UNFOLDS, more rows than the size of the file allows (``policy.max_ratio``).
    """
    import polars as pl

    _check_ends(path)
    with _decoding(path):
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema = scan.collect_schema()
        n_rows = int(scan.select(pl.len()).collect().item())
    names = [name.strip() for name in schema]
    check_names(names, policy, path, None)
    if n_rows == 0:
        raise InputError("E-NO-SAMPLES", "the table has no row", file=path)
    time, others = find_time_column(names, policy, file=str(path))
    wanted = tuple(i for i in range(len(names)) if i != time and i not in others)
    kinds = schema.dtypes()
    for i in wanted:
        if not kinds[i].is_numeric():
            said = f"column {names[i]!r} holds {kinds[i]}; allowed: numbers"
            raise InputError("E-NUMBER", said, hint="leave the column out", file=path, column=names[i])
    # a page of one value may stand for any number of rows
    Unfolding(path, policy).add(8 * n_rows * (len(wanted) + 1))
    return ParquetTable(path, scan, n_rows, tuple(names), wanted, time, left_out(names, others))


def read_parquet_table(path: Path, policy: Policy, wide: bool) -> RawTable:
    """Read a Parquet file; ``wide`` keeps float64.

    Raises:
        InputError, UnsafeError: as ``open_parquet``.
    """
    table = open_parquet(path, policy)
    cells = Cells(len(table.wanted), policy, wide=wide, expected=table.n_rows)
    times = TimeBlocks(table.names[table.time], policy, str(path))
    for values, written in table.blocks(0, table.n_rows):
        cells.add(values)
        times.add(written)
    n_rows = table.n_rows
    return RawTable(
        lambda: times.times(lambda: table.times(0, n_rows), None),
        table.channels,
        cells,
        findings=table.findings,
    )


def _check_ends(path: Path) -> None:
    with open(path, "rb") as file:
        head = file.read(4)
        file.seek(max(-4, -path.stat().st_size), 2)
        if head != b"PAR1" or file.read(4) != b"PAR1" or file.tell() < 12:
            raise InputError("E-TRUNCATED", "the footer of the Parquet file is missing",
                             hint="it was cut or is still being written: copy it again", file=path)  # fmt: skip


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = f"the Parquet file cannot be decoded ({type(error).__name__})"
        raise InputError("E-DECODE", said, hint="the file is damaged: copy it again", file=path) from error


def _columns(scan: pl.LazyFrame, indices: list[int]) -> pl.LazyFrame:
    """Columns by place, in the order given, named "0", "1", ...: a name may look like a pattern to polars."""
    import polars.selectors as cs

    return scan.select(cs.by_index(i).alias(str(k)) for k, i in enumerate(indices))


def _numbers(block: pl.DataFrame, kinds: list[pl.DataType]) -> Values:
    """(m, n) float32 when each of the first columns, of these kinds, is, else float64; nulls are NaN."""
    import polars as pl

    if not kinds:
        return np.empty((block.height, 0))
    dtype = pl.Float32 if all(kind == pl.Float32 for kind in kinds) else pl.Float64
    columns = [block.to_series(k).cast(dtype).fill_null(float("nan")) for k in range(len(kinds))]
    return pl.DataFrame(columns).to_numpy()

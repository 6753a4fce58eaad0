"""Parquet as columns of numbers, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from align.errors import InputError
from align.readers.gathering import Cells, RawTable, TimeBlocks, Values, rows_at_once
from align.readers.headers import check_names, left_out
from align.readers.policy import Policy
from align.readers.timestamps import find_time_column
from align.readers.unfolding import Unfolding

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_parquet_table"]


def read_parquet_table(path: Path, policy: Policy, wide: bool) -> RawTable:
    """Read a Parquet file; ``wide`` keeps float64.

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
    wanted = [i for i in range(len(names)) if i != time and i not in others]
    kinds = schema.dtypes()
    for i in wanted:
        if not kinds[i].is_numeric():
            said = f"column {names[i]!r} holds {kinds[i]}; allowed: numbers"
            raise InputError("E-NUMBER", said, hint="leave the column out", file=path, column=names[i])
    # a page of one value may stand for any number of rows
    Unfolding(path, policy).add(8 * n_rows * (len(wanted) + 1))
    cells = Cells(len(wanted), policy, wide=wide, expected=n_rows)
    times = TimeBlocks(names[time], policy, str(path))
    with _decoding(path):
        for block in _blocks(_columns(scan, [*wanted, time]), n_rows):
            cells.add(_numbers(block, kinds, wanted))
            times.add(block.to_series(len(wanted)))

    def written() -> pl.Series:
        with _decoding(path):
            return _columns(scan, [time]).collect().to_series()

    channels = tuple(names[i] for i in wanted)
    return RawTable(lambda: times.times(written, None), channels, cells, findings=left_out(names, others))


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


def _blocks(columns: pl.LazyFrame, n_rows: int) -> Iterator[pl.DataFrame]:
    size = rows_at_once(len(columns.collect_schema()))
    for first in range(0, n_rows, size):
        yield columns.slice(first, size).collect()


def _numbers(block: pl.DataFrame, kinds: list[pl.DataType], wanted: list[int]) -> Values:
    """(m, n_wanted) float32 when every wanted column is, else float64; nulls are NaN."""
    import polars as pl

    if not wanted:
        return np.empty((block.height, 0))
    dtype = pl.Float32 if all(kinds[i] == pl.Float32 for i in wanted) else pl.Float64
    columns = [block.to_series(k).cast(dtype).fill_null(float("nan")) for k in range(len(wanted))]
    return pl.DataFrame(columns).to_numpy()

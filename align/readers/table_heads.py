"""The head of a sensor table: its column names and time column, without reading what lies below."""

from __future__ import annotations

import json
from pathlib import Path

from align.readers.cells import csv_records, lines_of
from align.readers.headers import check_names, separator_of
from align.readers.policy import Policy
from align.readers.sniff import sniff
from align.readers.tables import read_table
from align.readers.timestamps import find_time_column

__all__ = ["check_table", "time_column_of"]

_SMALL = 8 << 20  # bytes of text that are simply read to check them
_HEAD = 1 << 20


def check_table(path: Path, policy: Policy) -> None:
    """Raise what ``read_table`` would: all of it for small text, else as far as the head shows it.

    Raises:
        InputError: as ``read_table``.
    """
    if sniff(path) != "parquet" and path.stat().st_size <= _SMALL:
        read_table(path, policy)
        return
    names = _names(path)
    if names is None:
        read_table(path, policy)
        return
    check_names(names, policy, path, 1)
    find_time_column(names, policy, file=str(path))


def time_column_of(path: Path, policy: Policy) -> str | None:
    """The name of the column that holds the times of a readable table; None for other files."""
    names = _names(path) if sniff(path) in ("csv", "tsv", "parquet", "jsonl") else None
    return None if names is None else names[find_time_column(names, policy, file=str(path))[0]]


def _names(path: Path) -> list[str] | None:
    """The columns in file order; None when the head cannot be understood."""
    kind = sniff(path)
    if kind == "parquet":
        import polars as pl

        try:
            return [name.strip() for name in pl.read_parquet_schema(path)]
        except (pl.exceptions.PolarsError, OSError):
            return None
    with path.open("rb") as file:
        line = lines_of(file.read(_HEAD).decode("utf-8-sig", "replace"))[0]
    if kind == "jsonl":
        try:
            return [str(name) for name in json.loads(line)]
        except (ValueError, TypeError):
            return None
    separator, _ = separator_of(line, "\t" if kind == "tsv" else ",")
    return [name.strip() for name in next(csv_records(line, separator, path), (1, []))[1]]

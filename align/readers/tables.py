"""Sensor tables (CSV, TSV, Parquet, JSONL) -> one Stream named after the file."""

from __future__ import annotations

import os
from pathlib import Path

from align.clock import NS
from align.datatypes import Stream
from align.errors import InputError
from align.readers.gathering import RawTable
from align.readers.json_tables import read_json_table
from align.readers.parquet_tables import read_parquet_table
from align.readers.policy import Policy
from align.readers.sniff import require_file, sniff
from align.readers.text_tables import read_text_table
from align.readers.timeline import runs_from_times
from align.readers.timestamps import split_unit

__all__ = ["Mark", "check_unchanged", "mark_of", "names_and_units", "read_table", "read_table_and_zone"]

Mark = tuple[int, int, int]


def read_table(path: Path, policy: Policy) -> tuple[Stream, ...]:
    """Read a table of samples as one Stream.

    The time column is found by name; every other column is a channel, in file order, its unit the bracket in
    its header ("acc_x (g)"). Irregular times are laid on a regular grid (``timeline.runs_from_times``): lost
    samples are rows of NaN, pauses are gaps. With an absolute clock the epoch is the time of the first
    sample and runs count from it; relative times are kept as written.

    Args:
        path: .csv, .tsv, .parquet or .jsonl.
        policy: what to do about missing cells, order, equal times, time zone, ...

    Raises:
        InputError: anything that cannot be used as it is, with its file, line, channel, sample and time.

    Example: ``read_table(Path("wrist.csv"), Policy())[0].rate``
    """
    return (read_table_and_zone(path, policy)[0],)


def read_table_and_zone(path: Path, policy: Policy) -> tuple[Stream, str]:
    """``read_table`` and the offset its times were written with ("+02:00"), "" when none was."""
    path = Path(path)
    before = mark_of(require_file(path))
    for wide in (False, True):  # the second time only where float32 would have lost some of the signal
        raw = _raw(path, policy, wide)
        check_unchanged(path, before)
        found = _stream(raw, path, policy)
        check_unchanged(path, before)  # the time column may have been read again
        if found is not None:
            return found
    raise AssertionError("float64 holds every column")


def check_unchanged(path: Path, before: Mark) -> None:
    """E-CHANGED where ``mark_of`` the file is not what it was."""
    if mark_of(require_file(path)) != before:
        raise InputError("E-CHANGED", "the file changed while it was read", hint="read it again", file=path)


def mark_of(status: os.stat_result) -> Mark:
    """What changes when a file does: its size, its time of change and its place on the disk."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def _raw(path: Path, policy: Policy, wide: bool) -> RawTable:
    kind = sniff(path)
    if kind in ("csv", "tsv"):
        return read_text_table(path, "\t" if kind == "tsv" else ",", policy, wide)
    if kind == "parquet":
        return read_parquet_table(path, policy, wide)
    if kind == "jsonl":
        return read_json_table(path, policy)
    said = f"{kind} is not a table; allowed: csv, tsv, parquet, jsonl"
    raise InputError("E-FORMAT", said, hint="rename or convert the file", file=path)


def _stream(raw: RawTable, path: Path, policy: Policy) -> tuple[Stream, str] | None:
    """The stream and its offset; None when the cells must be read again as float64."""
    channels, units = names_and_units(raw.channels, path)
    times, lines = raw.times(), raw.lines
    found = raw.cells.checked(channels, times, path, lines)
    rows = raw.cells.rows
    at = lines if rows is None or lines is None else (lambda row: lines(int(rows[row])))
    timeline = runs_from_times(times.ns if rows is None else times.ns[rows], policy, file=str(path), lines=at)
    values = raw.cells.place(timeline)
    if values is None:
        return None
    zero = int(timeline.run_start_ns[0]) if times.absolute else 0
    stream = Stream(
        values=values,
        rate=timeline.rate,
        name=path.stem,
        modality="sensor",
        channels=channels,
        units=units,
        run_index=timeline.run_index,
        run_start=(timeline.run_start_ns - zero) / NS,
        epoch=zero if times.absolute else None,
        findings=(*raw.findings, *times.findings, *found, *timeline.findings),
    )
    return stream, times.timezone


def names_and_units(columns: tuple[str, ...], path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels' names and their units, of all columns but the time.

    Raises:
        InputError: E-NO-CHANNELS, there are none; E-DUP-COLUMN, two differ in their unit only.
    """
    parts = [split_unit(name) for name in columns]
    channels, units = tuple(p[0] for p in parts), tuple(p[1] for p in parts)
    if not channels:
        said = "no column but the time"
        raise InputError("E-NO-CHANNELS", said, hint="a table needs a column of numbers", file=path)
    if len(set(channels)) < len(channels):
        twice = next(c for i, c in enumerate(channels) if c in channels[:i])
        said = "two columns differ in their unit only"
        raise InputError("E-DUP-COLUMN", said, hint="give them two names", file=path, column=twice)
    return channels, units

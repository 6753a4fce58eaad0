"""Sensor tables (CSV, TSV, Parquet, JSONL) -> one Stream named after the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from align.clock import NS
from align.datatypes import Finding, Stream
from align.errors import InputError
from align.readers.headers import check_names
from align.readers.json_tables import read_json_table
from align.readers.policy import Policy
from align.readers.sniff import require_file, sniff
from align.readers.text_tables import RawTable, left_out, read_text_table
from align.readers.timeline import runs_from_times
from align.readers.timestamps import Times, find_time_column, parse_time_column, split_unit

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_table", "read_table_and_zone"]

Values = npt.NDArray[np.floating[Any]]

_LARGEST = 1e18  # squares of larger values leave float32


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
    before = _mark(require_file(path))
    raw = _raw(path, policy)
    if _mark(require_file(path)) != before:
        raise InputError("E-CHANGED", "the file changed while it was read", hint="read it again", file=path)
    return _stream(raw, path, policy)


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _raw(path: Path, policy: Policy) -> RawTable:
    kind = sniff(path)
    if kind in ("csv", "tsv"):
        return read_text_table(path, "\t" if kind == "tsv" else ",", policy)
    if kind == "parquet":
        return _read_parquet(path, policy)
    if kind == "jsonl":
        return read_json_table(path, policy)
    said = f"{kind} is not a table; allowed: csv, tsv, parquet, jsonl"
    raise InputError("E-FORMAT", said, hint="rename or convert the file", file=path)


def _read_parquet(path: Path, policy: Policy) -> RawTable:
    import polars as pl

    with open(path, "rb") as file:
        head = file.read(4)
        file.seek(max(-4, -path.stat().st_size), 2)
        if head != b"PAR1" or file.read(4) != b"PAR1" or file.tell() < 12:
            raise InputError("E-TRUNCATED", "the footer of the Parquet file is missing",
                             hint="it was cut or is still being written: copy it again", file=path)  # fmt: skip
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = f"the Parquet file cannot be decoded ({type(error).__name__})"
        raise InputError("E-DECODE", said, hint="the file is damaged: copy it again", file=path) from error
    names = [name.strip() for name in frame.columns]
    check_names(names, policy, path, None)
    if frame.height == 0:
        raise InputError("E-NO-SAMPLES", "the table has no row", file=path)
    time, others = find_time_column(names, policy, file=str(path))
    wanted = [i for i in range(len(names)) if i != time and i not in others]
    for i in wanted:
        dtype = frame.dtypes[i]
        if not dtype.is_numeric():
            said = f"column {names[i]!r} holds {dtype}; allowed: numbers"
            raise InputError("E-NUMBER", said, hint="leave the column out", file=path, column=names[i])
    values = _wide(frame, wanted)
    channels = tuple(names[i] for i in wanted)
    return RawTable(names[time], frame.to_series(time), channels, values, findings=left_out(names, others))


def _wide(frame: pl.DataFrame, wanted: list[int]) -> Values:
    """(n, n_wanted) float32 when every column is, else float64; nulls are NaN."""
    import polars as pl

    dtype = pl.Float32 if all(frame.dtypes[i] == pl.Float32 for i in wanted) else pl.Float64
    columns = [frame.to_series(i).cast(dtype).fill_null(float("nan")).alias(str(i)) for i in wanted]
    if not columns:
        return np.empty((frame.height, 0))
    return pl.DataFrame(columns).to_numpy()


def _stream(raw: RawTable, path: Path, policy: Policy) -> tuple[Stream, str]:
    parts = [split_unit(name) for name in raw.channels]
    channels, units = tuple(p[0] for p in parts), tuple(p[1] for p in parts)
    if not channels:
        said = "no column but the time"
        raise InputError("E-NO-CHANNELS", said, hint="a table needs a column of numbers", file=path)
    if len(set(channels)) < len(channels):
        twice = next(c for i, c in enumerate(channels) if c in channels[:i])
        said = "two columns differ in their unit only"
        raise InputError("E-DUP-COLUMN", said, hint="give them two names", file=path, column=twice)
    times = parse_time_column(raw.time_name, raw.time, policy, file=str(path), lines=raw.lines)
    values, found = _checked(raw, channels, times, path, policy)
    some = ~np.isnan(values).all(axis=1) if np.isnan(values).any() else np.ones(len(values), bool)
    rows = np.flatnonzero(some)
    lines = raw.lines
    timeline = runs_from_times(
        times.ns[rows], policy, file=str(path),
        lines=None if lines is None else (lambda row: lines(int(rows[row]))),
    )  # fmt: skip
    zero = int(timeline.run_start_ns[0]) if times.absolute else 0
    stream = Stream(
        values=timeline.place(values if rows.size == len(values) else values[rows]),
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


def _checked(
    raw: RawTable, channels: tuple[str, ...], times: Times, path: Path, policy: Policy
) -> tuple[Values, list[Finding]]:
    """Values with declared and tolerated cells as NaN; everything else that is not a usable number refused."""
    values, found = raw.values, []
    declared = np.zeros(values.shape, bool) if raw.declared is None else raw.declared
    if declared.any():
        found.append(Finding("P-NA", "cells declared as missing (--na)", int(declared.sum())))
    for sentinel in policy.sentinels:
        hit = values == sentinel
        if hit.any():
            said = f"cells equal to the sentinel {sentinel:g} made missing"
            found.append(Finding("P-SENTINEL", said, int(hit.sum())))
            declared = declared | hit
            values = np.where(hit, np.nan, values)
    with np.errstate(invalid="ignore"):
        large = np.isfinite(values) & (np.abs(values) > _LARGEST)
    if large.any():
        raise _bad_cell("E-RANGE", f"a value beyond {_LARGEST:g}", "mend it or declare it as --sentinel",
                        (large, channels, times, path), raw)  # fmt: skip
    wrong = ~np.isfinite(values) & ~declared
    if wrong.any():
        if policy.on_nan == "refuse":
            said = f"an empty, NaN or infinite cell ({int(wrong.sum())} in all); allowed: finite numbers"
            raise _bad_cell("E-NONFINITE", said, "read such cells as missing with --on-nan gap",
                            (wrong, channels, times, path), raw)  # fmt: skip
        found.append(Finding("P-NAN", "empty, NaN or infinite cells made missing", int(wrong.sum())))
        values = np.where(wrong, np.nan, values)
    nothing = np.isnan(values).all(axis=0)
    if nothing.any():
        said = "the channel holds no number at all"
        channel = channels[int(np.argmax(nothing))]
        raise InputError("E-NO-SAMPLES", said, hint="leave the column out", file=path, channel=channel)
    return values, found


def _bad_cell(
    code: str,
    said: str,
    hint: str,
    where: tuple[npt.NDArray[np.bool_], tuple[str, ...], Times, Path],
    raw: RawTable,
) -> InputError:
    """The error about the first marked cell, by row."""
    marked, channels, times, path = where
    row = int(np.argmax(marked.any(axis=1)))
    zero = int(times.ns[0]) if times.absolute else 0
    return InputError(
        code, said, hint=hint, file=path, line=None if raw.lines is None else raw.lines(row),
        channel=channels[int(np.argmax(marked[row]))], sample=row, time=(int(times.ns[row]) - zero) / NS,
    )  # fmt: skip

"""CSV and TSV as columns of numbers: polars for the good path, a line scanner that says where a fault is.

The fast reader (``fast_text``) balks at anything unusual; then the scanner either finds the fault, with its line
and column, or reads the file after all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding, Floats
from align.errors import InputError
from align.readers.cells import csv_records, lines_of
from align.readers.fast_text import read_fast
from align.readers.gathering import Cells, RawTable
from align.readers.headers import check_header, left_out, separator_of
from align.readers.policy import Policy
from align.readers.timestamps import find_time_column, parse_time_column

__all__ = ["kind_of_text", "read_text_table", "strict_text"]

_CHUNK = 1 << 24
_KINDS = (
    (r"[+-]?\d+,\d+", "a decimal comma"),
    (r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", "a number with thousands separators"),
    (r"(?i)n/?a|nan|null|none|nil|missing|-+|\?+|\*+|#n/a|\.", "a mark for a missing value"),
    (r"(?i)true|false|yes|no|on|off", "a yes or no"),
    (r"0[xX][0-9a-fA-F]+", "a hexadecimal number"),
    (r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}:\d{2}.*", "a date or time"),
    (r"[+-]?\d[\d.,eE+-]*\s*\S{1,8}", "a number with something behind it"),
)
_HINTS = {
    "a mark for a missing value": "name it with --na to read it as missing",
    "a decimal comma": "write numbers with a point",
}


def kind_of_text(cell: str) -> str:
    """What a cell that is no number looks like; never its content.

    >>> kind_of_text("1,5"), kind_of_text("N/A"), kind_of_text("walking")
    ('a decimal comma', 'a mark for a missing value', 'text')
    """
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, cell.strip())), "text")


def read_text_table(path: Path, separator: str, policy: Policy, wide: bool) -> RawTable:
    """Read a CSV (``separator`` ",") or TSV file; ``wide`` keeps float64.

    Raises:
        InputError: E-NO-SAMPLES, E-LIMIT, E-NO-HEADER, E-DUP-COLUMN, E-HEADER-REPEAT, E-NO-TIME, E-RAGGED,
            E-NUMBER, E-QUOTE, E-ENCODING, E-NUL, E-LAST-LINE, with the line where there is one.
    """
    with open(path, "rb") as file:
        head = file.readline(_CHUNK)
        file.seek(-1, 2)
        ended = file.read(1) in (b"\n", b"\r")
    plain = re.fullmatch(rb"(\xef\xbb\xbf)?[^\x00\"\r]*\r?\n", head) is not None
    if plain and head.strip() and ended and not policy.na:
        table = read_fast(path, head, separator, policy, wide)
        if table is not None:
            return table
    return _scan(path, separator, policy)


def strict_text(path: Path) -> str:
    """The text, by its byte order mark or as UTF-8, without NUL."""
    raw = path.read_bytes()
    wide = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(raw[:2])
    mark = 2 if wide else 3 if raw.startswith(b"\xef\xbb\xbf") else 0
    try:
        text = raw[mark:].decode(wide or "utf-8")
    except UnicodeDecodeError as error:
        said = f"bytes that are not {wide or 'UTF-8'}; allowed: UTF-8, or UTF-16 with a byte order mark"
        hint = "convert the file to UTF-8"
        raise InputError("E-ENCODING", said, hint=hint, file=path, byte=error.start + mark) from error
    nul = text.find("\0")
    if nul >= 0:
        line = len(lines_of(text[: nul + 1]))
        hint = "UTF-16 needs a byte order mark; else the file is damaged"
        raise InputError("E-NUL", "a NUL character", hint=hint, file=path, line=line)
    return text


def _records(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    if '"' in text:
        yield from csv_records(text, separator, path)
        return
    for number, line in enumerate(lines_of(text), 1):
        if line:
            yield number, line.split(separator)


def _scan(path: Path, separator: str, policy: Policy) -> RawTable:
    """Read line by line in Python: exact about faults, slow, and used only when the fast reader balks."""
    text = strict_text(path)
    if not text.strip():
        raise InputError("E-NO-SAMPLES", "the file holds white space only", file=path)
    first = lines_of(text[:_CHUNK].lstrip("\r\n"))[0]
    separator, findings = separator_of(first, separator)
    records = _records(text, separator, path)
    begun, names = next(records)
    header = [name.strip() for name in names]
    check_header(header, policy, path, begun)
    time, others = find_time_column(header, policy, file=str(path))
    lines, rows, fault = _rows(records, header, path)
    last = len(lines_of(text))
    if text[-1] not in "\r\n" and last > begun:
        at_end = fault is not None and fault.where.get("line") == last
        if policy.tail == "drop" and (fault is None or at_end):
            findings += (Finding("P-LAST-LINE", "the last line, without a line end, left out"),)
            if fault is None:
                del rows[-1], lines[-1]
            fault = None
        elif fault is None:
            said = "the last line has no line end, so it may be cut"
            hint = "add the line end if it is whole, or leave the line out with --tail drop"
            fault = InputError("E-LAST-LINE", said, hint=hint, file=path, line=last)
    blank = sum(1 for line in lines_of(text) if not line) if '"' not in text else 0
    if blank:
        findings += (Finding("W-BLANK-LINE", "blank lines passed over", blank),)
    wanted = [i for i in range(len(header)) if i != time and i not in others]
    values, declared = _numbers(rows, lines, header, wanted, (policy, path))
    if fault is not None:
        raise fault
    if not rows:
        raise InputError("E-NO-SAMPLES", "the header stands alone: no row of samples", file=path)
    import polars as pl

    written = pl.Series([row[time] for row in rows], dtype=pl.String)
    findings += left_out(header, others)
    times = partial(parse_time_column, header[time], written, policy, file=str(path), lines=lines.__getitem__)
    cells = Cells(len(wanted), policy, wide=True)
    cells.add(values, declared)
    return RawTable(times, tuple(header[i] for i in wanted), cells, lines.__getitem__, findings)


def _rows(
    records: Iterator[tuple[int, list[str]]], header: list[str], path: Path
) -> tuple[list[int], list[list[str]], InputError | None]:
    """Line numbers and cells of all rows up to the first fault of form, and that fault."""
    lines: list[int] = []
    rows: list[list[str]] = []
    hint = "mend the line; a decimal comma also adds a field"
    try:
        for line, row in records:
            if len(row) != len(header):
                said = f"expected {len(header)} fields, found {len(row)}"
                return lines, rows, InputError("E-RAGGED", said, hint=hint, file=path, line=line)
            if row[0].strip() == header[0] and [cell.strip() for cell in row] == header:
                said = "the header is repeated: two files may have been joined"
                again = InputError("E-HEADER-REPEAT", said, hint="split the file here", file=path, line=line)
                return lines, rows, again
            lines.append(line)
            rows.append(row)
    except InputError as error:
        return lines, rows, error
    return lines, rows, None


def _numbers(
    rows: list[list[str]], lines: list[int], header: list[str], wanted: list[int], how: tuple[Policy, Path]
) -> tuple[Floats, npt.NDArray[np.bool_] | None]:
    """(n, n_wanted) numbers and the mask of declared missing cells; the first wrong cell by line is refused."""
    import polars as pl

    policy, path = how
    values = np.full((len(rows), len(wanted)), np.nan)
    declared = np.zeros(values.shape, bool) if policy.na else None
    wrong: list[tuple[int, int]] = []
    for k, i in enumerate(wanted):
        cells = pl.Series([row[i] for row in rows], dtype=pl.String).str.strip_chars()
        numbers = cells.cast(pl.Float64, strict=False)
        if declared is not None:
            declared[:, k] = cells.is_in(list(policy.na)).to_numpy()
        bad = (numbers.is_null() & (cells != "")).to_numpy()
        if declared is not None:
            bad = bad & ~declared[:, k]
        if bad.any():
            wrong.append((int(np.argmax(bad)), i))
        values[:, k] = numbers.fill_null(float("nan")).to_numpy()
    if declared is not None:
        values[declared] = np.nan
    if wrong:
        row, i = min(wrong)
        kind = kind_of_text(rows[row][i])
        said = f"column {header[i]!r} holds {kind}; allowed: numbers"
        if row == 0:
            said += " (from its first row on: every column but the time must be numeric)"
        hint = _HINTS.get(kind, "mend the cell, or leave the column out")
        raise InputError("E-NUMBER", said, hint=hint, file=path, line=lines[row], column=header[i])
    return values, declared

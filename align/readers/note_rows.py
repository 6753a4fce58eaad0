"""The rows of a file of notes: lines, table records or JSON objects, with their times as written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from align.datatypes import Finding, Note
from align.errors import InputError
from align.readers.cells import csv_records, lines_of
from align.readers.time_phrases import find_written
from align.readers.written_times import WrittenTime, date_of, iso_time, number_time

__all__ = ["WrittenNote", "json_rows", "line_rows", "table_rows"]

_TEXT = ("text", "note", "notes", "comment", "remark", "description", "message")
_TIME = ("time", "timestamp", "datetime", "date_time", "seconds", "at", "when", "t")
_START = ("start", "begin", "onset", "start_time")
_END = ("end", "stop", "end_time")
_AUTHOR = ("author", "user", "by", "who")
_UNCERTAINTY = ("uncertainty", "plus_minus", "tolerance")
_UNITS = re.compile(r"(.+)_(s|ms|us|ns)$")
_HEADING = re.compile(r"\s{0,3}#{1,6}(?:\s|$)|\s{0,3}(?:[-*_]\s*){3,}$")
_DATE_LINE = re.compile(r"[\s#*_>\[(-]*(\d{4}-\d{2}-\d{2})[\s*_\])]*[:.]?\s*$")
_DEPTH = 100  # JSON nesting


@dataclass(frozen=True, slots=True)
class WrittenNote:
    """A note before it is on a clock.

    Attributes:
        note: text, author and place; no time yet.
        written: its time as written, None when there is none.
        date: local midnight (ns) of the day that a line above named.
        unread: there was a time, but it could not be read.
        inside: a second time, found inside the text of a note that has one of its own.
    """

    note: Note
    written: WrittenTime | None = None
    date: int | None = None
    unread: bool = False
    inside: WrittenTime | None = None


def line_rows(text: str, path: Path, *, markdown: bool) -> tuple[list[WrittenNote], tuple[Finding, ...]]:
    """One note per line that is not blank; a line that is only a date dates the times of day below it.

    In Markdown, headings and rules are no notes; how many were left out is a finding.
    """
    rows, date, left_out = [], None, 0
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        dated = _DATE_LINE.match(line[:100])
        if dated is not None:
            date = date_of(dated[1]) or date
        if markdown and _HEADING.match(line):
            left_out += 1
            continue
        note = Note(line, file=path.name, line=number)
        rows.append(WrittenNote(note, find_written(line), date))
    if not left_out:
        return rows, ()
    return rows, (Finding("W-HEADING", "headings and rules of Markdown are no notes", left_out),)


def table_rows(text: str, separator: str, path: Path) -> list[WrittenNote]:
    """One note per record of a CSV or TSV text whose first line names the columns.

    Raises:
        InputError: E-COLUMNS, E-RAGGED, E-QUOTE, E-NUMBER, E-SPAN.
    """
    records = csv_records(text, separator, path)
    line, names = next(records, (1, []))
    names = [name.strip().lower() for name in names]
    if not set(names) & set(_TEXT):
        raise InputError("E-COLUMNS", "the first line names no column of text; allowed: " + ", ".join(_TEXT),
                         hint='begin the file with a line as "time,text"', file=path, line=line)  # fmt: skip
    if len(set(names)) != len(names):
        raise InputError("E-DUP-COLUMN", "two columns have the same name", file=path, line=line)
    rows = []
    for line, fields in records:
        if len(fields) != len(names):
            raise InputError("E-RAGGED", f"{len(fields)} fields; expected {len(names)}",
                             hint='put a text that holds a separator in quotes: "..."',
                             file=path, line=line)  # fmt: skip
        rows.append(_row(dict(zip(names, fields, strict=True)), path, line))
    return rows


def json_rows(text: str, path: Path) -> list[WrittenNote]:
    """One note per line: an object with the names of the CSV columns, or a string.

    Raises:
        InputError: E-JSON with line and column; E-COLUMNS, an object without text.
    """
    rows = []
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        value = _json(line, path, number)
        if isinstance(value, str):
            rows.append(WrittenNote(Note(value, file=path.name, line=number), find_written(value)))
            continue
        if not isinstance(value, dict):
            _refuse_json(f"a {_kind(value)}; allowed: an object or a string", path, number, 1)
        cells = {key.strip().lower(): cell for key, cell in value.items()}
        if not set(cells) & set(_TEXT):
            raise InputError("E-COLUMNS", "the object has no text; allowed names: " + ", ".join(_TEXT),
                             file=path, line=number)  # fmt: skip
        rows.append(_row(cells, path, number))
    return rows


def _row(cells: Mapping[str, Any], path: Path, line: int) -> WrittenNote:
    """One record, its columns found by name."""
    text, author = _first(cells, _TEXT), _first(cells, _AUTHOR)
    if not isinstance(text, str):
        _refuse_json(f"the text is a {_kind(text)}; allowed: a string", path, line, 1)
    note = Note(text, author="" if author is None else str(author), file=path.name, line=line)
    instant, start, end = (_cell_time(cells, names) for names in (_TIME, _START, _END))
    first = instant if instant is not None else start
    if first is None:
        return WrittenNote(note, find_written(text))
    written, last = _read_cell(*first), None if end is None else _read_cell(*end)
    if written is None:  # a date alone is no time, but it is understood
        return WrittenNote(note, unread=date_of(first[0]) is None)
    if last is not None and last.scale == written.scale:
        if last.likely < written.likely:
            raise InputError("E-SPAN", "the end lies before the start", file=path, line=line)
        middle = (written.likely + last.likely) / 2
        middle = int(middle) if written.scale in ("utc", "local") else middle
        written = replace(written, latest=last.latest, likely=middle)
    return WrittenNote(note, _widened(written, cells, path, line), inside=find_written(text))


def _cell_time(cells: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, str | None] | None:
    """(cell, unit) of the first such column that is not empty; "time_ms" is ``time`` in milliseconds."""
    for key, cell in cells.items():
        match = _UNITS.fullmatch(key)
        if key not in names and (match is None or match[1] not in names):
            continue
        text = "" if cell is None or isinstance(cell, bool) else str(cell).strip()
        if text:
            return text, None if match is None or key in names else match[2]
    return None


def _read_cell(text: str, unit: str | None) -> WrittenTime | None:
    """The time in a cell: a number, an ISO date and time, a clock time, or words."""
    if date_of(text) is not None:
        return None
    return number_time(text, unit) or iso_time(text) or find_written(text)


def _widened(written: WrittenTime, cells: Mapping[str, Any], path: Path, line: int) -> WrittenTime:
    """The time with its uncertainty in seconds either way."""
    cell = _first(cells, (*_UNCERTAINTY, *(f"{name}_s" for name in _UNCERTAINTY)))
    if cell is None or str(cell).strip() == "":
        return written
    time = number_time(str(cell).strip(), "s")
    if time is None or not 0 <= time.likely < math.inf or time.scale != "session":
        raise InputError("E-NUMBER", "the uncertainty is not a number of seconds >= 0", file=path, line=line,
                         column="uncertainty")  # fmt: skip
    width = round(time.likely * 1e9) if written.scale in ("utc", "local") else time.likely
    return replace(written, earliest=written.earliest - width, latest=written.latest + width)


def _first(cells: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((cells[name] for name in names if name in cells), None)


def _json(line: str, path: Path, number: int) -> Any:
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        _refuse_json(error.msg, path, number, error.colno)
    except (ValueError, RecursionError) as error:  # a huge integer, NaN, or nesting beyond the interpreter
        _refuse_json("a number that JSON does not allow, or nesting too deep", path, number, 1, error)
    if _deep(line):
        _refuse_json(f"nesting deeper than {_DEPTH}", path, number, 1)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _deep(line: str) -> bool:
    return line.count("[") + line.count("{") > _DEPTH and _nesting(line) > _DEPTH


def _nesting(line: str) -> int:
    """The deepest nesting of a valid JSON text, strings left out."""
    depth = deepest = 0
    for mark in re.sub(r'"(?:[^"\\]|\\.)*"', "", line):
        depth += (mark in "[{") - (mark in "]}")
        deepest = max(deepest, depth)
    return deepest


def _refuse_json(found: str, path: Path, line: int, column: int, cause: Exception | None = None) -> NoReturn:
    raise InputError("E-JSON", found, file=path, line=line, column=column) from cause


def _kind(value: object) -> str:
    names = {"NoneType": "null", "bool": "boolean", "int": "number", "float": "number", "dict": "object"}
    return names.get(type(value).__name__, type(value).__name__)

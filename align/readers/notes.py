"""Notes as they were written: plain text, Markdown, CSV, TSV and JSONL; EDF+ and WFDB annotations.

The text of a note is never altered, notes keep the order of the file, and as many come out as were written.
Times are read first and placed on the session clock afterwards (``written_times.place``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from align.datatypes import Finding, Note, NoteTime, Span
from align.errors import InputError
from align.readers.cells import csv_records, text_of
from align.readers.note_rows import WrittenNote, json_rows, line_rows, table_rows
from align.readers.written_times import Clock, Reason, WrittenTime, place

__all__ = [
    "NOTE_SUFFIXES",
    "place_notes",
    "read_notes",
    "read_notes_with_findings",
    "read_truth",
    "read_written_notes",
]

NOTE_SUFFIXES = (".txt", ".md", ".markdown", ".csv", ".tsv", ".jsonl", ".ndjson", ".edf", ".bdf", ".atr")

_DISAGREE = 3600.0  # seconds between the time column and a time inside the text
_REASONS: dict[Reason, tuple[str, str]] = {
    "clock": ("W-NOTE-CLOCK", "have a date and time, but the recording has no absolute clock"),
    "day": ("W-NOTE-DAY", "have a time of day that fits several times of the recording; write the date"),
    "ambiguous": ("W-NOTE-AMBIGUOUS", "have a time of day or elapsed time, and nothing says which"),
    "zone": ("W-NOTE-ZONE", "have a local time that the clock change left out, or one out of range"),
}


def read_notes(
    path: str | os.PathLike[str], *, epoch: int | None = None, timezone: str = ""
) -> tuple[Note, ...]:
    """Read notes from a file, in the order written.

    Plain text: one note a line, blank lines left out. Markdown: the same, headings are no notes. CSV, TSV:
    columns ``text`` and, as far as there are any, ``time`` or ``start`` and ``end``, ``author`` and
    ``uncertainty`` (seconds either way). JSONL: one object a line with the same names, or a plain string.

    Args:
        path: .txt, .md, .csv, .tsv, .jsonl, or .edf and .atr annotations.
        epoch: UTC nanoseconds of second 0 of the session; None when its clock is relative.
        timezone: "+02:00" or an IANA name, for times written without an offset.

    Returns:
        The notes. Those without a time, or with one that cannot be placed, are untimed.

    Raises:
        InputError: E-NO-FILE, E-EMPTY, E-FORMAT, E-COLUMNS, E-RAGGED, E-QUOTE, E-JSON, E-NUMBER, E-SPAN.
    """
    return read_notes_with_findings(path, Clock(epoch, timezone))[0]


def read_notes_with_findings(
    path: str | os.PathLike[str], clock: Clock | None = None
) -> tuple[tuple[Note, ...], tuple[Finding, ...]]:
    """Read notes, and what was noticed: times that could not be placed, or that disagree with the text.

    Args:
        path: file of notes, any of ``NOTE_SUFFIXES``.
        clock: the session's; default: relative, second 0 unknown.

    Raises:
        InputError: as ``read_notes``.
    """
    written, findings = read_written_notes(path)
    notes, noticed = place_notes(written, clock or Clock())
    return notes, (*findings, *noticed)


def read_written_notes(path: str | os.PathLike[str]) -> tuple[list[WrittenNote], tuple[Finding, ...]]:
    """Read notes with their times as written, on no clock yet.

    Args:
        path: file of notes, any of ``NOTE_SUFFIXES``.

    Raises:
        InputError: as ``read_notes``.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in NOTE_SUFFIXES:
        raise InputError("E-FORMAT", f"notes in a {suffix or 'file without suffix'}; allowed: "
                         + " ".join(NOTE_SUFFIXES), file=path)  # fmt: skip
    if not path.is_file():
        raise InputError("E-NO-FILE", "no such file of notes", file=path)
    if suffix in (".edf", ".bdf", ".atr"):
        return [_as_written(note) for note in _annotations(path)], ()
    text = text_of(path)
    if suffix in (".csv", ".tsv"):
        return table_rows(text, "\t" if suffix == ".tsv" else ",", path), ()
    if suffix in (".jsonl", ".ndjson"):
        return json_rows(text, path), ()
    return line_rows(text, path, markdown=suffix != ".txt")


def place_notes(written: Sequence[WrittenNote], clock: Clock) -> tuple[tuple[Note, ...], tuple[Finding, ...]]:
    """Put notes on the session clock: one note per written note, in the same order, its text untouched.

    Args:
        written: notes with their times as written.
        clock: the session's.
    """
    notes, noticed = [], list[tuple[str, str, int]]()
    for row in written:
        time = None
        if row.unread:
            noticed.append(("W-NOTE-UNREAD", "have a time that could not be read", row.note.line))
        if row.written is not None:
            placed = place(row.written, clock, row.date)
            time = placed if isinstance(placed, NoteTime) else None
            if isinstance(placed, str) and placed:
                noticed.append((*_REASONS[placed], row.note.line))
        if time is not None and _disagrees(time, row.inside, clock):
            what = "have a time inside the text over an hour from the time column, which is used"
            noticed.append(("W-NOTE-TIME", what, row.note.line))
        notes.append(replace(row.note, time=time))
    return tuple(notes), tuple(_counted(noticed))


def read_truth(path: str | os.PathLike[str]) -> tuple[Span, ...]:
    """Read reference spans: CSV of ``start``, ``end`` (s), ``label``, ``text``; or ``.atr`` rhythms.

    Args:
        path: ``.csv``, ``.tsv`` or ``.atr``.

    Raises:
        InputError: E-NO-FILE, E-EMPTY, E-COLUMNS, E-RAGGED, E-QUOTE, E-NUMBER, E-SPAN.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("E-NO-FILE", "no such file of truth", file=path)
    if path.suffix.lower() == ".atr":
        from align.readers.wfdb import read_wfdb_truth

        return read_wfdb_truth(path)
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    records = csv_records(text_of(path), separator, path)
    line, names = next(records, (1, []))
    names = [name.strip().lower() for name in names]
    if not {"start", "end"} <= set(names) or not {"label", "text"} & set(names):
        raise InputError("E-COLUMNS", "the first line does not name the columns start,end,label,text",
                         file=path, line=line)  # fmt: skip
    spans = []
    for line, fields in records:
        if len(fields) != len(names):
            raise InputError("E-RAGGED", f"{len(fields)} fields; expected {len(names)}", file=path, line=line)
        row = dict(zip(names, fields, strict=True))
        start, end = _span_seconds(row, path, line)
        if end < start:
            raise InputError("E-SPAN", "the end lies before the start", file=path, line=line)
        spans.append(Span(start, end, row.get("label", ""), row.get("text", "")))
    return tuple(spans)


def _span_seconds(row: dict[str, str], path: Path, line: int) -> tuple[float, float]:
    """Start and end; both NaN where both cells are empty: that note refers to nothing in the recording."""
    if not row["start"].strip() and not row["end"].strip():
        return math.nan, math.nan
    start, end = (_seconds(row[name], name, path, line) for name in ("start", "end"))
    return start, end


def _seconds(cell: str, column: str, path: Path, line: int) -> float:
    from align.readers.written_times import number_time

    time = number_time(cell.strip(), "s")
    if time is None or time.scale != "session":
        raise InputError("E-NUMBER", "not a number of seconds", file=path, line=line, column=column)
    return time.likely


def _annotations(path: Path) -> tuple[Note, ...]:
    if path.suffix.lower() == ".atr":
        from align.readers.wfdb import read_wfdb_notes

        return read_wfdb_notes(path)
    from align.readers.edf import read_edf_notes

    return read_edf_notes(path)


def _as_written(note: Note) -> WrittenNote:
    time = note.time
    session = None if time is None else WrittenTime("session", time.earliest, time.likely, time.latest)
    return WrittenNote(note, session)


def _disagrees(time: NoteTime, inside: WrittenTime | None, clock: Clock) -> bool:
    """Whether a time inside the text lies over an hour from the one of the column."""
    if inside is None or inside.vague or inside.scale == "session":
        return False
    other = place(inside, clock)
    if not isinstance(other, NoteTime):
        return False
    return max(time.earliest - other.latest, other.earliest - time.latest) > _DISAGREE


def _counted(noticed: Iterable[tuple[str, str, int]]) -> list[Finding]:
    """One finding per code: how many notes, and the line of the first."""
    first: dict[str, tuple[str, int]] = {}
    counts: dict[str, int] = {}
    for code, message, line in noticed:
        first.setdefault(code, (message, line))
        counts[code] = counts.get(code, 0) + 1
    return [
        Finding(code, f"notes {message} (first: line {line})", counts[code])
        for code, (message, line) in first.items()
    ]

"""corrections.jsonl: what a person says of some notes, one JSON object a line.

A line is written by hand or copied from alignment.jsonl and changed; keys other than those below are not read.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from align.clock import ns_from_iso, seconds_from_ns
from align.datatypes import Finding
from align.errors import InputError
from align.readers.cells import lines_of, text_of

__all__ = ["Correction", "read_corrections"]

_LONGEST = 1_000_000  # characters of one line
_SECONDS = ("start", "end")
_TIMES = ("start_time", "end_time")


@dataclass(frozen=True, slots=True)
class Correction:
    """One note's place, as a person says it: ``span`` seconds, or None: it refers to nothing recorded.

    ``note`` counts from 0 in the order written; ``line`` is where it was said.
    """

    note: int
    span: tuple[float, float] | None
    line: int = 0


def read_corrections(
    path: str | os.PathLike[str], *, n_notes: int | None = None, epoch: int | None = None
) -> tuple[tuple[Correction, ...], tuple[Finding, ...]]:
    """Read corrections: ``{"note": 3, "start": 12.0, "end": 15.5}``, or null for both: refers to nothing.

    Instead of ``start`` and ``end``, ``start_time`` and ``end_time`` may be given: ISO 8601 with offset. Where a
    line has both kinds, seconds count (lines copied from alignment.jsonl have both). A note that is corrected
    twice is taken as the last line says it, and that is counted.

    Args:
        path: the file; blank lines are left out.
        n_notes: how many notes there are; None allows any number.
        epoch: UTC nanoseconds of second 0, or None for a relative clock, where times are refused.

    Returns:
        The corrections by note, each note once; W-TWICE where lines were overruled.

    Raises:
        InputError: with file and line: E-JSON, E-CORRECTION (a key missing or of a wrong kind, a note that there
            is not, an end that is not after its start), E-EMPTY, E-ENCODING.
    """
    file = Path(path)
    if not file.is_file():
        kind = "not a file" if file.exists() else "no such file"
        raise InputError(
            "E-NO-FILE", kind, hint="give a file of corrections, one JSON object a line", file=file
        )
    found: dict[int, Correction] = {}
    twice = 0
    for number, line in enumerate(lines_of(text_of(file)), 1):
        if not line.strip():
            continue
        one = _correction(_object(line, file, number), (file, number), n_notes, epoch)
        twice += one.note in found
        found[one.note] = one
    findings = (Finding("W-TWICE", "notes corrected more than once: the last line counts", twice),)
    return tuple(found[note] for note in sorted(found)), findings if twice else ()


def _object(line: str, file: Path, number: int) -> Mapping[str, Any]:
    if len(line) > _LONGEST:
        raise InputError(
            "E-JSON", f"a line of {len(line)} characters; allowed: {_LONGEST}", file=file, line=number
        )
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        column = error.colno if isinstance(error, json.JSONDecodeError) else None
        raise InputError("E-JSON", "not JSON", hint='a line is an object: {"note": 3, "start": 12.0, "end": 15.5}',
                         file=file, line=number, column=column) from error  # fmt: skip
    if not isinstance(row, dict):
        raise InputError("E-JSON", f"a {_kind(row)}; allowed: an object", file=file, line=number)
    return row


def _correction(
    row: Mapping[str, Any], place: tuple[Path, int], n_notes: int | None, epoch: int | None
) -> Correction:
    note = row.get("note")
    if type(note) is not int or note < 0:
        found = f"note is {note}" if type(note) in (int, float) else f"note is a {_kind(note)}"
        _refuse(
            f"{found if 'note' in row else 'no note'}; allowed: 0 for the first note, 1 for the second", place
        )
    if n_notes is not None and note >= n_notes:
        _refuse(f"note is {note}; allowed: 0 to {n_notes - 1}, there are {n_notes} notes", place)
    if "start" in row or "end" in row or not set(_TIMES) & set(row):
        ends = [_seconds(row, key, place) for key in _SECONDS]
    else:
        ends = [_moment(row, key, place, epoch) for key in _TIMES]
    start, end = ends
    if start is None and end is None:
        return Correction(note, None, place[1])
    if start is None or end is None:
        _refuse(
            "one of start and end is null; allowed: both numbers, or both null (refers to nothing)", place
        )
    if not start < end:
        _refuse(f"start {start:g} and end {end:g}; allowed: an end after the start", place)
    return Correction(note, (start, end), place[1])


def _seconds(row: Mapping[str, Any], key: str, place: tuple[Path, int]) -> float | None:
    if key not in row:
        _refuse(f"no {key}; allowed: seconds, or null in both start and end", place)
    value = row[key]
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value):
        _refuse(f"{key} is a {_kind(value)}; allowed: seconds, or null", place)
    return float(value)


def _moment(row: Mapping[str, Any], key: str, place: tuple[Path, int], epoch: int | None) -> float | None:
    value = row.get(key)
    if key not in row:
        _refuse(f"no {key}; allowed: ISO 8601 with offset, or null in both", place)
    if value is None:
        return None
    if epoch is None:
        _refuse(f"{key} on a recording without dates; allowed: start and end in seconds", place)
    try:
        ns, offset = ns_from_iso(value) if isinstance(value, str) else (0, None)
    except ValueError:
        ns, offset = 0, None
    if offset is None:
        _refuse(f"{key} is a {_kind(value)} that is no such time; allowed: ISO 8601 with offset", place)
    return seconds_from_ns(ns, epoch)


def _refuse(found: str, place: tuple[Path, int]) -> NoReturn:
    raise InputError("E-CORRECTION", found, file=place[0], line=place[1])


def _kind(value: object) -> str:
    names = {"NoneType": "null", "bool": "boolean", "int": "number", "float": "number", "dict": "object",
             "str": "string"}  # fmt: skip
    if isinstance(value, float) and not math.isfinite(value):
        return "number that is not finite"
    return names.get(type(value).__name__, type(value).__name__)

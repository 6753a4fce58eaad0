"""alignment.jsonl: one line per note, in the order written, and back.

The text of a note comes back code point for code point. Characters that could act on a terminal or break a
line (controls, bidi overrides, U+2028) and lone surrogates are written as JSON escapes; all others as UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from types import MappingProxyType
from typing import Any

from align.answers import Alignment, Edge, Link
from align.clock import iso_from_ns, ns_from_iso, ns_from_seconds
from align.datatypes import Note
from align.errors import InputError, ParameterError

__all__ = ["KEYS", "STATUSES", "alignment_jsonl", "offset_minutes", "read_alignment_jsonl"]

KEYS = (
    "note", "text", "status", "start", "end", "start_time", "end_time",
    "probability", "stream", "alternatives", "start_range", "end_range", "start_probability", "end_probability",
    "method", "source",
)  # fmt: skip
STATUSES = ("aligned", "ambiguous", "unmatched", "unobservable", "outside", "empty")
_ACTIVE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def alignment_jsonl(alignment: Alignment) -> str:
    """The lines of alignment.jsonl: one per note, newline-ended, keys in the order of ``KEYS``.

    ``start`` and ``end`` are seconds on the session clock, null without a span; ``start_time``, ``end_time``
    are ISO 8601 with the session's written offset, null on a relative clock. ``start_range`` and ``end_range``
    hold the true edge with probability 0.9, ``start_probability`` and ``end_probability`` say how probably it lies
    within a second of the answer; null without a span or where that is not known. A row of an "outside" note ends
    with ``distance_s``, the signed seconds from the recording (negative: before its start). The row of a note that
    a person has placed (``provenance["anchors"]``) ends with ``"anchor": true``.

    Args:
        alignment: any alignment; its ``timezone`` is "" (UTC) or an offset like "+02:00".

    Returns:
        Text that encodes as UTF-8 whatever the notes hold; "" for no notes.

    Raises:
        ParameterError: a probability or a second that is not finite, or a timezone that is not an offset.
        InputError: E-TIME-RANGE, a time outside the years 1 to 9999.
    """
    offset = offset_minutes(alignment.timezone)
    rows = (_row(alignment, index, offset) for index in range(len(alignment.notes)))
    return "".join(_line(row) + "\n" for row in rows)


def _row(alignment: Alignment, index: int, offset: int) -> dict[str, Any]:
    note, link = alignment.notes[index], alignment.links[index]
    start, end = (None, None) if link.span is None else (float(link.span[0]), float(link.span[1]))
    row: dict[str, Any] = {
        "note": index,
        "text": note.text,
        "status": link.status,
        "start": start,
        "end": end,
        "start_time": _iso(start, alignment.epoch, offset),
        "end_time": _iso(end, alignment.epoch, offset),
        "probability": float(link.probability),
        "stream": list(link.streams),
        "alternatives": [
            {"start": float(a), "end": float(b), "probability": float(p)} for a, b, p in link.alternatives
        ],
        "start_range": _range(link, 0),
        "end_range": _range(link, 1),
        "start_probability": None if link.edges is None else float(link.edges[0].probability),
        "end_probability": None if link.edges is None else float(link.edges[1].probability),
        "method": alignment.method,
        "source": {"file": note.file, "line": int(note.line)},
    }
    if link.status == "outside":
        row["distance_s"] = None if link.distance is None else float(link.distance)
    known = alignment.provenance.get("anchors", ())
    if isinstance(known, tuple) and index in known:
        row["anchor"] = True
    numbers = [row["start"], row["end"], row["probability"], row.get("distance_s")]
    numbers += [value for alternative in row["alternatives"] for value in alternative.values()]
    numbers += [row["start_probability"], row["end_probability"]]
    numbers += [*(row["start_range"] or ()), *(row["end_range"] or ())]
    if not all(math.isfinite(number) for number in numbers if number is not None):
        raise ParameterError(f"links[{index}]", "NaN or infinite", "finite seconds and probabilities")
    return row


def _range(link: Link, which: int) -> list[float] | None:
    return None if link.edges is None else [float(link.edges[which].low), float(link.edges[which].high)]


def _iso(seconds: float | None, epoch: int | None, offset: int) -> str | None:
    if seconds is None or epoch is None:
        return None
    return iso_from_ns(ns_from_seconds(seconds, epoch), offset)


def offset_minutes(timezone: str) -> int:
    """Minutes east of UTC of a session's written offset; "" and "Z" are 0.

    Raises:
        ParameterError: not an offset (a name like "Europe/Berlin" has no single one).

    >>> offset_minutes("-03:30")
    -210
    """
    try:
        return ns_from_iso(f"2000-01-01T00:00{timezone}")[1] or 0
    except ValueError as error:
        raise ParameterError("timezone", timezone, 'an offset like "+02:00", or ""') from error


def _line(row: dict[str, Any]) -> str:
    return _ACTIVE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(row, ensure_ascii=False, allow_nan=False))


def read_alignment_jsonl(text: str, *, epoch: int | None = None, timezone: str = "") -> Alignment:
    """The alignment that ``alignment_jsonl`` wrote: ``alignment_jsonl(read_alignment_jsonl(t)) == t``.

    A row holds no more of a note than its text and source, so the notes come back without time and author.

    Args:
        text: the lines; every line ended by "\\n".
        epoch: UTC nanoseconds of second 0 (run.json), or None for a relative clock.
        timezone: the offset of run.json.

    Raises:
        InputError: E-JSON with the line: not JSON, a key missing, a wrong kind of value, notes out of order.
    """
    notes: list[Note] = []
    links: list[Link] = []
    methods: set[str] = set()
    anchors: list[int] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        row = _parsed(line, number)
        try:
            if row["note"] != len(notes):
                raise ValueError("notes out of order")
            notes.append(_note(row))
            links.append(_link(row))
            methods.add(_checked(row["method"], str))
            if _checked(row.get("anchor", False), bool):
                anchors.append(row["note"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "E-JSON",
                f"row {len(notes)} does not have the fields of an alignment ({type(error).__name__})",
                hint="docs/outputs.md describes each field",
                line=number,
            ) from error
    if len(methods) > 1:
        raise InputError("E-JSON", f"{len(methods)} methods in one alignment; allowed: one")
    known = MappingProxyType({"anchors": tuple(anchors)} if anchors else {})
    method = next(iter(methods), "")
    return Alignment(tuple(notes), tuple(links), method, epoch=epoch, timezone=timezone, provenance=known)


def _parsed(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        column = error.colno if isinstance(error, json.JSONDecodeError) else None
        raise InputError("E-JSON", "not a JSON object", line=number, column=column) from error
    if not isinstance(row, dict):
        raise InputError("E-JSON", f"a {type(row).__name__}; allowed: a JSON object", line=number)
    return row


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError("not a finite number")
    return float(value)


def _note(row: dict[str, Any]) -> Note:
    source = row["source"]
    return Note(
        _checked(row["text"], str), file=_checked(source["file"], str), line=_checked(source["line"], int)
    )


def _link(row: dict[str, Any]) -> Link:
    if row["status"] not in STATUSES:
        raise ValueError("unknown status")
    span = None if row["start"] is None else (_number(row["start"]), _number(row["end"]))
    distance = row.get("distance_s")
    return Link(
        status=row["status"],
        span=span,
        probability=_number(row["probability"]),
        alternatives=tuple(
            (_number(a["start"]), _number(a["end"]), _number(a["probability"])) for a in row["alternatives"]
        ),
        streams=tuple(_checked(name, str) for name in row["stream"]),
        distance=None if distance is None else _number(distance),
        edges=_edges(row),
    )


def _edges(row: dict[str, Any]) -> tuple[Edge, Edge] | None:
    """None where any part is missing: a row written before there were edges has none."""
    if row.get("start_range") is None or row.get("end_range") is None:
        return None
    start, end = (
        Edge(_number(low), _number(high), _number(row[f"{name}_probability"]))
        for name in ("start", "end")
        for low, high in [row[f"{name}_range"]]
    )
    return start, end

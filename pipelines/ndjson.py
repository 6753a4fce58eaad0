"""The live monitor's lines: JSON in, one record each; events out. No error ever quotes a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from align import clock
from align.errors import InputError

__all__ = [
    "MOST_LINE",
    "Acknowledgement",
    "Anchor",
    "Heartbeat",
    "Record",
    "Remark",
    "Rows",
    "event_line",
    "read_record",
]

MOST_LINE = 4 << 20  # bytes of one line
_MOST_NUMBER = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one stream: ``times`` (n,) s, ``values`` (n, d), NaN for missing; the first one's number, if any."""

    stream: str
    times: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """A note; its text goes to the engine and nowhere else, not even into this record's ``repr``."""

    text: str
    time: float

    def __repr__(self) -> str:
        return f"Remark(time={self.time!r})"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A stream lives: rows before ``time``, less the lateness, will not come."""

    stream: str
    time: float


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen the alerts of a rule."""

    rule: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """One moment by two clocks: ``time`` by that of ``stream``, ``at`` by that of ``reference``."""

    stream: str
    time: float
    reference: str
    at: float


Record = Rows | Remark | Heartbeat | Acknowledgement | Anchor


def read_record(line: bytes) -> Record | None:
    """One line as a record; None for a blank one.

    ``{"stream": "wrist", "t": 12.34, "v": [1, null]}`` is a row, one value per channel; ``v`` may be a number where
    there is one channel. ``{"stream": .., "t": [..], "v": [[..], ..]}`` is a block of rows. Either may have
    ``"seq"``, the number of its first row. ``{"note": "..", "t": ..}`` is a note, ``{"heartbeat": "wrist", "t": ..}``
    a sign of life, ``{"acknowledge": "RULE"}`` the word that somebody has seen a rule's alerts, ``{"anchor": "wrist",
    "t": 9.5, "reference": "chest", "at": 9.7}`` one moment by the clocks of two streams. A time is a number of
    seconds or ISO 8601 with an offset, which becomes seconds since 1970 UTC.

    Args:
        line: UTF-8, with or without its line end.

    Raises:
        InputError: E-JSON, no JSON object, with the column; E-RECORD, not one of the above; E-TIME; E-NUMBER.
    """
    if not line.strip():
        return None
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            "E-JSON", "not UTF-8; allowed: one JSON object per line", column=error.start + 1
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(
            "E-JSON", "not JSON; allowed: one JSON object per line", column=error.colno
        ) from None
    except (ValueError, RecursionError):  # digits without end, brackets without end
        raise InputError("E-JSON", "a number or a nesting too long to read") from None
    if not isinstance(found, dict):
        raise InputError("E-JSON", "not an object; allowed: one JSON object per line")
    return _record(found)


_KINDS = {
    "stream": {"stream", "t", "v", "seq"},
    "note": {"note", "t"},
    "heartbeat": {"heartbeat", "t"},
    "acknowledge": {"acknowledge"},
    "anchor": {"anchor", "t", "reference", "at"},
}


def _record(found: Mapping[str, Any]) -> Record:
    kinds = [kind for kind in _KINDS if kind in found]
    if len(kinds) != 1:
        raise InputError("E-RECORD", f"{len(kinds)} of the keys {', '.join(_KINDS)}; allowed: exactly one")
    kind = kinds[0]
    known = _KINDS[kind]
    if set(found) - known:
        raise InputError(
            "E-RECORD", f"{len(set(found) - known)} unknown keys; allowed: {', '.join(sorted(known))}"
        )
    name = found[kind]
    if not isinstance(name, str) or (kind != "note" and not name):
        raise InputError("E-RECORD", f"{kind} is no text, or empty; allowed: a text")
    if kind == "acknowledge":
        return Acknowledgement(name)
    if "t" not in found:
        raise InputError("E-TIME", "no time", hint='add "t"')
    if kind == "note":
        return Remark(name, _seconds(found["t"]))
    if kind == "heartbeat":
        return Heartbeat(name, _seconds(found["t"]))
    if kind == "anchor":
        reference = found.get("reference")
        if not isinstance(reference, str) or "at" not in found:
            raise InputError(
                "E-RECORD", "an anchor without a reference and its time", hint='add "reference", "at"'
            )
        return Anchor(name, _seconds(found["t"]), reference, _seconds(found["at"]))
    return _rows(name, found)


def _rows(name: str, found: Mapping[str, Any]) -> Rows:
    times, values = found["t"], found.get("v")
    if not isinstance(times, list):
        values = [values if isinstance(values, list) else [values]]
        times = [times]
    elif not isinstance(values, list) or len(values) != len(times):
        raise InputError("E-RECORD", "t is a list and v is not one as long; allowed: one row of v per time")
    sequence = found.get("seq")
    if sequence is not None and (type(sequence) is not int or not 0 <= sequence < _MOST_NUMBER):
        raise InputError("E-RECORD", "seq is no whole number from 0 to 2^62")
    rows = [row if isinstance(row, list) else [row] for row in values]
    if "v" not in found or any(len(row) != len(rows[0]) or not row for row in rows):
        raise InputError(
            "E-RECORD", "rows of different lengths, or without values; allowed: one value per channel"
        )
    if not all(type(cell) in _NUMBERS for row in rows for cell in row):
        raise InputError("E-NUMBER", "a value that is no number; allowed: numbers, null for missing")
    try:
        table = np.array(rows, np.float64).reshape(len(rows), -1 if rows else 1)
    except OverflowError:
        raise InputError("E-RANGE", "a whole number beyond 1e308") from None
    return Rows(name, np.array([_seconds(t) for t in times], np.float64), table, sequence)


_NUMBERS = (int, float, type(None))


def _seconds(time: object) -> float:
    if type(time) in (int, float):
        try:
            seconds = float(time)  # type: ignore[arg-type]
        except OverflowError:
            seconds = math.inf
        if math.isfinite(seconds):
            return seconds
    elif isinstance(time, str):
        try:
            nanoseconds, offset = clock.ns_from_iso(time)
        except ValueError:
            offset = None
        if offset is not None:
            return clock.seconds_from_ns(nanoseconds, 0)
    raise InputError("E-TIME", "a time that is no finite number of seconds and not ISO 8601 with an offset")


def event_line(event: Mapping[str, Any]) -> bytes:
    """An event as one line of ASCII JSON with its line end, the same bytes for the same event.

    Args:
        event: plain JSON values.

    >>> event_line({"seq": 0, "event": "gap", "stream": "wrist"})
    b'{"seq": 0, "event": "gap", "stream": "wrist"}\\n'
    """
    return json.dumps(event, allow_nan=False).encode("ascii") + b"\n"

"""A time as somebody wrote it, and where it lies on the session clock once that clock is known.

Reading comes before placing: a note says "07:40", and only the recording says which day that was. Nothing is
guessed: what fits nowhere, or in two places, stays untimed with a reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from align.clock import NS, ns_from_iso, seconds_from_ns
from align.datatypes import NoteTime
from align.errors import InputError
from align.readers.zones import offset_at, utc_from_local

__all__ = ["DAY", "Clock", "Reason", "WrittenTime", "date_of", "iso_time", "number_time", "place"]

DAY = 86_400
Reason = Literal["", "clock", "day", "ambiguous", "zone"]

_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{0,40})?(?:[eE][+-]?\d{1,2})?")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_EPOCHS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": NS}
_FIRST, _LAST = 631_152_000, 4_102_444_800  # 1990 and 2100 in seconds: numbers in between are epoch times


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """Earliest, likely and latest on one of four scales.

    Attributes:
        scale: "session" seconds after second 0; "utc" and "local" nanoseconds since 1970 (local: wall clock
            without offset); "day" seconds after a local midnight, past 86,400 in the next day.
        elapsed: the other reading of a colon time, "1:30" as 90 s into the recording.
        precise: hours, minutes and seconds were written: there is one elapsed reading only.
        half: whether twelve hours later is meant, too: "" no, "second" only when the first reading lies
            outside the recording ("3:30"), "either" ("half past three").
        vague: a part of the day, as "after lunch".
    """

    scale: Literal["session", "utc", "local", "day"]
    earliest: float
    likely: float
    latest: float
    elapsed: float | None = None
    precise: bool = False
    half: Literal["", "second", "either"] = ""
    vague: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """The session's clock: UTC nanoseconds of second 0 (None: relative), zone, and the recording's range."""

    epoch: int | None = None
    zone: str = ""
    start: float = 0.0
    end: float = 0.0


def number_time(text: str, unit: str | None = None) -> WrittenTime | None:
    """The time of a plain number: seconds on the session clock, or an epoch time between 1990 and 2100.

    Args:
        text: "16.6", "1774735800000".
        unit: "s", "ms", "us", "ns"; None takes seconds, or for an epoch time the unit that fits.

    >>> number_time("16.6").likely
    16.6
    """
    if _NUMBER.fullmatch(text) is None:
        return None
    value = Decimal(text)
    for name, factor in _EPOCHS.items() if unit is None else [(unit, _EPOCHS[unit])]:
        if _FIRST * factor <= value < _LAST * factor:
            ns = int(value * (NS // _EPOCHS[name]))
            return WrittenTime("utc", ns, ns, ns)
    seconds = float(value / _EPOCHS[unit or "s"])
    return WrittenTime("session", seconds, seconds, seconds)


def iso_time(text: str) -> WrittenTime | None:
    """The time of an ISO 8601 date and time, with or without offset; None when it is not one."""
    try:
        ns, offset = ns_from_iso(text)
    except ValueError:
        return None
    return WrittenTime("local" if offset is None else "utc", ns, ns, ns)


def date_of(text: str) -> int | None:
    """Local nanoseconds of the midnight that begins a date ("2026-03-28"); None for other text."""
    match = _DATE.fullmatch(text.strip())
    written = iso_time(f"{match[0]}T00:00") if match is not None else None
    return None if written is None else int(written.likely)


def place(written: WrittenTime, clock: Clock, date: int | None = None) -> NoteTime | Reason:
    """Put a written time on the session clock, or say why that is not possible.

    With an absolute clock a time of day belongs to the day on which it lies within the recording (``date``,
    when one was written above it); outside every day of the recording it belongs to the nearest one. Without
    one, "0:12:30" is elapsed time, and "1:30" is 90 s if that lies within the recording and 1 h 30 min does
    not; "07:40" is never elapsed time.

    Args:
        written: the time as read.
        clock: the session's.
        date: local midnight in nanoseconds that the file gave for the following times of day.

    Returns:
        The time, or the reason: "clock" (needs an absolute clock), "day" (fits several days), "ambiguous"
        (clock time or elapsed), "zone" (an hour that the clock change left out), "" (a part of the day
        without a clock: nothing to be said).
    """
    if written.scale == "session":
        return NoteTime(written.earliest, written.likely, written.latest)
    if clock.epoch is None:
        return _elapsed(written, clock)
    try:
        if written.scale == "day":
            return _on_a_day(written, clock, date)
        return _absolute(written, clock)
    except InputError:
        return "zone"


def _elapsed(written: WrittenTime, clock: Clock) -> NoteTime | Reason:
    if written.vague:
        return ""
    if written.elapsed is None:
        return "clock" if written.scale != "day" else "ambiguous"
    # "0:12:30" can be read one way only; "1:30" as minutes and seconds where it cannot be hours and minutes
    if written.precise or (clock.start <= written.elapsed <= clock.end < written.likely):
        minutes = [(t - written.likely) / 60 for t in (written.earliest, written.likely, written.latest)]
        return NoteTime(*(written.elapsed + minute for minute in minutes))
    return "ambiguous"


def _absolute(written: WrittenTime, clock: Clock) -> NoteTime:
    """Seconds of UTC or local nanoseconds. A local time that happened twice is an interval over both."""
    assert clock.epoch is not None
    if written.scale == "utc":
        moments = [int(written.earliest), int(written.likely), int(written.latest)]
    else:
        moments = [
            utc_from_local(int(written.earliest), clock.zone, 0),
            utc_from_local(int(written.likely), clock.zone, 0),
            utc_from_local(int(written.latest), clock.zone, 1),
        ]
    return NoteTime(*(seconds_from_ns(ns, clock.epoch) for ns in moments))


def _on_a_day(written: WrittenTime, clock: Clock, date: int | None) -> NoteTime | Reason:
    fits = _by_distance(written, clock, date)
    if written.half == "either" or (written.half == "second" and fits[0][0] > 0):
        shift = DAY // 2
        later = WrittenTime("day", written.earliest + shift, written.likely + shift, written.latest + shift)
        fits = sorted([*fits, *_by_distance(later, clock, date)], key=lambda fit: fit[0])
    if len(fits) > 1 and fits[0][0] == fits[1][0] == 0:
        return "day"
    return fits[0][1]


def _by_distance(written: WrittenTime, clock: Clock, date: int | None) -> list[tuple[float, NoteTime]]:
    """(seconds outside the recording, time) for each day around the recording, the nearest first."""
    assert clock.epoch is not None
    days = [date] if date is not None else _midnights(clock)
    fits = []
    for midnight in days:
        early, likely, late = (
            midnight + round(t * NS) for t in (written.earliest, written.likely, written.latest)
        )
        time = _absolute(WrittenTime("local", early, likely, late), clock)
        fits.append((max(0.0, clock.start - time.latest, time.earliest - clock.end), time))
    return sorted(fits, key=lambda fit: fit[0])


def _midnights(clock: Clock) -> list[int]:
    """Local midnights, in nanoseconds, from the day before the recording to the day after it."""
    assert clock.epoch is not None
    edges = []
    for seconds in (clock.start, clock.end):
        utc = clock.epoch + round(seconds * NS)
        edges.append((utc + offset_at(clock.zone, utc) * 60 * NS) // (DAY * NS))
    return [day * DAY * NS for day in range(edges[0] - 1, edges[1] + 2)]

"""Local wall-clock times and UTC: offsets and named zones, nothing guessed when the clocks change."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

from align.clock import NS, ns_from_iso
from align.datatypes import Finding
from align.errors import InputError, ParameterError
from align.readers.policy import Policy

__all__ = ["epoch_of_local", "epoch_of_start", "offset_at", "offset_text", "utc_from_local"]

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


def offset_at(zone: str, utc_ns: int) -> int:
    """Minutes east of UTC that ``zone`` ("+02:00", "Europe/Berlin", "" for UTC) has at a UTC moment.

    >>> offset_at("+05:30", 0)
    330

    Raises:
        ParameterError: neither an offset nor a known zone.
    """
    moment = _moment(utc_ns).replace(tzinfo=UTC).astimezone(_zone(zone))
    return round((moment.utcoffset() or timedelta()).total_seconds() / 60)


def offset_text(minutes: int) -> str:
    """The offset as it is written: 120 -> "+02:00"."""
    sign, rest = ("-" if minutes < 0 else "+"), abs(minutes)
    return f"{sign}{rest // 60:02d}:{rest % 60:02d}"


def utc_from_local(local_ns: int, zone: str, fold: int | None = None, **where: object) -> int:
    """UTC nanoseconds of a local wall-clock time (``local_ns`` counts as if the clock showed UTC).

    Args:
        local_ns: the wall clock, nanoseconds since 1970-01-01 00:00 on that same clock.
        zone: "+02:00", an IANA name, or "" for UTC.
        fold: which of the two equal times of an autumn hour, 0 or 1.
        **where: file, line for the message.

    Raises:
        InputError: E-TZ-AMBIGUOUS, the time happened twice and ``fold`` is None; E-TZ-MISSING, it never did.
        ParameterError: neither an offset nor a known zone.
    """
    place, local = _zone(zone), _moment(local_ns)
    both = [local.replace(tzinfo=place, fold=i).utcoffset() or timedelta() for i in (0, 1)]
    seconds = [round(offset.total_seconds()) for offset in both]
    if both[0] > both[1] and fold is None:
        raise InputError(
            "E-TZ-AMBIGUOUS", "a local time that happened twice when the clocks went back",
            hint="say which one with --fold 0 or --fold 1", **where,
        )  # fmt: skip
    if both[0] < both[1]:
        raise InputError(
            "E-TZ-MISSING", "a local time that never was: the clocks went forward over it",
            hint="the zone given with --tz does not fit the file", **where,
        )  # fmt: skip
    return local_ns - seconds[fold or 0] * NS


def epoch_of_local(local_ns: int, policy: Policy, path: Path) -> tuple[int, tuple[Finding, ...]]:
    """UTC nanoseconds of a header's start time, which has no zone: ``policy.tz``, or UTC and a finding."""
    epoch = utc_from_local(local_ns, policy.tz or "", policy.fold, file=path)
    if policy.tz is not None:
        return epoch, ()
    return epoch, (Finding("W-TZ", "the start time has no time zone and is taken as UTC (--tz sets it)"),)


def epoch_of_start(policy: Policy) -> tuple[int | None, tuple[Finding, ...]]:
    """UTC nanoseconds of ``policy.start``, None when it is not set.

    Raises:
        ParameterError: not an ISO 8601 date and time.
    """
    if policy.start is None:
        return None, ()
    try:
        ns, offset = ns_from_iso(policy.start)
    except ValueError as error:
        raise ParameterError("start", policy.start, "ISO 8601, as 2026-03-28T22:10:00+01:00") from error
    if offset is not None:
        return ns, ()
    return epoch_of_local(ns, policy, Path("--start"))


def _zone(zone: str) -> tzinfo:
    if zone in ("", "Z", "UTC"):
        return UTC
    match = _OFFSET.fullmatch(zone)
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    else:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass  # said below, as for an offset out of range
    raise ParameterError("tz", zone, 'an offset as "+02:00" or an IANA name as "Europe/Berlin"')


def _moment(ns: int) -> datetime:
    """The wall-clock moment to the second; the offset of a zone never changes within one."""
    try:
        return datetime(1970, 1, 1) + timedelta(seconds=ns // NS)
    except OverflowError as error:
        raise InputError("E-TIME-RANGE", f"{ns} ns is outside the years 1 to 9999") from error

"""The time column of a table: found by its name, read to exact int64 nanoseconds.

ISO 8601 and epoch numbers give UTC nanoseconds; small numbers are seconds on the table's own clock. The rules
for numbers, in this order: a unit that the caller or the name gives ("timestamp_ms", "t [us]") counts; values
from 1990 to 2100 in that unit are epoch times, smaller ones are relative; values that would be epoch times in
*another* unit are refused (E-UNIT), as is everything beyond 2100. Without a unit, the one in which the values
lie from 1990 to 2100 is taken and said, and values too small for any are relative seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from align.clock import NS
from align.datatypes import Finding
from align.errors import InputError
from align.readers.policy import Policy
from align.readers.timeline import Lines, line_of
from align.readers.zones import offset_at, offset_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Times", "find_time_column", "parse_time_column", "split_unit"]

_NAMES = ("time", "timestamp", "t", "ts", "datetime", "date_time", "time_stamp", "unix", "unix_time", "unixtime",
          "epoch", "epoch_time", "utc", "utc_time", "time_utc", "local_time", "recorded_at", "elapsed", "elapsed_time",
          "time_elapsed", "sample_time", "seconds", "milliseconds", "microseconds", "nanoseconds", "sec", "ms", "us",
          "ns")  # fmt: skip
_UNITS = {"s": NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
_UNIT_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "µs", "μs", "usec", "micros", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanoseconds"), "ns"),
}
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, epoch seconds
_EXACT_SECONDS = 4e6  # below this, float64 seconds are exact to the nanosecond
_BRACKET = re.compile(r"^(.*?)\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]$", re.DOTALL)
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_ISO = r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?$"


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """(n,) i8 nanoseconds: UTC when ``absolute``, else on the table's own clock. ``timezone``: "+02:00" or ""."""

    ns: npt.NDArray[np.int64]
    absolute: bool
    timezone: str = ""
    findings: tuple[Finding, ...] = ()


def split_unit(header: str) -> tuple[str, str]:
    """A column's name and the unit that is written behind it in brackets.

    >>> split_unit("acc_x (g)"), split_unit("hr [bpm]"), split_unit("temp_degC")
    (('acc_x', 'g'), ('hr', 'bpm'), ('temp_degC', ''))
    """
    match = _BRACKET.match(header.strip())
    if match is None or not match[1]:
        return header.strip(), ""
    return match[1], match[2]


def _name_and_unit(header: str) -> tuple[str, str | None]:
    """Lower-case name without its unit, and the unit of time that the header tells."""
    name, unit = split_unit(header)
    name = re.sub(r"[^a-z0-9µμ]+", "_", name.lower()).strip("_")
    if unit:
        return name, _UNIT_WORDS.get(unit.lower())
    stem, _, last = name.rpartition("_")
    if stem in _NAMES and last in _UNIT_WORDS:
        return stem, _UNIT_WORDS[last]
    return name, _UNIT_WORDS.get(name) if name != "t" else None


def find_time_column(columns: Sequence[str], policy: Policy, *, file: str) -> tuple[int, tuple[int, ...]]:
    """Index of the time column, and of further columns that are named like one (left out by the caller).

    Raises:
        InputError: E-NO-TIME, no column is named like a time, or none as ``policy.time_column`` says.
    """
    listed = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    if policy.time_column is not None:
        wanted = [i for i, c in enumerate(columns) if policy.time_column in (c, split_unit(c)[0])]
        if not wanted:
            said = f"no column is named as --time-column says; columns: {listed}"
            raise InputError("E-NO-TIME", said, hint="copy the name from the list", file=file)
        return wanted[0], ()
    found = [i for i, c in enumerate(columns) if _name_and_unit(c)[0] in _NAMES]
    if not found:
        raise InputError(
            "E-NO-TIME", f"no column is named like a time; columns: {listed}",
            hint="name it with --time-column, or call it time, timestamp_ms or datetime", file=file,
        )  # fmt: skip
    return found[0], tuple(found[1:])


def parse_time_column(
    name: str, column: pl.Series, policy: Policy, *, file: str, lines: Lines = None
) -> Times:
    """Exact nanoseconds of a time column of text, numbers, dates or durations.

    Args:
        name: the column's header; may tell the unit.
        column: (n,) text (ISO 8601 or numbers), integers, floats, or polars dates, times and durations.
        policy: ``time_unit``, ``tz`` and ``fold`` are used.
        file: for messages.
        lines: row -> line, see ``runs_from_times``.

    Returns:
        Times.

    Raises:
        InputError: E-TIME (empty, NaN or not a time), E-UNIT, E-TIME-RANGE, E-TZ-MIXED, E-TZ-AMBIGUOUS, all
            with the line; E-TIME-PRECISION (float32 epoch times).
        ParameterError: ``policy.tz`` is unknown.
    """
    import polars as pl

    at = _Place(name, file, lines)
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        given = column.drop_nulls().filter(column.drop_nulls() != "")
        if given.len() and not given.head(1).str.contains(_NUMBER)[0]:
            return _from_iso(column, policy, at)
        return _from_numbers(column, policy, at)
    if column.null_count():
        raise at.error("E-TIME", "the time is empty", _first(column.is_null()))
    if column.dtype == pl.Duration or column.dtype == pl.Time:
        unit = "ns" if column.dtype == pl.Time else str(column.dtype.time_unit)  # type: ignore[attr-defined]
        return Times(column.cast(pl.Int64).to_numpy() * _UNITS[unit], absolute=False)
    if column.dtype.is_temporal():
        return _from_dates(column, policy, at)
    if column.dtype.is_numeric():
        return _from_numbers(column, policy, at)
    said = f"holds {column.dtype}, not times"
    raise InputError("E-TIME", said, hint="choose the column with --time-column", file=file, column=name)


@dataclass(frozen=True, slots=True)
class _Place:
    column: str
    file: str
    lines: Lines

    def error(self, code: str, message: str, row: int, hint: str = "") -> InputError:
        line = line_of(self.lines, row)
        return InputError(
            code, message, hint=hint or "give every row a time as ISO 8601 or a number", file=self.file or None,
            line=line, column=self.column, sample=None if line is not None else row,
        )  # fmt: skip


def _first(mask: pl.Series) -> int:
    found = mask.arg_max()
    return int(found) if found is not None else 0


def _from_numbers(column: pl.Series, policy: Policy, at: _Place) -> Times:
    import polars as pl

    floats = column.cast(pl.Float64, strict=False)
    bad = floats.is_null() | ~floats.is_finite().fill_null(False)
    if bad.any():
        row = _first(bad)
        empty = column.dtype == pl.String and (column[row] or "") == ""
        raise at.error(
            "E-TIME", "the time is empty" if empty else "not a time; the rows before are numbers", row
        )
    low, high = float(floats.min()), float(floats.max())  # type: ignore[arg-type]
    unit, absolute, findings = _unit(low, high, floats, policy, at)
    scale = _UNITS[unit]
    if max(abs(low), abs(high)) * scale > 9.2e18:
        raise at.error(
            "E-TIME-RANGE", "a time outside the years 1677 to 2262", _first(floats.abs() * scale > 9.2e18)
        )
    if column.dtype == pl.Float32 and absolute:
        said = "epoch times as float32 are only good to minutes"
        raise at.error("E-TIME-PRECISION", said, 0, hint="write them as int64 or float64")
    if column.dtype.is_integer():
        return Times(column.cast(pl.Int64).to_numpy() * scale, absolute, findings=findings)
    if column.dtype == pl.String:
        exact = column.cast(pl.Int64, strict=False)
        if exact.null_count() == 0:
            return Times(exact.to_numpy() * scale, absolute, findings=findings)
        if max(abs(low), abs(high)) * scale / NS > _EXACT_SECONDS:
            decimal = (column.cast(pl.Decimal(38, 9), strict=False) * scale).cast(pl.Int64, strict=False)
            if decimal.null_count() == 0:
                return Times(decimal.to_numpy(), absolute, findings=findings)
    elif absolute:
        step = float(np.spacing(high)) * scale / NS
        said = f"epoch times held as {column.dtype} are only good to {step:.1g} s"
        findings = (*findings, Finding("W-TIME-PRECISION", said))
    values = floats.to_numpy()
    whole = np.floor(values)
    ns = whole.astype(np.int64) * scale + np.floor((values - whole) * scale + 0.5).astype(np.int64)
    return Times(ns, absolute, findings=findings)


def _epoch_unit(low: float, high: float) -> str | None:
    """The unit in which all values lie from 1990 to 2100."""
    for unit, scale in _UNITS.items():
        if low * scale >= _EARLIEST * NS and high * scale <= _LATEST * NS:
            return unit
    return None


def _unit(
    low: float, high: float, values: pl.Series, policy: Policy, at: _Place
) -> tuple[str, bool, tuple[Finding, ...]]:
    """Unit, whether the times are absolute, and what to say about it; the rules are at the module's top."""
    fits = _epoch_unit(low, high)
    told = policy.time_unit or _name_and_unit(at.column)[1]
    if told is not None:
        largest = max(abs(low), abs(high)) * _UNITS[told]
        if fits == told:
            return told, True, ()
        if largest < _EARLIEST * NS and (fits is None or policy.time_unit is not None):
            return told, False, ()
        source = "--time-unit" if policy.time_unit else "the column's name"
        beyond = (values * _UNITS[told] > _LATEST * NS) | (values * _UNITS[told] < _EARLIEST * NS)
        row = 0 if fits else _first(beyond)
        said = f"{source} says {told}, but then a time lies outside 1990 to 2100"
        if fits and largest < _EARLIEST * NS:
            said = f"{source} says {told}, but the numbers are epoch times from 1990 to 2100 in {fits}"
        factor = _UNITS[told] / _UNITS[fits] if fits else 0.0
        hint = (
            f"as {fits} (a factor of {factor:g}) they fit: --time-unit {fits}" if fits else "check the unit"
        )
        raise at.error("E-UNIT", said, row, hint=hint)
    if fits is not None:
        said = f"the time column names no unit: epoch times in {fits} by their size"
        return fits, True, (Finding("W-TIME-UNIT", said),)
    if max(abs(low), abs(high)) < _EARLIEST:
        return "s", False, ()
    row = _first(values.abs() >= _EARLIEST) if abs(low) < _EARLIEST else 0
    said = "the numbers are neither relative seconds nor epoch times from 1990 to 2100 in any unit"
    raise at.error("E-UNIT", said, row, hint="name the unit with --time-unit s, ms, us or ns")


def _from_iso(column: pl.Series, policy: Policy, at: _Place) -> Times:
    import polars as pl

    parts = column.str.extract_groups(_ISO).struct.unnest()
    day, clock, second, fraction, zone = (parts[c] for c in parts.columns)
    minute = (day + clock).str.to_datetime("%Y-%m-%d%H:%M", time_unit="ms", strict=False)
    seconds = second.cast(pl.Int64).fill_null(0)
    bad = minute.is_null() | (seconds > 60)
    if bad.any():
        row = _first(bad)
        empty = (column[row] or "") == ""
        said = (
            "the time is empty" if empty else "not an ISO 8601 date and time, like those of the rows before"
        )
        hint = (
            ""
            if empty
            else "write 2026-03-28T22:10:00.123+01:00; other orders of day and month are never guessed"
        )
        raise at.error("E-TIME", said, row, hint=hint)
    findings = []
    leaps = int((seconds == 60).sum())
    if leaps:
        findings.append(Finding("W-LEAP", "second 60 (a leap second) counted as second 59", leaps))
    part = fraction.str.pad_end(9, "0").cast(pl.Int64).fill_null(0).to_numpy()
    milliseconds = minute.cast(pl.Int64).to_numpy() + 1000 * np.minimum(seconds.to_numpy(), 59)
    local = _whole_ns(milliseconds, at) + part
    aware = zone.is_not_null()
    if not aware.any():
        return _local(local, policy, at, findings)
    if not aware.all():
        row = _first(aware != aware[0])
        kinds = ("with", "without") if aware[0] else ("without", "with")
        said = f"a time {kinds[1]} an offset after times {kinds[0]} one; allowed: all or none"
        raise at.error("E-TZ-MIXED", said, row, hint="write the offset (+01:00 or Z) in every row")
    written = zone.unique(maintain_order=True).to_list()
    minutes = {z: offset_at("" if z == "Z" else z, 0) for z in written}
    if len(written) > 1:
        said = f"{len(written)} different offsets in the time column; all converted to UTC"
        findings.append(Finding("W-TZ", said, len(written)))
    shift = zone.replace_strict(list(minutes), list(minutes.values()), return_dtype=pl.Int64).to_numpy()
    return Times(local - shift * 60 * NS, True, offset_text(minutes[zone[0]]), tuple(findings))


def _whole_ns(milliseconds: npt.NDArray[np.int64], at: _Place) -> npt.NDArray[np.int64]:
    far = np.flatnonzero(np.abs(milliseconds) > 9_223_372_035_000)
    if far.size:
        raise at.error("E-TIME-RANGE", "a time outside 1677-09-22 to 2262-04-11", int(far[0]))
    return milliseconds * 1_000_000


def _from_dates(column: pl.Series, policy: Policy, at: _Place) -> Times:
    """Polars dates and datetimes: with a zone they are UTC inside, without one they are local times."""
    import polars as pl

    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("ms"))
    unit = str(column.dtype.time_unit)  # type: ignore[attr-defined]
    zone = column.dtype.time_zone  # type: ignore[attr-defined]
    stored = column.cast(pl.Int64).to_numpy()
    _whole_ns(stored // (1_000_000 // _UNITS[unit]), at)
    ns = stored * _UNITS[unit]
    if zone is None:
        return _local(ns, policy, at, [])
    return Times(ns, True, offset_text(offset_at(zone, int(ns[0])) if ns.size else 0))


def _local(local: npt.NDArray[np.int64], policy: Policy, at: _Place, findings: list[Finding]) -> Times:
    """Times without an offset: in ``policy.tz``, else kept as if the clock showed UTC, and said."""
    if policy.tz is None:
        said = "the times have no offset and are taken as they stand, as if UTC (--tz sets the zone)"
        return Times(local, True, "", (*findings, Finding("W-TZ", said)))
    import polars as pl

    fixed = offset_at(policy.tz, 0)
    if policy.tz[:1] in "+-" or policy.tz in ("", "Z", "UTC"):
        return Times(local - fixed * 60 * NS, True, offset_text(fixed), tuple(findings))
    when = pl.Series(local).cast(pl.Datetime("ns"))
    ambiguous: Literal["null", "earliest", "latest"]
    ambiguous = "null" if policy.fold is None else ("earliest", "latest")[policy.fold]
    placed = when.dt.replace_time_zone(policy.tz, ambiguous=ambiguous, non_existent="null")
    if placed.null_count():
        row = _first(placed.is_null())
        twice = when[row : row + 1].dt.replace_time_zone(
            policy.tz, ambiguous="earliest", non_existent="null"
        )[0]
        said = (
            "never was: the clocks went forward over it"
            if twice is None
            else "happened twice: the clocks went back"
        )
        hint = (
            "the zone of --tz does not fit the file"
            if twice is None
            else "say which with --fold 0 or --fold 1"
        )
        raise at.error("E-TZ-AMBIGUOUS", f"a local time that {said}", row, hint=hint)
    ns = placed.cast(pl.Int64).to_numpy()
    if policy.fold is not None:
        both = when.dt.replace_time_zone(policy.tz, ambiguous="null", non_existent="null").null_count()
        if both:
            said = f"local times that happened twice taken as --fold {policy.fold}"
            findings = [*findings, Finding("P-FOLD", said, both)]
    return Times(ns, True, offset_text(offset_at(policy.tz, int(ns[0]))), tuple(findings))

"""The header of an EDF, EDF+ or BDF file in plain fields, checked against the file's size.

edfio decodes the signals; it repairs a wrong record count with a warning only, so what a file promises is
read here. Fields: Kemp et al., "A simple format for exchange of digitized polygraphic recordings" (1992), and
the EDF+ specification (2003), sections 2.1.1 and 2.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from align.clock import NS
from align.errors import InputError

__all__ = ["EdfHeader", "read_edf_header"]

_FIXED = (
    ("version", 8), ("patient", 80), ("recording", 80), ("start date", 8), ("start time", 8),
    ("header bytes", 8), ("reserved", 44), ("number of records", 8), ("record duration", 8), ("signals", 4),
)  # fmt: skip
_PER_SIGNAL = (("label", 16), ("", 80 + 8 + 8 + 8 + 8 + 8 + 80), ("samples per record", 8), ("reserved", 32))
_PAIR = re.compile(r" ?(\d{1,2})[.:/\- ] ?(\d{1,2})[.:/\- ] ?(\d{1,2})")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """What an EDF file says of itself.

    ``declared`` records (-1: unknown) and ``found`` whole records; ``extra`` bytes behind the declared ones;
    ``duration`` seconds per record; ``samples`` per record and signal; ``start`` local wall clock in
    nanoseconds, None when the date is withheld; ``annotations`` are the indices of annotation signals.
    """

    bdf: bool
    discontinuous: bool
    size: int
    declared: int
    found: int
    extra: int
    duration: float
    labels: tuple[str, ...]
    samples: tuple[int, ...]
    start: int | None
    annotations: tuple[int, ...]

    @property
    def sample_bytes(self) -> int:
        return 3 if self.bdf else 2

    @property
    def record_bytes(self) -> int:
        return sum(self.samples) * self.sample_bytes

    @property
    def records(self) -> int:
        """How many records may be used: the declared ones, as far as they are there."""
        return self.found if self.declared < 0 else min(self.declared, self.found)


def read_edf_header(path: Path) -> EdfHeader:
    """Read and check the header.

    Raises:
        InputError: E-TRUNCATED, the file ends inside the header; E-HEADER with the field's name and byte;
            E-NO-SAMPLES, no signal at all.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = _Fields(file.read(256), path, _FIXED, 1)
        n_signals = fixed.integer("signals", 1, 9_999)
        body = _Fields(file.read(256 * n_signals), path, _PER_SIGNAL, n_signals, at=256)
    bdf = fixed.raw[:8] == b"\xffBIOSEMI"
    if not bdf and fixed.text("version").strip() != "0":
        raise fixed.error("version", "not 0 (EDF) and not a BDF mark")
    header_bytes = fixed.integer("header bytes", 256, 256 * 10_000)
    if header_bytes != 256 * (n_signals + 1):
        raise fixed.error("header bytes", f"{header_bytes}; expected {256 * (n_signals + 1)}")
    duration = fixed.number("record duration")
    labels = tuple(body.text("label", i).strip() for i in range(n_signals))
    samples = tuple(body.integer("samples per record", 0, 1 << 30, i) for i in range(n_signals))
    annotations = tuple(i for i, label in enumerate(labels) if label[1:] == "DF Annotations")
    if duration <= 0 and len(annotations) < n_signals:
        raise fixed.error("record duration", f"{duration:g}; allowed: seconds > 0")
    record_bytes = sum(samples) * (3 if bdf else 2)
    if not record_bytes:
        raise InputError("E-NO-SAMPLES", "no signal has samples", file=path)
    declared = fixed.integer("number of records", -1, 1 << 40)
    found, rest = divmod(size - header_bytes, record_bytes)
    extra = rest if declared < 0 else size - header_bytes - declared * record_bytes
    return EdfHeader(
        bdf=bdf, discontinuous=fixed.text("reserved")[3:5] == "+D", size=header_bytes, declared=declared,
        found=found, extra=extra, duration=duration, labels=labels, samples=samples, start=_start(fixed),
        annotations=annotations,
    )  # fmt: skip


class _Fields:
    """Fixed-width fields of ``count`` rows laid out field by field, read with their byte offsets."""

    def __init__(
        self, raw: bytes, path: Path, layout: tuple[tuple[str, int], ...], count: int, at: int = 0
    ) -> None:
        self.raw, self.path = raw, path
        self.places: dict[str, tuple[int, int]] = {}
        self.at, place = at, 0
        for name, width in layout:
            self.places.setdefault(name, (place, width))
            place += width * count
        if len(raw) < place:
            raise InputError(
                "E-TRUNCATED", f"the file ends at byte {at + len(raw)}, inside the header",
                hint="copy the file again", file=path,
            )  # fmt: skip

    def _bytes(self, name: str, row: int = 0) -> bytes:
        first, width = self.places[name]
        return self.raw[first + row * width : first + (row + 1) * width]

    def text(self, name: str, row: int = 0) -> str:
        return self._bytes(name, row).decode("latin-1")

    def error(self, name: str, found: str, row: int = 0) -> InputError:
        first, width = self.places[name]
        byte = self.at + first + row * width
        return InputError("E-HEADER", f'the field "{name}" is {found}', file=self.path, byte=byte)

    def number(self, name: str, row: int = 0) -> float:
        raw = self._bytes(name, row)
        if re.fullmatch(rb"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?[\s\0]*", raw) is None:
            raise self.error(name, f"not a number (bytes {raw.hex()})", row)
        return float(raw.strip(b" \0\t\r\n"))

    def integer(self, name: str, low: int, high: int, row: int = 0) -> int:
        value = self.number(name, row)
        if not low <= value <= high or value != int(value):
            raise self.error(name, f"{value:g}; allowed: {low} to {high}", row)
        return int(value)


def _start(fixed: _Fields) -> int | None:
    """Local start in nanoseconds; None when the EDF+ recording field says "Startdate X" (withheld)."""
    words = fixed.text("recording").split()
    plus = words[1].upper() if len(words) > 1 and words[0] == "Startdate" else ""
    if plus == "X":
        return None
    date, time = (_PAIR.match(fixed.text(name)) for name in ("start date", "start time"))
    if date is None:
        raise fixed.error("start date", "not dd.mm.yy")
    if time is None:
        raise fixed.error("start time", "not hh.mm.ss")
    day, month, year = (int(g) for g in date.groups())
    year += 1900 if year >= 85 else 2000
    match = re.fullmatch(r"(\d{1,2})-([A-Z]{3})-(\d{4})", plus)
    if match is not None and match[2] in _MONTHS:  # four digits of the year: the better witness
        day, month, year = int(match[1]), _MONTHS.index(match[2]) + 1, int(match[3])
    hour, minute, second = (int(g) for g in time.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise fixed.error("start date", "no date of the calendar, or its time no time of day") from error
    return int(moment.timestamp()) * NS

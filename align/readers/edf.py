"""EDF, EDF+C, EDF+D and BDF through edfio: one stream per sampling rate; annotations as notes.

Second 0 is the start time of the header. The records of an EDF+D file carry their own onsets: a pause between
two of them is a gap. EDF has no time zone: see ``Policy.tz``.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding, Floats, Note, NoteTime, Stream
from align.errors import InputError
from align.readers.edf_header import EdfHeader, read_edf_header
from align.readers.policy import Policy
from align.readers.zones import epoch_of_local

__all__ = ["check_edf", "read_edf", "read_edf_notes"]

# One timestamped annotation list, EDF+ specification section 2.2.2: onset, duration, texts.
_TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14(.*)\x14", re.DOTALL)


def read_edf(path: str | os.PathLike[str], policy: Policy | None = None) -> tuple[Stream, ...]:
    """Read the signals of an EDF or BDF file in their physical units, one stream per sampling rate.

    Args:
        path: EDF, EDF+C, EDF+D or BDF.
        policy: ``on_truncated`` keeps the whole records of a cut file; ``tz`` is the zone of its start time.

    Returns:
        One stream, named after the file; with several rates one each, "name.200Hz", the fastest first.

    Raises:
        InputError: E-NO-SAMPLES, E-TRUNCATED (records declared and found, last good time), E-HEADER, E-EDF-D
            (a discontinuous file without onsets), E-UNSORTED (records that go back in time), E-DECODE.
    """
    path, policy = Path(path), policy or Policy()
    header = read_edf_header(path)
    findings = check_edf(path, policy, header)
    epoch: int | None = None
    zone: tuple[Finding, ...]
    if header.start is None:
        zone = (Finding("W-NO-DATE", "the start date is withheld: the clock is relative"),)
    else:
        epoch, zone = epoch_of_local(header.start, policy, path)
    onsets, decoded = _onsets(header, path), _decoded(path, header)
    counts = sorted({header.samples[i] for i in decoded}, reverse=True)
    streams = []
    for count in counts:
        chosen = [i for i in decoded if header.samples[i] == count]
        values, uncalibrated = _values([decoded[i] for i in chosen], header.records * count, path)
        index, start = _runs(onsets, header.duration, count, path)
        rate = count / header.duration
        stream = Stream(
            values,
            rate,
            path.stem if len(counts) == 1 else f"{path.stem}.{rate:g}Hz",
            channels=_distinct([header.labels[i] for i in chosen]),
            units=tuple(decoded[i].physical_dimension.strip() for i in chosen),
            run_index=index,
            run_start=start,
            epoch=epoch,
            findings=(*findings, *zone, *uncalibrated),
        )
        streams.append(stream)
    return tuple(streams)


def check_edf(path: Path, policy: Policy, header: EdfHeader | None = None) -> list[Finding]:
    """Raise what ``read_edf`` would, as far as the header shows it; return what was noticed."""
    header = header or read_edf_header(path)
    findings = _compare(header, path, policy)
    if not header.records or all(
        i in header.annotations or not header.samples[i] for i in range(len(header.samples))
    ):
        raise InputError("E-NO-SAMPLES", "the file holds 0 records of signals", file=path)
    return findings


def read_edf_notes(path: str | os.PathLike[str]) -> tuple[Note, ...]:
    """Read the EDF+ annotations as notes, in the order of the file.

    An annotation with a duration is a note about that interval. Bytes that are not UTF-8 are kept as
    surrogates (PEP 383).

    Raises:
        InputError: E-NO-ANNOTATIONS, E-TRUNCATED, E-HEADER.
    """
    path = Path(path)
    header = read_edf_header(path)
    if not header.annotations:
        raise InputError("E-NO-ANNOTATIONS", "the file has no EDF+ annotation signal", file=path)
    found = (
        (onset, length, text)
        for signal in header.annotations
        for record in _annotation_bytes(header, path, signal)
        for onset, length, texts in _tals(record)
        for text in texts
        if text
    )
    return tuple(
        Note(text, NoteTime(onset, onset + length / 2, onset + length), file=path.name, line=number)
        for number, (onset, length, text) in enumerate(found, 1)
    )


def _compare(header: EdfHeader, path: Path, policy: Policy) -> list[Finding]:
    """The records declared against those found."""
    if header.declared < 0:
        return [Finding("P-RECORDS", f"the number of records is not declared; {header.found} found")]
    if header.found < header.declared:
        seconds = header.found * header.duration
        if policy.on_truncated == "refuse":
            raise InputError(
                "E-TRUNCATED",
                f"{header.declared} records declared, {header.found} found whole, good up to {seconds:.6g} s",
                hint="copy the file again, or keep what is there with --on-truncated keep",
                file=path, time=seconds,
            )  # fmt: skip
        return [Finding("P-TRUNCATED", f"{header.declared} records declared, {header.found} found and kept")]
    if header.extra:
        return [Finding("W-EXTRA-BYTES", "bytes behind the declared records left out", header.extra)]
    return []


def _decoded(path: Path, header: EdfHeader) -> dict[int, Any]:
    """The ordinary signals that have samples, as edfio objects, by their place in the header."""
    import edfio

    read = edfio.read_bdf if header.bdf else edfio.read_edf
    ordinary = [i for i in range(len(header.samples)) if i not in header.annotations]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is already an error or a finding here
            signals = read(path, header_encoding="latin-1").signals
    except (ValueError, ArithmeticError) as error:
        raise InputError("E-DECODE", f"edfio cannot read it ({type(error).__name__})", file=path) from error
    return {i: s for i, s in zip(ordinary, signals, strict=True) if header.samples[i]}


def _values(
    signals: list[Any], n_samples: int, path: Path
) -> tuple[npt.NDArray[np.floating[Any]], list[Finding]]:
    """(n_samples, n_signals) physical values, and which signals carry no calibration."""
    plain = 0
    columns = []
    for channel, signal in enumerate(signals):
        try:
            physical, digital = signal.physical_range, signal.digital_range
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an empty range: counted below
                column = signal.data[:n_samples]
        except (ValueError, ArithmeticError) as error:
            raise InputError("E-HEADER", "a physical or digital range is not a number", file=path,
                             channel=channel) from error  # fmt: skip
        if not np.isfinite([*physical, *digital]).all():
            raise InputError("E-HEADER", "a physical range is not finite", file=path, channel=channel)
        plain += physical[0] == physical[1] or digital[0] == digital[1]
        # 16 bits over a range around zero fit float32 exactly enough; an offset far beyond the range does not
        narrow = max(map(abs, physical)) <= 16 * abs(physical[1] - physical[0]) and abs(digital[1]) < 1 << 16
        columns.append(column.astype(np.float32 if narrow else np.float64))
    note = "signals with an empty range kept as raw numbers"
    return np.column_stack(columns), [Finding("W-UNCALIBRATED", note, plain)] if plain else []


def _distinct(labels: list[str]) -> tuple[str, ...]:
    """The labels, with " 2", " 3", ... added to repeated ones; empty ones are numbered."""
    names: list[str] = []
    for i, label in enumerate(labels):
        base, n = label or str(i), 1
        name = base
        while name in names:
            n += 1
            name = f"{base} {n}"
        names.append(name)
    return tuple(names)


def _runs(onsets: Floats, duration: float, count: int, path: Path) -> tuple[npt.NDArray[np.int64], Floats]:
    """First samples and seconds of the runs: records follow each other to half a sample, or a gap begins."""
    late = np.diff(onsets) - duration
    slack = 0.5 * duration / count
    if (late < -slack).any():
        record = int(np.argmax(late < -slack)) + 1
        raise InputError(
            "E-UNSORTED", f"record {record} begins before the one before it ends",
            file=path, sample=record * count, time=float(onsets[record]),
        )  # fmt: skip
    first = np.concatenate([[0], np.flatnonzero(late > slack) + 1])
    return (first * count).astype(np.int64), onsets[first]


def _onsets(header: EdfHeader, path: Path) -> Floats:
    """Seconds of each record after the header's start time."""
    regular: Floats = np.arange(header.records, dtype=np.float64) * header.duration
    if not header.annotations:
        if header.discontinuous:
            raise InputError("E-EDF-D", "discontinuous, but no annotation signal says when records begin",
                             hint="convert it to EDF+C, or export it again", file=path)  # fmt: skip
        return regular
    written = np.full(header.records, np.nan)
    records = _annotation_bytes(header, path, header.annotations[0])
    for i, entry in enumerate(records):
        written[i] = next((onset for onset, *_ in _tals(entry)), np.nan)
        if not header.discontinuous:
            break  # only the first one says something: the fraction of a second of the start time
    if header.discontinuous and np.isnan(written).any():
        record = int(np.argmax(np.isnan(written)))
        raise InputError("E-EDF-D", f"discontinuous, but record {record} does not say when it begins",
                         hint="convert it to EDF+C, or export it again", file=path)  # fmt: skip
    if header.discontinuous:
        return written
    return regular if np.isnan(written[0]) else regular + written[0]


def _annotation_bytes(header: EdfHeader, path: Path, signal: int) -> Iterator[bytes]:
    """The bytes of one annotation signal, record by record."""
    width = header.samples[signal] * header.sample_bytes
    begin = sum(header.samples[:signal]) * header.sample_bytes
    with path.open("rb") as file:
        for record in range(header.records):
            file.seek(header.size + record * header.record_bytes + begin)
            yield file.read(width)


def _tals(record: bytes) -> Iterator[tuple[float, float, list[str]]]:
    """(onset s, duration s, texts) of each annotation list of a record; "" is the record's own time stamp."""
    for part in record.split(b"\0"):
        match = _TAL.fullmatch(part)
        if match is not None:
            texts = match[3].decode("utf-8", "surrogateescape").split("\x14")
            yield float(match[1]), float(match[2] or 0), texts

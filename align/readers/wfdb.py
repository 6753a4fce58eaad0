"""WFDB records (PhysioNet): a ``.hea`` header and its signal files, ``.atr`` annotations as notes and truth.

Needs the extra ``streamnotes[wfdb]``. Samples that the format marks as invalid are missing, and rows
without any valid sample are gaps. Signals of several rates become one stream per rate.
"""

from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.clock import NS
from align.datatypes import Finding, Note, NoteTime, Span, Stream
from align.errors import InputError, ResourceError
from align.readers.missing import split_at_missing
from align.readers.policy import Policy
from align.readers.zones import epoch_of_local

__all__ = ["check_wfdb", "companions", "read_wfdb", "read_wfdb_notes", "read_wfdb_truth"]


def read_wfdb(path: str | os.PathLike[str], policy: Policy | None = None) -> tuple[Stream, ...]:
    """Read a record in its physical units, one stream per sampling rate.

    Args:
        path: the ``.hea`` file; the signal files must lie beside it.
        policy: ``tz`` is the zone of the header's start time.

    Returns:
        One stream, named after the record; with several rates one each, "name.250Hz", the fastest first.

    Raises:
        InputError: E-HEADER, E-NO-FILE (a signal file is absent), E-RATE, E-CHECKSUM, E-NO-SAMPLES, E-DECODE,
            E-SEGMENTS (a record of several segments).
        ResourceError: E-EXTRA, the library is not installed.
    """
    path, policy = Path(path), policy or Policy()
    header = check_wfdb(path, policy)
    record = _call("rdrecord", path, physical=True, smooth_frames=False)
    _verify(record, path)
    epoch, zone = _epoch(header, policy, path)
    names = [name or str(i) for i, name in enumerate(record.sig_name)]
    names = [name if names.count(name) == 1 else f"{name} {i}" for i, name in enumerate(names)]
    per_frame = sorted(set(record.samps_per_frame), reverse=True)
    streams = []
    for count in per_frame:
        chosen = [i for i, n in enumerate(record.samps_per_frame) if n == count]
        rate = float(record.fs) * count
        values = np.column_stack([record.e_p_signal[i] for i in chosen])
        missing = int(np.isnan(values).sum())
        values, index, start = split_at_missing(values, rate, np.zeros(1, np.int64), np.zeros(1))
        if not len(values):
            raise InputError("E-NO-SAMPLES", "no valid sample", file=path, channel=names[chosen[0]])
        found = [Finding("W-MISSING", "samples that the format marks as invalid", missing)] * bool(missing)
        stream = Stream(
            values,
            rate,
            path.stem if len(per_frame) == 1 else f"{path.stem}.{rate:g}Hz",
            channels=tuple(names[i] for i in chosen),
            units=tuple(record.units[i] for i in chosen),
            run_index=index,
            run_start=start,
            epoch=epoch,
            findings=(*zone, *found),
        )
        streams.append(stream)
    return tuple(streams)


def check_wfdb(path: Path, policy: Policy) -> Any:
    """Read the header alone and check it and the presence of its files; returns the library's record.

    Raises:
        InputError, ResourceError: as ``read_wfdb``.
    """
    header = _call("rdheader", path)
    if hasattr(header, "n_seg"):
        raise InputError("E-SEGMENTS", "a record of several segments; allowed: single records",
                         hint="join its segments with wfdb2mit or xform first", file=path)  # fmt: skip
    if not header.n_sig:
        raise InputError("E-NO-SAMPLES", "the record has no signal", file=path)
    if not (header.fs and np.isfinite(header.fs) and header.fs > 0):
        raise InputError("E-RATE", f"{header.fs} frames per second; allowed: > 0", file=path)
    for name in header.file_name:
        if not (path.parent / name).is_file():
            raise InputError("E-NO-FILE", f"the signal file {name} is not beside the header", file=path)
    _epoch(header, policy, path)
    return header


def read_wfdb_notes(path: str | os.PathLike[str]) -> tuple[Note, ...]:
    """Read annotations that carry text as notes: the rhythm changes, or every text when there is no rhythm.

    A rhythm change is a text that begins with "(", as "(AFIB"; the note's time is where the rhythm begins.

    Args:
        path: an annotation file ("100.atr") or the header beside it.

    Raises:
        InputError: E-NO-FILE, E-DECODE. ResourceError: E-EXTRA.
    """
    path = _annotations_of(Path(path))
    texts, rate = _texts(path)
    rhythm = [entry for entry in texts if entry[1].startswith("(")]
    return tuple(
        Note(text, NoteTime(*[sample / rate] * 3), file=path.name, line=line)
        for sample, text, line in (rhythm or texts)
    )


def read_wfdb_truth(path: str | os.PathLike[str]) -> tuple[Span, ...]:
    """Read the rhythm annotations as spans: each lasts until the next one, the last until the record ends.

    Row by row the spans of ``read_wfdb_notes``; the label is the rhythm's code, "AFIB".

    Raises:
        InputError: E-NO-RHYTHM, E-NO-FILE, E-DECODE. ResourceError: E-EXTRA.
    """
    path = _annotations_of(Path(path))
    texts, rate = _texts(path)
    rhythm = [entry for entry in texts if entry[1].startswith("(")]
    if not rhythm:
        raise InputError("E-NO-RHYTHM", "no rhythm annotation to take spans from", file=path)
    length = _call("rdheader", path.with_suffix(".hea")).sig_len or rhythm[-1][0]
    edges = [sample for sample, *_ in rhythm] + [max(length, rhythm[-1][0])]
    return tuple(
        Span(first / rate, last / rate, text[1:], text)
        for (first, text, _), last in zip(rhythm, edges[1:], strict=True)
    )


def companions(path: Path) -> set[str]:
    """Names of the files that belong to a ``.hea``: its signal files and whatever shares its stem."""
    names = {p.name for p in path.parent.iterdir() if p.stem == path.stem}
    rows = [row.split() for row in path.read_text("latin-1").splitlines() if row[:1] not in ("", "#")]
    return names | {row[0] for row in rows[1:] if row}


def _texts(path: Path) -> tuple[list[tuple[int, str, int]], float]:
    """(sample, text, number) of the annotations with text, in order of the file, and the sampling rate."""
    annotations = _call("rdann", path)
    rate = annotations.fs or _call("rdheader", path.with_suffix(".hea")).fs
    texts = (text.rstrip("\0") for text in annotations.aux_note)  # padded to an even number of bytes
    entries = zip(annotations.sample, texts, strict=True)
    return [(int(at), text, n) for n, (at, text) in enumerate(entries, 1) if text], float(rate)


def _annotations_of(path: Path) -> Path:
    return path.with_suffix(".atr") if path.suffix == ".hea" else path


def _epoch(header: Any, policy: Policy, path: Path) -> tuple[int | None, tuple[Finding, ...]]:
    """UTC nanoseconds of the first frame, None unless the header has both date and time."""
    if header.base_date is None or header.base_time is None:
        return None, ()
    local = datetime.combine(header.base_date, header.base_time, tzinfo=UTC)
    whole = int(local.replace(microsecond=0).timestamp()) * NS + local.microsecond * 1000
    return epoch_of_local(whole, policy, path)


def _verify(record: Any, path: Path) -> None:
    """Compare the 16-bit sum of each signal's samples with the header's.

    Left out: a skewed signal has lost its first samples, and the number behind an invalid one is not known.
    """
    for i, (name, declared) in enumerate(zip(record.sig_name, record.checksum, strict=True)):
        physical: npt.NDArray[np.float64] = record.e_p_signal[i]
        if declared is None or record.skew[i] or np.isnan(physical).any():
            continue
        digital = np.rint(physical * record.adc_gain[i] + record.baseline[i]).astype(np.int64)
        if (int(digital.sum()) - declared) % 65_536:
            raise InputError("E-CHECKSUM", "the samples do not add up to the header's checksum",
                             hint="the file is damaged: copy it again", file=path, channel=name)  # fmt: skip


def _call(function: str, path: Path, **options: Any) -> Any:
    """Call the library's reader on a local record; its errors in our words."""
    try:
        import wfdb
    except ImportError as error:
        raise ResourceError("E-EXTRA", "WFDB records need the library wfdb, which is not installed",
                            hint="install it: pip install 'streamnotes[wfdb]'", file=path) from error  # fmt: skip
    if not path.is_file():
        raise InputError("E-NO-FILE", "no such file", file=path)
    arguments = [str(path.resolve().with_suffix(""))]
    if function == "rdann":
        arguments.append(path.suffix[1:])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(wfdb, function)(*arguments, **options)
    except PermissionError:
        raise
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, OSError) as error:
        raise InputError("E-DECODE", f"the library wfdb cannot read it ({type(error).__name__})",
                         hint="the header or a signal file is damaged", file=path) from error  # fmt: skip

"""A session as files: the bytes of each by name, so that whoever calls decides where and whether to write."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pipelines.synthesis.day import DATE, OFFSET, OPENS, Day
from pipelines.synthesis.exact import Floats, stream
from pipelines.synthesis.plan import Plan
from pipelines.synthesis.sensors import WRIST_RATE, heart, wrist
from pipelines.synthesis.sounds import AUDIO_RATE, Samples, microphone
from pipelines.synthesis.wording import Remark

__all__ = ["day_files", "session_files"]

WRIST_COLUMNS = (
    "acc_x [m/s2]",
    "acc_y [m/s2]",
    "acc_z [m/s2]",
    "gyro_x [deg/s]",
    "gyro_y [deg/s]",
    "gyro_z [deg/s]",
)
WRIST_DIGITS = (3, 3, 3, 2, 2, 2)


def session_files(seed: int, plan: Plan, notes: Sequence[Remark]) -> dict[str, bytes]:
    """Name -> bytes of one session of about 100 seconds, all clocks relative to its beginning.

    The wrist is a CSV for odd numbers and Parquet for even ones. Every third watch loses a second between two
    events, and every fourth stamps its samples up to 3 ms early or late.
    """
    number = plan.person.number
    times, acc, gyro = wrist(seed, plan)
    values = np.concatenate([acc, gyro], axis=1)
    if number % 4 == 0:
        late = stream(seed, number, 7).integers(-3, 4, times.size) / 1000.0
        late[0] = 0.0
        times = _rounded(times + late, 3)
    if number % 3 == 0:
        kept = _without_a_second(plan, times)
        times, values = times[kept], values[kept]
    if number % 2:
        wrist_name, wrist_bytes = "wrist.csv", _table(_seconds(times, 2), values, WRIST_DIGITS, WRIST_COLUMNS)
    else:
        wrist_name, wrist_bytes = "wrist.parquet", _parquet(times, values, WRIST_DIGITS, WRIST_COLUMNS)
    seconds, rate = heart(seed, plan)
    return {
        wrist_name: wrist_bytes,
        "heart.csv": _table(_seconds(seconds, 0), rate[:, None], (0,), ("heart_rate [bpm]",)),
        "microphone.flac": _flac(microphone(seed, plan)),
        "notes.csv": _csv(("time", "text"), ((note.time, note.text) for note in notes)),
        **_reference([(note.text, note.label, note.span) for note in notes]),
    }


def day_files(day: Day) -> dict[str, bytes]:
    """Name -> bytes of the long day: ISO 8601 times with their offset, and notes with times in the text."""
    wrist_columns = ("movement [m/s2]", "cadence [1/min]", "tilt [deg]")
    return {
        "wrist.csv": _table(_iso(day.wrist[:, 0]), day.wrist[:, 1:], (2, 0, 0), wrist_columns),
        "heart.csv": _table(_iso(day.heart[:, 0]), day.heart[:, 1:], (0,), ("heart_rate [bpm]",)),
        "notes.md": "".join(f"{note.line}\n" for note in day.notes).encode(),
        **_reference([(note.text, note.label, note.span) for note in day.notes]),
    }


def _reference(notes: Sequence[tuple[str, str, tuple[float, float] | None]]) -> dict[str, bytes]:
    """truth.csv, one row per note in the order of the notes, and the same texts without any time."""
    rows = []
    for text, label, span in notes:
        start, end = ("", "") if span is None else (f"{span[0]:.2f}", f"{span[1]:.2f}")
        rows.append((start, end, label, text))
    return {
        "truth.csv": _csv(("start", "end", "label", "text"), rows),
        "notes_untimed.txt": "".join(f"{text}\n" for text, _, _ in notes).encode(),
    }


def _without_a_second(plan: Plan, times: Floats) -> npt.NDArray[np.bool_]:
    """False for one second in the middle of the longest pause between two events."""
    pauses = [(b.start - a.end, a.end, b.start) for a, b in pairwise(plan.events)]
    _, begins, ends = max(pauses)
    first = round((begins + ends) / 2 * WRIST_RATE) - round(WRIST_RATE / 2)
    kept = np.ones(times.size, dtype=bool)
    kept[first : first + round(WRIST_RATE)] = False
    return kept


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _table(times: list[str], values: Floats, digits: Sequence[int], columns: Sequence[str]) -> bytes:
    cells = [times]
    for column, places in zip(values.T, digits, strict=True):
        cells.append([f"{v:.{places}f}" for v in _rounded(column, places).tolist()])
    return _csv(("time", *columns), zip(*cells, strict=True))


def _parquet(times: Floats, values: Floats, digits: Sequence[int], columns: Sequence[str]) -> bytes:
    import polars as pl

    table = {"time": times}
    for name, column, places in zip(columns, values.T, digits, strict=True):
        table[name] = _rounded(column, places).astype(np.float32)
    out = io.BytesIO()
    pl.DataFrame(table).write_parquet(out, compression="zstd", statistics=False)
    return out.getvalue()


def _rounded(column: Floats, places: int) -> Floats:
    """To ``places`` (0 to 3) decimals, halves up, and never minus zero."""
    scale = (1.0, 10.0, 100.0, 1000.0)[places]
    return np.floor(column * scale + 0.5) / scale + 0.0


def _seconds(times: Floats, places: int) -> list[str]:
    return [f"{t:.{places}f}" for t in times.tolist()]


def _iso(times: Floats) -> list[str]:
    clock = [OPENS * 3600 + int(t) for t in times.tolist()]
    return [f"{DATE}T{t // 3600:02d}:{t // 60 % 60:02d}:{t % 60:02d}{OFFSET}" for t in clock]


def _flac(samples: Samples) -> bytes:
    """Lossless, at level 0: there the encoder computes with integers only, the same on every processor."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, AUDIO_RATE, subtype="PCM_16", format="FLAC", compression_level=0.0)
    return out.getvalue()

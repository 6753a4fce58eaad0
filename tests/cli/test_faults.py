"""Faulty recordings given to ``align run``: one line, the right exit code, and nothing is written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.recordings import Done, note_file, table

SECRET = "quincemarmalade"
ROWS = [f"{i / 10:.1f},{i % 7},{-i}" for i in range(200)]
HEADER = "time,a,b"


def text(rows: list[str], header: str = HEADER) -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


def with_row(at: int, row: str) -> bytes:
    return text([*ROWS[:at], row, *ROWS[at + 1 :]])


def inserted(at: int, row: str) -> bytes:
    return text([*ROWS[:at], row, *ROWS[at:]])


def swapped() -> bytes:
    return text([*ROWS[:40], ROWS[41], ROWS[40], *ROWS[42:]])


def zoned(*times: str) -> bytes:
    return text([f"{t},{i}" for i, t in enumerate(times)], "time,a")


def sound(kind: str) -> bytes:
    import io

    out = io.BytesIO()
    soundfile.write(
        out, np.zeros(0 if kind == "EMPTY" else 800), 8000, format="WAV" if kind == "EMPTY" else kind
    )
    return out.getvalue()


FAULTS: list[tuple[str, str, Callable[[], bytes], str, str]] = [
    ("F01", "a.csv", lambda: b"", "E-EMPTY", ""),
    ("F01", "a.wav", lambda: b"", "E-EMPTY", ""),
    ("F01", "a.edf", lambda: b"", "E-EMPTY", ""),
    ("F01", "a.parquet", lambda: b"", "E-EMPTY", ""),
    ("F02", "a.csv", lambda: text([]), "E-NO-SAMPLES", ""),
    ("F02", "a.wav", lambda: sound("EMPTY"), "E-NO-SAMPLES", ""),
    ("F03", "a.wav", lambda: sound("WAV")[:-100], "E-TRUNCATED", "--on-truncated keep"),
    ("F09", "a.wav", lambda: sound("FLAC"), "E-FORMAT", "FLAC"),
    ("F09", "a.csv", lambda: gzip.compress(text(ROWS), mtime=0), "E-FORMAT", "GZIP"),
    ("F14", "a.csv", lambda: with_row(50, "5.0,1"), "E-RAGGED", "line 52"),
    ("F14", "a.csv", lambda: with_row(50, f"5.0,1,2,{SECRET}"), "E-RAGGED", "found 4"),
    ("F15", "a.csv", lambda: text(ROWS)[:-1], "E-LAST-LINE", "--tail drop"),
    ("F16", "a.csv", lambda: with_row(50, f"5.0,{SECRET},2"), "E-NUMBER", "column a"),
    ("F16", "a.csv", lambda: with_row(50, "5.0,NA,2"), "E-NUMBER", "line 52"),
    ("F16", "a.csv", lambda: with_row(50, '5.0,"1,5",2'), "E-NUMBER", "decimal comma"),
    ("F17", "a.csv", lambda: with_row(50, "5.0,1\x00,2"), "E-NUL", "line 52"),
    ("F17", "a.csv", lambda: b"time,a\n0,1\n1,\xe9\n", "E-ENCODING", "byte 13"),
    ("F18", "a.csv", lambda: with_row(50, f'5.0,"{SECRET},2'), "E-QUOTE", "line 52"),
    ("F19", "a.csv", lambda: text(ROWS, "time,a,a"), "E-DUP-COLUMN", "line 1"),
    ("F19", "a.csv", lambda: text(ROWS[1:], ROWS[0]), "E-NO-HEADER", "line 1"),
    ("F19", "a.csv", lambda: inserted(60, HEADER), "E-HEADER-REPEAT", "line 62"),
    ("T01", "a.csv", swapped, "E-UNSORTED", "line 43"),
    ("T01", "a.csv", lambda: text(ROWS[::-1]), "E-UNSORTED", "--sort"),
    ("T02", "a.csv", lambda: inserted(41, "4.0,9,9"), "E-DUP-TIME", "lines 42 and 43"),
    ("T09", "a.csv", lambda: zoned("2024-01-01T10:00:00Z", "2024-01-01T10:00:01"), "E-TZ-MIXED", "line 3"),
    ("T11", "a.csv", lambda: text([f"{1_700_000_000 + i},1" for i in range(5)], "timestamp_ms,a"), "E-UNIT",
     "--time-unit s"),
    ("T18", "a.csv", lambda: with_row(50, "N/A,1,2"), "E-TIME", "line 52"),
    ("V01", "a.csv", lambda: with_row(50, "5.0,nan,2"), "E-NONFINITE", "sample 50"),
    ("V01", "a.csv", lambda: with_row(50, "5.0,inf,2"), "E-NONFINITE", "channel a"),
    ("V02", "a.csv", lambda: text([f"{i},nan" for i in range(9)], "time,a"), "E-NONFINITE", "9 in all"),
    ("V06", "a.csv", lambda: with_row(50, "5.0,1e39,2"), "E-RANGE", "line 52"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "name", "content", "code", "said"), FAULTS, ids=[f"{f[0]}-{f[1]}-{f[3]}" for f in FAULTS]
)
def test_faults_are_one_line_and_leave_nothing(
    run: Callable[..., Done],
    tmp_path: Path,
    fault: str,
    name: str,
    content: Callable[[], bytes],
    code: str,
    said: str,
) -> None:
    (tmp_path / name).write_bytes(content())
    notes = note_file(tmp_path / "n.csv", [("5", f"a note about {SECRET}")])
    line = run(tmp_path / name, "--notes", notes, "-o", tmp_path / "out").refused(code)
    assert said in line, f"{fault}: {line}"
    assert str(tmp_path / name) in line and SECRET not in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fault", "content"), [(f[0], f[2]) for f in FAULTS if f[1] == "a.csv" and f[0] in ("F14", "T01", "V01")]
)
def test_the_same_in_a_session_folder_and_as_json(
    align: Callable[..., Done], tmp_path: Path, fault: str, content: Callable[[], bytes]
) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    (folder / "bad.csv").write_bytes(content())
    table(folder / "good.csv", ROWS, HEADER)
    note_file(folder / "notes.csv", [("5", SECRET)])
    done = align("--errors", "json", "run", folder, "-o", tmp_path / "out")
    assert (done.code, done.out) == (3, "")
    error = json.loads(done.err)
    assert error["file"] == str(folder / "bad.csv") and error["code"].startswith("E-")
    assert SECRET not in done.err and not (tmp_path / "out").exists(), fault


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("notes.csv", b"", "E-EMPTY"),
        ("notes.csv", f'time,text\n5,"{SECRET}\n6,b\n'.encode(), "E-QUOTE"),
        ("notes.jsonl", b'{"text": "a"}\n{"text": \n', "E-JSON"),
        ("notes.csv", b"when,what\n5,a\n", "E-COLUMNS"),
    ],
)
def test_faulty_notes(
    run: Callable[..., Done], sensor: Path, tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    (tmp_path / name).write_bytes(content)
    line = run(sensor, "--notes", tmp_path / name, "-o", tmp_path / "out").refused(code)
    assert SECRET not in line and not (tmp_path / "out").exists()


def test_the_repairs_that_the_hints_name_work(run: Callable[..., Done], tmp_path: Path) -> None:
    repairs = [
        (swapped(), ["--sort"], "P-SORT"),
        (text(ROWS)[:-1], ["--tail", "drop"], "P-LAST-LINE"),
        (inserted(41, "4.0,9,9"), ["--dup", "first"], "P-DUP-TIME"),
        (with_row(50, "5.0,NA,2"), ["--na", "NA"], "P-NA"),
        (with_row(50, "5.0,-999,2"), ["--sentinel", "-999"], "P-SENTINEL"),
    ]
    for number, (content, options, code) in enumerate(repairs):
        (tmp_path / "a.csv").write_bytes(content)
        out = tmp_path / f"out{number}"
        done = run(tmp_path / "a.csv", "-o", out, *options)
        assert done.code == 0, (options, done.err)
        assert f"{code} a: " in done.err
        record = json.loads((out / "run.json").read_text())
        assert record["degraded"] is True and record["policies"][code] >= 1


def test_V02_a_repair_that_leaves_nothing_is_refused(run: Callable[..., Done], tmp_path: Path) -> None:
    table(tmp_path / "a.csv", [f"{i},nan" for i in range(9)], "time,a")
    run(tmp_path / "a.csv", "-o", tmp_path / "o", "--on-nan", "gap").refused("E-NO-SAMPLES")


def test_what_is_no_session(run: Callable[..., Done], sensor: Path, tmp_path: Path) -> None:
    run(tmp_path / "none.csv", "-o", tmp_path / "o").refused("E-NO-FILE")
    run(sensor, "--notes", tmp_path / "none.txt", "-o", tmp_path / "o").refused("E-NO-FILE")
    (tmp_path / "empty").mkdir()
    run(tmp_path / "empty", "-o", tmp_path / "o").refused("E-NO-STREAMS")
    assert "Missing" in run(sensor).refused("E-USAGE", 2)
    assert not (tmp_path / "o").exists()

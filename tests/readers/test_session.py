"""Folders and files as one session on one clock; the registry that finds the reader."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from align.clock import ns_from_iso
from align.datatypes import Stream
from align.errors import InputError, ParameterError, ResourceError
from align.readers import (
    READERS,
    Policy,
    check_streams,
    read_session,
    read_stream,
    read_streams,
    registry,
    session_folders,
    session_of,
)
from align.readers.table_heads import time_column_of

NOON = "2026-03-28T12:00:00+01:00"


def sound(path: Path, seconds: float = 10.0, rate: int = 1000) -> Path:
    values = np.random.default_rng(1).uniform(-0.1, 0.1, int(seconds * rate))
    soundfile.write(path, values, rate)
    return path


def table(path: Path, seconds: float = 10.0, start: str | None = None, begin: float = 0.0) -> Path:
    """A 10 Hz table with relative seconds, or with ISO times from ``start``."""
    rows = ["time,acc_x (g),acc_y (g)"]
    for i in range(int(seconds * 10)):
        ms = i * 100
        if start is None:
            time = f"{begin + i / 10:.1f}"
        else:
            minute, second = divmod(ms // 1000, 60)
            time = f"{start[:14]}{minute:02d}:{second:02d}.{ms % 1000:03d}{start[-6:]}"
        rows.append(f"{time},{np.sin(i):.4f},{np.cos(i):.4f}")
    path.write_text("\n".join(rows) + "\n")
    return path


def code(function: object, *arguments: object, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)  # type: ignore[operator]
    return caught.value


def test_a_folder_of_streams_and_notes(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    sound(folder / "mic.wav")
    table(folder / "wrist.csv")
    (folder / "notes.csv").write_text("time,text\n2.5,coughs\n70,later\n")
    (folder / "truth.csv").write_text("start,end,label,text\n2,3,C,coughs\n")
    session = read_session(folder)
    assert session.name == "night"
    assert [(s.name, s.modality, s.rate) for s in session.streams] == [
        ("mic", "audio", 1000.0), ("wrist", "sensor", 10.0)
    ]  # fmt: skip
    assert [(n.text, n.file, n.time and n.time.likely) for n in session.notes] == [
        ("coughs", "notes.csv", 2.5), ("later", "notes.csv", 70.0)
    ]  # fmt: skip
    assert (session.epoch, session.timezone, session.truth) == (None, "", None)


def test_truth_is_read_only_when_it_is_named(tmp_path: Path) -> None:
    sound(tmp_path / "mic.wav")
    (tmp_path / "truth.csv").write_text("this is no truth")
    assert read_session(tmp_path).truth is None
    assert code(read_session, tmp_path, truth_file="truth.csv").code == "E-COLUMNS"
    (tmp_path / "truth.csv").write_text("start,end,label,text\n2,3,C,coughs\n2,4,C,x\n")
    truth = read_session(tmp_path, truth_file="truth.csv").truth
    assert truth is not None
    assert [s.text for s in truth] == ["coughs", "x"]


def test_notes_are_chosen(tmp_path: Path) -> None:
    sound(tmp_path / "mic.wav")
    (tmp_path / "notes_5s.csv").write_text("time,text\n1,a\n")
    without = read_session(tmp_path)
    assert without.notes == ()
    assert [f.code for f in without.findings] == ["W-NO-NOTES"]
    assert "notes_5s.csv" in without.findings[0].message
    assert [n.text for n in read_session(tmp_path, notes_file="notes_5s.csv").notes] == ["a"]
    (tmp_path / "notes.txt").write_text("b\n")
    assert [n.text for n in read_session(tmp_path).notes] == ["b"]
    (tmp_path / "notes.csv").write_text("text\nc\n")
    error = code(read_session, tmp_path)
    assert error.code == "E-NOTES-AMBIGUOUS"
    assert "notes.csv, notes.txt" in error.message
    assert [n.text for n in read_session(tmp_path, notes_file="notes.csv").notes] == ["c"]
    assert code(read_session, tmp_path, notes_file="notes_9s.csv").code == "E-NO-FILE"


@pytest.mark.parametrize("name", ["../notes.csv", "/etc/passwd", "", "..", "a/b.csv"])
def test_S05_notes_and_truth_lie_in_the_folder(tmp_path: Path, name: str) -> None:
    sound(tmp_path / "mic.wav")
    for option in ("notes_file", "truth_file"):
        with pytest.raises(ParameterError):
            read_session(tmp_path, **{option: name})


def test_other_files_are_left_out_and_said(tmp_path: Path) -> None:
    sound(tmp_path / "mic.wav")
    for name in ("README.md", ".hidden.wav", "photo.jpg", "notes_old.wav", "truth_a.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    session = read_session(tmp_path)
    assert [s.name for s in session.streams] == ["mic"]
    assert [(f.code, f.count) for f in session.findings if f.code == "W-IGNORED"] == [("W-IGNORED", 2)]


def test_no_streams(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a\n")
    assert code(read_session, tmp_path).code == "E-NO-STREAMS"
    assert code(session_of, []).code == "E-NO-STREAMS"
    assert code(read_session, tmp_path / "absent").code == "E-NO-FILE"
    assert code(read_session, tmp_path / "notes.txt").code == "E-NO-FILE"


def test_session_folders(tmp_path: Path) -> None:
    for name in ("b", "a", "empty", ".hidden"):
        (tmp_path / name).mkdir()
        if name != "empty":
            sound(tmp_path / name / "mic.wav")
    assert session_folders([tmp_path]) == [tmp_path / "a", tmp_path / "b"]
    assert session_folders([tmp_path / "b", tmp_path]) == [tmp_path / "a", tmp_path / "b"]
    assert code(session_folders, [tmp_path / "empty"]).code == "E-NO-STREAMS"
    assert code(session_folders, [tmp_path / "absent"]).code == "E-NO-FILE"
    assert code(session_folders, [tmp_path / "a" / "mic.wav"]).code == "E-NO-STREAMS"


def test_streams_are_shifted_onto_the_earliest_clock(tmp_path: Path) -> None:
    table(tmp_path / "early.csv", start=NOON)
    table(tmp_path / "late.csv", start=NOON)
    text = (tmp_path / "late.csv").read_text().splitlines()
    (tmp_path / "late.csv").write_text("\n".join([text[0], *text[41:]]) + "\n")  # from second 4
    (tmp_path / "notes.txt").write_text("12:00:05 coughs\naround noon sneezes\n")
    session = read_session(tmp_path)
    assert session.epoch == ns_from_iso(NOON)[0]
    assert session.timezone == "+01:00"
    early, late = session.streams
    assert (early.start, late.start) == (0.0, pytest.approx(4.0))
    assert early.epoch == late.epoch == session.epoch
    times = [n.time for n in session.notes]
    assert times[0] is not None
    assert times[1] is not None
    assert times[0].likely == 5.0
    assert (times[1].earliest, times[1].likely, times[1].latest) == (-1200.0, 0.0, 1200.0)


def test_T14_streams_that_do_not_overlap(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", seconds=10)
    table(tmp_path / "b.csv", seconds=10, begin=500)
    error = code(read_session, tmp_path)
    assert error.code == "E-NO-OVERLAP"
    assert "0 to 10 s" in error.message
    assert "500 to 510 s" in error.message
    assert "-500 s" in error.hint
    table(tmp_path / "b.csv", seconds=10, begin=9.5)
    assert code(read_session, tmp_path).code == "E-NO-OVERLAP"
    table(tmp_path / "b.csv", seconds=10, begin=9)
    assert len(read_session(tmp_path).streams) == 2


def test_T14_a_chain_of_streams_is_one_session(tmp_path: Path) -> None:
    for i, name in enumerate("abc"):
        table(tmp_path / f"{name}.csv", seconds=10, begin=8 * i)
    assert read_session(tmp_path).end == pytest.approx(26.0)


def test_T19_sound_without_a_start_beside_absolute_times(tmp_path: Path) -> None:
    sound(tmp_path / "mic.wav")
    assert read_session(tmp_path).start == 0.0  # alone
    (tmp_path / "notes.csv").write_text("time,text\n5,a\n")
    assert read_session(tmp_path).epoch is None  # beside relative notes
    table(tmp_path / "wrist.csv")
    assert read_session(tmp_path).epoch is None  # beside a relative stream
    (tmp_path / "notes.csv").write_text("time,text\n2026-03-28T12:00:05+01:00,a\n")
    error = code(read_session, tmp_path)
    assert (error.code, error.where["file"]) == ("E-NO-START", tmp_path / "mic.wav")
    (tmp_path / "wrist.csv").unlink()
    assert code(read_session, tmp_path).code == "E-NO-START"
    session = read_session(tmp_path, policy=Policy(start=NOON))
    assert session.epoch == ns_from_iso(NOON)[0]
    assert session.timezone == "+01:00"
    assert session.notes[0].time is not None
    assert session.notes[0].time.likely == 5.0
    (tmp_path / "notes.csv").unlink()
    table(tmp_path / "wrist.csv", start=NOON)
    assert code(read_session, tmp_path).code == "E-NO-START"
    assert len(read_session(tmp_path, policy=Policy(start=NOON)).streams) == 2


def test_relative_times_beside_absolute_ones(tmp_path: Path) -> None:
    table(tmp_path / "a.csv", start=NOON)
    table(tmp_path / "b.csv")
    error = code(read_session, tmp_path)
    assert (error.code, error.where["file"]) == ("E-CLOCK-MIXED", tmp_path / "b.csv")


def test_absolute_notes_beside_relative_sensors_are_untimed(tmp_path: Path) -> None:
    table(tmp_path / "a.csv")
    (tmp_path / "notes.csv").write_text("time,text\n2026-03-28T12:00:05Z,a\n")
    session = read_session(tmp_path)
    assert session.notes[0].time is None
    assert [f.code for f in session.findings] == ["W-NOTE-CLOCK"]


def test_local_times_without_a_zone_say_that_they_are_utc(tmp_path: Path) -> None:
    sound(tmp_path / "mic.wav")
    (tmp_path / "notes.txt").write_text("12:00:05 coughs\n")
    session = read_session(tmp_path, policy=Policy(start="2026-03-28T12:00:00"))
    assert session.notes[0].time is not None
    assert session.notes[0].time.likely == 5.0
    assert "W-TZ" in [f.code for f in session.findings]
    berlin = read_session(tmp_path, policy=Policy(start="2026-03-28T12:00:00", tz="Europe/Berlin"))
    assert berlin.notes[0].time == session.notes[0].time
    assert berlin.timezone == "+01:00"
    assert berlin.findings == ()


def test_names_are_distinct(tmp_path: Path) -> None:
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
        sound(tmp_path / folder / "mic.wav")
    sound(tmp_path / "mic.flac")
    files = [tmp_path / "left" / "mic.wav", tmp_path / "right" / "mic.wav", tmp_path / "mic.flac"]
    assert [s.name for s in session_of(files).streams] == ["left/mic.wav", "right/mic.wav", "mic.flac"]
    assert [s.name for s in session_of(files[1:]).streams] == ["mic.wav", "mic.flac"]
    assert len({s.name for s in session_of([files[0], files[0]]).streams}) == 2


def test_files_given_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "remarks.md").write_text("at 2 s he coughs\n")
    session = session_of([sound(tmp_path / "mic.wav")], tmp_path / "remarks.md")
    assert session.name == "mic"
    assert session.notes[0].time is not None
    assert session.notes[0].time.likely == 2.0


def test_read_stream_by_name(tmp_path: Path) -> None:
    path = sound(tmp_path / "mic.wav")
    assert read_stream(path, name="mic").name == "mic"
    with pytest.raises(ParameterError, match="mic"):
        read_stream(path, name="wrist")


def test_every_kind_has_a_reader_that_exists() -> None:
    import importlib

    for entry in {*READERS.values(), *registry.CHECKERS.values()}:
        module, function = entry.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_F09_a_kind_without_reader(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some text\n")
    assert code(read_streams, tmp_path / "a.txt").code == "E-FORMAT"


def test_another_package_adds_a_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.xyz").write_bytes(b"anything")
    point = EntryPoint(name=".xyz", value="test_plugin_xyz:read", group="align.readers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    import sys
    import types

    plugin = types.ModuleType("test_plugin_xyz")
    plugin.read = lambda path, policy: (Stream(np.ones(5), 1.0, path.stem),)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "test_plugin_xyz", plugin)
    registry._added.cache_clear()
    try:
        assert [s.name for s in read_session(tmp_path).streams] == ["a"]
    finally:
        registry._added.cache_clear()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_X_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "mic.wav")
    path.chmod(0)
    with pytest.raises(ResourceError):
        read_streams(path)


def test_X_a_permission_error_is_a_resource_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sound(tmp_path / "mic.wav")

    def refused(*arguments: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("align.readers.audio.read_audio", refused)
    with pytest.raises(ResourceError) as caught:
        read_streams(path)
    assert (caught.value.code, caught.value.exit_code) == ("E-PERMISSION", 5)


def test_check_of_a_table(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv")
    check_streams(path)
    assert time_column_of(path, Policy()) == "time"
    path.write_text(path.read_text().replace("0.3,", "0.3,x", 1))
    assert code(check_streams, path).code == "E-NUMBER"
    path.write_text("when_it_was,x\n1,2\n2,3\n")
    assert code(check_streams, path).code == "E-NO-TIME"
    pl.DataFrame({"timestamp_ms": [1, 2, 3], "x": [1.0, 2.0, 3.0]}).write_parquet(tmp_path / "b.parquet")
    check_streams(tmp_path / "b.parquet")
    assert time_column_of(tmp_path / "b.parquet", Policy()) == "timestamp_ms"
    (tmp_path / "b.parquet").write_bytes((tmp_path / "b.parquet").read_bytes()[:-5])
    assert code(check_streams, tmp_path / "b.parquet").code == "E-TRUNCATED"
    (tmp_path / "c.jsonl").write_text('{"t": 1, "x": 2}\n{"t": 2, "x": 3}\n{"t": 3, "x": 3}\n')
    check_streams(tmp_path / "c.jsonl")
    assert time_column_of(tmp_path / "c.jsonl", Policy()) == "t"
    assert time_column_of(sound(tmp_path / "d.wav"), Policy()) is None


def test_check_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sound(tmp_path / "mic.wav")
    monkeypatch.setattr("align.readers.audio._decode", None)
    check_streams(path)
    path.write_bytes(path.read_bytes()[:-3])
    assert code(check_streams, path).code == "E-TRUNCATED"


@pytest.mark.data
def test_real_sessions(data_dir: Path) -> None:
    hapt = read_session(data_dir / "hapt" / "user01_exp01", notes_file="notes_5s.csv", truth_file="truth.csv")
    assert (hapt.streams[0].rate, hapt.streams[0].n_channels, hapt.epoch) == (50.0, 6, None)
    assert hapt.truth is not None
    assert len(hapt.notes) == len(hapt.truth)
    tug = read_session(data_dir / "tug" / "s01_01", notes_file="notes_1s.csv")
    assert [s.name for s in tug.streams] == ["phone", "watch"]
    assert min(s.start for s in tug.streams) == pytest.approx(0.0, abs=0.02)
    assert len(session_folders([data_dir / "digits", data_dir / "sounds"])) == 78

"""``align run`` from the outside: what it writes, says and refuses."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from align.readers import read_notes
from pipelines.store import RUN_FILES
from tests.cli.recordings import SAMPLES, Done, answers, note_file, record, table

Run = Callable[..., Done]
HOSTILE = [
    "\U0001f600 emoji \U0001f469\u200d\U0001f467",
    "\u05e9\u05dc\u05d5\u05dd right to left",
    "e\u0301 and \u00e9",
    "\u202ebidi override",
    "NUL \x00 ESC \x1b[31m",
    "\x0c form feed \x1c \x85 \u2028 separators",
    "\ud800 lone",
    'tab\tand ,"quote"\nand a line',
    "=cmd|'/C calc'!A0",
    "<script>alert(1)</script>",
]


@pytest.fixture(scope="module")
def learned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of ``align run sample_data/p5 --model``."""
    from cli.main import main

    out = tmp_path_factory.mktemp("run") / "out"
    assert main(["run", str(SAMPLES / "p5"), "-o", str(out), "--model", str(tiny_model)]) == 0
    return out


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A sample session without its sound: quick to read."""
    folder = tmp_path / "quick"
    folder.mkdir()
    for name in ("wrist.csv", "heart.csv", "notes.csv", "notes_untimed.txt"):
        shutil.copy(SAMPLES / "p5" / name, folder)
    return folder


def test_a_run_writes_exactly_the_six_files_readable_for_the_owner_alone(learned: Path) -> None:
    assert {p.name for p in learned.iterdir()} == set(RUN_FILES)
    assert stat.S_IMODE(learned.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in learned.iterdir()} == {0o600}


def test_P15_one_row_per_note_in_the_order_written(learned: Path) -> None:
    notes = read_notes(SAMPLES / "p5" / "notes.csv")
    rows = answers(learned)
    assert [row["text"] for row in rows] == [note.text for note in notes]
    assert [row["note"] for row in rows] == list(range(len(notes)))
    assert [row["source"] for row in rows] == [{"file": "notes.csv", "line": n.line} for n in notes]
    assert {row["method"] for row in rows} == {"contrastive"}
    placed = [row for row in rows if row["start"] is not None]
    assert placed and all(0 <= row["start"] < row["end"] <= 110 for row in placed)
    assert {tuple(row["stream"]) for row in placed} == {("heart", "microphone", "wrist")}


def test_the_tables_say_what_the_lines_say(learned: Path) -> None:
    rows = answers(learned)
    frame = pl.read_parquet(learned / "alignment.parquet")
    assert frame["text"].to_list() == [row["text"] for row in rows]
    assert frame["status"].to_list() == [row["status"] for row in rows]
    assert frame["start"].to_list() == [row["start"] for row in rows]
    segments = pl.read_parquet(learned / "segments.parquet")
    tokens = pl.read_parquet(learned / "tokens.parquet")
    assert set(segments["stream"]) == set(tokens["stream"]) == {"wrist", "heart", "microphone"}
    assert segments.height == tokens.height > 10
    assert (segments["end"] > segments["start"]).all()


def test_P23_the_record_names_every_input_by_its_hash(learned: Path, tiny_model: Path) -> None:
    found = record(learned)
    inputs = {(entry["role"], Path(entry["file"]).name): entry for entry in found["inputs"]}
    model = [("model", name) for name in ("model.json", "model.safetensors", "train.json", "training.jsonl")]
    streams = [("stream", name) for name in ("heart.csv", "microphone.flac", "wrist.csv")]
    assert set(inputs) == {*streams, ("notes", "notes.csv"), *model}, "and no truth"
    for entry in inputs.values():
        raw = Path(entry["file"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert found["command"][:2] == ["align", "run"]
    assert found["command"][-2:] == ["--model", str(tiny_model)]
    assert (found["method"], found["seed"], found["degraded"]) == ("contrastive", 0, False)
    assert {"alignment", "segments", "baselines"} == set(found["timings_s"])


def test_stdout_holds_paths_and_nothing_else(run: Run, quick: Path, tmp_path: Path) -> None:
    done = run(quick, "-o", tmp_path / "out")
    assert done.code == 0
    assert done.out.splitlines() == [str(tmp_path / "out" / n) for n in ("alignment.jsonl", "report.html")]
    last = done.err.splitlines()[-1]
    counts = [int(word) for word in last.replace(":", "").split() if word.isdigit()]
    rows = answers(tmp_path / "out")
    assert counts[0] == len(rows) == sum(counts[1:])
    assert any(line.startswith("W-GAP heart: ") for line in done.err.splitlines()), "which stream it was"


def test_a_run_refuses_to_overwrite_and_takes_force(run: Run, sensor: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(sensor, "-o", out).code == 0
    (out / "mine.txt").write_text("kept")
    before = (out / "alignment.jsonl").read_bytes()
    assert "--force" in run(sensor, "-o", out).refused("E-EXISTS", 7)
    assert run(sensor, "-o", out, "--force").code == 0
    assert (out / "alignment.jsonl").read_bytes() == before
    assert (out / "mine.txt").read_text() == "kept"
    run(sensor, "-o", sensor).refused("E-EXISTS", 7)


def test_the_same_run_twice_gives_the_same_bytes(
    run: Run, quick: Path, tiny_model: Path, tmp_path: Path
) -> None:
    outs = [tmp_path / name for name in ("a", "b")]
    for out in outs:
        assert run(quick, "-o", out, "--model", tiny_model).code == 0
    for name in set(RUN_FILES) - {"run.json"}:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes(), name


@pytest.mark.parametrize(
    ("method", "order"),
    [
        ("auto", "monotone"),
        ("auto", "free"),
        ("dtw", "monotone"),
        ("equal-slices", "monotone"),
        ("captions", "free"),
    ],
)
@pytest.mark.parametrize("with_model", [False, True])
def test_every_method_answers_every_note(
    run: Run, quick: Path, tiny_model: Path, tmp_path: Path, method: str, order: str, with_model: bool
) -> None:
    out, model = tmp_path / "out", ["--model", tiny_model] if with_model else []
    done = run(quick, "-o", out, "--method", method, "--order", order, *model)
    assert done.code == 0, done.err
    rows = answers(out)
    assert len(rows) == len(read_notes(quick / "notes.csv"))
    used = {"auto": "contrastive" if with_model else "captions"}.get(method, method)
    assert {row["method"] for row in rows} == {used} == {record(out)["method"]}
    starts = [row["start"] for row in rows if row["start"] is not None]
    if order == "monotone":
        assert starts == sorted(starts)


def test_a_method_that_is_not_there(run: Run, sensor: Path, tmp_path: Path) -> None:
    assert "equal-slices" in run(sensor, "-o", tmp_path / "o", "--method", "x").refused("E-PARAM", 2)
    run(sensor, "-o", tmp_path / "o", "--method", "contrastive").refused("E-PARAM", 2)
    assert not (tmp_path / "o").exists()


def test_files_with_notes_are_a_session_too(run: Run, quick: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(quick / "wrist.csv", quick / "heart.csv", "--notes", quick / "notes_untimed.txt", "-o", out)
    assert done.code == 0
    assert [r["source"]["line"] for r in answers(out)] == list(range(1, 12))
    roles = [(e["role"], Path(e["file"]).name) for e in record(out)["inputs"]]
    assert roles == [("stream", "wrist.csv"), ("stream", "heart.csv"), ("notes", "notes_untimed.txt")]


def test_the_notes_of_a_folder_are_chosen_by_name_or_come_from_elsewhere(
    run: Run, quick: Path, tmp_path: Path
) -> None:
    assert run(quick, "--notes", "notes_untimed.txt", "-o", tmp_path / "a").code == 0
    assert answers(tmp_path / "a")[0]["source"]["file"] == "notes_untimed.txt"
    (quick / "remarks.csv").write_bytes((quick / "notes.csv").read_bytes())
    assert run(quick, "--notes", "remarks.csv", "-o", tmp_path / "r").code == 0, "no stream, being the notes"
    (quick / "remarks.csv").unlink()
    other = note_file(tmp_path / "other.csv", [("20", "washed hands")])
    assert run(quick, "--notes", other, "-o", tmp_path / "b").code == 0
    assert [row["text"] for row in answers(tmp_path / "b")] == ["washed hands"]
    assert "one session folder" in run(quick, quick, "-o", tmp_path / "c").refused("E-PARAM", 2)


def test_settings_of_the_file_are_obeyed(run: Run, sensor: Path, tmp_path: Path) -> None:
    counts = {}
    for name, text in (("few", "per_hour = 200.0"), ("many", "per_hour = 1500.0"), ("one", "penalty = 1e9")):
        file = tmp_path / f"{name}.toml"
        file.write_text(f"[segmentation]\n{text}\n[tokens]\nn_codes = 2\n")
        assert run(sensor, "-o", tmp_path / name, "--config", file).code == 0
        counts[name] = pl.read_parquet(tmp_path / name / "segments.parquet").height
        assert set(pl.read_parquet(tmp_path / name / "tokens.parquet")["code"]) <= {0, 1}
        assert record(tmp_path / name)["config"]["tokens.n_codes"] == {"value": 2, "source": "file"}
    assert counts["one"] == 1 < counts["few"] < counts["many"]
    file.write_text('[segmentation]\nmethod = "magic"\n')
    assert "l2" in run(sensor, "-o", tmp_path / "x", "--config", file).refused("E-PARAM", 2)


# --- notes


def test_N01_an_empty_note_is_kept_counted_and_not_aligned(run: Run, sensor: Path, tmp_path: Path) -> None:
    notes = note_file(tmp_path / "n.csv", [("5", "gas flow rises"), ("6", ""), ("7", " \u200b ")])
    done = run(sensor, "--notes", notes, "-o", tmp_path / "out")
    assert [row["status"] for row in answers(tmp_path / "out")][1:] == ["empty", "empty"]
    assert "2 without text" in done.err


def test_N02_no_notes_still_delivers_the_segments(run: Run, sensor: Path, tmp_path: Path) -> None:
    header = table(tmp_path / "n.csv", [], "time,text")
    for name, arguments in (("a", []), ("b", ["--notes", header])):
        out = tmp_path / name
        done = run(sensor, *arguments, "-o", out)
        assert done.code == 0 and "No notes" in done.err
        assert (out / "alignment.jsonl").read_bytes() == b""
        assert pl.read_parquet(out / "segments.parquet").height > 1
        assert pl.read_parquet(out / "tokens.parquet").height > 1
        assert "no notes" in (out / "report.html").read_text().lower()
        assert record(out)["command"][:3] == ["align", "run", str(sensor)]


def test_N02_one_note(run: Run, sensor: Path, tmp_path: Path) -> None:
    notes = note_file(tmp_path / "n.csv", [("", "gas flow goes up and stays high")])
    assert run(sensor, "--notes", notes, "-o", tmp_path / "out").code == 0
    (row,) = answers(tmp_path / "out")
    assert row["status"] in ("aligned", "ambiguous") and row["end"] > 20.0


def test_N03_notes_outside_are_said_with_their_distance(run: Run, sensor: Path, tmp_path: Path) -> None:
    notes = note_file(tmp_path / "n.csv", [("-100", "before"), ("5", "gas flow"), ("500", "after")])
    done = run(sensor, "--notes", notes, "-o", tmp_path / "out")
    before, _, after = answers(tmp_path / "out")
    assert (before["status"], before["distance_s"], before["start"]) == ("outside", -100.0, None)
    assert (after["status"], after["distance_s"], after["end"]) == ("outside", 460.0, None)
    assert "2 outside the recording" in done.err


def test_N04_duplicates_keep_their_rows(run: Run, sensor: Path, tmp_path: Path) -> None:
    notes = note_file(tmp_path / "n.csv", [("20", "same"), ("20", "same"), ("10", "same")])
    assert run(sensor, "--notes", notes, "-o", tmp_path / "out").code == 0
    rows = answers(tmp_path / "out")
    assert [(row["text"], row["source"]["line"]) for row in rows] == [("same", 2), ("same", 3), ("same", 4)]


def test_N05_untimed_and_date_only_notes_are_placed_by_content(
    run: Run, sensor: Path, tmp_path: Path
) -> None:
    notes = note_file(tmp_path / "n.csv", [("", "gas flow falls"), ("2026-03-28", "gas flow rises")])
    assert run(sensor, "--notes", notes, "-o", tmp_path / "out").code == 0
    assert not {row["status"] for row in answers(tmp_path / "out")} & {"outside", "empty"}


def test_N05_a_time_that_disagrees_is_said(run: Run, tmp_path: Path) -> None:
    rows = [f"2026-03-28T{10 + i // 60}:{i % 60:02d}:00Z,{i % 7}" for i in range(180)]
    notes = note_file(tmp_path / "n.csv", [("10:05", "at 12:40 dizzy")])
    done = run(table(tmp_path / "a.csv", rows), "--notes", notes, "-o", tmp_path / "out")
    assert "W-NOTE-TIME" in done.err and "dizzy" not in done.err
    assert "W-NOTE-TIME" in {f["code"] for f in record(tmp_path / "out")["findings"]}


def test_N06_hostile_text_comes_back_code_point_for_code_point(
    run: Run, sensor: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.jsonl"
    notes.write_text("".join(json.dumps({"time": 5, "text": text}) + "\n" for text in HOSTILE), "ascii")
    done = run(sensor, "--notes", notes, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    raw = (tmp_path / "out" / "alignment.jsonl").read_bytes()
    assert [row["text"] for row in answers(tmp_path / "out")] == HOSTILE
    assert raw.count(b"\n") == len(HOSTILE) == len(raw.decode("utf-8").splitlines()), "one note, one line"
    assert b"\x1b" not in raw and b"\x00" not in raw
    assert "<script>alert" not in (tmp_path / "out" / "report.html").read_text()


# --- recordings


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 8, 20])
def test_T16_tiny_recordings_run(run: Run, tmp_path: Path, samples: int) -> None:
    small = table(tmp_path / "small.csv", [f"{i / 2},{i % 3}" for i in range(samples)])
    notes = note_file(tmp_path / "n.csv", [("0", "one"), ("", "two"), ("", "three")])
    for name, arguments in (("a", []), ("b", ["--notes", notes])):
        done = run(small, *arguments, "-o", tmp_path / name)
        assert done.code == 0, done.err
        assert pl.read_parquet(tmp_path / name / "segments.parquet").height >= 1
    assert len(answers(tmp_path / "b")) == 3


@pytest.mark.parametrize("samples", [1, 2, 100, 2000])
def test_T16_tiny_sounds_run_or_say_why_not(run: Run, tmp_path: Path, samples: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, samples), 8000)
    notes = note_file(tmp_path / "n.csv", [("", "one"), ("", "two")])
    done = run(tmp_path / "a.wav", "--notes", notes, "-o", tmp_path / "out")
    if done.code == 0:
        assert len(answers(tmp_path / "out")) == 2
    else:
        done.refused("E-NO-FRAMES")
        assert not (tmp_path / "out").exists()


def test_T19_sound_without_a_start_beside_absolute_times(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    soundfile.write(folder / "mic.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 80_000), 8000)
    table(folder / "wrist.csv", [f"2026-03-28T10:00:{i:02d}+01:00,{i % 7}" for i in range(20)])
    assert "--start" in run(folder, "-o", tmp_path / "out").refused("E-NO-START")
    start = "2026-03-28T10:00:05+01:00"
    assert run(folder, "-o", tmp_path / "out", "--start", start).code == 0


def test_V03_a_constant_channel_is_one_segment(run: Run, tmp_path: Path) -> None:
    flat = table(tmp_path / "flat.csv", [f"{i / 10:.1f},1.5,2" for i in range(300)], "time,x,y")
    notes = note_file(tmp_path / "n.csv", [("5", "something")])
    assert run(flat, "-o", tmp_path / "a").code == run(flat, "--notes", notes, "-o", tmp_path / "b").code == 0
    for name in ("a", "b"):
        (row,) = pl.read_parquet(tmp_path / name / "segments.parquet").rows(named=True)
        assert (row["start"], row["end"]) == (0.0, 30.0)


def test_V01_a_repair_is_counted_and_makes_the_run_degraded(run: Run, tmp_path: Path) -> None:
    cells = ["nan" if 100 <= i < 120 else str(i % 7) for i in range(300)]
    bad = table(tmp_path / "bad.csv", [f"{i / 10:.1f},{c}" for i, c in enumerate(cells)])
    assert "--on-nan gap" in run(bad, "-o", tmp_path / "out").refused("E-NONFINITE")
    assert not (tmp_path / "out").exists()
    done = run(bad, "-o", tmp_path / "out", "--on-nan", "gap")
    assert done.code == 0 and "P-NAN" in done.err
    found = record(tmp_path / "out")
    assert found["degraded"] is True and found["policies"]["P-NAN"] == 20
    segments = pl.read_parquet(tmp_path / "out" / "segments.parquet")
    assert not ((segments["start"] < 10.0) & (segments["end"] > 12.0)).any(), "no segment crosses the gap"


def test_T03_a_gap_stays_a_gap(run: Run, tmp_path: Path) -> None:
    times = [i / 10 for i in range(200)] + [100 + i / 10 for i in range(200)]
    notes = note_file(tmp_path / "n.csv", [("", "low"), ("", "high"), ("", "falls")])
    done = run(table(tmp_path / "a.csv", [f"{t:.1f},{i % 9}" for i, t in enumerate(times)]),
               "--notes", notes, "-o", tmp_path / "out")  # fmt: skip
    assert done.code == 0 and "W-GAP a: 1 gap" in done.err
    segments = pl.read_parquet(tmp_path / "out" / "segments.parquet")
    assert not ((segments["start"] < 20.0) & (segments["end"] > 20.0)).any()
    for row in answers(tmp_path / "out"):
        if row["start"] is not None:
            assert row["end"] <= 20.1 or row["start"] >= 99.9, "no span crosses the gap"


def test_an_absolute_clock_gives_times_with_the_written_offset(run: Run, tmp_path: Path) -> None:
    assert run(SAMPLES / "day_p7", "-o", tmp_path / "out").code == 0
    rows = answers(tmp_path / "out")
    assert all((row["start_time"] is None) == (row["start"] is None) for row in rows)
    placed = [row for row in rows if row["start"] is not None]
    assert placed
    for row in placed:
        assert row["start_time"].startswith("2026-03-28T") and row["start_time"].endswith("+01:00")
        hour, minute, second = (float(part) for part in row["start_time"][11:23].split(":"))
        assert hour * 3600 + minute * 60 + second - 8 * 3600 == pytest.approx(row["start"], abs=1e-3)
    assert record(tmp_path / "out")["timezone"] == "+01:00"


# --- models


def test_a_session_that_the_model_does_not_know(
    run: Run, sensor: Path, tiny_model: Path, tmp_path: Path
) -> None:
    two = [sensor, shutil.copy(sensor, tmp_path / "second.csv")]
    line = run(*two, "-o", tmp_path / "o", "--model", tiny_model).refused("E-MODEL-STREAMS")
    assert "wrist" in line and "second" in line
    shutil.copy(sensor, tmp_path / "wrist.csv")
    line = run(tmp_path / "wrist.csv", "-o", tmp_path / "o", "--model", tiny_model).refused(
        "E-MODEL-CHANNELS"
    )
    assert "'wrist'" in line
    assert not (tmp_path / "o").exists()


def test_M01_a_pickle_is_refused_and_never_opened(run: Run, sensor: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    for name in ("model.pt", "model.pkl", "model.joblib"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap()))
        run(sensor, "-o", tmp_path / "o", "--model", tmp_path / name).refused("E-UNSAFE-FORMAT", 7)
    assert not (tmp_path / "sprung").exists() and not (tmp_path / "o").exists()


def test_M02_a_flipped_bit_in_the_model_is_found(
    run: Run, sensor: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    run(sensor, "-o", tmp_path / "o", "--model", folder).refused("E-CHECKSUM")
    run(sensor, "-o", tmp_path / "o", "--model", tmp_path / "none").refused("E-NO-FILE")


def test_S12_note_text_is_in_the_answer_and_the_report_alone(
    run: Run, quick: Path, tiny_model: Path, tmp_path: Path
) -> None:
    canary = "zanzibarquince"
    note_file(quick / "notes.csv", [("20", f"{canary} washed hands"), ("", f"felt {canary}")])
    done = run(quick, "-o", tmp_path / "out", "--model", tiny_model)
    assert done.code == 0 and canary not in done.out + done.err
    holding = {p.name for p in (tmp_path / "out").iterdir() if canary.encode() in p.read_bytes()}
    assert holding <= {"alignment.jsonl", "alignment.parquet", "report.html"}
    assert {"alignment.jsonl", "report.html"} <= holding

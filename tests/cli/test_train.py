"""``align train`` from the outside: what it opens, writes and refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cli.recordings import SAMPLES, Done, note_file, record, table

Train = Callable[..., Done]
CANARY = "zanzibarquince"
MODEL = {"model.safetensors", "model.json", "train.json", "training.jsonl"}


@pytest.fixture
def train(align: Callable[..., Done]) -> Train:
    """``align train`` with few passes and the text encoder that loads at once."""
    quick = ("--epochs", "2", "--encoder", "hashed", "--device", "cpu")
    return lambda *arguments: align("train", *quick, *arguments)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """A folder of two small sessions: notes with times, a canary in each, and a truth that is no table."""
    for number in (1, 2):
        folder = tmp_path / "people" / f"q{number}"
        folder.mkdir(parents=True)
        rows = [f"{i / 10:.1f},{i % 5 + 30 * (200 <= i < 300 + 20 * number)}" for i in range(600)]
        table(folder / "sensor.csv", rows)
        note_file(folder / "notes.csv", [("10", f"low {CANARY}"), ("25", "high"), ("", f"{CANARY} gone")])
        (folder / "truth.csv").write_bytes(b"\x00 no table at all")
    return tmp_path / "people"


def with_truth(folder: Path) -> None:
    for session in folder.iterdir():
        rows = [f"0,19,LOW,low {CANARY}", "20,30,HIGH,high", f"35,60,LOW,{CANARY} gone"]
        table(session / "truth.csv", rows, "start,end,label,text")


def test_the_model_folder_holds_four_files_and_no_note_text(
    train: Train, sessions: Path, tmp_path: Path
) -> None:
    with_truth(sessions)
    out = tmp_path / "model"
    done = train(sessions, "-o", out, "--truth-file", "truth.csv")
    assert (done.code, done.out) == (0, f"{out}\n")
    assert "learned from true spans of 2 sessions" in done.err
    assert {p.name for p in out.iterdir()} == MODEL
    for file in out.iterdir():
        assert CANARY.encode() not in file.read_bytes(), file.name
    assert CANARY not in done.err
    roles = {(e["role"], Path(e["file"]).name) for e in record(out, "train.json")["inputs"]}
    assert roles == {("stream", "sensor.csv"), ("notes", "notes.csv"), ("truth", "truth.csv")}


def test_truth_is_never_opened_unless_it_is_named(train: Train, sessions: Path, tmp_path: Path) -> None:
    assert train(sessions, "-o", tmp_path / "a").code == 0, "a truth that is no table does not matter"
    found = record(tmp_path / "a", "train.json")
    assert "truth" not in {entry["role"] for entry in found["inputs"]}
    assert "--truth-file" not in found["command"]
    for session in sessions.iterdir():
        (session / "truth.csv").unlink()
    assert train(sessions, "-o", tmp_path / "b").code == 0
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    train(sessions, "-o", tmp_path / "c", "--truth-file", "truth.csv").refused("E-NO-FILE")


def test_a_broken_truth_that_is_named_is_refused(train: Train, sessions: Path, tmp_path: Path) -> None:
    done = train(sessions, "-o", tmp_path / "m", "--truth-file", "truth.csv")
    assert done.code == 3 and done.err.count("\n") == 1 and "truth.csv" in done.err
    assert not (tmp_path / "m").exists()


def test_P10_the_same_seed_gives_the_same_model(train: Train, sessions: Path, tmp_path: Path) -> None:
    with_truth(sessions)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert train(sessions, "-o", tmp_path / name, "--truth-file", "truth.csv", "--seed", seed).code == 0
    digests = {
        n: hashlib.sha256((tmp_path / n / "model.safetensors").read_bytes()).hexdigest() for n in "abc"
    }
    assert digests["a"] == digests["b"] != digests["c"]
    assert record(tmp_path / "c", "train.json")["seed"] == 4


def test_the_notes_without_times_teach_by_their_order(train: Train, sessions: Path, tmp_path: Path) -> None:
    for session in sessions.iterdir():
        (session / "untimed.txt").write_text("low\nhigh\nlow\n")
    done = train(sessions, "-o", tmp_path / "m", "--notes-file", "untimed.txt")
    assert done.code == 0 and "learned from notes of 2 sessions" in done.err
    roles = {Path(e["file"]).name for e in record(tmp_path / "m", "train.json")["inputs"]}
    assert roles == {"sensor.csv", "untimed.txt"}


def test_N02_too_few_pairs(train: Train, sensor: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    shutil.copy(sensor, folder)
    train(folder, "-o", tmp_path / "m").refused("E-TOO-FEW-PAIRS")
    note_file(folder / "notes.csv", [("1", "same"), ("2", "same")])
    train(folder, "-o", tmp_path / "m").refused("E-TOO-FEW-PAIRS")
    assert not (tmp_path / "m").exists()


def test_a_repair_is_counted_in_the_record_of_the_training(
    train: Train, sessions: Path, tmp_path: Path
) -> None:
    for session in sessions.iterdir():
        file = session / "sensor.csv"
        file.write_text(file.read_text().replace("\n5.0,0\n", "\n5.0,nan\n"))
    train(sessions, "-o", tmp_path / "m").refused("E-NONFINITE")
    assert train(sessions, "-o", tmp_path / "m", "--on-nan", "gap").code == 0
    found = record(tmp_path / "m", "train.json")
    assert found["degraded"] is True and found["policies"] == {"P-NAN": 2}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_M08_cuda_where_there_is_none(train: Train, sessions: Path, tmp_path: Path) -> None:
    line = train(sessions, "-o", tmp_path / "m", "--device", "cuda").refused("E-DEVICE", 5)
    assert "--device cpu" in line and not (tmp_path / "m").exists()
    train(sessions, "-o", tmp_path / "m", "--device", "abacus").refused("E-PARAM", 2)


def test_a_model_is_not_overwritten_without_force(train: Train, sessions: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    assert train(sessions, "-o", out).code == 0
    train(sessions, "-o", out).refused("E-EXISTS", 7)
    assert train(sessions, "-o", out, "--force", "--seed", 5).code == 0
    assert record(out, "train.json")["seed"] == 5


def test_presets_and_options_reach_the_model(train: Train, sessions: Path, tmp_path: Path) -> None:
    with_truth(sessions)
    assert train(sessions, "-o", tmp_path / "m", "--truth-file", "truth.csv", "--preset", "small").code == 0
    config = record(tmp_path / "m", "train.json")["config"]
    assert config["training.width"] == {"value": 48, "source": "preset small"}
    assert config["training.epochs"] == {"value": 2, "source": "option"}
    assert "small" in train(sessions, "-o", tmp_path / "n", "--preset", "huge").refused("E-PARAM", 2)


def test_sessions_that_differ_in_channels_and_none_at_all(
    train: Train, sessions: Path, tmp_path: Path
) -> None:
    other = sessions / "q1" / "sensor.csv"
    other.write_text(other.read_text().replace("gas flow", "light"))
    done = train(sessions, "-o", tmp_path / "m")  # each lacks what the other has, which is said
    assert done.code == 0 and "W-MODEL-CHANNELS" in done.err and "light" in done.err
    assert "W-MODEL-CHANNELS" in (tmp_path / "m" / "train.json").read_text()
    train(SAMPLES / "none", "-o", tmp_path / "n").refused("E-NO-FILE")


def test_a_training_starts_from_another_model(train: Train, sessions: Path, tmp_path: Path) -> None:
    with_truth(sessions)
    told = (sessions, "--truth-file", "truth.csv", "--preset", "small")
    assert train(*told, "-o", tmp_path / "first").code == 0
    assert train(*told, "-o", tmp_path / "same").code == 0
    assert train(*told, "-o", tmp_path / "second", "--start-from", tmp_path / "first").code == 0
    weights = [(tmp_path / m / "model.safetensors").read_bytes() for m in ("first", "same", "second")]
    assert weights[0] == weights[1] != weights[2]
    assert "--start-from" in " ".join(record(tmp_path / "second", "train.json")["command"])
    train(sessions, "-o", tmp_path / "wide", "--start-from", tmp_path / "first").refused("E-PARAM", 2)
    train(*told, "-o", tmp_path / "none", "--start-from", tmp_path / "nowhere").refused("E-NO-FILE")


# --- interrupted trainings


def model_bytes(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("model.safetensors", "model.json")]


def test_M06_X07_killed_at_any_step_and_resumed_gives_the_same_model(
    train: Train, sessions: Path, tmp_path: Path
) -> None:
    with_truth(sessions)
    given = ["--truth-file", "truth.csv", "--epochs", "60", "--checkpoint-every", "1"]
    assert train(sessions, "-o", tmp_path / "whole", *given).code == 0
    out = tmp_path / "killed"
    program = "import sys; from cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "train", str(sessions), "-o", str(out), *given]
    command += ["--encoder", "hashed", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = int(np.random.default_rng().integers(2, 50))
    log = out / "training.jsonl"  # of every epoch, so that a checkpoint is there from the second line on
    while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < after):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "model.json").exists(), "it was killed too late to show anything"
    train(sessions, "-o", out, *given).refused("E-EXISTS", 7)
    train(sessions, "-o", out, *given, "--resume", "--seed", 4).refused("E-CHECKPOINT")
    assert train(sessions, "-o", out, *given, "--resume").code == 0
    assert model_bytes(out) == model_bytes(tmp_path / "whole")
    assert {p.name for p in out.iterdir()} == MODEL
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 61))
    train(sessions, "-o", out, *given, "--resume").refused("E-EXISTS", 7)


def test_resume_with_nothing_to_resume_begins(train: Train, sessions: Path, tmp_path: Path) -> None:
    done = train(sessions, "-o", tmp_path / "m", "--resume")
    assert done.code == 0 and {p.name for p in (tmp_path / "m").iterdir()} == MODEL
    foreign = tmp_path / "other"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    train(sessions, "-o", foreign, "--resume").refused("E-EXISTS", 7)
    assert (foreign / "thesis.txt").read_text() == "mine"


def test_every_epoch_is_a_line_on_stderr_off_a_terminal(train: Train, sessions: Path, tmp_path: Path) -> None:
    with_truth(sessions)
    done = train(sessions, "-o", tmp_path / "m", "--truth-file", "truth.csv")
    assert [line.split(":")[0] for line in done.err.splitlines()[:2]] == ["final 1/2", "final 2/2"]


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_tensorboard_where_it_is_not_installed(train: Train, sessions: Path, tmp_path: Path) -> None:
    line = train(sessions, "-o", tmp_path / "m", "--tensorboard", tmp_path / "t").refused("E-EXTRA", 5)
    assert "pip install tensorboard" in line and not (tmp_path / "m").exists()


def test_models_card(align: Callable[..., Done], train: Train, sessions: Path, tmp_path: Path) -> None:
    with_truth(sessions)
    assert train(sessions, "-o", tmp_path / "m", "--truth-file", "truth.csv").code == 0
    done = align("models", "card", tmp_path / "m")
    assert done.code == 0 and CANARY not in done.out
    for said in (
        "2 sessions of 2 people",
        "true spans known in 2",
        "6 notes with 3 distinct texts",
        "hashed-512",
    ):
        assert said in done.out, said
    align("models", "card", sessions).refused("E-NO-FILE")
    align("models", "card", sessions / "q1" / "sensor.csv").refused("E-UNSAFE-FORMAT", 7)

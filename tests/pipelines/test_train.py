"""Sessions -> model: the plan from the settings, which files are read in which role, the record."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from align.coordination import TrainingPlan, load_coordination
from align.datatypes import Finding, Note, Session, Stream
from align.errors import InputError, UnsafeError
from align.readers import Policy
from pipelines.config import RunConfig, Settings, TrainingConfig
from pipelines.settings import load_settings
from pipelines.train import (
    MODEL_FILES,
    TrainingFacts,
    files_by_role,
    input_files,
    plan_of,
    read_sessions,
    train_model,
    write_model,
)

SAMPLES = Path(__file__).parent.parent.parent / "sample_data"


def test_every_setting_of_training_reaches_the_plan() -> None:
    values = {"epochs": 7, "batch": 3, "learning_rate": 1e-3, "weight_decay": 0.1, "width": 24, "dimension": 8,
              "dilations": (1, 3), "dropout": 0.1, "longest": 99, "rounds": 2, "device": "cpu", "seed": 5,
              "nothing_share": 0.25, "encoder_kind": "transformer", "raw": True, "layers": 2, "heads": 4,
              "augment": ("jitter",), "function": "rbf", "loss": "siglip", "objective": "relational", "average": 0.5,
              "patience": 3, "precision": "float32", "compiled": True,
              "edges": False, "text_noise": 0.5, "text_adapter": 8, "self_training": 2}  # fmt: skip
    config = RunConfig().with_values({f"training.{k}": v for k, v in values.items()})
    config = config.with_values({"features.hop": 0.5, "text.encoder": "hashed"})
    assert plan_of(config) == TrainingPlan(**values, hop=0.5, encoder="hashed")  # type: ignore[arg-type]
    named = {f.name for f in dataclasses.fields(TrainingConfig)} - {"preset"}
    assert named == set(values), "a new setting belongs into this test"


def test_the_defaults_of_settings_and_plan_agree() -> None:
    assert plan_of(RunConfig()) == TrainingPlan()


def test_truth_is_read_only_when_it_is_named() -> None:
    silent = read_sessions([SAMPLES / "day_p7"], notes_file=None, truth_file=None, policy=Policy())
    told = read_sessions([SAMPLES / "day_p7"], notes_file=None, truth_file="truth.csv", policy=Policy())
    assert silent[0].truth is None
    assert told[0].truth is not None and len(told[0].truth) == len(told[0].notes)


def test_input_files_are_exactly_those_that_are_read() -> None:
    found = input_files([SAMPLES / "p1", SAMPLES / "p2"], "notes_untimed.txt", "truth.csv")
    names = {role: sorted(f"{p.parent.name}/{p.name}" for p in files) for role, files in found.items()}
    assert names == {
        "stream": ["p1/heart.csv", "p1/microphone.flac", "p1/wrist.csv",
                   "p2/heart.csv", "p2/microphone.flac", "p2/wrist.parquet"],
        "notes": ["p1/notes_untimed.txt", "p2/notes_untimed.txt"],
        "truth": ["p1/truth.csv", "p2/truth.csv"],
    }  # fmt: skip
    assert input_files([SAMPLES / "p1"], None, None)["truth"] == ()


def test_a_wfdb_record_is_its_header_its_signals_and_its_annotations(tmp_path: Path) -> None:
    for name in ("r1.hea", "r1.dat", "r1.atr", "r2.dat"):
        (tmp_path / name).write_text("r1 1 100 10\nr1.dat 16 100 16 0 0 0 0 ecg\n")
    header = tmp_path / "r1.hea"
    own = files_by_role([header], None)
    assert own == {"stream": (header, tmp_path / "r1.dat"), "notes": (tmp_path / "r1.atr",)}
    given = files_by_role([header], tmp_path / "notes.csv")
    assert given["notes"] == (tmp_path / "notes.csv",)


def test_a_trained_model_is_written_and_comes_back(tmp_path: Path) -> None:
    ramp = Stream([float(i % 20) for i in range(400)], rate=10.0, name="s", channels=("x",))
    sessions = [Session(f"q{n}", (ramp,), (Note("low"), Note("high"))) for n in (1, 2)]
    options = {"training.epochs": 1, "training.width": 8, "training.dimension": 4, "training.device": "cpu"}
    settings = load_settings(options={**options, "text.encoder": "hashed", "training.rounds": 1})
    told: list[str] = []
    model, seconds = train_model(sessions, settings, lambda stage, done, total: told.append(stage))
    assert seconds > 0 and "training" in told
    facts = TrainingFacts(("align", "train"), {}, [Finding("P-NAN", "cells", 3)], seconds)
    assert set(write_model(model, tmp_path / "m", settings, facts)) == set(MODEL_FILES)
    assert load_coordination(tmp_path / "m").hash == model.hash
    found = json.loads((tmp_path / "m" / "train.json").read_text())
    assert found["policies"] == {"P-NAN": 3} and found["device"] == "cpu"
    with pytest.raises(UnsafeError):
        write_model(model, tmp_path / "m", settings, facts)


def test_N02_sessions_without_a_note_teach_nothing() -> None:
    quiet = Session("q", (Stream([1.0, 2.0], rate=1.0, name="s"),))
    with pytest.raises(InputError, match="E-TOO-FEW-PAIRS"):
        train_model([quiet], Settings())

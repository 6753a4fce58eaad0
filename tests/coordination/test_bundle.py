"""align/coordination/bundle.py: what was saved is what is loaded, and nothing else is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

import align
from align.answers import Calibration
from align.coordination import Coordination, TrainingPlan, bundle_files, load_coordination
from align.coordination.bundle import _seal
from align.datatypes import Note, Session
from align.errors import InputError, UnsafeError
from align.text.hashed import HashedEncoder
from tests.coordination.sessions import made_session, untold


@pytest.fixture(scope="module")
def files(trained):
    return bundle_files(trained)


@pytest.fixture
def folder(files, tmp_path):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def rewritten(folder, change=None, tensors=None):
    """The model with other content, correctly sealed: what someone who means harm would write."""
    about = json.loads((folder / "model.json").read_bytes())
    weights = (folder / "model.safetensors").read_bytes()
    if tensors:
        weights = save({**load(weights), **tensors})
        (folder / "model.safetensors").write_bytes(weights)
        about["sha256"] = hashlib.sha256(weights).hexdigest()
    about |= change or {}
    about["seal"] = _seal(about)
    (folder / "model.json").write_text(json.dumps(about))
    return folder


def refused(folder, code, error=InputError):
    with pytest.raises(error) as caught:
        load_coordination(folder)
    assert caught.value.code == code, caught.value
    return caught.value


def test_a_round_trip_gives_identical_evidence(trained, folder):
    loaded, session = align.load_coordination(folder), untold(made_session(77))
    before, after = trained.evidence(session), loaded.evidence(session)
    for field in dataclasses.fields(before):
        np.testing.assert_array_equal(getattr(after, field.name), getattr(before, field.name), field.name)
    assert bundle_files(loaded) == bundle_files(trained) and loaded.hash == trained.hash
    assert loaded.plan == trained.plan and loaded.encoder is trained.encoder


def test_the_same_model_gives_the_same_bytes(trained, files):
    assert bundle_files(trained) == files and set(files) == {"model.safetensors", "model.json"}


def test_S14_S18_no_note_text_is_in_the_bytes(files):
    texts = [span.text for seed in range(4) for span in made_session(seed).truth]
    words = {w for text in texts for w in text.split() if len(w) > 3}
    assert words
    for data in files.values():
        for canary in (*texts, *words):
            assert canary.encode() not in data and canary.encode("utf-16-le") not in data


def test_N02_evidence_for_no_notes_and_N01_for_empty_ones(trained):
    session = made_session(77)
    none = trained.evidence(Session("s", session.streams))
    assert none.log_odds.shape == (len(none.observed), 0) and none.durations.shape == (0, 2)
    assert align.match(Session("s", session.streams), trained).links == ()
    empty = trained.evidence(Session("s", session.streams, (Note(" "), Note("waved slowly"))))
    assert not empty.log_odds[:, 0].any() and empty.log_odds[:, 1].any()


# --- faults


def test_M01_anything_but_a_folder_is_never_opened(tmp_path):
    for name, data in (("m.pkl", pickle.dumps({"a": 1})), ("m.pt", b"PK\x03\x04"), ("m.safetensors", b"{}")):
        (tmp_path / name).write_bytes(data)
        assert refused(tmp_path / name, "E-UNSAFE-FORMAT", UnsafeError).exit_code == 7


def test_M01_a_pickle_under_a_models_name_is_refused_unopened(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    refused(folder, "E-CHECKSUM")
    data = (folder / "model.safetensors").read_bytes()
    refused(rewritten(folder, {"sha256": hashlib.sha256(data).hexdigest()}), "E-MODEL-BROKEN")
    assert not (tmp_path / "sprung").exists()


def test_no_model_there(tmp_path, folder):
    assert refused(tmp_path / "nowhere", "E-NO-FILE").exit_code == 3
    (folder / "model.json").unlink()
    refused(folder, "E-NO-FILE")


def test_S05_a_link_to_a_file_elsewhere_is_refused(folder, tmp_path):
    (folder / "model.json").rename(tmp_path / "elsewhere.json")
    (folder / "model.json").symlink_to(tmp_path / "elsewhere.json")
    refused(folder, "E-NO-FILE")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_M02_truncated(folder, share):
    weights, about = ((folder / n).read_bytes() for n in ("model.safetensors", "model.json"))
    (folder / "model.safetensors").write_bytes(weights[: int(share * len(weights))])
    assert refused(folder, "E-CHECKSUM").exit_code == 3
    (folder / "model.safetensors").write_bytes(weights + b"\0")
    refused(folder, "E-CHECKSUM")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "model.json").write_bytes(about[: int(share * len(about))])
    refused(folder, "E-JSON")


def test_M02_a_flipped_bit_anywhere_is_caught(folder, files):
    rng = np.random.default_rng(0)
    for name, data in files.items():
        for position in rng.integers(0, len(data), 60):
            flipped = bytearray(data)
            flipped[position] ^= 1 << int(rng.integers(0, 8))
            (folder / name).write_bytes(flipped)
            if name == "model.json" and same_json(flipped, data):
                continue  # white space
            with pytest.raises(InputError) as caught:
                load_coordination(folder)
            assert caught.value.code in ("E-CHECKSUM", "E-JSON", "E-MODEL-VERSION")
        (folder / name).write_bytes(data)
    load_coordination(folder)


def same_json(a, b):
    try:
        return json.loads(bytes(a)) == json.loads(b)
    except ValueError:
        return False


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["log_scale", "layout.shift", "durations.weights"])
def test_M04_weights_that_are_not_finite_are_refused_on_load(folder, name, value):
    tensor = load((folder / "model.safetensors").read_bytes())[name].clone()
    tensor.view(-1)[0] = value
    error = refused(rewritten(folder, tensors={name: tensor}), "E-MODEL-NONFINITE")
    assert repr(name) in str(error)


def test_M04_and_on_save(trained):
    broken = load_from(bundle_files(trained))
    with torch.no_grad():
        next(broken.network.stream.embed.parameters())[0, 0] = math.nan
    with pytest.raises(InputError, match="E-MODEL-NONFINITE"):
        bundle_files(broken)
    with pytest.raises(InputError, match="E-MODEL-NONFINITE"):
        bundle_files(trained.with_times(math.nan, 1.0, 1.0))
    with pytest.raises(InputError, match="E-MODEL-EMPTY"):
        bundle_files(Coordination.empty(trained.layout, trained.plan, trained.encoder))


def load_from(files):
    """A copy of a model whose weights may be spoilt."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        for file, data in files.items():
            (Path(name) / file).write_bytes(data)
        return load_coordination(name)


@pytest.mark.parametrize(
    "change",
    [
        {"sharpness": 0.0},
        {"lag": math.nan},
        {"lag_sd": -1.0},
        {"duration_sd": 0.0},
        {"hop": math.inf},
        {"reach": 1.5},
        {"reach": -0.1},
    ],
)
def test_M04_numbers_out_of_range_are_refused(folder, change):
    refused(rewritten(folder, change), "E-MODEL-NONFINITE")


@pytest.mark.parametrize("found", ["align-coordination/2", "align-coordination/0", None, 7, "x" * 10_000])
def test_M05_another_format(folder, found):
    error = refused(rewritten(folder, {"format": found}), "E-MODEL-VERSION")
    assert "align-coordination/1" in str(error) and len(str(error)) < 300


@pytest.mark.parametrize(
    "change", [{"encoder": "bert"}, {"encoder": "hashed-64+concepts"}, {"encoder": 3}, {"text_dimension": 5}]
)
def test_M05_another_text_encoder(folder, change):
    error = refused(rewritten(folder, change), "E-MODEL-VERSION")
    assert error.exit_code == 3 and "text encoder" in str(error)


def test_M05_an_encoder_of_ones_own_can_train_but_not_load(trained, tmp_path):
    own = dataclasses.replace(trained, encoder=HashedEncoder(trained.encoder.dimension))
    for name, data in bundle_files(own).items():
        (tmp_path / name).write_bytes(data)
    refused(tmp_path, "E-MODEL-VERSION")


@pytest.mark.parametrize(
    "change",
    [
        {"plan": {}},
        {"plan": None},
        {"streams": []},
        {"streams": ["a", "b"]},
        {"channels": [["x"]]},
        {"lag": "late"},
        {"lag": 10**400},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "width": 10**9}},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "width": 8000, "dimension": 8000}},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "dilations": [1] * 10_000}},
        {"plan": {**dataclasses.asdict(TrainingPlan()), "device": "cpu", "extra": 1}},
    ],
)
def test_M03_M05_parts_that_do_not_fit(folder, change):
    """Refused by their shapes: nothing of the size that the file asks for is ever allocated."""
    refused(rewritten(folder, change), "E-MODEL-BROKEN")


def test_M03_missing_and_mistyped_tensors(folder):
    tensors = load((folder / "model.safetensors").read_bytes())
    rewritten(folder, tensors={"log_scale": tensors["log_scale"].double()})
    refused(folder, "E-MODEL-NONFINITE")
    rewritten(folder, tensors={"log_scale": tensors["log_scale"], "no.such": torch.zeros(3)})
    refused(folder, "E-MODEL-BROKEN")


def test_json_that_is_none_or_no_object(folder):
    for text in ("", "[" * 100_000, "nonsense", '{"format":'):
        (folder / "model.json").write_text(text)
        refused(folder, "E-JSON")
    for text in ("[]", "3", "null", "{}"):
        (folder / "model.json").write_text(text)
        refused(folder, "E-MODEL-VERSION")


def test_E_LIMIT_a_description_larger_than_any(folder):
    with (folder / "model.json").open("wb") as file:
        file.truncate(17_000_000)
    refused(folder, "E-LIMIT")


# --- calibration


def calibration(**change):
    points = np.array([[0.0, 0.01], [0.5, 0.3], [1.0, 0.97]])
    fields = {
        "spans": points,
        "nothing": points**2,
        "n_notes": 77,
        "spans_seen": np.array([[0.6, 0.5, 70.0]]),
    }
    return Calibration(**{**fields, **change})


def test_a_calibration_comes_back_and_reaches_the_evidence(trained, tmp_path):
    for name, data in bundle_files(trained.with_confidence(0.002, calibration())).items():
        (tmp_path / name).write_bytes(data)
    loaded = load_coordination(tmp_path)
    evidence = loaded.evidence(untold(made_session(77)))
    assert loaded.nothing == evidence.nothing == 0.002 and evidence.calibration is loaded.calibration
    for field in dataclasses.fields(Calibration):
        np.testing.assert_array_equal(
            getattr(loaded.calibration, field.name), getattr(calibration(), field.name)
        )
    assert loaded.hash != trained.hash


def test_a_model_from_before_calibration_loads(folder):
    about = json.loads((folder / "model.json").read_bytes())
    del about["calibration"], about["nothing"]
    about["seal"] = _seal(about)
    (folder / "model.json").write_text(json.dumps(about))
    loaded = load_coordination(folder)
    assert (loaded.calibration, loaded.nothing) == (None, 0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"spans": [[0, 0], [1, 2]]},
        {"spans": []},
        {"spans": [[0, 0.5], [1, 0.2]]},
        {"nothing": [[0.1, 0], [1, 1]]},
        {"n_notes": -1},
        {"n_notes": "many"},
        {"spans_seen": [[0.5, 0.5]]},
        {"spans_seen": [[0.5, float("nan"), 3]]},
    ],
)
def test_a_calibration_that_is_none(folder, wrong):
    points = [[0.0, 0.0], [1.0, 1.0]]
    good = {"spans": points, "nothing": points, "n_notes": 3, "spans_seen": [], "nothing_seen": []}
    assert load_coordination(rewritten(folder, {"calibration": good})).calibration is not None
    refused(rewritten(folder, {"calibration": {**good, **wrong}}), "E-MODEL-BROKEN")
    refused(rewritten(folder, {"calibration": [1, 2]}), "E-MODEL-BROKEN")

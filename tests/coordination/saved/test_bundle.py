"""align/coordination/saved/bundle.py: what was saved is what is loaded."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

import align
from align.answers import Calibration
from align.coordination import Coordination, bundle_files, load_coordination
from align.coordination.inputs.bandwidth import ANY_FALL
from align.datatypes import Note, Session
from align.errors import InputError
from tests.coordination.saved_models import refused, rewritten, written
from tests.coordination.sessions import made_session, untold


@pytest.fixture(scope="module")
def files(trained):
    return bundle_files(trained)


@pytest.fixture
def folder(files, tmp_path):
    return written(files, tmp_path)


def test_a_round_trip_gives_identical_evidence(trained, folder):
    loaded, session = align.load_coordination(folder), untold(made_session(77))
    before, after = trained.evidence(session), loaded.evidence(session)
    for field in dataclasses.fields(before):
        np.testing.assert_array_equal(getattr(after, field.name), getattr(before, field.name), field.name)
    assert bundle_files(loaded) == bundle_files(trained) and loaded.hash == trained.hash
    assert loaded.plan == trained.plan and loaded.encoder is trained.encoder
    assert loaded.layout.per_hertz and (loaded.layout.falls > ANY_FALL).any()


def test_the_noise_of_training_is_kept(trained, tmp_path):
    assert trained.layout.floors == (0.0,)
    noisy = dataclasses.replace(
        trained, layout=dataclasses.replace(trained.layout, floors=(-43.68341255187988,))
    )
    loaded = align.load_coordination(written(bundle_files(noisy), tmp_path))
    assert loaded.layout.floors == noisy.layout.floors and loaded.hash != trained.hash


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


def test_M04_weights_that_are_not_finite_are_refused_on_save(trained, tmp_path):
    broken = load_coordination(written(bundle_files(trained), tmp_path))
    with torch.no_grad():
        next(broken.network.stream.embed.parameters())[0, 0] = math.nan
    with pytest.raises(InputError, match="E-MODEL-NONFINITE"):
        bundle_files(broken)
    with pytest.raises(InputError, match="E-MODEL-NONFINITE"):
        bundle_files(trained.with_times(math.nan, 1.0, 1.0))
    with pytest.raises(InputError, match="E-MODEL-EMPTY"):
        bundle_files(Coordination.empty(trained.layout, trained.plan, trained.encoder))


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
    files = bundle_files(trained.with_confidence(0.002, calibration()))
    loaded = load_coordination(written(files, tmp_path))
    evidence = loaded.evidence(untold(made_session(77)))
    assert loaded.nothing == evidence.nothing == 0.002 and evidence.calibration is loaded.calibration
    for field in dataclasses.fields(Calibration):
        np.testing.assert_array_equal(
            getattr(loaded.calibration, field.name), getattr(calibration(), field.name)
        )
    assert loaded.hash != trained.hash


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

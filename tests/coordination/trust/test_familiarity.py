"""Strangeness: people like those of training are not, other sensors are; and what it does to a model's answers."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from safetensors.torch import load, save

from align.coordination import Coordination
from align.coordination.inputs.layout import fit_layout, model_inputs, session_table
from align.coordination.saved.bundle import bundle_files
from align.coordination.saved.loading import load_coordination
from align.coordination.trust.familiarity import Familiar, fit_familiar, strange_findings, trust_in
from align.coordination.trust.looks import looks_at_a_frame
from align.coordination.uses.embedded import embed_session
from align.coordination.uses.retrieval import search_spans
from align.coordination.uses.zero_shot import caption_part, classify, label_vectors, log_odds
from align.datatypes import Session
from align.errors import InputError, ParameterError
from align.features.captions import describe
from align.matching.captioned import caption_durations
from tests.coordination.saved_models import rewritten, written
from tests.coordination.sessions import STATES, made_session
from tests.naive import mahalanobis_by_column

HOP = 0.5


def other_device(session: Session, turn: float = 40.0) -> Session:
    """The same person with sensors of another make: levels shifted and scaled far from those of training."""
    streams = tuple(
        dataclasses.replace(s, values=s.values[:, ::-1] * turn + 9 * turn) for s in session.streams
    )
    return dataclasses.replace(session, streams=streams)


@pytest.fixture(scope="module")
def seen() -> tuple[Familiar, list[np.ndarray], object]:
    tables = [session_table(made_session(seed), HOP) for seed in range(4)]
    layout = fit_layout(tables)
    inputs = [model_inputs(table, layout) for table in tables]
    return fit_familiar(inputs, layout), inputs, layout


def test_the_distance_is_mahalanobis_under_the_model(seen) -> None:
    known, inputs, layout = seen
    n = len(layout.shift)
    found = known.distances(inputs[0], layout)
    naive = mahalanobis_by_column(inputs[0][:, :n], known.mean, known.axes, known.variances)
    np.testing.assert_allclose(found, naive, rtol=1e-3)
    assert known.axes.shape[0] == min(32, n - 1)
    np.testing.assert_allclose(known.axes @ known.axes.T, np.eye(len(known.axes)), atol=1e-5)


def test_what_is_not_there_does_not_count(seen) -> None:
    """The marginal distance: under the model's own covariance of the columns that are there."""
    known, inputs, layout = seen
    n = len(layout.shift)
    there = np.arange(n) % 3 > 0
    lacking = inputs[0].copy()
    lacking[:, np.flatnonzero(~there)] = 0.0
    found = known.distances(lacking, layout)
    naive = mahalanobis_by_column(lacking[:, :n], known.mean, known.axes, known.variances, there)
    np.testing.assert_allclose(found, naive, rtol=1e-3)
    assert abs(np.median(found) - np.median(known.distances(inputs[0], layout))) < 0.2


def test_a_layout_of_other_columns_is_refused(seen) -> None:
    known, inputs, layout = seen
    with pytest.raises(ParameterError, match="mean"):
        dataclasses.replace(known, mean=known.mean[1:], axes=known.axes[:, 1:]).distances(inputs[0], layout)


def test_the_mean_and_the_variances_are_those_of_all_frames(seen) -> None:
    known, inputs, layout = seen
    rows = np.concatenate(inputs)[:, : len(layout.shift)].astype(np.float64)
    np.testing.assert_allclose(known.mean, rows.mean(axis=0), atol=1e-5)
    along = np.maximum(((rows - rows.mean(axis=0)) @ known.axes.T).var(axis=0), 0.02)
    np.testing.assert_allclose(known.variances[:-1], along, rtol=1e-3)


def test_sessions_of_training_that_lack_a_column_say_nothing_of_it(seen) -> None:
    _, inputs, layout = seen
    gone = np.arange(len(layout.shift)) % 3 == 0
    lacking = [rows.copy() for rows in inputs]
    for rows in lacking[:2]:
        rows[:, np.flatnonzero(gone)] = 0.0
    known = fit_familiar(lacking, layout)
    n = len(gone)
    all_rows, two = (np.concatenate(own)[:, :n].astype(np.float64) for own in (inputs, inputs[2:]))
    np.testing.assert_allclose(known.mean, np.where(gone, two.mean(axis=0), all_rows.mean(axis=0)), atol=1e-5)
    covariance = (known.axes.T * (known.variances[:-1] - known.variances[-1])) @ known.axes
    covariance += known.variances[-1] * np.eye(n)
    wanted = np.where(np.outer(gone, gone), np.cov(two.T, bias=True), 0.0)
    assert np.abs((covariance - wanted)[np.ix_(gone, gone)]).max() < 0.15


def test_people_of_training_are_not_strange_and_another_device_is(trained: Coordination) -> None:
    strange = [embed_session(trained, made_session(seed)).strange for seed in (0, 20, 21)]
    assert strange[0] == 0.0 and max(strange) < 0.5
    assert embed_session(trained, other_device(made_session(20))).strange == 1.0


def test_a_session_that_lacks_a_device_is_not_strange_for_that(trained: Coordination) -> None:
    session = made_session(20)
    (wrist,) = session.streams
    less = dataclasses.replace(wrist, values=wrist.values[:, :1], channels=("a",), units=("",))
    lacking = dataclasses.replace(session, streams=(less,))
    assert embed_session(trained, lacking).strange < 0.5
    assert embed_session(trained, other_device(lacking)).strange == 1.0


def test_frames_without_data_say_nothing(seen) -> None:
    known, inputs, layout = seen
    silent = inputs[0].copy()
    silent[::2] = 0.0
    found = known.distances(silent, layout)
    assert np.isnan(found[::2]).all() and np.isfinite(found[1::2]).all()
    assert known.strangeness(silent[::2], layout) == 0.0


def test_of_a_strange_session_captions_count_and_the_network_little(trained: Coordination) -> None:
    model = dataclasses.replace(trained, captions=0.0)
    session = other_device(made_session(20))
    plain = dataclasses.replace(model, familiar=None).evidence(session)
    evidence = model.evidence(session)
    full = dataclasses.replace(model, captions=1.0, familiar=None).evidence(session)
    said = full.log_odds - plain.log_odds
    np.testing.assert_allclose(evidence.log_odds, 0.15 * plain.log_odds + said, atol=1e-4)
    np.testing.assert_allclose(evidence.gain, 0.15 * plain.gain, atol=1e-6)
    assert evidence.strange == 1.0 and evidence.calibration is None
    assert np.abs(evidence.durations - plain.durations).max() > 0


def test_of_a_strange_session_a_frame_counts_no_more_than_is_usual(trained: Coordination) -> None:
    """What was measured among people of training is too much for notes that last longer."""
    model = dataclasses.replace(trained, captions=0.0)
    session = other_device(made_session(20))
    keen = dataclasses.replace(model, sharpness=50.0)
    raw = dataclasses.replace(model, sharpness=1.0, familiar=None).evidence(session).log_odds
    said = keen.evidence(session).log_odds - 0.15 * raw * looks_at_a_frame(usual_frames(session, model))
    captions = dataclasses.replace(model, captions=1.0, familiar=None).evidence(session).log_odds
    captions = captions - dataclasses.replace(model, familiar=None).evidence(session).log_odds
    np.testing.assert_allclose(said, captions, atol=2e-3)


def usual_frames(session: Session, model: Coordination) -> float:
    vectors = model.encoder.encode([note.text for note in session.notes])
    return float(
        np.exp(np.median(caption_durations(describe(session, HOP), model.encoder, vectors)[:, 0])) / HOP
    )


def test_of_a_familiar_session_nothing_changes(trained: Coordination) -> None:
    session = made_session(0)
    evidence = trained.evidence(session)
    plain = dataclasses.replace(trained, familiar=None).evidence(session)
    assert evidence.strange == 0.0
    np.testing.assert_array_equal(evidence.log_odds, plain.log_odds)
    np.testing.assert_array_equal(evidence.durations, plain.durations)


def test_classification_and_search_temper_the_network_likewise(trained: Coordination) -> None:
    labels = list(STATES)
    embedded = embed_session(trained, other_device(made_session(20)))
    vectors = label_vectors(trained, labels)
    plain = log_odds(trained, dataclasses.replace(embedded, strange=0.0), vectors)
    np.testing.assert_allclose(log_odds(trained, embedded, vectors), 0.15 * plain, rtol=1e-4, atol=1e-5)
    said = caption_part(trained, embedded, labels)
    assert said.any()
    logits = np.concatenate([0.15 * plain + said, np.zeros((embedded.n_frames, 1))], axis=1)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        classify(trained, embedded, labels).probabilities, p[embedded.observed], atol=1e-4
    )
    unheard = dataclasses.replace(embedded, described=None)
    assert search_spans(trained, embedded, labels[0], 3) != search_spans(trained, unheard, labels[0], 3)


def test_it_is_saved_and_loaded(trained: Coordination, tmp_path) -> None:
    for name, content in bundle_files(trained).items():
        (tmp_path / name).write_bytes(content)
    again = load_coordination(tmp_path)
    session = other_device(made_session(20))
    np.testing.assert_array_equal(again.evidence(session).log_odds, trained.evidence(session).log_odds)


def test_a_model_that_knows_no_swings_loads(trained: Coordination, tmp_path) -> None:
    folder = written(bundle_files(trained), tmp_path)
    tensors = load((folder / "model.safetensors").read_bytes())
    weights = save({name: part for name, part in tensors.items() if name != "familiar.swings"})
    (folder / "model.safetensors").write_bytes(weights)
    again = load_coordination(rewritten(folder, {"sha256": hashlib.sha256(weights).hexdigest()}))
    assert trained.familiar is not None and again.familiar is not None
    np.testing.assert_array_equal(again.familiar.swings, trained.familiar.swings)


@pytest.mark.parametrize(("more_columns", "devices"), [(1, 0), (0, 1)])
def test_a_saved_model_whose_columns_do_not_fit_is_broken(
    trained: Coordination, tmp_path, more_columns, devices
) -> None:
    assert trained.familiar is not None
    n = trained.familiar.mean.size + more_columns
    wrong = Familiar(np.zeros(n), np.eye(2, n), np.ones(3), np.ones((devices, 2)))
    for name, content in bundle_files(trained.with_familiar(wrong)).items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="E-MODEL-BROKEN"):
        load_coordination(tmp_path)


@pytest.mark.parametrize(
    ("mean", "axes", "variances", "swings"),
    [
        (np.zeros(3), np.eye(2), np.ones(3), np.zeros((0, 2))),
        (np.zeros(3), np.eye(2, 3), np.ones(2), np.zeros((0, 2))),
        (np.zeros(3), np.eye(2, 3), np.array([1.0, 0.0, 1.0]), np.zeros((0, 2))),
        (np.full(3, np.nan), np.eye(2, 3), np.ones(3), np.zeros((0, 2))),
        (np.zeros(3), np.eye(2, 3), np.ones(3), np.ones((1, 3))),
        (np.zeros(3), np.eye(2, 3), np.ones(3), np.zeros((1, 2))),
    ],
)
def test_parts_that_do_not_fit(mean, axes, variances, swings) -> None:
    with pytest.raises(ParameterError):
        Familiar(mean, axes, variances, swings)


def test_trust_falls_and_is_said() -> None:
    assert trust_in(0.0) == 1.0 and trust_in(1.0) == pytest.approx(0.15)
    assert strange_findings(0.3) == () and strange_findings(0.5)[0].code == "W-MODEL-STRANGE"

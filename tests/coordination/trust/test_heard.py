"""Words that training never heard: all notes of their recording count less, and they may mean something else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from align.coordination import Coordination
from align.coordination.saved.bundle import bundle_files
from align.coordination.saved.loading import load_coordination
from align.coordination.trust.heard import Heard, fit_heard
from align.datatypes import Note
from align.errors import InputError, ParameterError
from tests.coordination.saved_models import rewritten, written
from tests.coordination.sessions import STATES, made_session

TEXTS = st.integers(1, 30).flatmap(
    lambda n: npst.arrays(np.float32, (n, 4), elements=st.floats(-4.0, 4.0, width=32))
)


def lasting(texts) -> np.ndarray:
    return np.column_stack([np.arange(len(texts), dtype=float), np.ones(len(texts))])


def fitted(texts, wrote=None) -> Heard:
    """Of texts that two people wrote each, if nothing else is said."""
    by = np.ones((len(texts), 2), bool) if wrote is None else np.asarray(wrote, bool)
    return fit_heard(texts, lasting(texts), by)


def without_texts(length: float) -> Heard:
    return Heard(length, *(np.zeros((0, d), np.float32) for d in (3, 3, 2)))


@given(TEXTS)
def test_at_most_a_tenth_of_the_training_texts_counts_as_unheard(texts) -> None:
    heard = fitted(texts)
    assert (np.linalg.norm(texts, axis=1) < heard.length).sum() <= 0.1 * len(texts)
    assert heard.trust(texts) >= 1 - 0.75 * 0.1


@given(TEXTS, st.floats(0.0625, 5.0, width=32))
def test_trust_falls_with_the_share_of_texts_that_were_not_heard(texts, length) -> None:
    share = np.mean([float(np.linalg.norm(row)) < length for row in texts])
    assert without_texts(length).trust(texts) == pytest.approx(1 - 0.75 * share)
    assert without_texts(0.0).trust(texts) == 1.0


def test_no_notes_cost_nothing() -> None:
    assert without_texts(1.0).trust(np.zeros((0, 3), np.float32)) == 1.0


@given(TEXTS, TEXTS)
def test_novelty_is_the_distance_to_the_nearest_text_of_training(texts, asked) -> None:
    heard = fitted(texts)
    wanted = [
        min([1.0, *(float(np.linalg.norm(row - t)) / heard.length for t in texts)]) if heard.length else 1.0
        for row in asked
    ]
    np.testing.assert_allclose(heard.novelty(asked), wanted, atol=1e-5)


@given(TEXTS, TEXTS)
def test_what_was_heard_and_what_has_nothing_to_do_with_it_means_what_it_says(texts, asked) -> None:
    heard = fitted(texts)
    shares, novelty = heard.shares(asked), heard.novelty(asked)
    assert shares.shape == (len(asked), len(heard.meanings)) and (shares >= 0).all()
    expected = np.where(novelty < 0.01, 0.0, novelty * (1 - novelty))
    np.testing.assert_allclose(shares.sum(axis=1), expected, atol=1e-9)
    assert not heard.shares(texts).any()


def test_the_nearer_a_meaning_the_larger_its_share() -> None:
    texts = np.eye(3, dtype=np.float32)
    heard = fitted(texts)
    (shares,) = heard.shares(np.array([[0.8, 0.3, 0.0]], np.float32))
    by_text = shares[heard.meanings.argmax(axis=0)]
    assert by_text[0] > by_text[1] > by_text[2] > 0
    unit = np.array([0.8, 0.3, 0.0]) / np.hypot(0.8, 0.3)
    np.testing.assert_allclose(by_text / by_text[2], np.exp(3 * unit), rtol=1e-5)


def test_texts_that_mean_the_same_are_one_meaning() -> None:
    texts = np.array([[1, 0, 0], [2, 0.1, 0], [0, 1, 0], [0, 0.9, 0.1], [0, 1, -0.1]], np.float32)
    heard = fitted(texts)
    assert heard.meanings.shape == (2, 3)
    np.testing.assert_allclose(np.linalg.norm(heard.meanings, axis=1), 1.0, rtol=1e-6)
    assert heard.meanings[0].argmax() == 1 and heard.meanings[1].argmax() == 0  # the most crowded first
    np.testing.assert_allclose(heard.durations, [[3.0, 1.0], [0.5, 1.0]])


def test_what_one_person_alone_wrote_is_not_kept() -> None:
    texts = np.array([[1, 0, 0], [0, 2, 0], [0.1, 2, 0], [0, 0, 3]], np.float32)
    heard = fitted(texts, [[1, 1], [1, 0], [0, 1], [0, 1]])
    assert heard.texts.tolist() == [[1, 0, 0]]  # one text of both
    assert heard.meanings.argmax(axis=1).tolist() == [1, 0]  # two texts that mean the same, of one each
    assert heard.length == fitted(texts).length
    none = fitted(texts, [[1, 0]] * 4)
    assert none.texts.shape == (0, 3) and none.shares(texts).shape == (4, 0)
    assert none.trust(texts) == heard.trust(texts)


def test_of_very_many_texts_and_meanings_some_are_kept() -> None:
    texts = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    heard = fitted(texts)
    assert len(heard.texts) == 4096 and len(heard.meanings) == 64
    assert heard.texts[0].tolist() == texts[0].tolist() and heard.texts[-1].tolist() == texts[-1].tolist()
    assert ((heard.shares(texts[:40] * 0.5) > 0).sum(axis=1) <= 16).all()


@pytest.mark.parametrize(
    "change",
    [
        {"meanings": np.zeros((1, 4))},
        {"durations": np.zeros((2, 2))},
        {"durations": np.array([[0.0, 0.0]])},
        {"durations": np.array([[np.inf, 1.0]])},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change) -> None:
    sound = {"texts": np.ones((2, 3)), "meanings": np.ones((1, 3)), "durations": np.ones((1, 2))}
    Heard(1.0, **sound)
    with pytest.raises(ParameterError):
        Heard(1.0, **(sound | change))


def projected(model: Coordination, texts) -> np.ndarray:
    return model.trained().text.projected(model.encoder.encode(list(texts)))


def test_what_is_projected_has_not_been_made_of_length_one(trained: Coordination) -> None:
    network, vectors = trained.trained(), trained.encoder.encode(list(STATES))
    with torch.inference_mode():
        directions = network.text(torch.from_numpy(vectors)).numpy()
    weight, rows = network.text.project.weight.detach().numpy(), projected(trained, STATES)
    np.testing.assert_allclose(rows, vectors @ weight.T, atol=1e-5)
    np.testing.assert_allclose(
        directions * np.linalg.norm(rows, axis=1, keepdims=True), vectors @ weight.T, atol=1e-5
    )


def test_a_model_knows_what_it_heard(trained: Coordination) -> None:
    assert trained.heard is not None
    assert trained.heard.novelty(projected(trained, STATES)).max() < 1e-5
    assert (np.linalg.norm(projected(trained, ["qzx wvk"]), axis=1) < trained.heard.length).all()
    assert not trained.evidence(made_session(40)).meanings


def test_other_words_may_mean_what_the_model_knows(trained: Coordination) -> None:
    assert trained.heard is not None
    session, text = made_session(40), "was still now"
    model = dataclasses.replace(trained, captions=0.0)  # which would count in full with four sessions
    evidence = model.evidence(dataclasses.replace(session, notes=(Note(text), Note(""), *session.notes)))
    meant = evidence.meanings
    assert meant is not None
    np.testing.assert_allclose(
        meant.shares[0], trained.heard.shares(projected(trained, [text]))[0], rtol=1e-4
    )
    assert not meant.shares[1:].any()
    half = dataclasses.replace(model, captions=0.5).evidence(
        dataclasses.replace(session, notes=(Note(text),))
    )
    assert half.meanings is not None
    np.testing.assert_allclose(half.meanings.shares, 0.5 * meant.shares[:1], rtol=1e-6)
    as_heard = model.evidence_for(session, trained.encoder.encode(list(STATES)))
    for own, (mean, _) in zip(meant.log_odds.T, meant.durations, strict=True):
        near = [np.corrcoef(own, column)[0, 1] for column in as_heard.log_odds.T]
        assert max(near) > 0.9
        assert np.abs(as_heard.durations[:, 0] - mean).min() < 0.2


def test_all_notes_count_less_where_one_says_something_unheard(trained: Coordination) -> None:
    session, model = made_session(40), dataclasses.replace(trained, captions=0.0)
    notes = (*session.notes, Note("qzx wvk"))
    plain = dataclasses.replace(model, heard=None).evidence(dataclasses.replace(session, notes=notes))
    now = model.evidence(dataclasses.replace(session, notes=notes))
    weight = 1 - 0.75 / len(notes)
    np.testing.assert_allclose(now.log_odds, weight * plain.log_odds, rtol=1e-4, atol=1e-5)
    empty = dataclasses.replace(session, notes=(*session.notes, Note("")))
    assert not model.evidence(empty).log_odds[:, -1].any()
    np.testing.assert_allclose(
        model.evidence(empty).log_odds[:, :-1], plain.log_odds[:, :-1], rtol=1e-4, atol=1e-5
    )
    heard = model.evidence(session)
    np.testing.assert_allclose(heard.log_odds, plain.log_odds[:, :-1], rtol=1e-4, atol=1e-5)


def test_it_is_saved_and_models_without_it_heard_everything(trained: Coordination, tmp_path) -> None:
    folder = written(bundle_files(trained), tmp_path)
    found, own = load_coordination(folder).heard, trained.heard
    assert found is not None and own is not None and found.length == own.length
    for name in ("texts", "meanings", "durations"):
        np.testing.assert_array_equal(getattr(found, name), getattr(own, name))
    assert load_coordination(rewritten(folder, {"heard": 0.0})).heard is None


def test_models_of_before_knew_a_length_alone(trained: Coordination, tmp_path) -> None:
    assert trained.heard is not None
    before = dataclasses.replace(trained, heard=None)
    folder = rewritten(written(bundle_files(before), tmp_path), {"heard": trained.heard.length})
    heard = load_coordination(folder).heard
    assert heard is not None and heard.length == trained.heard.length and not len(heard.texts)
    other = dataclasses.replace(made_session(40), notes=(Note("was still now"),))
    assert load_coordination(folder).evidence(other).meanings is None


def test_texts_of_another_space_are_refused(trained: Coordination, tmp_path) -> None:
    wrong = Heard(1.0, np.ones((1, 3)), np.ones((1, 3)), np.ones((1, 2)))
    folder = written(bundle_files(dataclasses.replace(trained, heard=wrong)), tmp_path)
    with pytest.raises(InputError, match="E-MODEL-BROKEN"):
        load_coordination(folder)

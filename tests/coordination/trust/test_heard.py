"""Words that training never heard: told by a number, and all notes of their recording count less."""

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
from align.coordination.trust.heard import heard_length, trust_in_words
from align.datatypes import Note
from tests.coordination.saved_models import rewritten, written
from tests.coordination.sessions import STATES, made_session

lengths_of = npst.arrays(np.float32, st.integers(1, 60), elements=st.floats(0.0625, 5.0, width=32))


@given(lengths_of)
def test_at_most_a_tenth_of_the_training_texts_counts_as_unheard(lengths) -> None:
    heard = heard_length(lengths)
    assert (lengths < heard).sum() <= 0.1 * len(lengths)
    assert trust_in_words(lengths, heard) >= 1 - 0.75 * 0.1


@given(lengths_of, st.floats(0.0625, 5.0, width=32))
def test_trust_falls_with_the_share_of_texts_that_were_not_heard(lengths, heard) -> None:
    share = sum(float(x) < heard for x in lengths) / len(lengths)
    assert trust_in_words(lengths, heard) == pytest.approx(1 - 0.75 * share)
    assert trust_in_words(lengths, 0.0) == 1.0


def test_no_notes_cost_nothing() -> None:
    assert trust_in_words(np.zeros(0, np.float32), 1.0) == 1.0


def lengths(model: Coordination, texts) -> np.ndarray:
    return model.trained().text.lengths(model.encoder.encode(list(texts)))


def test_lengths_are_those_before_they_are_made_one(trained: Coordination) -> None:
    network, vectors = trained.trained(), trained.encoder.encode(list(STATES))
    with torch.inference_mode():
        directions = network.text(torch.from_numpy(vectors)).numpy()
    weight = network.text.project.weight.detach().numpy()
    np.testing.assert_allclose(directions * lengths(trained, STATES)[:, None], vectors @ weight.T, atol=1e-5)


def test_a_model_knows_what_it_heard(trained: Coordination) -> None:
    assert trained.heard == pytest.approx(heard_length(lengths(trained, STATES)))
    assert (lengths(trained, ["qzx wvk"]) < trained.heard).all()


def test_all_notes_count_less_where_one_says_something_unheard(trained: Coordination) -> None:
    session, model = made_session(40), dataclasses.replace(trained, captions=0.0)
    notes = (*session.notes, Note("qzx wvk"))
    plain = dataclasses.replace(model, heard=0.0).evidence(dataclasses.replace(session, notes=notes))
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
    assert load_coordination(folder).heard == trained.heard
    assert load_coordination(rewritten(folder, {"heard": 0.0})).heard == 0.0

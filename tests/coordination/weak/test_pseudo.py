"""Self-training: the chain against all its paths, and what a network takes over from recordings without notes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination import fit_coordination
from align.coordination.inputs.examples import NOTHING, UNKNOWN, make_vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import session_table
from align.coordination.weak.pseudo import meanings, pseudo_labelled, text_posteriors
from tests import naive
from tests.coordination.sessions import TINY, made_session, true_spans
from tests.coordination.test_training import PLAN, SESSIONS, Shelf, Stop

SEVERAL = [made_session(seed, n_notes=8) for seed in range(4)]


def undescribed(session):
    return dataclasses.replace(session, notes=(), truth=None)


@given(
    st.integers(1, 2).flatmap(
        lambda k: st.lists(st.lists(st.floats(-5, 5), min_size=k, max_size=k), min_size=1, max_size=5)
    ),
    st.floats(0.01, 0.9),
)
@settings(max_examples=60, deadline=None)
def test_the_chain_is_the_sum_over_its_paths(log_odds, leave):
    odds = np.array(log_odds)
    leaves = np.linspace(leave, leave / 2, odds.shape[1])
    np.testing.assert_allclose(
        text_posteriors(odds, leaves), naive.chain_posteriors(log_odds, leaves.tolist()), atol=1e-9
    )


def test_a_day_of_strong_evidence_stays_finite():
    odds = np.random.default_rng(0).normal(0, 300, (20_000, 3))
    posterior = text_posteriors(odds, np.full(3, 1e-4))
    assert np.isfinite(posterior).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)


def test_meanings_reach_over_a_third_text():
    same = np.eye(5, dtype=bool)
    same[[0, 1, 1, 3], [1, 0, 3, 1]] = True
    numbers = meanings(same)
    assert numbers[0] == numbers[1] == numbers[3]
    assert len(set(numbers.tolist())) == 3


@pytest.fixture(scope="module")
def taught():
    """What a model of four sessions makes of a fifth whose notes nobody wrote, and the fifth."""
    model = fit_coordination(SEVERAL, dataclasses.replace(TINY, epochs=30))
    fifth = made_session(77, n_notes=10)
    vocabulary = make_vocabulary([r for s in SEVERAL for r in usable_notes(s)], model.encoder)
    table = session_table(fifth, model.layout.hop, model.layout)
    example = span_example(undescribed(fifth), table, model.layout, vocabulary, [])

    def label(soft):
        lasting = np.full(len(vocabulary.texts), 7.0)
        return pseudo_labelled(model.network, [example], vocabulary, lasting, 0, soft=soft)

    return fifth, vocabulary, label


def test_what_is_sure_is_mostly_right_and_the_rest_does_not_count(taught):
    fifth, vocabulary, label = taught
    (example,) = label(soft=False)
    centres = (example.table.first + np.arange(example.table.n_frames) + 0.5) * example.table.hop
    truth = np.full(len(centres), NOTHING)
    for (start, end), span in zip(true_spans(fifth), fifth.truth, strict=True):
        truth[(centres >= start) & (centres < end)] = vocabulary.texts.index(span.text)
    sure = example.target != UNKNOWN
    assert sure.mean() > 0.5
    assert (example.target[sure] == truth[sure]).mean() > 0.9


def test_soft_targets_say_the_same(taught):
    _, _, label = taught
    (hard,), (soft,) = label(soft=False), label(soft=True)
    assert (soft.target == UNKNOWN).all()
    np.testing.assert_array_equal(soft.soft.sum(axis=1), hard.target != UNKNOWN)
    named = np.append(soft.notes, NOTHING)[soft.soft.argmax(axis=1)]
    np.testing.assert_array_equal(named[hard.target != UNKNOWN], hard.target[hard.target != UNKNOWN])


def test_an_unsure_network_teaches_nothing(taught):
    _, vocabulary, label = taught
    network = fit_coordination(SEVERAL, dataclasses.replace(TINY, epochs=1)).network
    with torch.no_grad():
        network.log_scale.fill_(-20.0)
    (example,) = label(soft=False)
    assert not pseudo_labelled(network, [example], vocabulary, np.ones(len(vocabulary.texts)), 0, soft=False)


# --- in the whole story


def test_without_such_sessions_nothing_changes():
    plain = fit_coordination(SEVERAL, TINY).network.state_dict()
    asked = fit_coordination(SEVERAL, dataclasses.replace(TINY, self_training=1)).network.state_dict()
    for name, tensor in plain.items():
        assert torch.equal(tensor, asked[name])


def test_a_session_without_notes_is_learned_from_only_when_asked():
    silent = [undescribed(made_session(seed, n_notes=8)) for seed in range(20, 24)]
    plain = fit_coordination([*SEVERAL, *silent], TINY).network.state_dict()
    asked = fit_coordination([*SEVERAL, *silent], dataclasses.replace(TINY, self_training=1))
    assert any(not torch.equal(t, asked.network.state_dict()[name]) for name, t in plain.items())


def test_M06_self_training_resumed_equals_uninterrupted():
    plan = dataclasses.replace(PLAN, self_training=1)
    sessions = [*SESSIONS, *(undescribed(made_session(seed, n_notes=3)) for seed in range(30, 33))]
    whole = Shelf()
    wanted = fit_coordination(sessions, plan, journal=whole.journal).hash
    assert [line["training"] for line in whole.lines[::3]] == ["held-out", "held-out-2", "final", "final-2"]
    first = Shelf(dies_after=whole.count - 2)
    with pytest.raises(Stop):
        fit_coordination(sessions, plan, journal=first.journal)
    second = Shelf(shelf=first.kept)
    assert fit_coordination(sessions, plan, journal=second.journal).hash == wanted
    assert second.count < 5

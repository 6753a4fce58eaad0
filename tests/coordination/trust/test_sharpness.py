"""align/coordination/trust/sharpness.py: how sure to be is measured on people held out, or it is the usual."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from align.coordination import fit_coordination
from align.coordination.inputs.examples import make_vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import fit_layout, session_table
from align.coordination.network.encoders import Coordinator, StreamEncoder, TextProjection
from align.coordination.saved.bundle import Coordination
from align.coordination.trust import sharpness
from align.coordination.trust.durations import DurationModel
from align.coordination.trust.sharpness import (
    CANDIDATES,
    NOTHING_CANDIDATES,
    USUAL_NOTHING,
    fit_confidence,
    usual_sharpness,
)
from align.matching import match
from align.metrics import pool
from align.text import text_encoder
from tests.coordination.sessions import TINY, made_session, untold


def test_a_span_of_usual_length_counts_as_four_looks():
    assert usual_sharpness(40.0, 20) == pytest.approx(0.05)
    assert usual_sharpness(40.0, 10**9) == pytest.approx(0.1)
    assert usual_sharpness(2.0, 5) == usual_sharpness(0.0, 5) == pytest.approx(0.2)


class Training:
    """Stands for training: hands out a random network and remembers the groups that it saw."""

    def __init__(self, n_features, text_dimension):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # some random networks know something
            stream = StreamEncoder(n_features, 4, 4, (1,), 0.0)
            self.network = Coordinator(stream, TextProjection(text_dimension, 4)).eval()
        self.saw = []

    def __call__(self, examples, seed):
        self.saw.append({e.group for e in examples})
        return self.network


def prepared(n_sessions, *, weak=0):
    sessions = [made_session(seed, n_notes=4) for seed in range(n_sessions)]
    sessions[:weak] = [untold(s) for s in sessions[:weak]]
    encoder = text_encoder("hashed")
    rows = [usable_notes(s) for s in sessions]
    vocabulary = make_vocabulary([row for r in rows for row in r], encoder)
    tables = [session_table(s, 0.5) for s in sessions]
    layout = fit_layout(tables)
    examples = [
        span_example(s, t, layout, vocabulary, r) for s, t, r in zip(sessions, tables, rows, strict=True)
    ]
    durations = DurationModel(2.0, np.zeros(encoder.dimension, np.float32), 0.4)
    model = Coordination.empty(layout, TINY, encoder).with_durations(durations)
    return examples, vocabulary, model, Training(layout.n_features, encoder.dimension)


def test_few_sessions_get_the_usual_values_and_no_training():
    examples, vocabulary, model, train = prepared(7)
    frames, n_notes = np.mean([len(e.inputs) / len(e.notes) for e in examples]), 7 * 4
    found = fit_confidence(examples, vocabulary, model, train)
    assert (found.sharpness, found.nothing) == (usual_sharpness(frames, n_notes), USUAL_NOTHING)
    assert found.calibration is None and train.saw == []


def test_captions_count_where_nobody_is_held_out_and_no_note_was_placed_by_them():
    examples, *rest = prepared(7)
    assert fit_confidence(examples, *rest).captions == 1.0
    soft = np.ones((len(examples[0].inputs), len(examples[0].notes) + 1), np.float32)
    assert fit_confidence([dataclasses.replace(examples[0], soft=soft), *examples[1:]], *rest).captions == 0.0
    assert fit_confidence(*prepared(9)).captions == 0.0


def test_held_out_groups_are_never_trained_on():
    examples, vocabulary, model, train = prepared(9, weak=1)
    found = fit_confidence(examples, vocabulary, model, train)
    assert found.sharpness in CANDIDATES and found.nothing in NOTHING_CANDIDATES
    (seen,) = train.saw
    assert len(seen) == 7 and "p0" in seen  # two of eight groups are out; one without spans cannot judge
    assert found.calibration is not None
    assert found.calibration.n_notes == 2 * (4 + 5)  # both as they are, and with one planted note each


def test_a_network_that_knows_nothing_should_count_little():
    examples, vocabulary, model, train = prepared(8)
    assert fit_confidence(examples, vocabulary, model, train).sharpness <= CANDIDATES[2]


def told(monkeypatch, mean, spread):
    """100 notes' log posteriors of the truth: of costs with spread x, two standard errors are x / 5."""
    noise = np.tile([-1.0, 1.0], 50)
    monkeypatch.setattr(sharpness, "_log_of_truth", lambda seen, s, p: mean(s, p) + spread(s, p) * noise)
    return sharpness._most_truthful([])


@pytest.mark.parametrize(("step", "wanted"), [(0.05, 0.02), (0.07, 0.04), (0.09, 0.08), (0.3, 0.16)])
def test_the_least_sharpness_that_is_hardly_worse_is_taken(monkeypatch, step, wanted):
    """0.16 is the best; halves of it cost a step each, with spreads of 1/2, 3/4 and 7/8."""
    found = told(monkeypatch, lambda s, p: -step * abs(np.log2(s / 0.16)), lambda s, p: s / 0.16)
    assert found == (wanted, NOTHING_CANDIDATES[0])


@pytest.mark.parametrize(("gain", "wanted"), [(0.1, NOTHING_CANDIDATES[0]), (0.5, 2e-4)])
def test_the_prior_of_nothing_stays_unless_the_truth_speaks_clearly_against_it(monkeypatch, gain, wanted):
    found = told(monkeypatch, lambda s, p: gain * (p == 2e-4) - s, lambda s, p: 1.0 * (p == 2e-4))
    assert found == (CANDIDATES[0], wanted)


def test_a_note_without_a_span_in_a_labelled_session_refers_to_nothing():
    examples, vocabulary, model, train = prepared(8)
    for example in examples:
        spans = example.spans.copy()
        spans[0] = np.nan
        object.__setattr__(example, "spans", spans)
    found = fit_confidence(examples, vocabulary, model, train)
    assert found.calibration is not None and found.calibration.n_notes == 2 * (4 + 5)


def test_P17_a_trained_model_knows_what_its_probabilities_are_worth():
    plan = dataclasses.replace(TINY, epochs=25)
    model = fit_coordination([made_session(seed, n_notes=8) for seed in range(12)], plan)
    assert model.calibration is not None and model.calibration.n_notes == 3 * (8 + 10)
    unchecked = dataclasses.replace(model, calibration=None)
    pairs, before = [], []
    for seed in range(100, 112):
        session = made_session(seed, n_notes=8)
        pairs.append((match(untold(session), model), session.truth))
        before.append((match(untold(session), unchecked), session.truth))
    after = pool(pairs)
    assert after.recall_50 > 0.9 and after.ece <= max(0.05, pool(before).ece + 0.02)

"""align/coordination/sharpness.py: chosen on people who were held out, or the usual value."""

from __future__ import annotations

import numpy as np
import pytest

from align.coordination.bundle import Coordination
from align.coordination.durations import DurationModel
from align.coordination.encoders import Coordinator, StreamEncoder, TextProjection
from align.coordination.examples import make_vocabulary, span_example, usable_notes
from align.coordination.layout import fit_layout, session_table
from align.coordination.sharpness import CANDIDATES, choose_sharpness, usual_sharpness
from align.text import text_encoder
from tests.coordination.sessions import TINY, made_session, untold


def test_a_span_of_usual_length_counts_as_four_looks():
    assert usual_sharpness(40.0) == pytest.approx(0.1)
    assert usual_sharpness(2.0) == usual_sharpness(0.0) == 1.0


class Training:
    """Stands for training: hands out a random network and remembers the groups that it saw."""

    def __init__(self, n_features, text_dimension):
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


def test_few_sessions_get_the_usual_value_and_no_training():
    examples, vocabulary, model, train = prepared(7)
    frames = np.mean([len(e.inputs) / len(e.notes) for e in examples])
    assert choose_sharpness(examples, vocabulary, model, train) == usual_sharpness(frames)
    assert train.saw == []


def test_held_out_groups_are_never_trained_on():
    examples, vocabulary, model, train = prepared(9, weak=1)
    assert choose_sharpness(examples, vocabulary, model, train) in CANDIDATES
    (seen,) = train.saw
    assert len(seen) == 7 and "p0" in seen  # two of eight groups are out; one without spans cannot judge


def test_a_network_that_knows_nothing_should_count_little(monkeypatch):
    examples, vocabulary, model, train = prepared(8)
    assert choose_sharpness(examples, vocabulary, model, train) <= CANDIDATES[2]

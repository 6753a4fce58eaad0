"""align/coordination/trust/trials.py: a session's own notes stay as they are, and what is planted is foreign to it."""

from __future__ import annotations

import numpy as np

from align.coordination.inputs.examples import Vocabulary, make_vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import fit_layout, session_table
from align.coordination.trust.trials import REMARKS, make_trials
from align.text import text_encoder
from tests.coordination.sessions import made_session

ENCODER = text_encoder("hashed")


def prepared(n_notes=8, n_sessions=4):
    sessions = [made_session(seed, n_notes=n_notes) for seed in range(n_sessions)]
    rows = [usable_notes(s) for s in sessions]
    vocabulary = make_vocabulary([row for r in rows for row in r], ENCODER)
    tables = [session_table(s, 0.5) for s in sessions]
    layout = fit_layout(tables)
    examples = [
        span_example(s, t, layout, vocabulary, r) for s, t, r in zip(sessions, tables, rows, strict=True)
    ]
    return examples, vocabulary


def test_the_notes_of_a_session_stay_in_their_order_among_the_planted_ones():
    examples, vocabulary = prepared()
    plain, planted = make_trials(examples, vocabulary, ENCODER, 0)
    for example, own, more in zip(examples, plain, planted, strict=True):
        assert [n.text for n in own.notes] == [vocabulary.texts[i] for i in example.notes]
        assert len(more.notes) == 10 == len(more.vectors) == len(more.spans)  # two of ten are foreign
        is_foreign = np.isnan(more.spans).all(axis=1)
        assert is_foreign.sum() == 2
        assert [n.text for n, out in zip(more.notes, is_foreign, strict=True) if not out] == [
            n.text for n in own.notes
        ]
        assert np.array_equal(more.spans[~is_foreign], own.spans)
        assert np.array_equal(more.vectors, ENCODER.encode([n.text for n in more.notes]))


def test_what_is_planted_means_nothing_that_the_session_says():
    examples, vocabulary = prepared(n_notes=4, n_sessions=12)
    _, planted = make_trials(examples, vocabulary, ENCODER, 1)
    texts = set()
    for example, trial in zip(examples, planted, strict=True):
        here = {vocabulary.texts[i] for i in example.notes}
        foreign = {n.text for n, s in zip(trial.notes, trial.spans, strict=True) if np.isnan(s).any()}
        assert foreign and not foreign & here and foreign <= {*vocabulary.texts, *REMARKS}
        texts |= foreign
    assert texts & set(vocabulary.texts) and texts & set(REMARKS)


def test_without_labels_near_texts_are_not_foreign():
    examples, vocabulary = prepared(n_notes=1, n_sessions=3)
    one = Vocabulary(
        (*vocabulary.texts, "waved, slowly"),
        np.vstack([vocabulary.vectors, ENCODER.encode(["waved slowly"])]),
        np.eye(len(vocabulary.texts) + 1, dtype=np.bool_),
    )
    waved = [e for e in examples if vocabulary.texts[e.notes[0]] == "waved slowly"]
    assert waved
    for seed in range(20):
        _, planted = make_trials(waved, one, ENCODER, seed)
        foreign = [
            n.text for t in planted for n, s in zip(t.notes, t.spans, strict=True) if np.isnan(s).any()
        ]
        assert foreign and not any("waved" in text for text in foreign)


def test_the_same_seed_plants_the_same():
    examples, vocabulary = prepared()
    texts = [
        [n.text for t in make_trials(examples, vocabulary, ENCODER, seed)[1] for n in t.notes]
        for seed in (0, 0, 1)
    ]
    assert texts[0] == texts[1] != texts[2]

"""align/coordination/inputs/examples.py: which text each frame belongs to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.examples import (
    NOTHING,
    UNKNOWN,
    Example,
    make_vocabulary,
    people_apart,
    span_example,
    usable_notes,
    writers,
)
from align.coordination.inputs.layout import fit_layout, session_table
from align.datatypes import Note, NoteTime, Session, Span, Stream
from align.errors import InputError
from align.text import text_encoder

ENCODER = text_encoder("hashed")


def session_of(notes, truth=None, name="p1_day", **runs):
    values = np.random.default_rng(0).normal(size=(200, 1))
    return Session(name, (Stream(values, 10.0, "wrist", **runs),), tuple(notes), truth=truth)


def example_of(session, hop=0.5):
    rows = usable_notes(session)
    table = session_table(session, hop)
    vocabulary = make_vocabulary([*rows, (Note("another"), None)], ENCODER)
    return span_example(session, table, fit_layout([table]), vocabulary, rows), vocabulary


def test_without_truth_the_notes_teach_and_empty_ones_do_not():
    time = NoteTime(1.0, 1.0, 1.0)
    notes = (Note("sat", time), Note(" "), Note("walked"))
    assert usable_notes(session_of(notes)) == [(notes[0], None), (notes[2], None)]
    assert usable_notes(session_of(())) == []


def test_with_truth_its_texts_teach_and_a_row_without_text_takes_its_notes():
    truth = (Span(0, 1, "a", "sat down"), Span(1, 2, "b"), Span(2, 3, "c"))
    rows = usable_notes(session_of((Note("x"), Note("walked")), truth))
    assert [(note.text, span) for note, span in rows] == [("sat down", truth[0]), ("walked", truth[1])]


def test_texts_of_one_label_or_equal_texts_mean_the_same():
    texts = [
        ("sat", "sit"),
        ("was sitting", "sit"),
        ("walked", "walk"),
        ("sat", "rest"),
        ("lay", "rest"),
        ("?", ""),
    ]
    vocabulary = make_vocabulary([(Note(t), Span(0, 1, label)) for t, label in texts], ENCODER)
    assert vocabulary.texts == ("?", "lay", "sat", "walked", "was sitting")
    together = {(a, b) for a, b in zip(*np.nonzero(vocabulary.same), strict=True) if a < b}
    assert together == {(1, 2), (2, 4)}  # sat is of both labels, which does not make sitting and lying one
    assert vocabulary.same.diagonal().all() and (vocabulary.same == vocabulary.same.T).all()
    np.testing.assert_array_equal(vocabulary.vectors, ENCODER.encode(vocabulary.texts))


@pytest.mark.parametrize("texts", [[], ["sat"], ["sat"] * 9])
def test_N02_too_few_pairs(texts):
    with pytest.raises(InputError, match="E-TOO-FEW-PAIRS") as caught:
        make_vocabulary([(Note(t), None) for t in texts], ENCODER)
    assert caught.value.exit_code == 3 and "sat" not in str(caught.value)


def test_frames_belong_to_the_span_that_holds_their_middle():
    truth = (Span(2.2, 5.0, "", "sat"), Span(9.0, 12.6, "", "walked"))
    example, vocabulary = example_of(session_of((), truth))
    sat, walked = (vocabulary.texts.index(t) for t in ("sat", "walked"))
    expected = [NOTHING] * 40
    for k in range(40):
        middle = (k + 0.5) * 0.5
        expected[k] = sat if 2.2 <= middle < 5.0 else walked if 9.0 <= middle < 12.6 else NOTHING
    assert example.target.tolist() == expected
    assert example.notes.tolist() == [sat, walked]
    np.testing.assert_allclose(example.spans, [[4.4, 10.0], [18.0, 25.2]])
    assert example.group == "p1" and example.soft is None


def test_frames_in_a_gap_do_not_count():
    truth = (Span(2.0, 28.0, "", "sat"),)
    runs = {"run_index": np.array([0, 100]), "run_start": np.array([0.0, 20.0])}
    example, _ = example_of(session_of((), truth, **runs))
    assert (example.target[20:40] == UNKNOWN).all()
    assert (example.target[4:20] >= 0).all() and (example.target[:4] == NOTHING).all()


def test_without_spans_nothing_is_known_of_any_frame():
    example, _ = example_of(session_of((Note("sat"), Note("walked"))))
    assert (example.target == UNKNOWN).all() and np.isnan(example.spans).all()


def test_inputs_are_the_models_columns():
    session = session_of((Note("sat"),))
    example, _ = example_of(session)
    assert example.inputs.shape[0] == example.table.n_frames and np.isfinite(example.inputs).all()


def test_sessions_named_alike_are_each_a_group_of_their_own():
    one = Example(None, np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros((1, 2)), "session")
    other = dataclasses.replace(one, group="p2")
    assert [e.group for e in people_apart([one, one], ["session_00", "session_01"])] == [
        "session_00",
        "session_01",
    ]
    assert [e.group for e in people_apart([one, other], ["session_00", "p2_01"])] == ["session", "p2"]


def test_a_true_span_without_words_is_not_nothing():
    truth = (Span(2.0, 4.0, "A", "walks"), Span(6.0, 8.0, "B", ""))
    example, vocabulary = example_of(session_of([], truth))
    second = example.target.reshape(-1, 2)  # two frames a second
    assert set(second[2:4].ravel()) == {vocabulary.texts.index("walks")}
    assert set(second[6:8].ravel()) == {UNKNOWN}
    assert set(second[[0, 1, 4, 5, 8, 9]].ravel()) == {NOTHING}


def test_who_wrote_which_text():
    said = {"p1_am": ["slept", "ran"], "p1_pm": ["slept", "ran"], "p2_am": ["ran"], "p3_am": ["sang"]}
    sessions = [session_of([Note(text) for text in texts], name=name) for name, texts in said.items()]
    rows = [usable_notes(session) for session in sessions]
    vocabulary = make_vocabulary([row for own in rows for row in own], ENCODER)
    tables = [session_table(session, 0.5) for session in sessions]
    layout = fit_layout(tables)
    examples = [
        span_example(session, table, layout, vocabulary, own)
        for session, table, own in zip(sessions, tables, rows, strict=True)
    ]
    wrote = writers(people_apart(examples, list(said)), vocabulary)
    by = {
        text: [f"p{k + 1}" for k in np.flatnonzero(row)]
        for text, row in zip(vocabulary.texts, wrote, strict=True)
    }
    assert by == {"ran": ["p1", "p2"], "sang": ["p3"], "slept": ["p1"]}
    assert writers([], vocabulary).shape == (3, 0)

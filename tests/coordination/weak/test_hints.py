"""What captions say, as a start for learning from notes without spans."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.inputs.examples import make_vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import fit_layout, session_table
from align.coordination.weak import learning as weak
from align.coordination.weak.hints import with_hints
from align.coordination.weak.learning import learn_weakly
from align.coordination.weak.rounds import Belief, Regime, annealed
from align.datatypes import Note, Session, Span, Stream
from align.text import text_encoder
from tests.coordination.weak.test_learning import PLAN, prepared

HOP = 0.25
RATE = 20.0
ENCODER = text_encoder("hashed")


def walk_and_rest(seed: int, first: float = 0.0) -> Session:
    """An accelerometer that rests and walks in turn, stretches of 10 to 20 s; notes in order, without times."""
    rng = np.random.default_rng(seed)
    pieces, spans, now = [], [], first
    for k in range(6):
        n = int(rng.uniform(10.0, 20.0) * RATE)
        t = np.arange(n) / RATE
        step = (2.0 * np.sin(2 * np.pi * 1.9 * t) if k % 2 else 0.0) + rng.normal(0, 0.03, n)
        pieces.append(np.column_stack([9.81 + step, 0.4 * step, rng.normal(0, 0.03, n)]))
        spans.append(Span(now, now + n / RATE, str(k % 2), ("resting", "walking")[k % 2]))
        now = spans[-1].end
    axes, units = ("x", "y", "z"), ("m/s^2",) * 3
    stream = Stream(
        np.concatenate(pieces), RATE, "accelerometer", channels=axes, units=units, run_start=np.array([first])
    )
    return Session(f"p{seed}_day", (stream,), tuple(Note(s.text) for s in spans), truth=tuple(spans))


def hinted(sessions: list[Session]):
    """(examples with hints, notes, vocabulary), as ``fit_coordination`` makes them."""
    rows = [usable_notes(s) for s in sessions]
    vocabulary = make_vocabulary([row for r in rows for row in r], ENCODER)
    tables = [session_table(s, HOP) for s in sessions]
    layout = fit_layout(tables)
    plain = [
        span_example(s, t, layout, vocabulary, r) for s, t, r in zip(sessions, tables, rows, strict=True)
    ]
    notes = [[note for note, _ in r] for r in rows]
    return with_hints(plain, sessions, notes, ENCODER), notes, vocabulary


def blind(session: Session) -> Session:
    return dataclasses.replace(session, truth=None)


@pytest.mark.parametrize("first", [0.0, 37.3])
def test_a_hint_is_high_where_the_captions_see_what_the_note_says(first):
    told = walk_and_rest(0, first)
    (example,), *_ = hinted([blind(told)])
    centres = (example.table.first + np.arange(example.table.n_frames) + 0.5) * HOP
    walking = np.zeros(len(centres), bool)
    for span in told.truth[1::2]:
        walking |= (centres > span.start + 1.0) & (centres < span.end - 1.0)
    assert example.hint.shape == (example.table.n_frames, 6)
    assert example.hint[walking, 1].mean() > example.hint[~walking, 1].mean() + 0.02


def test_frames_without_data_have_no_hint():
    session = blind(walk_and_rest(1))
    stream = session.streams[0]
    half = stream.n_samples // 2
    broken = dataclasses.replace(
        stream, run_index=np.array([0, half]), run_start=np.array([0.0, half / RATE + 20.0])
    )
    (example,), *_ = hinted([dataclasses.replace(session, streams=(broken,))])
    assert not example.hint[~example.table.observed].any()
    assert example.hint[example.table.observed].any()


def test_true_spans_need_no_hint_and_truth_is_not_looked_at():
    (known, without), *_ = hinted([walk_and_rest(0), blind(walk_and_rest(1))])
    assert known.hint is None
    session = walk_and_rest(1)
    rows = [note for note, _ in usable_notes(blind(session))]
    plain = dataclasses.replace(without, hint=None)
    (again,) = with_hints([plain], [session], [rows], ENCODER)
    np.testing.assert_array_equal(again.hint, without.hint)


def test_the_first_round_follows_the_captions_and_the_last_does_not():
    examples, notes, vocabulary = hinted([blind(walk_and_rest(seed)) for seed in range(3)])
    scene = weak._scene([], list(zip(examples, notes, strict=True)), vocabulary, 40.0)
    silent = dataclasses.replace(scene, hints=tuple(np.zeros_like(h) for h in scene.hints))
    start = weak._start(scene, 0.1, None)

    def last_odds(of, hint):
        return annealed(of, start, Regime(2.0, 8.0, 0.5, hint=hint), 1).soft[0]

    assert np.abs(last_odds(scene, 1.0) - last_odds(silent, 1.0)).max() > 0.05  # through what was learned
    np.testing.assert_allclose(last_odds(scene, 0.0), last_odds(silent, 1.0), atol=1e-12)


def test_where_captions_have_words_order_alone_starts_from_them():
    sessions = [walk_and_rest(seed) for seed in range(4)]
    examples, notes, vocabulary = hinted([blind(s) for s in sessions])
    scene = weak._scene([], list(zip(examples, notes, strict=True)), vocabulary, 40.0)
    assert weak._told_by_captions(scene) > weak._TELLING
    assert weak._regime([], scene) is weak._HINTED
    mute = dataclasses.replace(scene, hints=tuple(np.zeros_like(h) for h in scene.hints))
    assert weak._told_by_captions(mute) == 0.0
    assert weak._regime([], mute) is weak._ORDERED
    *_, model = prepared([blind(s) for s in sessions], dataclasses.replace(PLAN, nothing_share=0.03))
    found, *_ = learn_weakly([], list(zip(examples, notes, strict=True)), vocabulary, model)
    right = []
    for session, example in zip(sessions, found, strict=True):
        centres = (example.table.first + np.arange(example.table.n_frames) + 0.5) * HOP
        for i, span in enumerate(session.truth):
            inside = (centres >= span.start) & (centres < span.end)
            right.append(example.soft[inside, :-1].argmax(axis=1) == i)
    assert np.concatenate(right).mean() > 0.9


def test_a_finer_last_round_keeps_what_was_found_and_a_grid_as_fine_changes_nothing():
    examples, notes, vocabulary = hinted([blind(walk_and_rest(seed)) for seed in range(3)])
    pairs = list(zip(examples, notes, strict=True))
    coarse, fine = (weak._scene([], pairs, vocabulary, cells) for cells in (20.0, 40.0))
    belief = annealed(coarse, weak._start(coarse, 0.05, None), weak._HINTED, 6)
    scene, refined = weak._refined(coarse, belief, fine, weak._HINTED)
    assert scene is fine and [len(s) for s in refined.soft] == [len(f) for f in fine.frames]
    before, after = (
        np.concatenate([e.soft.argmax(axis=1) for e in weak._targets(s, b)])
        for s, b in ((coarse, belief), (fine, refined))
    )
    assert (before == after).mean() > 0.9
    same = weak._refined(coarse, belief, coarse, weak._HINTED)
    assert same[0] is coarse and same[1] is belief and isinstance(belief, Belief)


def test_a_finer_round_that_loses_the_notes_is_not_taken(monkeypatch):
    examples, notes, vocabulary = hinted([blind(walk_and_rest(seed)) for seed in range(2)])
    pairs = list(zip(examples, notes, strict=True))
    coarse, fine = (weak._scene([], pairs, vocabulary, cells) for cells in (20.0, 40.0))
    belief = annealed(coarse, weak._start(coarse, 0.05, None), weak._HINTED, 2)
    lost = dataclasses.replace(belief, moments=belief.moments * np.array([1.0, 1.0, 1.0, 0.0]))
    monkeypatch.setattr(weak, "annealed", lambda *_, **__: lost)
    kept = weak._refined(coarse, belief, fine, weak._HINTED)
    assert kept[0] is coarse and kept[1] is belief

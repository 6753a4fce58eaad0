"""Learning without spans: what the posteriors of a small made-up set come to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.coordination import Coordination
from align.coordination.inputs.examples import make_vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import fit_layout, session_table
from align.coordination.trust.durations import fit_durations
from align.coordination.weak import learning as weak
from align.coordination.weak.learning import _check, learn_weakly
from align.coordination.weak.rounds import Belief
from align.datatypes import Note, NoteTime
from align.errors import InputError
from align.text import text_encoder
from tests.coordination.sessions import TINY, made_session, true_spans, untold

HOP = 0.25
N_SESSIONS, N_NOTES = 8, 8
PLAN = dataclasses.replace(TINY, rounds=14, hop=HOP)


def prepared(sessions, plan=PLAN):
    """(examples, notes, vocabulary, model) as ``fit_coordination`` makes them before it learns."""
    encoder = text_encoder("hashed")
    rows = [usable_notes(s) for s in sessions]
    vocabulary = make_vocabulary([row for r in rows for row in r], encoder)
    tables = [session_table(s, HOP) for s in sessions]
    layout = fit_layout(tables)
    examples = [
        span_example(s, t, layout, vocabulary, r) for s, t, r in zip(sessions, tables, rows, strict=True)
    ]
    return examples, [[n for n, _ in r] for r in rows], vocabulary, Coordination.empty(layout, plan, encoder)


def learned(sessions, plan=PLAN, n_labelled=0):
    """Examples with soft targets, and the model; the first ``n_labelled`` sessions keep their truth."""
    given = [s if i < n_labelled else untold(s) for i, s in enumerate(sessions)]
    examples, notes, vocabulary, model = prepared(given, plan)
    labelled, rest = examples[:n_labelled], list(zip(examples, notes, strict=True))[n_labelled:]
    if labelled:
        texts = np.concatenate([e.notes for e in labelled])
        seconds = np.concatenate([e.spans[:, 1] - e.spans[:, 0] for e in labelled]) * HOP
        model = model.with_durations(fit_durations(vocabulary.vectors[texts], seconds))
    examples, _, model = learn_weakly(labelled, rest, vocabulary, model)
    return examples, model


def timed(seed, shift=0.0, noise=3.0):
    """A session whose notes' times lie ``shift`` behind the middle of their spans, with noise."""
    session = made_session(seed, n_notes=N_NOTES)
    rng = np.random.default_rng(100 + seed)
    notes = []
    for span in session.truth:
        at = 0.5 * (span.start + span.end) + shift + rng.normal(0, noise)
        notes.append(Note(span.text, NoteTime(at, at, at)))
    return dataclasses.replace(session, notes=tuple(notes))


def right(session, example):
    """Share of the frames whose most probable note, or "nothing", is the true one."""
    centres = (example.table.first + np.arange(example.table.n_frames) + 0.5) * HOP
    truth = np.full(len(centres), len(example.notes))
    for i, (start, end) in enumerate(true_spans(session)):
        truth[(centres >= start) & (centres < end)] = i
    return float((example.soft.argmax(axis=1) == truth).mean())


def mean_right(sessions, examples):
    return np.mean([right(s, e) for s, e in zip(sessions, examples, strict=True)])


def nothing_share(examples):
    return np.concatenate([e.soft[:, -1] for e in examples]).mean()


@pytest.fixture(scope="module")
def noisy():
    return [timed(seed) for seed in range(N_SESSIONS)]


@pytest.fixture(scope="module")
def from_times(noisy):
    return learned(noisy)


def test_noisy_times_and_frames_together_beat_the_times_alone(noisy, from_times):
    deaf = [  # the same notes on streams that show nothing
        dataclasses.replace(
            s, streams=tuple(dataclasses.replace(x, values=np.zeros_like(x.values)) for x in s.streams)
        )
        for s in noisy
    ]
    alone = mean_right(noisy, learned(deaf)[0])
    together = mean_right(noisy, from_times[0])
    assert together > 0.85
    assert together > alone + 0.15


def test_targets_are_distributions_over_the_notes_and_nothing(from_times):
    for example in from_times[0]:
        assert example.soft.shape == (example.table.n_frames, N_NOTES + 1)
        np.testing.assert_allclose(example.soft.sum(axis=1), example.table.observed, atol=1e-5)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_the_share_of_nothing_is_held_where_it_is_asked_for(noisy, share):
    examples, _ = learned(noisy, dataclasses.replace(PLAN, nothing_share=share))
    assert nothing_share(examples) == pytest.approx(share, abs=0.07)


def test_the_share_of_nothing_is_found_when_nobody_tells(noisy, from_times):
    examples, *_ = prepared(noisy)
    truth = np.mean(np.concatenate([e.target for e in examples]) == -1)
    assert nothing_share(from_times[0]) == pytest.approx(truth, abs=0.1)


@given(st.floats(0.1, 5.0), st.floats(-1.0, 2.0), st.floats(0.05, 0.95))
def test_the_lowest_of_three_is_where_a_parabola_is_lowest_between_them(bent, lowest, middle):
    x = [0.0, middle, 1.0]
    found = weak.lowest_of_three(x, [bent * (at - lowest) ** 2 for at in x])
    assert found == pytest.approx(min(1.0, max(0.0, lowest)), abs=1e-6)
    assert weak.lowest_of_three(x, [-bent * (at - lowest) ** 2 for at in x]) in (0.0, 1.0)


def test_without_a_share_asked_for_it_is_that_of_the_labelled_sessions(noisy):
    examples, _ = learned(noisy, n_labelled=3)
    assert nothing_share(examples[3:]) == pytest.approx(nothing_share(examples[:3]), abs=0.07)


@pytest.mark.parametrize(("n_labelled", "searched"), [(1, True), (5, False)])
def test_one_labelled_session_does_not_tell_the_share_of_all(noisy, monkeypatch, n_labelled, searched):
    asked = []
    search = weak._most_settled
    monkeypatch.setattr(weak, "_regime", lambda known, scene: weak._HINTED)
    monkeypatch.setattr(weak, "_most_settled", lambda *how: asked.append(1) or search(*how))
    learned(noisy, n_labelled=n_labelled)
    assert bool(asked) is searched


def test_what_lasts_longer_than_others_of_its_text_and_frames_that_go_either_way_are_open(noisy):
    examples, notes, vocabulary, _ = prepared([untold(s) for s in noisy])
    scene = weak._scene([], list(zip(examples, notes, strict=True)), vocabulary, 20.0)
    regime = weak._regime([], scene)
    found = weak.annealed(scene, weak._start(scene, 0.3, None), regime, 6)
    longer = found.moments.copy()
    longer[0, 2] += 2.0
    blurred = tuple(0.8 * soft + 0.2 * soft.sum(axis=1, keepdims=True) / soft.shape[1] for soft in found.soft)
    least = weak._open_nats(scene, found, regime)
    assert weak._open_nats(scene, dataclasses.replace(found, moments=longer), regime) > least
    assert weak._open_nats(scene, dataclasses.replace(found, soft=blurred), regime) > least


def test_labelled_sessions_keep_their_spans(noisy):
    examples, _ = learned(noisy, n_labelled=2)
    assert mean_right(noisy[:2], examples[:2]) == 1.0


def test_the_lag_of_the_writer_is_learned():
    late = [timed(seed, shift=6.0, noise=1.0) for seed in range(N_SESSIONS)]
    _, model = learned(late)
    assert model.lag == pytest.approx(-6.0, abs=1.5)
    assert model.lag_sd < 4.0


def test_order_alone_with_one_labelled_session_places_the_rest():
    sessions = [made_session(seed, n_notes=N_NOTES) for seed in range(N_SESSIONS)]
    examples, model = learned(sessions, n_labelled=1)
    assert mean_right(sessions[1:], examples[1:]) > 0.8
    assert model.lag == 0.0  # nothing to learn it from


def test_order_alone_beats_equal_slices():
    sessions = [made_session(seed, n_notes=N_NOTES) for seed in range(N_SESSIONS)]
    examples, _ = learned(sessions)
    sliced = []
    for session, example in zip(sessions, examples, strict=True):
        soft = np.zeros_like(example.soft)
        soft[np.arange(len(soft)), np.arange(len(soft)) * N_NOTES // len(soft)] = 1.0
        sliced.append(right(session, dataclasses.replace(example, soft=soft)))
    assert mean_right(sessions, examples) > np.mean(sliced) + 0.1


def test_durations_follow_the_posteriors(from_times, noisy):
    truth = np.log([s.end - s.start for session in noisy for s in session.truth]).mean()
    assert from_times[1].durations.mean == pytest.approx(truth, abs=0.25)


def as_kind(session, kind):
    """The session with its notes in one of the ways in which people have them; "spans" keeps the truth."""
    if kind == "spans":
        return session
    notes = []
    for span, note in zip(session.truth, session.notes, strict=True):
        at = {
            "noisy": note.time,
            "interval": NoteTime(span.start - 4.0, 0.5 * (span.start + span.end), span.end + 4.0),
            "phrase": NoteTime(max(0.0, span.start - 40.0), span.start, span.end + 40.0),
            "order": None,
        }[kind]
        notes.append(Note(span.text, at))
    return untold(dataclasses.replace(session, notes=tuple(notes)))


@pytest.mark.parametrize(
    ("kinds", "least"),
    [
        (["interval"] * 8, 0.8),
        (["phrase"] * 4 + ["noisy"] * 4, 0.8),
        (["order"] * 4 + ["noisy"] * 4, 0.75),
        (["spans", "noisy", "interval", "phrase", "order", "order", "noisy", "interval"], 0.85),
        (["spans", "order", "order", "order", "phrase", "phrase", "phrase", "phrase"], 0.8),
    ],
)
def test_every_mixture_of_kinds_of_notes_teaches(noisy, kinds, least):
    sessions = [as_kind(s, kind) for s, kind in zip(noisy, kinds, strict=True)]
    examples, notes, vocabulary, model = prepared(sessions, dataclasses.replace(PLAN, nothing_share=0.25))
    n = sum(kind == "spans" for kind in kinds)
    if n:
        lasted = np.concatenate([e.spans[:, 1] - e.spans[:, 0] for e in examples[:n]]) * HOP
        texts = np.concatenate([e.notes for e in examples[:n]])
        model = model.with_durations(fit_durations(vocabulary.vectors[texts], lasted))
    rest = list(zip(examples, notes, strict=True))[n:]
    found, *_ = learn_weakly(examples[:n], rest, vocabulary, model)
    assert mean_right(noisy[n:], found[n:]) > least


def test_a_collapse_into_nothing_is_an_error():
    with pytest.raises(InputError) as caught:
        _check(Belief(np.zeros((1, 2)), 0.0, 1.0, 0.3, soft=(np.array([[0.0, 1.0]] * 5),)))
    assert caught.value.code == "E-WEAK-COLLAPSE"


def test_a_share_of_nothing_that_was_not_reached_is_a_warning():
    moments = np.array([[0.0, 0.0, 0.0, 1.0]])
    belief = Belief(np.zeros((1, 2)), 0.0, 1.0, 0.6, soft=(np.array([[0.8, 0.2]] * 5),), moments=moments)
    with pytest.warns(UserWarning, match="W-WEAK-SHARE"):
        _check(belief)


def test_progress_is_told(noisy):
    told = []
    plan = dataclasses.replace(PLAN, rounds=2)
    examples, notes, vocabulary, model = prepared([untold(s) for s in noisy], plan)
    learn_weakly([], list(zip(examples, notes, strict=True)), vocabulary, model, lambda *at: told.append(at))
    assert [at for at in told if at[0] == "placing notes"] == [
        ("placing notes", k + 1, plan.rounds + 1) for k in range(plan.rounds + 1)
    ]
    assert told[0][0].startswith("trying")
    assert told[-1] == ("placing notes", plan.rounds + 1, plan.rounds + 1)


def test_only_texts_that_look_alike_come_to_mean_the_same(noisy, monkeypatch):
    other = {"lay still": "rested flat", "shook it fast": "rattled about"}
    sessions = []
    for k, session in enumerate(noisy):
        wording = other if k % 2 else {}
        notes = tuple(dataclasses.replace(n, text=wording.get(n.text, n.text)) for n in session.notes)
        sessions.append(untold(dataclasses.replace(session, notes=notes)))
    monkeypatch.setattr(weak, "_ALIKE", 0.3)  # so few notes tell less than the usual value asks for
    examples, notes, vocabulary, model = prepared(sessions, dataclasses.replace(PLAN, nothing_share=0.25))
    _, found, _ = learn_weakly([], list(zip(examples, notes, strict=True)), vocabulary, model)
    same = {(found.texts[i], found.texts[j]) for i, j in np.argwhere(found.same) if i < j}
    assert same == {("lay still", "rested flat"), ("rattled about", "shook it fast")}


def test_the_same_input_gives_the_same_targets(noisy, from_times):
    again, model = learned(noisy)
    for a, b in zip(again, from_times[0], strict=True):
        np.testing.assert_array_equal(a.soft, b.soft)
    assert model.lag_sd == from_times[1].lag_sd

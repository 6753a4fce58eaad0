"""What rounds are off at the edges of spans: learned from labelled sessions, taken from the others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.coordination.weak import learning as weak
from align.coordination.weak.boundaries import moved, usual_errors
from align.datatypes import Span
from tests.coordination.sessions import made_session
from tests.coordination.weak.test_learning import HOP, N_NOTES, learned, mean_right

CELLS = 40


def cover_of(start, end):
    """How much of each cell a span takes."""
    low, high = np.arange(CELLS), np.arange(CELLS) + 1
    return np.clip(np.minimum(high, end) - np.maximum(low, start), 0.0, 1.0)


def moved_by_hand(cover, before, after):
    """Cell by cell: where its centre was, and the cover there, linear between the centres around it."""
    out = []
    for k in range(len(cover)):
        x = k + 0.5
        if x <= after[0]:
            was = x - after[0] + before[0]
        elif x >= after[1]:
            was = x - after[1] + before[1]
        else:
            was = before[0] + (x - after[0]) / (after[1] - after[0]) * (before[1] - before[0])
        left = int(np.floor(was - 0.5))
        share = was - 0.5 - left
        around = [cover[i] if 0 <= i < len(cover) else 0.0 for i in (left, left + 1)]
        inside = 0.5 <= was <= len(cover) - 0.5
        out.append((1 - share) * around[0] + share * around[1] if inside else 0.0)
    return np.array(out)


edges = st.tuples(st.floats(4, 18), st.floats(22, 36))


@given(edges, edges)
def test_a_cover_is_moved_cell_by_cell(before, after):
    rng = np.random.default_rng(0)
    for cover in (cover_of(*before), rng.uniform(size=CELLS)):
        found = moved(cover, np.array(before), np.array(after))
        np.testing.assert_allclose(found, moved_by_hand(cover, before, after), atol=1e-9)


@given(edges)
def test_nothing_moves_where_it_is_already(span):
    cover = cover_of(*span)
    np.testing.assert_allclose(moved(cover, np.array(span), np.array(span)), cover, atol=1e-9)


@given(edges, edges)
def test_a_moved_span_lies_where_it_was_moved_to(before, after):
    found = moved(cover_of(*before), np.array(before), np.array(after))
    assert (
        np.abs(found - cover_of(*after)).sum() < 1.5
    )  # an edge is blurred by less than a cell on either side
    assert found.min() >= 0.0 and found.max() <= 1.0


def test_errors_are_shared_by_texts_that_look_alike_and_small_where_few_are_known():
    alike = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    texts, errors = np.array([0, 0, 1]), np.array([[0.3, -0.6], [0.5, 0.0], [0.2, 0.2]])
    found = usual_errors(alike, texts, errors)
    np.testing.assert_allclose(found[0], (errors[0] + errors[1] + 0.5 * errors[2]) / 4.5)
    np.testing.assert_allclose(found[1], (0.5 * errors[0] + 0.5 * errors[1] + errors[2]) / 4.0)
    assert (found[2] == 0.0).all()
    assert (usual_errors(alike, texts[:0], errors[:0]) == 0.0).all()


def narrower(session, seconds):
    """The session as a writer describes it to whom everything begins later and ends earlier."""
    truth = tuple(Span(s.start + seconds, s.end - seconds, s.text, s.label) for s in session.truth)
    return dataclasses.replace(session, truth=truth)


@pytest.mark.parametrize(("seconds", "gain"), [(0.0, 0.01), (0.75, 0.0), (-0.5, 0.004)])
def test_spans_are_what_the_labelled_sessions_say_they_are(seconds, gain, monkeypatch):
    sessions = [narrower(made_session(seed, n_notes=N_NOTES), seconds) for seed in range(8)]
    found, _ = learned(sessions, n_labelled=4)
    monkeypatch.setattr(weak, "corrected", lambda scene, belief, regime: belief)
    before, _ = learned(sessions, n_labelled=4)
    assert mean_right(sessions[4:], found[4:]) > mean_right(sessions[4:], before[4:]) + gain
    for example in found:
        np.testing.assert_allclose(example.soft.sum(axis=1), example.table.observed, atol=1e-5)
        assert example.soft.min() >= 0.0


def test_durations_are_those_of_the_moved_spans(monkeypatch):
    sessions, kept = [made_session(seed, n_notes=N_NOTES) for seed in range(6)], []
    correct = weak.corrected
    monkeypatch.setattr(weak, "corrected", lambda *how: kept.append((how, correct(*how))) or kept[-1][1])
    learned(sessions, n_labelled=3)
    (scene, belief, _), found = kept[0]
    assert np.abs(found.moments[:, [0, 2]] - belief.moments[:, [0, 2]]).max() > 0.02
    covered = np.concatenate([soft[:, :-1].sum(axis=0) for soft in found.soft]) * scene.views[0].hop
    placed = found.moments[:, 3]
    np.testing.assert_allclose(np.median(covered / (placed * np.exp(found.moments[:, 2]))), 1.0, atol=0.03)


def test_nothing_moves_without_a_labelled_session_or_where_none_of_its_notes_is_found(monkeypatch):
    sessions, kept = [made_session(seed, n_notes=N_NOTES) for seed in range(4)], []
    correct = weak.corrected
    monkeypatch.setattr(weak, "corrected", lambda *how: kept.append(how) or correct(*how))
    learned(sessions)
    scene, belief, regime = kept[0]
    assert scene.known is None and correct(scene, belief, regime) is belief
    learned(sessions, n_labelled=1)
    scene, belief, regime = kept[1]
    lost = [(dataclasses.replace(e, spans=e.spans + 10_000 / HOP), notes) for e, notes in scene.known.weak]
    found = correct(
        dataclasses.replace(scene, known=dataclasses.replace(scene.known, weak=lost)), belief, regime
    )
    for before, after in zip(belief.soft, found.soft, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)
    np.testing.assert_allclose(found.moments, belief.moments, atol=1e-9)

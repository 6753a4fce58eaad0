"""align/warping/baseline.py: every note placed in order inside the observed time, whatever the gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align import Evidence, Note, NoteTime, Segmentation, Stream
from align.errors import ParameterError
from align.warping import warp_evidence


def evidence(log_odds, hop=1.0, first=0, observed=None):
    log_odds = np.asarray(log_odds, np.float32)
    observed = np.ones(len(log_odds), bool) if observed is None else np.asarray(observed, bool)
    durations = np.zeros((log_odds.shape[1], 2))
    return Evidence(log_odds, hop, first, observed, durations, "test", streams=("wrist",))


def staircase(lengths, strength=4.0):
    """Log odds that say plainly: note 0 for lengths[0] frames, then note 1, ..."""
    which = np.repeat(np.arange(len(lengths)), lengths)
    return np.where(which[:, None] == np.arange(len(lengths))[None], strength, -strength)


def notes_of(n):
    return tuple(Note(f"n{i}") for i in range(n))


def tiled(*edges):
    return np.column_stack([edges[:-1], edges[1:]]).astype(float)


def test_plain_evidence_is_found_again():
    result = warp_evidence(evidence(staircase([3, 5, 2])), notes_of(3), tiled(0, 1, 3, 6, 8, 10))
    assert result.spans.tolist() == [[0, 3], [3, 8], [8, 10]]
    assert result.path.tolist() == [[0, 0], [1, 0], [2, 1], [3, 1], [4, 2]]
    assert result.method == "dtw"
    assert (result.probabilities > 0.9).all()
    assert all(link.status == "aligned" and link.streams == ("wrist",) for link in result.links)


def test_a_segmentation_and_its_spans_give_the_same():
    stream = Stream(np.zeros(100), rate=10.0)
    cut = Segmentation.of(stream, [30, 80])
    odds = evidence(staircase([3, 5, 2]))
    assert warp_evidence(odds, notes_of(3), cut).spans.tolist() == [[0, 3], [3, 8], [8, 10]]
    result = warp_evidence(odds, notes_of(3), cut.spans)
    assert result.path.tolist() == [[0, 0], [1, 1], [2, 2]]
    np.testing.assert_array_equal(result.similarity, odds.over(cut.spans))


def test_fewer_segments_than_notes_split_a_segment_evenly():
    result = warp_evidence(evidence(staircase([4, 4, 4])), notes_of(3), tiled(0, 4, 12))
    assert result.spans.tolist() == [[0, 4], [4, 8], [8, 12]]
    assert result.path.tolist() == [[0, 0], [1, 1], [1, 2]]
    one = warp_evidence(evidence(staircase([3, 3, 3])), notes_of(3), tiled(0, 9))
    assert one.spans.tolist() == [[0, 3], [3, 6], [6, 9]]


def test_long_segments_count_as_much_as_the_short_ones_they_could_be_cut_into():
    # The three-frame segment slightly prefers note 1, as the short ones before it slightly prefer note 0.
    odds = np.array([[2.0, 1.0], [0.0, 0.5], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 3.0]])
    coarse = warp_evidence(evidence(odds), notes_of(2), tiled(0, 1, 2, 5, 6, 7))
    fine = warp_evidence(evidence(odds), notes_of(2), tiled(*range(8)))
    assert coarse.spans.tolist() == fine.spans.tolist() == [[0, 1], [1, 7]]


def test_N01_N03_empty_and_outside_notes_are_answered_and_the_rest_placed():
    notes = (
        Note("early", NoteTime(90.0, 95.0, 99.5)),
        Note("first"),
        Note(" "),
        Note("second", NoteTime(0.0, 104.0, 200.0)),
        Note("late", NoteTime(130.0, 130.0, 130.0)),
    )
    odds = np.zeros((10, 5))
    odds[:, [1, 3]] = staircase([6, 4])
    odds[:, 0] = odds[:, 2] = odds[:, 4] = 50.0  # must not draw anything to notes that cannot be placed
    result = warp_evidence(evidence(odds, first=100), notes, tiled(100, 103, 106, 110))
    assert [link.status for link in result.links] == ["outside", "aligned", "empty", "aligned", "outside"]
    assert [link.distance for link in result.links] == [-0.5, None, None, None, 20.0]
    assert result.spans[[1, 3]].tolist() == [[100, 106], [106, 110]]
    assert np.isnan(result.spans[[0, 2, 4]]).all()
    assert result.path.tolist() == [[0, 1], [1, 1], [2, 3]]
    assert min(result.probabilities[[1, 3]]) > 0.9


def test_T03_a_span_keeps_the_longest_side_of_a_gap():
    odds = staircase([8, 6])
    observed = np.ones(14, bool)
    observed[2:5] = False
    # One segment straddles the unobserved frames; another gap (11 to 12) is between segments.
    segments = np.array([[0.0, 8.0], [8.0, 11.0], [12.0, 14.0]])
    result = warp_evidence(evidence(odds, observed=observed), notes_of(2), segments)
    assert result.spans.tolist() == [[5, 8], [8, 11]]
    assert result.path.tolist() == [[0, 0], [1, 1], [2, 1]]
    equal_sides = warp_evidence(
        evidence(staircase([6]), observed=[1, 1, 0, 0, 1, 1]), notes_of(1), tiled(0, 6)
    )
    assert equal_sides.spans.tolist() == [[0, 2]]


def test_a_segment_without_observed_frames_is_left_out():
    observed = [True] * 4 + [False] * 4 + [True] * 4
    odds = staircase([4, 4, 4])
    odds[8:, 1] = 3.0  # the last segment fits note 1 nearly as well as note 2; the first does not fit it
    result = warp_evidence(evidence(odds, observed=observed), notes_of(3), tiled(0, 4, 8, 12))
    assert result.path.tolist() == [[0, 0], [2, 1], [2, 2]]
    assert result.spans.tolist() == [[0, 4], [8, 10], [10, 12]]


def test_nothing_observed_leaves_notes_unmatched():
    for segments, observed in (
        (tiled(0, 4), [False] * 4),
        (np.empty((0, 2)), [True] * 4),
        (tiled(9, 12), [1] * 4),
    ):
        result = warp_evidence(evidence(np.zeros((4, 2)), observed=observed), (Note("a"), Note("")), segments)
        assert [link.status for link in result.links] == ["unmatched", "empty"]
        assert result.path.shape == (0, 2)


def test_N02_no_notes():
    result = warp_evidence(evidence(np.zeros((4, 0))), (), tiled(0, 4))
    assert result.links == ()


def test_a_segment_shorter_than_a_frame_takes_the_frame_that_holds_it():
    odds = staircase([1, 1, 2])
    result = warp_evidence(evidence(odds), notes_of(3), tiled(0.0, 1.0, 1.1, 1.3, 2.0, 4.0))
    assert result.spans.tolist() == [[0, 1], [1, 2], [2, 4]]


def test_probability_ranks_and_knows_nothing():
    sure, unsure, foreign = (
        warp_evidence(evidence(np.full((6, 1), value)), notes_of(1), tiled(0, 6)).probabilities[0]
        for value in (3.0, 0.0, -3.0)
    )
    assert sure == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert unsure == 0.5
    assert foreign == pytest.approx(1 - sure)
    extreme = warp_evidence(evidence(staircase([2, 2], 1e30)), notes_of(2), tiled(0, 2, 4))
    assert extreme.probabilities.tolist() == [1.0, 1.0]


@st.composite
def situations(draw):
    """Random evidence on a random grid, segments that need not tile it, notes of every kind."""
    n_frames, n_notes = draw(st.integers(1, 20)), draw(st.integers(1, 6))
    hop, first = draw(st.sampled_from([0.1, 0.5, 1.0, 0.37])), draw(st.integers(-5, 10_000))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    observed = rng.random(n_frames) < draw(st.sampled_from([1.0, 0.7]))
    start, end = first * hop, (first + n_frames) * hop
    edges = np.unique(np.round(rng.uniform(start - hop, end + hop, draw(st.integers(2, 12))), 3))
    keep = rng.random(len(edges) - 1) < draw(st.sampled_from([1.0, 0.6])) if len(edges) > 1 else []
    segments = np.column_stack([edges[:-1], edges[1:]])[keep] if len(edges) > 1 else np.empty((0, 2))
    odds = rng.normal(0.0, 3.0, (n_frames, n_notes))
    texts = draw(st.lists(st.sampled_from(["sat", ""]), min_size=n_notes, max_size=n_notes))
    return evidence(odds, hop, first, observed), tuple(map(Note, texts)), segments


@given(situations())
def test_laws_of_the_answer(situation):
    given_evidence, notes, segments = situation
    result = warp_evidence(given_evidence, notes, segments)
    assert result.notes == notes and len(result.links) == len(notes)
    spans = [link.span for link in result.links if link.status == "aligned"]
    # All notes with text are placed, or none could be.
    assert len(spans) in (0, sum(not note.is_empty for note in notes))
    centres = (given_evidence.first + np.arange(len(given_evidence.observed)) + 0.5) * given_evidence.hop
    tolerance = 1e-9 * max(1.0, abs(centres).max())
    for begin, end in spans:
        assert begin < end
        inside = (segments[:, 0] < end - tolerance) & (segments[:, 1] > begin + tolerance)
        covered = np.minimum(segments[inside, 1], end) - np.maximum(segments[inside, 0], begin)
        assert covered.sum() == pytest.approx(end - begin, abs=1e-5)
        within = (centres > begin + tolerance) & (centres < end - tolerance)
        assert given_evidence.observed[within].all()
        assert begin >= given_evidence.first * given_evidence.hop - tolerance
        assert end <= centres[-1] + 0.5 * given_evidence.hop + tolerance
    assert all(a[1] <= b[0] + tolerance for a, b in pairwise(spans))
    assert ((result.probabilities >= 0) & (result.probabilities <= 1)).all()
    if len(spans):
        assert (np.diff(result.path, axis=0) >= 0).all()
        assert set(result.path[:, 1].tolist()) == {i for i, note in enumerate(notes) if not note.is_empty}


@pytest.mark.parametrize(
    "segments",
    [[[0.0, 1.0, 2.0]], [0.0, 1.0], [[1.0, 1.0]], [[2.0, 1.0]], [[0.0, 2.0], [1.0, 3.0]], [[0.0, np.nan]]],
)
def test_segments_that_are_none_are_refused(segments):
    with pytest.raises(ParameterError, match="segments"):
        warp_evidence(evidence(np.zeros((4, 1))), notes_of(1), segments)


def test_notes_must_be_the_evidences():
    with pytest.raises(ParameterError, match="one per column of the evidence"):
        warp_evidence(evidence(np.zeros((4, 2))), notes_of(3), tiled(0, 4))

"""align/kernels/decode.py against the sum and the maximum over all placements, written out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.kernels.decode import NEVER, best_path, forward_backward, mass_near, onset_table
from tests import naive


@dataclass
class Case:
    """One small problem: the arguments of the kernels."""

    prefix: np.ndarray
    durations: np.ndarray
    priors: np.ndarray
    skip: np.ndarray
    earliest: np.ndarray

    @property
    def arrays(self):
        return self.prefix, self.durations, self.priors, self.skip, self.earliest

    def tables(self):
        before, after = forward_backward(*self.arrays)
        table = onset_table(self.prefix, self.durations, self.priors, self.earliest, before, after)
        return before, after, table


def case_of(odds, durations, priors, skip, observed=None):
    """From per-frame log odds (n_notes, n) and which frames hold data."""
    odds = np.asarray(odds, float)
    n = odds.shape[1]
    observed = np.ones(n, bool) if observed is None else np.asarray(observed)
    prefix = np.concatenate([np.zeros((len(odds), 1)), np.cumsum(odds * observed, axis=1)], axis=1)
    earliest = [0]
    for t in range(n):
        earliest.append(earliest[t] if observed[t] else t + 1)
    rest = (np.asarray(durations, float), np.asarray(priors, float), np.asarray(skip, float))
    return Case(prefix, *rest, np.array(earliest, np.int64))


def times(most):
    """Centre, half width, deviation (0 or less: no prior), floor and reach of a time prior."""
    sd = st.sampled_from([0.0, -1.0, 0.3, 1.0, 4.0])
    reach = st.sampled_from([0.0, 0.5, 1.0])
    return st.tuples(st.floats(-2.0, most + 2.0), st.sampled_from([0.0, 0.5, 2.0]), sd, st.just(8.0), reach)


def lists(elements, size):
    return st.lists(elements, min_size=size, max_size=size)


@st.composite
def cases(draw):
    n, n_notes = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    n = min(n, 6) if n_notes == 3 else n  # the twin lists every placement
    longest = draw(st.integers(1, n + 1))
    scores = st.floats(-4.0, 4.0)
    duration = st.one_of(st.just(NEVER), st.floats(-3.0, 0.0))
    return case_of(
        draw(lists(lists(scores, n), n_notes)),
        draw(lists(lists(duration, longest + 1), n_notes)),
        draw(lists(times(n), n_notes)),
        draw(lists(st.floats(-6.0, 1.0), n_notes)),
        draw(lists(st.sampled_from([True, True, True, False]), n)),
    )


@given(cases())
def test_the_best_path_is_the_best_of_all_placements(case):
    scored, _ = naive.placement_posterior(*case.arrays)
    spans = best_path(*case.arrays)
    chosen = tuple(None if a < 0 else (int(a), int(b)) for a, b in spans)
    score = naive.placement_score(chosen, *case.arrays[:4])
    assert score == pytest.approx(max(s for _, s in scored), abs=1e-9)
    assert any(
        chosen == placement for placement, _ in scored
    )  # possible: in order, in data, durations allowed


@given(cases())
def test_before_and_after_sum_over_all_placements(case):
    _, total = naive.placement_posterior(*case.arrays)
    before, after, _ = case.tables()
    n_notes, n = case.prefix.shape[0], case.prefix.shape[1] - 1
    assert before[n_notes, n] == pytest.approx(total, abs=1e-9)
    assert after[0, 0] == pytest.approx(total, abs=1e-9)
    # and in the middle: the first note within the first t frames, the last one from t on
    for t in range(n + 1):
        heads = [case.prefix[:1, : t + 1], case.durations[:1], case.priors[:1], case.skip[:1]]
        assert before[1, t] == pytest.approx(naive.placement_posterior(*heads, case.earliest[: t + 1])[1])


@given(cases())
def test_the_table_is_the_sum_over_all_placements(case):
    scored, total = naive.placement_posterior(*case.arrays)
    n_notes, n = case.prefix.shape[0], case.prefix.shape[1] - 1
    onset, cover = np.zeros((n_notes, n + 1)), np.zeros((n_notes, n))
    mass: list[dict] = [{} for _ in range(n_notes)]
    nowhere = np.zeros(n_notes)
    for placement, score in scored:
        p = np.exp(score - total)
        for i, span in enumerate(placement):
            if span is None:
                nowhere[i] += p
                continue
            onset[i, span[0]] += p
            cover[i, span[0] : span[1]] += p
            mass[i][span] = mass[i].get(span, 0.0) + p
    got_onset, got_cover, end, peak = case.tables()[2]
    np.testing.assert_allclose(got_onset, onset, atol=1e-9)
    np.testing.assert_allclose(got_cover, cover, atol=1e-9)
    np.testing.assert_allclose(got_onset.sum(axis=1) + nowhere, 1.0, atol=1e-9)
    for i in range(n_notes):
        for a in range(n):
            here = [p for (start, _), p in mass[i].items() if start == a]
            assert peak[i, a] == pytest.approx(max(here, default=0.0), abs=1e-9)
            if here and max(here) > 1e-12:
                assert mass[i][a, int(end[i, a])] == pytest.approx(max(here), abs=1e-9)
            else:
                assert peak[i, a] < 1e-9


@given(cases(), st.data())
def test_mass_near_is_the_sum_over_the_spans_that_overlap_by_half(case, data):
    n_notes, n = case.prefix.shape[0], case.prefix.shape[1] - 1
    i = data.draw(st.integers(0, n_notes - 1))
    start = data.draw(st.floats(-1.0, n - 0.5))
    compare_mass(case, i, np.array([start, start + data.draw(st.floats(0.25, n))]))


def test_mass_near_every_whole_span():
    odds = np.random.default_rng(3).normal(size=(2, 7))
    case = case_of(odds, np.full((2, 8), -2.0), [[3.0, 0.0, 2.0, 8.0, 0.0], [0.0] * 5], [-1.0, -2.0])
    for a in range(7):
        for b in range(a + 1, 8):
            compare_mass(case, b % 2, np.array([a, b], float))


def compare_mass(case, i, span):
    scored, total = naive.placement_posterior(*case.arrays)
    expected, unsure = 0.0, 0.0
    for placement, score in scored:
        if placement[i] is not None:
            a, b = placement[i]
            shared = max(0.0, min(b, span[1]) - max(a, span[0]))
            iou = shared / ((b - a) + (span[1] - span[0]) - shared)
            expected += np.exp(score - total) * (iou >= 0.5)
            unsure += np.exp(score - total) * (abs(iou - 0.5) < 1e-9)
    before, after, _ = case.tables()
    rows = case.prefix[i], case.durations[i], case.priors[i], case.earliest
    assert mass_near(*rows, before[i], after[i + 1] - after[0, 0], span) == pytest.approx(
        expected, abs=1e-9 + unsure
    )


@given(cases(), st.integers(0, 5))
@settings(max_examples=25)
def test_frames_without_data_around_the_recording_move_the_answer_and_change_nothing_else(case, k):
    """Shifting everything by k frames shifts the best path by k and leaves every probability."""
    n_notes = len(case.prefix)
    moved = Case(
        np.concatenate([np.zeros((n_notes, k)), case.prefix], axis=1),
        case.durations,
        case.priors + np.array([k, 0, 0, 0, 0]),
        case.skip,
        np.concatenate([np.arange(k), case.earliest + k]),
    )
    spans, later = best_path(*case.arrays), best_path(*moved.arrays)
    onset, _, _, _ = case.tables()[2]
    np.testing.assert_allclose(moved.tables()[2][0][:, k:], onset, atol=1e-9)
    here, there = (
        naive.placement_score([None if a < 0 else (int(a), int(b)) for a, b in found], *which.arrays[:4])
        for found, which in ((spans, case), (later, moved))
    )
    assert there == pytest.approx(here, abs=1e-9)
    assert (later[later[:, 0] >= 0] >= k).all()


def test_no_notes_and_no_frames():
    none = np.zeros((0, 6)), np.zeros((0, 3)), np.zeros((0, 5)), np.zeros(0), np.zeros(6, np.int64)
    assert best_path(*none).shape == (0, 2)
    before, after = forward_backward(*none)
    assert before.shape == after.shape == (1, 6) and not before.any() and not after.any()
    void = np.zeros((1, 1)), np.zeros((1, 2)), np.zeros((1, 5)), np.array([-2.0]), np.zeros(1, np.int64)
    assert best_path(*void).tolist() == [[-1, -1]]
    assert forward_backward(*void)[0].ravel().tolist() == [0.0, -2.0]


def test_a_note_that_no_duration_allows_is_left_out():
    case = case_of(np.ones((2, 4)), [[NEVER] * 3, [0.0] * 3], np.zeros((2, 5)), [-1.0, -1.0])
    assert best_path(*case.arrays)[0].tolist() == [-1, -1]
    onset = case.tables()[2][0]
    assert onset[0].sum() == 0.0 and onset[1].sum() > 0.9


def test_certainty_over_hundreds_of_frames_loses_nothing():
    """Log sums keep their precision where the score of a span is in the thousands."""
    odds = np.full((1, 600), -20.0)
    odds[0, 270:330] = 20.0
    case = case_of(odds, np.full((1, 101), -np.log(100)), [[0, 0, 0, 0, 0]], [-3.0])
    assert best_path(*case.arrays).tolist() == [[270, 330]]
    onset, cover, _, _ = case.tables()[2]
    assert onset[0, 270] == pytest.approx(1.0, abs=1e-8)
    assert cover[0, 300] == pytest.approx(1.0, abs=1e-8) and cover[0, 269] < 1e-6


def test_no_span_crosses_a_frame_without_data_whatever_it_would_win():
    odds = np.full((1, 21), 30.0)
    observed = np.arange(21) != 10
    case = case_of(odds, np.full((1, 22), -3.0), [[0, 0, 0, 0, 0]], [-1e9], observed)
    ((a, b),) = best_path(*case.arrays)
    assert (a, b) in ((0, 10), (11, 21))
    cover = case.tables()[2][1]
    assert cover[0, 10] == 0.0 and cover[0, 9] > 0

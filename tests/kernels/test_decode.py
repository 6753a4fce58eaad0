"""align/kernels/decode.py against sums and maxima over all spans, written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels.decode import NEVER, advance, mass_near, span_maxima, span_sums
from tests import naive

NO_HOLE = np.array([0, -1, 0, -1])


def runs_of(observed):
    """(n_runs, 2) first and last edge of each unbroken stretch of data."""
    step = np.diff(np.concatenate([[0], np.asarray(observed, int), [0]]))
    return np.column_stack([np.flatnonzero(step == 1), np.flatnonzero(step == -1)]).astype(np.int64)


def scores_of(starts, durations, runs, box, hole):
    """Every span and its score, written out."""
    return naive.span_scores(starts, durations, np.zeros((0, 5)), runs, box, hole)


def areas(n):
    """A box or a hole: start low, high, end low, high; sometimes empty, sometimes everything."""
    edge = st.integers(0, n)
    return st.one_of(
        st.just((0, n, 0, n)),
        st.just((0, -1, 0, -1)),
        st.tuples(edge, edge, edge, edge),
    )


@st.composite
def problems(draw):
    n = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    starts = rng.normal(0, draw(st.sampled_from([1.0, 30.0, 2000.0])), n + 1)
    starts[rng.random(n + 1) < draw(st.sampled_from([0.0, 0.3]))] = NEVER
    durations = rng.normal(-3, 2, draw(st.integers(2, n + 3)))
    durations[rng.random(len(durations)) < draw(st.sampled_from([0.0, 0.4]))] = NEVER
    runs = runs_of(rng.random(n) < draw(st.sampled_from([0.6, 1.0])))
    box, hole = (np.array(draw(areas(n)), np.int64) for _ in range(2))
    return starts, durations, runs, box, hole


@given(problems())
def test_sums_are_those_over_all_spans(problem):
    starts, *_ = problem
    scores = scores_of(*problem)
    found = span_sums(*problem)
    for b in range(len(starts)):
        expected = [value for (_, end), value in scores.items() if end == b]
        if expected:
            assert found[b] == pytest.approx(np.logaddexp.reduce(expected), abs=1e-9, rel=1e-12)
        else:
            assert found[b] < -1e29


@given(problems())
def test_maxima_are_those_over_all_spans(problem):
    starts, durations, runs, box, _ = problem
    scores = scores_of(starts, durations, runs, box, NO_HOLE)
    found = span_maxima(starts, durations, runs, box)
    for b in range(len(starts)):
        expected = max((value for (_, end), value in scores.items() if end == b), default=NEVER)
        assert found[b] == pytest.approx(expected, abs=1e-9, rel=1e-12) or max(found[b], expected) < -1e29


@pytest.mark.parametrize("slope", [0.0, 3.0, -3.0, 6.0, -6.0, 40.0, -40.0])
def test_sums_over_many_blocks_lose_nothing_whatever_the_scores(slope):
    """Longer than a block and steeper than what one scale holds, against the log-space loop."""
    rng = np.random.default_rng(5)
    n = 300
    starts = slope * np.arange(n + 1) + rng.normal(0, 2, n + 1)
    durations = np.where(np.arange(180) >= 90, -np.log(np.maximum(1, np.arange(180))), NEVER)
    runs, box = np.array([[0, 140], [141, n]]), np.array([0, n, 0, n])
    hole = np.array([20, 40, 120, 130])
    problem = starts, durations, runs, box, hole
    scores = scores_of(*problem)
    found = span_sums(*problem)
    best = span_maxima(starts, durations, runs, box)
    for b in range(n + 1):
        expected = [value for (_, end), value in scores.items() if end == b]
        if expected:
            assert found[b] == pytest.approx(np.logaddexp.reduce(expected), rel=1e-12, abs=1e-9)
            assert best[b] >= max(expected) - 1e-9
        else:
            assert found[b] < -1e29


@given(problems(), st.floats(-1.0, 12.0), st.floats(0.25, 12.0), st.integers(0, 10_000))
def test_mass_near_is_the_sum_over_the_spans_that_overlap_by_half(problem, start, length, seed):
    starts, durations, runs, box, hole = problem
    starts = np.where(starts > -1e29, np.clip(starts, -40, 0), NEVER)
    ends = np.random.default_rng(seed).normal(-4, 3, len(starts))
    span = start, start + length
    expected, unsure = 0.0, 0.0
    for (a, b), value in scores_of(starts, durations, runs, box, hole).items():
        shared = max(0.0, min(b, span[1]) - max(a, span[0]))
        iou = shared / ((b - a) + (span[1] - span[0]) - shared)
        expected += np.exp(value + ends[b]) * (iou >= 0.5)
        unsure += np.exp(value + ends[b]) * (abs(iou - 0.5) < 1e-9)
    found = mass_near(starts, ends, durations, runs, np.stack([box, hole]), span)
    assert found == pytest.approx(min(1.0, expected), abs=1e-9 + unsure)


def test_a_span_without_length_is_like_nothing():
    everything = np.stack([np.array([0, 5, 0, 5]), NO_HOLE])
    runs = np.array([[0, 5]])
    found = mass_near(np.zeros(6), np.zeros(6), np.zeros(6), runs, everything, (2.0, 2.0))
    assert found == 0.0


rows = st.lists(st.floats(-50, 50), min_size=1, max_size=9)


@given(rows, st.integers(0, 1000), st.floats(-6, 1))
def test_one_note_more_has_ended_by_now_or_is_left_out(row, seed, skip):
    row = np.maximum.accumulate(np.repeat(row, 2))
    rng = np.random.default_rng(seed)
    ends = np.where(rng.random(len(row)) < 0.5, rng.normal(0, 30, len(row)), NEVER)
    sums = advance(row, ends, skip)
    for t in range(len(row)):
        options = [row[t] + skip, *(e for e in ends[: t + 1] if e > -1e29)]
        assert sums[t] == pytest.approx(np.logaddexp.reduce(options), abs=1e-9)

"""align/matching/inner_times.py against sums and maxima over all spans, written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.matching.inner_times import NEVER, mass_near, span_maxima, span_sums, time_weight
from tests import naive

NO_HOLE = np.array([0, -1, 0, -1])


@st.composite
def problems(draw):
    n = draw(st.integers(0, 10))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    starts = rng.normal(0, draw(st.sampled_from([1.0, 30.0, 2000.0])), n + 1)
    starts[rng.random(n + 1) < draw(st.sampled_from([0.0, 0.3]))] = NEVER
    durations = rng.normal(-3, 2, draw(st.integers(2, n + 3)))
    durations[rng.random(len(durations)) < draw(st.sampled_from([0.0, 0.4]))] = NEVER
    times = st.tuples(
        st.floats(-2.0, 14.0),
        st.sampled_from([0.0, 2.0]),
        st.sampled_from([0.3, 4.0]),
        st.just(8.0),
        st.sampled_from([0.0, 0.5, 1.0]),
    )
    priors = np.array(draw(st.lists(times, max_size=2)), float).reshape(-1, 5)
    observed = np.concatenate([[0], rng.random(n) < draw(st.sampled_from([0.6, 1.0])), [0]]).astype(int)
    step = np.diff(observed)
    runs = np.column_stack([np.flatnonzero(step == 1), np.flatnonzero(step == -1)]).astype(np.int64)
    area = st.one_of(st.just((0, n, 0, n)), st.tuples(*[st.integers(0, n)] * 4))
    hole = draw(st.one_of(st.just(tuple(NO_HOLE)), area))
    return starts, durations, priors, runs, np.array([draw(area), hole], np.int64)


@given(problems())
def test_sums_and_maxima_are_those_over_all_spans(problem):
    starts, durations, priors, runs, areas = problem
    for found, combine, hole in (
        (span_sums(*problem), np.logaddexp.reduce, areas[1]),
        (span_maxima(starts, durations, priors, runs, np.stack([areas[0], NO_HOLE])), max, NO_HOLE),
    ):
        scores = naive.span_scores(starts, durations, priors, runs, areas[0], hole)
        for b in range(len(starts)):
            values = [value for (_, end), value in scores.items() if end == b]
            if values:
                assert found[b] == pytest.approx(combine(values), abs=1e-9, rel=1e-12)
            else:
                assert found[b] < -1e29


@given(problems(), st.floats(-1.0, 10.0), st.floats(0.25, 10.0), st.integers(0, 10_000))
def test_mass_near_is_the_sum_over_the_spans_that_overlap_by_half(problem, start, length, seed):
    starts, durations, priors, runs, areas = problem
    starts = np.where(starts > -1e29, np.clip(starts, -40, 0), NEVER)
    ends = np.random.default_rng(seed).normal(-4, 3, len(starts))
    expected, unsure = 0.0, 0.0
    for (a, b), value in naive.span_scores(starts, durations, priors, runs, *areas).items():
        shared = max(0.0, min(b, start + length) - max(a, start))
        iou = shared / ((b - a) + length - shared)
        expected += np.exp(value + ends[b]) * (iou >= 0.5)
        unsure += np.exp(value + ends[b]) * (abs(iou - 0.5) < 1e-9)
    found = mass_near((starts, ends), durations, priors, runs, areas, (start, start + length))
    assert found == pytest.approx(min(1.0, expected), abs=1e-9 + unsure)


def test_a_time_costs_nothing_inside_its_reach_and_never_more_than_its_floor():
    a, b = np.array([10, 10, 0]), np.array([16, 20, 2])
    halfway = np.array([[12.0, 0.0, 1.0, 8.0, 0.5]])
    np.testing.assert_allclose(time_weight(halfway, a, b), [0.0, -0.5 * 0.5**2, -8.0])

"""Reliability table, calibration error and Brier score: slow twins and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.metrics import brier_score, calibration_error, reliability
from align.metrics.calibration import N_BINS

answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@given(answers)
@settings(max_examples=60, deadline=None)
def test_all_equal_the_loop(rows):
    p, right = [q for q, _ in rows], [r for _, r in rows]
    bins = [[row for row in rows if min(int(row[0] * N_BINS), N_BINS - 1) == k] for k in range(N_BINS)]
    slow = [(sum(q for q, _ in b) / len(b), sum(r for _, r in b) / len(b), len(b)) for b in bins if b]
    assert reliability(p, right) == pytest.approx(np.array(slow))
    ece = sum(n * abs(mean - share) for mean, share, n in slow) / len(rows)
    assert calibration_error(p, right) == pytest.approx(ece)
    assert brier_score(p, right) == pytest.approx(sum((q - r) ** 2 for q, r in rows) / len(rows))


def test_probabilities_that_keep_their_word_have_no_error():
    p = np.random.default_rng(0).uniform(size=50_000)
    right = np.random.default_rng(1).uniform(size=p.size) < p
    assert calibration_error(p, right) < 0.01
    assert brier_score(p, right) == pytest.approx(1 / 6, abs=0.005)  # the mean of p (1 - p)


def test_nothing_to_judge():
    assert math.isnan(calibration_error([], [])) and math.isnan(brier_score([], []))
    assert reliability([], []).shape == (0, 3)


@pytest.mark.parametrize("p", [[0.5, 0.5], [1.01], [-0.1], [float("nan")]])
def test_what_is_no_probability_is_refused(p):
    for figure in (reliability, calibration_error, brier_score):
        with pytest.raises(ParameterError):
            figure(p, [True])

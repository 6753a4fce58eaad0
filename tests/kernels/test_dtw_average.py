"""align/kernels/dtw_average.py: one round of averaging against all paths."""

from __future__ import annotations

import numpy as np
import pytest

from align.kernels.dtw_average import laid_on_centre
from tests import naive


@pytest.mark.parametrize(("n", "m", "d", "count"), [(1, 1, 1, 1), (4, 3, 1, 5), (3, 5, 2, 34), (5, 1, 1, 2)])
def test_a_round_equals_the_twins(n, m, d, count):
    rng = np.random.default_rng(n + m + d)
    series, centre, weights = (
        rng.standard_normal((count, n, d)),
        rng.standard_normal((m, d)),
        rng.random(count),
    )
    sums, shares = np.zeros((m, d)), np.zeros(m)
    ranges = np.array([[0], [m]]).repeat(n, axis=1)
    totals = laid_on_centre(series.ravel(), np.arange(count) * n, weights, centre, ranges, sums, shares)
    expected, cost = naive.averaged(series, weights, centre)
    np.testing.assert_allclose(sums / shares[:, None], expected, rtol=1e-12)
    assert (totals * weights).sum() == pytest.approx(cost, rel=1e-12)


def test_paths_stay_in_a_band_that_stands_still_for_some_rows():
    rng = np.random.default_rng(5)
    series, centre = rng.standard_normal((1, 8, 1)), rng.standard_normal((4, 1))
    ranges = np.array([[0, 0, 1, 1, 1, 2, 3, 3], [1, 2, 2, 2, 3, 4, 4, 4]])
    sums, shares = np.zeros((4, 1)), np.zeros(4)
    totals = laid_on_centre(series.ravel(), np.zeros(1, np.int64), np.ones(1), centre, ranges, sums, shares)
    assert totals[0] == pytest.approx(naive.band_total(series[0], centre, ranges), rel=1e-12)
    allowed = [sum(low <= j < high for low, high in ranges.T) for j in range(4)]
    assert (shares <= allowed).all()


def test_ties_go_to_the_diagonal_then_to_the_series_then_to_the_centre():
    shares = np.zeros(2)
    ranges = np.array([[0, 0, 0, 0], [2, 2, 2, 2]])
    laid_on_centre(
        np.zeros(4), np.zeros(1, np.int64), np.ones(1), np.zeros((2, 1)), ranges, np.zeros((2, 1)), shares
    )
    assert shares.tolist() == [3.0, 1.0]  # as warping_path(zeros((4, 2))): (0, 0) (1, 0) (2, 0) (3, 1)

"""align/warping/bounds.py: no bound exceeds the distance; Keogh's is tslearn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.bounds import columns_of_rows, lb_improved, lb_keogh, warping_envelope
from align.warping.collection import band_rows
from align.warping.pairwise import dtw_pairwise

BANDS = [None, Band("sakoe-chiba", 0), Band("sakoe-chiba", 3), Band("sakoe-chiba", 0.3), Band("itakura", 2.0)]


@given(st.integers(0, 2**32 - 1), st.sampled_from(BANDS))
def test_keogh_at_most_improved_at_most_the_distance(seed, band):
    rng = np.random.default_rng(seed)
    n, d = rng.integers(2, 20), rng.integers(1, 3)
    a, b = rng.standard_normal((2, n, d)).cumsum(axis=1)
    distance = dtw_pairwise([a], [b], band=band)[0, 0]
    keogh, improved = lb_keogh(a, b, band=band), lb_improved(a, b, band=band)
    assert 0 <= keogh <= improved <= distance * (1 + 1e-12)


@given(st.integers(2, 15), st.integers(2, 15))
def test_bounds_hold_for_unequal_lengths(n, m):
    rng = np.random.default_rng(n * 16 + m)
    a, b = rng.standard_normal(n), rng.standard_normal(m)
    for band in (None, Band("sakoe-chiba", 16)):
        assert (
            lb_keogh(a, b, band=band)
            <= lb_improved(a, b, band=band)
            <= dtw_pairwise([a], [b], band=band)[0, 0]
        )


@pytest.mark.parametrize("radius", [0, 1, 4, 30])
def test_keogh_equals_tslearns(radius):
    from tslearn.metrics import lb_keogh as reference

    rng = np.random.default_rng(radius)
    a, b = rng.standard_normal((2, 25)).cumsum(axis=1)
    band = Band("sakoe-chiba", min(radius, 25))
    assert lb_keogh(a, b, band=band) == pytest.approx(reference(a, b, radius=radius), rel=1e-12)


def test_series_is_within_its_own_envelope():
    series = np.random.default_rng(0).standard_normal((20, 2))
    lower, upper = warping_envelope(series, band=Band("sakoe-chiba", 2))
    assert ((lower <= series) & (series <= upper)).all()
    assert lb_keogh(series, series) == lb_improved(series, series) == 0


@pytest.mark.parametrize(("n", "m"), [(9, 9), (9, 4), (4, 9)])
def test_columns_of_rows_turns_the_band_around(n, m):
    ranges = band_rows(n, m, Band("sakoe-chiba", 6))
    allowed = np.array([(low <= np.arange(m)) & (np.arange(m) < high) for low, high in ranges.T])
    turned = columns_of_rows(ranges, m)
    np.testing.assert_array_equal(
        allowed.T, [(low <= np.arange(n)) & (np.arange(n) < high) for low, high in turned.T]
    )


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf], [[[0.0]]], ["x"], [1e200], [[0.0, 1.0]]])
def test_what_has_no_bound_is_refused(bad):
    with pytest.raises(ParameterError):
        lb_keogh([0.0], bad)

"""align/features/scaling.py: medians and quartiles, whatever the column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.features.scaling import robust_location_scale, robust_scaled


def test_a_normal_sample_has_its_own_mean_and_deviation():
    values = np.random.default_rng(0).normal(3.0, 2.0, (20_000, 1))
    shift, scale = robust_location_scale(values)
    assert shift[0] == pytest.approx(3.0, abs=0.05) and scale[0] == pytest.approx(2.0, rel=0.03)


def test_V10_spikes_do_not_count():
    values = np.random.default_rng(0).normal(0.0, 1.0, (2000, 1))
    spiked = values.copy()
    spiked[::50] = 1e12
    (shift,), (scale,) = robust_location_scale(spiked)
    assert abs(shift) < 0.1 and scale == pytest.approx(1.0, rel=0.1)
    assert robust_scaled(spiked).max() == 8.0


def test_V03_flat_half_flat_and_missing_columns():
    values = np.zeros((10, 4))
    values[:2, 1] = [1.0, 3.0]  # the quartiles are equal: the standard deviation steps in
    values[:, 2] = np.nan
    values[:, 3] = 7.0
    values[0, 3] = np.inf
    shift, scale = robust_location_scale(values)
    assert shift.tolist() == [0.0, 0.0, 0.0, 7.0]
    np.testing.assert_allclose(scale, [1.0, values[:, 1].std(), 1.0, 1.0])


@given(
    st.lists(st.floats(-100, 100), min_size=4, max_size=30, unique=True),
    st.floats(-50, 50),
    st.floats(0.1, 10),
)
def test_units_and_offsets_do_not_matter(values, shift, factor):
    column = np.asarray(values)[:, None]
    if np.ptp(np.quantile(column, [0.25, 0.75])) < 1e-3:
        return
    np.testing.assert_allclose(
        robust_scaled(factor * column + shift), robust_scaled(column), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("unit", [1e-15, 1e-6, 1e9])
def test_V06_no_unit_is_too_small(unit):
    values = np.random.default_rng(0).normal(0.0, 1.0, (100, 1))
    np.testing.assert_allclose(
        robust_location_scale(unit * values)[1], unit * robust_location_scale(values)[1]
    )
    flat = 1e8 + np.array([[0.0], [1.5e-8], [0.0], [1.5e-8]])  # equal but for rounding
    assert robust_location_scale(flat)[1].tolist() == [1.0]


def test_missing_stays_missing_and_a_least_scale_holds_noise_down():
    values = np.array([[1.0], [np.nan], [1.001], [0.999], [1.002]])
    assert np.isnan(robust_scaled(values)[1, 0])
    assert np.nanmax(np.abs(robust_scaled(values))) > 0.5
    assert np.nanmax(np.abs(robust_scaled(values, least=0.1))) < 0.02
    assert robust_scaled(values, limit=0.25).dtype == np.float32
    assert np.nanmax(robust_scaled(values, limit=0.25)) == 0.25

"""align/kernels/frames.py against plain loops: missing cells, flat and one-sample windows, large offsets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels.frames import N_STATISTICS, band_powers, window_statistics
from tests import naive

MEAN, SD, LOW, HIGH, SLOPE, STEP = range(N_STATISTICS)


@st.composite
def signals(draw):
    """A signal with missing cells and windows into it: (values, first, last)."""
    n, c = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    cell = st.one_of(st.just(float("nan")), st.floats(-50.0, 50.0, width=32))
    values = np.array(draw(st.lists(st.lists(cell, min_size=c, max_size=c), min_size=n, max_size=n)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(1, n)), max_size=5))
    first = np.array([min(a, b - 1) for a, b in pairs], np.int64)
    last = np.array([b for _, b in pairs], np.int64)
    return values.astype(dtype), first, last


@given(signals())
def test_statistics_equal_their_twin(signal):
    np.testing.assert_allclose(
        window_statistics(*signal), naive.window_statistics(*signal), rtol=1e-9, atol=1e-9
    )


@given(signals(), st.integers(0, 4))
def test_powers_equal_their_twin(signal, room):
    values, first, last = signal
    length = int((last - first).max(initial=1)) + room  # windows at the edge of a run are shorter
    rng = np.random.default_rng(room)
    tables = rng.normal(size=(2, length, 3))
    got = band_powers(values, first, last, *tables)
    np.testing.assert_allclose(got, naive.band_powers(values, first, last, *tables), rtol=1e-9, atol=1e-7)


def windows(n, length):
    first = np.arange(0, n - length + 1, dtype=np.int64)
    return first, first + length


def test_a_line_has_its_slope_and_a_flat_one_none():
    t = np.arange(20.0)
    values = np.column_stack([3.0 - 0.5 * t, np.full(20, 7.0)])
    out = window_statistics(values, *windows(20, 5))
    np.testing.assert_allclose(out[:, 0, SLOPE], -0.5)
    np.testing.assert_allclose(out[:, 0, STEP], 0.5)
    assert (out[:, 1, [SD, SLOPE, STEP]] == 0.0).all()
    assert (out[:, 1, [MEAN, LOW, HIGH]] == 7.0).all()


def test_the_slope_of_a_line_with_missing_cells_is_still_its_slope():
    line = (2.0 * np.arange(10.0))[:, None]
    line[[0, 1, 2, 5]] = np.nan
    out = window_statistics(line, np.array([0]), np.array([10]))
    assert out[0, 0, SLOPE] == pytest.approx(2.0)
    assert out[0, 0, STEP] == pytest.approx(2.0)  # only between neighbours


def test_V02_one_sample_and_no_sample():
    values = np.array([[np.nan, 5.0], [np.nan, np.nan]])
    out = window_statistics(values, np.array([0, 1]), np.array([1, 2]))
    assert np.isnan(out[:, 0]).all() and np.isnan(out[1, 1]).all()
    assert out[0, 1].tolist() == [5.0, 0.0, 5.0, 5.0, 0.0, 0.0]
    tables = np.ones((1, 2)), np.ones((1, 2))
    power = band_powers(values, np.array([0, 1]), np.array([1, 2]), *tables)
    assert power[0, 1].tolist() == [0.0, 0.0]
    assert np.isnan(power[:, 0]).all() and np.isnan(power[1, 1]).all()


@pytest.mark.parametrize("offset", [1e5, 1e8, -1e8])
def test_V06_an_offset_changes_the_mean_and_nothing_else(offset):
    signal = np.random.default_rng(1).normal(size=(200, 2))
    signal = (signal + offset) - offset  # what float64 keeps of it beside the offset
    at = windows(200, 50)
    moved, still = window_statistics(signal + offset, *at), window_statistics(signal, *at)
    np.testing.assert_allclose(
        moved[..., [SD, SLOPE, STEP]], still[..., [SD, SLOPE, STEP]], rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(
        moved[..., [MEAN, LOW, HIGH]] - offset, still[..., [MEAN, LOW, HIGH]], atol=1e-6
    )
    tables = np.random.default_rng(2).normal(size=(2, 50, 4))
    np.testing.assert_allclose(
        band_powers(signal + offset, *at, *tables), band_powers(signal, *at, *tables), rtol=1e-5, atol=1e-6
    )


def test_no_windows():
    none = np.zeros(0, np.int64)
    assert window_statistics(np.ones((3, 2)), none, none).shape == (0, 2, N_STATISTICS)
    assert band_powers(np.ones((3, 2)), none, none, np.ones((1, 5)), np.ones((1, 5))).shape == (0, 2, 5)

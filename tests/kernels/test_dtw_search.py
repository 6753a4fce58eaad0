"""align/kernels/dtw_search.py: envelopes, windows and bounds against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels.dtw_search import band_bounds, envelope, improved_bounds, keogh_bounds, window_bounds
from tests import naive

SEEDS = st.integers(0, 2**32 - 1)


def any_ranges(rng, rows, n):
    low = np.sort(rng.integers(0, n, rows))
    high = np.sort(rng.integers(1, n + 1, rows))
    return np.stack([low, np.maximum(high, low + 1)])


@given(SEEDS)
def test_envelope_equals_the_twins(seed):
    rng = np.random.default_rng(seed)
    n, rows, d = rng.integers(1, 12), rng.integers(1, 12), rng.integers(1, 4)
    series, ranges = rng.integers(-3, 4, (n, d)).astype(float), any_ranges(rng, rows, n)
    np.testing.assert_array_equal(envelope(series, ranges), naive.around(series, ranges))


@given(SEEDS)
def test_bounds_equal_the_twins(seed):
    rng = np.random.default_rng(seed)
    length, m, d, n = rng.integers(1, 12), rng.integers(1, 12), rng.integers(1, 3), rng.integers(1, 5)
    query, candidates = rng.standard_normal((m, d)), rng.standard_normal((n, length, d))
    edges = naive.around(query, any_ranges(rng, length, m))
    ranges = any_ranges(rng, m, length)
    around, flat = edges.reshape(2, -1), candidates.reshape(n, -1)
    expected = [naive.ways_into(one, edges) for one in candidates]
    np.testing.assert_allclose(keogh_bounds(flat, around[0], around[1]), expected, rtol=1e-12, atol=1e-12)
    norms = np.column_stack([rng.standard_normal(n), rng.random(n)])
    shaped = (candidates - norms[:, 0, None, None]) * norms[:, 1, None, None]
    expected = []
    for one in shaped:
        clipped = np.clip(one, edges[0], edges[1])
        expected.append(naive.ways_into(one, edges) + naive.ways_into(query, naive.around(clipped, ranges)))
    found = improved_bounds(flat.ravel(), np.arange(n) * length, norms, query, around, ranges)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@given(SEEDS)
def test_bounds_one_by_one_equal_those_side_by_side(seed):
    """Any reach, more candidates than are fetched at a time, rows that run out on either side."""
    rng = np.random.default_rng(seed)
    m, d, n = rng.integers(1, 40), rng.integers(1, 4), rng.integers(1, 40)
    length = m + rng.integers(0, 4)
    before, after = rng.integers(0, m + 3), length - m + rng.integers(0, m + 3)
    rows = np.arange(m)
    ranges = np.stack([np.clip(rows - before, 0, length), np.clip(rows + after + 1, 0, length)])
    query, flat = rng.standard_normal((m, d)), rng.standard_normal(3 * n * length * d)
    starts = rng.integers(0, 2 * n * length + 1, n)
    around = naive.around(query, any_ranges(rng, length, m)).reshape(2, -1)
    norms = np.column_stack([rng.standard_normal(n), rng.random(n)])[: n if seed % 2 else 1]
    expected = improved_bounds(flat, starts, norms, query, around, ranges)
    found = band_bounds(flat, starts, norms, query, around, before, after)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_shows_in_the_bound(bad):
    table = np.zeros((3, 40))
    table[1, 7] = bad
    with np.errstate(invalid="ignore"):  # says so only with JIT off
        found = keogh_bounds(table, np.full(40, -1.0), np.full(40, 1.0))
    assert np.isfinite(found).tolist() == [True, False, True]


@pytest.mark.parametrize("n_windows", [1, 5, 70])
def test_windows_equal_the_twins(n_windows):
    rng = np.random.default_rng(n_windows)
    m = 4
    series = 1e6 + rng.standard_normal(n_windows + m - 1)
    series[:m] = 0.1  # constant, and no binary fraction
    lower, upper = np.sort(rng.standard_normal((2, m)), axis=0)
    norms, bounds = window_bounds(series, lower, upper)
    windows = [naive.normalised(series[i : i + m]) for i in range(n_windows)]
    shaped = [(series[i : i + m] - norms[i, 0]) * norms[i, 1] for i in range(n_windows)]
    np.testing.assert_allclose(shaped, windows, atol=1e-8)
    assert norms[0].tolist() == [0.1, 0.0]
    expected = [naive.ways_into(one, (lower, upper)) for one in windows]
    np.testing.assert_allclose(bounds, expected, rtol=1e-7, atol=1e-7)

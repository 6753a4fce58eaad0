"""align/kernels/soft_dtw.py: against the definition and its twin, at every size that lanes and strips tell apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from align.kernels.soft_dtw import power_of_fraction, power_of_two, soft_dtw_costs, soft_dtw_series
from tests import naive

SIZES = [(1, 1), (1, 9), (9, 1), (2, 3), (7, 8), (8, 8), (9, 10), (17, 12), (12, 31), (33, 16)]
NONE = np.zeros((0, 0, 0))


def of_costs(cost, gamma, size=None):
    losses, expected = np.zeros(1), np.zeros((1, *cost.shape))
    soft_dtw_costs(cost[None].copy(), np.array([size or cost.shape]), gamma, losses, expected)
    return losses[0], expected[0]


def of_series(x, y, gamma):
    losses, grad_x, grad_y = np.zeros(1), np.zeros((1, *x.shape)), np.zeros((1, *y.shape))
    soft_dtw_series(
        x[None].copy(), y[None].copy(), np.array([[len(x), len(y)]]), gamma, losses, grad_x, grad_y
    )
    return losses[0], grad_x[0], grad_y[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 3), (4, 2), (4, 4)])
@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
def test_loss_is_the_smooth_minimum_over_all_paths(shape, gamma):
    cost = np.random.default_rng(1).normal(size=shape)
    assert of_costs(cost, gamma)[0] == pytest.approx(
        naive.soft_dtw_of_paths(cost, gamma), rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize("gamma", [1e-3, 0.3, 50.0])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_costs_equal_the_twin(n, m, gamma):
    cost = np.random.default_rng(n + 100 * m).normal(size=(n, m)) * 3.0
    loss, expected = of_costs(cost, gamma)
    want, shares = naive.soft_dtw(cost, gamma)
    assert loss == pytest.approx(want, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(expected, shares, atol=1e-10 / min(gamma, 1.0))
    assert expected[0, 0] == pytest.approx(1.0, abs=1e-12)
    assert expected[-1, -1] == 1.0


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_series_equal_their_costs(n, m, d):
    rng = np.random.default_rng(n + 100 * m + d)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    steps = x[:, None] - y[None]
    loss, expected = naive.soft_dtw((steps**2).sum(axis=2), 0.7)
    pull = 2.0 * expected[:, :, None] * steps
    got, grad_x, grad_y = of_series(x, y, 0.7)
    assert got == pytest.approx(loss, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(grad_x, pull.sum(axis=1), atol=1e-10)
    np.testing.assert_allclose(grad_y, -pull.sum(axis=0), atol=1e-10)


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="a strip of 512 rows takes a minute as plain Python")
@pytest.mark.parametrize(("n", "m"), [(513, 530), (1030, 1025), (512, 700), (300, 140)])
def test_sides_longer_than_a_strip_and_diagonals_longer_than_a_renewal(n, m):
    cost = np.random.default_rng(n).normal(size=(n, m)) * 2.0
    loss, expected = of_costs(cost, 0.5)
    want, shares = naive.soft_dtw(cost, 0.5)
    assert loss == pytest.approx(want, rel=1e-11)
    np.testing.assert_allclose(expected, shares, atol=1e-8)


def test_only_the_rows_and_columns_that_count_are_read():
    cost = np.random.default_rng(3).normal(size=(14, 11))
    want = of_costs(cost[:9, :10], 1.0)
    cost[9:] = cost[:, 10:] = np.nan
    loss, expected = of_costs(cost, 1.0, (9, 10))
    assert loss == want[0]
    np.testing.assert_array_equal(expected[:9, :10], want[1])
    assert not expected[9:].any() and not expected[:, 10:].any()


def test_without_gradients_the_loss_is_the_same():
    rng = np.random.default_rng(4)
    x, y, sizes = rng.normal(size=(2, 20, 2)), rng.normal(size=(2, 13, 2)), np.array([[20, 13], [11, 12]])
    losses, again = np.zeros(2), np.zeros(2)
    soft_dtw_series(x, y, sizes, 0.4, losses, np.zeros_like(x), np.zeros_like(y))
    soft_dtw_series(x, y, sizes, 0.4, again, NONE, NONE)
    np.testing.assert_array_equal(losses, again)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_huge_and_tiny_costs_keep_their_relative_error(scale):
    cost = np.random.default_rng(5).random((12, 15)) * scale
    assert of_costs(cost, 1e-3 * scale)[0] == pytest.approx(naive.soft_dtw(cost, 1e-3 * scale)[0], rel=1e-10)
    assert of_costs(cost * 1e20, scale)[0] == pytest.approx(naive.dtw_totals(cost)[-1, -1] * 1e20, rel=1e-12)


@given(st.floats(-0.5, 0.5))
def test_power_of_fraction_errs_by_two_units_at_most(f):
    plain = getattr(power_of_fraction, "py_func", power_of_fraction)
    assert abs(plain(f) / np.exp2(np.longdouble(f)) - 1.0) <= 4.5e-16


@pytest.mark.parametrize(
    ("exponent", "power"), [(0.0, 1.0), (-1.0, 0.5), (-1022.0, 2.0**-1022), (-1e200, 0.0)]
)
def test_power_of_two_is_exact_and_ends_in_zero(exponent, power):
    plain = getattr(power_of_two, "py_func", power_of_two)
    assert plain(exponent) == power

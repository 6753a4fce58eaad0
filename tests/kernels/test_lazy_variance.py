"""Changes in mean and variance: never worse than dynamic programming without pruning, on any signal."""

from __future__ import annotations

import math
import os
import platform
import re
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import align.kernels.lazy_variance as lazy_variance_module
from align.kernels.lazy_variance import BACK, FRONT, lazy_variance
from align.kernels.variance import variance_changes, variance_costs, variance_rounding, variance_sums
from tests.naive import least_variance_cost, variance_cost

EXAMPLES = int(os.environ.get("ALIGN_TEST_EXAMPLES", "100"))
compiled_only = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")


def table_of(values):
    """The table of values in whose units the variance's floor is 1."""
    d = values.shape[1]
    return variance_sums(values, values.mean(axis=0), np.ones(d), FRONT, BACK)


def solve(values, penalty, min_size):
    """Change points by the kernels, as the segmentation stage calls them."""
    table = table_of(values)
    price = lazy_variance(table, FRONT, len(values), penalty, min_size)
    return variance_changes(table, price, FRONT, len(values), penalty, min_size)


def total_cost(values, changes, penalty):
    edges = [0, *(int(c) for c in changes), len(values)]
    return sum(float(variance_cost(values, a, b)) for a, b in pairwise(edges)) + penalty * len(changes)


def signal(kind: str, n: int, d: int, seed: int):
    """Signals that pruning rules get wrong: steps of mean and spread, ties, flat lines, drifts, spikes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, d))
    length = int(rng.choice([5, 20, 60]))
    many = n // length + 1
    levels = np.repeat(rng.normal(0, 4, (many, d)), length, axis=0)[:n]
    spreads = np.repeat(np.exp(rng.normal(0, 1.5, (many, d))), length, axis=0)[:n]
    return {
        "noise": noise,
        "levels": levels + noise,
        "spreads": spreads * noise,
        "both": levels + spreads * noise,
        "exact levels": levels,
        "integers": rng.integers(-2, 3, (n, d)).astype(float),
        "flat": np.zeros((n, d)),
        "half flat": noise * (spreads > 1),
        "ramp": np.linspace(0, rng.uniform(-10, 10), n)[:, None] + 0.3 * noise,
        "growing": noise * np.exp(np.linspace(0, rng.uniform(-4, 4), n))[:, None],
        "walk": noise.cumsum(axis=0),
        "spikes": noise + 50.0 * (rng.random((n, d)) < 0.02),
        "heavy": rng.standard_t(2, (n, d)),
    }[kind]


KINDS = (
    *("noise", "levels", "spreads", "both", "exact levels", "integers", "flat"),
    *("half flat", "ramp", "growing", "walk", "spikes", "heavy"),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 400),
    d=st.sampled_from([1, 2, 3]),
    min_size=st.integers(1, 45),
    penalty=st.sampled_from([0.0, 0.3, 3.0, 12.0, 25.0, 60.0]),
    unit=st.sampled_from([1000.0, 10.0, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_never_worse_than_dynamic_programming(kind, n, d, min_size, penalty, unit, seed):
    n = max(n, min_size)
    values = unit * signal(kind, n, d, seed)
    changes = solve(values, penalty, min_size)
    assert (np.diff([0, *changes, n]) >= min_size).all()
    least = least_variance_cost(values, penalty, min_size)
    assert total_cost(values, changes, penalty) == pytest.approx(least, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("min_size", [1, 2, 3])
def test_the_naive_twin_is_the_minimum_over_all_segmentations(min_size):
    values = np.random.default_rng(min_size).normal(0, 3, (8, 2))
    every = [
        total_cost(values, changes, 1.5)
        for k in range(8)
        for changes in combinations(range(1, 8), k)
        if (np.diff([0, *changes, 8]) >= min_size).all()
    ]
    assert least_variance_cost(values, 1.5, min_size) == pytest.approx(min(every))


def test_the_cost_is_the_least_over_means_and_variances_above_the_floor():
    for scale in (0.2, 1.0, 5.0):
        x = scale * np.random.default_rng(3).normal(size=40)
        means, variances = x.mean() + np.linspace(-1, 1, 81), np.exp(np.linspace(0, 5, 4001))
        squares = ((x[:, None] - means) ** 2).sum(axis=0)
        every = squares[:, None] / variances + 40 * np.log(variances) - 40
        assert variance_cost(x[:, None], 0, 40) == pytest.approx(every.min(), abs=1e-4)
        assert every.min() >= variance_cost(x[:, None], 0, 40)


@given(kind=st.sampled_from(KINDS), cut=st.integers(1, 59), seed=st.integers(0, 1000))
def test_no_split_raises_the_cost(kind, cut, seed):
    """Superadditivity, on which every bound stands; a variance that is merely clipped does not have it."""
    table = table_of(signal(kind, 60, 2, seed))
    ends = FRONT + np.array([[0, 60], [0, cut], [cut, 60]])
    whole, left, right = variance_costs(table, ends[:, 0].copy(), ends[:, 1].copy())
    assert whole >= left + right - 1e-9


def test_costs_are_the_definition():
    values = 2.0 * signal("both", 300, 2, 5)
    starts, ends = np.array([0, 0, 10, 299, 120]), np.array([300, 1, 12, 300, 260])
    expected = [variance_cost(values, a, b) for a, b in zip(starts, ends, strict=True)]
    np.testing.assert_allclose(variance_costs(table_of(values), FRONT + starts, FRONT + ends), expected, 1e-9)


def test_sums_are_right_to_one_rounding_on_a_far_offset():
    """100,000 samples of noise on an offset 1e8 times as large: no entry loses a digit."""
    values = np.random.default_rng(0).normal(size=(100_000, 1)) + 1e8
    shift = values.mean(axis=0)
    y = (values - shift)[:, 0]
    table = variance_sums(values, shift, np.ones(1), 3, 2)
    assert table.shape == (2, 100_006)
    assert (table[:, :4] == 0).all() and (table[:, -3:] == table[:, [-3]]).all()
    for row, terms in zip(table, (y, y * y), strict=True):
        for end in (1, 2, 70, 9_999, 65_537, 100_000):
            assert row[3 + end] == pytest.approx(math.fsum(terms[:end].tolist()), rel=2.0**-52, abs=1e-16)


def test_sums_shift_scale_and_read_float32():
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    y = (values - [1.0, 2.0]) * [2.0, 0.0]
    table = variance_sums(values, np.array([1.0, 2.0]), np.array([2.0, 0.0]), 0, 0)
    np.testing.assert_allclose(table[:, 1:], np.hstack([y, y * y]).cumsum(axis=0).T)


def test_an_offset_of_1e8_times_the_noise_changes_nothing():
    values = np.round(8 * signal("both", 400, 2, 1)) / 8  # so that the offset itself loses nothing
    assert solve(1e8 + values, 30.0, 2).tolist() == solve(values, 30.0, 2).tolist() != []


@pytest.mark.parametrize("far", [1e3, 1e5, 1e7])
def test_rounding_stays_within_what_is_stated(far):
    """Levels ``far`` apart: the difference of large sums has lost digits, and how many at most is known."""
    values = signal("noise", 4000, 1, 2) + far * (np.arange(4000) // 500 % 2)[:, None]
    table = table_of(values)
    starts = np.arange(0, 3990, 7)
    ends = starts + 2 + np.arange(len(starts)) % 9
    exact = [float(variance_cost(values - values.mean(), a, b)) for a, b in zip(starts, ends, strict=True)]
    off = np.abs(variance_costs(table, FRONT + starts, FRONT + ends) - exact).max()
    assert off <= variance_rounding(table)[0] < 3e-10 * far**2


def test_a_scale_divides_the_rounding_by_its_square():
    values = signal("both", 500, 2, 3)
    rounding = variance_rounding(table_of(values))
    np.testing.assert_allclose(variance_rounding(table_of(values / 8.0)), rounding / 64.0)
    assert (variance_rounding(table_of(0.0 * values)) == 0).all()


@compiled_only
@pytest.mark.parametrize("kind", ["noise", "both", "growing"])
def test_a_long_signal_with_deep_bounds(kind):
    """2,200 samples: the tree has two levels that are complete and one that is not."""
    values = 100.0 * signal(kind, 2200, 1, 7)
    changes = solve(values, 30.0, 2)
    least = least_variance_cost(values, 30.0, 2)
    assert total_cost(values, changes, 30.0) == pytest.approx(least, rel=1e-10)


@compiled_only
def test_logarithms_keep_what_they_promise():
    numba = pytest.importorskip("numba")
    exact, below = lazy_variance_module._log, lazy_variance_module._log_below

    @numba.njit
    def both(x):
        out = np.empty((2, len(x)))
        for i in range(len(x)):
            out[0, i], out[1, i] = exact(x[i]), below(x[i])
        return out

    x = np.concatenate([np.linspace(1, 4, 100_001), np.exp(np.linspace(0, 700, 100_001))])
    true = np.log(x.astype(np.longdouble))
    precise, low = both(x)
    assert (np.abs(precise - true) <= 1.2e-15 * true).all()
    assert (low <= true).all() and (low >= true - 2e-5).all()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks for x86 instructions")
@compiled_only
def test_the_hot_loops_are_vectorised():
    """A numba or LLVM that silently went back to scalars would be several times slower."""
    numba = pytest.importorskip("numba")
    floats, table, ints = numba.float64[::1], numba.float64[:, ::1], numba.int64[::1]
    hot = {
        "_costs": numba.void(table, numba.int64, table, numba.int64, floats, floats),
        "_newborn_wins": numba.int64(table, floats, table, ints),
    }
    for name, signature in hot.items():
        options = {"fastmath": {"contract"}, "error_model": "numpy"}
        compiled = numba.njit(signature, **options)(getattr(lazy_variance_module, name).py_func)
        code = "".join(compiled.inspect_asm().values())
        assert re.search(r"v?subpd.*[xyz]mm", code) and re.search(r"v?f?n?m\w*pd.*[xyz]mm", code), name

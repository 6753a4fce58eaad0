"""Functional pruning: the same optimum as dynamic programming without pruning and as the lazy bounds."""

from __future__ import annotations

import os

import numpy as np
import pytest

from align.kernels.functional import functional_pruning
from align.kernels.lazy_bounds import BACK, front_for, lazy_bounds
from align.kernels.pelt import backtrack, prefix_sums
from tests.naive import least_penalised_cost, penalised_cost

COMPILED = os.environ.get("NUMBA_DISABLE_JIT") != "1"
CASES = 3000 if COMPILED and "ALIGN_TEST_EXAMPLES" not in os.environ else 40


def channel(rng):
    """One of the signals that pruning rules get wrong, of random length."""
    n = int(rng.integers(1, 90))
    noise = rng.normal(size=n)
    steps = np.repeat(rng.normal(0, 4, n), int(rng.integers(1, 12)))[:n]
    drift = np.linspace(0, rng.uniform(-10, 10), n)
    signals = [
        noise,
        steps + noise,
        steps,
        rng.integers(-2, 3, n).astype(float),
        np.zeros(n),
        drift + 0.3 * noise,
        noise.cumsum(),
        1e8 + steps + noise,
        noise + 50.0 * (rng.random(n) < 0.1),
    ]
    return signals[int(rng.integers(len(signals)))]


def prepared(values, min_size):
    front = front_for(min_size)
    table = values[:, None]
    return prefix_sums(table, table.mean(axis=0), np.ones(1), front, BACK), front


def test_never_worse_than_dynamic_programming_and_equal_to_lazy_bounds():
    rng = np.random.default_rng(3)
    n_changed = 0
    for _ in range(CASES):
        values = channel(rng)
        n, min_size = len(values), int(rng.integers(1, 21))
        penalty = float(rng.choice([0.0, 0.3, 3.0, 12.0, 60.0]))
        if n < min_size:
            continue
        sums, front = prepared(values, min_size)
        price = functional_pruning(sums, front, n, penalty, min_size)
        changes = backtrack(sums, price, front, n, penalty, min_size)
        assert (np.diff([0, *changes, n]) >= min_size).all()
        least = least_penalised_cost(values[:, None], penalty, min_size)
        assert penalised_cost(values[:, None], changes, penalty) == pytest.approx(least, rel=1e-9, abs=1e-7)
        lazy = lazy_bounds(sums, front, n, penalty, min_size)[: front + n + 1]
        np.testing.assert_allclose(price[front:], lazy[front:], rtol=1e-9, atol=1e-7)
        n_changed += len(changes) > 0
    assert n_changed > CASES / 4


def test_more_levels_than_the_first_row_holds():
    """A steep ramp keeps many candidates at once: the rows grow."""
    n = 3000 if COMPILED else 400
    values = np.linspace(0, 40, n) + 0.01 * np.random.default_rng(0).normal(size=n)
    sums, front = prepared(values, 1)
    price = functional_pruning(sums, front, n, 1e4, 1)
    lazy = lazy_bounds(sums, front, n, 1e4, 1)
    np.testing.assert_allclose(price[front:], lazy[front : front + n + 1], rtol=1e-9, atol=1e-6)

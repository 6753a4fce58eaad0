"""Robust searches and costs: exact against their definitions, with any minimum length and any ties."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import pytest

from align.kernels.robust import robust_changes
from align.kernels.robust_sums import robust_costs
from tests.naive import least_robust_cost, least_total

COMPILED = os.environ.get("NUMBA_DISABLE_JIT") != "1"
FEW = not COMPILED or "ALIGN_TEST_EXAMPLES" in os.environ
LOSSES = pytest.mark.parametrize("biweight", [False, True], ids=["huber", "biweight"])
THRESHOLDS = [0.5, 1.0, 1.345, 3.0, 10.0]


def channel(rng, n):
    """Signals with outliers, ties, samples exactly K apart, flat stretches and drifts."""
    noise = rng.normal(size=n)
    steps = np.repeat(rng.normal(0, 6, n), 6)[:n]
    signals = [
        noise,
        rng.integers(-3, 4, n).astype(float),
        rng.standard_t(1.2, n),
        steps + noise,
        noise.cumsum(),
        noise + 100.0 * (rng.random(n) < 0.1),
        steps,
        np.round(rng.normal(0, 3, n), 1),
        np.full(n, 2.0),
    ]
    return signals[int(rng.integers(len(signals)))]


@LOSSES
def test_costs_are_the_least_over_all_levels(biweight):
    rng = np.random.default_rng(1)
    for _ in range(30 if FEW else 300):
        n = int(rng.integers(1, 16))
        values, threshold = channel(rng, n), float(rng.choice(THRESHOLDS))
        cost = robust_costs(values[:, None], np.array([0]), np.array([n]), threshold, biweight)[0]
        assert cost == pytest.approx(least_robust_cost(values, threshold, biweight), rel=1e-10, abs=1e-10)


@LOSSES
def test_costs_do_not_depend_on_what_was_asked_before(biweight):
    """Segments that differ little from the one before are put in order sample by sample: any walk agrees."""
    rng = np.random.default_rng(2)
    n = 300
    values = np.column_stack([channel(rng, n), channel(rng, n)])
    grow = [(40, e) for e in range(60, 200, 3)]
    shrink = [(s, 250) for s in range(100, 249)]
    jump = [tuple(sorted(rng.choice(n + 1, 2, replace=False))) for _ in range(60)]
    back = [(0, 9), (0, 7), (0, 7), (0, 8), (3, 8), (2, 8), (7, 8), (0, n), (1, n)]
    asked = np.array(grow + shrink + jump + back, np.int64)
    together = robust_costs(values, asked[:, 0].copy(), asked[:, 1].copy(), 1.0, biweight)
    alone = [
        sum(
            robust_costs(values[s:e, [c]].copy(), np.array([0]), np.array([e - s]), 1.0, biweight)[0]
            for c in (0, 1)
        )
        for s, e in asked.tolist()
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-12)


def optimum(values, penalty, min_size, threshold, biweight):
    """Least total by dynamic programming without pruning over costs that the test above holds to account."""
    n = len(values)
    table = np.zeros((n, n + 1))
    for s in range(n):
        ends = np.arange(s + 1, n + 1)
        table[s, s + 1 :] = robust_costs(values[:, None], np.full(n - s, s), ends, threshold, biweight)
    return least_total(lambda s, t: table[s, t], n, penalty, min_size), table


@LOSSES
def test_never_worse_than_dynamic_programming(biweight):
    rng = np.random.default_rng(3)
    n_changed = n_cases = 0
    for _ in range(25 if FEW else 1200):
        min_size = int(rng.integers(1, 21 if rng.random() < 0.5 else 4))
        n = int(rng.integers(min_size, 25 if FEW else 60))
        values, threshold = channel(rng, n), float(rng.choice(THRESHOLDS))
        penalty = float(rng.choice([0.0, 0.3, 3.0, 8.0, 20.0]))
        changes = robust_changes(values, penalty, min_size, threshold, biweight)
        edges = [0, *changes.tolist(), n]
        assert (np.diff(edges) >= min_size).all()
        least, table = optimum(values, penalty, min_size, threshold, biweight)
        total = sum(table[s, t] for s, t in pairwise(edges)) + penalty * len(changes)
        assert total == pytest.approx(least, rel=1e-10, abs=1e-10)
        n_cases += 1
        n_changed += len(changes) > 0
    assert n_changed > n_cases / 4


@LOSSES
def test_a_signal_with_many_pieces(biweight):
    """Long noise and one step: the rows grow, and the one change is found where it is."""
    n = 6000 if not FEW else 300
    values = np.random.default_rng(4).normal(size=n)
    values[n // 2 :] += 3.0
    changes = robust_changes(values, 2 * np.log(n), 5, 1.0, biweight)
    assert len(changes) == 1 and abs(int(changes[0]) - n // 2) <= 8


@LOSSES
def test_a_segment_that_only_touches_the_level_of_the_new_one(biweight):
    """Two samples 2 K apart cost most at all levels but one, where the old parabola meets the new constant."""
    values = np.array([3.0, -3.0, 2.0, 2.0])
    assert robust_changes(values, 0.0, 2, 3.0, biweight).tolist() == [2]


@pytest.mark.parametrize("far", [1e6, -1e12, 1e16])
def test_the_way_to_a_far_outlier_carries_no_rounding(far):
    """Between the samples and an outlier every biweight loss is K^2: nothing left over may add up on the way."""
    rng = np.random.default_rng(7)
    for _ in range(5 if FEW else 30):
        min_size = int(rng.integers(2, 8))
        values = channel(rng, int(rng.integers(min_size, 30)))
        values[rng.integers(len(values))] = far
        changes = robust_changes(values, 3.0, min_size, 1.345, True)
        least, table = optimum(values, 3.0, min_size, 1.345, True)
        edges = [0, *changes.tolist(), len(values)]
        total = sum(table[s, t] for s, t in pairwise(edges)) + 3.0 * len(changes)
        assert total == pytest.approx(least, rel=1e-10)

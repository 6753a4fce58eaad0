"""One search for every cost that is priced a segment at a time: never worse than without pruning."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.kernels import segment_costs as kernels
from align.segmentation import cost_tables
from tests.naive import least_total_cost, segment_misfit

EXAMPLES = int(os.environ.get("ALIGN_TEST_EXAMPLES", "40"))
compiled_only = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
KINDS = {
    "poisson": (kernels.POISSON, cost_tables.poisson_table),
    "trend": (kernels.TREND, cost_tables.trend_table),
    "ar": (kernels.AUTOREGRESSIVE, cost_tables.autoregressive_table),
    "categorical": (kernels.CATEGORICAL, cost_tables.categorical_table),
    "l1": (kernels.MEDIAN, cost_tables.median_table),
}


def counts(n, d, seed, per_segment=20):
    """Whole numbers >= 0 with changing rates: every kind can be asked about them."""
    rng = np.random.default_rng(seed)
    rates = np.repeat(rng.exponential(3.0, (n // per_segment + 1, d)), per_segment, axis=0)[:n]
    return rng.poisson(rates).astype(float)


def check(name, values, penalty, min_size):
    """The search's segmentation is legal, and costs what un-pruned dynamic programming says is the least."""
    kind, table_of = KINDS[name]
    n, d = values.shape
    table = table_of(values, np.ones(d))

    def cost(starts, t):
        return kernels.segment_costs(kind, *table, starts, np.full(len(starts), t))

    changes = kernels.lazy_changes(kind, *table, n, penalty, min_size)
    edges = np.concatenate([[0], changes, [n]])
    assert (np.diff(edges) >= min_size).all()
    reached = kernels.segment_costs(kind, *table, edges[:-1], edges[1:]).sum() + penalty * len(changes)
    assert reached == pytest.approx(least_total_cost(cost, n, penalty, min_size), rel=1e-9, abs=1e-7)
    return changes


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    n=st.integers(1, 150),
    d=st.integers(1, 3),
    min_size=st.integers(1, 40),
    penalty=st.sampled_from([0.0, 0.5, 3.0, 12.0]),
    seed=st.integers(0, 10_000),
)
def test_never_worse_than_dynamic_programming(name, n, d, min_size, penalty, seed):
    check(name, counts(max(n, min_size), d, seed), penalty, min_size)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_costs_are_their_definitions(name, seed):
    kind, table_of = KINDS[name]
    values = counts(60, 2, seed)
    table = table_of(values, np.ones(2))
    for s, u, t in [(0, 30, 60), (0, 3, 7), (11, 14, 60), (2, 40, 57)]:
        got = kernels.segment_costs(kind, *table, np.array([s, s, u]), np.array([t, u, t]))
        expected = [segment_misfit(name, values, a, b) for a, b in [(s, t), (s, u), (u, t)]]
        assert got[0] - got[1] - got[2] == pytest.approx(expected[0] - expected[1] - expected[2], abs=1e-8)


@compiled_only
@pytest.mark.parametrize("name", KINDS)
def test_a_long_run_with_deep_bounds(name):
    """4,500 samples, three levels of the tree; under some costs with few changes, under others with many."""
    assert len(check(name, counts(4500, 1, 3, per_segment=400), 20.0, 3)) > 3


@compiled_only
def test_rounding_does_not_grow_with_the_length_of_the_run():
    """The last 60 of 300,000 samples cost what they cost by themselves."""
    values = np.random.default_rng(0).normal(size=(300_000, 1)).cumsum(axis=0) * 0.01 + 1e4
    for name in ("trend", "ar", "l1"):
        kind, table_of = KINDS[name]
        table = table_of(values, np.ones(1))
        ends = np.array([300_000, 299_970, 300_000])
        got = kernels.segment_costs(kind, *table, np.array([299_940, 299_940, 299_970]), ends)
        tail = values[-70:]
        expected = [segment_misfit(name, tail, a, b) for a, b in [(10, 70), (10, 40), (40, 70)]]
        assert got[0] - got[1] - got[2] == pytest.approx(expected[0] - expected[1] - expected[2], abs=1e-6)

"""What is called settled is in an optimum whatever comes after; and it is found soon after a change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels.pelt import backtrack, last_settled, pelt, prefix_sums
from align.kernels.settled import last_common
from tests import naive


def priced(values, penalty, least):
    sums = prefix_sums(values, values.mean(axis=0), np.ones(values.shape[1]), 32, 32)
    return sums, pelt(sums, 32, len(values), penalty, least)


@given(
    st.integers(0, 10_000), st.integers(4, 70), st.integers(1, 3), st.integers(1, 6), st.floats(0.5, 30.0),
    st.booleans(),
)  # fmt: skip
def test_a_settled_change_point_stays_whatever_follows(seed, n, d, least, penalty, whole) -> None:
    n = max(n, 2 * least)
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, d)) + np.repeat(rng.normal(0, 3, (n // 12 + 1, d)), 12, axis=0)[:n]
    values = np.round(values) if whole else values
    settled = last_common(*priced(values, penalty, least)[:2], 32, n, penalty, least)
    if not settled:
        return
    level = values[-1]
    follows = [values[:0], np.tile(level, (30, 1)), np.tile(-level, (9, 1)), rng.normal(0, 4, (20, d))]
    for after in follows:
        longer = np.concatenate([values, after])
        whole_cost = naive.least_penalised_cost(longer, penalty, least)
        sides = [naive.least_penalised_cost(side, penalty, least) for side in np.split(longer, [settled])]
        assert sum(sides) + penalty == pytest.approx(whole_cost, abs=1e-7)


def test_a_clear_change_is_settled_within_a_hundred_samples() -> None:
    """PELT's own rule waits for the next change; here the samples after this one are enough."""
    values = np.random.default_rng(3).standard_normal((300, 2))
    values[200:] += 4.0
    sums, price = priced(values, 40.0, 1)
    assert backtrack(sums, price, 32, 300, 40.0, 1).tolist() == [200]
    assert last_common(sums, price, 32, 300, 40.0, 1) == 200
    assert last_settled(sums, price, 32, 300, 40.0, 1) in (0, 200)


def test_nothing_is_settled_where_nothing_changes() -> None:
    values = np.random.default_rng(0).standard_normal((80, 1))
    sums, price = priced(values, 30.0, 2)
    assert last_common(sums, price, 32, 80, 30.0, 2) == 0

"""align/kernels/dtw.py: against the definition and its twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.kernels.dtw import accumulate, local_costs, warping_path
from tests import naive

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
COSTS = SIZES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(0, 5).map(float)))


@given(COSTS)
def test_path_is_monotone_with_unit_steps_from_corner_to_corner(cost):
    total, path = warping_path(cost)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [cost.shape[0] - 1, cost.shape[1] - 1]
    steps = {tuple(step) for step in np.diff(path, axis=0).tolist()}
    assert steps <= {(1, 1), (1, 0), (0, 1)}
    assert cost[path[:, 0], path[:, 1]].sum() == total


@given(COSTS)
def test_totals_equal_the_twins(cost):
    twins = naive.dtw_totals(cost)
    assert warping_path(cost)[0] == twins[-1, -1]
    assert (accumulate(cost) == twins).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 4), (5, 3), (4, 4)])
def test_no_path_is_cheaper(shape):
    cost = np.random.default_rng(7).random(shape)
    cheapest = min(sum(cost[i, j] for i, j in path) for path in naive.every_warping_path(*shape))
    total, path = warping_path(cost)
    assert total == pytest.approx(cheapest, rel=1e-12)
    assert tuple(map(tuple, path.tolist())) in naive.every_warping_path(*shape)


def test_ties_go_to_the_diagonal_then_down_then_right():
    assert warping_path(np.zeros((3, 3)))[1].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert warping_path(np.zeros((4, 2)))[1].tolist() == [[0, 0], [1, 0], [2, 0], [3, 1]]
    cost = np.array([[0.0, 0.0, 9.0], [0.0, 9.0, 0.0], [9.0, 9.0, 0.0]])
    assert warping_path(cost)[1].tolist() == [[0, 0], [0, 1], [1, 2], [2, 2]]


def test_infinite_costs_bar_a_cell():
    cost = np.array([[0.0, 1.0, np.inf], [np.inf, 1.0, 1.0], [np.inf, np.inf, 1.0]])
    assert accumulate(cost).tolist() == [[0, 1, np.inf], [np.inf, 1, 2], [np.inf, np.inf, 2]]


def test_local_costs_are_squared_distances():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(7, 2)), rng.normal(size=(5, 2))
    np.testing.assert_allclose(local_costs(a, b), ((a[:, None] - b[None]) ** 2).sum(axis=2), rtol=1e-12)


def test_overflowed_costs_still_end():
    total, path = warping_path(np.full((3, 2), np.inf))
    assert np.isinf(total)
    assert path[0].tolist() == [0, 0] and path[-1].tolist() == [2, 1]

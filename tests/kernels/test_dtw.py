"""align/kernels/dtw.py: against the definition, its twin and tslearn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.kernels.dtw import dtw_cost_matrix, dtw_total, series_path, warping_path
from tests import naive

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
COSTS = SIZES.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(0, 5).map(float)))


def walk(rng, n, d=1):
    return rng.standard_normal((n, d)).cumsum(axis=0)


@given(COSTS)
def test_path_is_monotone_with_unit_steps_from_corner_to_corner(cost):
    total, path = warping_path(cost)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [cost.shape[0] - 1, cost.shape[1] - 1]
    steps = {tuple(step) for step in np.diff(path, axis=0).tolist()}
    assert steps <= {(1, 1), (1, 0), (0, 1)}
    assert cost[path[:, 0], path[:, 1]].sum() == total


@given(COSTS)
def test_total_equals_the_twins(cost):
    assert warping_path(cost)[0] == naive.dtw_totals(cost)[-1, -1]


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


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (2, 30, 1), (40, 25, 3), (64, 64, 6)])
def test_path_and_distance_equal_tslearns(n, m, d):
    from tslearn.metrics import dtw_path

    rng = np.random.default_rng(n + m)
    a, b = walk(rng, n, d), walk(rng, m, d)
    reference, distance = dtw_path(a, b, be="pytorch")  # its numba path compiles for 12 s
    total, path = series_path(a, b)
    assert path.tolist() == [list(pair) for pair in reference]
    assert np.sqrt(total) == pytest.approx(float(distance), rel=1e-9, abs=1e-9)


def test_the_three_ways_to_the_total_agree_bit_for_bit():
    rng = np.random.default_rng(3)
    a, b = walk(rng, 37, 2), walk(rng, 53, 2)
    cost = dtw_cost_matrix(a, b)
    np.testing.assert_allclose(cost, ((a[:, None] - b[None]) ** 2).sum(axis=2), rtol=1e-12)
    total, path = series_path(a, b)
    again, same = warping_path(cost)
    assert total == again == dtw_total(a, b) == dtw_total(b, a)
    assert path.tolist() == same.tolist()


def test_an_overflowing_total_still_ends():
    a, b = np.array([[1e200], [0.0], [1e200]]), np.array([[-1e200], [1e200]])
    with np.errstate(over="ignore"):  # says so only with JIT off
        total, path = series_path(a, b)
    assert np.isinf(total)
    assert path[0].tolist() == [0, 0] and path[-1].tolist() == [2, 1]

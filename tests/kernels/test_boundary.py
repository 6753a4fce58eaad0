"""How real a boundary is, against the slow twins."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels.boundary import best_split, boundary_effect, coverings, neighbour_votes, segment_scores
from align.metrics.segmentation import covering
from tests import naive


def _edges(random, n, most=3):
    inner = random.choice(np.arange(1, n), size=int(random.integers(0, min(most, n - 1) + 1)), replace=False)
    return np.array([0, *np.sort(inner), n], np.int64)


@given(st.integers(0, 2**31), st.integers(2, 24), st.integers(1, 3))
def test_boundary_effect(seed, n, d):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, d))
    a, b, c = np.sort(random.choice(n + 1, size=3, replace=False)) if n > 2 else (0, 1, 2)
    assert boundary_effect(rows, a, b, c) == pytest.approx(
        naive.boundary_effect(rows, a, b, c), rel=1e-9, abs=1e-9
    )


def test_the_effect_of_two_levels_is_their_distance_in_noise():
    random = np.random.default_rng(3)
    rows = random.standard_normal((2000, 1))
    rows[1000:] += 4.0
    least, mean, _, distance = boundary_effect(rows, 0, 1000, 2000)
    assert least > 3.8 * distance / 4  # in units of (difference of means) x (noise along it)
    assert mean == pytest.approx(4.0, abs=0.15)


@given(st.integers(0, 2**31), st.integers(1, 14), st.integers(1, 4))
def test_best_split(seed, n, least):
    rows = np.random.default_rng(seed).standard_normal((n, 2))
    found = best_split(rows, 0, n, least)
    cost, changes = naive.best_partition(rows, least, 1)
    assert (found == -1) if np.isinf(cost) else (found == changes[0])


@given(st.integers(0, 2**31), st.integers(4, 20))
def test_segment_scores(seed, n):
    random = np.random.default_rng(seed)
    rows, bounds = random.standard_normal((n, 2)), _edges(random, n)
    assert segment_scores(rows, bounds) == pytest.approx(naive.segment_scores(rows, bounds), abs=1e-9)


@given(st.integers(0, 2**31), st.integers(4, 20))
def test_neighbour_votes(seed, n):
    random = np.random.default_rng(seed)
    near, bounds = random.integers(0, n, (n, 3)), _edges(random, n)
    assert neighbour_votes(near, bounds) == pytest.approx(naive.neighbour_votes(near, bounds), abs=1e-9)


@given(st.integers(0, 2**31), st.integers(2, 40))
def test_coverings(seed, n):
    random = np.random.default_rng(seed)
    edges = [_edges(random, n, 4) for _ in range(4)]
    found = coverings(np.concatenate(edges), np.cumsum([0, *map(len, edges)]))
    for (i, a), (j, b) in itertools.product(enumerate(edges), repeat=2):
        assert found[i, j] == pytest.approx(covering([a[1:-1]], b[1:-1], n))

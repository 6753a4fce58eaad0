"""align/warping/edits.py: LCSS and EDR against their definitions, the slow twin and tslearn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.warping import (
    Band,
    edr_cost_matrix,
    edr_distance,
    edr_pairwise,
    edr_path,
    lcss_cost_matrix,
    lcss_distance,
    lcss_pairwise,
    lcss_path,
)
from align.warping.bands import column_ranges
from tests import naive


def _pair(seed: int, most: int = 14) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n, m, d = rng.integers(1, most), rng.integers(1, most), rng.integers(1, 4)
    return rng.integers(-3, 4, (n, d)).astype(float), rng.integers(-3, 4, (m, d)).astype(float)


def _check_path(path: np.ndarray, shape: tuple[int, int]) -> None:
    assert (np.diff(path, axis=0) >= 1).all()
    assert path.size == 0 or ((path[0] >= 0).all() and (path[-1] < shape).all())


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), epsilon=st.sampled_from([0.0, 1.0, 1.5, 2.0, 9.0]), banded=st.booleans())
def test_both_are_their_slow_twins_and_paths_cost_what_they_say(seed, epsilon, banded):
    a, b = _pair(seed)
    n, m = len(a), len(b)
    band = Band("sakoe-chiba", 0.4) if banded else None
    allowed = np.ones((n, m), bool)
    if banded:
        low, high = column_ranges(max(n, m), min(n, m), band)
        allowed = np.array(
            [[lo <= j < hi for j in range(min(n, m))] for lo, hi in zip(low, high, strict=True)]
        )
        allowed = allowed.T if m > n else allowed
    alike = np.linalg.norm(a[:, None] - b[None], axis=2) <= epsilon
    lcss, edr = naive.lcss_table(alike, allowed), naive.edr_table(alike, allowed)
    np.testing.assert_array_equal(lcss_cost_matrix(a, b, epsilon=epsilon, band=band), lcss)
    np.testing.assert_array_equal(edr_cost_matrix(a, b, epsilon=epsilon, band=band), edr)
    assert lcss_distance(a, b, epsilon=epsilon, band=band) == 1 - lcss[-1, -1] / min(n, m)
    assert edr_distance(a, b, epsilon=epsilon, band=band) == edr[-1, -1]
    path, distance = lcss_path(a, b, epsilon=epsilon, band=band)
    _check_path(path, (n, m))
    assert (alike & allowed)[tuple(path.T)].all() and len(path) == lcss[-1, -1]
    assert distance == 1 - len(path) / min(n, m)
    path, distance = edr_path(a, b, epsilon=epsilon, band=band)
    _check_path(path, (n, m))
    assert allowed[tuple(path.T)].all()
    assert distance == n + m - 2 * len(path) + (~alike[tuple(path.T)]).sum() == edr[-1, -1]


@pytest.mark.parametrize("seed", range(20))
def test_lcss_is_that_of_tslearn(seed):
    metrics = pytest.importorskip("tslearn.metrics")
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(40, 2)).cumsum(0), rng.normal(size=(31, 2)).cumsum(0)
    for epsilon in (0.5, 1.0, 3.0):
        ours = lcss_distance(a, b, epsilon=epsilon)
        assert ours == pytest.approx(1 - metrics.lcss(a, b, eps=epsilon), abs=1e-12)
        assert len(lcss_path(a, b, epsilon=epsilon)[0]) == len(metrics.lcss_path(a, b, eps=epsilon)[0])


def test_edr_of_letters_is_the_edit_distance_of_words():
    words = [np.array([ord(c) for c in w], float) for w in ("kitten", "sitting", "mitten")]
    assert edr_distance(words[0], words[1], epsilon=0.0) == 3.0
    np.testing.assert_array_equal(edr_pairwise(words, epsilon=0.0), [[0, 3, 1], [3, 0, 3], [1, 3, 0]])


def test_a_burst_of_noise_costs_its_length():
    walk = np.random.default_rng(0).normal(size=200).cumsum()
    torn = np.insert(walk, 90, np.full(7, 1e6))
    assert edr_distance(walk, torn, epsilon=0.0) == 7.0
    assert lcss_distance(walk, torn, epsilon=0.0) == 0.0
    assert lcss_distance(walk, walk + 1e9, epsilon=1.0) == 1.0


def test_pairwise_is_the_distance_of_each_pair():
    rng = np.random.default_rng(1)
    series = [rng.normal(size=(n, 2)) for n in (5, 9, 9, 1)]
    others = [rng.normal(size=(n, 2)) for n in (4, 7)]
    band = Band("sakoe-chiba", 0.3)
    for many, one in ((lcss_pairwise, lcss_distance), (edr_pairwise, edr_distance)):
        wanted = [[one(x, y, epsilon=0.8, band=band) for y in others] for x in series]
        np.testing.assert_array_equal(many(series, others, epsilon=0.8, band=band), wanted)
        within = many(series, epsilon=0.8)
        np.testing.assert_array_equal(within, within.T)
        assert within[0, 1] == one(series[0], series[1], epsilon=0.8) and not within.diagonal().any()


@pytest.mark.parametrize("epsilon", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("distance", [lcss_distance, edr_distance, lcss_path, edr_cost_matrix])
def test_epsilon_out_of_range_is_refused(epsilon, distance):
    with pytest.raises(ParameterError, match="epsilon"):
        distance([1.0], [2.0], epsilon=epsilon)

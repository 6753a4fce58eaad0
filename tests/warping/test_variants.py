"""align/warping/variants.py: against their formulas and the plain table."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import ParameterError
from align.warping import Band, ddtw_distance, ddtw_path, dtw_distance, wdtw_distance, wdtw_path
from align.warping.variants import slopes
from tests import naive


def walks(n, m, d=1):
    rng = np.random.default_rng(n + m)
    return rng.normal(size=(n, d)).cumsum(axis=0), rng.normal(size=(m, d)).cumsum(axis=0)


def weighted(a, b, g):
    n, m = len(a), len(b)
    i, j = np.indices((n, m))
    weights = 1 / (1 + np.exp(-g * (np.abs(i - j) - max(n, m) / 2)))
    return ((a[:, None] - b[None]) ** 2).sum(axis=2) * weights


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("g", [0.0, 0.05, 1.0])
def test_weighted_equals_the_definition(g, d):
    a, b = walks(40, 31, d)
    cost = weighted(a, b, g)
    path, distance = wdtw_path(a, b, g=g)
    assert distance == pytest.approx(np.sqrt(naive.dtw_totals(cost)[-1, -1]), rel=1e-12)
    assert path.tolist() == naive.dtw_path_of(cost)
    assert distance == wdtw_distance(a, b, g=g) == wdtw_distance(b, a, g=g)


def test_weighted_in_a_band_costs_no_less_and_its_path_stays_inside():
    a, b = walks(60, 60)
    path, distance = wdtw_path(a, b, band=Band("sakoe-chiba", 2))
    assert distance >= wdtw_distance(a, b)
    assert (np.abs(path[:, 0] - path[:, 1]) <= 2).all()
    cost = weighted(a, b, 0.05)
    assert distance**2 == pytest.approx(cost[path[:, 0], path[:, 1]].sum(), rel=1e-12)


def test_weighted_paths_of_many_blocks():
    """Longer than one block, where every block takes its own part of the weights."""
    a, b = walks(1300, 1200)
    path, distance = wdtw_path(a, b, g=0.01)
    cost = weighted(a, b, 0.01)
    assert distance == pytest.approx(np.sqrt(cost[path[:, 0], path[:, 1]].sum()), rel=1e-12)
    assert distance == wdtw_distance(a, b, g=0.01)


def test_g_0_halves_every_cost():
    a, b = walks(20, 30)
    assert wdtw_distance(a, b, g=0) == pytest.approx(dtw_distance(a, b) / np.sqrt(2), rel=1e-12)


def test_slopes_follow_the_formula():
    x = np.array([1.0, 4.0, 2.0, 8.0])
    assert slopes(x)[:, 0].tolist() == [((4 - 1) + (2 - 1) / 2) / 2, ((2 - 4) + (8 - 4) / 2) / 2]


def test_derivative_ignores_offsets_and_its_path_names_rows_of_the_series():
    a, b = walks(30, 25, 2)
    assert ddtw_distance(a, b) == pytest.approx(ddtw_distance(a + 5, b), rel=1e-9)
    assert ddtw_distance(a, b) == dtw_distance(slopes(a), slopes(b)) == ddtw_distance(b, a)
    path, distance = ddtw_path(a, b)
    assert path[0].tolist() == [1, 1] and path[-1].tolist() == [28, 23]
    assert distance == ddtw_distance(a, b)


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ParameterError, match="at least 3"):
        ddtw_distance([1.0, 2.0], [1.0, 2.0, 3.0])
    for g in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match=r"^E-PARAM g is"):
            wdtw_distance([1.0], [2.0], g=g)

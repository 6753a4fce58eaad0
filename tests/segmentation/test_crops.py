"""CROPS: the whole path of optimal segmentations, against the search itself and against brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.segmentation import greedy
from align.segmentation.costs import costs_between, fit_cost
from align.segmentation.crops import crops
from align.segmentation.exact import changes_exact
from align.segmentation.moves import total_cost
from tests import naive


def noisy(n, seed):
    rng = np.random.default_rng(seed)
    levels = np.repeat(4 * rng.normal(size=20), rng.integers(1, 30, 20))
    return (np.resize(levels, n) + rng.normal(size=n))[:, None]


def searched(values, low, high, most=100, size=1, cost="l2"):
    fitted = fit_cost(cost, values, np.ones(values.shape[1]), size)
    search = [lambda p: changes_exact(fitted, p, len(values)), lambda changes: total_cost(fitted, changes)]
    return crops(*search, low, high, most), *search


def assert_well_formed(path, low, high):
    """Intervals tile, counts fall, costs rise."""
    assert (path.penalties[0], path.penalties[-1]) == (low, high)
    assert len(path.penalties) == len(path.n_changes) + 1 == len(path.costs) + 1 == len(path.certain) + 2
    assert (np.diff(path.penalties) >= 0).all()
    assert (np.diff(path.n_changes) < 0).all() and (np.diff(path.costs) > 0).all()
    assert [len(changes) for changes in path.changes] == path.n_changes.tolist()


@settings(max_examples=25)
@given(n=st.integers(20, 300), size=st.integers(1, 6), seed=st.integers(0, 999))
def test_every_solution_equals_the_direct_search_inside_its_interval(n, size, seed):
    path, search, cost_of = searched(noisy(n, seed), 2.0, 60.0, size=size)
    assert_well_formed(path, 2.0, 60.0)
    assert path.complete and path.certain.all()
    assert path.calls <= 2 * len(path.costs)
    assert path.calls <= path.n_changes[0] - path.n_changes[-1] + 2
    inside = [
        (p, i)
        for i, (a, b) in enumerate(pairwise(path.penalties))
        for p in a + (b - a) * np.array([0.001, 0.5, 0.999])
    ]
    for penalty, i in inside:
        changes = search(penalty)
        assert changes.tolist() == path.changes[i].tolist() == path.at(penalty).tolist()
        assert path.costs[i] == pytest.approx(cost_of(changes))


@settings(max_examples=20)
@given(n=st.integers(4, 40), size=st.integers(1, 4), seed=st.integers(0, 999))
def test_the_path_is_the_lower_hull_of_the_least_costs(n, size, seed):
    """Every number of change points that is best somewhere, and no other, by brute force."""
    values = noisy(n, seed)
    path, *_ = searched(values, 0.01, 1e5, most=n + 1, size=size)
    fitted = fit_cost("l2", values, np.ones(1), size)
    assume(n >= 2 * size)
    table = naive.least_costs_by_count(lambda s, t: float(costs_between(fitted, [s], [t])[0]), n, size)
    for penalty in [
        *np.geomspace(0.011, 9e4, 60),
        *(path.penalties[1:-1] * 1.001),
        *(path.penalties[1:-1] / 1.001),
    ]:
        best = min(table, key=lambda one: one[1] + penalty * one[0])
        assert len(path.at(penalty)) == best[0]
    assert path.complete


@pytest.mark.parametrize("cost", ["meanvar", "poisson", "rank"])
def test_other_costs_have_a_path(cost):
    """Well formed, and nowhere above the direct search."""
    values = np.random.default_rng(0).poisson(np.repeat([2, 9, 4, 1, 7], 30)).astype(float)[:, None]
    path, search, cost_of = searched(values, 3.0, 90.0, size=3, cost=cost)
    assert_well_formed(path, 3.0, 90.0)
    for a, b in pairwise(path.penalties):
        middle = (a + b) / 2
        changes = search(middle)
        direct = cost_of(changes) + middle * len(changes)
        assert cost_of(path.at(middle)) + middle * len(path.at(middle)) <= direct + 1e-9 * (1 + abs(direct))


def test_a_cap_stops_it_and_says_so():
    values = noisy(2000, 7)
    whole, *_ = searched(values, 0.5, 1e5, most=10_000)
    assert whole.complete and len(whole.costs) > 40
    for most in (2, 3, 10):
        path, *_ = searched(values, 0.5, 1e5, most=most)
        assert_well_formed(path, 0.5, 1e5)
        assert not path.complete
        assert len(path.costs) == most and path.calls <= 2 * most
        assert set(path.n_changes) <= set(whole.n_changes)
        first = {int(count): int(k) for k, count in enumerate(whole.n_changes)}
        for i in np.flatnonzero(path.certain):
            assert first[int(path.n_changes[i + 1])] == first[int(path.n_changes[i])] + 1
            assert path.penalties[i + 1] == pytest.approx(whole.penalties[first[int(path.n_changes[i])] + 1])


def test_ties_give_one_solution_each():
    """Two equal steps: one change alone is best at a single penalty only, and is left out."""
    values = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], 10)[:, None]
    path, *_ = searched(values, 0.1, 50.0)
    assert path.complete and path.n_changes.tolist() == [4, 0]
    assert path.penalties.tolist() == pytest.approx([0.1, 3.0, 50.0])


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (5.0, 5.0), (1e9, 1e9), (1e6, 1e9)])
def test_an_interval_with_one_answer(low, high):
    path, search, _ = searched(noisy(100, 1), low, high)
    assert path.penalties.tolist() == [low, high] and path.complete
    assert path.changes[0].tolist() == search(low).tolist()
    assert path.calls == (1 if low == high else 2)


def test_penalty_0_is_a_valid_end():
    path, *_ = searched(noisy(50, 1), 0.0, 1e6)
    assert path.n_changes[0] == 49 and path.n_changes[-1] == 0 and path.complete


def test_a_constant_missing_from_all_costs_changes_nothing():
    values = noisy(400, 4)
    path, search, cost_of = searched(values, 1.0, 500.0)
    moved = crops(search, lambda changes: cost_of(changes) + 1e4, 1.0, 500.0)
    np.testing.assert_allclose(moved.penalties, path.penalties, rtol=1e-9)
    assert moved.n_changes.tolist() == path.n_changes.tolist()


@pytest.mark.parametrize("name", sorted(greedy.SEARCHES))
def test_an_inexact_search_gives_the_best_of_what_it_found(name):
    fitted = fit_cost("l2", noisy(600, 9), np.ones(1), 2)
    seen = []

    def search(penalty):
        seen.append(greedy.SEARCHES[name](fitted, penalty, 600))
        return seen[-1]

    path = crops(search, lambda changes: total_cost(fitted, changes), 2.0, 500.0)
    assert_well_formed(path, 2.0, 500.0)
    for a, b in pairwise(path.penalties):
        middle = (a + b) / 2
        objective = [
            total_cost(fitted, changes) + middle * len(changes) for changes in (path.at(middle), *seen)
        ]
        assert objective[0] <= min(objective) + 1e-6


@pytest.mark.parametrize(
    ("low", "high", "most", "says"),
    [
        (-1.0, 5.0, 100, "low"),
        (np.nan, 5.0, 100, "low"),
        (6.0, 5.0, 100, "high"),
        (0.0, np.inf, 100, "high"),
        (0.0, 5.0, 1, "most"),
    ],
)
def test_S17_bad_arguments_say_what_is_allowed(low, high, most, says):
    with pytest.raises(ParameterError, match=f"{says} is .*; allowed: "):
        searched(noisy(50, 1), low, high, most)


def test_a_penalty_outside_the_path_is_refused():
    path, *_ = searched(noisy(50, 1), 1.0, 5.0)
    for penalty in (0.99, 5.01, np.nan):
        with pytest.raises(ParameterError, match="allowed: 1 to 5"):
            path.at(penalty)

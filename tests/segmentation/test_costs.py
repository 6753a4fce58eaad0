"""The laws that every cost, and every search on every cost, obeys: parametrised over the tables themselves."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import InputError, ParameterError, ResourceError
from align.segmentation import cost_tables
from align.segmentation.cost_features import kernel_features, rank_features
from align.segmentation.costs import COSTS, costs_between, fit_cost
from align.segmentation.greedy import SEARCHES
from align.segmentation.partition import partition
from tests.naive import kernel_values, least_total_cost, segment_misfit

EXAMPLES = int(os.environ.get("ALIGN_TEST_EXAMPLES", "15"))
ONE_CHANNEL = ("huber", "biweight")  # the exact search takes one channel
# How a cost follows values multiplied by a common factor: as this power of it.
DEGREE = {"l2": 2, "trend": 2, "ar": 2, "huber": 2, "biweight": 2, "l1": 1, "poisson": 1}
FREE_OF_UNITS = ("meanvar", "rank", "kernel", "categorical")  # the power is 0
NO_OFFSET = ("poisson", "categorical")  # an offset changes the meaning, or only the names of the codes
KINDS = ("noise", "steps", "exact steps", "integers", "flat", "walk", "ramps", "spikes")


def run_of(kind, n, d, seed, cost="l2"):
    """Values that pruning rules and numerics get wrong, made to suit the cost."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, d))
    steps = np.repeat(rng.normal(0, 4, (n // 20 + 1, d)), 20, axis=0)[:n]
    values = {
        "noise": noise,
        "steps": steps + noise,
        "exact steps": np.round(steps),
        "integers": rng.integers(-2, 3, (n, d)).astype(float),
        "flat": np.zeros((n, d)),
        "walk": noise.cumsum(axis=0),
        "ramps": (steps / 4).cumsum(axis=0) + noise,
        "spikes": noise + 50.0 * (rng.random((n, d)) < 0.05),
    }[kind]
    if cost == "poisson":
        return np.abs(np.round(values))
    return np.round(values) if cost == "categorical" else values


def fitted_run(cost, kind, n, d, seed, min_size):
    d = 1 if cost in ONE_CHANNEL else d
    return fit_cost(cost, run_of(kind, n, d, seed, cost), np.ones(d), min_size)


def edges_of(fitted, changes):
    return np.concatenate([[0], changes, [fitted.n_samples]]).astype(np.int64)


def total_cost(fitted, changes, penalty=0.0):
    edges = edges_of(fitted, changes)
    return float(costs_between(fitted, edges[:-1], edges[1:]).sum()) + penalty * len(changes)


def gain(price, s, u, t):
    """What splitting s..t at u saves: free of the terms that telescope."""
    return price(s, t) - price(s, u) - price(u, t)


def of_run(fitted):
    return lambda s, t: float(costs_between(fitted, [s], [t])[0])


def runs(longest):
    """A penalty, and (kind, n, d, seed, min_size)."""
    sizes = st.integers(2, longest), st.integers(1, 3), st.integers(0, 10_000), st.integers(1, 20)
    return st.tuples(st.sampled_from([0.0, 0.3, 3.0, 12.0, 60.0]), st.tuples(st.sampled_from(KINDS), *sizes))


@pytest.mark.parametrize("cost", COSTS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(run=runs(150))
def test_exact_search_is_never_worse_than_dynamic_programming(cost, run):
    penalty, shape = run
    fitted = fitted_run(cost, *shape)
    if not fitted.tables:
        return
    changes = fitted.cost.changes(fitted, penalty)
    assert (np.diff(edges_of(fitted, changes)) >= fitted.min_size).all()
    least = least_total_cost(
        lambda s, t: costs_between(fitted, s, np.full(len(s), t)), shape[1], penalty, fitted.min_size
    )
    assert total_cost(fitted, changes, penalty) == pytest.approx(least, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("cost", COSTS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    kind=st.sampled_from(KINDS), d=st.sampled_from([1, 2, 3]), seed=st.integers(0, 10_000), where=st.randoms()
)
def test_cost_is_its_definition_up_to_what_telescopes(cost, kind, d, seed, where):
    n, least = 40, COSTS[cost].least
    if cost == "kernel":
        d = 1  # several channels: test_features_of_several_channels_are_near_the_kernel
    values = run_of(kind, n, d, seed, cost)
    fitted = fit_cost(cost, values, np.ones(d), 1)
    s = where.randint(0, n - 2 * least)
    u = where.randint(s + least, n - least)
    t = where.randint(u + least, n)
    expected = gain(lambda a, b: segment_misfit(cost, values, a, b), s, u, t)
    within = 2e-3 * n if cost == "kernel" else 1e-6
    assert gain(of_run(fitted), s, u, t) == pytest.approx(expected, rel=1e-6, abs=within)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("kind", KINDS)
def test_splitting_a_segment_never_raises_the_cost(cost, kind):
    n = 60
    fitted = fitted_run(cost, kind, n, 2, 3, 1)
    s, u, t = np.array(list(itertools.combinations(range(0, n + 1, 3), 3))).T
    gains = costs_between(fitted, s, t) - costs_between(fitted, s, u) - costs_between(fitted, u, t)
    assert gains.min() > -1e-7


@pytest.mark.parametrize("cost", COSTS)
def test_every_cost_says_how_it_follows_the_scale(cost):
    values = run_of("steps", 60, 2, 5, cost)
    plain, tripled = (fit_cost(cost, values, np.full(2, factor), 1) for factor in (1.0, 3.0))
    power = DEGREE.get(cost, 0)
    assert (cost in DEGREE) != (cost in FREE_OF_UNITS)
    for s, u, t in [(0, 20, 60), (3, 17, 31), (20, 40, 55)]:
        expected = 3.0**power * gain(of_run(plain), s, u, t)
        assert gain(of_run(tripled), s, u, t) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("cost", COSTS)
def test_a_channel_of_scale_0_is_ignored(cost):
    values = run_of("steps", 60, 2, 6, cost)
    both = fit_cost(cost, values, np.array([1.0, 0.0]), 1)
    alone = fit_cost(cost, values[:, :1], np.ones(1), 1)
    for s, u, t in [(0, 20, 60), (3, 17, 31)]:
        assert gain(of_run(both), s, u, t) == pytest.approx(gain(of_run(alone), s, u, t), rel=1e-9, abs=1e-9)
    assert both.cost.changes(both, 3.0).tolist() == alone.cost.changes(alone, 3.0).tolist()


@pytest.mark.parametrize("cost", [c for c in COSTS if c not in NO_OFFSET])
def test_V06_an_offset_of_1e8_times_the_noise_changes_nothing(cost):
    d = 1 if cost in ONE_CHANNEL else 2
    values = run_of("steps", 500, d, 2)
    penalty = 3.0 if cost == "kernel" else 25.0
    near, far = (fit_cost(cost, values + offset, np.ones(d), 5) for offset in (0.0, 1e8))
    found = near.cost.changes(near, penalty)
    assert 3 < len(found) < 60
    assert far.cost.changes(far, penalty).tolist() == found.tolist()


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("level", [0.0, 1.0, 7e5])
def test_V03_a_flat_line_has_finite_costs_and_no_change(cost, level):
    fitted = fit_cost(cost, np.full((300, 2), level), np.ones(2), 1)
    costs = costs_between(fitted, np.arange(0, 290, 10), np.arange(0, 290, 10) + 10)
    assert np.isfinite(costs).all()
    assert fitted.cost.changes(fitted, 0.1).size == 0


def test_two_equal_samples_in_noise_are_no_segment_under_meanvar():
    values = np.round(np.random.default_rng(0).normal(size=(2000, 1)), 1)
    fitted = fit_cost("meanvar", values, np.ones(1), 2)
    assert fitted.cost.changes(fitted, 4 * np.log(2000)).size == 0
    assert float(np.abs(costs_between(fitted, [0], [2000])[0])) < 1e5


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=max(3, EXAMPLES // 8), deadline=None)
@given(run=runs(120), most=st.integers(0, 8))
def test_every_search_keeps_its_promises_on_every_cost(search, cost, run, most):
    penalty, shape = run
    fitted = fitted_run(cost, *shape)
    changes = SEARCHES[search](fitted, penalty, most)
    if not fitted.tables:
        assert changes.size == 0
        return
    assert len(changes) <= most
    assert (np.diff(edges_of(fitted, changes)) >= fitted.min_size).all()
    reached = total_cost(fitted, changes, penalty)
    slack = 1e-7 + 1e-9 * abs(reached)
    assert reached <= total_cost(fitted, [], penalty) + slack
    assert reached >= total_cost(fitted, fitted.cost.changes(fitted, penalty), penalty) - slack


@pytest.mark.parametrize("cost", COSTS)
@settings(max_examples=max(4, EXAMPLES // 3), deadline=None)
@given(run=runs(80))
def test_the_exact_optimum_is_the_best_of_the_partitions(cost, run):
    penalty, shape = run
    fitted = fitted_run(cost, *shape)
    n = fitted.n_samples
    costs, changes = partition(fitted, n)
    if not fitted.tables:
        return
    for k in np.flatnonzero(np.isfinite(costs)):
        assert (len(changes[k]), (np.diff(edges_of(fitted, changes[k])) >= fitted.min_size).all()) == (
            k,
            True,
        )
        assert total_cost(fitted, changes[k]) == pytest.approx(costs[k], rel=1e-9, abs=1e-7)
    exact = total_cost(fitted, fitted.cost.changes(fitted, penalty), penalty)
    assert exact == pytest.approx((costs + penalty * np.arange(n + 1)).min(), rel=1e-9, abs=1e-7)


# --- what single costs promise


def test_a_negative_count_is_named_with_its_channel_and_sample():
    values = np.ones((10, 3))
    values[7, 2] = -4.0
    with pytest.raises(InputError, match="counts >= 0") as caught:
        fit_cost("poisson", values, np.ones(3), 1, channels=["a", "b", "door"], first=100)
    assert caught.value.code == "E-RANGE"
    assert dict(caught.value.where) == {"channel": "door", "sample": 107}
    assert fit_cost("poisson", values, np.array([1.0, 1.0, 0.0]), 1).tables


def test_a_code_that_is_no_whole_number_is_refused():
    with pytest.raises(InputError, match=r"0\.5 .*whole numbers"):
        fit_cost("categorical", np.array([[1.0], [0.5]]), np.ones(1), 1)


def test_tables_beyond_the_budget_are_refused(monkeypatch):
    monkeypatch.setattr(cost_tables, "_MOST_BYTES", 10_000)
    for cost in ("l1", "categorical", "kernel"):
        with pytest.raises(ResourceError, match="E-MEMORY"):
            fit_cost(cost, run_of("integers", 1000, 2, 0), np.ones(2), 1)


def test_ranks_are_free_of_any_rising_function_and_of_repeated_channels():
    values = run_of("steps", 200, 2, 4)
    plain = fit_cost("rank", values, np.ones(2), 1)
    bent = fit_cost("rank", np.sinh(values), np.ones(2), 1)
    assert costs_between(bent, [3], [90]) == pytest.approx(costs_between(plain, [3], [90]))
    assert rank_features(values[:, [0, 0, 1]], np.ones(3)).shape == (200, 2)


def test_the_series_is_the_kernel_whatever_outliers_there_are():
    values = run_of("spikes", 300, 1, 1)
    values[17] = 1e9
    features = kernel_features(values, np.ones(1)).astype(float)
    distances = features @ features.T
    exact = kernel_values(values)
    off = (distances - distances.mean()) - (exact - exact.mean())  # a constant is left out of the series
    assert np.abs(off).max() < 5e-4
    assert features.shape[1] <= 200


@pytest.mark.parametrize("d", [2, 3, 12, 70])
def test_features_of_several_channels_are_near_the_kernel(d):
    values = run_of("steps", 300, d, 1)
    features = kernel_features(values, np.ones(d)).astype(float)
    off = features @ features.T - kernel_values(values)
    assert np.sqrt((off**2).mean()) < 0.06
    assert abs(off.mean()) < 0.03
    assert np.array_equal(features, kernel_features(values, np.ones(d)))


def test_lines_and_oscillations_are_cut_where_they_change():
    i = np.arange(400.0)
    rng = np.random.default_rng(0)
    bent = np.where(i < 150, i, 300 - i)[:, None] + rng.normal(0, 0.5, (400, 1))
    fitted = fit_cost("trend", bent, np.ones(1), 2)
    assert fitted.cost.changes(fitted, 20.0) == pytest.approx([150], abs=2)
    waves = np.where(i < 230, np.sin(0.4 * i), np.sin(0.9 * i))[:, None] + rng.normal(0, 0.02, (400, 1))
    fitted = fit_cost("ar", waves, np.ones(1), 10)
    assert fitted.cost.changes(fitted, 1.0) == pytest.approx([230], abs=3)


# --- partition


@pytest.mark.parametrize("min_size", [1, 2])
def test_partition_is_the_minimum_over_all_segmentations(min_size):
    fitted = fit_cost(
        "l1", np.random.default_rng(0).integers(0, 5, (9, 1)).astype(float), np.ones(1), min_size
    )
    costs, changes = partition(fitted, 9)
    for k in range(10):
        every = [
            total_cost(fitted, c)
            for c in itertools.combinations(range(1, 9), k)
            if (np.diff([0, *c, 9]) >= min_size).all()
        ]
        assert costs[k] == pytest.approx(min(every, default=np.inf))
        assert len(changes[k]) == (k if every else 0)


def test_partition_refuses_what_would_take_hours_and_names_what_does_not():
    fitted = fit_cost("l2", np.zeros((200_000, 1)), np.ones(1), 1)
    with pytest.raises(ParameterError, match=r'up to \d+ with up to 20.*"l2"'):
        partition(fitted, 20)
    with pytest.raises(ParameterError, match="most is -1"):
        partition(fitted, -1)

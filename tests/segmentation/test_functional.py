"""Functional pruning on arrays: laws that hold for robust losses, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import InputError, ParameterError
from align.segmentation.functional import THRESHOLDS, mean_changes, robust_changes, robust_costs

KINDS = pytest.mark.parametrize("kind", THRESHOLDS)
CASES = {"n": st.integers(2, 80), "min_size": st.integers(1, 20), "seed": st.integers(0, 10_000)}


def channel(n, seed):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.normal(0, 5, n), 9)[:n] + rng.standard_t(2, n)


def total(values, changes, kind, threshold, penalty):
    edges = np.array([0, *changes, len(values)])
    return robust_costs(values, edges[:-1], edges[1:], kind, threshold).sum() + penalty * len(changes)


@KINDS
@settings(max_examples=60, deadline=None)
@given(**CASES, offset=st.sampled_from([-7.0, 1e3, 1e8]))
def test_adding_an_offset_changes_nothing(kind, n, min_size, seed, offset):
    values = channel(n, seed)
    found = robust_changes(values + offset, 5.0, min_size, kind, 1.5)
    expected = total(values, robust_changes(values, 5.0, min_size, kind, 1.5), kind, 1.5, 5.0)
    assert total(values, found, kind, 1.5, 5.0) == pytest.approx(expected, rel=1e-6)


@KINDS
@settings(max_examples=60, deadline=None)
@given(**CASES, scale=st.sampled_from([-1.0, 0.25, -8.0, 1024.0]))
def test_scaling_values_threshold_and_penalty_alike_changes_nothing(kind, n, min_size, seed, scale):
    values, size = channel(n, seed), abs(scale)
    found = robust_changes(values * scale, 5.0 * size**2, min_size, kind, 1.5 * size)
    expected = total(values, robust_changes(values, 5.0, min_size, kind, 1.5), kind, 1.5, 5.0)
    assert total(values, found, kind, 1.5, 5.0) == pytest.approx(expected, rel=1e-9)


@KINDS
@settings(max_examples=60, deadline=None)
@given(**CASES)
def test_backwards_in_time_costs_the_same(kind, n, min_size, seed):
    values = channel(n, seed)
    found = n - robust_changes(values[::-1], 5.0, min_size, kind, 1.5)[::-1]
    expected = total(values, robust_changes(values, 5.0, min_size, kind, 1.5), kind, 1.5, 5.0)
    assert total(values, found, kind, 1.5, 5.0) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(**CASES, size=st.floats(-1e300, 1e300), place=st.floats(0, 1))
def test_one_outlier_of_any_size_adds_at_most_the_squared_threshold(n, min_size, seed, size, place):
    values = channel(n, seed)
    clean = total(values, robust_changes(values, 5.0, min_size, "biweight", 3.0), "biweight", 3.0, 5.0)
    values[int(place * (n - 1))] = size
    struck = total(values, robust_changes(values, 5.0, min_size, "biweight", 3.0), "biweight", 3.0, 5.0)
    assert abs(struck - clean) <= 9.0 * (1 + 1e-9)


@KINDS
@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 60), cut=st.floats(0, 1), seed=st.integers(0, 10_000))
def test_splitting_a_segment_never_raises_its_cost(kind, n, cut, seed):
    values = channel(n, seed)
    middle = 1 + int(cut * (n - 2))
    whole, left, right = robust_costs(values, [0, 0, middle], [n, middle, n], kind, 1.5)
    assert left + right <= whole * (1 + 1e-12) + 1e-12


@KINDS
def test_with_a_threshold_beyond_all_values_it_is_squared_misfit(kind):
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(0, 3, 200), 100) + rng.normal(size=20_000)
    changes = mean_changes(values, 20.0, 3)
    assert len(changes) > 100
    assert robust_changes(values, 20.0, 3, kind, 1e3).tolist() == changes.tolist()


@pytest.mark.parametrize("size", [1e2, 1e9, 1e17, 1e300, 1.7e308])
def test_outliers_of_any_size_leave_the_biweight_optimum_where_it_was(size):
    rng = np.random.default_rng(5)
    values = np.repeat(rng.normal(0, 4, 20), 50) + rng.normal(size=1000)
    clean = robust_changes(values, 20.0, 1, "biweight", 3.0)
    values[25::50] = np.where(rng.random(20) < 0.5, size, -size)
    assert len(clean) > 10
    assert robust_changes(values, 20.0, 1, "biweight", 3.0).tolist() == clean.tolist()


@KINDS
def test_outliers_that_make_change_points_in_the_mean_make_none_here(kind):
    rng = np.random.default_rng(6)
    values = rng.normal(size=1000)
    values[:500] += 4.0
    values[60::100] += 30.0
    penalty = 2 * np.log(1000) * (1 if kind == "biweight" else 4)  # Huber: 2 K |r| for each outlier
    found = robust_changes(values, penalty, 1, kind, THRESHOLDS[kind])
    assert len(mean_changes(values, penalty)) > 10
    assert found.size == 1 and abs(int(found[0]) - 500) <= 3


@KINDS
def test_a_channel_that_does_not_move_is_ignored_and_costs_add_up(kind):
    values = np.column_stack([np.full(60, 3.0), channel(60, 1)])
    expected = robust_changes(values[:, 1], 5.0, 2, kind, 1.5)
    assert robust_changes(values, 5.0, 2, kind, 1.5).tolist() == expected.tolist()
    assert robust_changes(values[:, :1], 0.5, 2, kind, 1.5).tolist() == []
    both = np.column_stack([values[:, 1], values[:, 1]])
    once = robust_costs(values[:, 1], [0, 10], [30, 60], kind, 1.5)
    np.testing.assert_allclose(robust_costs(both, [0, 10], [30, 60], kind, 1.5), 2 * once)


def test_too_short_for_two_segments_and_no_segments_at_all():
    assert mean_changes([0.0, 9.0, 9.0], 0.1, 2).tolist() == []
    assert robust_changes([0.0, 9.0, 9.0], 0.1, 2, "huber", 1.0).tolist() == []
    assert robust_costs([0.0, 9.0], [], [], "huber", 1.0).tolist() == []


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: robust_changes(x, 1.0, 1, "tukey", 1.0), "kind"),
        (lambda x: robust_changes(x, 1.0, 1, "huber", 0.0), "threshold"),
        (lambda x: robust_changes(x, 1.0, 1, "huber", float("nan")), "threshold"),
        (lambda x: robust_changes(x, -1.0, 1, "huber", 1.0), "penalty"),
        (lambda x: robust_changes(x, 1.0, 0, "huber", 1.0), "min_size"),
        (lambda x: mean_changes(x, float("inf")), "penalty"),
        (lambda x: mean_changes([], 1.0), "values"),
        (lambda x: mean_changes(np.zeros((2, 2, 2)), 1.0), "values"),
        (lambda x: robust_costs(x, [0, 3], [2, 3], "huber", 1.0), "starts, ends"),
        (lambda x: robust_costs(x, [0], [99], "huber", 1.0), "starts, ends"),
        (lambda x: robust_costs(x, [0, 1], [5], "huber", 1.0), "starts, ends"),
    ],
)
def test_arguments_out_of_range_are_named(call, name):
    with pytest.raises(ParameterError) as caught:
        call(np.arange(8.0))
    assert caught.value.name == name


def test_several_channels_are_refused_with_what_to_use():
    with pytest.raises(ParameterError, match=re.escape("exact robust costs take one channel")) as caught:
        robust_changes(np.random.default_rng(0).normal(size=(9, 2)), 1.0, 1, "huber", 1.0)
    assert "binary:huber" in str(caught.value)


def test_values_that_cannot_be_priced_say_where_they_are():
    with pytest.raises(InputError, match="E-NONFINITE") as caught:
        mean_changes([0.0, 1.0, float("nan")], 1.0)
    assert caught.value.where["sample"] == 2
    with pytest.raises(InputError, match="E-RANGE") as caught:
        robust_changes([0.0, 1.0, 1e12, 2.0], 1.0, 1, "huber", 1.0)
    assert caught.value.where["sample"] == 2

"""Runs whose sums are too coarse: parts joined at settled change points give the optimum of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align import Stream, segment
from align.kernels.lazy_bounds import BACK, front_for, lazy_bounds
from align.kernels.pelt import last_settled, misfit, prefix_sums
from align.segmentation import costs
from align.segmentation.long_runs import changes_by_parts, changes_of_sums, is_beyond_sums


def made(seed: int, n: int, d: int, level: float, whole: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = (
        rng.standard_normal((n, d)) + np.repeat(rng.normal(0, 3, (n // 12 + 1, d)), 12, axis=0)[:n] * level
    )
    return np.round(values) if whole else values


def objective(values: np.ndarray, changes: np.ndarray, penalty: float) -> float:
    edges = np.array([0, *changes, len(values)])
    return float(misfit(values, np.ones(values.shape[1]), edges)) + penalty * len(changes)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(2, 400), st.integers(1, 3), st.sampled_from([0.0, 1.0, 3.0]),
    st.floats(0.0, 30.0), st.integers(1, 14), st.integers(20, 100),
)  # fmt: skip
def test_parts_reach_the_optimum_of_the_whole(seed, n, d, level, penalty, least, part) -> None:
    whole = bool(seed % 2)
    values, ones = made(seed, n, d, level, whole), np.ones(d)
    if n < 2 * least:
        return
    front = front_for(least)
    sums = prefix_sums(values, values.mean(axis=0), ones, front, BACK)
    at_once = changes_of_sums(sums, front, n, penalty, least)
    by_parts = changes_by_parts(values, ones, penalty, least, part)
    assert np.diff([0, *by_parts, n]).min() >= least
    assert objective(values, by_parts, penalty) == pytest.approx(
        objective(values, at_once, penalty), abs=1e-8
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 200), st.integers(1, 10), st.floats(0.5, 20.0))
def test_a_settled_change_point_stays_whatever_follows(seed, n, least, penalty) -> None:
    values = made(seed, n, 1, 1.0, False)
    front, ones = front_for(least), np.ones(1)
    sums = prefix_sums(values, values.mean(axis=0), ones, front, BACK)
    price = lazy_bounds(sums, front, n, penalty, least)
    settled = last_settled(sums, price, front, n, penalty, least)
    for follows in (np.zeros((2 * least, 1)), np.full((least, 1), 9.0), made(seed + 1, 60, 1, 2.0, False)):
        longer = np.concatenate([values, follows])
        sums = prefix_sums(longer, longer.mean(axis=0), ones, front, BACK)
        changes = changes_of_sums(sums, front, len(longer), penalty, least)
        if settled:  # cut there, both sides at their optimum, is an optimum of the whole
            sides = [changes_by_parts(side, ones, penalty, least) for side in np.split(longer, [settled])]
            joined = np.concatenate([sides[0], [settled], settled + sides[1]])
            best = objective(longer, changes, penalty)
            assert objective(longer, joined, penalty) == pytest.approx(best, abs=1e-8)


def test_levels_that_wander_far_are_cut_to_the_optimum() -> None:
    """The sums of the whole explain 1e13 times the noise; parts around their own means do not notice."""
    rng = np.random.default_rng(0)
    levels = np.cumsum(rng.choice([-1.0, 1.0], 2_000) * rng.uniform(2e3, 4e3, 2_000))
    values = (np.repeat(levels, 500) + rng.standard_normal(1_000_000))[:, None]
    penalty = 2 * np.log(1e6)
    front = front_for(1)
    sums = prefix_sums(values, values.mean(axis=0), np.ones(1), front, BACK)
    assert is_beyond_sums(sums, front, len(values), penalty)
    changes = segment(Stream(values, rate=1.0), method="l2", penalty=penalty).changes
    true = np.arange(500, 1_000_000, 500)
    assert np.isin(true, changes).all()
    assert objective(values, changes, penalty) <= objective(values, true, penalty) + 1e-6


@pytest.mark.parametrize("kind", ["changes", "noise", "steps of whole numbers"])
def test_a_run_too_large_for_its_sums_is_cut_as_any_other(kind, monkeypatch):
    rng = np.random.default_rng(3)
    levels = np.repeat(rng.normal(0, 3, (40, 3)), 500, axis=0) * (kind != "noise")
    values = rng.normal(size=(20_000, 3)) + levels
    stream = Stream(np.rint(values) if kind == "steps of whole numbers" else values, rate=10.0)
    whole = segment(stream, method="l2", penalty=60.0)

    def unwanted(held: costs._Sums) -> None:
        raise AssertionError("the sums of the whole run were made")

    monkeypatch.setattr(costs._Sums, "whole", unwanted)
    monkeypatch.setattr(costs, "_AT_ONCE", 1000)
    monkeypatch.setattr(costs, "_PART", 4096)
    parts = segment(stream, method="l2", penalty=60.0)
    assert parts.changes.tolist() == whole.changes.tolist() and parts.cost == whole.cost
    assert (len(whole.changes) == 0) == (kind == "noise")

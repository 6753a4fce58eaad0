"""Which cost is taken for which kind of change, in words; prices for costs in units of their own."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.datatypes import Stream
from align.segmentation.costs import COSTS
from align.segmentation.penalty import checked_penalty
from align.segmentation.weighing import choose_cost, noise_of, weigh


def stream(kind, n=300, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    half = (t >= n // 2).astype(float)
    values = {
        "noise": rng.normal(size=n),
        "walk": rng.normal(size=n).cumsum(),
        "level": rng.normal(size=n) + 4 * half,
        "kink": rng.normal(size=n) + 60 * np.minimum(t, n - t) / n,
        "burst": rng.normal(size=n) * (1 + 4 * half),
    }[kind]
    return Stream(values, rate=10.0)


@pytest.mark.parametrize(
    ("kind", "cost"),
    [("noise", "l2"), ("walk", "l2"), ("level", "l2"), ("kink", "trend"), ("burst", "meanvar")],
)
def test_the_cost_that_explains_most_is_taken(kind, cost):
    chosen = [choose_cost(stream(kind, seed=seed)).cost for seed in range(3)]
    assert chosen == [cost] * 3


def test_why_is_said_in_words_and_numbers():
    assert "no kind of change stands out" in choose_cost(stream("walk")).why
    assert choose_cost(stream("kink")).why.startswith("straight lines that break: most speaks for them")
    assert "too little data" in choose_cost(Stream([1.0, 2.0, 3.0], rate=1.0)).why


def test_verdicts_come_best_first():
    verdicts = choose_cost(stream("burst")).verdicts
    assert verdicts[0].cost == "meanvar" and len(verdicts) == 3
    assert verdicts[0].evidence == max(v.evidence for v in verdicts)


@pytest.mark.parametrize("cost", sorted(set(COSTS) - {"categorical", "ar"}))
def test_every_cost_has_a_price_that_noise_does_not_reach_and_a_step_does(cost):
    rng = np.random.default_rng(1)
    noise = rng.poisson(50, size=(300, 1)).astype(np.float64)
    assert len(align.segment(Stream(noise, rate=1.0), method=cost).changes) == 0
    noise[150:] += 60
    found = align.segment(Stream(noise, rate=1.0), method=cost).changes
    assert len(found) and np.abs(found - 150).min() <= 3


@pytest.mark.parametrize("n", [300, 30_000])
def test_least_size_is_respected_in_judging(n):
    verdict = weigh(noise_of(stream("level", n)), "l2", min_size=20)
    assert verdict.checked and verdict.penalty > 0


def test_infinite_and_huge_values_are_left_to_the_search_to_refuse():
    for bad in (np.inf, 1e200):
        values = np.random.default_rng(0).normal(size=(100, 1))
        values[40] = bad
        noise = noise_of(Stream(values, rate=1.0))
        assert noise.evidence is None and not weigh(noise).checked


def test_short_and_long_runs_are_judged_without_crossing_gaps():
    """Levels that differ between runs are no changes, in a short stream and in one of many runs."""
    rng = np.random.default_rng(2)
    for n_runs, length in ((3, 100), (400, 60)):
        values = (
            rng.normal(size=(n_runs * length, 1)) + 20 * np.repeat(rng.normal(size=n_runs), length)[:, None]
        )
        index = np.arange(n_runs) * length
        gaps = Stream(values, rate=1.0, run_index=index, run_start=2.0 * index)
        scale, price = checked_penalty(gaps)
        assert price == pytest.approx(
            checked_penalty(Stream(rng.normal(size=len(values)), rate=1.0))[1], rel=0.5
        )
        assert scale[0] == pytest.approx(1.0, rel=0.2)

"""``penalty="auto"``: hardly a change in noise, whatever it is like, and all of them where there are steps."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.datatypes import Stream
from align.segmentation.penalty import checked_penalty, noise_penalty, penalty_for_count


def autoregressive(share, n, d, seed):
    shocks = np.random.default_rng(seed).normal(size=(n + 200, d))
    for i in range(1, len(shocks)):
        shocks[i] += share * shocks[i - 1]
    return shocks[200:]


def square_wave(n, every, height):
    return height * ((np.arange(n) // every) % 2)[:, None]


def cut(values, **more):
    return align.segment(Stream(values, rate=50.0), method="l2", **more).changes


def without_change(kind, seed):
    """Series in which a person would mark nothing."""
    rng = np.random.default_rng([seed, 3])
    n = int(rng.integers(60, 400))
    t = np.arange(n)[:, None]
    noise = rng.normal(size=(n, 1))
    return {
        "white": lambda: noise,
        "short AR, 6 channels": lambda: autoregressive(0.9, 300, 6, seed),
        "heavy tails": lambda: rng.standard_t(3, size=(n, 1)),
        "trend": lambda: noise + 20 * t / n,
        "season": lambda: noise + 3 * np.sin(2 * np.pi * t / 12),
        "trend and season": lambda: noise + 15 * t / n + 3 * np.sin(2 * np.pi * t / 12),
        "random walk": lambda: noise.cumsum(axis=0),
        "growth": lambda: np.exp(np.cumsum(3 / n + 0.02 * noise, axis=0)),
        "integers": lambda: np.round(noise),
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    [
        "white",
        "short AR, 6 channels",
        "heavy tails",
        "trend",
        "season",
        "trend and season",
        "random walk",
        "growth",
        "integers",
    ],
)
def test_V13_hardly_a_change_where_there_is_none(kind):
    found = [len(cut(without_change(kind, seed))) for seed in range(6)]
    assert np.mean(found) <= 0.34


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("d", [1, 6])
def test_V13_few_changes_in_long_noise(share, d):
    found = [len(cut(autoregressive(share, 3000, d, seed))) for seed in range(3)]
    assert np.mean(found) <= 0.34


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_all_steps_in_noise_are_found(share):
    found = cut(autoregressive(share, 3000, 3, 0) + square_wave(3000, 500, 4 / (1 - share)))
    assert len(found) == 5 and np.abs(found - [500, 1000, 1500, 2000, 2500]).max() <= 3


@pytest.mark.parametrize(
    "noise",
    [
        lambda rng: rng.standard_t(3, size=(400, 1)),
        lambda rng: 0.4 * rng.normal(size=(400, 1)).cumsum(axis=0),
        lambda rng: np.round(rng.normal(size=(400, 1))),
        lambda rng: rng.normal(size=(400, 1)) + 2 * np.sin(np.arange(400) / 2)[:, None],
    ],
)
def test_steps_are_found_in_unusual_noise(noise):
    for seed in range(3):
        values = noise(np.random.default_rng(seed)) + square_wave(400, 100, 12.0)
        found = cut(values)
        missed = [np.abs(found - at).min() for at in (100, 200, 300)]
        assert max(missed) <= 4 and len(found) <= 4


def test_steps_that_take_a_while_are_found():
    """Filtered signals pass from one level to the next over some samples."""
    rng = np.random.default_rng(0)
    wave = np.convolve(np.pad(square_wave(400, 80, 3.0)[:, 0], 20, "edge"), np.ones(7) / 7, "same")[20:-20]
    found = cut(wave[:, None] + 0.3 * rng.normal(size=(400, 1)))
    assert len(found) == 4 and np.abs(found - [80, 160, 240, 320]).max() <= 5


def test_a_channel_that_only_rises_does_not_hide_steps_in_another():
    rng = np.random.default_rng(1)
    rising = (1 + 0.05 * rng.normal(size=(400, 1))).cumsum(axis=0)
    steps = rng.normal(size=(400, 1)) + square_wave(400, 100, 8.0)
    assert set(cut(np.column_stack([steps, rising])).tolist()) >= {100, 200, 300}


def test_V09_scale_of_a_channel_does_not_matter():
    values = autoregressive(0.0, 2000, 2, 3) + square_wave(2000, 400, 3.0)
    expected = cut(values).tolist()
    assert cut(values * [1.0, 1e6]).tolist() == expected
    assert len(expected) == 4


def test_steps_without_noise_and_coarse_steps_have_a_price():
    assert cut(square_wave(1000, 250, 1.0)).tolist() == [250, 500, 750]
    coarse = np.round(autoregressive(0.0, 2000, 1, 4) + square_wave(2000, 500, 8.0))
    assert cut(coarse).tolist() == [500, 1000, 1500]


def test_sparse_changes_of_a_long_stream_are_found_and_its_drift_is_left_alone():
    """More samples than are judged at once: changes outside the windows, and none inside or outside."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(200_000, 1))
    assert cut(noise + 2.0 * (np.arange(200_000) > 60_000)[:, None]).tolist() == [60_001]
    walk = noise.cumsum(axis=0)
    assert len(cut(walk)) <= 2


def test_price_rises_with_length_and_channels_and_less_for_copies():
    def price(n, d):
        return noise_penalty(Stream(autoregressive(0.0, n, d, 0), rate=1.0))[1]

    assert 2 * np.log(1000) < price(1000, 1) < price(10_000, 1) < price(10_000, 8) < 8 * price(10_000, 1)
    one = autoregressive(0.0, 5000, 1, 0)
    copies = noise_penalty(Stream(np.repeat(one, 8, axis=1), rate=1.0))[1]
    assert copies == pytest.approx(8 * noise_penalty(Stream(one, rate=1.0))[1], rel=1e-6)


def test_copies_of_a_channel_change_nothing():
    one = autoregressive(0.0, 2000, 1, 5) + square_wave(2000, 400, 2.0)
    assert cut(np.repeat(one, 8, axis=1)).tolist() == cut(one).tolist()


@pytest.mark.parametrize("price", [noise_penalty, checked_penalty])
def test_many_channels_have_a_finite_price(price):
    values = np.random.default_rng(0).normal(size=(60, 700))
    scale, penalty = price(Stream(values, rate=1.0))
    assert np.isfinite(scale).all() and 700 < penalty < 7000


def test_T16_hardly_any_samples_have_a_price():
    for n in (1, 2, 3, 7, 8, 9, 20):
        scale, penalty = checked_penalty(Stream(100.0 * np.arange(n), rate=1.0))
        assert np.isfinite(scale).all() and penalty > 0


def test_penalty_for_count_finds_the_nearest_step():
    def count(penalty):
        return max(1, int(100 / penalty))

    assert count(penalty_for_count(count, 7, 1.0)) == 7
    assert count(penalty_for_count(count, 70_000, 1.0)) == 70_000
    assert count(penalty_for_count(count, 0.2, 1.0)) == 1


def test_penalty_for_count_of_a_function_with_gaps_takes_the_nearest_then_the_larger():
    def count(penalty):
        return 10 if penalty < 3 else 4

    assert count(penalty_for_count(count, 8, 1.0)) == 10
    assert count(penalty_for_count(count, 7, 1.0)) == 4

"""``penalty="auto"``: hardly a change in noise, correlated or not, and all of them where there are steps."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.datatypes import Stream
from align.segmentation.penalty import noise_penalty, noise_sd, penalty_for_count


def autoregressive(share, n, d, seed):
    """Noise in which each sample keeps a share of the last one; long-run variance 1 / (1 - share)^2."""
    shocks = np.random.default_rng(seed).normal(size=(n + 200, d))
    for i in range(1, len(shocks)):
        shocks[i] += share * shocks[i - 1]
    return shocks[200:]


def square_wave(n, every, height):
    return height * ((np.arange(n) // every) % 2)[:, None]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("d", [1, 6])
def test_V13_few_changes_in_noise(share, d):
    found = [
        len(align.segment(Stream(autoregressive(share, 3000, d, seed), rate=50.0)).changes)
        for seed in range(6)
    ]
    assert np.mean(found) <= 1


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_all_steps_in_noise_are_found(share):
    values = autoregressive(share, 3000, 3, 0) + square_wave(3000, 500, 4 / (1 - share))
    found = align.segment(Stream(values, rate=50.0)).changes
    assert len(found) == 5 and np.abs(found - [500, 1000, 1500, 2000, 2500]).max() <= 3


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_noise_sd_is_the_long_run_one_whatever_the_steps(share):
    for wave in (0.0, square_wave(20_000, 2000, 30.0)):
        sd, _ = noise_sd(Stream(autoregressive(share, 20_000, 2, 1) + wave, rate=1.0))
        assert sd == pytest.approx([1 / (1 - share)] * 2, rel=0.25)


def test_V09_scale_of_a_channel_does_not_matter():
    values = autoregressive(0.0, 2000, 2, 3) + square_wave(2000, 400, 3.0)
    scaled = values * [1.0, 1e6]
    expected = align.segment(Stream(values, rate=1.0)).changes.tolist()
    assert align.segment(Stream(scaled, rate=1.0)).changes.tolist() == expected
    assert len(expected) == 4


def test_steps_without_noise_and_coarse_steps_have_a_price():
    clean = Stream(square_wave(1000, 250, 1.0), rate=1.0)
    assert align.segment(clean).changes.tolist() == [250, 500, 750]
    coarse = np.round(autoregressive(0.0, 2000, 1, 4) + square_wave(2000, 500, 8.0))
    assert align.segment(Stream(coarse, rate=1.0)).changes.tolist() == [500, 1000, 1500]


def test_price_rises_with_length_and_channels_and_less_for_copies():
    def price(n, d):
        return noise_penalty(Stream(autoregressive(0.0, n, d, 0), rate=1.0))[1]

    assert 2 * np.log(1000) < price(1000, 1) < price(10_000, 1) < price(10_000, 8) < 8 * price(10_000, 1)
    one = autoregressive(0.0, 5000, 1, 0)
    copies = noise_penalty(Stream(np.repeat(one, 8, axis=1), rate=1.0))[1]
    assert copies == pytest.approx(8 * noise_penalty(Stream(one, rate=1.0))[1], rel=1e-6)


def test_copies_of_a_channel_change_nothing():
    one = autoregressive(0.0, 2000, 1, 5) + square_wave(2000, 400, 2.0)
    alone = align.segment(Stream(one, rate=1.0)).changes.tolist()
    assert align.segment(Stream(np.repeat(one, 8, axis=1), rate=1.0)).changes.tolist() == alone


def test_many_channels_have_a_finite_price():
    values = np.random.default_rng(0).normal(size=(60, 700))
    scale, price = noise_penalty(Stream(values, rate=1.0))
    assert np.isfinite(scale).all() and 700 < price < 7000


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

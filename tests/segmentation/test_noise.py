"""The size, memory and correlation of noise, whatever the steps."""

from __future__ import annotations

import numpy as np
import pytest

from align.datatypes import Stream
from align.segmentation.noise import noise_bound, noise_sd, noise_spread


def autoregressive(share, n, d, seed):
    """Noise in which each sample keeps a share of the last one; long-run variance 1 / (1 - share)^2."""
    shocks = np.random.default_rng(seed).normal(size=(n + 200, d))
    for i in range(1, len(shocks)):
        shocks[i] += share * shocks[i - 1]
    return shocks[200:]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_sd_is_the_long_run_one_whatever_the_steps(share):
    wave = 30.0 * ((np.arange(20_000) // 2000) % 2)[:, None]
    for steps in (0.0, wave):
        sd, _ = noise_sd(Stream(autoregressive(share, 20_000, 2, 1) + steps, rate=1.0))
        assert sd == pytest.approx([1 / (1 - share)] * 2, rel=0.25)


def test_channel_that_never_moves_has_no_noise():
    values = np.column_stack([np.random.default_rng(0).normal(size=500), np.full(500, 3.0)])
    sd, _ = noise_sd(Stream(values, rate=1.0))
    assert sd[0] > 0 and sd[1] == 0


def test_spread_of_independent_channels_is_even_and_of_copies_is_one_number():
    one = np.random.default_rng(1).normal(size=(5000, 6))
    assert noise_spread(np.diff(one, axis=0)) == pytest.approx(np.ones(6), abs=0.15)
    copies = noise_spread(np.diff(np.repeat(one[:, :1], 6, axis=1), axis=0))
    assert sorted(copies) == pytest.approx([0, 0, 0, 0, 0, 6], abs=1e-9)


def test_bound_is_hardly_exceeded_by_what_noise_earns():
    rng = np.random.default_rng(2)
    spread = np.array([2.0, 0.7, 0.3])
    earned = (spread * rng.normal(size=(200_000, 3)) ** 2).sum(axis=1)
    for x in (1.0, 3.0, 5.0):
        assert (earned > noise_bound(spread, x)).mean() <= np.exp(-x)

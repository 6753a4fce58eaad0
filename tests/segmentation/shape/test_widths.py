"""Widths found from the signal."""

from __future__ import annotations

import numpy as np
import pytest

from align.segmentation.shape.widths import find_widths, window_width


@pytest.mark.parametrize("period", [20, 60, 150])
def test_the_period_of_a_wave(period):
    t = np.arange(6000)
    values = np.sin(2 * np.pi * t / period) + 0.1 * np.random.default_rng(0).standard_normal(6000)
    widths = find_widths((values / values.std())[:, None])
    assert widths.period == pytest.approx(period, abs=1) and widths.period_strength > 0.9
    assert 0.2 * period < window_width(values) < 2.5 * period


def test_noise_has_no_period():
    values = np.random.default_rng(0).standard_normal((4000, 1))
    assert find_widths(values).period is None and find_widths(values).cycle is None


def test_a_cycle_of_several_swings_is_found_beside_the_swings():
    t = np.arange(8000)
    beat = np.sin(2 * np.pi * t / 12) * (1 + 0.9 * np.sin(2 * np.pi * t / 96))
    widths = find_widths((beat / beat.std())[:, None])
    assert widths.cycle == pytest.approx(96, abs=1)


def test_a_flat_signal_has_the_least_width():
    assert window_width(np.ones(100)) == 10

"""What is a detection and what a false alarm, and a setting found by its run length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.alarms import calibrated, seen, with_restarts


def test_a_change_is_seen_by_the_first_alarm_behind_it_and_all_others_are_false() -> None:
    assert seen([5, 12, 14, 40, 61], [10, 50, 60], 20) == ([2, 1], 3)
    assert seen([55], [50, 54], 20) == ([1], 0)  # it is the next change's
    assert seen([], [3], 5) == ([], 0) and seen([1, 2], [], 5) == ([], 2)


def test_after_an_alarm_all_channels_begin_anew() -> None:
    def make():
        taken: list[float] = []

        def step(x: float) -> bool:
            taken.append(x)
            return sum(taken) > 2.5

        return step

    series = np.array([[1, 0], [1, 1], [1, 1], [1, 1], [0, 1], [0, 1]], float)
    assert with_restarts(make, series) == [2, 5]


def test_the_setting_has_the_run_length_that_was_asked_for() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal((5_000, 1)) for _ in range(4)]

    def alarms(threshold: float, series: Sequence[np.ndarray]) -> list[list[int]]:
        return [np.flatnonzero(x[:, 0] > threshold).tolist() for x in series]

    threshold, reached = calibrated(alarms, (0.1, 10.0), noise, [[]] * 4, 10, 200.0)
    assert threshold == pytest.approx(2.576, abs=0.1)  # the 0.995 quantile
    assert reached == pytest.approx(200.0, rel=0.05)

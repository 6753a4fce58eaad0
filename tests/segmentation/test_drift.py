"""The detector one value at a time."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import ParameterError
from align.segmentation.drift import MeanDrift


def drifts(detector: MeanDrift, values: np.ndarray) -> list[int]:
    return [i for i, x in enumerate(values) if detector.update(float(x)).drift_detected]


def test_each_change_is_said_once_and_soon() -> None:
    values = np.random.default_rng(0).normal(10.0, 2.0, 4_000)
    values[1_000:2_000] += 8.0
    values[3_000:] -= 8.0
    found = drifts(MeanDrift(sd=2.0), values)
    assert len(found) == 3
    assert all(0 <= f - true < 10 for f, true in zip(found, (1_000, 2_000, 3_000), strict=True))


def test_noise_and_missing_values_are_no_drift() -> None:
    values = np.random.default_rng(1).standard_normal(5_000)
    values[::7] = np.nan
    assert drifts(MeanDrift(), values) == []


def test_a_drift_flags_one_value_only() -> None:
    detector = MeanDrift(threshold=20.0)
    flags = [detector.update(x).drift_detected for x in [0.0] * 30 + [6.0] * 30]
    assert flags.index(True) == 30
    assert sum(flags) == 1


def test_a_warning_comes_first_and_a_clone_begins_anew() -> None:
    detector = MeanDrift(threshold=60.0, warning=10.0)
    flags = [(d.warning_detected, d.drift_detected) for d in map(detector.update, [0.0] * 30 + [4.0] * 30)]
    assert flags.index((True, False)) == 30 < flags.index((False, True))
    fresh = detector.clone({"sd": 2.0})
    assert (fresh.sd, fresh.threshold, fresh.warning, fresh.drift_detected) == (2.0, 60.0, 10.0, False)


@pytest.mark.parametrize(
    "wrong", [{"warning": 99.0, "threshold": 9.0}, {"sd": 0.0}, {"sd": np.nan}, {"threshold": -1.0}]
)
def test_what_means_nothing_is_refused(wrong) -> None:
    with pytest.raises(ParameterError):
        MeanDrift(**wrong)

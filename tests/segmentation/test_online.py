"""The detector as its users see it; that its statistic is exact is tests/kernels/test_online.py."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import ParameterError
from align.segmentation.online import Detector


def test_it_stops_at_the_first_row_above_the_threshold_and_names_the_change() -> None:
    x = np.random.default_rng(0).standard_normal((400, 2))
    x[250:] += 3.0
    detector = Detector(2)
    taken, passed = detector.until(x, threshold=60.0)
    assert 250 < taken < 262 and passed
    statistic, change = detector.now()
    assert abs(change - 250) <= 2
    whole = Detector(2).push(x).statistic
    assert (whole[: taken - 1] <= 60.0).all() and whole[taken - 1] == statistic > 60.0
    assert detector.n_samples == taken


@pytest.mark.parametrize("kind", ["noise", "steps", "missing", "ramp", "far"])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("combine", ["sum", "max"])
def test_what_is_only_bounded_never_passes(kind, known, combine) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((600, 3))
    if kind == "steps":
        x += np.repeat(rng.normal(0, 2, (6, 3)), 100, axis=0)
    elif kind == "missing":
        x[rng.random(x.shape) < 0.3] = np.nan
    elif kind == "ramp":
        x += np.arange(600)[:, None] / 100
    elif kind == "far":
        x += 1e7
    mean = None if not known else 1e7 if kind == "far" else 0.0
    whole = Detector(3, mean=mean, combine=combine).push(x).statistic
    for threshold in (5.0, 12.0, 20.0, 35.0, 60.0, 200.0):
        above = np.flatnonzero(whole > threshold)
        expected = (int(above[0]) + 1, True) if above.size else (600, False)
        for size in (600, 1, 7):
            detector, taken, passed = Detector(3, mean=mean, combine=combine), 0, False
            while taken < 600 and not passed:
                count, passed = detector.until(x[taken : taken + size], threshold)
                taken += count
            assert (taken, passed) == expected
            assert detector.now()[0] == whole[taken - 1]


def test_false_alarms_are_rare_at_a_threshold_of_their_bound() -> None:
    x = np.random.default_rng(1).standard_normal((100_000, 1))
    assert Detector(1).push(x).statistic.max() < 40.0


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
def test_an_offset_changes_nothing(offset) -> None:
    x = np.round(np.random.default_rng(2).normal(0, 50, (300, 1)))  # whole: exact under the offset
    assert np.allclose(Detector(1).push(x + offset).statistic, Detector(1).push(x).statistic, rtol=1e-9)


def test_reset_forgets_everything() -> None:
    x = np.random.default_rng(3).standard_normal((50, 1))
    detector = Detector(1)
    detector.push(x * 100)
    detector.reset()
    assert np.array_equal(detector.push(x).statistic, Detector(1).push(x).statistic)


def test_R14_a_row_count_beyond_2_to_31_goes_on() -> None:
    detector = Detector(1, mean=0.0)
    state = {name: array.copy() for name, array in detector.state().items()}
    for name in ("times", "samples"):
        state[name][0, :, 0] = 2**40
    state["totals"][0, 0] = state["counts"][0] = 2**40
    detector.restore(state)
    scores = detector.push([[0.0], [3.0], [3.0]])
    assert scores.statistic.tolist() == [0.0, 9.0, 18.0]
    assert scores.change.tolist()[1:] == [2**40 + 1] * 2


def test_what_means_nothing_is_refused() -> None:
    for wrong in ({"combine": "mean"}, {"scale": -1.0}, {"mean": [0.0, 1.0, 2.0]}, {"scale": np.nan}):
        with pytest.raises(ParameterError):
            Detector(2, **wrong)
    with pytest.raises(ParameterError):
        Detector(2).push(np.zeros((3, 1)))
    with pytest.raises(ParameterError):
        Detector(1).push([[np.inf]])
    with pytest.raises(ParameterError):
        Detector(2).restore(Detector(1).state())

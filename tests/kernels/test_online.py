"""The online statistic is the generalised likelihood ratio over all windows, against looking at every window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels import online
from align.segmentation import online as detectors
from align.segmentation.online import Detector
from tests import naive


@given(
    st.integers(0, 10_000),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from(["noise", "steps", "whole", "ramp"]),
)
def test_the_statistic_is_that_of_the_best_window(seed, n, known, kind) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    if kind == "steps":
        x += np.repeat(rng.normal(0, 3, n // 10 + 1), 10)[:n]
    elif kind == "whole":
        x = np.round(x)
    elif kind == "ramp":
        x += np.arange(n) * rng.normal()
    x[rng.random(n) < 0.1] = np.nan
    scores = Detector(1, mean=0.0 if known else None).push(x[:, None])
    for t in range(n):
        best, _ = naive.greatest_saving(x[: t + 1], known)
        assert scores.statistic[t] == pytest.approx(best, rel=1e-9, abs=1e-9)
        if scores.statistic[t] > 1e-6:  # the row named is one that reaches it
            valid = x[: t + 1][~np.isnan(x[: t + 1])]
            s = int((~np.isnan(x[: scores.change[t]])).sum())
            parts = [valid[s:]] if known else [valid[:s], valid[s:]]
            zero = 0.0 if known else valid.mean()
            left = sum(((p - p.mean()) ** 2).sum() for p in parts)
            whole = ((valid[s:] if known else valid) - zero) ** 2
            assert whole.sum() - left == pytest.approx(best, rel=1e-7, abs=1e-7)


@given(st.integers(0, 10_000), st.sampled_from(["sum", "max"]), st.booleans())
def test_channels_add_up_or_compete_and_chunks_make_no_difference(seed, combine, known) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(100.0, 1.0, (80, 3))
    x[40:, 1] += 3.0
    scale = np.array([1.0, 0.5, 0.0])
    mean = 100.0 if known else None
    at_once = Detector(3, mean=mean, scale=scale, combine=combine).push(x)
    alone = [Detector(1, mean=mean, scale=s).push(x[:, c : c + 1]).statistic for c, s in enumerate(scale[:2])]
    assert np.array_equal(at_once.statistic, sum(alone) if combine == "sum" else np.maximum(*alone))
    pieces, detector = [], Detector(3, mean=mean, scale=scale, combine=combine)
    for part in np.split(x, np.sort(rng.integers(0, 80, 7))):
        copy = Detector(3, mean=mean, scale=scale, combine=combine)
        copy.restore(detector.state())  # and neither does being saved between
        detector = copy
        pieces.append(detector.push(part))
    assert np.array_equal(np.concatenate([p.statistic for p in pieces]), at_once.statistic)
    assert np.array_equal(np.concatenate([p.change for p in pieces]), at_once.change)


def test_a_full_hull_thins_out_and_never_says_more_than_is_true(monkeypatch) -> None:
    assert detectors.CAPACITY == online.CAPACITY
    monkeypatch.setattr(detectors, "CAPACITY", 16)
    x = np.linspace(0.0, 5.0, 120) ** 2  # bends one way: every point is a vertex
    detector = Detector(1)
    statistic = detector.push(x[:, None]).statistic
    exact = np.array([naive.greatest_saving(x[: t + 1], False)[0] for t in range(len(x))])
    assert detector.dropped > 0
    assert (statistic <= exact * (1 + 1e-9) + 1e-9).all()
    assert (statistic >= 0.7 * exact - 1e-9).all()  # with 16; with 128 hardly anything is lost
    assert detector.state()["times"].shape == (1, 2, 16)


def test_noise_needs_few_vertices() -> None:
    detector = Detector(2)
    detector.push(np.random.default_rng(0).standard_normal((3_000, 2)))
    assert detector.state()["sizes"].max() < 40  # about ln n = 8
    assert detector.dropped == 0


def test_missing_cells_take_the_level_so_far() -> None:
    values = np.array([[np.nan], [4.0], [np.nan], [20.0], [np.nan]])
    levels = np.full(1, np.nan)
    online.hold_levels(values, levels)
    assert values.ravel().tolist() == [0.0, 4.0, 4.0, 20.0, 5.0]
    assert levels.tolist() == [5.0]

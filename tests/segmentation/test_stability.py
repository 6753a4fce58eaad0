"""The answer over a range of penalties."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.datatypes import Stream
from align.errors import ParameterError
from align.segmentation.stability import stability


def stream(heights, every=200, seed=0, **more):
    levels = np.repeat(np.cumsum(heights), every)[:, None]
    return Stream(levels + np.random.default_rng(seed).normal(size=levels.shape), rate=10.0, **more)


def test_each_step_of_the_path_is_what_segment_finds_there():
    signal = stream([0, 5, -5, 1.0, 4])
    found = stability(signal)
    scale = 1 / np.std(np.diff(signal.values[:200, 0])) * np.sqrt(2)
    assert (np.diff(found.n_segments) < 0).all() and (np.diff(found.penalties) > 0).all()
    assert found.penalties[0] == pytest.approx(found.penalty / 8)
    assert found.penalties[-1] == pytest.approx(found.penalty * 8)
    assert scale == pytest.approx(1.0, rel=0.2)
    auto = align.segment(signal, method="l2")
    assert found.chosen == auto.n_segments and found.penalty == auto.penalty
    np.testing.assert_allclose(found.boundaries, auto.changes / 10.0)


def test_strong_boundaries_persist_and_weak_ones_less():
    found = stability(stream([0, 20, 0.8, 20]), penalty=30.0)
    at = found.boundaries.tolist()
    strong = [found.persistence[i] for i, t in enumerate(at) if abs(t - 20) < 0.5 or abs(t - 60) < 0.5]
    weak = [found.persistence[i] for i, t in enumerate(at) if abs(t - 40) < 3]
    assert len(strong) == 2 and min(strong) > 0.99
    assert weak and max(weak) < 0.9


def test_clear_answer_is_steady_and_noise_has_one_segment():
    assert stability(stream([0, 9, -9, 9])).steady > 5
    none = stability(stream([0, 0, 0]))
    assert none.chosen == 1 and none.boundaries.size == 0 and none.persistence.size == 0


def test_runs_are_counted_and_gaps_are_no_boundaries():
    signal = stream([0, 6, 30, 6], run_index=np.array([0, 400]), run_start=np.array([0.0, 100.0]))
    found = stability(signal)
    assert found.chosen == 4 and found.boundaries.tolist() == pytest.approx([20.0, 120.0], abs=0.3)
    assert found.span == (0.0, 140.0)


@pytest.mark.parametrize("wrong", [{"cost": "l3"}, {"penalty": 0.0}, {"factor": 1.0}])
def test_S17_bad_arguments_say_what_is_allowed(wrong):
    with pytest.raises(ParameterError, match="allowed"):
        stability(stream([0, 1]), **wrong)

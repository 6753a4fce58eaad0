"""Evidence for change points against noise that is autocorrelated, drifting or heavy-tailed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from align.segmentation.evidence import Evidence, deviance, innovations

NONE = np.empty(0, np.int64)


def evidence(values, changes, model="level"):
    one = Evidence([values], np.ones(values.shape[1]), np.ones(values.shape[1]))
    return one.of([np.asarray(changes, np.int64)], model)


def steps(n, at, height):
    return height * np.searchsorted(at, np.arange(n), side="right")[:, None]


def test_none_is_the_measure_of_all():
    values = np.random.default_rng(0).normal(size=(200, 2))
    assert evidence(values, []) == 0.0


def test_true_steps_beat_fewer_more_and_moved_ones():
    values = np.random.default_rng(1).normal(size=(300, 1)) + steps(300, [100, 200], 5.0)
    best = evidence(values, [100, 200])
    assert best > 50
    for others in ([100], [100, 150, 200], [90, 200], [50, 250]):
        assert evidence(values, others) < best


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(2).normal(size=(300, 1)).cumsum(axis=0),
        np.random.default_rng(3).normal(size=(300, 1)) + 0.1 * np.arange(300)[:, None],
        np.random.default_rng(4).normal(size=(300, 1)) + 4 * np.sin(np.arange(300) / 2)[:, None],
    ],
)
def test_staircases_of_walks_trends_and_seasons_have_none(values):
    for k in (2, 4, 8):
        assert evidence(values, np.arange(1, k) * (300 // k)) < 0


def test_line_sees_a_kink_and_spread_a_burst_that_level_does_not():
    rng = np.random.default_rng(5)
    t = np.arange(300)
    kink = rng.normal(size=(300, 1)) + 0.3 * np.minimum(t, 300 - t)[:, None]
    assert evidence(kink, [150], "line") > 10 > evidence(kink, [150])
    burst = rng.normal(size=(300, 1)) * np.where(t < 150, 1.0, 5.0)[:, None]
    assert evidence(burst, [150], "spread") > 50 > evidence(burst, [150])


def test_a_channel_without_change_does_not_speak_against_another():
    rng = np.random.default_rng(6)
    one = rng.normal(size=(300, 1)) + steps(300, [150], 4.0)
    both = np.column_stack([one, rng.normal(size=(300, 1)).cumsum(axis=0)])
    assert evidence(both, [150]) > 0.5 * evidence(one, [150]) > 20


def test_two_pieces_are_worth_what_both_are():
    rng = np.random.default_rng(7)
    pieces = [rng.normal(size=(200, 1)) + steps(200, [100], 5.0) for _ in range(2)]
    judge = Evidence(pieces, np.ones(1), np.ones(1))
    at = np.array([100])
    both, first = judge.of([at, at]), judge.of([at, NONE])
    assert both > first > 0


def test_deviance_of_white_noise_is_that_of_student_t():
    """The likelihood of t with the best scale, up to its constants; no order is worth its price."""
    values = np.random.default_rng(8).standard_t(5, size=(20_000, 1))
    shocks, paid = innovations([values], np.array([1e-9]))
    assert paid == 0 and len(shocks) >= 20_000 - 16
    naive = min(
        float((6 * np.log1p((shocks / s) ** 2 / 5) + 2 * math.log(s)).sum())
        for s in np.geomspace(0.9, 1.1, 81)
    )
    assert deviance([values], np.array([1e-9]))[0] == pytest.approx(naive, abs=1.0)


def test_innovations_of_an_autoregression_are_its_shocks():
    shocks = np.random.default_rng(9).normal(size=5000)
    values = np.zeros(5000)
    for i in range(2, 5000):
        values[i] = 1.2 * values[i - 1] - 0.5 * values[i - 2] + shocks[i]
    found, paid = innovations([values[:, None]], np.array([1e-9]))
    assert paid[0] >= 2 * math.log(5000)
    assert np.corrcoef(found[:, 0], shocks[-len(found) :])[0, 1] > 0.99


def test_flat_data_has_a_finite_deviance():
    assert np.isfinite(deviance([np.zeros((50, 2))], np.zeros(2))).all()
    assert evidence(steps(100, [50], 1.0), [50]) > 100

"""align/coordination/trust/durations.py: log-normal durations from text vectors."""

from __future__ import annotations

import numpy as np
import pytest

from align.coordination.trust.durations import DurationModel, fit_durations


def test_without_anything_to_go_by_it_is_the_mean_and_deviation_of_the_logs():
    seconds = np.array([2.0, 4.0, 8.0, 16.0])
    model = fit_durations(np.zeros((4, 3), np.float32), seconds)
    assert model.mean == pytest.approx(np.log(seconds).mean())
    assert model.sd == pytest.approx(np.log(seconds).std())
    assert not model.weights.any()
    assert model.of(np.ones((2, 3), np.float32)).tolist() == [[model.mean, model.sd]] * 2
    assert model.tails > 0.0  # of people who are new


def test_it_is_ridge_regression():
    rng = np.random.default_rng(0)
    x, seconds = rng.normal(size=(40, 5)).astype(np.float32), np.exp(rng.normal(size=40))
    weight = rng.uniform(0.1, 1.0, 40)
    model = fit_durations(x, seconds, weight)

    def objective(w):
        residual = np.log(seconds) - model.mean - x.astype(float) @ w
        return (weight * residual**2).sum() + (w**2).sum()

    best = objective(model.weights.astype(float))
    for i in range(5):
        for step in (-1e-3, 1e-3):
            assert objective(model.weights + step * np.eye(5)[i]) > best


def test_texts_of_different_length_are_told_apart():
    vectors = np.repeat(np.eye(2, dtype=np.float32), 50, axis=0)
    seconds = np.repeat([2.0, 60.0], 50)
    model = fit_durations(vectors, seconds)
    short, long = np.exp(model.of(np.eye(2, dtype=np.float32))[:, 0])
    assert short == pytest.approx(2.0, rel=0.1) and long == pytest.approx(60.0, rel=0.1)
    assert model.sd == 0.25  # never surer than that


def test_texts_that_vary_more_than_others_are_told_apart():
    rng = np.random.default_rng(1)
    vectors = np.repeat(np.eye(3, dtype=np.float32), [200, 200, 1], axis=0)
    sd = np.repeat([0.3, 0.9, 0.01], [200, 200, 1])
    model = fit_durations(vectors, np.exp(1.0 + sd * rng.normal(size=401)))
    steady, loose, rare = model.of(np.eye(3, dtype=np.float32))[:, 1]
    assert steady == pytest.approx(0.3, rel=0.15) and loose == pytest.approx(0.9, rel=0.15)
    assert 0.4 < rare < model.sd  # one note says little
    assert model.of(np.zeros((1, 3), np.float32))[0, 1] == model.sd  # a text of which nothing is known


def test_the_spread_is_the_likeliest_under_a_ridge():
    rng = np.random.default_rng(2)
    x, weight = rng.normal(size=(60, 4)).astype(np.float32), rng.uniform(0.1, 1.0, 60)
    log = x @ np.array([1.0, 0.0, 0.0, 2.0]) + np.exp(0.5 * x[:, 1]) * rng.normal(size=60)
    model = fit_durations(x, np.exp(log), weight)
    squares = (log - model.mean - x.astype(float) @ model.weights.astype(float)) ** 2 / model.sd**2

    def objective(b):
        own = x.astype(float) @ b
        return 0.5 * (weight * (own + squares * np.exp(-own))).sum() + 0.5 * (b**2).sum()

    best = objective(model.spread.astype(float))
    for i in range(4):
        for step in (-1e-2, 1e-2):
            assert objective(model.spread + step * np.eye(4)[i]) > best


def test_what_weighs_nothing_does_not_count():
    vectors = np.eye(3, dtype=np.float32)
    model = fit_durations(vectors, np.array([5.0, 5.0, 5000.0]), np.array([1.0, 1.0, 1e-12]))
    assert model.mean == pytest.approx(np.log(5.0), abs=1e-6)
    assert model.of(vectors[2:])[0, 1] == pytest.approx(0.25, abs=1e-6)


def test_N02_no_texts():
    assert DurationModel(1.0, np.zeros(3, np.float32), 0.5).of(np.zeros((0, 3), np.float32)).shape == (0, 2)

"""Starts for order alone: the best fit is kept, and it beats the average start."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.coordination.weak.learning import _scene
from align.coordination.weak.restarts import best_of_starts, fit_of, part_of
from align.coordination.weak.rounds import START_SD, Belief, Regime, annealed
from tests.coordination.sessions import made_session, untold
from tests.coordination.weak.test_learning import prepared

REGIME = Regime(1.9, 7.6, 0.9)


@pytest.fixture(scope="module")
def scene():
    examples, notes, vocabulary, _ = prepared([untold(made_session(seed, n_notes=8)) for seed in range(6)])
    return _scene([], list(zip(examples, notes, strict=True)), vocabulary, 20.0)


def start_of(scene):
    return Belief(
        np.tile([np.log(0.7 * scene.spacing), START_SD], (len(scene.kin), 1)), 0.0, scene.spacing, 0.25
    )


def test_the_best_of_several_starts_fits_at_least_as_well_as_the_plain_one(scene):
    told = []
    best = best_of_starts(scene, start_of(scene), REGIME, 4, 0, lambda *at: told.append(at))
    plain = annealed(scene, start_of(scene), REGIME, 4)
    assert fit_of(scene, best, REGIME) >= fit_of(scene, plain, REGIME) - 1e-9
    assert len(best.soft) == len(scene.weak)
    assert told[-1][1] == told[-1][2]


def test_a_part_of_a_scene_is_some_of_its_sessions(scene):
    part = part_of(scene, [4, 1])
    assert [e for e, _ in part.weak] == [scene.weak[4][0], scene.weak[1][0]]
    assert part.frames[0] is scene.frames[4]
    assert part.views[1] is scene.views[1]


def test_the_fit_of_certain_posteriors_is_the_mean_log_density(scene):
    found = annealed(scene, start_of(scene), REGIME, 3)
    hard = tuple(np.eye(s.shape[1])[s.argmax(axis=1)] for s in found.soft)
    belief = dataclasses.replace(found, soft=hard)
    from align.coordination.weak.rounds import gaussians_of

    gaussians = gaussians_of(scene, belief, REGIME.tied)
    logs = []
    for frames, (example, _), soft in zip(scene.frames, scene.weak, hard, strict=True):
        for x, k in zip(frames, np.append(example.notes, -1)[soft.argmax(axis=1)], strict=True):
            z = np.linalg.solve(gaussians.factors[k], x - gaussians.means[k])
            logs.append(-0.5 * z @ z - np.log(np.diag(gaussians.factors[k])).sum())
    assert fit_of(scene, belief, REGIME) == pytest.approx(np.mean(logs))

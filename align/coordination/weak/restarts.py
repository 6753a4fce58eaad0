"""Several starts where only the order of the notes is known: which of them explains the frames best.

Expectation-maximisation from order alone ends in one of many places, most of them off by a note here and there.
What tells them apart is the absolute likelihood of the frames, "nothing" included: the likelihood ratio against
"nothing" that the posteriors are made of prefers solutions in which "nothing" explains badly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from align.coordination.weak.rounds import Belief, Regime, Scene, annealed, gaussians_of
from align.datatypes import Floats

__all__ = ["best_of_starts", "fit_of", "part_of"]

_DRAWS, _KEPT = 8, 2
_FIRST_ROUNDS = 6
_JITTER = 0.3  # standard deviation of the log duration from which a text starts
_SESSIONS = 12  # that a draw is tried on


def best_of_starts(
    scene: Scene, start: Belief, regime: Regime, rounds: int, seed: int, tell: Callable[[str, int, int], None]
) -> Belief:
    """The posteriors that the best of several starts comes to, on all sessions.

    Every draw starts from other durations and gets a few rounds on a few sessions, the best two go on with all.
    The first draw is ``start`` itself.

    Args:
        scene: all weak sessions.
        start: durations, share of "nothing", no posteriors yet.
        regime: of the rounds.
        rounds: with all sessions.
        seed: of the draws.
        tell: called as ``tell(stage, done, total)``.
    """
    rng = np.random.default_rng(seed)
    few = part_of(scene, rng.permutation(len(scene.weak))[:_SESSIONS].tolist())
    found: list[tuple[float, Belief]] = []
    for draw in range(_DRAWS):
        jitter = _JITTER * rng.normal(size=len(start.durations)) * (draw > 0)
        durations = start.durations + np.column_stack([jitter, np.zeros_like(jitter)])
        belief = annealed(few, dataclasses.replace(start, durations=durations), regime, _FIRST_ROUNDS)
        found.append((fit_of(few, belief, regime), belief))
        tell("trying starts", draw + 1, _DRAWS + _KEPT)
    found.sort(key=lambda pair: -pair[0])
    last = Regime(regime.last_looks, regime.last_looks, regime.tied)
    ends = []
    for k, (_, belief) in enumerate(found[:_KEPT]):
        seen = gaussians_of(few, belief, regime.tied)
        whole = annealed(scene, dataclasses.replace(belief, soft=()), last, rounds, gaussians=seen)
        ends.append((fit_of(scene, whole, regime), whole))
        tell("trying starts", _DRAWS + k + 1, _DRAWS + _KEPT)
    return max(ends, key=lambda pair: pair[0])[1]


def part_of(scene: Scene, which: list[int]) -> Scene:
    """Some of the weak sessions; what is known for sure stays.

    Args:
        scene: all of them.
        which: indices of weak sessions.
    """
    return dataclasses.replace(
        scene,
        weak=[scene.weak[i] for i in which],
        views=tuple(scene.views[i] for i in which),
        frames=tuple(scene.frames[i] for i in which),
        hints=tuple(scene.hints[i] for i in which),
    )


def fit_of(scene: Scene, belief: Belief, regime: Regime) -> float:
    """Mean log likelihood of a frame under what the posteriors say covers it, "nothing" included.

    Args:
        scene, belief, regime: as for ``annealed``.
    """
    gaussians = gaussians_of(scene, belief, regime.tied)
    sums: Floats = np.zeros(2)
    for frames, (example, _), soft in zip(scene.frames, scene.weak, belief.soft, strict=True):
        sums += gaussians.log_likelihood(frames, example.notes, soft)
    return float(sums[0] / max(sums[1], 1.0))

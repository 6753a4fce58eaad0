"""How the step length runs over a training: a warm-up, then half a cosine down to almost nothing.

Everything here is a function of the step's number alone, so a training that is resumed needs no state of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Schedule", "seed_of"]

_WARM_UP = 0.2  # share of the steps
_FIRST, _LAST = 1.0 / 25.0, 4e-6  # of the peak: where the warm-up starts, where the cosine ends
_SLOW, _FAST = 0.95, 0.85  # momentum: while steps are short, and at the peak


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps of a training, numbered from 0.

    Attributes:
        n_examples: sessions to learn from, >= 1.
        batch: sessions per step, >= 1.
        epochs: passes over the sessions, >= 1.
        peak: the longest learning rate.
        seed: of the order in which sessions are seen.
    """

    n_examples: int
    batch: int
    epochs: int
    peak: float
    seed: int

    @property
    def per_epoch(self) -> int:
        """Steps of one pass."""
        return math.ceil(self.n_examples / self.batch)

    @property
    def steps(self) -> int:
        """Steps of all passes."""
        return self.epochs * self.per_epoch

    def epoch(self, step: int) -> int:
        """The pass, from 0, to which a step belongs."""
        return step // self.per_epoch

    def ends_epoch(self, step: int) -> bool:
        """Is this a pass's last step?"""
        return (step + 1) % self.per_epoch == 0

    def examples(self, step: int) -> Iterator[int]:
        """Which examples a step sees; a pass sees each once, in an order of its own."""
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.n_examples)
        return map(int, order[place * self.batch : (place + 1) * self.batch])

    def learning_rate(self, step: int) -> float:
        """Rises over the first fifth of the steps from 1/25 of the peak, then falls to 4e-6 of it.

        Reference: Smith & Topin, arXiv 1708.07120, section 3 ("one cycle"), with cosines in place of lines.
        """
        return self._cycle(step, self.peak * _FIRST, self.peak, self.peak * _LAST)

    def momentum(self, step: int) -> float:
        """AdamW's first beta: 0.95, 0.85 at the peak of the learning rate, 0.95 at the end."""
        return self._cycle(step, _SLOW, _FAST, _SLOW)

    def _cycle(self, step: int, first: float, peak: float, last: float) -> float:
        top, end = max(0.0, _WARM_UP * self.steps - 1.0), self.steps - 1.0
        if step <= top:
            return _between(first, peak, step / top if top > 0 else 1.0)
        return _between(peak, last, (step - top) / (end - top))


def _between(a: float, b: float, share: float) -> float:
    """Half a cosine from a to b."""
    return b + 0.5 * (a - b) * (1.0 + math.cos(math.pi * share))


def seed_of(seed: int, *place: int) -> int:
    """A seed of its own for every place of a training, as (step, process), the same in every run.

    Args:
        seed: of the training.
        place: whole numbers >= 0.

    Returns:
        An integer in [0, 2^63).
    """
    (state,) = np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)
    return int(state) >> 1

"""Which segmentation of the path of one cost has the most evidence, and at which penalties it is the optimum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.costs import Fitted, costs_between, fit_cost
from align.segmentation.crops import crops
from align.segmentation.evidence import MODELS, Evidence
from align.segmentation.moves import total_cost
from align.segmentation.noise import noise_bound

__all__ = ["MODEL_OF", "Judged", "judge", "starting_price"]

Ints = npt.NDArray[np.int64]

MODEL_OF: Mapping[str, str] = MappingProxyType(
    {
        "l2": "level",
        "l1": "level",
        "huber": "level",
        "biweight": "level",
        "poisson": "level",
        "rank": "level",
        "trend": "line",
        "meanvar": "spread",
    }
)
"""Cost -> what of ``evidence.MODELS`` it looks for; a cost that is not here is not judged."""

_LONG = 2_000  # samples; of fewer more is looked at, as each decides more and costs less
_SOLUTIONS = (24, 12)  # of the path that are judged
_BELOW = (8.0, 4.0)  # the path begins at this part of the price that noise suggests
_LONGEST = 8  # segments shorter than this on average are not judged
_CALIBRATED = 8  # samples per half, where a cost's unit is measured
_CHI_MEDIAN = 0.45494  # of one squared standard normal variable
_IN_UNITS = ("l2", "trend", "meanvar", "huber", "biweight")  # costs in units of the noise's variance


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The best segmentation of a path: the optimum at every penalty from ``low`` to ``high``.

    ``changes`` count from the first piece's first sample, the pieces end to end; ``evidence`` is that of
    ``evidence.Evidence``, 0 for none; ``start`` is the price that noise alone suggests.
    """

    low: float
    high: float
    changes: Ints
    evidence: float
    start: float

    @property
    def price(self) -> float:
        """``start`` where that is between ``low`` and ``high``, else well inside, at most twice away."""
        if self.low <= self.start <= self.high:
            return self.start
        middle = math.sqrt(self.low * self.high) if self.low > 0 else self.high / 2
        return min(middle, 2 * self.low) if self.start < self.low else max(middle, self.high / 2)


def judge(evidence: Evidence, cost: str, min_size: int) -> Judged:
    """Look at the optimal segmentations over a range of penalties; take the one with most evidence.

    Args:
        evidence: made from the data, with the scale that gives it unit noise.
        cost: a key of ``MODEL_OF``.
        min_size: fewest samples of a segment.
    """
    pieces = evidence.given
    fitted = [fit_cost(cost, p, evidence.scale, min_size) for p in pieces]
    ends = np.cumsum([len(p) for p in pieces])
    starts = ends - [len(p) for p in pieces]
    start = starting_price(fitted, cost, evidence.spread)

    def changes_at(penalty: float) -> Ints:
        parts = [_changes(f, penalty) + s for f, s in zip(fitted, starts, strict=True)]
        return np.concatenate(parts)

    def split(changes: Ints) -> list[Ints]:
        return [changes[(changes > s) & (changes < e)] - s for s, e in zip(starts, ends, strict=True)]

    def cost_of(changes: Ints) -> float:
        return sum(total_cost(f, c) for f, c in zip(fitted, split(changes), strict=True))

    long = bool(ends[-1] > _LONG)
    low = start / _BELOW[long]
    none = cost_of(np.empty(0, np.int64))
    high = max(none - cost_of(changes_at(low)), low) * (1 + 1e-9)
    path = crops(changes_at, cost_of, low, high, _SOLUTIONS[long])
    judged = [
        evidence.of(split(c), MODEL_OF[cost]) if len(c) * _LONGEST <= ends[-1] else -math.inf
        for c in path.changes
    ]
    best = max(range(len(judged)), key=lambda i: (judged[i], i))
    above = math.inf if len(path.changes[best]) == 0 else float(path.penalties[best + 1])
    return Judged(float(path.penalties[best]), above, path.changes[best], judged[best], start)


def _changes(fitted: Fitted, penalty: float) -> Ints:
    return fitted.cost.changes(fitted, penalty) if fitted.tables else np.empty(0, np.int64)


def starting_price(fitted: Sequence[Fitted], cost: str, spread: Floats) -> float:
    """What noise rarely earns under a cost, on data in units of its noise.

    That is ``noise_bound`` at ``x = ln n`` for the cost's numbers per segment. A cost in units of its own is
    calibrated: the median of what splitting 16 samples in the middle earns is that of one squared standard
    normal variable per channel and number.

    Args:
        fitted: the pieces under the cost.
        cost: its name.
        spread: (d,) eigenvalues of the channels' noise correlation.
    """
    n = max(2, sum(f.n_samples for f in fitted))
    numbers = MODELS[MODEL_OF[cost]] if cost in MODEL_OF else 2
    price = noise_bound(np.repeat(spread, numbers), math.log(n))
    if cost in _IN_UNITS:
        return price
    gains = np.concatenate([_gains(f) for f in fitted])
    typical = float(np.median(gains[gains > 0])) if (gains > 0).any() else 0.0
    unit = typical / (_CHI_MEDIAN + numbers * len(spread) - 1)  # roughly the median of more than one
    return price * unit if unit > 0 else price


def _gains(fitted: Fitted) -> Floats:
    """What splitting every stretch of 16 samples in its middle earns."""
    half = max(_CALIBRATED, 2 * fitted.min_size)
    begin = np.arange(0, fitted.n_samples - 2 * half + 1, 2 * half)
    if not fitted.tables or not begin.size:
        return np.empty(0)
    whole = costs_between(fitted, begin, begin + 2 * half)
    return np.asarray(
        whole
        - costs_between(fitted, begin, begin + half)
        - costs_between(fitted, begin + half, begin + 2 * half)
    )

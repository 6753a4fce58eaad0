"""How much speaks for the changes that each cost finds, the price at which it finds them, and which cost to take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from align.datatypes import Floats, Stream
from align.segmentation.costs import fit_cost
from align.segmentation.evidence import Evidence
from align.segmentation.judging import MODEL_OF, Judged, judge, starting_price
from align.segmentation.noise import noise_bound, noise_sd, noise_spread
from align.segmentation.views import coarse_pieces, fine_pieces

__all__ = ["Choice", "Noise", "Verdict", "choose_cost", "noise_of", "weigh"]

_LARGEST = 1e100  # beyond it squares and their sums overflow
_PART = 0.25  # of what a price is judged on, for a choice between costs: the others are slower than the level
_CLEARLY = 6.0  # evidence by which another cost must be better than that of the level
_CHOOSABLE: Mapping[str, str] = MappingProxyType(
    {
        "l2": "changes of level",
        "trend": "straight lines that break",
        "meanvar": "changes of level or spread",
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """What is known of a stream before it is cut.

    ``scale`` (n_channels,): one over the long-run sd of each channel's noise, 0 for one that never moves;
    ``spread``: eigenvalues of the noise correlation of the others (``noise.noise_spread``); ``pieces``: what
    of the stream is judged (``views.fine_pieces``), and ``evidence`` its judge, None where none is possible;
    ``part``: how much of a long stream that is.
    """

    stream: Stream
    scale: Floats
    spread: Floats
    pieces: tuple[Floats, ...]
    evidence: Evidence | None
    part: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A price for a cost, and how much speaks for the changes that it finds.

    ``evidence`` is twice the logarithm by which the changes are likelier than none, less their price
    (``evidence.Evidence``): 0 where nothing speaks for any. ``checked`` is False where the cost or the data
    allows no judgement; the price is then that of noise alone.
    """

    cost: str
    scale: Floats
    penalty: float
    evidence: float
    checked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A cost, why it was taken (words for a person), and what was weighed, the best first."""

    cost: str
    why: str
    verdicts: tuple[Verdict, ...]


def noise_of(stream: Stream, part: float = 1.0) -> Noise:
    """Measure the noise of a stream and choose what of it is judged.

    Args:
        stream: any stream.
        part: how much of a long stream is judged, > 0; 1 is as much as ``views`` allows.
    """
    sd, steps = noise_sd(stream)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
    used = scale > 0  # not where the sd is infinite
    spread = noise_spread(steps[:, used])
    pieces = tuple(fine_pieces(stream, scale, part)) if used.any() else ()
    evidence = Evidence(pieces, scale, spread) if _can_be_judged(pieces, scale) else None
    return Noise(stream, scale, spread, pieces, evidence, part)


def weigh(noise: Noise, cost: str = "l2", min_size: int = 1) -> Verdict:
    """The price for a cost at which the changes have most evidence.

    The price that noise alone suggests (``judging.starting_price``) is kept when the best of the path of
    optimal segmentations (CROPS), as ``evidence.Evidence`` judges, is the optimum there; otherwise it moves
    to where that one is. A long stream is judged on four windows; when those hold no change, also on block
    means of all of it, and the higher price counts.

    Args:
        noise: from ``noise_of``.
        cost: a key of ``costs.COSTS``.
        min_size: fewest samples of a segment, >= 1.
    """
    x = math.log(max(2, noise.stream.n_samples))
    if noise.evidence is None:
        spread = noise.spread if len(noise.spread) else np.ones(1)
        return Verdict(cost, noise.scale, noise_bound(spread, x), 0.0, False)
    seen = math.log(max(2, sum(len(p) for p in noise.pieces)))
    growth = noise_bound(noise.spread, x) / noise_bound(noise.spread, seen)
    if cost not in MODEL_OF:
        fitted = [fit_cost(cost, p, noise.scale, min_size) for p in noise.pieces]
        return Verdict(cost, noise.scale, growth * starting_price(fitted, cost, noise.spread), 0.0, False)
    judged = judge(noise.evidence, cost, min_size)
    factor, evidence = judged.price / judged.start, judged.evidence
    if not len(judged.changes):
        coarse = _judged_coarsely(noise, cost, min_size)
        if coarse is not None:
            factor, evidence = max(factor, coarse.price / coarse.start), coarse.evidence
    return Verdict(cost, noise.scale, factor * growth * judged.start, evidence, True)


def _judged_coarsely(noise: Noise, cost: str, min_size: int) -> Judged | None:
    block, pieces = coarse_pieces(noise.stream, noise.scale, noise.part)
    scale = noise.scale * math.sqrt(block)
    if not _can_be_judged(pieces, scale):
        return None
    return judge(Evidence(pieces, scale, noise.spread), cost, -(-min_size // block))


def _can_be_judged(pieces: Sequence[Floats], scale: Floats) -> bool:
    """Whether there is anything, and its squares do not overflow (``exact.prepared_runs`` says so then)."""
    limit = _LARGEST / max(1.0, float(scale.max(initial=0.0)))
    return bool(pieces) and all(float(np.abs(p).max()) < limit for p in pieces)


def choose_cost(stream: Stream, min_size: int = 1) -> Choice:
    """Which cost to cut a stream with when nobody said: level, straight lines, or mean and variance.

    Each is weighed (``weigh``); another than the level is taken when its changes have clearly more evidence.

    Args:
        stream: any stream.
        min_size: fewest samples of a segment, >= 1.
    """
    noise = noise_of(stream, _PART)
    level, *others = (weigh(noise, cost, min_size) for cost in _CHOOSABLE)
    best = max(others, key=lambda v: v.evidence)
    if best.evidence <= level.evidence + _CLEARLY:
        best = level
    ordered = (best, *(v for v in (level, *others) if v is not best))
    if not level.checked:
        why = "changes of level: there is too little data to compare it with other kinds of change"
    elif best.evidence <= 0:
        why = "changes of level: no kind of change stands out from noise that drifts and swings by itself"
    else:
        rest = ", ".join(f"{_CHOOSABLE[v.cost]} {v.evidence:.0f}" for v in ordered[1:])
        why = f"{_CHOOSABLE[best.cost]}: most speaks for them (evidence {best.evidence:.0f}; {rest})"
    return Choice(best.cost, why, ordered)

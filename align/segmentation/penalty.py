"""The price of one more change point: from what the data bears out, or for a wanted number of segments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from align.datatypes import Floats, Stream
from align.segmentation.evidence import MODELS
from align.segmentation.judging import MODEL_OF
from align.segmentation.noise import noise_bound, noise_sd, noise_spread
from align.segmentation.weighing import noise_of, weigh

__all__ = ["PENALTIES", "checked_penalty", "noise_penalty", "penalty_for_count"]


def checked_penalty(stream: Stream, cost: str = "l2", min_size: int = 1) -> tuple[Floats, float]:
    """How to scale each channel to unit noise, and the price of a change point that the data bears out.

    Args:
        stream: any stream.
        cost: a key of ``costs.COSTS``.
        min_size: fewest samples of a segment, >= 1.

    Returns:
        ``scale`` (n_channels,): one over the long-run standard deviation of the channel's noise
        (``noise.noise_sd``), 0 for a channel that never moves; and the penalty of ``verdict``, in the scaled
        units.
    """
    found = weigh(noise_of(stream), cost, min_size)
    return found.scale, found.penalty


def noise_penalty(stream: Stream, cost: str = "l2", min_size: int = 1) -> tuple[Floats, float]:
    """As ``checked_penalty``, by the size of the noise alone: for costs in units of the noise's variance.

    Splitting a segment of pure Gaussian noise of n samples earns the price (``noise.noise_bound`` at
    ``x = ln n``) with probability at most 1/n. It is about ``2 ln n`` for one channel, and for d channels
    less than d times that, the less the more independent they are. A line, or a mean and a variance, are
    two numbers per channel and earn accordingly more.

    Args:
        stream: any stream.
        cost: a key of ``costs.COSTS``.
        min_size: makes no difference here.
    """
    sd, steps = noise_sd(stream)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
    x = math.log(max(2, stream.n_samples))
    numbers = MODELS[MODEL_OF[cost]] if cost in MODEL_OF else 1
    return scale, noise_bound(np.repeat(noise_spread(steps[:, sd > 0]), numbers), x)


PENALTIES: Mapping[str, Callable[[Stream, str, int], tuple[Floats, float]]] = MappingProxyType(
    {"auto": checked_penalty, "noise": noise_penalty}
)
"""Names for a price -> what makes it, with the channels' scales, from a stream, a cost and a least size."""


def penalty_for_count(count: Callable[[float], int], target: float, start: float) -> float:
    """The penalty at which ``count`` comes nearest to ``target``.

    Args:
        count: number of segments at a penalty; never rises with it.
        target: wanted number, > 0.
        start: a penalty > 0 to start from.

    Returns:
        by bisection of its logarithm; of two that come equally near, the larger.
    """
    seen = {start: count(start)}
    low = high = start
    for _ in range(30):
        if seen[low] >= target:
            break
        low /= 4
        seen[low] = count(low)
    for _ in range(30):
        if seen[high] <= target:
            break
        high *= 4
        seen[high] = count(high)
    while seen[low] > target > seen[high] and high > low * (1 + 1e-6):
        middle = math.sqrt(low * high)
        seen[middle] = count(middle)
        low, high = (middle, high) if seen[middle] >= target else (low, middle)
    return min(seen, key=lambda penalty: (abs(seen[penalty] - target), -penalty))

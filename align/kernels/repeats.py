"""All ways in which one thing may occur again and again: sums over sets of spans that do not overlap.

Edges 0..n lie between n frames. Going from edge to edge, either a frame of nothing passes, or a span begins and ends
some frames later. The kernel sums the weights of all ways from edge 0 to each edge, in log scale; run over the
recording turned round it gives the sums to the end, and both together the posterior of every span.

Reference: the forward recursion of explicit-duration (semi-Markov) models, Yu, Artificial Intelligence 174, 2010,
section 2.2, equation 12, with one state of free length and one of given durations. O(edges x durations).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["repeats"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
NEVER = -1e30
TINY = 40.0  # nats below the largest term at which a term no longer counts


@njit(cache=True)
def repeats(prefix: Array, durations: Array, lowest: Indices, stay: float) -> tuple[Array, Array, Indices]:
    """Log sums over all ways to each edge, and the best span that ends there.

    ``total[b] = log( exp(total[b - 1] + stay) + sum_a exp(total[a] + durations[b - a] + prefix[b] - prefix[a]) )``
    over starts a from ``lowest[b]`` to b - 1 with a known duration; ``total[0] = 0``.

    Args:
        prefix: (n + 1,) prefix sums of the frames' log odds.
        durations: (longest + 1,) log weight of a span of each duration in frames; entry 0 is ignored.
        lowest: (n + 1,) the first edge from which a span that ends at each edge may start; the edge itself: none.
        stay: log weight of a frame of nothing.

    Returns:
        total (n + 1,); best (n + 1,) the largest ``total[a] + durations[b - a] - prefix[a]``, -1e30 without a
        span; start (n + 1,) the a that reaches it first, -1 without one.
    """
    n = prefix.size - 1
    longest = durations.size - 1
    total = np.empty(n + 1)
    best = np.full(n + 1, NEVER)
    start = np.full(n + 1, -1)
    shifted = np.empty(n + 1)  # total - prefix
    total[0] = 0.0
    shifted[0] = -prefix[0]
    for b in range(1, n + 1):
        low = max(lowest[b], b - longest)
        top = NEVER
        at = -1
        for a in range(low, b):
            weight = shifted[a] + durations[b - a]
            if weight > top:
                top = weight
                at = a
        calm = total[b - 1] + stay
        if at < 0:
            total[b] = calm
        else:
            mass = 0.0
            for a in range(low, b):
                gap = shifted[a] + durations[b - a] - top
                if gap > -TINY:
                    mass += math.exp(gap)
            spans = top + prefix[b] + math.log(mass)
            high = max(spans, calm)
            total[b] = high + math.log(math.exp(spans - high) + math.exp(calm - high))
            best[b] = top
            start[b] = at
        shifted[b] = total[b] - prefix[b]
    return total, best, start

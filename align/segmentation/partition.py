"""The best segmentations with 0, 1, 2, .. change points, for any cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.segmentation.costs import Fitted, costs_between

__all__ = ["partition"]

Ints = npt.NDArray[np.int64]

_MOST_STEPS = 2 * 10**10  # n^2 x (most + 1) / 2, a nanosecond or so each
_MOST_PLACES = 10**8  # n x most numbers of 4 bytes


def partition(fitted: Fitted, most: int) -> tuple[Floats, list[Ints]]:
    """For each number of change points the least sum of segment costs, and where they stand.

    ``least[k, t] = min over s of least[k - 1, s] + cost(s, t)``, least[0, t] = cost(0, t); every segment
    holds at least ``fitted.min_size`` samples.

    Args:
        fitted: from ``fit_cost``, under any cost.
        most: largest number of change points, >= 0.

    Returns:
        (most + 1,) f8 costs without penalties, as ``costs_between`` counts them, inf where so many segments
        do not fit; and for each number k the (k,) ascending change points, none where they do not fit.
        O(n^2) costs and O(n^2 most) additions; 4 n most + 8 n most bytes.

    Raises:
        ParameterError: n^2 x most, or n x most, beyond what a minute or so and 1 GB allow.

    Reference: Auger & Lawrence 1989, Bull. Math. Biol. 51(1), section 2.
    """
    n, size = fitted.n_samples, fitted.min_size
    if most < 0:
        raise ParameterError("most", most, "a whole number >= 0")
    if not fitted.tables:
        return np.array([0.0] + [np.inf] * most), [np.empty(0, np.int64)] * (most + 1)
    possible = min(most, n // size - 1)
    _check_size(n, possible)
    least = np.full((possible + 1, n + 1), np.inf)
    before = np.zeros((possible + 1, n + 1), np.int32)
    for t in range(size, n + 1):
        starts = np.arange(t - size + 1)
        costs = costs_between(fitted, starts, np.full(len(starts), t))
        least[0, t] = costs[0]
        reach = min(possible, t // size - 1)  # change points that fit before t
        if reach > 0:
            totals = least[:reach, : len(starts)] + costs
            best = totals.argmin(axis=1)
            before[1 : reach + 1, t] = best
            least[1 : reach + 1, t] = totals[np.arange(reach), best]
    changes = [_traced(before, k) for k in range(possible + 1)]
    absent = most - possible
    return np.concatenate([least[:, n], np.full(absent, np.inf)]), changes + [np.empty(0, np.int64)] * absent


def _traced(before: npt.NDArray[np.int32], count: int) -> Ints:
    """Follow the last change point of each prefix back from the end."""
    changes = np.empty(count, np.int64)
    t = before.shape[1] - 1
    for k in range(count, 0, -1):
        t = int(before[k, t])
        changes[k - 1] = t
    return changes


def _check_size(n: int, most: int) -> None:
    longest = int(min((2 * _MOST_STEPS / (most + 1)) ** 0.5, _MOST_PLACES / (most + 1)))
    if n > longest:
        raise ParameterError(
            "n_samples",
            n,
            f"up to {longest} with up to {most} change points, for a given number of segments under any cost",
            hint='give a penalty or per_hour instead: method "l2" then takes linear time',
        )

"""Change points in the mean from prefix sums, and part by part where those of a whole run are too coarse or too large.

The recursion adds up what changes explain. Where levels wander far, as over 1e7 samples of a random walk, that
sum outgrows the noise 1e10 times and float64 no longer tells good change points from worse ones. Such a
run is solved in parts, each around its own mean, from one *settled* change point to the next: one that stays in
an optimal segmentation whatever comes after (``align.kernels.pelt.last_settled``). The answer is the same optimum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["changes_by_parts", "changes_of_sums", "is_beyond_sums"]

Ints = npt.NDArray[np.int64]

PART, LEAST_PART = 262_144, 1_024  # samples solved together
STEP = 32  # samples whose mean level is compared with the next ones
_ROUNDING = 1e-13  # of what has been explained so far: by how much two prices must differ to be told apart
_TOLERATED = 1e-5  # of the penalty


def changes_of_sums(sums: Floats, front: int, n: int, penalty: float, min_size: int) -> Ints:
    """The optimum of n samples at once.

    Args:
        sums: (d, front + n + 1 + back) from ``prefix_sums``, with the room that ``lazy_bounds`` needs.
        front: positions before the first sample.
        n: samples, >= 2 ``min_size``.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment.

    Returns:
        (n_changes,) ascending samples.
    """
    from align.kernels.lazy_bounds import lazy_bounds
    from align.kernels.pelt import backtrack

    price = lazy_bounds(sums, front, n, penalty, min_size)
    return np.asarray(backtrack(sums, price, front, n, penalty, min_size))


def is_beyond_sums(sums: Floats, front: int, n: int, penalty: float) -> bool:
    """Whether rounding could decide between change points: by the squares that levels of 32 samples explain.

    Args:
        sums, front, n, penalty: as ``changes_of_sums``.
    """
    steps = np.diff(sums[:, front : front + n + 1 : STEP], axis=1)
    explained = float((steps * steps).sum()) / STEP
    return _ROUNDING * explained > _TOLERATED * penalty


def changes_by_parts(
    values: npt.NDArray[np.floating[Any]], scale: Floats, penalty: float, min_size: int, part: int = PART
) -> Ints:
    """The optimum of a run, from settled change point to settled change point.

    Args:
        values: (n, d) finite.
        scale: (d,) what each channel is multiplied by.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment.
        part: samples solved together; fewer where their levels still wander too far, more where no change
            point in them is settled.

    Returns:
        (n_changes,) ascending samples. O(n) where changes are dense enough to be settled within a part.
    """
    from align.kernels.lazy_bounds import BACK, front_for, lazy_bounds
    from align.kernels.pelt import backtrack, last_settled, prefix_sums

    n, front = len(values), front_for(min_size)
    found: list[Ints] = []
    start, least = 0, max(min(part, LEAST_PART), 4 * min_size)
    size = max(part, least)
    while True:
        rows = values[start : start + size]
        sums = prefix_sums(rows, rows.mean(axis=0, dtype=np.float64), scale, front, BACK)
        if len(rows) > least and is_beyond_sums(sums, front, len(rows), penalty):
            size = max(least, min(size, len(rows)) // 4)
            continue
        if start + size >= n:
            break
        price = lazy_bounds(sums, front, len(rows), penalty, min_size)
        settled = last_settled(sums, price, front, len(rows), penalty, min_size)
        if settled == 0:
            size = least = 4 * size
            continue
        before = backtrack(sums, price, front, settled, penalty, min_size)
        found += [start + before, np.array([start + settled])]
        start, least = start + settled, max(min(part, LEAST_PART), 4 * min_size)
        size = min(max(part, least), 4 * size)
    if len(rows) >= 2 * min_size:
        found.append(start + changes_of_sums(sums, front, len(rows), penalty, min_size))
    return np.concatenate(found) if found else np.empty(0, np.int64)

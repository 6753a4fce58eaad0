"""Change points in the mean, run by run: the exact optimum of squared misfit plus penalties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.errors import InputError, ParameterError
from align.segmentation.costs import Fitted, fit_cost
from align.segmentation.partition import partition

__all__ = ["Run", "changes_exact", "changes_with_count", "filled", "misfit_l2", "prepared_runs"]

Ints = npt.NDArray[np.int64]

_HALVINGS = 60  # penalties tried before a number of change points is searched for among all segmentations
_LARGEST = 1e140  # sums of n values beyond this overflow when squared


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One contiguous run, ready to be cut at any penalty.

    ``first`` is its first sample in the stream; ``values`` (n, d) without missing cells; ``scale`` (d,) what
    each channel is multiplied by.
    """

    first: int
    values: npt.NDArray[np.floating[Any]]
    scale: Floats
    fitted: Fitted


def prepared_runs(stream: Stream, cost: str, scale: Floats, min_size: int) -> list[Run]:
    """The runs of a stream, filled, checked and fitted.

    Args:
        stream: any stream.
        cost: a key of ``COSTS``.
        scale: (n_channels,) finite; what each channel is multiplied by, 0 to ignore it.
        min_size: least samples of a segment, >= 1.

    Raises:
        InputError: E-NONFINITE, an infinite value; E-RANGE, values whose squares overflow.
    """
    runs = []
    for first, end in zip(stream.run_index, stream.run_ends, strict=True):
        values = stream.values[first:end]
        _check_range(stream, int(first), values, scale)
        values = filled(values)
        fitted = fit_cost(cost, values, scale, min_size, channels=stream.channels, first=int(first))
        runs.append(Run(int(first), values, scale, fitted))
    return runs


def filled(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """The values with every missing cell replaced so that, at any usual penalty, no change point arises.

    The first half of a missing stretch of m cells of a channel takes the mean of what is valid among the m
    cells before it, the second half of the m after it (at the ends of the run, the other side's). Means over
    as many cells as are filled are near enough to the level around that the filled stretch earns no more
    than one cell of noise; a level that changes meanwhile changes in its middle. A channel without any valid
    cell becomes 0.

    Args:
        values: (n, d) floats; NaN = missing.

    Returns:
        the same array when nothing is missing, else a filled copy.
    """
    if not np.isnan(values.min()):  # far faster than per channel, and nearly always so
        return values
    out = values.copy()
    for c in np.flatnonzero(np.isnan(values.min(axis=0))):
        out[:, c] = _filled_channel(values[:, c])
    return out


def _filled_channel(values: npt.NDArray[np.floating[Any]]) -> Floats:
    valid = np.flatnonzero(~np.isnan(values))
    if valid.size == 0:
        return np.zeros(len(values))
    out = values.astype(np.float64)
    known = out[valid]
    sums = np.concatenate([[0.0], np.cumsum(known - known[0])])
    edges = np.concatenate([[-1], valid, [len(values)]])
    length = np.diff(edges) - 1  # missing cells before each valid one, and behind the last
    begin, end = edges[:-1] + 1, edges[1:]
    count = np.arange(len(length))  # valid cells before each stretch
    low = np.minimum(np.searchsorted(valid, begin - length), np.maximum(count - 1, 0))
    high = np.maximum(np.searchsorted(valid, end + length), np.minimum(count + 1, valid.size))
    before = (sums[count] - sums[low]) / np.maximum(count - low, 1)
    after = (sums[high] - sums[count]) / np.maximum(high - count, 1)
    before[0], after[-1] = after[0], before[-1]
    middle = begin + (length + 1) // 2
    for k in np.flatnonzero(length):
        out[begin[k] : middle[k]] = known[0] + before[k]
        out[middle[k] : end[k]] = known[0] + after[k]
    return out


def _check_range(stream: Stream, first: int, values: npt.NDArray[np.floating[Any]], scale: Floats) -> None:
    most = _LARGEST / stream.n_samples / max(1.0, float(scale.max()))
    if -float(values.min()) <= most and float(values.max()) <= most:  # false where a cell is missing
        return
    for c, name in enumerate(stream.channels):
        largest = float(np.fmax.reduce(np.abs(values[:, c])))
        if np.isinf(largest):
            sample = first + int(np.argmax(np.isinf(values[:, c])))
            raise InputError(
                "E-NONFINITE",
                "an infinite value; allowed: finite numbers, NaN for a missing cell",
                hint="replace it, or read the file with --on-nan gap",
                channel=name,
                sample=sample,
                time=float(stream.times([sample])[0]),
            )
        if largest > most:
            raise InputError(
                "E-RANGE",
                f"values up to {largest:.3g}, whose squares overflow; allowed: up to {most:.3g}",
                hint="give the channel in a larger unit",
                channel=name,
            )


def changes_exact(fitted: Fitted, penalty: float, most: int) -> Ints:
    """Change points of one run that minimise the sum of costs plus ``penalty`` per change point.

    Args:
        fitted: from ``fit_cost``.
        penalty: price of one more change point, >= 0.
        most: largest number of change points; 0 gives none, and any number from n_samples on is no limit.

    Returns:
        (n_changes,) ascending samples of the run; none where no two segments fit.
    """
    if not fitted.tables or most == 0:
        return np.empty(0, np.int64)
    return fitted.cost.changes(fitted, penalty)


def changes_with_count(fitted: Fitted, count: int) -> Ints:
    """The change points that minimise the sum of costs among all segmentations with ``count`` of them.

    The optimum at any penalty is the optimum for its own number of change points, so penalties are halved
    towards ``count``; where no penalty gives that number, all segmentations are searched.

    Args:
        fitted: from ``fit_cost``.
        count: number of change points, >= 0.

    Returns:
        (count,) ascending samples.

    Raises:
        ParameterError: so many segments do not fit; or no penalty gives that number, and there are too many
            segmentations to search (``partition``).
    """
    n = fitted.n_samples
    if count == 0:
        return np.empty(0, np.int64)
    if (count + 1) * fitted.min_size > n:
        most = max(1, n // fitted.min_size)
        allowed = f"at most {most} with {n} samples and segments of {fitted.min_size}"
        raise ParameterError("n_segments", count + 1, allowed)
    low, high = 0.0, 1.0
    while len(changes_exact(fitted, high, n)) > count and high < 1e300:
        low, high = high, 16 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        changes = changes_exact(fitted, middle, n)
        if len(changes) == count:
            return changes
        low, high = (middle, high) if len(changes) > count else (low, middle)
    return partition(fitted, count)[1][count]


def misfit_l2(run: Run, boundaries: npt.ArrayLike) -> float:
    """Sum of squared deviations of the scaled values from their segments' means.

    Args:
        run: from ``prepared_runs``.
        boundaries: (n_segments + 1,) ascending sample indices within the run, 0 and its length included.
    """
    from align.kernels.pelt import misfit

    return float(misfit(run.values, run.scale, np.asarray(boundaries, np.int64)))

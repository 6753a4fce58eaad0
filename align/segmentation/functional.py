"""Exact searches by functional pruning: under robust losses, and under squared misfit as a check on the others.

Functions on arrays. The robust losses of a residual r, with threshold K in the unit of the values:

    "huber"      r^2 for |r| <= K, else 2 K |r| - K^2
    "biweight"   min(r^2, K^2)

Values scaled to unit noise take K from ``THRESHOLDS``. Both losses are r^2 near 0, so a penalty that suits "l2"
suits them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import InputError, ParameterError

__all__ = ["THRESHOLDS", "mean_changes", "robust_changes", "robust_costs"]

Ints = npt.NDArray[np.int64]

# K in standard deviations of the noise. Huber's keeps 95 % efficiency on Gaussian noise (Holland & Welsch 1977,
# Communications in Statistics A6); biweight: what Fearnhead & Rigaill 2019 use.
THRESHOLDS: Mapping[str, float] = MappingProxyType({"huber": 1.345, "biweight": 3.0})

_MOST_THRESHOLDS = 1e10  # Huber: beyond, the distance of an outlier has no digits left for the noise
_WIDEST_GAP = 3.0  # thresholds; from 2 on no level is within reach of both sides


def mean_changes(values: npt.ArrayLike, penalty: float, min_size: int = 1) -> Ints:
    """Change points in the mean of one channel, by functional pruning: the same optimum as method "l2".

    Minimises the sum of squared deviations from the segments' means plus ``penalty`` per change point. Another
    algorithm than that of ``segment``: it shares prefix sums and backtracking with it, and no pruning rule.

    Args:
        values: (n,) or (n, 1), finite, n >= 1.
        penalty: price of one more change point, finite and >= 0.
        min_size: least samples of a segment, >= 1.

    Returns:
        (n_changes,) i8 ascending first samples of new segments; none if n < 2 min_size.

    Raises:
        ParameterError: an argument outside what is said above; InputError: E-NONFINITE.

    Reference: Maidstone et al. 2017, Statistics and Computing 27, 519-533; see ``kernels.functional``.

    >>> mean_changes([0.0, 0.0, 0.0, 5.0, 5.0, 5.0], 1.0).tolist()
    [3]
    """
    channel = _one_channel(_table(values), "squared misfit by functional pruning")
    _check_price(penalty, min_size)
    n = len(channel)
    if n < 2 * min_size:
        return np.empty(0, np.int64)
    from align.kernels.functional import functional_pruning
    from align.kernels.pelt import backtrack, prefix_sums

    sums = prefix_sums(channel[:, None], np.array([channel.mean()]), np.ones(1), 0, 0)
    price = functional_pruning(sums, 0, n, penalty, min_size)
    return np.asarray(backtrack(sums, price, 0, n, penalty, min_size))


def robust_changes(values: npt.ArrayLike, penalty: float, min_size: int, kind: str, threshold: float) -> Ints:
    """Change points in the level of one channel that outliers neither make nor hide: the exact optimum.

    Minimises the sum over segments of the least sum of robust losses to one level, plus ``penalty`` per change
    point, over all segmentations with segments of ``min_size`` or more. With the biweight loss an outlier costs
    K^2 however far it lies, and k of them make no change point of their own while k K^2 < ``penalty``.

    Several channels: the envelope that functional pruning keeps is a function of one level, so the exact search
    takes one channel that moves (channels with one value throughout are ignored). Use "binary:huber" or
    "binary:biweight" for several: their costs are exact (``robust_costs``), their search is not.

    Args:
        values: (n,) or (n, d), finite, n >= 1, of which one channel at most moves.
        penalty: price of one more change point, finite and >= 0.
        min_size: least samples of a segment, >= 1.
        kind: "huber" or "biweight".
        threshold: K in the unit of the values, finite and > 0.

    Returns:
        (n_changes,) i8 ascending first samples of new segments; none if n < 2 min_size.

    Raises:
        ParameterError: an argument outside what is said above.
        InputError: E-NONFINITE; E-RANGE, with the Huber loss, values more than 1e10 K from their median.

    Reference: Fearnhead & Rigaill 2019, JASA 114(525), 169-183; see ``kernels.robust``.

    >>> robust_changes([0.0, 0.0, 90.0, 0.0, 5.0, 5.0, 5.0, 5.0], 6.0, 1, "biweight", 3.0).tolist()
    [4]
    """
    biweight = _is_biweight(kind, threshold)
    _check_price(penalty, min_size)
    channel = _one_channel(_table(values), "exact robust costs")
    if len(channel) < 2 * min_size:
        return np.empty(0, np.int64)
    from align.kernels.robust import robust_changes as search

    near = _gaps_closed(channel, threshold) if biweight else _centred(channel, threshold)
    return np.asarray(search(near, float(penalty), min_size, float(threshold), biweight))


def robust_costs(
    values: npt.ArrayLike, starts: npt.ArrayLike, ends: npt.ArrayLike, kind: str, threshold: float
) -> Floats:
    """Robust cost of each segment [start, end): least sum of losses to one level, summed over channels.

    The exact global minimum over the level of each channel, also for the biweight loss, which has many local
    ones. Splitting a segment never raises it.

    Args:
        values: (n,) or (n, d), finite.
        starts, ends: (q,) samples, 0 <= start < end <= n.
        kind: "huber" or "biweight".
        threshold: K in the unit of the values, finite and > 0.

    Returns:
        (q,) f8, >= 0. O(l log l) for l samples, O(l) where it differs little from the segment before it.

    Raises:
        ParameterError: kind or threshold outside what is said above; starts and ends that are no segments.
        InputError: E-NONFINITE.

    >>> robust_costs([0.0, 1.0, 0.0, 90.0], [0], [4], "biweight", 3.0).round(3).tolist()
    [9.667]
    """
    biweight = _is_biweight(kind, threshold)
    table = _table(values)
    begin, end = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
    if begin.shape != end.shape or not ((begin >= 0) & (begin < end) & (end <= len(table))).all():
        raise ParameterError("starts, ends", (begin.shape, end.shape), "segments with 0 <= start < end <= n")
    from align.kernels.robust_sums import robust_costs as costs

    return np.asarray(costs(table, begin, end, float(threshold), biweight))


def _table(values: npt.ArrayLike) -> Floats:
    table = np.asarray(values, np.float64)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or len(table) == 0:
        raise ParameterError("values", np.shape(values), "the shape (n,) or (n, channels), n >= 1")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0].tolist()
        raise InputError(
            "E-NONFINITE",
            "a missing or infinite value; allowed: finite numbers",
            hint="fill missing cells first (exact.filled)",
            channel=column,
            sample=row,
        )
    return np.ascontiguousarray(table)


def _one_channel(table: Floats, what: str) -> Floats:
    moving = np.flatnonzero((table != table[0]).any(axis=0))
    if len(moving) > 1:
        raise ParameterError(
            "channels",
            len(moving),
            f"1: {what} take one channel",
            hint='use "binary:huber" or another search for several',
        )
    return np.ascontiguousarray(table[:, moving[0] if len(moving) else 0])


def _is_biweight(kind: str, threshold: float) -> bool:
    if kind not in THRESHOLDS:
        raise ParameterError("kind", kind, ", ".join(f'"{k}"' for k in THRESHOLDS))
    if not (math.isfinite(threshold) and threshold > 0):
        raise ParameterError("threshold", threshold, "a finite number > 0")
    return kind == "biweight"


def _check_price(penalty: float, min_size: int) -> None:
    if not (math.isfinite(penalty) and penalty >= 0):
        raise ParameterError("penalty", penalty, "a finite number >= 0")
    if min_size < 1:
        raise ParameterError("min_size", min_size, "a whole number >= 1")


def _centred(channel: Floats, threshold: float) -> Floats:
    """The channel less its median, for the Huber loss."""
    near = channel - np.median(channel)
    farthest = float(np.abs(near).max())
    if farthest > _MOST_THRESHOLDS * threshold:
        raise InputError(
            "E-RANGE",
            f"a value {farthest / threshold:.3g} thresholds from the median, which leaves the noise no digits; "
            f"allowed with the Huber loss: up to {_MOST_THRESHOLDS:.3g}",
            hint='mark it as missing, or use "biweight"',
            sample=int(np.abs(near).argmax()),
        )
    return near


def _gaps_closed(channel: Floats, threshold: float) -> Floats:
    """The channel less its median, every gap between neighbouring values cut to 3 K: same biweight costs.

    Two samples more than 2 K apart are never both within reach of a level, and to all the others each counts
    K^2: how much more does not matter. So the digits of the noise survive outliers of any size.
    """
    ordered, which = np.unique(channel, return_inverse=True)
    with np.errstate(over="ignore"):  # an infinite gap is cut as well
        gaps = np.minimum(np.diff(ordered), _WIDEST_GAP * threshold)
    near = np.concatenate([[0.0], np.cumsum(gaps)])[which]
    return np.asarray(near - np.median(near))

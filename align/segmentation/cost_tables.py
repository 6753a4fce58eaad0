"""From the values of a run to the tables from which any of its segments is priced.

Each function's first paragraph defines its cost, for one channel with x the scaled values of a segment of N
samples; channels add up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ResourceError

__all__ = [
    "autoregressive_table",
    "categorical_table",
    "check_memory",
    "median_table",
    "poisson_table",
    "robust_table",
    "trend_table",
    "variance_table",
]

Values = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int32]
Table = tuple[Floats, Counts]

_MOST_BYTES = 2**32  # of the tables of one run
_TYPICAL = 0.9538725524  # median of |x - y| for x, y standard normal
_ROUNDING = 0.01  # the most that rounding may add to a cost of mean and variance: far below any penalty


def check_memory(n_bytes: int, what: str) -> None:
    """Refuse tables of more than 4 GiB for one run.

    Args:
        n_bytes: what they would take.
        what: which ones, for the message.

    Raises:
        ResourceError: E-MEMORY.
    """
    if n_bytes > _MOST_BYTES:
        raise ResourceError(
            "E-MEMORY",
            f"{what} of a run would take {n_bytes / 2**30:.1f} GiB; allowed: {_MOST_BYTES / 2**30:.0f} GiB",
            hint="cut shorter runs or fewer channels at a time, average the samples, or choose another cost",
        )


def poisson_table(values: Values, scale: Floats) -> Table:
    """Cost: minus the log-likelihood at the segment's mean rate, ``S - S log(S / N)`` with S the sum of x.

    Sums of the counts themselves: exact for whole numbers. S and log x! telescope.

    Args:
        values: (n, d) >= 0.
        scale: (d,) >= 0; multiplies a channel's cost, up to terms that telescope.
    """
    return _sums_from_zero(values * scale), _none()


def trend_table(values: Values, scale: Floats) -> Table:
    """Cost: the sum of squared deviations from the segment's least-squares line (lines need not meet).

    Sums of x and of i x per channel, i counted from the run's middle and x from the channel's mean.

    Args:
        values: (n, d).
        scale: (d,) what x is multiplied by.
    """
    centred = _centred(values, scale)
    index = np.arange(len(values)) - (len(values) - 1) / 2
    terms = np.stack([centred, centred * index[:, None]], axis=2)
    return _sums(terms.reshape(len(values), -1)), _none()


def autoregressive_table(values: Values, scale: Floats) -> Table:
    """Cost: the least sum of squares of ``x_i - a - b x_(i-1) - c x_(i-2)`` over a, b and c, i in the segment.

    Two lags are one damped oscillation. The samples before a segment explain its first two, so that a cut hides
    none; before the run's first sample stands that sample. Moments of the two lagged columns and of what the
    run as a whole leaves of x when regressed on them. The lagged columns are first made orthogonal, centred and
    of variance 1 over the run, since the cost does not depend on which columns span the space: so smooth
    signals, whose lags are nearly the same column, keep their digits.

    Args:
        values: (n, d).
        scale: (d,) what x is multiplied by.
    """
    terms = []
    for x in _centred(values, scale).T:
        before = np.concatenate([[x[0]], x[:-1]])
        step = before - np.concatenate([[x[0], x[0]], x[:-2]])[: len(x)]
        z1 = _standard(before - before.mean())
        step = step - step.mean()
        z2 = _standard(step - z1 * float(z1 @ step) / len(x), float(step @ step))
        r = x - before  # the same residuals as of x, which is this plus a column
        r = r - r.mean()
        r = r - z1 * float(z1 @ r) / len(x) - z2 * float(z2 @ r) / len(x)
        terms += [z1, z2, r, z1 * z1, z1 * z2, z2 * z2, z1 * r, z2 * r]
    return _sums(np.stack(terms, axis=1)), _none()


def categorical_table(values: Values, scale: Floats) -> Table:
    """Cost: minus the log-likelihood at the segment's own shares of codes, sum over codes of n_c log(N / n_c).

    Counts of each code of each channel, and k log k for k = 0..n.

    Args:
        values: (n, d) whole numbers.
        scale: (d,); a channel whose scale is 0 is ignored, other scales make no difference.
    """
    n = len(values)
    used = np.flatnonzero(scale)
    codes = [np.unique(values[:, c], return_inverse=True) for c in used]
    n_codes = sum(len(names) for names, _ in codes)
    check_memory(4 * (n + 1) * n_codes, f"counts of {n_codes} codes")
    counts = np.zeros((n + 1, n_codes), np.int32)
    first = 0
    for names, code in codes:
        counts[np.arange(1, n + 1), first + code.ravel()] = 1
        first += len(names)
    np.cumsum(counts, axis=0, out=counts)
    k = np.arange(n + 1.0)
    entropy = k * np.log(np.maximum(k, 1.0))
    return np.stack([entropy, len(used) * entropy], axis=1), counts


def median_table(values: Values, scale: Floats) -> Table:
    """Cost: the sum of absolute deviations from the segment's median.

    A wavelet matrix per channel: for each bit of the values' ranks, from the highest, who goes low.

    Args:
        values: (n, d).
        scale: (d,) what values are multiplied by; a channel whose scale is 0 is ignored.

    Returns:
        12 bytes per value and level, log2 of the distinct values levels.
    """
    used = np.flatnonzero(scale)
    n = len(values)
    ranked = [np.unique(values[:, c], return_inverse=True) for c in used]
    n_levels = max((int(len(distinct) - 1).bit_length() for distinct, _ in ranked), default=0)
    check_memory(12 * (n + 1) * len(used) * (n_levels + 1), "medians")
    table = np.zeros((len(used) * (n_levels + 2), n + 1))
    counts = np.zeros((len(used) * n_levels, n + 1), np.int32)
    for k, (distinct, rank) in enumerate(ranked):
        level_value = (distinct.astype(np.float64) - values[:, used[k]].mean(dtype=np.float64)) * scale[
            used[k]
        ]
        order = rank.ravel().astype(np.int32)
        for level in range(n_levels):
            np.cumsum(level_value[order], out=table[k * (n_levels + 2) + level, 1:])
            low = (order >> (n_levels - 1 - level)) & 1 == 0
            np.cumsum(low, out=counts[k * n_levels + level, 1:])
            order = np.concatenate([order[low], order[~low]])
        np.cumsum(level_value[order], out=table[k * (n_levels + 2) + n_levels, 1:])
        table[k * (n_levels + 2) + n_levels + 1, :n] = level_value[order]
    return table, counts


def variance_table(values: Values, scale: Floats, front: int) -> tuple[Floats]:
    """Cost: N log(mean squared deviation / f), f the least variance that is told from 0.

    That is twice the negative log-likelihood of the best normal distribution, up to terms that telescope; below f
    see ``kernels.lazy_variance``. f is q^2 / 12, q the least difference of two values that are not equal: what
    rounding to steps of q adds, so that equal samples cost no less than the data can tell. It is raised where
    sums would round a cost by more than 0.01 (of continuous values, to some 1e-5 of the channel's spread).
    Sums of y and of y^2 per channel, y the values over the root of f.

    Args:
        values: (n, d).
        scale: (d,); a channel whose scale is 0 is ignored, other scales make no difference.
        front: positions before sample 0.

    Returns:
        ``kernels.variance.variance_sums``.
    """
    from align.kernels.lazy_variance import BACK
    from align.kernels.variance import variance_rounding, variance_sums

    shift = values.mean(axis=0, dtype=np.float64)
    steps = np.diff(np.sort(values, axis=0).astype(np.float64), axis=0)
    least = np.where(steps > 0, steps, np.inf).min(axis=0, initial=np.inf)
    least = np.maximum(least, steps.sum(axis=0) * 1e-12)  # of what is nearer, the square has no digits anyway
    unit = np.where((scale != 0) & np.isfinite(least), np.sqrt(12) / least, 0.0)
    table = variance_sums(values, shift, unit, front, BACK)
    rounding = variance_rounding(table)
    if (rounding > _ROUNDING).any():
        unit /= np.sqrt(np.maximum(rounding / _ROUNDING, 1.0))
        table = variance_sums(values, shift, unit, front, BACK)
    return (table,)


def robust_table(values: Values, scale: Floats, threshold: float) -> tuple[Floats, Floats]:
    """Cost: the least sum of robust losses to one level (``functional``).

    The scaled values, and per channel the residual from which on the loss is no longer quadratic. That is
    ``threshold`` standard deviations of the noise, from the median absolute difference of neighbours (from the
    mean one where most are 0; 1 where all are).

    Args:
        values: (n, d), n >= 2.
        scale: (d,) what values are multiplied by.
        threshold: in standard deviations, > 0.
    """
    scaled = np.ascontiguousarray(values * scale)
    steps = np.abs(np.diff(scaled, axis=0))
    typical = np.median(steps, axis=0)
    typical = np.where(typical > 0, typical, steps.mean(axis=0)) / _TYPICAL
    return scaled, threshold * np.where(typical > 0, typical, 1.0 / threshold)


def _centred(values: Values, scale: Floats) -> Floats:
    centred = values - values.mean(axis=0, dtype=np.float64)
    centred *= scale
    return centred


def _standard(column: Floats, squares: float = 0.0) -> Floats:
    """Over its standard deviation; zeros where it is what rounding left of a column with these ``squares``."""
    own = float(column @ column)
    return column / np.sqrt(own / len(column)) if own > 1e-24 * squares else np.zeros_like(column)


def _sums_from_zero(terms: Floats) -> Floats:
    sums = np.zeros((len(terms) + 1, terms.shape[1]))
    np.cumsum(terms, axis=0, out=sums[1:])
    return sums


def _sums(terms: Floats) -> Floats:
    """Sums of the first s rows in row s, block-centred; a row is one or two cache lines."""
    from align.kernels.pelt import prefix_sums

    n_columns = terms.shape[1]
    return np.ascontiguousarray(prefix_sums(terms, np.zeros(n_columns), np.ones(n_columns), 0, 0).T)


def _none() -> Counts:
    return np.empty((0, 0), np.int32)

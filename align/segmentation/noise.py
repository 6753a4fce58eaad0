"""What the noise of a stream is like, whatever steps its signal makes: its size, its memory, its correlation."""

from __future__ import annotations

import math

import numpy as np

from align.datatypes import Floats, Stream

__all__ = ["noise_bound", "noise_sd", "noise_spread"]

_MOST_STEPS = 100_000  # differences looked at, evenly spread
_MOST_CHANNELS = 500  # channels whose correlation is looked at, evenly spread
# Share of the smallest differences that are taken for noise, and the variance of a standard normal cut so; the
# second where the first are all 0 (coarse steps).
_KEPT = ((0.75, 0.36846), (0.95, 0.75884))
_LONGEST_LAG = 64  # samples over which noise is taken to resemble itself, at most
_LAGS_IN_STREAM = 32  # and at most this part of the stream
_STILL_RISING = 1.25  # growth of the variance over one doubling of the lag


def noise_bound(spread: Floats, x: float, share: float = 1.0) -> float:
    """What splitting a segment of pure Gaussian noise hardly ever earns.

    That lowers the misfit by ``sum_i l_i z_i^2``, with l the eigenvalues of the channels' noise correlation
    and z standard normal, which exceeds ``sum l + 2 sqrt(x sum l^2) + 2 x max l`` with probability at most
    exp(-x).

    Args:
        spread: (d,) eigenvalues l >= 0 (``noise_spread``).
        x: > 0.
        share: of the channels that take part, 0 to 1.

    Reference: Laurent & Massart 2000, Annals of Statistics 28(5), lemma 1.

    >>> round(noise_bound(np.ones(1), np.log(1000)), 2)
    20.07
    """
    squares = share * float(spread @ spread)
    return float(share * spread.sum() + 2 * math.sqrt(x * squares) + 2 * x * spread.max(initial=1.0))


def noise_sd(stream: Stream) -> tuple[Floats, Floats]:
    """Long-run standard deviation of each channel's noise, whatever steps the signal makes.

    That is the sd of the sum of many noise samples over the root of their number: more than the sd of one
    where neighbours resemble each other (overlapping windows, slow drift, filters). From the variances v_h of
    differences over h = 1, 2, 4, ... samples, each over its smallest 75 % (steps are the largest ones) and
    corrected for that cut: noise has v_h = 2 (g_0 - g_h), g its autocovariance. Lags double until v rises by
    less than a quarter; g_0 is half the last v, and the long-run variance is g_0 + 2 sum_h max(g_h, 0), v
    interpolated between the lags. Where those are all 0 (coarse steps) the smallest 95 % are
    taken; where those are 0 too, half the mean square of all differences over one sample.

    Args:
        stream: any stream; differences across gaps and missing cells are left out.

    Returns:
        (n_channels,) standard deviations, 0 for a channel that never moves; and the (m, n_channels)
        differences over one sample that were looked at, NaN where missing.
    """
    one = _differences(stream, 1)
    sd = np.zeros(stream.n_channels)
    rising = {}
    for c in range(stream.n_channels):
        steps = one[~np.isnan(one[:, c]), c]
        if steps.size:
            sd[c] = math.sqrt(float(_squares(steps).mean()) / 2)
        kept = next((k for k in _KEPT if _smallest_variance(steps, k) > 0), None)
        if kept is not None:
            rising[c] = kept, [_smallest_variance(steps, kept)]
    lag = 1
    while rising and 2 * lag <= min(_LONGEST_LAG, stream.n_samples / _LAGS_IN_STREAM):
        lag *= 2
        further = _differences(stream, lag)
        for c, (kept, variances) in list(rising.items()):
            variances.append(_smallest_variance(further[~np.isnan(further[:, c]), c], kept))
            sd[c] = _long_run_sd(variances)
            if variances[-1] <= _STILL_RISING * variances[-2]:
                del rising[c]
    return sd, one


def _differences(stream: Stream, lag: int) -> Floats:
    """(m, n_channels) differences over ``lag`` samples within runs, evenly spread."""
    length = np.maximum(stream.run_ends - stream.run_index - lag, 0)
    before = np.cumsum(length) - length  # pairs in the runs before
    n_pairs = int(length.sum())
    if n_pairs > _MOST_STEPS:
        pair = np.linspace(0, n_pairs - 1, _MOST_STEPS).astype(np.int64)
    else:
        pair = np.arange(n_pairs)
    run = np.searchsorted(before + length, pair, side="right")
    at = stream.run_index[run] + pair - before[run]
    with np.errstate(over="ignore", invalid="ignore"):
        return stream.values[at + lag].astype(np.float64) - stream.values[at]


def _long_run_sd(variances: list[float]) -> float:
    """From the variances of differences over 1, 2, 4, ... samples."""
    lags = 2 ** np.arange(len(variances))
    power = max(variances) / 2
    covariance = power - np.interp(np.arange(1, lags[-1]), lags, variances) / 2
    return math.sqrt(power + 2 * float(np.clip(covariance, 0.0, None).sum()))


def _smallest_variance(steps: Floats, kept: tuple[float, float]) -> float:
    if steps.size == 0:
        return 0.0
    squares = _squares(steps)
    count = max(1, int(kept[0] * squares.size))
    return float(np.partition(squares, count - 1)[:count].mean() / kept[1])


def _squares(values: Floats) -> Floats:
    with np.errstate(
        over="ignore"
    ):  # values whose squares overflow are refused later (``exact.prepared_runs``)
        return values * values


def noise_spread(steps: Floats) -> Floats:
    """Eigenvalues of the correlation of the channels' noise; they sum to n_channels.

    Args:
        steps: (m, n_channels) differences over one sample (``noise_sd``), NaN where missing; their largest
            are cut off.

    Returns:
        (n_channels,), or of 500 evenly spread channels, scaled to the same sum.
    """
    n_channels = steps.shape[1]
    if n_channels == 0 or len(steps) < 2:
        return np.ones(n_channels)
    if n_channels > _MOST_CHANNELS:
        steps = steps[:, np.linspace(0, n_channels - 1, _MOST_CHANNELS).astype(np.int64)]
    steps = steps[: max(2, 10**9 // steps.shape[1] ** 2)]
    size = np.sqrt([_smallest_variance(c[~np.isnan(c)], _KEPT[-1]) for c in steps.T])
    size = np.where(size > 0, size, np.inf)  # moves at few samples only: no noise to share
    standard = np.clip(np.nan_to_num(steps / size), -3, 3)
    covariance = standard.T @ standard / len(standard)
    power = np.sqrt(np.diag(covariance))
    power[power == 0] = np.inf
    correlation = covariance / np.outer(power, power)
    np.fill_diagonal(correlation, 1.0)
    return np.clip(np.linalg.eigvalsh(correlation), 0.0, None) * (n_channels / len(correlation))

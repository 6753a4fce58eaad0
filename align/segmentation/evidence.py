"""How much change points explain that autocorrelated, heavy-tailed noise around fewer of them would not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.noise import noise_bound

__all__ = ["MODELS", "Evidence", "deviance", "innovations"]

Ints = npt.NDArray[np.int64]

MODELS: Mapping[str, int] = MappingProxyType({"level": 1, "line": 2, "spread": 2})
"""What a segment is described by, and the numbers that takes: its mean; a straight line; mean and variance."""

_FREEDOM = 5.0  # of Student's t for the innovations: an outlier costs the logarithm of its size
_ROUNDS = 8  # of the fixed point for the scale of t
_MOST_ORDER = 16
_PATIENCE = 6  # orders tried without gain before the search for the order stops
_SAMPLES_PER_ORDER = 12
# x = this times ln n in the price of a change point: lines follow any bend, and a spread any burst
_STRICTNESS: Mapping[str, float] = MappingProxyType({"level": 1.0, "line": 1.25, "spread": 1.5})
_MOST_BENT = 2  # degree of the curve that needs no change point
_WIDTHS = (0, 1, 2, 4, 8, 16, 32)  # samples to either side over which one level may pass into the next
_FLOOR = 1e-4  # least noise that is told from none, in standard deviations of the channel
_SPREAD_FLOOR = 0.05  # least noise of one segment, in those of the whole: a flat stretch is no proof


class Evidence:
    """Judges segmentations of the same data against "no change at all".

    The data is taken for noise around what ``MODELS`` says about each segment: the residuals follow an
    autoregression of order p whose innovations are Student-t. The *deviance* of a channel is -2 log likelihood
    of the innovations plus ``p ln n``, at the best p. A slow, seasonal or drifting series is well predicted
    from its own past, so cutting it into pieces explains little more; a change of level is not.

    ``of(changes)`` is, over the k channels that gain most, their gain in deviance less
    ``m noise_bound(k channels, x)`` for m change points and ``2 ln(d choose k)``, for the best k: a channel
    without change speaks neither for nor against. x is ln n; 1.25 and 1.5 times that for lines and spreads,
    which follow any bend or burst. A channel without change is described by its mean, one straight line or
    one parabola per piece, each further degree paid with ln n, whichever is best. Where levels change, they
    may pass into each other over some samples. 0 means: as well without any change point.

    Args:
        pieces: one (n_i, n_channels) f8 array per contiguous piece, without missing cells.
        scale: (n_channels,) what each channel is multiplied by, 0 to ignore it; d are not.
        spread: (d,) eigenvalues of the channels' noise correlation (``noise_spread``).

    References: the criterion for the mean under autoregressive noise is in the spirit of Cho & Fryzlewicz
    2024, Statistica Sinica 34 (Schwarz criterion along nested candidates); Burg 1975 for the innovations.
    Departures: t innovations, channels that need not take part, the price.
    """

    def __init__(self, pieces: Sequence[Floats], scale: Floats, spread: Floats) -> None:
        used = scale != 0
        self.given, self.scale, self.spread = tuple(pieces), scale, spread
        self._pieces = tuple((p[:, used] - p[:, used].mean(axis=0)) * scale[used] for p in pieces)
        self._n = sum(len(p) for p in self._pieces)
        together = np.concatenate(self._pieces)
        self._sd = together.std(axis=0)
        self._quantum = np.array([_quantum(c) for c in together.T])
        self._without = np.min(
            [
                deviance([_bent(p, degree) for p in self._pieces], _FLOOR * self._sd)
                + degree * math.log(self._n)
                for degree in range(_MOST_BENT + 1)
            ],
            axis=0,
        )

    def of(self, changes: Sequence[Ints], model: str = "level") -> float:
        """Evidence for change points, 0 for none.

        Args:
            changes: one (m_i,) array per piece, samples of the piece, ascending.
            model: a key of ``MODELS``.
        """
        m = sum(len(c) for c in changes)
        if m == 0:
            return 0.0
        x = _STRICTNESS[model] * math.log(self._n)
        gains = np.sort(self._without - self._deviance(changes, model))[::-1]
        d = len(gains)
        spread = np.repeat(self.spread, MODELS[model])
        best = -math.inf
        for k in {1, *np.unique(np.linspace(1, d, min(d, 16)).astype(int)).tolist(), d}:
            chosen = math.lgamma(d + 1) - math.lgamma(k + 1) - math.lgamma(d - k + 1)
            best = max(best, float(gains[:k].sum()) - m * noise_bound(spread, x, k / d) - 2 * chosen)
        return best

    def _deviance(self, changes: Sequence[Ints], model: str) -> Floats:
        if model == "line":
            left = [_without_lines(v, c) for v, c in zip(self._pieces, changes, strict=True)]
            return deviance(left, _FLOOR * self._sd) + math.log(self._n)
        steps = self._around_levels(changes, 0)
        width = self._likely_width(changes)
        if width == 0:
            return self._level_deviance(steps, changes, model)
        ramps = self._level_deviance(self._around_levels(changes, width), changes, model)
        paid = 2 * math.log(len(_WIDTHS)) / len(self._sd)
        return np.minimum(self._level_deviance(steps, changes, model), ramps + paid)

    def _level_deviance(self, left: list[Floats], changes: Sequence[Ints], model: str) -> Floats:
        if model == "level":
            return deviance(left, _FLOOR * self._sd)
        shocks, paid = innovations(left, _FLOOR * self._sd)
        floor = np.maximum(_SPREAD_FLOOR * np.sqrt((shocks * shocks).mean(axis=0)), self._quantum)
        floor = np.where(floor > 0, floor, 1.0)
        skipped = (self._n - len(shocks)) // len(self._pieces)  # of each piece
        edges, first = [0], 0
        for piece, c in zip(self._pieces, changes, strict=True):
            edges += [first + max(0, int(at) - skipped) for at in c]
            first += len(piece) - skipped
            edges.append(first)
        parts = [shocks[a:b] for a, b in pairwise(edges) if b > a]
        return np.asarray(paid + sum(_t_deviance(part, floor) for part in parts))

    def _around_levels(self, changes: Sequence[Ints], width: int) -> list[Floats]:
        return [_without_ramps(v, c, width) for v, c in zip(self._pieces, changes, strict=True)]

    def _likely_width(self, changes: Sequence[Ints]) -> int:
        """Of the widths of transitions the one that leaves the smallest absolute residuals."""
        size = [sum(np.abs(r).sum(axis=0) for r in self._around_levels(changes, w)) for w in _WIDTHS]
        total = np.log(np.maximum(size, _FLOOR * self._n * self._sd + 1e-300)).sum(axis=1)
        return _WIDTHS[int(np.argmin(total))]


def _without_ramps(values: Floats, changes: Ints, width: int) -> Floats:
    """What segment means leave that pass into each other by a ramp, ``width`` samples to either side.

    At most a third of a segment is ramp on either side; means are of what is none.
    """
    n = len(values)
    starts = np.concatenate([[0], changes]).astype(np.int64)
    ends = np.append(changes, n).astype(np.int64)
    third = (ends - starts) // 3
    half = np.minimum(width, np.minimum(third[:-1], third[1:]))
    first, last = starts + np.append(0, half), ends - np.append(half, 0)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    mean = (sums[last] - sums[first]) / (last - first)[:, None]
    if not half.any():
        return np.asarray(values - np.repeat(mean, ends - starts, axis=0))
    t, edges = np.arange(n), np.stack([first - 0.5, last - 0.5 - 1e-9], axis=1).ravel()
    ramped = [np.interp(t, edges, np.repeat(column, 2)) for column in mean.T]
    return np.asarray(values - np.stack(ramped, axis=1))


def _without_lines(values: Floats, changes: Ints) -> Floats:
    """What each segment's least-squares line leaves."""
    n = len(values)
    starts = np.concatenate([[0], changes]).astype(np.int64)
    lengths = np.diff(np.append(starts, n))
    segment = np.repeat(np.arange(len(starts)), lengths)
    t = np.arange(n) - starts[segment] - (lengths[segment] - 1) / 2
    left: Floats = values - (np.add.reduceat(values, starts, axis=0) / lengths[:, None])[segment]
    power = np.maximum(lengths * (lengths.astype(np.float64) ** 2 - 1) / 12, 1.0)
    slope = np.add.reduceat(left * t[:, None], starts, axis=0) / power[:, None]
    left -= slope[segment] * t[:, None]
    return left


def _bent(values: Floats, degree: int) -> Floats:
    """What the best polynomial of a degree leaves of the values."""
    n = len(values)
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, n), min(degree, n - 1) + 1, increasing=True))
    left: Floats = values - basis @ (basis.T @ values)
    return left


def _quantum(values: Floats) -> float:
    """Standard deviation of the rounding of values that come in steps."""
    steps = np.diff(np.unique(values))
    return float(steps.min(initial=np.inf)) / math.sqrt(12) if steps.size else 0.0


def deviance(pieces: Sequence[Floats], floor: Floats) -> Floats:
    """-2 log likelihood of each channel under autoregressive Student-t noise, plus ``ln n`` per order.

    Args:
        pieces, floor: as in ``innovations``.

    Returns:
        (d,), up to a constant that depends on the lengths of the pieces alone. The scale of the t (5 degrees
        of freedom) is that of greatest likelihood; or, for another ``ln n``, one that grows or falls steadily
        by a factor per sample (what grows exponentially, fluctuates so).
    """
    shocks, paid = innovations(pieces, floor)
    floor = np.where(floor > 0, floor, 1.0)
    if len(shocks) < 2:
        return _t_deviance(shocks, floor) + paid
    time = np.linspace(-1.0, 1.0, len(shocks))[:, None]
    growth = (time * np.log(np.maximum(np.abs(shocks), floor))).sum(axis=0) / (time * time).sum()
    steady = _t_deviance(shocks * np.exp(-growth * time), floor) + math.log(len(shocks))
    return np.minimum(_t_deviance(shocks, floor), steady) + paid


def innovations(pieces: Sequence[Floats], floor: Floats) -> tuple[Floats, Floats]:
    """What each sample adds to what its predecessors foretell, under the best autoregression per channel.

    Args:
        pieces: (n_i, d) residuals, one array per contiguous piece.
        floor: (d,) least scale of the innovations, in the units of the residuals; 0 only where all are 0.

    Returns:
        (m, d) innovations, the pieces end to end; and (d,) ``p ln n`` for the order p <= 16 that was best by
        the innovations' variance plus that. Coefficients are by Burg's recursion. The first 16 samples of
        each piece (fewer where pieces are short) are only predicted from.
    """
    n = sum(len(p) for p in pieces)
    most = max(0, min(_MOST_ORDER, n // _SAMPLES_PER_ORDER, min(len(p) for p in pieces) // 2))
    floor = np.where(floor > 0, floor, 1.0)
    forward, backward = list(pieces), list(pieces)
    chosen: Floats = np.concatenate([p[most:] for p in pieces])
    counted = len(chosen)
    least = counted * np.log(np.maximum((chosen * chosen).mean(axis=0), floor**2))
    order = np.zeros(len(floor), np.int64)
    for p in range(1, most + 1):
        ahead, behind = [f[1:] for f in forward], [b[:-1] for b in backward]
        product = sum((f * b).sum(axis=0) for f, b in zip(ahead, behind, strict=True))
        power = sum((f * f).sum(axis=0) + (b * b).sum(axis=0) for f, b in zip(ahead, behind, strict=True))
        reflection = np.divide(2 * product, power, out=np.zeros(len(floor)), where=np.asarray(power) > 0)
        forward = [f - reflection * b for f, b in zip(ahead, behind, strict=True)]
        backward = [b - reflection * f for f, b in zip(ahead, behind, strict=True)]
        left = np.concatenate([f[most - p :] for f in forward])
        value = counted * np.log(np.maximum((left * left).mean(axis=0), floor**2)) + p * math.log(n)
        better = value < least
        if better.any():
            least, order = np.where(better, value, least), np.where(better, p, order)
            chosen[:, better] = left[:, better]
        if p - order.max() >= _PATIENCE:
            break
    return chosen, np.asarray(order * math.log(n), np.float64)


def _t_deviance(left: Floats, floor: Floats) -> Floats:
    squares = left * left
    least = floor**2
    scale = np.maximum(np.median(squares, axis=0) / 0.45, least)
    for _ in range(_ROUNDS):
        weighed = ((_FREEDOM + 1) * squares / (_FREEDOM + squares / scale)).mean(axis=0)
        scale = np.maximum(weighed, least)
    fit = (_FREEDOM + 1) * np.log1p(squares / (_FREEDOM * scale)).sum(axis=0)
    return np.asarray(fit + len(left) * np.log(scale))

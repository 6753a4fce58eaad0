"""How wide the patterns of a signal are: window width and period, found from the signal alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from align.datatypes import Floats

__all__ = ["Widths", "find_widths", "window_width"]

_SIMILAR = 0.89  # how much the statistics of windows must resemble the whole's (the paper's default)
_NARROWEST = 6  # samples
_MOST_WINDOWS_IN_RUN = 24  # a window is at most this part of a run
_CLEAR = 0.1  # autocorrelation of the least period worth the name
_NEARLY = 0.95  # part of the highest peak that a shorter period needs


@dataclass(frozen=True, slots=True)
class Widths:
    """Samples: ``window`` (narrow) and ``wide`` window; ``period`` and ``cycle`` or None, with how clear each is.

    The period is the shortest of the clearest repetitions, the cycle the clearest one longer than two windows
    (a heart beat has both; a repeated gesture has a cycle only).
    """

    window: int
    wide: int
    period: int | None
    period_strength: float
    cycle: int | None
    cycle_strength: float


def find_widths(values: Floats) -> Widths:
    """Widths for one run.

    Args:
        values: (n, d) of zero mean and unit variance per channel.
    """
    n = len(values)
    narrow = float(np.median([window_width(column) for column in values.T]))
    window = int(max(_NARROWEST, min(narrow, n // _MOST_WINDOWS_IN_RUN)))
    correlation = _autocorrelation(values)
    period, strength = _clearest(correlation, max(4, window // 2), n // 8)
    wide = int(np.sqrt(window * period)) if period else 2 * window
    wide = max(_NARROWEST, min(wide, n // _MOST_WINDOWS_IN_RUN))
    cycle, clear = _clearest(correlation, 2 * window + 1, n // 16 - 1)
    return Widths(window, wide, period, strength, cycle, clear)


def window_width(values: Floats, least: int = 10) -> int:
    """Width at which windows look like the whole: summary statistics subsequence (SuSS).

    The mean, standard deviation and range of windows are compared with those of the whole; the width is where
    the mean distance over the root of the width has fallen to 11 % of that of single samples.

    Args:
        values: (n,), n >= 8.
        least: narrowest width looked at, samples.

    Returns:
        samples, at most n // 2.

    Reference: Ermshaus, Schaefer & Leser 2023, AALTD, algorithm 1. O(n log n).
    """
    from align.kernels.patterns import rolling_range

    n = len(values)
    spread = float(np.ptp(values))
    if spread == 0:
        return min(least, n // 2)
    x = (values - values.min()) / spread
    sums, squares = (np.concatenate([[0.0], np.cumsum(v)]) for v in (x, x * x))
    whole = x.mean(), x.std()

    def distance(width: int) -> float:
        mean = (sums[width:] - sums[:-width]) / width
        deviation = np.sqrt(np.maximum((squares[width:] - squares[:-width]) / width - mean * mean, 0))
        apart = (mean - whole[0]) ** 2 + (deviation - whole[1]) ** 2 + (rolling_range(x, width) - 1.0) ** 2
        return float(np.sqrt(apart).mean() / np.sqrt(width))

    farthest, nearest = distance(1), distance(n - 1)

    def similarity(width: int) -> float:
        return 1 - (distance(width) - nearest) / (farthest - nearest)

    return _smallest(similarity, least, n // 2)


def _smallest(similarity: Callable[[int], float], least: int, most: int) -> int:
    """Bisection for the width at which the similarity reaches the wanted one, after doubling up to it."""
    width = 1
    while width < most and not (width >= least and similarity(width) > _SIMILAR):
        width *= 2
    low, high = max(least, min(width, most) // 2), min(2 * width, most)
    width = min(width, most)
    while low <= high:
        width = (low + high) // 2
        score = similarity(width)
        if score < _SIMILAR:
            low = width + 1
        elif score > _SIMILAR:
            high = width - 1
        else:
            break
    return width


def _autocorrelation(values: Floats) -> Floats:
    """Mean over the channels, unbiased, by the Fourier transform."""
    n = len(values)
    size = 1 << int(np.ceil(np.log2(2 * n)))
    spectrum = np.fft.rfft(values - values.mean(axis=0), size, axis=0)
    power = np.fft.irfft((spectrum * spectrum.conj()).real.sum(axis=1), size)[:n]
    return np.asarray(power / power[0] * n / (n - np.arange(n)))


def _clearest(correlation: Floats, low: int, high: int) -> tuple[int | None, float]:
    """The shortest lag in low..high that is a peak nearly as high as the highest, None if that is low; its height."""
    lags = np.arange(low, high)
    here = correlation[lags] if len(lags) else np.empty(0)
    peak = (here > correlation[lags - 1]) & (here >= correlation[lags + 1])
    if not peak.any():
        return None, 0.0
    best = float(here[peak].max())
    if best < _CLEAR:
        return None, max(best, 0.0)
    return int(lags[peak & (here >= _NEARLY * best)][0]), best

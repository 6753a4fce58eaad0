"""The features of one long segment, part by part: its arrays would outgrow the stream, and the spectra of windows.

A segment of a day at 100 Hz is 35 MB of float32 a channel, and ten arrays of float64 of its length are 690 MB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = [
    "DETRENDED",
    "LEAST_SAMPLES",
    "ROUNDING",
    "describe_long",
    "power_of",
    "strongest",
    "windows_of",
]

ROUNDING = 1e-12  # a deviation below this share of the segment's mean is the mean's rounding, not signal
DETRENDED = 1e-6  # what is left of a straight ramp, as a share of its standard deviation, is rounding too
LEAST_SAMPLES = 8  # a shorter segment has no rhythm
_WINDOW = 8.0  # s: spectra are averaged over stretches of this length, so a peak is known to 1/8 Hz
_LEAST_SHARE = 0.25  # of the power near the peak; under it the peak's frequency is chance
_PART = 1 << 17  # samples

Ints = npt.NDArray[np.int64]


def describe_long(values: npt.NDArray[np.floating[Any]], rate: float, has_rhythm: bool) -> Floats:
    """What ``describe_segments`` says of one channel of one segment, without arrays of its length.

    Args:
        values: (n,) f4 or f8, NaN where missing.
        rate: Hz.
        has_rhythm: whether frequency, rhythm and crossings are asked for.

    Returns:
        (1, 4 or 7) f8: mean, sd, slope, change and those; NaN where no sample is finite.
    """
    n = values.size
    parts = [slice(first, min(first + _PART, n)) for first in range(0, n, _PART)]
    with np.errstate(over="ignore", invalid="ignore"):
        count = sum(int(_known(values, part)[1].sum()) for part in parts)
        if count == 0:
            return np.full((1, 7 if has_rhythm else 4), np.nan)
        mean = _total(values, parts, lambda x, t: x) / count
        middle = _total(values, parts, lambda x, t: t / rate) / count

        def deviation(x: Floats) -> Floats:
            away = x - mean
            away[np.abs(away) <= ROUNDING * abs(mean)] = 0.0
            return away

        sd = math.sqrt(_total(values, parts, lambda x, t: deviation(x) ** 2) / count)
        spread = _total(values, parts, lambda x, t: (t / rate - middle) ** 2) / count
        shared = _total(values, parts, lambda x, t: (t / rate - middle) * deviation(x)) / count
        slope = shared / spread if spread > 0 else 0.0

        def residual(part: slice) -> Floats:
            x, finite = _known(values, part)
            time = np.arange(part.start, part.stop) / rate - middle
            left = np.where(finite, deviation(x) - time * slope, 0.0)
            left[np.abs(left) <= DETRENDED * sd] = 0.0
            return left

        row = [mean, sd, slope, _change(values, parts) * rate]
        if has_rhythm:
            row += [*_rhythm_long(residual, n, rate), _crossings_long(residual, parts) * rate / n]
    return np.array([row])


def _known(values: npt.NDArray[np.floating[Any]], part: slice) -> tuple[Floats, npt.NDArray[np.bool_]]:
    x = values[part].astype(np.float64)
    return x, np.isfinite(x)


def _total(
    values: npt.NDArray[np.floating[Any]], parts: list[slice], of: Callable[[Floats, Floats], Floats]
) -> float:
    """Sum over the finite samples of a function of their values and their numbers."""
    sums = []
    for part in parts:
        x, finite = _known(values, part)
        sums.append(float(np.where(finite, of(x, np.arange(part.start, part.stop)), 0.0).sum()))
    return math.fsum(sums) if all(map(math.isfinite, sums)) else sum(sums)


def _change(values: npt.NDArray[np.floating[Any]], parts: list[slice]) -> float:
    """Mean absolute difference of neighbours that are both finite."""
    sums, pairs = [], 0
    for part in parts:
        x, finite = _known(values, slice(max(0, part.start - 1), part.stop))
        both = finite[1:] & finite[:-1]
        sums.append(float(np.where(both, np.abs(np.diff(x)), 0.0).sum()))
        pairs += int(both.sum())
    return sum(sums) / max(1, pairs)


def _crossings_long(residual: Callable[[slice], Floats], parts: list[slice]) -> int:
    """Sign changes; an exact zero keeps the sign before it."""
    turns, last = 0, 0.0
    for part in parts:
        sign = np.sign(residual(part))
        sign = np.append(last, sign[sign != 0])
        turns += int((sign[1:] * sign[:-1] < 0).sum())
        last = float(sign[-1])
    return turns


def _rhythm_long(residual: Callable[[slice], Floats], n: int, rate: float) -> tuple[float, float]:
    firsts, width = windows_of(n, rate)
    at_once = max(1, _PART // width)
    power = np.zeros(width // 2 + 1)
    for first in range(0, firsts.size, at_once):
        some = firsts[first : first + at_once]
        part = residual(slice(int(some[0]), int(some[-1]) + width))
        power += power_of(np.lib.stride_tricks.sliding_window_view(part, width)[some - some[0]])
    return strongest(power, width, rate)


def windows_of(n: int, rate: float) -> tuple[Ints, int]:
    """First samples and width of the windows whose spectra are averaged.

    They are evenly spread, cover the whole segment and overlap as little as its length allows.

    Args:
        n: samples of the segment, >= ``LEAST_SAMPLES``.
        rate: Hz.
    """
    width = min(max(LEAST_SAMPLES, int(_WINDOW * rate)), n)
    return np.linspace(0, n - width, -(-n // width)).astype(np.int64), width


def power_of(windows: Floats) -> Floats:
    """(width // 2 + 1,) summed power spectrum of (m, width) windows, without the mean's."""
    power: Floats = (np.abs(np.fft.rfft(windows, axis=1)) ** 2).sum(axis=0)
    power[0] = 0.0
    return power


def strongest(power: Floats, width: int, rate: float) -> tuple[float, float]:
    """Hertz of the highest peak and its share of the power; zeros where it does not stand out.

    Args:
        power: from ``power_of``.
        width: of its windows.
        rate: Hz.
    """
    total, peak = power.sum(), int(power.argmax())
    near = power[max(1, peak - 1) : peak + 2].sum()
    if total > 0 and near >= _LEAST_SHARE * total:
        return peak * rate / width, float(near / total)
    return 0.0, 0.0

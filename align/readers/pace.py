"""How fast a written clock ticks: the sample period measured from irregular timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Pace", "measure_period", "nominal_rate"]

Ints = npt.NDArray[np.int64]

_BLOCK = 256  # rows per block of the first search
_PROMPT = 0.6  # a row followed sooner than this (in periods) was late itself: it does not count
_CLEAR = 1.5  # how much longer than at the mean step, and at most frequencies, a resultant must be to count
_ROWS = 1 << 18  # rows that one refinement looks at, at most
_STALL = 32  # periods: windows that hold a longer pause say nothing about the rate
_COARSE = 3  # rows per written time from which equal times are a coarse clock, not duplicates
_ROUND = np.array([1, 1.25, 1.5, 1.6, 2, 2.5, 3, 3.2, 4, 5, 6, 6.4, 7.5, 8])  # times a power of ten
_POWERS = 2.0 ** np.arange(3, 18)
_AUDIO = np.array([11025, 22050, 44100, 88200, 12000, 24000, 48000, 96000, 192000], float)
_PERIODS = np.array([1, 2, 3, 4, 5, 6, 7, 10, 12, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600], float)


@dataclass(frozen=True, slots=True)
class Pace:
    """``period`` ns of a sample, ``resolution`` ns of the written clock, ``group`` rows per written time."""

    period: float
    resolution: int
    group: int


def measure_period(times: Ints, gap_factor: float) -> Pace:
    """The sample period of written times, in spite of jitter, late batches, lost samples and pauses.

    The median of the positive steps is a first guess ``p``. At the true frequency the written times, wound
    around a circle once per period, point one way: lost samples do not turn them, jitter only shortens their
    mean. So the frequency within 12 % of ``1 / p`` is taken at which blocks of 256 rows have the longest mean,
    and refined by how far the mean turns from one block to the next, in blocks of 256, 1024, ... rows. Rows
    that the next one follows at once came late in a batch and do not count. Where no frequency stands out, or
    none against that of the mean step (no sample lost), the mean step counts.
    A clock whose resolution is more than a quarter of a period carries no such phase: there the mean step
    counts when the times keep to it within their resolution (1.25 ms written in whole ms), else the median
    step (1 ms with lost samples).

    Args:
        times: (n,) i8 ns, never decreasing, n >= 2.
        gap_factor: periods from which a pause is a gap.

    Complexity: O(n).
    """
    steps = np.diff(times)
    low, high = int(steps.min()), int(steps.max())
    if low == high and low > 0:
        return Pace(float(low), low, 1)
    positive = steps if low > 0 else steps[steps > 0]
    if positive.size == 0:  # all times are equal: whoever asks sees the ties
        return Pace(1.0, 1, 1)
    resolution = int(np.gcd.reduce(positive[:100_000]))
    typical = float(np.partition(positive, (positive.size - 1) // 2)[(positive.size - 1) // 2])
    near = steps if high <= gap_factor * typical else steps[steps <= gap_factor * typical]
    if times.size >= _COARSE * (positive.size + 1) and positive.size > 1:
        group = times.size / (positive.size + 1)
        return Pace(float(near.sum() / max(1.0, near.size - group + 1.0)), resolution, round(group))
    if _share_near(positive, typical, 1e-3) >= 0.9:
        return Pace(typical, resolution, 1)
    if resolution * 4 > typical:
        mean = float(near.mean())
        return Pace(
            mean if _keeps_step(times, near.size < steps.size, mean, resolution) else typical, resolution, 1
        )
    if steps.size < 16:
        return Pace(float(positive[np.abs(positive / typical - 1.0) <= 0.5].mean()), resolution, 1)
    return Pace(_wound(times, steps, typical, gap_factor), resolution, 1)


def _share_near(steps: Ints, typical: float, share: float) -> float:
    """How many of the steps lie within a share of a typical one."""
    size = 1 << 20  # rows at a time: no second array as long as a day's
    parts = (steps[i : i + size] for i in range(0, steps.size, size))
    return sum(int((np.abs(p - typical) <= share * typical).sum()) for p in parts) / steps.size


def _keeps_step(times: Ints, paused: bool, mean: float, resolution: int) -> bool:
    """True when most blocks of 512 rows stay within the resolution of a clock of period ``mean``."""
    width = min(times.size, 512)
    pauses = (
        np.concatenate([[0], np.cumsum(np.diff(times) > _STALL * mean)]) if paused else np.zeros(times.size)
    )
    blocks = _blocks(times, pauses, width) - mean * np.arange(width)
    off = blocks.max(axis=1) - blocks.min(axis=1)
    return bool(off.size and (off <= 1.1 * resolution).mean() > 0.5)


def _wound(times: Ints, steps: Ints, typical: float, gap_factor: float) -> float:
    """The period at which the times point one way, see ``measure_period``; the mean step when none does."""
    pauses = np.concatenate([[0], np.cumsum(steps > max(_STALL, gap_factor) * typical)])
    mean = float(steps[np.diff(pauses) == 0].mean())
    width = min(_BLOCK, times.size // 2)
    blocks = _blocks(times, pauses, width)
    while blocks.shape[0] == 0 and width >= 32:
        width //= 2
        blocks = _blocks(times, pauses, width)
    if blocks.shape[0] == 0:
        return typical
    few = blocks[:: max(1, blocks.shape[0] // 16)]
    prompt = np.diff(few, append=np.inf) >= _PROMPT * typical
    tried = np.concatenate([[typical / mean], 1.0 + np.arange(-0.12, 0.12, 1.0 / (4 * width))]) / typical
    length = np.array([np.abs((prompt * np.exp(2j * np.pi * f * few)).sum(axis=1)).sum() for f in tried])
    best = int(np.argmax(length))
    if length[best] < _CLEAR * max(length[0], float(np.median(length))):
        best = 0
    period = 1.0 / float(tried[best])
    while width * 2 <= times.size:
        better = _turned(times, pauses, width, period)
        if better is None:
            break
        period, width = better, width * 4
    return period


def _blocks(times: Ints, pauses: npt.NDArray[Any], width: int) -> npt.NDArray[np.float64]:
    """(n_blocks, width) times from each block's first, blocks with a pause left out."""
    begin = np.arange(0, times.size - width + 1, width)
    begin = begin[pauses[begin] == pauses[begin + width - 1]]
    rows = begin[:, None] + np.arange(width)
    return (times[rows] - times[begin][:, None]).astype(np.float64)


def _turned(times: Ints, pauses: Ints, width: int, period: float) -> float | None:
    """The period corrected by the mean turn between neighbouring blocks; None when they do not agree."""
    begin = np.arange(0, times.size - 2 * width + 1, width)
    begin = begin[pauses[begin] == pauses[begin + 2 * width - 1]]
    if begin.size == 0:
        return None
    thin = max(1, begin.size * width // _ROWS)
    inside = np.arange(0, width, min(thin, width // 64 + 1))
    begin = begin[:: max(1, begin.size * inside.size // _ROWS)]

    def mean(first: Ints) -> npt.NDArray[np.complex128]:
        rows = first[:, None] + inside
        away = (times[rows] - times[begin][:, None]).astype(np.float64)
        prompt = times[np.minimum(rows + 1, times.size - 1)] - times[rows] >= _PROMPT * period
        return (prompt * np.exp(2j * np.pi * away / period)).mean(axis=1)

    product = mean(begin).conj() * mean(begin + width)
    total = product.sum()
    if np.abs(total) < 0.5 * np.abs(product).sum() or np.abs(product).mean() * inside.size < 2.0:
        return None
    apart = float((times[begin + width] - times[begin]).mean()) / period
    return period / (1.0 - float(np.angle(total)) / (2.0 * np.pi) / apart)


def nominal_rate(measured: float, doubt: float, pace: Pace) -> float:
    """The round rate that a device with this measured rate (Hz) was most likely set to, or nan.

    Round: a short decimal, a power of two, an audio rate or a whole number of seconds per sample, within 1 %
    and nearer than any other round rate by far; else a whole number of hertz within the measured uncertainty
    (three times ``doubt``, a share of the rate, plus one nanosecond per period).

    >>> nominal_rate(49.998, 1e-6, Pace(2e7, 1, 1))
    50.0
    """
    decade = 10.0 ** np.floor(np.log10(measured))
    rounds = np.concatenate([_ROUND * decade, [decade * 10.0], _POWERS, _AUDIO, 1.0 / _PERIODS])
    nearest = float(rounds[np.argmin(np.abs(rounds - measured))])
    if abs(nearest / measured - 1.0) <= 0.01:
        return nearest
    margin = 3.0 * doubt + 1.0 / pace.period
    whole = float(np.floor(measured + 0.5))
    if whole >= 1.0 and abs(whole / measured - 1.0) <= margin:
        return whole
    return float("nan")

"""What an electrocardiogram shows, cell by cell, as strengths in [0, 1]: the common rhythms of the heart.

What textbooks say, with thresholds set by hand, eight records of the MIT-BIH Arrhythmia Database in view. A beat that
looks unlike the usual one and comes early is ectopic; every second beat ectopic, or every second interval
short, is bigeminy, every third trigeminy. Intervals that repeat after neither one, two nor three beats are atrial
fibrillation. Beats that look unlike the usual ones for a while come from elsewhere: slow ones are an escape
(idioventricular) rhythm, fast ones tachycardia, a fast wave without distinct complexes ventricular flutter. Fast beats
of the usual shape come from above the ventricles; a pacemaker's broad beats begin with a spike.

Reference: Surawicz and Knilans, Chou's Electrocardiography in Clinical Practice, 6th edition, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.features.cells import Cells, ramp
from align.features.heartbeats import ecg_channels, find_beats, finite_stretches, from_before, shapes_of

__all__ = ["Heart", "heart_strengths", "measure_heart"]

Indices = npt.NDArray[np.int64]

_LEAST_BEATS = 8
_LEAST_KNOWN = 6  # of 21 changes, to be called uneven
_SPIKE_S, _BEFORE_S = (-0.12, 0.05), (-0.35, -0.15)
_SPIKES_FROM = 70.0  # Hz
_BROAD_BAND, _SHARP_BAND = (1.5, 5.0), (6.0, 35.0)  # Hz
_NEAR_S = 30.0  # to either side: what the usual beat of now looks like
_POWER_S = 4.0
_REACH_S = 2.0  # a cell farther than this from any beat shows nothing
_EARLY, _LATE = 0.9, 1.5  # interval over the next one: outside, neither beat is a calm one
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Heart:
    """Measurements of one recording of the heart, one row per cell; NaN where no beat is near.

    ``rate`` beats a minute (median of five). ``bigeminy`` and ``trigeminy`` in [0, 1]: how well the five and seven
    beats around are ectopic and not as the pattern asks, or intervals repeat after two and three beats and no sooner.
    ``irregular`` median change of the interval since the beat before, or the two or three before, whichever changes
    least, among the 21 beats around, as a share of the usual interval. ``usual`` correlation of the complexes
    with the session's usual one (median of five). ``broad`` power between 1.5 and 5 Hz over that between 6 and 35 Hz
    (4 s). ``spike`` highest sample above 70 Hz about the complex over that before it (median of 21).
    """

    rate: Floats
    bigeminy: Floats
    trigeminy: Floats
    irregular: Floats
    usual: Floats
    broad: Floats
    spike: Floats

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(n,) where beats were found."""
        return np.isfinite(self.rate)


def measure_heart(stream: Stream, cells: Cells) -> Heart | None:
    """Measure the lead whose beats are most alike; None without a lead or with fewer than eight beats.

    Args:
        stream: any sensor stream.
        cells: where to measure.
    """
    best: tuple[float, Floats] | None = None
    for lead in ecg_channels(stream):
        values = stream.values[:, lead].astype(np.float64)
        alike, rows = _measured(stream, values, cells)
        if best is None or alike > best[0]:
            best = alike, rows
    if best is None or not np.isfinite(best[1]).any():
        return None
    return Heart(*best[1].T)


def heart_strengths(heart: Heart) -> dict[str, Floats]:
    """How strongly each cell shows each rhythm: (n,) in [0, 1] by key of the table."""
    known = heart.known.astype(np.float64)
    twos, threes = np.nan_to_num(heart.bigeminy), np.nan_to_num(heart.trigeminy)
    plain = known * (1.0 - twos) * (1.0 - threes)
    paced = ramp(heart.spike, 1.8, 2.6) * ramp(heart.broad, 2.0, 4.5)
    unpaced = 1.0 - float(paced[heart.known].mean())  # where most beats are paced, others are the heart's own
    elsewhere = unpaced * ramp(heart.usual, 0.8, 0.5)
    fast, racing = ramp(heart.rate, 95.0, 110.0), ramp(heart.rate, 150.0, 180.0)
    wave = elsewhere * racing * ramp(heart.broad, 3.0, 6.0)
    uneven = ramp(heart.irregular, 0.06, 0.12)
    own = plain * (1.0 - elsewhere) * (1.0 - paced)
    return {
        "bigeminy": twos,
        "trigeminy": threes,
        "ventricular flutter": wave,
        "ventricular tachycardia": plain * elsewhere * fast * (1.0 - wave),
        "escape rhythm": plain * elsewhere * (1.0 - fast) * (1.0 - paced),
        "paced": plain * paced,
        "fibrillation": own * uneven,
        "tachycardia": own * (1.0 - uneven) * fast,
        "slow": own * (1.0 - uneven) * ramp(heart.rate, 60.0, 50.0),
        "sinus": own * (1.0 - uneven) * (1.0 - fast),
    }


def _measured(stream: Stream, values: Floats, cells: Cells) -> tuple[float, Floats]:
    """How alike the beats of a lead are, and the (n, 7) measurements of ``Heart``."""
    out = np.full((cells.n, 7), np.nan)
    found = []
    for begin, a, b in finite_stretches(stream, values):
        at = find_beats(values[a:b], stream.rate)
        if at.size >= _LEAST_BEATS:
            found.append((begin, values[a:b], at, shapes_of(values[a:b], at, stream.rate)["qrs"][0]))
    if not found:
        return 0.0, out
    usual = _usual(np.concatenate([unit for *_, unit in found]))
    alike = []
    for begin, piece, at, unit in found:
        times, rate = at / stream.rate, stream.rate
        near = _near_usual(times, unit)
        alike.append(near)
        rows = np.column_stack([_of_beats(times, near, unit @ usual), _of_signal(piece, at, rate)])
        inside = (cells.centres >= begin) & (cells.centres < begin + piece.size / rate)
        seconds = cells.centres[inside] - begin
        closest = _closest(times, seconds)
        rows = rows[closest]
        rows[np.abs(times[closest] - seconds) > _REACH_S] = np.nan
        out[inside] = rows
    return float(np.median(np.concatenate(alike))), out


def _cut(values: Floats, at: Indices, seconds: tuple[float, float], rate: float) -> Floats:
    about = np.arange(round(seconds[0] * rate), round(seconds[1] * rate))
    return values[np.clip(at[:, None] + about, 0, values.size - 1)]


def _usual(unit: Floats) -> Floats:
    """The median complex, of length one."""
    middle = np.median(unit, axis=0)
    return np.asarray(middle / max(float(np.linalg.norm(middle)), _TINY))


def _near_usual(times: Floats, unit: Floats) -> Floats:
    """(n_beats,) correlation of every complex with the usual one of the calm beats within 30 s."""
    intervals = np.diff(times, prepend=np.nan, append=np.nan)
    with np.errstate(invalid="ignore"):
        ratio = intervals[:-1] / intervals[1:]
    calm = (ratio >= _EARLY) & (ratio <= _LATE)
    out = np.empty(times.size)
    for first in range(0, times.size, _LEAST_BEATS):
        some = slice(first, first + _LEAST_BEATS)
        middle = times[some].mean()
        low, high = np.searchsorted(times, (middle - _NEAR_S, middle + _NEAR_S))
        those = unit[low:high][calm[low:high]]
        out[some] = unit[some] @ _usual(those if len(those) >= 3 else unit[low:high])
    return out


def _of_beats(times: Floats, near: Floats, usual: Floats) -> Floats:
    """(n_beats, 5) rate, bigeminy, trigeminy, irregular, usual."""
    intervals = np.diff(times, prepend=np.nan)
    ordinary = _around(intervals, 10)
    with np.errstate(invalid="ignore"):
        early = ramp(intervals / ordinary, 1.0, 0.75)
        changes = [from_before(intervals, lag) / ordinary for lag in (1, 2, 3)]
    ectopic = ramp(0.8 * ramp(near, 0.97, 0.75) + 0.4 * early, 0.35, 0.65)
    one, two, three = (_around(change, 4) for change in changes)
    turns = ramp(one, 0.15, 0.3) * ramp(two, 0.12, 0.06)
    of_three = ramp(np.minimum(one, two), 0.1, 0.2) * ramp(three, 0.12, 0.06)
    odd = ectopic > 0.5
    changes[0][odd | np.roll(odd, 1) | np.roll(odd, 2)] = np.nan
    repeats = [_around(change, 10, _LEAST_KNOWN) for change in changes]
    return np.column_stack(
        [
            60.0 / _around(intervals, 2),
            np.maximum(ramp(_pattern(ectopic, 2, 5), 0.8, 0.97), turns),
            np.maximum(ramp(_pattern(ectopic, 3, 7), 0.86, 0.98), of_three),
            np.min(repeats, axis=0),
            _around(usual, 2),
        ]
    )


def _of_signal(values: Floats, at: Indices, rate: float) -> Floats:
    """(n_beats, 2) broad, spike."""
    from scipy import ndimage, signal

    powers = []
    for band in (_BROAD_BAND, _SHARP_BAND):
        sos = signal.butter(2, band, "bandpass", fs=rate, output="sos")
        power = signal.sosfiltfilt(sos, values) ** 2
        powers.append(ndimage.uniform_filter1d(power, round(_POWER_S * rate), mode="nearest")[at])
    if rate <= 2.5 * _SPIKES_FROM:
        return np.column_stack([powers[0] / (powers[1] + _TINY), np.full(at.size, np.nan)])
    sos = signal.butter(3, _SPIKES_FROM, "highpass", fs=rate, output="sos")
    high = np.abs(signal.sosfiltfilt(sos, values))
    about, before = (_cut(high, at, s, rate).max(axis=1) for s in (_SPIKE_S, _BEFORE_S))
    return np.column_stack([powers[0] / (powers[1] + _TINY), _around(about / (before + _TINY), 10)])


def _pattern(ectopic: Floats, period: int, width: int) -> Floats:
    """(n_beats,) how well the ``width`` beats around agree with one ectopic beat in every ``period``."""
    rows = np.lib.stride_tricks.sliding_window_view(np.pad(ectopic, width // 2, mode="edge"), width)
    asked = [(np.arange(width) % period == phase).astype(np.float64) for phase in range(period)]
    return np.max([(rows * a + (1.0 - rows) * (1.0 - a)).mean(axis=1) for a in asked], axis=0)


def _around(column: Floats, reach: int, least: int = 1) -> Floats:
    """(n_beats,) median of the known values among ``reach`` beats to either side; NaN with fewer than ``least``."""
    padded = np.pad(column, reach, constant_values=np.nan)
    rows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    count = np.isfinite(rows).sum(axis=1)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    at = np.arange(len(rows))
    return np.asarray(np.where(count >= least, 0.5 * (rows[at, low] + rows[at, high]), np.nan))


def _closest(times: Floats, seconds: Floats) -> Indices:
    """(n,) index of the beat nearest to each second."""
    after = np.clip(np.searchsorted(times, seconds), 1, times.size - 1)
    return np.asarray(np.where(seconds - times[after - 1] < times[after] - seconds, after - 1, after))

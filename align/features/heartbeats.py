"""Electrocardiograms: where the heart beats, and what its beats do around each frame.

A rhythm shows in the times between beats and in how each beat looks beside the one, two and three before it: every
second beat alike is bigeminy, every third trigeminy; intervals that never repeat and no atrial wave before the
beats are atrial fibrillation. None of that is in a channel's level or in its frequency bands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.features.kinds import judge_channel

__all__ = [
    "BEAT_S",
    "LEAST_RATE",
    "beat_columns",
    "beat_names",
    "ecg_channels",
    "find_beats",
    "finite_stretches",
    "from_before",
    "shapes_of",
]

#: Hertz below which the shape of a beat cannot be seen.
LEAST_RATE = 100.0
#: Seconds of a slow heartbeat: within less there is no rhythm to see.
BEAT_S = 1.0
_WINDOWS = (1.5, 4.0, 10.0)  # s to either side: a few beats, a pattern, a rhythm
_LAGS = (1, 2, 3)
_BEAT_BAND, _SHAPE_BAND = (8.0, 20.0), (0.7, 35.0)  # Hz
_SMOOTH, _REFRACTORY, _LOCAL = 0.08, 0.24, 2.0  # s
_BLOCKS = 9  # of _LOCAL seconds, whose median peak is the level of beats
_SHARE = 0.32  # of that level, from which a peak is a beat
_PARTS = {"qrs": (-0.12, 0.16), "p": (-0.28, -0.08), "t": (0.16, 0.40)}  # s about the beat
_LEAST_SECONDS = 4.0  # of a stretch in which beats are looked for
_TINY = 1e-12


def ecg_channels(stream: Stream) -> tuple[int, ...]:
    """Columns of a stream that are leads of an electrocardiogram sampled fast enough to see beats.

    Args:
        stream: any sensor stream.
    """
    if stream.rate < LEAST_RATE:
        return ()
    pairs = enumerate(zip(stream.channels, stream.units, strict=True))
    return tuple(i for i, (name, unit) in pairs if judge_channel(name, unit)[0] == "ecg")


def find_beats(values: Floats, rate: float) -> npt.NDArray[np.int64]:
    """Samples at which the heart beats, one lead.

    The band of the QRS complex, 8 to 20 Hz, rectified and smoothed over 80 ms; peaks at least 0.24 s apart that
    reach 0.32 of the local level, which is the median, over 18 s, of the highest peak in every 2 s.

    Args:
        values: (n,) one lead without missing samples, any unit.
        rate: Hz, >= ``LEAST_RATE``.

    Returns:
        (n_beats,) ascending.

    Reference: the filter, rectifier and adaptive level of Pan and Tompkins, IEEE Trans. Biomed. Eng. 32(3), 1985,
    sections II.A to II.C, with a centred level in place of its running estimates: nothing here is online.
    """
    from scipy import signal

    if values.size < 2.0 * rate:
        return np.zeros(0, np.int64)
    band = signal.butter(2, _BEAT_BAND, "bandpass", fs=rate, output="sos")
    power = signal.sosfiltfilt(band, values - np.median(values)) ** 2
    taper = signal.windows.hann(max(3, round(_SMOOTH * rate)))
    envelope = np.sqrt(np.maximum(np.convolve(power, taper / taper.sum(), "same"), 0.0))
    peaks, _ = signal.find_peaks(envelope, distance=max(1, round(_REFRACTORY * rate)))
    block = round(_LOCAL * rate)
    tops = np.maximum.reduceat(envelope, np.arange(0, values.size, block))
    half = min(_BLOCKS // 2, (tops.size - 1) // 2)
    padded = np.pad(tops, half, mode="reflect")
    level = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    wanted = _SHARE * np.interp(peaks, (np.arange(tops.size) + 0.5) * block, level)
    return np.asarray(peaks[envelope[peaks] > np.maximum(wanted, _TINY)], np.int64)


def beat_columns(stream: Stream, centres: Floats) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """What the beats of every lead do around each centre: means and deviations over 3, 8 and 20 s of beats.

    Per beat: the log interval since the one before, its change and the correlation of the QRS complexes over one,
    two and three beats; the correlation of the stretches before (atrial wave) and behind the complex with those of
    the beat before; log width and size of the complex, and how large the other stretches are beside it. Sizes
    are about the lead's median: how well an electrode sits says nothing about the rhythm.

    Args:
        stream: with leads that ``ecg_channels`` found.
        centres: (n_frames,) seconds on the session clock.

    Returns:
        (n_frames, n_columns) float32, NaN where a window holds no beat, and names "lead.what"; no beat is looked
        for across a gap or a missing sample.
    """
    leads = ecg_channels(stream)
    blocks = [_lead_columns(stream, lead, centres) for lead in leads]
    table = np.concatenate([*blocks, np.zeros((centres.size, 0))], axis=1)
    return table.astype(np.float32), beat_names(stream)


def beat_names(stream: Stream) -> tuple[str, ...]:
    """The names of the columns of ``beat_columns``: a lead's name, a dot, and what it says.

    Args:
        stream: any.
    """
    return tuple(f"{stream.channels[i]}.{what}" for i in ecg_channels(stream) for what in _names())


def _lead_columns(stream: Stream, lead: int, centres: Floats) -> Floats:
    """(n_frames, n_columns) of one lead: its stretches without gap or missing sample, one by one."""
    out = np.full((centres.size, len(_names())), np.nan)
    values = stream.values[:, lead].astype(np.float64)
    for start, a, b in finite_stretches(stream, values):
        inside = np.flatnonzero((centres >= start) & (centres < start + (b - a) / stream.rate))
        if inside.size and b - a >= _LEAST_SECONDS * stream.rate:
            beats = _beats(values[a:b], stream.rate)
            out[inside] = _around((centres[inside] - start) * stream.rate, beats, stream.rate)
    return out


def finite_stretches(stream: Stream, values: Floats) -> Iterator[tuple[float, int, int]]:
    """(start in seconds, first sample, end sample) of every stretch without a gap or a missing sample.

    Args:
        stream: whose runs count.
        values: (n_samples,) one of its channels.
    """
    for begin, low, high in zip(stream.run_start, stream.run_index, stream.run_ends, strict=True):
        known = np.concatenate([[False], np.isfinite(values[low:high]), [False]])
        edges = np.flatnonzero(np.diff(known.astype(np.int8)))
        for a, b in edges.reshape(-1, 2).tolist():
            yield float(begin) + a / stream.rate, int(low) + a, int(low) + b


def _beats(values: Floats, rate: float) -> tuple[npt.NDArray[np.int64], Mapping[str, Floats]]:
    """Where the beats are and the columns of each; NaN where there are too few beats before it."""
    at = find_beats(values, rate)
    parts = shapes_of(values, at, rate)
    interval = np.full(at.size, np.nan)
    interval[1:] = np.log(np.diff(at) / rate)
    columns = {"interval": interval}
    for lag in _LAGS:
        columns[f"interval change {lag}"] = from_before(interval, lag)
        columns[f"qrs alike {lag}"] = _correlation(parts["qrs"][0], lag)
    for name, lag in (("p", 1), ("p", 2), ("t", 1)):
        columns[f"{name} alike {lag}"] = _correlation(parts[name][0], lag)
    qrs, size = parts["qrs"]
    columns["qrs width"] = _log_width(qrs, rate)
    usual = float(np.median(size)) if size.size else 1.0
    columns["qrs size"] = np.log((size + _TINY) / (usual + _TINY))
    for name in ("p", "t"):
        columns[f"{name} size"] = np.log((parts[name][1] + _TINY) / (size + _TINY))
    return at, columns


def shapes_of(values: Floats, at: npt.NDArray[np.int64], rate: float) -> Mapping[str, tuple[Floats, Floats]]:
    """Per part of a beat, "qrs", "p" and "t": (n_beats, n_samples) its shape, mean 0 and length 1, and the lengths.

    Args:
        values: (n,) one lead without missing samples, any unit.
        at: (n_beats,) samples at which the heart beats.
        rate: Hz.
    """
    from scipy import signal

    band = signal.butter(2, _SHAPE_BAND, "bandpass", fs=rate, output="sos")
    smooth = signal.sosfiltfilt(band, values - np.median(values))
    return {k: _part(smooth, at, round(a * rate), round(b * rate)) for k, (a, b) in _PARTS.items()}


def _part(smooth: Floats, at: npt.NDArray[np.int64], low: int, high: int) -> tuple[Floats, Floats]:
    """(n_beats, n_samples) the signal from ``low`` to ``high`` about each beat, mean 0 and length 1; the lengths."""
    cut = smooth[np.clip(at[:, None] + np.arange(low, high), 0, smooth.size - 1)]
    cut = cut - cut.mean(axis=1, keepdims=True)
    length = np.sqrt((cut**2).sum(axis=1))
    return cut / np.maximum(length, _TINY)[:, None], length


def from_before(column: Floats, lag: int) -> Floats:
    """(n_beats,) how far each value is from the one ``lag`` beats before; NaN for the first ones.

    Args:
        column: (n_beats,) a value of every beat.
        lag: beats, >= 1.
    """
    out = np.full(column.size, np.nan)
    out[lag:] = np.abs(column[lag:] - column[:-lag])
    return out


def _correlation(unit: Floats, lag: int) -> Floats:
    """(n_beats,) of each beat with the one ``lag`` before it."""
    out = np.full(len(unit), np.nan)
    out[lag:] = (unit[lag:] * unit[:-lag]).sum(axis=1)
    return out


def _log_width(unit: Floats, rate: float) -> Floats:
    """(n_beats,) log of the deviation, in seconds, of where the energy of the complex lies."""
    energy, at = unit**2, np.arange(unit.shape[1]) / rate
    middle = (energy * at).sum(axis=1, keepdims=True)
    spread = (energy * (at - middle) ** 2).sum(axis=1)
    return np.asarray(0.5 * np.log(np.maximum(spread, 0.25 / rate**2)))


def _around(
    centres: Floats, beats: tuple[npt.NDArray[np.int64], Mapping[str, Floats]], rate: float
) -> Floats:
    """(n_frames, n_columns) mean and deviation of every column over the beats in each window."""
    at, columns = beats
    out = []
    for half in _WINDOWS:
        low = np.searchsorted(at, centres - half * rate)
        high = np.searchsorted(at, centres + half * rate)
        for column in columns.values():
            out += _mean_and_deviation(column, low, high)
    return np.column_stack(out)


def _mean_and_deviation(
    column: Floats, low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]
) -> list[Floats]:
    known = np.isfinite(column)
    held = np.where(known, column, 0.0)
    sums = [np.concatenate([[0.0], np.cumsum(x)]) for x in (known.astype(np.float64), held, held**2)]
    count, first, second = (s[high] - s[low] for s in sums)
    some = count > 0
    mean = np.where(some, first / np.maximum(count, 1.0), np.nan)
    variance = np.where(some, second / np.maximum(count, 1.0) - mean**2, np.nan)
    return [mean, np.sqrt(np.maximum(variance, 0.0))]


def _names() -> tuple[str, ...]:
    """Of one lead's columns, in order."""
    each = ["interval"]
    for lag in _LAGS:
        each += [f"interval change {lag}", f"qrs alike {lag}"]
    each += ["p alike 1", "p alike 2", "t alike 1", "qrs width", "qrs size", "p size", "t size"]
    return tuple(
        f"{what} {kind} {2 * half:g}s" for half in _WINDOWS for what in each for kind in ("mean", "sd")
    )

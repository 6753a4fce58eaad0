"""What a microphone hears, cell by cell, as strengths in [0, 1]: quiet, voices, calls, noise, bursts, clicks.

General knowledge about sounds, none of it fitted: voices are harmonic between 80 and 400 Hz and come in
syllables; cries and calls are harmonic and higher; engines hum low and steadily; rain and wind are steady
noise; coughs, barks and knocks are short and far above their surroundings; clocks and steps are clicks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.features.cells import Cells, ramp, sample_ranges

__all__ = ["Sound", "measure_sound", "sound_strengths"]

_WINDOW_S, _STEP_S = 0.064, 0.016  # of one spectrum: three periods of 47 Hz
_CONTEXT_S = 1.6  # how much sound around a cell decides what it is like
_CHUNK = 2048  # spectra per block: bounds memory
_VOICED = 0.6  # normalised autocorrelation from which a spectrum counts as harmonic
_FLOOR_DB = -100.0


@dataclass(frozen=True, slots=True)
class Sound:
    """Measurements, one row per cell; NaN where there is no sample.

    ``level`` dB of the loudest tenth of the cell. Within 1.6 s: ``spread`` standard deviation of the audible
    levels (dB); ``burst`` how far the peak is above the median level (dB); ``onsets`` steep rises per second;
    ``voiced`` harmonic share of the audible part; ``pitch`` median of that (Hz); ``flatness`` spectral
    flatness of the audible part (0 tone, 1 white noise); ``centre`` its spectral centroid (Hz). ``floor`` and
    ``peak``: the quietest and the loudest twentieth of the whole stream (dB).
    """

    level: Floats
    spread: Floats
    burst: Floats
    onsets: Floats
    voiced: Floats
    pitch: Floats
    flatness: Floats
    centre: Floats
    floor: float
    peak: float


def measure_sound(stream: Stream, cells: Cells) -> Sound:
    """Measure an audio stream; channels are averaged, NaN counts as silence."""
    tracks = _tracks(stream)
    step = max(1, int(_STEP_S * stream.rate))
    near = _frames_of(sample_ranges(stream, cells, max(cells.hop, 2 * _STEP_S)), step)
    wide = _frames_of(sample_ranges(stream, cells, _CONTEXT_S), step)
    level, harmonic, pitch, flatness, centre = tracks.T
    rise = np.concatenate([np.zeros(2), level[2:] - level[:-2]])
    onset = (rise > 9.0) & (np.concatenate([[0.0], rise[:-1]]) <= 9.0)
    floor, peak = (float(v) for v in np.percentile(level, (5, 95)))
    out = np.full((cells.n, 8), np.nan)
    for k in range(cells.n):
        a, b = near[k]
        if b <= a:
            continue
        c, d = wide[k]
        around = level[c:d]
        middle, high = _quantile(around, 0.5), _quantile(around, 0.95)
        audible = around >= max(high - 25.0, floor + 6.0)
        out[k, 0] = _quantile(level[a:b], 0.9)
        out[k, 2] = high - middle
        out[k, 3] = onset[c:d].sum() / ((d - c) * step / stream.rate)
        if audible.any():
            out[k, 1] = around[audible].std()
            tuned = audible & (harmonic[c:d] >= _VOICED)
            out[k, 4] = tuned.sum() / audible.sum()
            out[k, 5] = np.median(pitch[c:d][tuned]) if tuned.any() else np.nan
            out[k, 6] = flatness[c:d][audible].mean()
            out[k, 7] = centre[c:d][audible].mean()
    level, spread, burst, onsets, voiced, pitch, flatness, centre = out.T
    return Sound(level, spread, burst, onsets, voiced, pitch, flatness, centre, floor, peak)


def _quantile(values: Floats, share: float) -> float:
    """The value that ``share`` of the values do not exceed: one of them, far faster than np.percentile."""
    return float(np.sort(values)[int(share * (values.size - 1) + 0.5)])


def _frames_of(ranges: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    """Ranges of spectra for ranges of samples; a range that is not empty keeps at least one spectrum."""
    frames = ranges // step
    short = (ranges[:, 1] > ranges[:, 0]) & (frames[:, 1] <= frames[:, 0])
    frames[short, 1] = frames[short, 0] + 1
    return frames


def _tracks(stream: Stream) -> Floats:
    """(n_spectra, 5) level dB, harmonicity, pitch Hz, flatness, centroid Hz; spectrum i is centred on sample
    ``i * step``. Harmonicity and pitch: the highest peak of the autocorrelation of the windowed sound over
    that of the window, between 70 and 1500 Hz (Boersma 1993, equation 9)."""
    rate = stream.rate
    step, size = max(1, int(_STEP_S * rate)), max(16, int(_WINDOW_S * rate))
    n_fft = 1 << (2 * size - 1).bit_length()  # room for the autocorrelation without wrapping round
    taper = np.hanning(size)
    window_spectrum = np.abs(np.fft.rfft(taper, n_fft)) ** 2
    window_shape = np.fft.irfft(window_spectrum)[: size // 2]
    shortest, longest = max(2, int(rate / 1500)), min(int(rate / 70), size // 2 - 1)
    hz = np.fft.rfftfreq(n_fft, 1 / rate)
    heard = (hz >= 60.0) & (hz <= 8000.0)
    count = -(-stream.n_samples // step)
    out = np.tile([_FLOOR_DB, 0.0, np.nan, 1.0, 0.0], (count, 1))
    tonal = longest - shortest >= 4  # below about 600 Hz of sampling there is loudness and no more
    for first in range(0, count, _CHUNK):
        last = min(first + _CHUNK, count)
        frames = _windows(stream, first, last, step, size)
        level = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-10))
        out[first:last, 0] = np.maximum(level, _FLOOR_DB)
        if not tonal:
            continue
        spectrum = np.abs(np.fft.rfft(frames * taper, n_fft)) ** 2
        spectrum[:, hz < 60.0] = 0.0  # mains hum, wind and offsets say nothing about what is heard
        shape = np.fft.irfft(spectrum)[:, : longest + 1] / window_shape[: longest + 1]
        shape /= np.maximum(shape[:, :1], 1e-20)
        lag, peak = _first_peak(shape, shortest)
        power = spectrum[:, heard] + 1e-14
        total = power.sum(axis=1)
        flat = np.exp(np.log(power).mean(axis=1)) / (total / heard.sum())
        centre = (power * hz[heard]).sum(axis=1) / total
        out[first:last, 1:] = np.column_stack([peak, rate / lag, flat, centre])
    return out


def _windows(stream: Stream, first: int, last: int, step: int, size: int) -> Floats:
    """Windows of ``size`` samples centred on every ``step``-th sample; zero beyond the ends."""
    begin, end = first * step - size // 2, (last - 1) * step - size // 2 + size
    part = stream.values[max(begin, 0) : min(end, stream.n_samples)]
    mono = np.nan_to_num(part.astype(np.float64)).mean(axis=1)
    padded = np.pad(mono, (max(-begin, 0), max(end - stream.n_samples, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::step][: last - first]


def _first_peak(shape: Floats, shortest: int) -> tuple[Floats, Floats]:
    """Lag and height of the first local maximum that reaches 0.9 of the highest one: a sum of harmonics
    repeats at every multiple of its period, and the pitch is the first."""
    inner = shape[:, shortest:-1]
    local = (inner >= shape[:, shortest - 1 : -2]) & (inner > shape[:, shortest + 1 :])
    heights = np.where(local, inner, 0.0)
    highest = heights.max(axis=1, keepdims=True)
    index = np.argmax(heights >= 0.9 * highest, axis=1)
    return (index + shortest).astype(np.float64), heights[np.arange(len(heights)), index]


def sound_strengths(sound: Sound) -> dict[str, Floats]:
    """How strongly each cell shows each kind of sound: (n,) in [0, 1] by key of the table.

    Loud and quiet are relative to the stream; in one whose level hardly varies, all is audible unless it is
    below -70 dB of full scale.
    """
    known = np.isfinite(sound.level)
    room = sound.peak - sound.floor
    faint, clear = sound.floor + 0.2 * room, sound.floor + 0.5 * room
    heard = ramp(sound.level, faint, clear) if room > 12.0 else ramp(sound.level, -75.0, -65.0)
    voiced, pitch = ramp(sound.voiced, 0.25, 0.6), np.nan_to_num(sound.pitch)
    steady, bursty = ramp(sound.spread, 5.0, 2.5), ramp(sound.burst, 8.0, 18.0)
    noisy = heard * ramp(sound.flatness, 0.03, 0.15) * (1.0 - voiced)
    often = ramp(sound.onsets, 1.5, 3.0)
    low, high = ramp(pitch, 220.0, 140.0), ramp(pitch, 280.0, 380.0)
    return {
        "quiet": known * (1.0 - heard),
        "loud": heard * ramp(sound.level, sound.floor + 0.7 * room, sound.peak + 1.0),
        "voice": heard * voiced * (1.0 - steady) * ramp(pitch, 70.0, 90.0) * (1.0 - high),
        "cry": heard * voiced * (1.0 - steady) * high,
        "hum": heard * steady * np.maximum(voiced * low, ramp(sound.centre, 1200.0, 500.0)),
        "noise": noisy * steady,
        "swell": noisy * (1.0 - steady) * (1.0 - often) * (1.0 - bursty),
        "burst": heard * bursty * (1.0 - often),
        "clicks": known * often * ramp(sound.voiced, 0.6, 0.3),
    }

"""Sensor streams -> frames: per channel, statistics of a window and its energy in frequency bands.

Frames sit on the session's frame grid (``align.clock``): frame k covers [k hop, (k + 1) hop) seconds and is
computed from a longer window centred on it, cut at the edges of its run: no window looks across a gap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Floats, Stream
from align.errors import InputError

__all__ = ["BANDS", "POWER_RATE", "bands_at", "motion_frames", "split_axis"]

#: Edges of the frequency bands in hertz: posture and breath, slow movement, gait, running, shaking, vibration.
BANDS = (0.25, 0.6, 1.2, 2.0, 3.2, 5.0, 8.0, 14.0, 24.0)
_LARGEST = 1e30
_HALF_STEP = 2.0**-24  # relative rounding error of float32
#: Hz: a band's power is the variance that white noise of its density would have at this rate.
POWER_RATE = 50.0
_PER_BAND = 3  # Fourier frequencies pooled in a band
_REACH = 0.95  # of the Nyquist frequency: what lies above it a recorder's own filter has taken
_LEAST_PART = 0.5  # of a band within reach that may stand for it
_AT_ONCE = 4096  # frames made at once: a day's windows in float64 would fill a gigabyte
_STATISTICS = ("mean", "sd", "min", "max", "slope", "step")
_AXIS = re.compile(r"(?:^|(?<=[^A-Za-z]))[xyzXYZ](?=$|[^A-Za-z])|(?<=[a-z])[XYZ]$|(?<=[A-Za-z])[xyz]$")


def _triples(channels: tuple[str, ...]) -> tuple[list[list[int]], tuple[str, ...]]:
    """The columns of each x/y/z triple, and the names of all columns with the triples' magnitudes behind them."""
    columns = {name: i for i, name in enumerate(channels)}
    triples: dict[str, dict[str, int]] = {}
    for name, i in columns.items():
        found = split_axis(name)
        if found is not None:
            triples.setdefault(found[0], {})[found[1]] = i
    whole = {
        stem: axes for stem, axes in triples.items() if set(axes) == {"x", "y", "z"} and stem not in columns
    }
    return [[axes[a] for a in "xyz"] for axes in whole.values()], (*channels, *whole)


def split_axis(name: str) -> tuple[str, str] | None:
    """A channel's name with "*" where its axis was, and the axis in lower case; None where it names none.

    Args:
        name: as written by the source.

    >>> split_axis("acc_x"), split_axis("gyroY"), split_axis("heart rate")
    (('acc_*', 'x'), ('gyro*', 'y'), None)
    """
    found = _AXIS.search(name)
    return None if found is None else (name[: found.start()] + "*" + name[found.end() :], found[0].lower())


def _with_norms(
    samples: npt.NDArray[np.floating[Any]], triples: Sequence[Sequence[int]]
) -> npt.NDArray[np.float64]:
    n, n_channels = samples.shape
    out = np.empty((n, n_channels + len(triples)))
    out[:, :n_channels] = samples
    for column, axes in enumerate(triples, start=n_channels):
        out[:, column] = np.sqrt((out[:, axes] ** 2).sum(1))
    return out


def motion_frames(stream: Stream, hop: float, window: float) -> Stream:
    """Frames of a sensor stream: for every channel and every x/y/z magnitude, statistics and band energies.

    Per channel: mean, standard deviation (log), minimum and maximum about the mean, slope per second, mean
    absolute step (log), and the log power density in each band of ``BANDS`` that lies below the Nyquist frequency, or
    half of it at least (none at a rate at which the lowest does not). A density does not depend on the rate: it is
    the variance that white noise as dense would have at 50 Hz.

    Args:
        stream: sensor stream at any rate.
        hop: seconds from frame to frame, > 0.
        window: seconds of signal behind one frame; at least one sample is taken.

    Returns:
        Stream of frames at ``1 / hop`` hertz; its runs are the stream's runs that hold a cell's centre; its units
        are those of the channels that the columns describe.

    Raises:
        InputError: E-NO-FRAMES, no run is long enough to hold the centre of a frame; E-RANGE, a value whose
            square a frame cannot hold.
    """
    _check_range(stream)
    first, last, run_index, run_start = _window_ranges(stream, hop, window)
    if first.size == 0:
        raise InputError(
            "E-NO-FRAMES",
            f"stream {stream.name!r} is shorter than half a frame of {hop:g} s",
            hint="use a smaller hop",
        )
    triples, names = _triples(stream.channels)
    statistics, bands, band_names = _measured(stream, triples, first, last)
    channels = tuple(f"{c}.{k}" for c in names for k in (*_STATISTICS, *band_names))
    return Stream(
        values=_columns(statistics, bands, stream.rate),
        rate=1.0 / hop,
        name=stream.name,
        modality=stream.modality,
        channels=channels,
        units=_units(stream, names, len(channels)),
        run_index=run_index,
        run_start=run_start,
        epoch=stream.epoch,
    )


def _units(stream: Stream, names: tuple[str, ...], n_columns: int) -> tuple[str, ...]:
    """(n_columns,) the unit of the channel that each column describes; a magnitude has that of its x axis."""
    units = dict(zip(stream.channels, stream.units, strict=True))
    found = [units.get(n) or units.get(n.replace("*", "x")) or units.get(n.replace("*", "X")) for n in names]
    return tuple(unit or "" for unit in found for _ in range(n_columns // len(names)))


def _check_range(stream: Stream) -> None:
    """Squares of what passes fit float64, and its frames fit float32."""
    top = np.fmax.reduce(np.abs(stream.values), axis=0)
    for name, value in zip(stream.channels, top, strict=True):
        if value > _LARGEST:
            raise InputError(
                "E-RANGE",
                f"a value is infinite or beyond {_LARGEST:g} in magnitude in stream {stream.name!r}",
                hint="scale the channel, or declare the value as missing",
                channel=name,
            )


def _needs_double(statistics: npt.NDArray[np.float64]) -> bool:
    """float32 would round the mean of a small signal on a large offset away; the other columns have no offset."""
    known = np.isfinite(statistics[..., :2])
    mean, sd = np.max(np.abs(statistics[..., :2]), axis=0, where=known, initial=0.0).T
    return bool(((sd > 0) & (mean * _HALF_STEP > 1e-3 * sd)).any())


def _measured(
    stream: Stream,
    triples: Sequence[Sequence[int]],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], tuple[str, ...]]:
    """(n_frames, n_channels, 6) statistics and (n_frames, n_channels, n_bands) powers of all windows; the bands' names.

    Some frames at a time: a window reads its own samples alone, so the numbers are those of all at once.
    """
    from align.kernels import frames as kernel

    frequencies, band_names = _frequencies(stream.rate)
    cosines, sines = _fourier_tables(int((last - first).max()), frequencies, stream.rate)
    n_channels = stream.n_channels + len(triples)
    statistics = np.empty((len(first), n_channels, kernel.N_STATISTICS))
    bands = np.empty((len(first), n_channels, len(band_names)))
    for start in range(0, len(first), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        begin, end = int(first[some].min()), int(last[some].max())
        values = _with_norms(stream.values[begin:end], triples)
        windows = first[some] - begin, last[some] - begin
        statistics[some] = kernel.window_statistics(values, *windows)
        if band_names:
            power = kernel.band_powers(values, *windows, cosines, sines)
            bands[some] = power.reshape(*power.shape[:2], -1, _PER_BAND).mean(3)
    return statistics, bands, band_names


def _columns(
    statistics: npt.NDArray[np.float64], bands: npt.NDArray[np.float64], rate: float
) -> npt.NDArray[np.floating[Any]]:
    """Statistics and powers as columns a linear model likes: logs of what is a scale, no units of samples."""
    floor = _floor(statistics[..., 1])
    n_frames, n_channels, n_bands = bands.shape
    width = n_channels * (len(_STATISTICS) + n_bands)
    out = np.empty((n_frames, width), np.float64 if _needs_double(statistics) else np.float32)
    for start in range(0, n_frames, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        mean, sd, low, high, slope, step = np.moveaxis(statistics[some], 2, 0)
        kept = [mean, np.log(sd + floor), low - mean, high - mean, slope * rate, np.log(step * rate + floor)]
        logs = np.log(bands[some] + (floor**2)[None, :, None]) + np.log(POWER_RATE / rate)
        out[some] = np.concatenate([np.stack(kept, 2), logs], 2).reshape(len(mean), -1)
    return out


def _floor(sd: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n_channels,) a small positive number in the channel's own unit, so that logs of a flat line are finite."""
    top = np.nanmax(np.where(np.isfinite(sd), sd, 0.0), axis=0)
    return np.where(top > 0, 1e-3 * top, 1e-6)


def _window_ranges(
    stream: Stream, hop: float, window: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """First and last sample of each frame's window, and the frames' runs."""
    half = 0.5 * clock.sample_count(window, stream.rate)
    firsts, lasts, run_index, run_start = [], [], [], []
    n = 0
    for (begin, end), low, high in zip(stream.run_spans, stream.run_index, stream.run_ends, strict=True):
        k0, k1 = clock.frame_cells(begin, end, hop)
        if k1 == k0:
            continue
        centre = low + ((np.arange(k0, k1) + 0.5) * hop - begin) * stream.rate
        first = np.clip(np.floor(centre - half + 0.5).astype(np.int64), low, high - 1)
        last = np.clip(np.floor(centre + half + 0.5).astype(np.int64), first + 1, high)
        firsts.append(first)
        lasts.append(last)
        run_index.append(n)
        run_start.append(k0 * hop)
        n += k1 - k0
    if not firsts:
        none = np.zeros(0, np.int64)
        return none, none, none, np.zeros(0)
    return (
        np.concatenate(firsts),
        np.concatenate(lasts),
        np.asarray(run_index, np.int64),
        np.asarray(run_start),
    )


def bands_at(rate: float) -> tuple[str, ...]:
    """The names of the bands that a stream's frames have, "0.25-0.6Hz" first.

    Args:
        rate: of the stream, Hz.

    >>> bands_at(1.5)
    ('0.25-0.6Hz', '0.6-1.2Hz')
    """
    return _frequencies(rate)[1]


def _frequencies(rate: float) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Three frequencies a band in hertz, for the bands below the Nyquist frequency, whole or half of them at least.

    None at a rate at which not even the lowest band is whole: there a window holds a sample or two.
    """
    chosen: list[Floats] = []
    names: list[str] = []
    for low, high in pairwise(BANDS):
        top = high if high <= 0.5 * rate else _REACH * 0.5 * rate
        if top - low >= (_LEAST_PART if chosen else 1.0) * (high - low):
            chosen.append(low + (top - low) * (np.arange(_PER_BAND) + 0.5) / _PER_BAND)
            names.append(f"{low:g}-{high:g}Hz")
    return (np.concatenate(chosen) if chosen else np.zeros(0)), tuple(names)


def _fourier_tables(
    length: int, frequencies: npt.NDArray[np.float64], rate: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Hann-tapered cosine and sine tables (length, n_frequencies), scaled so that white noise gives its variance."""
    j = np.arange(length) + 0.5
    taper = np.sin(np.pi * j / length) ** 2
    taper /= np.sqrt((taper**2).sum())
    phase = 2 * np.pi * frequencies[None, :] * j[:, None] / rate
    return np.cos(phase) * taper[:, None], np.sin(phase) * taper[:, None]

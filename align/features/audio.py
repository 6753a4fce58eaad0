"""Audio streams -> frames: log-mel energies pooled onto the session's frame grid.

The only place where librosa's (bands, time) arrays are turned to (time, bands). The mel scale is Slaney's (librosa's
default); energies are in decibels below the loudest frame.

References:
    Berouti, Schwartz and Makhoul, Enhancement of speech corrupted by acoustic noise, ICASSP 1979: more than the mean
    power of steady noise is subtracted, and a floor of the noise is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Floats, Stream
from align.errors import InputError

__all__ = ["RANGE_DB", "hides_sounds", "mel_frames", "quietened", "sound_summary", "steady_noise"]

_STEP = 0.010  # seconds between spectra
_WIDTH = 0.025  # seconds of signal in a spectrum
_MELS = 40
_TOP = 8000.0  # hertz
#: Decibels that are kept below the loudest frame.
RANGE_DB = 80.0
_CHUNK = 6000  # spectra computed at a time: one minute
_QUIET = 0.05  # share of a recording in which nothing but its steady noise is heard
_SUBTRACTED = 2.0  # times the mean power of the noise
_AROUND = 11  # spectra whose mean power says how quiet it is
_SMOOTHED = 5  # spectra whose mean power says how much of it is noise
_SUBJECT_DB = -15.0  # noise from here on is what the recording is about


def mel_frames(stream: Stream, hop: float) -> Stream:
    """Frames of an audio stream: mean and standard deviation of 40 log-mel energies within each cell.

    The spectra lie 10 ms apart; a cell shorter than that takes the nearest one. Channels are averaged. A cell in
    which every sample is missing is NaN.

    Args:
        stream: audio at any rate of at least 1 kHz.
        hop: seconds from frame to frame, > 0.

    Returns:
        Stream of frames at ``1 / hop`` hertz, 81 channels (``mel00.mean`` ..., ``mel00.sd`` ..., ``loudness``) in dB.

    Raises:
        InputError: E-NO-FRAMES, no run holds the centre of a frame.
    """
    return _pooled(stream, hop, _runs(stream, hop))


def steady_noise(frames: npt.NDArray[np.floating]) -> float:
    """Decibels, <= 0, of a recording's steady noise against its loudest frame: a twentieth of it is no louder.

    Args:
        frames: (n, 81) values of ``mel_frames``; where none has data the noise is the least that there is.
    """
    loudness = frames[:, -1].astype(np.float64)
    known = loudness[np.isfinite(loudness)]
    return float(np.quantile(known, _QUIET)) if known.size else -RANGE_DB


def hides_sounds(noise: float, floor: float) -> bool:
    """Whether noise is louder than a floor, and still quieter than what a recording of nothing but noise has.

    Args:
        noise: of ``steady_noise``, dB.
        floor: dB.
    """
    return floor < noise < _SUBJECT_DB


def quietened(stream: Stream, frames: Stream, floor: float) -> Stream:
    """The frames with steady noise brought down to a floor, where it hides sounds (``hides_sounds``).

    From every band of every spectrum twice the mean power of the noise is taken; what would be less than the noise at
    the floor becomes that, ups and downs and all, so that pauses sound as they do where there is less noise.

    Args:
        stream: audio.
        frames: its ``mel_frames``.
        floor: decibels below the loudest frame, <= 0.
    """
    noise, hop = steady_noise(frames.values), 1.0 / frames.rate
    if not hides_sounds(noise, floor):
        return frames
    runs = list(_runs(stream, hop))
    power, least = _quiet_power(runs), 10.0 ** ((floor - noise) / 10.0)
    return _pooled(stream, hop, (replace(run, mel=_without(run.mel, power, least)) for run in runs))


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A run's spectra: those of cell ``first + i`` lie from ``edges[i]`` to ``edges[i + 1]`` in ``mel``.

    ``mel`` (n_spectra, 40) decibels; ``heard`` (n_spectra,) some sample is there; ``missing`` (n_cells,) none is.
    """

    first: int
    edges: Floats
    mel: npt.NDArray[np.float32]
    heard: npt.NDArray[np.bool_]
    missing: npt.NDArray[np.bool_]


def _runs(stream: Stream, hop: float) -> Iterator[_Run]:
    """Those that hold the centre of a cell."""
    step = clock.sample_count(_STEP, stream.rate)
    sound, missing = _one_channel(stream)
    for (begin, end), low, high in zip(stream.run_spans, stream.run_index, stream.run_ends, strict=True):
        k0, k1 = clock.frame_cells(begin, end, hop)
        if k1 > k0:
            mel = _log_mel(sound[low:high], stream.rate, step)
            edges = (np.arange(k0, k1 + 1) * hop - begin) * stream.rate / step
            own = missing[low:high]
            heard = ~_all_missing(own, (np.arange(len(mel) + 1, dtype=np.float64) - 0.5) * step)
            yield _Run(k0, edges, mel, heard, _all_missing(own, edges * step))


def _pooled(stream: Stream, hop: float, runs: Iterable[_Run]) -> Stream:
    """Frames of a stream from its spectra."""
    tables, run_index, run_start, n = [], [], [], 0
    for run in runs:
        table = _pool(run.mel, run.edges)
        table[run.missing] = np.nan
        tables.append(table)
        run_index.append(n)
        run_start.append(run.first * hop)
        n += len(table)
    if not tables:
        raise InputError(
            "E-NO-FRAMES",
            f"stream {stream.name!r} is shorter than half a frame of {hop:g} s",
            hint="use a smaller hop",
        )
    table = np.concatenate(tables)
    top = np.fmax.reduce(table[:, -1])
    # decibels below the loudest frame, so that the recording level does not matter
    table[:, :_MELS] = np.maximum(table[:, :_MELS] - top, -RANGE_DB)
    table[:, -1] = np.maximum(table[:, -1] - top, -RANGE_DB)
    names = [f"mel{i:02d}.{k}" for k in ("mean", "sd") for i in range(_MELS)]
    return Stream(
        values=table.astype(np.float32),
        rate=1.0 / hop,
        name=stream.name,
        modality="audio",
        channels=(*names, "loudness"),
        units=("dB",) * (2 * _MELS + 1),
        run_index=np.asarray(run_index),
        run_start=np.asarray(run_start),
        epoch=stream.epoch,
    )


def _one_channel(stream: Stream) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The mean of the channels, silent where it is missing, and where that is."""
    sound = stream.values.mean(axis=1, dtype=np.float64).astype(np.float32)
    missing = ~np.isfinite(sound)
    return np.where(missing, np.float32(0.0), sound), missing


def _all_missing(missing: npt.NDArray[np.bool_], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(n_cells,) no sample of the run lies within the cell; ``edges`` in samples."""
    known = np.concatenate([[0], np.cumsum(~missing)])
    first = np.clip(np.floor(edges[:-1]).astype(np.int64), 0, missing.size - 1)
    last = np.clip(np.ceil(edges[1:]).astype(np.int64), first + 1, missing.size)
    return known[last] == known[first]


def _log_mel(sound: npt.NDArray[np.float32], rate: float, step: int) -> npt.NDArray[np.float32]:
    """(n_spectra, 40) decibels, spectrum i centred on sample i * step; computed a minute at a time."""
    import librosa

    n_fft = 1 << (clock.sample_count(_WIDTH, rate) - 1).bit_length()
    top = min(_TOP, 0.5 * rate)
    n_spectra = 1 + (len(sound) - 1) // step
    half = n_fft // 2
    padded = np.pad(sound, (half, half + step))
    out = np.empty((n_spectra, _MELS), np.float32)
    for start in range(0, n_spectra, _CHUNK):
        stop = min(start + _CHUNK, n_spectra)
        piece = padded[start * step : (stop - 1) * step + n_fft]
        power = librosa.feature.melspectrogram(
            y=piece, sr=rate, n_fft=n_fft, hop_length=step, n_mels=_MELS, fmax=top, center=False
        )
        out[start:stop] = 10.0 * np.log10(power.T + 1e-10)
    return out


def _pool(mel: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n_cells, 81): mean and deviation of the spectra within each cell, and the cell's loudness."""
    n = len(mel)
    first = np.clip(np.ceil(edges[:-1] - 0.5).astype(np.int64), 0, n - 1)
    last = np.clip(np.ceil(edges[1:] - 0.5).astype(np.int64), first + 1, n)
    zero = np.zeros((1, mel.shape[1]))
    sums = np.concatenate([zero, np.cumsum(mel, axis=0, dtype=np.float64)])
    squares = np.concatenate([zero, np.cumsum(np.square(mel, dtype=np.float64), axis=0)])
    count = (last - first)[:, None]
    mean = (sums[last] - sums[first]) / count
    sd = np.sqrt(np.maximum((squares[last] - squares[first]) / count - mean**2, 0.0))
    return np.hstack([mean, sd, _loudness(mean)])


def _power(mel: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(10.0 ** (mel.astype(np.float64) / 10.0), np.float64)


def _loudness(mel: npt.NDArray[np.floating]) -> Floats:
    """(n, 1) decibels of all bands together."""
    return np.asarray(10.0 * np.log10(_power(mel).sum(1, keepdims=True)), np.float64)


def _smoothed(values: Floats, width: int) -> Floats:
    """Means of so many rows around each; beyond the ends lies what lies at them."""
    from scipy.ndimage import uniform_filter1d

    return np.asarray(uniform_filter1d(values, width, axis=0, mode="nearest"), np.float64)


def _quiet_power(runs: Sequence[_Run]) -> Floats:
    """(40,) mean power of the spectra around which it is quietest: of single ones the quietest say too little."""
    levels = [_smoothed(_power(run.mel).sum(axis=1), _AROUND) for run in runs]
    heard = np.concatenate([run.heard for run in runs])
    known = np.concatenate(levels)
    most = np.quantile(known[heard], _QUIET)
    total, count = np.zeros(_MELS), 0
    for run, level in zip(runs, levels, strict=True):
        quiet = run.mel[run.heard & (level <= most)]
        total, count = total + _power(quiet).sum(axis=0), count + len(quiet)
    return total / count


def _without(mel: npt.NDArray[np.float32], noise: Floats, least: float) -> npt.NDArray[np.float32]:
    """(n_spectra, 40) decibels with noise of that power (40,) subtracted, at least that share of a power left."""
    out, reach = np.empty_like(mel), _SMOOTHED // 2
    for start in range(0, len(mel), _CHUNK):
        low = max(0, start - reach)
        power = _smoothed(_power(mel[low : start + _CHUNK + reach]), _SMOOTHED)
        own = slice(start, start + _CHUNK)
        kept = 1.0 - _SUBTRACTED * noise / power[start - low : start - low + _CHUNK]
        out[own] = mel[own] + 10.0 * np.log10(np.maximum(kept, least))
    return out


def sound_summary(stream: Stream, hop: float) -> Stream:
    """Sound in three numbers a frame, for naming: loudness (dB), brightness and spread (mel bands).

    Brightness is the energy-weighted mean band, spread the weighted standard deviation around it.

    Args:
        stream: audio.
        hop: seconds from frame to frame, > 0.

    Returns:
        Stream at ``1 / hop`` hertz with channels ``loudness``, ``brightness``, ``spread``.

    Raises:
        InputError: E-NO-FRAMES, no run holds the centre of a frame.
    """
    frames = mel_frames(stream, hop)
    power = _power(frames.values[:, :_MELS])
    share = power / power.sum(axis=1, keepdims=True)
    bands = np.arange(_MELS)
    centre = share @ bands
    spread = np.sqrt(np.maximum(share @ bands**2 - centre**2, 0.0))
    return Stream(
        values=np.column_stack([frames.values[:, -1], centre, spread]).astype(np.float32),
        rate=frames.rate,
        name=stream.name,
        modality="audio",
        channels=("loudness", "brightness", "spread"),
        units=("dB", "", ""),
        run_index=frames.run_index,
        run_start=frames.run_start,
        epoch=stream.epoch,
    )

"""Audio streams -> frames: log-mel energies pooled onto the session's frame grid.

The only place where librosa's (bands, time) arrays are turned to (time, bands).
Reference: mel scale after Slaney (librosa's default); energies in decibels below the loudest frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Stream
from align.errors import InputError

__all__ = ["RANGE_DB", "mel_frames", "sound_summary"]

_STEP = 0.010  # seconds between spectra
_WIDTH = 0.025  # seconds of signal in a spectrum
_MELS = 40
_TOP = 8000.0  # hertz
#: Decibels that are kept below the loudest frame.
RANGE_DB = 80.0
_CHUNK = 6000  # spectra computed at a time: one minute


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
    step = clock.sample_count(_STEP, stream.rate)
    tables, run_index, run_start, n = [], [], [], 0
    sound, missing = _one_channel(stream)
    for (begin, end), low, high in zip(stream.run_spans, stream.run_index, stream.run_ends, strict=True):
        k0, k1 = clock.frame_cells(begin, end, hop)
        if k1 == k0:
            continue
        mel = _log_mel(sound[low:high], stream.rate, step)
        edges = (np.arange(k0, k1 + 1) * hop - begin) * stream.rate / step
        table = _pool(mel, edges)
        table[_all_missing(missing[low:high], edges * step)] = np.nan
        tables.append(table)
        run_index.append(n)
        run_start.append(k0 * hop)
        n += k1 - k0
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
    loudness = 10.0 * np.log10((10.0 ** (mean / 10.0)).sum(1, keepdims=True))
    return np.hstack([mean, sd, loudness])


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
    power = 10.0 ** (frames.values[:, :_MELS].astype(np.float64) / 10.0)
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

"""The door of the stage: any stream -> frames, and all streams of a session on one frame grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Stream
from align.errors import ParameterError
from align.features.audio import mel_frames, quietened
from align.features.heartbeats import beat_columns, ecg_channels
from align.features.upright import upright_streams
from align.features.windows import motion_frames

__all__ = ["FrameTable", "featurize", "frame_table", "frames_made_once", "natural_hop"]

#: Hops a person would choose, in seconds.
_NICE = (0.02, 0.04, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
_FRAMES_PER_NOTE = 36
_WINDOW_HOPS = 6.0
_WINDOW_LEAST = 1.0
_KNOWN: ContextVar[dict[tuple[int, float, float], tuple[Stream, Stream]] | None] = ContextVar(
    "frames", default=None
)


def natural_hop(seconds: float, n_notes: float) -> float:
    """The frame period for a recording of ``seconds`` with ``n_notes`` notes: about 36 frames a note.

    The largest of 0.02, 0.04, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, ... 60 s that does not exceed
    ``seconds / n_notes / 36``.

    Args:
        seconds: length of the recording, >= 0.
        n_notes: how many notes it has; below 1 counts as 1.

    >>> natural_hop(3600.0, 100)
    1.0
    """
    target = seconds / max(1.0, n_notes) / _FRAMES_PER_NOTE
    return max((h for h in _NICE if h <= target * (1 + 1e-9)), default=_NICE[0])


def featurize(stream: Stream, *, hop: float | None = None, window: float | None = None) -> Stream:
    """Regular frames of any stream: window statistics and band energies of a sensor, log-mel of audio.

    Args:
        stream: raw stream.
        hop: seconds from frame to frame; default 0.1 s for audio, else 0.25 s or 4 samples if longer.
        window: seconds of signal behind a sensor frame; default the longer of 6 hops and 1 s.

    Returns:
        Stream at ``1 / hop`` hertz on the session's frame grid, the same name and modality, gaps kept.

    Raises:
        ParameterError: hop or window not > 0.
        InputError: E-NO-FRAMES, the stream is shorter than half a frame; E-RANGE, a value beyond 1e30.
    """
    if hop is None:
        hop = 0.1 if stream.modality == "audio" else max(0.25, 4.0 / stream.rate)
    if not 0 < hop < math.inf:
        raise ParameterError("hop", hop, "seconds > 0")
    if window is None:
        window = _default_window(hop)
    if not 0 < window < math.inf:
        raise ParameterError("window", window, "seconds > 0")
    known = _KNOWN.get()
    key = id(stream), hop, window
    if known is not None and key in known:
        return known[key][1]
    made = mel_frames(stream, hop) if stream.modality == "audio" else motion_frames(stream, hop, window)
    if known is not None:
        known[key] = stream, made  # the stream with it, so that its id stays its own
    return made


def _default_window(hop: float) -> float:
    return max(_WINDOW_HOPS * hop, _WINDOW_LEAST)


@contextmanager
def frames_made_once() -> Iterator[None]:
    """While the block runs, ``featurize`` makes the frames of a stream, hop and window once and gives them again.

    For several stages over the same streams; the frames of all of them are in memory until the block ends.
    """
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """Frames of several streams on one grid: row k covers [(first + k) hop, (first + k + 1) hop) seconds.

    ``blocks`` one (n_frames, n_features) float32 per stream, NaN where that stream has no data. ``units`` of the
    raw channels that the columns describe, like ``channels``; empty: unknown.
    """

    first: int
    hop: float
    names: tuple[str, ...]
    channels: tuple[tuple[str, ...], ...]
    blocks: tuple[npt.NDArray[np.float32], ...]
    units: tuple[tuple[str, ...], ...] = ()

    @property
    def n_frames(self) -> int:
        return int(self.blocks[0].shape[0])

    @property
    def observed(self) -> npt.NDArray[np.bool_]:
        """(n_frames,) some stream has data."""
        return np.any([np.isfinite(b).any(axis=1) for b in self.blocks], axis=0)


def frame_table(
    streams: Sequence[Stream], hop: float, floors: Mapping[str, float] = MappingProxyType({})
) -> FrameTable:
    """Featurize every stream at ``hop`` and lay the frames on one grid; nothing is filled or interpolated.

    Behind the other columns worn devices bring what an upright wearer's vertical shows (``upright.py``), leads of an
    electrocardiogram what their heartbeats do.

    Args:
        streams: at least one, on one clock.
        hop: seconds per frame, > 0.
        floors: of audio streams by name, decibels below the loudest frame: steady noise that is louder is brought
            down to that (``audio.quietened``).

    Raises:
        ParameterError, InputError: as ``featurize``, and E-NO-FRAMES when there is no stream.
    """
    plain = [featurize(s, hop=hop) for s in streams]  # and what it refuses, before anything is made of it
    plain = [
        quietened(s, own, floors[s.name]) if s.modality == "audio" and s.name in floors else own
        for s, own in zip(streams, plain, strict=True)
    ]
    rows = zip(streams, upright_streams(streams), plain, strict=True)
    frames = [_with_beats(s, _with_upright(upright, own)) for s, upright, own in rows]
    first = min(clock.nearest_sample(f.start, 0.0, 1.0 / hop) for f in frames)
    last = max(clock.nearest_sample(f.end, 0.0, 1.0 / hop) for f in frames)
    blocks = []
    for f in frames:
        block = np.full((last - first, f.n_channels), np.nan, np.float32)
        for start, low, high in zip(f.run_start, f.run_index, f.run_ends, strict=True):
            at = clock.nearest_sample(float(start), 0.0, 1.0 / hop) - first
            block[at : at + high - low] = f.values[low:high]
        blocks.append(block)
    return FrameTable(
        first,
        hop,
        tuple(f.name for f in frames),
        tuple(f.channels for f in frames),
        tuple(blocks),
        tuple(f.units for f in frames),
    )


def _with_upright(upright: Stream | None, frames: Stream) -> Stream:
    """Frames with those of what ``upright.upright_streams`` made of their stream behind them."""
    if upright is None:
        return frames
    made = motion_frames(upright, 1.0 / frames.rate, _default_window(1.0 / frames.rate))
    return _beside(frames, made.values, made.channels, made.units)


def _with_beats(stream: Stream, frames: Stream) -> Stream:
    """Frames with the columns of ``heartbeats.beat_columns`` behind them where the stream has such leads."""
    leads = ecg_channels(stream) if stream.modality == "sensor" else ()
    if not leads:
        return frames
    columns, names = beat_columns(stream, frames.times() + 0.5 / frames.rate)
    units = tuple(stream.units[i] for i in leads for _ in range(len(names) // len(leads)))
    return _beside(frames, columns, names, units)


def _beside(
    frames: Stream, columns: npt.NDArray[np.floating[Any]], names: tuple[str, ...], units: tuple[str, ...]
) -> Stream:
    return replace(
        frames,
        values=np.concatenate([frames.values, columns.astype(frames.values.dtype)], axis=1),
        channels=(*frames.channels, *names),
        units=(*frames.units, *units),
    )

"""Frames from narrow windows, for learning where nobody said where spans begin and end.

A network that is shown true spans learns how its wide windows (six frames) smear a boundary. Expectation-maximisation
is shown nothing: in wide windows the neighbourhood of a short event looks like the event, so its span grows and those
beside it shrink, by half a window each. (On hapt with 3 s windows, transitions of 3.5 s came out 1.4 s too long.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align import clock
from align.coordination.inputs.examples import Example
from align.coordination.inputs.layout import fit_layout, model_inputs
from align.datatypes import Session
from align.features.frames import FrameTable, featurize

__all__ = ["narrow_window", "with_sharp_frames"]

_HOPS = 4.0  # of the network's frames
_LEAST = 0.5  # s: less holds no step and no breath


def narrow_window(hop: float) -> float:
    """Seconds of signal behind a sharp frame: four hops, at least 0.5 s.

    Args:
        hop: seconds from frame to frame, > 0.

    >>> narrow_window(0.25)
    1.0
    """
    return max(_HOPS * hop, _LEAST)


def with_sharp_frames(examples: Sequence[Example], sessions: Sequence[Session]) -> list[Example]:
    """The examples with ``sharp`` columns; as they are where all spans are known.

    Args:
        examples: one per session.
        sessions: with the streams that the examples were made of.

    Raises:
        InputError: as ``fit_layout`` and ``featurize``.
    """
    if all(np.isfinite(e.spans).any() or not len(e.notes) for e in examples):
        return list(examples)
    tables = [_sharp_table(s, e.table) for s, e in zip(sessions, examples, strict=True)]
    layout = fit_layout(tables)
    return [
        dataclasses.replace(e, sharp=model_inputs(t, layout)) for e, t in zip(examples, tables, strict=True)
    ]


def _sharp_table(session: Session, like: FrameTable) -> FrameTable:
    """The session's frames of narrow windows on the grid of its usual ones."""
    blocks, names, channels = [], [], []
    for stream in session.streams:
        if stream.name not in like.names:
            continue
        frames = featurize(stream, hop=like.hop, window=narrow_window(like.hop))
        block: npt.NDArray[np.float32] = np.full((like.n_frames, frames.n_channels), np.nan, np.float32)
        for start, low, high in zip(frames.run_start, frames.run_index, frames.run_ends, strict=True):
            at = clock.nearest_sample(float(start), 0.0, 1.0 / like.hop) - like.first
            first, last = max(0, at), min(like.n_frames, at + int(high - low))
            if last > first:
                block[first:last] = frames.values[low + first - at : low + last - at]
        blocks.append(block)
        names.append(frames.name)
        channels.append(frames.channels)
    return FrameTable(like.first, like.hop, tuple(names), tuple(channels), tuple(blocks))

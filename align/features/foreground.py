"""What stands out of a sound's background, whatever it is and however loud.

A person hears that something begins not only where it gets loud: a recording that fades in, or a pause in which the
hiss is another one, differs from what lies around. The background is what fills the recording: spectra that a third
of it resembles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.features.frames import FrameTable

__all__ = ["foreground", "foreground_of", "mel_bands"]

_SHARE = 1.0 / 3.0  # of the recording that resembles a frame of the background
_MOST = 600  # frames that stand for the recording
_AT_ONCE = 4096
_LEAST_DB = (
    0.5  # how far apart the background's own frames are taken to be at least: digital silence is all alike
)
_CLEAR = 1.5  # times as far from a third of the recording as the background itself: foreground beyond doubt


def foreground(spectra: npt.NDArray[np.floating]) -> Floats:
    """(n_frames,) 0 for the background to 1 for what is clearly something else; NaN where a spectrum is missing.

    A frame's distance is that to the nearest third of up to 600 frames spread evenly over the recording, root mean
    square over the bands; the background's own is the median over the third of frames where it is least. From there
    the value rises in proportion to 1 at one and a half times that distance. Time grows with n x 600.

    Args:
        spectra: (n_frames, n_bands) log energies, dB.

    References:
        Ramaswamy, Rastogi and Shim, SIGMOD 2000, section 3: the distance to the k-th nearest neighbour.
    """
    out = np.full(len(spectra), np.nan)
    known = np.flatnonzero(np.isfinite(spectra).all(axis=1))
    if not known.size:
        return out
    spread = np.linspace(0, known.size - 1, min(_MOST, known.size)).astype(np.int64)
    typical = spectra[known[spread]].astype(np.float64)
    sizes, nearest = (typical**2).sum(axis=1), int(_SHARE * len(typical))
    distance = np.empty(known.size)
    for low in range(0, known.size, _AT_ONCE):
        some = spectra[known[low : low + _AT_ONCE]].astype(np.float64)
        squares = (some**2).sum(axis=1)[:, None] + sizes - 2.0 * some @ typical.T
        squares.partition(nearest, axis=1)
        distance[low : low + _AT_ONCE] = np.sqrt(np.maximum(squares[:, nearest], 0.0) / spectra.shape[1])
    usual = max(_LEAST_DB, float(np.quantile(distance, 0.5 * _SHARE)))
    out[known] = np.clip((distance / usual - 1.0) / (_CLEAR - 1.0), 0.0, 1.0)
    return out


def foreground_of(table: FrameTable) -> Floats:
    """(n_frames,) the foreground of a session's sound, the mean over its audio streams; NaN where none is there.

    Args:
        table: its frames.
    """
    total, count = np.zeros(table.n_frames), np.zeros(table.n_frames)
    for channels, block in zip(table.channels, table.blocks, strict=True):
        bands = mel_bands(channels)
        if bands:
            found = foreground(block[:, bands])
            total, count = total + np.nan_to_num(found), count + np.isfinite(found)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def mel_bands(channels: Sequence[str]) -> list[int]:
    """Which columns of a stream's frames are its mel energies; none of a sensor's.

    Args:
        channels: names of the columns.
    """
    return [k for k, name in enumerate(channels) if name.startswith("mel") and name.endswith(".mean")]

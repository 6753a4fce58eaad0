"""What stands out of a sound's background, whatever it is and however loud: a column beside the mel bands.

A person hears that something begins not only where it gets loud: a recording that fades in, or a pause in which the
hiss is another one, differs from what lies around. The background is what fills the recording: spectra that a third
of it resembles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream

__all__ = ["FOREGROUND", "foreground", "with_foreground"]

FOREGROUND = "foreground"  # the column's name

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
    rows = spectra[known].astype(np.float64)
    typical = rows[np.linspace(0, len(rows) - 1, min(_MOST, len(rows))).astype(np.int64)]
    sizes, nearest = (typical**2).sum(axis=1), int(_SHARE * len(typical))
    distance = np.empty(len(rows))
    for low in range(0, len(rows), _AT_ONCE):
        some = rows[low : low + _AT_ONCE]
        squares = (some**2).sum(axis=1)[:, None] + sizes - 2.0 * some @ typical.T
        squares.partition(nearest, axis=1)
        distance[low : low + _AT_ONCE] = np.sqrt(np.maximum(squares[:, nearest], 0.0) / rows.shape[1])
    usual = max(_LEAST_DB, float(np.quantile(distance, 0.5 * _SHARE)))
    out[known] = np.clip((distance / usual - 1.0) / (_CLEAR - 1.0), 0.0, 1.0)
    return out


def with_foreground(frames: Stream) -> Stream:
    """Frames of sound with the column ``foreground`` behind the others; those of a sensor as they are.

    Args:
        frames: of one stream, from ``featurize``.
    """
    bands = [k for k, name in enumerate(frames.channels) if name.startswith("mel") and name.endswith(".mean")]
    if frames.modality != "audio" or not bands:
        return frames
    column = foreground(frames.values[:, bands]).astype(frames.values.dtype)
    return replace(
        frames,
        values=np.column_stack([frames.values, column]),
        channels=(*frames.channels, FOREGROUND),
        units=(*frames.units, ""),
    )

"""How steeply a sensor's spectrum falls, and which of its bands a filter has left empty.

A device that smooths what it measures, or that measured ten times a second and wrote fifty, has frequency bands in its
file that say nothing. A network takes such a band for one in which nothing moves, which it never saw, and is wrong and
sure. How far a band lies below that of gait, in frames where it lies farthest, hangs on the device more than on what is
done with it: where it lies farther than in any session of training, the band is read as one that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.channels import Device
from align.datatypes import Floats
from align.features.windows import bands_at

__all__ = ["ANY_FALL", "SENSOR_BANDS", "band_falls", "is_lost", "without_lost_bands"]

#: Names of the bands in hertz, the lowest first.
SENSOR_BANDS = bands_at(np.inf)
#: A fall below which nothing lies: of bands of which training says nothing.
ANY_FALL = -1000.0
_BESIDE = SENSOR_BANDS.index("1.2-2Hz")  # what bands are compared with: whoever moves at all moves there
_STEEPEST = 0.1  # quantile over frames
_MARGIN = 1.5  # natural logarithm of power, 6.5 dB: how much farther than in training
_LEAST, _ROWS = 20, 20_000  # frames that say anything; frames looked at


def band_falls(device: Device, block: npt.NDArray[np.floating]) -> Floats:
    """(n_bands,) how far each band above gait's lies below it, in its steepest tenth of frames, mean over the axes.

    Natural logarithms of power; NaN for bands up to gait's, and for those that are there in fewer than 20 frames.

    Args:
        device: whose columns are meant.
        block: (n_frames, n_columns) frames of its stream.
    """
    rows = block[:: 1 + len(block) // _ROWS]
    found = np.full((len(device.slots), len(SENSOR_BANDS)), np.nan)
    for slot, own in zip(device.slots, found, strict=True):
        beside = slot.columns.get(SENSOR_BANDS[_BESIDE])
        for k, band in enumerate(SENSOR_BANDS[_BESIDE + 1 :], start=_BESIDE + 1):
            if slot.measured and beside is not None and band in slot.columns:
                fall = rows[:, slot.columns[band]] - rows[:, beside]
                known = fall[np.isfinite(fall)]
                own[k] = np.quantile(known, _STEEPEST) if known.size >= _LEAST else np.nan
    count = np.isfinite(found).sum(axis=0)
    return np.where(count > 0, np.nansum(found, axis=0) / np.maximum(1, count), np.nan)


def is_lost(falls: Floats, least: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """(n_bands,) the first band that falls by 6.5 dB more than any in training did, and all above it.

    Args:
        falls: (n_bands,) of a device, from ``band_falls``; NaN is no fall.
        least: (n_bands,) the steepest of training.

    >>> is_lost(np.array([np.nan, -4.0, -9.0, -5.0]), np.array([-1000.0, -4.0, -7.0, -8.0]))
    array([False, False,  True,  True])
    """
    return np.logical_or.accumulate(np.nan_to_num(falls, nan=np.inf) < least - _MARGIN)


def without_lost_bands(
    blocks: Sequence[npt.NDArray[np.float32]],
    streams: Sequence[str],
    devices: Sequence[Device],
    least: npt.NDArray[np.float32],
) -> list[npt.NDArray[np.float32]]:
    """Blocks with NaN in the bands that are lost, of all channels of a device.

    Args:
        blocks: (n_frames, width) per stream, as a model reads them; not changed.
        streams: their names.
        devices: of the model.
        least: (n_devices, n_bands) the steepest falls of training.
    """
    out = list(blocks)
    for device, own in zip(devices, least, strict=True):
        k = streams.index(device.stream)
        lost = is_lost(band_falls(device, blocks[k]), own)
        names = [band for band, gone in zip(SENSOR_BANDS, lost, strict=True) if gone]
        columns = [slot.columns[band] for slot in device.slots for band in names if band in slot.columns]
        if columns:
            out[k] = out[k].copy() if out[k] is blocks[k] else out[k]
            out[k][:, columns] = np.nan
    return out

"""Raw signal beside the frames: per frame, the samples of a patch around it as coefficients of cosines in time.

A patch encoder is linear in its samples: ``sum_i k(t_i) x_i`` with a learned kernel k. Here k is a sum of cosines of
*seconds*, so the samples enter through ``c_b = mean_i x_i psi_b(t_i)``, and what is learned is the weight of every
c_b. [value, time, mask] are all in it: any rate and any jitter of the run's clock will do, a missing sample is not
counted, and nothing is resampled or filled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align import clock
from align.datatypes import Floats, Stream
from align.features.frames import FrameTable

__all__ = ["N_COSINES", "RAW", "patch_coefficients", "with_raw_patches"]

RAW = "raw"  # columns are called "acc_x.raw00", ...
N_COSINES = 16
_HOPS = 2.0  # a patch in hops: neighbours overlap by half
_CHUNK = 2048  # frames at a time


def patch_coefficients(stream: Stream, hop: float, first: int, n_frames: int) -> npt.NDArray[np.float32]:
    """(n_frames, n_channels * N_COSINES) of a sensor stream; NaN where a patch holds no sample of a channel.

    ``c_b = mean_i x_i psi_b(u_i)`` over the samples of the run that holds the frame's centre, ``u`` in [0, 1) the
    place in the patch of two hops, ``psi_0 = 1``, ``psi_b = sqrt(2) cos(pi b u)``: up to ``N_COSINES / (4 hop)``
    hertz.

    Args:
        stream: sensor stream at any rate.
        hop: seconds from frame to frame, > 0.
        first: index of the first frame on the session's frame grid.
        n_frames: of the table, >= 0.
    """
    out = np.full((n_frames, stream.n_channels, N_COSINES), np.nan, np.float32)
    width = _HOPS * hop
    for (begin, end), low, high in zip(stream.run_spans, stream.run_index, stream.run_ends, strict=True):
        k0, k1 = clock.frame_cells(begin, end, hop)
        for start in range(max(k0, first), min(k1, first + n_frames), _CHUNK):
            stop = min(start + _CHUNK, k1, first + n_frames)
            left = (
                (np.arange(start, stop) + 0.5) * hop - 0.5 * width - begin
            )  # of the patch, seconds in the run
            out[start - first : stop - first] = _of_run(stream.values[low:high], stream.rate, left, width)
    return out.reshape(n_frames, -1)


def _of_run(values: npt.NDArray[np.floating], rate: float, left: Floats, width: float) -> Floats:
    """(n, n_channels, N_COSINES) of patches that begin at ``left`` seconds of a run."""
    at = np.ceil(left * rate - 1e-9).astype(np.int64)[:, None] + np.arange(int(np.ceil(width * rate)) + 1)
    u = (at / rate - left[:, None]) / width
    inside = (at >= 0) & (at < len(values)) & (u < 1.0)
    x = values[np.clip(at, 0, len(values) - 1)].astype(np.float64)  # (n, samples, channels)
    known = inside[..., None] & np.isfinite(x)
    b = np.arange(N_COSINES)
    psi = np.where(b > 0, np.sqrt(2.0), 1.0) * np.cos(np.pi * b * u[..., None])  # (n, samples, cosines)
    sums = np.einsum("nsc,nsb->ncb", np.where(known, x, 0.0), psi, optimize=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / np.where(known.any(axis=1), known.sum(axis=1), np.nan)[..., None])


def with_raw_patches(table: FrameTable, streams: Sequence[Stream]) -> FrameTable:
    """The table with raw columns behind those of each sensor stream; sound keeps to its log-mel frames.

    Args:
        table: of ``streams``.
        streams: that it was made of, in the same order.
    """
    blocks, channels, units = [], [], []
    for k, stream in enumerate(streams):
        block, names = table.blocks[k], table.channels[k]
        written = table.units[k] if table.units else ("",) * len(names)
        if stream.modality != "audio":
            raw = patch_coefficients(stream, table.hop, table.first, table.n_frames)
            block = np.concatenate([block, raw], axis=1)
            names = (*names, *(f"{c}.{RAW}{b:02d}" for c in stream.channels for b in range(N_COSINES)))
            written = (*written, *(unit for unit in stream.units for _ in range(N_COSINES)))
        blocks.append(block)
        channels.append(names)
        units.append(written)
    return dataclasses.replace(table, channels=tuple(channels), blocks=tuple(blocks), units=tuple(units))

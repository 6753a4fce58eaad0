"""Sensor frames: statistics and spectral energies of a window around each frame.

A window is the half-open sample range [first[i], last[i]). Missing cells (NaN) are left out of the statistics
and count as the window's mean in the spectrum; a channel with no sample in a window gives NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["N_STATISTICS", "band_powers", "window_statistics"]

N_STATISTICS = 6


@njit(cache=True, nogil=True)
def window_statistics(
    values: npt.NDArray[Any], first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(n_frames, n_channels, 6): mean, standard deviation, minimum, maximum, slope, mean absolute step.

    The slope is the least-squares slope per sample of the samples that are there; the step is between
    neighbouring samples. One sample gives 0 for deviation, slope and step.

    Args:
        values: (n, c) float32 or float64, NaN = missing.
        first: (n_frames,) window starts, 0 <= first < last <= n.
        last: (n_frames,) window ends.
    """
    n_frames, n_channels = first.size, values.shape[1]
    out = np.full((n_frames, n_channels, 6), np.nan)
    for i in range(n_frames):
        for c in range(n_channels):
            count = 0
            total = 0.0
            elapsed = 0
            low = 1e300
            high = -1e300
            moved = 0.0
            steps = 0
            previous = np.nan
            for t in range(first[i], last[i]):
                x = np.float64(values[t, c])
                if np.isnan(x):
                    previous = np.nan
                    continue
                count += 1
                total += x
                elapsed += t - first[i]
                low = min(low, x)
                high = max(high, x)
                if not np.isnan(previous):
                    moved += abs(x - previous)
                    steps += 1
                previous = x
            if count == 0:
                continue
            mean = total / count
            # second pass around the means: exact on large offsets
            middle = first[i] + elapsed / count
            variance = 0.0
            across = 0.0
            spread = 0.0
            for t in range(first[i], last[i]):
                x = np.float64(values[t, c])
                if np.isnan(x):
                    continue
                d = x - mean
                variance += d * d
                across += (t - middle) * d
                spread += (t - middle) * (t - middle)
            out[i, c, 0] = mean
            out[i, c, 1] = np.sqrt(variance / count)
            out[i, c, 2] = low
            out[i, c, 3] = high
            out[i, c, 4] = across / spread if spread > 0 else 0.0
            out[i, c, 5] = moved / steps if steps > 0 else 0.0
    return out


@njit(cache=True, nogil=True)
def band_powers(
    values: npt.NDArray[Any],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    cosines: npt.NDArray[np.float64],
    sines: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """(n_frames, n_channels, n_frequencies) power of the windowed Fourier sum at given frequencies.

    ``power_f = |sum_j h_j (x_j - mean) exp(-i w_f j)|^2 / sum_j h_j^2``; the taper h is in the tables.

    Args:
        values: (n, c) float32 or float64, NaN = missing.
        first: (n_frames,) window starts; the window may be shorter than the tables at the edges of a run.
        last: (n_frames,) window ends, last - first <= table length.
        cosines: (length, n_frequencies) h_j cos(w_f j) / sqrt(sum h^2).
        sines: the same with sin.
    """
    n_frames, n_channels, n_frequencies = first.size, values.shape[1], cosines.shape[1]
    length = cosines.shape[0]
    out = np.full((n_frames, n_channels, n_frequencies), np.nan)
    real = np.empty(n_frequencies)
    imaginary = np.empty(n_frequencies)
    for i in range(n_frames):
        # a window cut by the edge of its run sits in the middle of the taper
        shift = (length - (last[i] - first[i])) // 2
        for c in range(n_channels):
            count = 0
            total = 0.0
            for t in range(first[i], last[i]):
                x = np.float64(values[t, c])
                if not np.isnan(x):
                    count += 1
                    total += x
            if count == 0:
                continue
            mean = total / count
            real[:] = 0.0
            imaginary[:] = 0.0
            for t in range(first[i], last[i]):
                x = np.float64(values[t, c])
                if np.isnan(x):
                    continue
                d = x - mean
                j = t - first[i] + shift
                for f in range(n_frequencies):
                    real[f] += d * cosines[j, f]
                    imaginary[f] += d * sines[j, f]
            for f in range(n_frequencies):
                out[i, c, f] = real[f] * real[f] + imaginary[f] * imaginary[f]
    return out

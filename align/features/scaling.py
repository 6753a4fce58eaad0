"""Robust scaling: centre on the median, divide by the interquartile range, so that spikes do not count."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["robust_location_scale", "robust_scaled"]

_IQR_OF_NORMAL = 1.3489795
_AT_ONCE = 12  # columns
_ROUNDING = 1e-9  # spread against the level below which a channel is flat but for rounding


def robust_location_scale(
    values: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(n_channels,) median and scale of each column; NaN ignored.

    The scale is the interquartile range over that of a standard normal; where it is 0 (more than half of the
    values equal) the standard deviation; where that is 0 too (a flat channel) 1. An all-NaN column: 0 and 1.

    Args:
        values: (n, n_channels), n >= 1.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values).any(axis=0)
    safe = np.where(np.isfinite(values), values, np.nan)
    safe[:, ~known] = 0.0
    low, middle, high = np.nanquantile(safe, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / _IQR_OF_NORMAL
    scale = np.where(scale > 0, scale, np.nanstd(safe, axis=0))
    least = np.maximum(_ROUNDING * np.abs(middle), np.finfo(np.float32).tiny)
    return middle, np.where(scale > least, scale, 1.0)


def robust_scaled(
    values: npt.NDArray[np.floating], limit: float = 8.0, least: npt.ArrayLike = 0.0
) -> npt.NDArray[np.float32]:
    """Columns centred and scaled robustly, clipped to +-``limit``; NaN stays NaN.

    Args:
        values: (n, c).
        limit: in robust standard deviations, > 0.
        least: scale below which a column is not blown up further; one number or one per column, >= 0.
    """
    width = values.shape[1]
    floor = np.broadcast_to(np.asarray(least, np.float64), (width,))
    out = np.empty(values.shape, np.float32)
    # some columns at a time, as all of a day in float64 fill a gigabyte; none alone, or numpy adds it up otherwise
    edges = np.linspace(0, width, max(1, width // _AT_ONCE) + 1).astype(int).tolist()
    for a, b in pairwise(edges):
        shift, scale = robust_location_scale(values[:, a:b])
        scale = np.maximum(scale, floor[a:b])
        out[:, a:b] = np.clip((values[:, a:b] - shift) / scale, -limit, limit)
    return out

"""Relatives of dynamic time warping: of slopes instead of values, and with a price on shifts in time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.dtw import as_pair, dtw_distance, dtw_path, limits_of
from align.warping.linear import Problem, cheapest_path, cheapest_total

__all__ = ["ddtw_distance", "ddtw_path", "slopes", "wdtw_distance", "wdtw_path"]

Path = npt.NDArray[np.int64]


def slopes(values: npt.ArrayLike) -> Floats:
    """Keogh & Pazzani's derivative estimate of each row but the first and the last.

    ``((x[i] - x[i-1]) + (x[i+1] - x[i-1]) / 2) / 2``.

    Args:
        values: (n,) or (n, n_channels) finite numbers, n >= 3.

    Returns:
        float64 (n - 2, n_channels).

    Raises:
        TypeError, ParameterError: as ``dtw_distance``, or fewer than 3 rows.

    Reference: Keogh & Pazzani 2001, section 3, equation for D_x[q]; like aeon, the two ends are dropped.

    >>> slopes([0.0, 1.0, 2.0, 5.0]).tolist()
    [[1.0], [1.5]]
    """
    x, _ = as_pair(values, values)
    if len(x) < 3:
        raise ParameterError("values", f"{len(x)} rows", "at least 3, as a slope looks at both neighbours")
    return ((x[1:-1] - x[:-2]) + (x[2:] - x[:-2]) / 2) / 2


def ddtw_distance(a: npt.ArrayLike, b: npt.ArrayLike, *, band: Band | None = None) -> float:
    """The derivative DTW distance: ``dtw_distance`` of ``slopes(a)`` and ``slopes(b)``.

    Args:
        a, b: as for ``dtw_distance``, at least 3 rows each.
        band: on the slopes' indices.

    Raises:
        TypeError, ParameterError: as ``dtw_distance`` and ``slopes``.

    Reference: Keogh & Pazzani 2001. Convention: the root of the sum of squares (aeon returns the sum).

    >>> ddtw_distance([0.0, 1.0, 2.0, 3.0], [5.0, 6.0, 7.0, 8.0])
    0.0
    """
    return dtw_distance(slopes(a), slopes(b), band=band)


def ddtw_path(a: npt.ArrayLike, b: npt.ArrayLike, *, band: Band | None = None) -> tuple[Path, float]:
    """The warping path of the slopes, and their distance.

    Args:
        a, b, band: as for ``ddtw_distance``.

    Returns:
        ``(path, distance)``: rows of ``a`` and ``b`` from (1, 1) to (n - 2, m - 2): the ends have no slope.

    Raises:
        TypeError, ParameterError: as ``ddtw_distance``.
    """
    path, distance = dtw_path(slopes(a), slopes(b), band=band)
    return path + 1, distance


def wdtw_distance(a: npt.ArrayLike, b: npt.ArrayLike, *, g: float = 0.05, band: Band | None = None) -> float:
    """The weighted DTW distance: matching rows far apart in time costs more.

    Each squared Euclidean distance of rows i and j is multiplied by
    ``1 / (1 + exp(-g (|i - j| - max(n, m) / 2)))``; the root of the smallest sum along a warping path.

    Args:
        a, b, band: as for ``dtw_distance``.
        g: steepness per sample, finite, >= 0; 0 weighs all cells 1/2.

    Raises:
        TypeError, ParameterError: as ``dtw_distance``, or g out of range.

    Reference: Jeong, Jeong & Omitaomu 2011, equation 5, with largest weight 1. Convention: the root of the sum
    (aeon returns the sum itself).

    >>> wdtw_distance([0.0, 0.0], [2.0, 2.0], g=0.0)
    2.0
    """
    first, second = as_pair(a, b)
    if len(second) > len(first):
        first, second = second, first
    return math.sqrt(cheapest_total(_weighted(first, second, g, band)))


def wdtw_path(
    a: npt.ArrayLike, b: npt.ArrayLike, *, g: float = 0.05, band: Band | None = None
) -> tuple[Path, float]:
    """The path of weighted DTW and its distance; ties as in ``dtw_path``.

    Args:
        a, b, g, band: as for ``wdtw_distance``.

    Returns:
        ``(path, distance)``: path int64 (length, 2).

    Raises:
        TypeError, ParameterError: as ``wdtw_distance``.
    """
    path, total = cheapest_path(_weighted(*as_pair(a, b), g, band))
    return path, math.sqrt(total)


def _weighted(a: Floats, b: Floats, g: float, band: Band | None) -> Problem:
    if not (math.isfinite(g) and g >= 0):
        raise ParameterError("g", g, "a finite number >= 0")
    n, m = len(a), len(b)
    apart = np.abs(np.arange(n + m - 1) - (m - 1.0)) - max(n, m) / 2
    weights = 1.0 / (1.0 + np.exp(np.minimum(-g * apart, 700.0)))
    return Problem(a, b, limits_of(n, m, band), weights)

"""Dynamic time warping of two series: validated arrays in, distance, path and table of totals out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError, ResourceError
from align.kernels.dtw import accumulate, local_costs
from align.warping.bands import Band, column_ranges
from align.warping.linear import Problem, cheapest_path, cheapest_total

__all__ = ["as_pair", "check_cells", "dtw_cost_matrix", "dtw_distance", "dtw_path", "limits_of"]

_LARGEST = {"float64": 1e145, "float32": 1e14}  # the sum of 1e17 (1e9) squared differences still fits
_MOST_CELLS = 1 << 30


def dtw_distance(
    a: npt.ArrayLike, b: npt.ArrayLike, *, band: Band | None = None, dtype: npt.DTypeLike = np.float64
) -> float:
    """The dynamic-time-warping distance of two series.

    The root of the smallest sum of squared Euclidean distances along a warping path from (0, 0) to
    (n - 1, m - 1) with steps (1, 1), (1, 0), (0, 1): tslearn's convention (aeon returns the sum itself, librosa
    the smallest sum of Euclidean distances). Exactly symmetric; 0 for equal series. No normalisation.

    Args:
        a: (n,) or (n, n_channels) finite numbers, n >= 1.
        b: (m,) or (m, n_channels), m >= 1.
        band: which cells the path may visit (``Band``); None: all.
        dtype: float64, or float32: up to twice as fast, relative error about 1e-5 at 20,000 rows.

    Returns:
        The distance, >= 0, in the unit of the series.

    Raises:
        TypeError: boolean, complex, text or objects.
        ParameterError: NaN or infinite values, no rows, different channels, magnitudes above 1e145 (float32:
            1e14), another dtype; E-BAND: no path fits the band.

    Reference: Sakoe & Chiba 1978, section III; Müller 2007, section 4.1. Time O(cells n_channels), where cells
    is n m or the band's area; memory O((n + m) n_channels).

    >>> dtw_distance([0.0, 1.0, 2.0], [0.0, 1.0, 4.0])
    2.0
    """
    first, second = as_pair(a, b, dtype)
    if len(second) > len(first):
        first, second = second, first
    return math.sqrt(cheapest_total(_problem(first, second, band)))


def dtw_path(
    a: npt.ArrayLike, b: npt.ArrayLike, *, band: Band | None = None, dtype: npt.DTypeLike = np.float64
) -> tuple[npt.NDArray[np.int64], float]:
    """The warping path of two series and their distance.

    Definitions and arguments as for ``dtw_distance``. Of equally cheap paths: backwards from the end, a
    diagonal step is preferred, then a step in ``a`` alone, then one in ``b`` alone. Memory grows with n + m.

    Args:
        a, b, band, dtype: as for ``dtw_distance``.

    Returns:
        ``(path, distance)``: path int64 (length, 2), ascending from (0, 0) to (n - 1, m - 1).

    Raises:
        TypeError, ParameterError: as ``dtw_distance``.

    >>> path, distance = dtw_path([1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 3.0])
    >>> path.tolist(), distance
    ([[0, 0], [1, 1], [1, 2], [2, 3]], 0.0)
    """
    path, total = cheapest_path(_problem(*as_pair(a, b, dtype), band))
    return path, math.sqrt(total)


def dtw_cost_matrix(a: npt.ArrayLike, b: npt.ArrayLike, *, band: Band | None = None) -> Floats:
    """The table of accumulated costs: the smallest sum of squares of a path from (0, 0) to each cell.

    Args:
        a, b, band: as for ``dtw_distance``.

    Returns:
        float64 (n, m), infinite outside the band; the root of its last cell is the distance.

    Raises:
        TypeError, ParameterError: as ``dtw_distance``.
        ResourceError: E-MEMORY, more than 2^30 cells.

    >>> dtw_cost_matrix([0.0, 1.0], [0.0, 2.0]).tolist()
    [[0.0, 4.0], [1.0, 1.0]]
    """
    first, second = as_pair(a, b)
    check_cells(len(first), len(second))
    cost = local_costs(first, second)
    limits = limits_of(len(first), len(second), band)
    if limits.shape[1]:
        columns = np.arange(len(second))
        cost[(columns < limits[0][:, None]) | (columns >= limits[1][:, None])] = np.inf
    return np.asarray(accumulate(cost))


def limits_of(n: int, m: int, band: Band | None) -> npt.NDArray[np.int64]:
    """The band's column ranges as kernels take them: int64 (2, n); (2, 0) without a band.

    Args:
        n, m: lengths of the series.
        band: None, or which cells a path may visit.
    """
    if band is None:
        return np.empty((2, 0), np.int64)
    if m > n:  # the definition is symmetric: transpose the longer series' ranges exactly
        low, high = column_ranges(m, n, band)
        rows = np.arange(n)
        return np.array([np.searchsorted(high, rows, side="right"), np.searchsorted(low, rows, side="right")])
    return np.array(column_ranges(n, m, band))


def check_cells(n_rows: int, n_columns: int) -> None:
    """Refuse a table that would need more memory than the budget of 2^30 cells.

    Args:
        n_rows, n_columns: the table's shape.

    Raises:
        ResourceError: E-MEMORY.
    """
    if n_rows * n_columns > _MOST_CELLS:
        raise ResourceError(
            "E-MEMORY",
            f"a table of {n_rows} x {n_columns} cells needs {n_rows * n_columns / 2**30:.1f} GiB at one byte each;"
            " allowed: 1 GiB",
            hint="shorten or average the series, or ask for the distance or the path of the series",
        )


def _problem(a: Floats, b: Floats, band: Band | None) -> Problem:
    return Problem(a, b, limits_of(len(a), len(b), band), np.empty(0, a.dtype))


def as_pair(a: npt.ArrayLike, b: npt.ArrayLike, dtype: npt.DTypeLike = np.float64) -> tuple[Floats, Floats]:
    """Two series as fresh (n, d) arrays of one float type.

    Args:
        a, b: as for ``dtw_distance``.
        dtype: float64 or float32.

    Raises:
        TypeError, ParameterError: as ``dtw_distance``.
    """
    kind = np.dtype(dtype)
    if kind.name not in _LARGEST:
        raise ParameterError("dtype", kind.name, "float64 or float32")
    first, second = _as_series(a, "a", kind), _as_series(b, "b", kind)
    if first.shape[1] != second.shape[1]:
        raise ParameterError("b", f"{second.shape[1]} channels", f"{first.shape[1]}, as many as a has")
    return first, second


def _as_series(values: npt.ArrayLike, name: str, kind: np.dtype[Any]) -> Floats:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}; allowed: integers or real floats")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise ParameterError(name, f"shape {array.shape}", "(n >= 1,) or (n >= 1, n_channels >= 1)")
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ParameterError(name, "NaN or infinite values", "finite numbers", hint="cut the gaps out first")
    largest = _LARGEST[kind.name]
    if max(-low, high) > largest:
        raise ParameterError(name, "values whose squares could overflow", f"magnitudes up to {largest:g}")
    # A fresh writable copy: numba compiles one signature only.
    return np.array(array, dtype=kind, order="C")

"""Dynamic time warping of two series: validated arrays in, distance and path out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError, ResourceError
from align.kernels.dtw import dtw_total, series_path

__all__ = ["check_cells", "dtw_distance", "dtw_path"]

_LARGEST = 1e145  # the sum of 1e17 squared differences still fits float64
_MOST_CELLS = 1 << 30  # one byte each: the path of two series of 32,768 rows takes 1 GiB


def dtw_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """The dynamic-time-warping distance of two series.

    The root of the smallest sum of squared Euclidean distances along a warping path from (0, 0) to
    (n - 1, m - 1) with steps (1, 1), (1, 0), (0, 1): tslearn's convention. Exactly symmetric; 0 for equal
    series. No band, no normalisation.

    Args:
        a: (n,) or (n, n_channels) finite numbers, n >= 1.
        b: (m,) or (m, n_channels), m >= 1.

    Returns:
        The distance, >= 0, in the unit of the series.

    Raises:
        TypeError: boolean, complex, text or objects.
        ParameterError: NaN or infinite values, no rows, different channels, or magnitudes above 1e145.

    Reference: Sakoe & Chiba 1978, section III; Müller 2007, section 4.1. Time O(n m n_channels), memory
    O((n + m) n_channels).

    >>> dtw_distance([0.0, 1.0, 2.0], [0.0, 1.0, 4.0])
    2.0
    """
    first, second = _as_pair(a, b)
    if len(second) > len(first):
        first, second = second, first
    return math.sqrt(dtw_total(first, second))


def dtw_path(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], float]:
    """The warping path of two series and their distance.

    Definitions and arguments as for ``dtw_distance``. Of equally cheap paths: backwards from the end, a
    diagonal step is preferred, then a step in ``a`` alone, then one in ``b`` alone.

    Returns:
        ``(path, distance)``: path int64 (length, 2), ascending from (0, 0) to (n - 1, m - 1).

    Raises:
        TypeError, ParameterError: as ``dtw_distance``.
        ResourceError: E-MEMORY, more than 2^30 cells (n times m): ``dtw_distance`` still works.

    >>> path, distance = dtw_path([1.0, 2.0, 3.0], [1.0, 2.0, 2.0, 3.0])
    >>> path.tolist(), distance
    ([[0, 0], [1, 1], [1, 2], [2, 3]], 0.0)
    """
    first, second = _as_pair(a, b)
    check_cells(len(first), len(second))
    total, path = series_path(first, second)
    return path, math.sqrt(total)


def check_cells(n_rows: int, n_columns: int) -> None:
    """Refuse a path that would need more memory than the budget of one byte for each of 2^30 cells.

    Raises:
        ResourceError: E-MEMORY.
    """
    if n_rows * n_columns > _MOST_CELLS:
        raise ResourceError(
            "E-MEMORY",
            f"a warping path of {n_rows} x {n_columns} cells needs {n_rows * n_columns / 2**30:.1f} GiB;"
            " allowed: 1 GiB",
            hint="shorten or average the series, or ask for the distance alone",
        )


def _as_pair(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = _as_series(a, "a"), _as_series(b, "b")
    if first.shape[1] != second.shape[1]:
        raise ParameterError("b", f"{second.shape[1]} channels", f"{first.shape[1]}, as many as a has")
    return first, second


def _as_series(values: npt.ArrayLike, name: str) -> Floats:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}; allowed: integers or real floats")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise ParameterError(name, f"shape {array.shape}", "(n >= 1,) or (n >= 1, n_channels >= 1)")
    if not np.isfinite(array).all():
        raise ParameterError(name, "NaN or infinite values", "finite numbers", hint="cut the gaps out first")
    # A fresh writable copy: numba compiles one signature only.
    series = np.array(array, dtype=np.float64, order="C")
    if np.abs(series).max() > _LARGEST:
        raise ParameterError(name, "values whose squares could overflow", f"magnitudes up to {_LARGEST:g}")
    return series

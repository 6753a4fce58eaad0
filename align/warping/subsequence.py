"""Warping with open ends: a query onto the best stretch of a longer series, wherever it begins and ends."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.warping.collection import as_series, same_channels
from align.warping.dtw import check_cells, dtw_path

__all__ = ["subsequence_dtw_cost_matrix", "subsequence_dtw_distance", "subsequence_dtw_path"]


def subsequence_dtw_distance(query: npt.ArrayLike, series: npt.ArrayLike) -> float:
    """The warping distance of ``query`` to the stretch of ``series`` that it fits best.

    The least ``dtw_distance(query, series[i:j])`` over all i < j. Not symmetric.

    Args:
        query: (m,) or (m, n_channels) finite numbers.
        series: (n,) or (n, n_channels).

    Returns:
        The distance, >= 0, in the unit of the series.

    Raises:
        ParameterError: NaN, infinite or too large values, no rows, different channels.

    Reference: Müller 2007, section 4.4; the distance of tslearn's ``dtw_subsequence_path``. Time
    O(n m n_channels), memory O((n + m) n_channels).

    >>> subsequence_dtw_distance([1.0, 2.0], [7.0, 1.0, 1.0, 2.0, 7.0])
    0.0
    """
    from align.kernels.dtw_open_ends import open_ends

    totals, _ = open_ends(*_pair(query, series))
    return math.sqrt(totals.min())


def subsequence_dtw_cost_matrix(query: npt.ArrayLike, series: npt.ArrayLike) -> Floats:
    """All totals of warping with open ends: entry (i, j) is that of query[: i + 1] and a stretch that ends at j.

    Args:
        query: (m,) or (m, n_channels) finite numbers.
        series: (n,) or (n, n_channels).

    Returns:
        (m, n) float64 sums of squares; the root of the least of the last row is the distance.

    Raises:
        ParameterError: NaN, infinite or too large values, no rows, different channels.
        ResourceError: E-MEMORY, more than 2^30 cells (m times n).

    Reference: Müller 2007, equation 4.6; librosa's ``dtw(..., metric="sqeuclidean", subseq=True)``.

    >>> subsequence_dtw_cost_matrix([1.0, 2.0], [7.0, 1.0, 2.0]).tolist()
    [[36.0, 0.0, 1.0], [61.0, 1.0, 0.0]]
    """
    from align.kernels.dtw_open_ends import open_totals

    first, second = _pair(query, series)
    check_cells(len(first), len(second))
    return np.asarray(open_totals(first, second))


def subsequence_dtw_path(query: npt.ArrayLike, series: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], float]:
    """The warping path of ``query`` onto the best stretch of ``series``, and its distance.

    Of equally good stretches the one that ends first. The stretch is found in linear memory, the path then by
    ``dtw_path`` on that stretch alone.

    Args:
        query: (m,) or (m, n_channels) finite numbers.
        series: (n,) or (n, n_channels).

    Returns:
        ``(path, distance)``: path int64 (length, 2), pairs of query row and series row, ascending.

    Raises:
        ParameterError: NaN, infinite or too large values, no rows, different channels.
        ResourceError: as ``dtw_path``.

    Reference: Müller 2007, section 4.4; tslearn's ``dtw_subsequence_path``.

    >>> path, distance = subsequence_dtw_path([1.0, 2.0], [7.0, 1.0, 2.0, 7.0])
    >>> path.tolist(), distance
    ([[0, 1], [1, 2]], 0.0)
    """
    from align.kernels.dtw_open_ends import open_ends

    first, second = _pair(query, series)
    totals, begins = open_ends(first, second)
    end = int(totals.argmin())
    begin = int(begins[end])
    path, _ = dtw_path(first, second[begin : end + 1])
    return path + np.array([0, begin]), math.sqrt(totals[end])


def _pair(query: npt.ArrayLike, series: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = as_series(query, "query"), as_series(series, "series")
    same_channels("series", second.shape[1], "query", first.shape[1])
    return first, second

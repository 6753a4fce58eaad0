"""Lower bounds of the warping distance: cheap numbers that no warping path can stay below."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.warping.bands import Band
from align.warping.collection import Ranges, as_series, band_rows, same_channels

__all__ = ["columns_of_rows", "lb_improved", "lb_keogh", "warping_envelope"]


def warping_envelope(series: npt.ArrayLike, *, band: Band | None = None) -> tuple[Floats, Floats]:
    """The least and the greatest value of ``series`` that the band lays on each row of an equally long one.

    Args:
        series: (n,) or (n, n_channels) finite numbers.
        band: which paths are allowed; None allows all.

    Returns:
        ``(lower, upper)``, each (n, n_channels).

    Raises:
        ParameterError: NaN, infinite or too large values, no rows.

    Reference: Lemire 2009, section 4, for any band whose ends never turn back. Time O(n n_channels).

    >>> lower, upper = warping_envelope([0.0, 1.0, 5.0], band=Band("sakoe-chiba", 1))
    >>> lower.ravel().tolist(), upper.ravel().tolist()
    ([0.0, 0.0, 1.0], [1.0, 5.0, 5.0])
    """
    from align.kernels.dtw_search import envelope

    rows = as_series(series, "series")
    lower, upper = envelope(rows, band_rows(len(rows), len(rows), band))
    return lower, upper


def lb_keogh(a: npt.ArrayLike, b: npt.ArrayLike, *, band: Band | None = None) -> float:
    """How far ``a`` lies outside the envelope of ``b``: at most ``dtw_distance(a, b, band=band)``.

    The root of the sum over rows and channels of the squared way into the envelope. Not symmetric. Equal to
    tslearn's ``lb_keogh(a, b, radius)`` for one channel and equal lengths.

    Args:
        a: (n,) or (n, n_channels) finite numbers.
        b: (m,) or (m, n_channels); its envelope is taken.
        band: which paths are allowed; None allows all.

    Returns:
        The bound, >= 0, in the unit of the series.

    Raises:
        ParameterError: NaN, infinite or too large values, no rows, different channels, or no path (E-BAND).

    Reference: Keogh & Ratanamahatana 2005, section 4. Time O((n + m) n_channels).

    >>> lb_keogh([0.0, 3.0, 0.0], [0.0, 1.0, 0.0], band=Band("sakoe-chiba", 1))
    2.0
    """
    first, second = _pair(a, b)
    lower, upper = _envelope(second, band_rows(len(first), len(second), band))
    return float(np.sqrt(_squares(first, lower, upper)))


def lb_improved(a: npt.ArrayLike, b: npt.ArrayLike, *, band: Band | None = None) -> float:
    """The bound of Keogh, and what it leaves: at least ``lb_keogh``, at most ``dtw_distance``.

    With h the point of the envelope of ``b`` nearest to ``a``, row by row, it is the root of the squared
    ``lb_keogh(a, b)`` plus the squared distance of ``b`` from the envelope of h.

    Args:
        a: (n,) or (n, n_channels) finite numbers.
        b: (m,) or (m, n_channels).
        band: which paths are allowed; None allows all.

    Returns:
        The bound, >= 0, in the unit of the series.

    Raises:
        ParameterError: NaN, infinite or too large values, no rows, different channels, or no path (E-BAND).

    Reference: Lemire 2009, section 5, corollary 4. Time O((n + m) n_channels).

    >>> lb_improved([0.0, 3.0, 0.0], [0.0, 1.0, -4.0], band=Band("sakoe-chiba", 1)) >= 2.0
    True
    """
    first, second = _pair(a, b)
    ranges = band_rows(len(first), len(second), band)
    lower, upper = _envelope(second, ranges)
    nearest = np.clip(first, lower, upper)
    squares = _squares(first, lower, upper)
    lower, upper = _envelope(nearest, columns_of_rows(ranges, len(second)))
    return float(np.sqrt(squares + _squares(second, lower, upper)))


def columns_of_rows(ranges: Ranges, m: int) -> Ranges:
    """The band seen from the other series: the half-open rows that each of ``m`` columns may visit."""
    columns = np.arange(m)
    rows = [np.searchsorted(ranges[1], columns, "right"), np.searchsorted(ranges[0], columns, "right")]
    return np.stack(rows).astype(np.int64)


def _pair(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = as_series(a, "a"), as_series(b, "b")
    same_channels("b", second.shape[1], "a", first.shape[1])
    return first, second


def _envelope(series: Floats, ranges: Ranges) -> Floats:
    from align.kernels.dtw_search import envelope

    return envelope(series, ranges)


def _squares(series: Floats, lower: Floats, upper: Floats) -> float:
    ways = np.maximum(np.maximum(series - upper, lower - series), 0.0)
    return float((ways * ways).sum())

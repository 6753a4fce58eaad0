"""Distances that count: the longest common subsequence (LCSS) and edit distance on real sequences (EDR).

Both call two rows *alike* when their Euclidean distance is at most ``epsilon``, and leave rows out rather than warp:
a burst of noise costs no more than its length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.collection import as_collection, same_channels
from align.warping.dtw import as_pair, check_cells, limits_of

__all__ = [
    "edr_cost_matrix",
    "edr_distance",
    "edr_pairwise",
    "edr_path",
    "lcss_cost_matrix",
    "lcss_distance",
    "lcss_pairwise",
    "lcss_path",
]

Path = npt.NDArray[np.int64]
Series = npt.ArrayLike | Sequence[npt.ArrayLike]

_EDR, _LCSS = 1, 2  # what the kernel asks for a pair of rows that are not alike


def lcss_distance(a: npt.ArrayLike, b: npt.ArrayLike, *, epsilon: float, band: Band | None = None) -> float:
    """One less the share of the shorter series that the two have in common, in order.

    ``1 - k / min(n, m)`` with k the largest number of pairs of alike rows (i, j) that ascend in both.

    Args:
        a, b: as for ``dtw_distance``.
        epsilon: largest Euclidean distance of rows that are alike, >= 0, in the unit of the series.
        band: which pairs are allowed; None: all.

    Returns:
        0 (the shorter one occurs in the longer) to 1 (nothing in common).

    Raises:
        TypeError, ParameterError: as ``dtw_distance``, or epsilon out of range.

    Reference: Vlachos, Kollios & Gunopulos 2002, definitions 1 and 2; like tslearn and aeon, rows of several
    channels are compared by their Euclidean distance (the paper: channel by channel). Time O(n m n_channels).

    >>> lcss_distance([0.0, 1.0, 9.0, 2.0], [0.1, 1.1, 2.1], epsilon=0.2)
    0.0
    """
    from align.kernels.edits import edit_total

    first, second = as_pair(a, b)
    total = edit_total(*_problem(first, second, epsilon, band), _LCSS)
    return _lcss(total, len(first), len(second))


def lcss_path(
    a: npt.ArrayLike, b: npt.ArrayLike, *, epsilon: float, band: Band | None = None
) -> tuple[Path, float]:
    """The rows that two series have in common, and their distance.

    Args:
        a, b, epsilon, band: as for ``lcss_distance``.

    Returns:
        ``(path, distance)``: path int64 (k, 2), alike rows of ``a`` and ``b``, strictly ascending in both; it
        may skip rows and be empty.

    Raises:
        TypeError, ParameterError: as ``lcss_distance``. ResourceError: E-MEMORY, more than 2^30 cells.

    >>> lcss_path([0.0, 1.0, 9.0, 2.0], [0.1, 1.1, 2.1], epsilon=0.2)[0].tolist()
    [[0, 0], [1, 1], [3, 2]]
    """
    from align.kernels.edits import edit_pairs

    first, second = as_pair(a, b)
    check_cells(len(first), len(second))
    total, path = edit_pairs(*_problem(first, second, epsilon, band), _LCSS)
    return path, _lcss(total, len(first), len(second))


def lcss_cost_matrix(a: npt.ArrayLike, b: npt.ArrayLike, *, epsilon: float, band: Band | None = None) -> Path:
    """Lengths of the longest common subsequences of all beginnings.

    Args:
        a, b, epsilon, band: as for ``lcss_distance``.

    Returns:
        int64 (n, m): cell (i, j) is that of the first i + 1 rows of ``a`` and the first j + 1 of ``b``.

    Raises:
        TypeError, ParameterError, ResourceError: as ``lcss_path``.
    """
    from align.kernels.edits import edit_table

    first, second = as_pair(a, b)
    check_cells(len(first), len(second))
    left_out = np.asarray(edit_table(*_problem(first, second, epsilon, band), _LCSS))
    together = np.arange(1, len(first) + 1)[:, None] + np.arange(1, len(second) + 1)
    return (together - left_out) // 2


def lcss_pairwise(a: Series, b: Series | None = None, *, epsilon: float, band: Band | None = None) -> Floats:
    """The matrix of ``lcss_distance`` between two collections of series, or within one.

    Args:
        a, b: as for ``dtw_pairwise``.
        epsilon, band: as for ``lcss_distance``.

    Returns:
        (n_a, n_b) f8.

    Raises:
        ParameterError: as ``dtw_pairwise``, or epsilon out of range.
    """
    return _pairwise(a, b, epsilon, band, lambda total, n, m: _lcss(total, n, m), _LCSS)


def edr_distance(a: npt.ArrayLike, b: npt.ArrayLike, *, epsilon: float, band: Band | None = None) -> float:
    """Edit distance on real sequences: how many rows must be left out or replaced to make the series alike.

    Args:
        a, b, epsilon: as for ``lcss_distance``.
        band: which pairs may be kept or replaced; None: all.

    Returns:
        a whole number from ``|n - m|`` (without a band) to ``n + m``.

    Raises:
        TypeError, ParameterError: as ``lcss_distance``.

    Reference: Chen, Özsu & Oria 2005, definition 2; Euclidean distance of rows, as above. aeon starts its table
    with zeros, so that leaving out the beginning is free there, and divides by max(n, m).

    >>> edr_distance([0.0, 1.0, 9.0, 2.0], [0.1, 5.0, 2.1], epsilon=0.2)
    2.0
    """
    from align.kernels.edits import edit_total

    return float(edit_total(*_problem(*as_pair(a, b), epsilon, band), _EDR))


def edr_path(
    a: npt.ArrayLike, b: npt.ArrayLike, *, epsilon: float, band: Band | None = None
) -> tuple[Path, float]:
    """The rows that are kept or replaced, and the edit distance.

    Args:
        a, b, epsilon, band: as for ``edr_distance``.

    Returns:
        ``(path, distance)``: path int64 (k, 2), strictly ascending in both; rows that are in no pair are left
        out.

    Raises:
        TypeError, ParameterError, ResourceError: as ``lcss_path``.
    """
    from align.kernels.edits import edit_pairs

    first, second = as_pair(a, b)
    check_cells(len(first), len(second))
    total, path = edit_pairs(*_problem(first, second, epsilon, band), _EDR)
    return path, float(total)


def edr_cost_matrix(a: npt.ArrayLike, b: npt.ArrayLike, *, epsilon: float, band: Band | None = None) -> Path:
    """Edit distances of all beginnings: int64 (n, m), the last cell that of the whole series.

    Args:
        a, b, epsilon, band: as for ``edr_distance``.

    Raises:
        TypeError, ParameterError, ResourceError: as ``lcss_path``.
    """
    from align.kernels.edits import edit_table

    first, second = as_pair(a, b)
    check_cells(len(first), len(second))
    return np.asarray(edit_table(*_problem(first, second, epsilon, band), _EDR))


def edr_pairwise(a: Series, b: Series | None = None, *, epsilon: float, band: Band | None = None) -> Floats:
    """The matrix of ``edr_distance`` between two collections of series, or within one.

    Args:
        a, b: as for ``dtw_pairwise``.
        epsilon, band: as for ``edr_distance``.

    Returns:
        (n_a, n_b) f8.

    Raises:
        ParameterError: as ``dtw_pairwise``, or epsilon out of range.
    """
    return _pairwise(a, b, epsilon, band, lambda total, n, m: float(total), _EDR)


def _problem(
    a: Floats, b: Floats, epsilon: float, band: Band | None
) -> tuple[Floats, Floats, float, npt.NDArray[np.int64]]:
    return a, b, _reach(epsilon), limits_of(len(a), len(b), band)


def _reach(epsilon: float) -> float:
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise ParameterError("epsilon", epsilon, "a finite number >= 0")
    return float(epsilon) ** 2


def _lcss(total: int, n: int, m: int) -> float:
    """From the price of leaving out all that is not common: two a row."""
    return 1.0 - (n + m - total) // 2 / min(n, m)


def _pairwise(
    a: Series,
    b: Series | None,
    epsilon: float,
    band: Band | None,
    told: Callable[[int, int, int], float],
    replace: int,
) -> Floats:
    from align.kernels.edits import edit_total

    first = as_collection(a, "a", np.float64)
    second = first if b is None else as_collection(b, "b", np.float64)
    same_channels("b", second.rows.shape[1], "a", first.rows.shape[1])
    reach = _reach(epsilon)
    out = np.zeros((len(first), len(second)))
    limits: dict[tuple[int, int], npt.NDArray[np.int64]] = {}
    for i in range(len(first)):
        x = first.rows[first.starts[i] :][: first.lengths[i]]
        for j in range(i + 1 if b is None else 0, len(second)):
            y = second.rows[second.starts[j] :][: second.lengths[j]]
            shape = len(x), len(y)
            if shape not in limits:
                limits[shape] = limits_of(*shape, band)
            out[i, j] = told(edit_total(x, y, reach, limits[shape], replace), *shape)
            if b is None:
                out[j, i] = out[i, j]
    return out

"""Fine detail on top of a code: what is left over is coded again, level by level (residual quantisation)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.answers import Codebook
from align.datatypes import Floats
from align.errors import ParameterError
from align.tokens.clustering import kmeans
from align.tokens.codebook import code_rows, scaled_rows

__all__ = ["fit_residual", "level_errors", "rebuilt", "residual_codes"]

Levels = npt.NDArray[np.float32]


def fit_residual(
    rows: npt.NDArray[np.float32],
    codebook: Codebook,
    *,
    levels: int = 2,
    n_codes: int = 16,
    seed: int = 0,
    threads: int = 1,
) -> Levels:
    """Centroids of what the codebook leaves over of each segment, then of what those leave over, and so on.

    Level 1 clusters ``scaled features - centroid``; each further level what is left of that. On the rows it was
    fitted to, each level lowers the mean squared error or leaves it (``level_errors``).

    Args:
        rows: (n, n_features) f4 of described segments, columns as of the codebook; NaN where unknown.
        codebook: as fitted: level 0.
        levels: how many, >= 1.
        n_codes: centroids of each level, 1 to 4096; where fewer rows differ, the last ones repeat the first.
        seed: of the clusterings.
        threads: processors to use; the result is the same to the last bit.

    Returns:
        (levels, n_codes, n_features) f4.

    Raises:
        ParameterError: no rows, or a number out of range.

    Reference: Juang & Gray 1982, multiple stage vector quantization.
    """
    if len(rows) == 0 or levels < 1 or not 1 <= n_codes <= 4096:
        raise ParameterError(
            "rows, levels, n_codes", (len(rows), levels, n_codes), "rows, 1 or more, 1 to 4096"
        )
    points = scaled_rows(rows, codebook)
    left = points - codebook.centroids[code_rows(rows, codebook)[0]]
    left = np.ascontiguousarray(left[np.lexsort(left.T[::-1])]) + 0.0  # the order of rows must not count
    out = np.zeros((levels, n_codes, left.shape[1]), np.float32)
    for level in range(levels):
        found = kmeans(left, min(n_codes, len(left)), seed=seed + level, threads=threads)
        centroids = found.centroids.astype(np.float32)
        out[level, : len(centroids)] = centroids
        out[level, len(centroids) :] = centroids[0]
        left = left - out[level, _nearest(left, out[level])[0]]
    return out


def residual_codes(
    rows: npt.NDArray[np.float32], codebook: Codebook, residual: Levels
) -> npt.NDArray[np.int32]:
    """(n, 1 + n_levels) i4: the code of each segment, and that of what is left over at each level.

    Args:
        rows, codebook: as of ``fit_residual``.
        residual: from there.
    """
    codes = code_rows(rows, codebook)[0]
    left = scaled_rows(rows, codebook) - codebook.centroids[codes]
    columns = [codes]
    for centroids in residual:
        found = _nearest(left, centroids)[0]
        left = left - centroids[found]
        columns.append(found.astype(np.int32))
    return np.column_stack(columns)


def rebuilt(codes: npt.NDArray[np.int32], codebook: Codebook, residual: Levels) -> npt.NDArray[np.float32]:
    """(n, n_features) f4: features in their own units, as codes tell them.

    Args:
        codes: (n, 1 + m) of ``residual_codes``, or its first columns: the fewer, the coarser.
        codebook, residual: as there.
    """
    scaled = codebook.centroids[codes[:, 0]].astype(np.float64)
    for level in range(codes.shape[1] - 1):
        scaled += residual[level, codes[:, level + 1]]
    return np.asarray(scaled * codebook.scale + codebook.shift).astype(np.float32)


def level_errors(rows: npt.NDArray[np.float32], codebook: Codebook, residual: Levels) -> Floats:
    """(1 + n_levels,) mean squared distance of segments to what their codes say, in scaled features.

    Args:
        rows, codebook: as of ``fit_residual``.
        residual: from there.
    """
    left = scaled_rows(rows, codebook) - codebook.centroids[code_rows(rows, codebook)[0]]
    errors = [float((left**2).sum(axis=1).mean())]
    for centroids in residual:
        found, squares = _nearest(left, centroids)
        left = left - centroids[found]
        errors.append(float(squares.mean()))
    return np.array(errors)


def _nearest(points: Floats, centroids: Levels) -> tuple[npt.NDArray[np.int64], Floats]:
    from align.kernels.kmeans import nearest_centroids

    labels, squares = nearest_centroids(np.ascontiguousarray(points), centroids.astype(np.float64))
    return labels, squares

"""Similarities freed of hubs: vectors that are everyone's neighbour are no one's in particular (numpy)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError

__all__ = ["csls", "csls_top", "mean_nearest"]

Array = npt.NDArray[np.floating]
_CELLS = 4_000_000  # of the similarity matrix held at a time


def csls(similarity: Array, neighbours: int = 10) -> Array:
    """Cross-domain similarity local scaling of a whole matrix.

    ``2 s_ij - r_i - r_j``: r_i the mean of the largest ``neighbours`` of row i, r_j of column j (all of them where
    there are fewer). Within a row the order of columns changes only by how popular each column is.

    Args:
        similarity: (n, m) cosines, or any agreement, finite.
        neighbours: >= 1.

    Returns:
        (n, m) of the same dtype.

    Raises:
        ParameterError: no matrix, or neighbours < 1.

    References:
        Conneau et al., arXiv 1710.04087, equation 3.
    """
    if similarity.ndim != 2:
        raise ParameterError("similarity", f"of shape {similarity.shape}", "(n, m)")
    _check(neighbours)
    if not similarity.size:
        return similarity.copy()
    rows = _mean_largest(similarity, neighbours)
    columns = _mean_largest(similarity.T, neighbours)
    return 2.0 * similarity - rows[:, None] - columns


def mean_nearest(a: Array, b: Array, neighbours: int = 10) -> Array:
    """Mean inner product of every a with the ``neighbours`` b nearest to it, a part of the matrix at a time.

    Args:
        a: (n, d) unit-norm vectors.
        b: (m, d) likewise, m >= 1.
        neighbours: >= 1; all b where there are fewer.

    Returns:
        (n,) of the dtype of a.

    Raises:
        ParameterError: neighbours < 1.
    """
    _check(neighbours)
    parts = [_mean_largest(a[part] @ b.T, neighbours) for part in _parts(len(a), len(b))]
    return np.concatenate(parts) if parts else np.zeros(0, a.dtype)


def csls_top(a: Array, b: Array, k: int, neighbours: int = 10) -> tuple[npt.NDArray[np.int64], Array]:
    """The k b of every a with the highest ``csls``, best first; the n x m matrix is never held.

    Args:
        a: (n, d) unit-norm vectors.
        b: (m, d) likewise, m >= 1.
        k: >= 1; all b where there are fewer.
        neighbours: >= 1.

    Returns:
        indices into b (n, min(k, m)) and their ``csls`` (n, min(k, m)).

    Raises:
        ParameterError: k or neighbours < 1.
    """
    if k < 1:
        raise ParameterError("k", k, "1 or more")
    k = min(k, len(b))
    rows, columns = mean_nearest(a, b, neighbours), mean_nearest(b, a, neighbours) if len(a) else b[:, 0]
    index, score = np.empty((len(a), k), np.int64), np.empty((len(a), k), a.dtype)
    for part in _parts(len(a), len(b)):
        found = 2.0 * (a[part] @ b.T) - rows[part, None] - columns
        best = np.sort(np.argpartition(-found, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(-np.take_along_axis(found, best, axis=1), axis=1, kind="stable")
        index[part] = np.take_along_axis(best, order, axis=1)
        score[part] = np.take_along_axis(found, index[part], axis=1)
    return index, score


def _mean_largest(rows: Array, count: int) -> Array:
    count = min(count, rows.shape[1])
    return np.partition(rows, -count, axis=1)[:, -count:].mean(axis=1)


def _parts(n: int, m: int) -> Iterator[slice]:
    step = max(1, _CELLS // max(m, 1))
    return (slice(i, min(i + step, n)) for i in range(0, n, step))


def _check(neighbours: int) -> None:
    if neighbours < 1:
        raise ParameterError("neighbours", neighbours, "1 or more")

"""The dynamic-time-warping distances of many pairs of series at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.collection import Collection, as_collection, band_rows, same_channels

__all__ = ["AS_THEY_ARE", "dtw_pairwise"]

_MANY, _FEW = 1 << 15, 1 << 12  # pairs per call of the kernel; few where each may have a band of its own
AS_THEY_ARE = np.array([[0.0, 1.0]])  # the kernel's norms for series that are compared without normalising

Series = npt.ArrayLike | Sequence[npt.ArrayLike]


def dtw_pairwise(
    a: Series,
    b: Series | None = None,
    *,
    band: Band | None = None,
    dtype: npt.DTypeLike = np.float64,
    threads: int = 1,
) -> npt.NDArray[Any]:
    """The matrix of warping distances between two collections of series, or within one.

    Each entry is ``dtw_distance`` of its pair: the root of the smallest sum of squared Euclidean distances along
    a warping path (tslearn's convention). Within one collection the matrix is symmetric with a zero diagonal,
    and each pair is computed once, the earlier series first.

    Args:
        a: (n_a, length) or (n_a, length, n_channels) array, or a list of (n_i,) or (n_i, n_channels) series.
        b: likewise, with as many channels; None compares ``a`` with itself.
        band: which paths are allowed; None allows all.
        dtype: float64, or float32 for twice the speed and 6 digits.
        threads: how many processors to use; the result is the same to the last bit.

    Returns:
        (n_a, n_b) distances of type ``dtype``, >= 0.

    Raises:
        ParameterError: no series, an empty one, NaN or infinite values, different channels, a dtype or a number
            of threads out of range, or a band that leaves no path (E-BAND).

    Reference: Sakoe & Chiba 1978, section III. Time O(n m n_channels) a pair, 32 pairs side by side; memory
    O(n_a n_b).

    >>> dtw_pairwise([[0.0, 1.0, 2.0], [0.0, 1.0, 4.0]]).tolist()
    [[0.0, 2.0], [2.0, 0.0]]
    """
    from align.kernels.dtw_pairwise import pair_totals

    if threads < 1:
        raise ParameterError("threads", threads, "at least 1")
    first = as_collection(a, "a", dtype)
    second = first if b is None else as_collection(b, "b", dtype)
    n_channels = first.rows.shape[1]
    same_channels("b", second.rows.shape[1], "a", n_channels)
    flat_a, flat_b = first.rows.ravel(), second.rows.ravel()
    distances = np.zeros((len(first), len(second)), first.rows.dtype)

    def fill(part: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> None:
        i, j = part
        pairs, ranges = _kernel_pairs(first, second, i, j, band)
        totals = pair_totals(flat_a, flat_b, n_channels, pairs, AS_THEY_ARE, ranges, np.inf)
        distances[i, j] = np.sqrt(totals)
        if b is None:
            distances[j, i] = distances[i, j]

    ragged = len(np.unique(first.lengths)) * len(np.unique(second.lengths)) > 1
    parts = _index_pairs(first, second, _FEW if band is not None and ragged else _MANY)
    if threads == 1:
        for part in parts:
            fill(part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, parts))
    return distances


def _index_pairs(
    first: Collection, second: Collection, most: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """All pairs to compute, about ``most`` at a time, series of similar length next to each other."""
    by_a = np.argsort(first.lengths, kind="stable")
    by_b = np.argsort(second.lengths, kind="stable")
    n_rows = max(1, most // len(second))
    for begin in range(0, len(first), n_rows):
        rows = np.arange(begin, min(begin + n_rows, len(first)))[:, None]
        wanted = np.arange(len(second)) > rows if first is second else np.ones((len(rows), len(second)), bool)
        i, j = np.nonzero(wanted)
        i, j = by_a[i + begin], by_b[j]
        if len(i):
            yield (np.minimum(i, j), np.maximum(i, j)) if first is second else (i, j)


def _kernel_pairs(
    first: Collection,
    second: Collection,
    i: npt.NDArray[np.int64],
    j: npt.NDArray[np.int64],
    band: Band | None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """``pairs`` and ``ranges`` of ``pair_totals``; one row of ``ranges`` for each pair of lengths."""
    pairs = np.zeros((len(i), 5), np.int64)
    pairs[:, 0], pairs[:, 1] = first.starts[i], first.lengths[i]
    pairs[:, 2], pairs[:, 3] = second.starts[j], second.lengths[j]
    if band is None:
        return pairs, np.empty((0, 2, 0), np.int64)
    most = int(second.lengths.max()) + 1
    shapes, pairs[:, 4] = np.unique(pairs[:, 1] * most + pairs[:, 3], return_inverse=True)
    ranges = np.zeros((len(shapes), 2, int(pairs[:, 1].max())), np.int64)
    for k, shape in enumerate(shapes.tolist()):
        n, m = divmod(shape, most)
        ranges[k, :, :n] = band_rows(n, m, band)
    return pairs, ranges

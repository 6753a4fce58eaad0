"""DTW of many pairs at once, series k of one collection with series k of the other: on a CUDA card or the CPU."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError, ResourceError
from align.warping.collection import Collection, as_collection, same_channels

__all__ = ["dtw_batch"]

_BUDGET = 1 << 28  # bytes of series that go to a card at a time
_BLOCKS = (1 << 31) - 1  # of a grid: one per pair
_SMALL = 1 << 22  # cells: fewer are done before a second thread, or a card, has begun


def dtw_batch(
    a: npt.ArrayLike | Sequence[npt.ArrayLike],
    b: npt.ArrayLike | Sequence[npt.ArrayLike],
    *,
    device: str = "auto",
    dtype: npt.DTypeLike = np.float64,
    threads: int = 1,
) -> npt.NDArray[Any]:
    """The warping distance of each series of ``a`` to the series of ``b`` at the same place.

    Each entry is ``dtw_distance`` of its pair, without a band. A card and the CPU give the same float64 answers
    up to the rounding of sums of squares (1e-12, relative); float32 keeps 6 digits on either.

    Args:
        a: (n_pairs, length) or (n_pairs, length, n_channels) array, or a list of (n_i,) or (n_i, n_channels) series.
        b: likewise, as many series with as many channels; lengths may differ.
        device: "cpu"; "cuda" or "cuda:N", a card; "auto", the first card if there is one and it is worth it.
        dtype: float64, or float32.
        threads: processors to use on the CPU; the answer is the same to the last bit.

    Returns:
        (n_pairs,) distances of type ``dtype``, >= 0.

    Raises:
        ParameterError: values that ``dtw_distance`` refuses, collections of different sizes, another device or
            dtype, no thread.
        ResourceError: E-DEVICE, a card was asked for that numba does not see.

    Time O(n m n_channels) a pair; on a card one block of threads per pair.

    >>> dtw_batch([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], [[0.0, 1.0, 4.0], [0.0, 2.0, 2.0]], device="cpu").tolist()
    [2.0, 1.0]
    """
    if threads < 1:
        raise ParameterError("threads", threads, "at least 1")
    first, second = as_collection(a, "a", dtype), as_collection(b, "b", dtype)
    same_channels("b", second.rows.shape[1], "a", first.rows.shape[1])
    if len(first) != len(second):
        raise ParameterError("b", f"{len(second)} series", f"{len(first)}, as many as a has")
    card = _card(device, int((first.lengths * second.lengths).sum()))
    totals = _on_cpu(first, second, threads) if card is None else _on_card(first, second, card)
    return np.asarray(np.sqrt(totals))


def _card(device: str, n_cells: int) -> int | None:
    """The number of the card to use, None for the CPU."""
    if device == "cpu" or (device == "auto" and n_cells < _SMALL):
        return None
    if device != "auto" and re.fullmatch(r"cuda(:\d+)?", device) is None:
        raise ParameterError("device", device, '"auto", "cpu", "cuda" or "cuda:N"')
    from align.kernels.cuda_dtw import has_card

    number = int(device.partition(":")[2] or 0)
    if has_card(number):
        return number
    if device == "auto":
        return None
    raise ResourceError(
        "E-DEVICE",
        f"{device} was asked for; numba sees no such card",
        hint='use "cpu" or "auto", or pip install "numba-cuda[cu13]" beside the driver',
    )


def _on_cpu(a: Collection, b: Collection, threads: int) -> npt.NDArray[Any]:
    from align.kernels.dtw_pairwise import pair_totals

    norms, ranges = np.array([[0.0, 1.0]]), np.empty((0, 2, 0), np.int64)
    order = np.lexsort((b.lengths, a.lengths))  # neighbours of about equal length
    pairs = np.stack([a.starts, a.lengths, b.starts, b.lengths, np.zeros_like(a.starts)], axis=1)[order]
    rows_a, rows_b, n_channels = a.rows.ravel(), b.rows.ravel(), a.rows.shape[1]

    def totals_of(part: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return np.asarray(pair_totals(rows_a, rows_b, n_channels, part, norms, ranges, np.inf))

    if threads == 1 or int((a.lengths * b.lengths).sum()) < _SMALL:
        found = totals_of(pairs)
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = np.concatenate(list(pool.map(totals_of, np.array_split(pairs, min(threads, len(pairs))))))
    totals = np.empty_like(found)
    totals[order] = found
    return totals


def _on_card(a: Collection, b: Collection, card: int) -> npt.NDArray[Any]:
    from align.kernels.cuda_dtw import pair_totals_on_card

    if a.lengths.max() > b.lengths.max():  # the shorter side gives the rows; a distance is symmetric
        a, b = b, a
    bytes_of_pair = (int(a.lengths.max()) + int(b.lengths.max())) * a.rows.shape[1] * a.rows.itemsize
    size = max(1, min(_BLOCKS, _BUDGET // bytes_of_pair))
    parts = []
    for begin in range(0, len(a), size):
        chosen = slice(begin, begin + size)
        sizes = np.stack([a.lengths[chosen], b.lengths[chosen]], axis=1)
        parts.append(pair_totals_on_card(_padded(a, chosen), _padded(b, chosen), sizes, card))
    return np.concatenate(parts)


def _padded(series: Collection, chosen: slice) -> npt.NDArray[Any]:
    """(pairs, n_channels, longest): by channel, zeros behind each end."""
    starts, lengths = series.starts[chosen], series.lengths[chosen]
    at = np.arange(lengths.max())
    inside = at < lengths[:, None]
    rows = series.rows[np.where(inside, starts[:, None] + at, 0)]
    return np.ascontiguousarray(np.where(inside[:, :, None], rows, 0).transpose(0, 2, 1))

"""Many series as one array: what the functions on collections take, checked once at the door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError
from align.warping.bands import Band, column_ranges

__all__ = ["Collection", "Ranges", "as_collection", "as_series", "band_rows", "same_channels"]

Ranges = npt.NDArray[np.int64]  # (2, rows): half-open columns that each row may visit

# The sum of 1e17 (float32: 1e8) squared differences still fits.
_LARGEST = {np.dtype(np.float64): 1e145, np.dtype(np.float32): 1e14}


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Series one behind the other: ``rows`` (n_rows, n_channels), ``starts`` and ``lengths`` i8 (n_series,)."""

    rows: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)


def as_series(values: npt.ArrayLike, name: str, dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """One series as (n, n_channels) C-contiguous floats; a flat one has one channel.

    Raises:
        ParameterError: not numbers, empty, NaN or infinite, too large for its squares.
    """
    array = _as_numbers(values, name)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape:
        raise ParameterError(name, f"shape {array.shape}", "(n >= 1,) or (n >= 1, n_channels >= 1)")
    return _as_finite(array, name, np.dtype(dtype))


def as_collection(
    series: npt.ArrayLike | Sequence[npt.ArrayLike], name: str, dtype: npt.DTypeLike
) -> Collection:
    """A collection of series: (n_series, length), (n_series, length, n_channels), or a list of (n_i, n_channels).

    Raises:
        ParameterError: no series, an empty one, different channels, or values that ``as_series`` refuses.
    """
    if isinstance(series, np.ndarray):
        array = _as_numbers(series, name)
        array = array[:, :, None] if array.ndim == 2 else array
        if array.ndim != 3 or 0 in array.shape:
            allowed = "(n_series, length) or (n_series, length, n_channels), none of them 0"
            raise ParameterError(name, f"shape {array.shape}", allowed)
        n_series, length, n_channels = array.shape
        rows = _as_finite(array, name, np.dtype(dtype)).reshape(-1, n_channels)
        return Collection(rows, np.arange(n_series) * length, np.full(n_series, length))
    if not isinstance(series, Sequence) or len(series) == 0:
        raise ParameterError(name, type(series).__name__, "an array, or a list of at least one series")
    parts = [as_series(one, f"{name}[{i}]", dtype) for i, one in enumerate(series)]
    for i, part in enumerate(parts):
        same_channels(f"{name}[{i}]", part.shape[1], f"{name}[0]", parts[0].shape[1])
    lengths = np.array([len(part) for part in parts])
    return Collection(np.concatenate(parts), np.cumsum(lengths) - lengths, lengths)


def same_channels(name: str, n_channels: int, other: str, expected: int) -> None:
    """Refuse two series that cannot be compared row by row.

    Raises:
        ParameterError: ``n_channels`` is not ``expected``.
    """
    if n_channels != expected:
        raise ParameterError(name, f"{n_channels} channels", f"{expected}, as many as {other} has")


def band_rows(n: int, m: int, band: Band | None) -> Ranges:
    """The columns that each of ``n`` rows may visit among ``m``, (2, n), without those that no path can use.

    A path never turns back, so both ends may be made non-decreasing without losing one.
    """
    if band is None:
        return np.array([[0], [m]]).repeat(n, axis=1)
    low, high = column_ranges(n, m, band)
    return np.stack([np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1]])


def _as_numbers(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise ParameterError(name, f"dtype {array.dtype}", "integers or real floats")
    return array


def _as_finite(array: npt.NDArray[Any], name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype not in _LARGEST:
        raise ParameterError("dtype", str(dtype), "float64 or float32")
    if not np.isfinite(array).all():
        raise ParameterError(name, "NaN or infinite values", "finite numbers", hint="cut the gaps out first")
    if np.abs(array).max() > _LARGEST[dtype]:
        allowed = f"magnitudes up to {_LARGEST[dtype]:g} in {dtype}"
        raise ParameterError(name, "values whose squares could overflow", allowed)
    return np.array(array, dtype=dtype, order="C")  # a fresh writable copy: numba compiles one signature only

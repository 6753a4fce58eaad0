"""A polars frame -> the bytes of a Parquet file: the same frame and polars version give the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["parquet_bytes"]

_ROWS = 65_536  # fixed, so that the number of threads never decides where a row group ends


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The Parquet file (zstd, statistics, fixed row groups) of ``frame``, in memory.

    The frame is rechunked first: how it was put together does not show in the bytes.
    """
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(
        buffer, compression="zstd", compression_level=3, statistics=True, row_group_size=_ROWS
    )
    return buffer.getvalue()

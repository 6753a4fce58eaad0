"""Tokens -> files, recording by recording: what is written never waits in memory for the rest."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from align.answers import TokenSequence
from align.clock import ns_from_seconds
from align.errors import ParameterError
from pipelines.store import named_errors
from pipelines.token_parts import Part

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TokenWriter", "put_in_place"]

_ROWS = 65_536  # of a row group: fixed, so that the number of threads never decides where one ends


class TokenWriter:
    """Write tokens to ``tokens.parquet`` (and ``tokens.jsonl``) of a folder.

    The table has the columns of ``align run``'s (``align.writers.tokens_frame``) between ``recording`` and
    ``start_time`` (UTC, null without an absolute clock) and ``levels`` (residual codes, null without).
    """

    def __init__(self, work: Path, *, jsonl: bool = False) -> None:
        self._work, self._parts = work, work / "parts"
        self._parts.mkdir()
        self._lines = (work / "tokens.jsonl").open("w", encoding="utf-8") if jsonl else None
        self.n_tokens, self.seconds, self._n_files = 0, 0.0, 0

    def add(self, part: Part, sequence: TokenSequence, levels: npt.NDArray[np.int32] | None = None) -> None:
        """Append one lane.

        Args:
            part: of which recording.
            sequence: its tokens.
            levels: (n, 1 + n_levels) ``residual_codes``, or None.

        Raises:
            ParameterError: levels of another number of tokens (of merged ones there are none).
        """
        if levels is not None and len(levels) != len(sequence.codes):
            raise ParameterError("levels", len(levels), f"{len(sequence.codes)}, one row per token")
        self.n_tokens += len(sequence.codes)
        self.seconds += float((sequence.spans[:, 1] - sequence.spans[:, 0]).sum())
        for first in range(0, max(1, len(sequence.codes)), _ROWS):  # a row in Python takes a kilobyte
            rows = slice(first, first + _ROWS)
            some = dataclasses.replace(
                sequence,
                codes=sequence.codes[rows],
                spans=sequence.spans[rows],
                features=sequence.features[rows],
            )
            self._write(_frame(part, some, None if levels is None else levels[rows], first))

    def _write(self, frame: pl.DataFrame) -> None:
        frame.write_parquet(self._parts / f"{self._n_files:08d}.parquet", compression="lz4")
        self._n_files += 1
        if self._lines is not None:
            for row in frame.drop("features", "codebook").iter_rows(named=True):
                moment = row["start_time"]
                row["start_time"] = None if moment is None else moment.isoformat(timespec="milliseconds")
                self._lines.write(json.dumps(row, allow_nan=False) + "\n")

    def finish(self) -> list[Path]:
        """Put the table together; the files that were made, complete and on the disk."""
        import polars as pl

        made = self._work / "tokens.parquet"
        # Row groups are cut here: as they lie in the parts, they would begin with every recording.
        pl.scan_parquet(sorted(self._parts.iterdir())).sink_parquet(
            made, compression="zstd", compression_level=3, statistics=True, row_group_size=_ROWS
        )
        files = [made]
        if self._lines is not None:
            self._lines.close()
            files.append(self._work / "tokens.jsonl")
        return files


def _frame(
    part: Part, sequence: TokenSequence, levels: npt.NDArray[np.int32] | None, first: int
) -> pl.DataFrame:
    """Tokens of a lane from number ``first`` on."""
    import polars as pl

    from align.writers import tokens_frame

    frame = tokens_frame([sequence]).with_columns(pl.col("token") + first)
    starts = sequence.spans[:, 0].tolist()
    moments = [None if part.epoch is None else ns_from_seconds(s, part.epoch) for s in starts]
    finer = [None] * len(starts) if levels is None else levels[:, 1:].tolist()
    return frame.select(
        pl.lit(part.recording, pl.String).alias("recording"),
        pl.all(),
        pl.Series("start_time", moments, pl.Datetime("ns", "UTC")),
        pl.Series("levels", finer, pl.List(pl.Int32)),
    )


def put_in_place(made: Path, target: Path) -> None:
    """Give a finished file its final name, in one step; it is private, and on the disk before it has the name.

    Args:
        made: on the same file system.
        target: replaced if it exists.

    Raises:
        ResourceError: the disk refuses.
    """
    with named_errors(target):
        os.chmod(made, 0o600)
        descriptor = os.open(made, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(made, target)

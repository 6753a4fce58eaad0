"""Cells that are not numbers: refused, or made missing and counted; rows without any number become gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding, Floats
from align.errors import InputError
from align.readers.policy import Policy

__all__ = ["drop_missing", "split_at_missing"]

Values = npt.NDArray[np.floating[Any]]
Index = npt.NDArray[np.int64]


def drop_missing(
    values: Values, rate: float, policy: Policy, path: Path
) -> tuple[Values, Index, Floats, list[Finding]]:
    """Refuse NaN and infinity, or with ``policy.on_nan == "gap"`` make them missing and cut there.

    Args:
        values: (n_samples, n_channels), one run from second 0.
        rate: Hz.
        policy: ``on_nan``.
        path: for the message.

    Returns:
        values without the rows that hold no number; ``run_index``, ``run_start``; the counted finding.

    Raises:
        InputError: E-NONFINITE with channel, sample and time; E-NO-SAMPLES when nothing is left.
    """
    whole = np.zeros(1, np.int64), np.zeros(1)
    bad = ~np.isfinite(values)
    count = int(np.count_nonzero(bad))
    if not count:
        return values, *whole, []
    sample, channel = (int(i) for i in np.argwhere(bad)[0])
    if policy.on_nan == "refuse":
        kind = "NaN" if np.isnan(values[sample, channel]) else "infinite"
        raise InputError(
            "E-NONFINITE", f"{count} values are not finite numbers, the first is {kind}",
            hint="mend the file, or treat them as missing with --on-nan gap",
            file=path, channel=channel, sample=sample, time=sample / rate,
        )  # fmt: skip
    values = np.where(bad, np.asarray(np.nan, values.dtype), values)
    values, index, start = split_at_missing(values, rate, *whole)
    if not len(values):
        raise InputError("E-NO-SAMPLES", "no channel holds a finite number", file=path)
    return values, index, start, [Finding("P-NAN", "values that are not finite numbers made missing", count)]


def split_at_missing(
    values: Values, rate: float, run_index: Index, run_start: Floats
) -> tuple[Values, Index, Floats]:
    """Drop the rows in which every channel is NaN; the runs are cut there, so they become gaps.

    >>> values = np.array([[1.0], [np.nan], [3.0]])
    >>> _, index, start = split_at_missing(values, 2.0, np.zeros(1, int), np.zeros(1))
    >>> index.tolist(), start.tolist()
    ([0, 1], [0.0, 1.0])
    """
    kept = ~np.isnan(values).all(axis=1)
    if kept.all():
        return values, run_index, run_start
    rows = np.flatnonzero(kept)
    run = np.searchsorted(run_index, rows, side="right") - 1
    new = np.ones(len(rows), bool)
    new[1:] = (np.diff(rows) > 1) | (np.diff(run) > 0)
    index = np.flatnonzero(new).astype(np.int64)
    first, of = rows[index], run[index]
    return values[kept], index, run_start[of] + (first - run_index[of]) / rate

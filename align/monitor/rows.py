"""What is pushed, checked: rows of numbers with their times."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import InputError, ParameterError

__all__ = ["checked_rows", "checked_time"]

_LARGEST = 1e100  # values whose squares, and sums of squares, stay finite


def checked_rows(times: npt.ArrayLike, values: npt.ArrayLike, known: int | None) -> tuple[Floats, Floats]:
    """Times (n,) and values (n, d) as float64.

    Args:
        times: (n,) or one number: seconds.
        values: (n, d), (n,) for one channel, or (d,) with one time; NaN = missing.
        known: channels that the stream had so far, or None.

    Raises:
        InputError: E-SCHEMA-CHANGE, E-TIME, E-NONFINITE, E-RANGE.
        ParameterError: shapes that do not fit.
    """
    seconds, table = np.array(times, np.float64, ndmin=1), np.array(values, np.float64)
    if table.ndim < 2:
        table = table.reshape(len(seconds), -1) if len(seconds) else table.reshape(0, max(1, table.size))
    if seconds.ndim != 1 or table.ndim != 2 or len(table) != len(seconds) or table.shape[1] == 0:
        shapes = f"shapes {seconds.shape} and {np.shape(values)}"
        raise ParameterError("times and values", shapes, "(n,) and (n, n_channels >= 1)")
    if known is not None and known != table.shape[1] and not len(table):
        table = np.empty((0, known))
    if known is not None and known != table.shape[1]:
        raise InputError(
            "E-SCHEMA-CHANGE",
            f"a row of {table.shape[1]} values where the stream had {known}; allowed: the same channels",
            hint="push other channels as another stream, NaN for a channel that is missing",
        )
    if not np.isfinite(seconds).all():
        row = int(np.flatnonzero(~np.isfinite(seconds))[0])
        raise InputError(
            "E-TIME", "a time is not finite; allowed: seconds", hint="leave the row out", sample=row
        )
    if len(table) and not (np.fmax(table.max(), -table.min()) <= _LARGEST):
        _check_values(seconds, table)
    return seconds, table


def _check_values(seconds: Floats, table: Floats) -> None:
    for code, bad in (("E-NONFINITE", np.isinf(table)), ("E-RANGE", np.abs(table) > _LARGEST)):
        if bad.any():
            row, channel = (int(i[0]) for i in np.nonzero(bad))
            what = f"an infinite value, or one beyond {_LARGEST:g}; allowed: finite numbers, NaN for missing"
            hint = "push NaN instead"
            raise InputError(code, what, hint=hint, channel=channel, sample=row, time=float(seconds[row]))


def checked_time(time: float, what: str) -> float:
    """A finite time as float.

    Args:
        time: seconds.
        what: whose it is, for the error.

    Raises:
        InputError: E-TIME, it is not finite.
    """
    if not np.isfinite(time):
        raise InputError(
            "E-TIME", f"the time of a {what} is not finite; allowed: seconds", hint="give seconds"
        )
    return float(time)

"""Channels without a valid cell for long, and back again: said at the row that shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["Missing", "Notice"]


class Notice(NamedTuple):
    """A channel is "degraded" or "restored"; ``since`` its last valid cell, ``at`` the row that shows it, seconds."""

    kind: Literal["degraded", "restored"]
    channel: int
    since: float
    at: float


class Missing:
    """Watch the channels of one stream.

    A channel is missing from the first row without a cell of it that comes over ``after`` seconds behind the last row
    with one (or the first row of all), until the next row with one.

    Args:
        after: seconds, None: never.
        n_channels: columns.
    """

    def __init__(self, after: float | None, n_channels: int) -> None:
        self._after = after
        self._seen = np.full(n_channels, np.nan)  # seconds of the last valid cell
        self._gone = np.zeros(n_channels, np.bool_)

    def pieces(self, times: Floats, values: Floats) -> Iterator[tuple[int, list[Notice]]]:
        """Cut rows where there is something to say.

        Args:
            times: (n,) ascending seconds, after those before.
            values: (n, d), NaN = missing.

        Returns:
            ``(end, notices)``, ends ascending, the last n: after the rows up to ``end`` the notices are due.
        """
        n = len(times)
        if self._after is None or not n:
            yield n, []
            return
        self._seen[np.isnan(self._seen)] = times[0]
        found: list[tuple[int, Notice]] = []
        valid = ~np.isnan(values)
        if not self._gone.any() and valid[-1].all() and times[-1] - self._seen.min() <= self._after:
            self._seen[:] = times[-1]  # the usual case
        else:
            for c in range(len(self._seen)):
                found += self._channel(c, times, np.flatnonzero(valid[:, c]))
        found.sort(key=lambda one: (one[0], one[1].channel))
        for row in sorted({row for row, _ in found}):
            yield row + 1, [notice for at, notice in found if at == row]
        if not found or found[-1][0] + 1 < n:
            yield n, []

    def _channel(self, c: int, times: Floats, valid: npt.NDArray[np.int64]) -> list[tuple[int, Notice]]:
        assert self._after is not None
        found: list[tuple[int, Notice]] = []
        since, gone = float(self._seen[c]), bool(self._gone[c])
        seen = np.concatenate([[since], times[valid]])
        due = np.searchsorted(times, seen + self._after, side="right")  # first row too far behind each
        following = np.append(valid, len(times))
        late = np.flatnonzero((due < following) | (gone & (np.arange(len(seen)) == 0)))
        for k in late.tolist():
            since, back = float(seen[k]), int(following[k])
            if not gone:
                found.append((int(due[k]), Notice("degraded", c, since, float(times[due[k]]))))
            gone = back == len(times)
            if not gone:
                found.append((back, Notice("restored", c, since, float(times[back]))))
        self._seen[c], self._gone[c] = seen[-1], gone
        return found

    def reset(self) -> None:
        """The clock was set back: count from the next row on."""
        self._seen[:] = np.nan

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that is known, as arrays by name."""
        return {"seen": self._seen.copy(), "gone": self._gone.copy()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            arrays: from ``state``.
        """
        self._seen, self._gone = arrays["seen"].copy(), arrays["gone"].copy()

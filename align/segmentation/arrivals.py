"""Rows of one stream as they arrive -> the same rows in order of their times, each once.

Only the rows' own times count, never the clock of the machine and never how rows are packed into pushes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["Arrival", "Arrivals"]

_REMEMBERED = 4_096  # times of passed rows, to know what comes twice
_MOST_HELD = 65_536  # rows waiting for late ones
_TOGETHER = 64  # rows out of order looked at together
_STEP_ROWS = 32  # late rows in a row, in order, that are a clock set back


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """What comes out: "rows" in order; a "late" row at ``times[0]``, left out; a "step" of the clock, from
    ``times[0]``, the last time passed on, back to ``times[1]``; or, before the row at ``times[0]``, "full", rows are
    passed on before their lateness is over, and "eased", no more."""

    kind: Literal["rows", "late", "step", "full", "eased"]
    times: Floats
    values: Floats


class Arrivals:
    """Put rows in order of time, within a lateness.

    A row waits until one later by ``lateness`` has come. A row at a time that has come already is a duplicate: counted,
    and of no consequence. A row before what was passed on is late: reported and left out. 32 late rows in a row, each
    later than the one before, are a clock that was set back: what waits is passed on, and the 32 begin anew.
    A redelivery looks the same once it reaches further back than the 4,096 times that are remembered; rows with
    sequence numbers are told apart whatever their times.

    Args:
        n_channels: columns, >= 1.
        lateness: seconds, >= 0.
    """

    def __init__(self, n_channels: int, lateness: float) -> None:
        self._lateness = lateness
        self._times, self._values = np.empty(0), np.empty((0, n_channels))  # waiting, in order
        self._late_times, self._late_values = np.empty(0), np.empty((0, n_channels))  # the late ones in a row
        self._passed = np.empty(0)  # the last times passed on
        self.n_late = self.n_duplicates = self.n_lost = 0
        self._next_number: int | None = None
        self._full = False  # rows make way for others before their lateness is over
        self._heard = -np.inf  # nothing earlier than this less the lateness will come

    def push(self, times: Floats, values: Floats, sequence: int | None = None) -> Iterator[Arrival]:
        """Take rows; the answer must be used up.

        Args:
            times: (n,) finite seconds.
            values: (n, d).
            sequence: number of the first row, where the source counts its rows; rows numbered like earlier ones
                are duplicates, and numbers left out are counted in ``n_lost``.
        """
        times, values = self._unseen(times, values, sequence)
        if not len(times):
            return
        if times[0] > max(self._newest, self._last_passed) and (times[1:] > times[:-1]).all():
            self._forget_late()  # the usual case at once
            self._times = np.concatenate([self._times, times])
            self._values = np.concatenate([self._values, values])
            yield from self._ready()
            return
        yield from _joined(self._some(times, values))

    def _some(self, times: Floats, values: Floats) -> Iterator[Arrival]:
        """Rows out of order: where none is late or comes twice, many at once."""
        for first in range(0, len(times), _TOGETHER):
            some, rows = times[first : first + _TOGETHER], values[first : first + _TOGETHER]
            if self._are_new(some):
                yield from self._wait_in_order(some, rows)
                continue
            for i in range(len(some)):
                yield from self._one(float(some[i]), some[i : i + 1], rows[i : i + 1])

    def _are_new(self, times: Floats) -> bool:
        """Whether none of the rows is late or comes twice, though they may be out of order; True for these only."""
        newest = np.maximum.accumulate(np.concatenate([[self._newest], times[:-1]]))
        if self._full or len(self._times) + len(times) > _MOST_HELD:
            return False
        if (times <= np.maximum(newest - self._lateness, self._last_passed)).any():
            return False
        return bool((np.diff(np.sort(np.concatenate([self._times, times]))) > 0).all())

    def _wait_in_order(self, times: Floats, values: Floats) -> Iterator[Arrival]:
        """Rows that are new join those that wait."""
        self._forget_late()
        both = np.concatenate([self._times, times]), np.concatenate([self._values, values])
        order = np.argsort(both[0], kind="stable")
        self._times, self._values = both[0][order], both[1][order]
        yield from self._ready()

    def hear(self, time: float) -> Iterator[Arrival]:
        """Take a heartbeat: rows before it, less the lateness, would be late from now on.

        Args:
            time: finite seconds.
        """
        self._heard = max(self._heard, time)
        if len(self._times):
            yield from self._ready()

    def flush(self) -> Iterator[Arrival]:
        """Pass on all that waits."""
        yield from self._pass_on(len(self._times))

    @property
    def _newest(self) -> float:
        return max(self._heard, float(self._times[-1]) if len(self._times) else -np.inf)

    @property
    def _last_passed(self) -> float:
        passed = float(self._passed[-1]) if len(self._passed) else -np.inf
        return max(passed, self._heard - self._lateness)

    def _unseen(self, times: Floats, values: Floats, sequence: int | None) -> tuple[Floats, Floats]:
        if sequence is None:
            return times, values
        expected = sequence if self._next_number is None else self._next_number
        seen = min(max(0, expected - sequence), len(times))
        self.n_duplicates += seen
        self.n_lost += max(0, sequence - expected)
        self._next_number = max(expected, sequence + len(times))
        return times[seen:], values[seen:]

    def _one(self, time: float, times: Floats, values: Floats) -> Iterator[Arrival]:
        if _holds(self._passed, time) or _holds(self._times, time):
            self.n_duplicates += 1
        elif time <= self._last_passed:
            self.n_late += 1
            yield Arrival("late", times, values)
            if len(self._late_times) and time <= self._late_times[-1]:
                self._forget_late()
            self._late_times = np.concatenate([self._late_times, times])
            self._late_values = np.concatenate([self._late_values, values])
            if len(self._late_times) == _STEP_ROWS:
                yield from self._set_back()
        else:
            yield from self._wait_in_order(times, values)

    def _set_back(self) -> Iterator[Arrival]:
        yield from self.flush()
        yield Arrival("step", np.array([self._last_passed, self._late_times[0]]), self._late_values[:0])
        self._passed, self._heard = np.empty(0), -np.inf
        self._times, self._values = self._late_times, self._late_values
        self._forget_late()
        yield from self._ready()

    def _forget_late(self) -> None:
        self._late_times, self._late_values = self._late_times[:0], self._late_values[:0]

    def _ready(self) -> Iterator[Arrival]:
        """Pass on what has waited long enough, and the oldest where more than 65,536 rows wait."""
        due = int(np.searchsorted(self._times, self._newest - self._lateness, side="right"))
        excess = max(0, len(self._times) - _MOST_HELD)
        if not excess and not self._full:
            yield from self._pass_on(due)
            return
        count = max(due, excess)
        # a row made way early when the row that took its place had come within the lateness
        last = np.maximum(self._times[_MOST_HELD:], self._heard) - self._lateness
        early = np.zeros(count, np.bool_)
        early[:excess] = last < self._times[:excess]
        edges = np.flatnonzero(np.diff(early, prepend=self._full)).tolist()
        passed = 0
        for edge in edges:
            yield from self._pass_on(edge - passed)
            self._full, passed = not self._full, edge
            yield Arrival("full" if self._full else "eased", self._times[:1].copy(), self._values[:0])
        yield from self._pass_on(count - passed)

    def _pass_on(self, count: int) -> Iterator[Arrival]:
        if count:
            times, values = self._times[:count], self._values[:count]
            self._times, self._values = self._times[count:].copy(), self._values[count:].copy()
            self._passed = np.concatenate([self._passed, times])[-_REMEMBERED:]
            yield Arrival("rows", times, values)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        numbers = {name: getattr(self, name) for name in _NUMBERS} | {"next_number": self._next_number}
        numbers |= {"heard": self._heard, "full": self._full}
        return numbers, {name: getattr(self, f"_{name}").copy() for name in _ARRAYS}

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            numbers, arrays: from ``state``.
        """
        for name in _NUMBERS:
            setattr(self, name, int(numbers[name]))
        for name in _ARRAYS:
            setattr(self, f"_{name}", arrays[name].copy())
        self._heard, self._full = float(numbers["heard"]), bool(numbers["full"])
        number = numbers["next_number"]
        self._next_number = None if number is None else int(number)


def _joined(arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
    """Rows that follow each other at once: what comes out of order is then cut as quickly as what does not."""
    rows: list[Arrival] = []
    for arrival in arrivals:
        if arrival.kind == "rows":
            rows.append(arrival)
            continue
        yield from _one_of(rows)
        rows = []
        yield arrival
    yield from _one_of(rows)


def _one_of(rows: list[Arrival]) -> Iterator[Arrival]:
    if rows:
        times, values = (np.concatenate([getattr(r, name) for r in rows]) for name in ("times", "values"))
        yield Arrival("rows", times, values)


_NUMBERS = ("n_late", "n_duplicates", "n_lost")
_ARRAYS = ("times", "values", "late_times", "late_values", "passed")


def _holds(ascending: Floats, time: float) -> bool:
    at = int(np.searchsorted(ascending, time))
    return at < len(ascending) and float(ascending[at]) == time

"""A stream's declared rate against the rate that its own times show: said once, at the row that proves it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["Departure", "RateWatch"]

_BLOCK = 1_024  # steps judged together
_WINDOW = 1_024  # blocks after which measuring begins anew: three hours at 100 Hz
_CLOSE = 0.1  # of the declared period: steps that are meant to be it
_CLEAR = 0.35  # of a period: steps further from whole ones do not tell a lost row from a slow clock
_FLOOR = 20.0  # ppm that any crystal may be off by: nothing is said of less
_WRONG = 1_000.0  # ppm, 0.1 %: from here on the declared rate is an error


class Departure(NamedTuple):
    """The measured rate is another than the declared one.

    ``code`` is "W-RATE", or "E-RATE" from 0.1 % on; ``ppm`` the measured over the declared rate, less 1, in
    millionths; ``since`` and ``at`` the first and the last row measured, seconds.
    """

    code: str
    ppm: float
    since: float
    at: float


class RateWatch:
    """Measure a stream's rate while its rows come in.

    Rows are counted in blocks of 1,024 steps without a gap, a step of about k periods as k - 1 lost rows: lost rows
    are no slow clock. Where steps stray over 0.35 of a period from whole ones the block says nothing: there, lost
    rows and a slow clock look the same. A departure is said when it is proven: larger than what the times' scatter
    may feign at both ends of every stretch measured, and than 20 ppm. Looked at after 1, 2, 4, 8, .. blocks.

    Args:
        rate: declared, samples per second; None: nothing to compare with.
        gap: seconds from which a step is a gap.
    """

    def __init__(self, rate: float | None, gap: float) -> None:
        self._period, self._gap = (math.nan if rate is None else 1.0 / rate), gap
        self._times = np.empty(0)  # of the block that is being filled, its first row included
        self._level = 0  # 1: W-RATE was said, 2: E-RATE was
        self._begin()

    def _begin(self) -> None:
        self._since = math.nan
        self._slots = self._blocks = self._stretches = 0
        self._seconds = self._stray = 0.0

    def pieces(self, times: Floats) -> Iterator[tuple[int, Departure | None]]:
        """Cut rows where there is something to say.

        Args:
            times: (n,) ascending seconds, after those before.

        Returns:
            ``(end, departure)``, ends ascending, the last n: what is to be said after the rows up to ``end``.
        """
        n, said = len(times), 0
        if self._level == 2 or math.isnan(self._period):
            yield n, None
            return
        held = len(self._times)
        self._times = np.concatenate([self._times, times])
        first = 0
        while len(self._times) - first > _BLOCK:
            block = self._times[first : first + _BLOCK + 1]
            steps = np.diff(block)
            gaps = np.flatnonzero(steps > self._gap)
            if gaps.size:
                first += int(gaps[-1]) + 1
                self._stretches += self._blocks > 0  # what follows begins with a scatter of its own
                continue
            departure = self._measure(block, steps)
            first += _BLOCK
            if departure is not None:
                said = first + 1 - held
                yield said, departure
                if self._level == 2:
                    break
        self._times = self._times[first:].copy()
        if said < n:
            yield n, None

    def _measure(self, block: Floats, steps: Floats) -> Departure | None:
        """A block without gaps; what is proven by now."""
        unit = float(steps.mean())
        if abs(unit / self._period - 1.0) > _CLOSE:
            unit = float(np.median(steps))  # rows are lost, or the rate is quite another
        if abs(unit / self._period - 1.0) < _CLOSE:
            unit = self._period
        slots = np.maximum(np.rint(steps / unit), 1.0)
        stray = float(np.abs(steps / unit - slots).max())
        if stray > _CLEAR:
            self._stretches += self._blocks > 0
            return None
        if math.isnan(self._since):
            self._since, self._stretches = float(block[0]), 1
        self._slots += int(slots.sum())
        self._seconds += float(block[-1] - block[0])
        self._stray = max(self._stray, stray * unit)
        self._blocks += 1
        if self._blocks & (self._blocks - 1):
            return None
        ppm = (self._slots * self._period / self._seconds - 1.0) * 1e6
        doubt = self._stray * self._stretches / self._seconds * 1e6
        since, at = self._since, float(block[-1])
        if self._blocks == _WINDOW:
            self._begin()
        level = 0
        if abs(ppm) - doubt > _FLOOR:
            level = 2 if abs(ppm) - doubt > _WRONG else 1
        if level <= self._level:
            return None
        self._level = level
        return Departure("E-RATE" if level == 2 else "W-RATE", ppm, since, at)

    def reset(self) -> None:
        """The clock was set back: measure from the next row on."""
        self._times = self._times[:0]
        self._begin()

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        return {name: getattr(self, f"_{name}") for name in _NUMBERS}, {"times": self._times.copy()}

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            numbers, arrays: from ``state``.
        """
        for name in _NUMBERS:
            setattr(self, f"_{name}", numbers[name])
        self._times = arrays["times"].copy()


_NUMBERS = ("level", "since", "slots", "blocks", "stretches", "seconds", "stray")

"""The clocks of several streams: what anchors say of them while they run, and what nobody can know without."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from align.datatypes import Floats
from align.errors import InputError, ParameterError
from align.matching.clock_fit import fit_clock
from align.matching.clocks import TYPICAL_PPM, drift_bound
from align.monitor.voice import Voice
from align.segmentation.live_events import Event

__all__ = ["ClockWatch"]

_MOST = 256  # anchors of two streams; then every other one goes
_TOLD = 1.0  # seconds that two clocks may be apart before it is said
_AFTER = _TOLD / drift_bound(1.0)  # seconds after which they may be


class ClockWatch:
    """Watch how the clocks of streams run against each other. Nothing is corrected: times stay as they came.

    An anchor is one moment that two streams show, each at its own time. From the second on the map between the two is
    fitted to them (``matching.fit_clock``: offset, pace, changes of pace and settings, as far as they are
    proven). Of a stream on another clock than the first one, without anchors, it is said once that its clock is
    not correctable: when at 50 ppm the two may have come a second apart, after five and a half hours.

    Args:
        clock: the name of a stream's clock, "" where it is not known to be another stream's.
        voice: numbers the events.
    """

    def __init__(self, clock: Callable[[str], str], voice: Voice) -> None:
        self._clock, self._voice = clock, voice
        self._began: dict[str, float] = {}  # first row of each stream, in order of their coming
        self._told: list[str] = []
        self._anchors: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self._last: dict[tuple[str, str], int] = {}  # seq of what was last said of two

    def _due(self, stream: str) -> float:
        """When to say that a stream's clock cannot be known."""
        first = next(iter(self._began), stream)
        known = self._clock(stream) and self._clock(stream) == self._clock(first)
        anchored = any(stream in pair for pair in self._anchors)
        if stream == first or stream in self._told or known or anchored:
            return math.inf
        return self._began.get(stream, math.inf) + _AFTER

    def until(self, stream: str, times: Floats) -> int:
        """How many rows a stream may bring before something is to be said.

        Args:
            stream: its name.
            times: (n,) ascending seconds, n >= 1.
        """
        if not math.isfinite(self._began.setdefault(stream, math.inf)):
            self._began[stream] = float(times[0])
        due = self._due(stream)
        return len(times) if times[-1] < due else int(np.searchsorted(times, due))

    def reach(self, stream: str, time: float) -> Iterator[Event]:
        """A stream has come as far as a time.

        Args:
            stream: its name.
            time: seconds.
        """
        if time >= self._due(stream):
            self._told.append(stream)
            first, began = next(iter(self._began)), self._began[stream]
            about: dict[str, Any] = {"name": f"{stream}/{first}", "ppm": TYPICAL_PPM, "within": _TOLD}
            yield self._voice.said("degraded", began, time, why="W-CLOCK", **about)

    def anchor(self, stream: str, time: float, reference: str, at: float) -> Iterator[Event]:
        """One moment, by two clocks.

        Args:
            stream, reference: two streams.
            time, at: when it was by each one's clock, seconds.

        Raises:
            ParameterError: one stream twice, or without a name.
        """
        if not stream or not reference or stream == reference:
            raise ParameterError("stream, reference", (stream, reference), "the names of two streams")
        pairs = self._anchors.setdefault((stream, reference), [])
        if (time, at) in pairs:
            return
        pairs.append((time, at))
        if len(pairs) > _MOST:
            del pairs[1::2]
        if len(pairs) < 2:
            return
        device, session = np.array(pairs).T
        try:
            found = fit_clock(device, session)
        except InputError as error:  # over 1 % apart: no clock
            first, last = float(device.min()), float(device.max())
            yield self._voice.said("degraded", first, last, why=error.code, name=f"{stream}/{reference}")
            return
        known: dict[str, Any] = {"final": False, "revises": self._last.get((stream, reference))}
        known |= {"name": f"{stream}/{reference}", "offset": round(found.offset, 6)}
        known |= {"within": round(found.rms, 6)}
        known["ppm"] = None if found.kind == "offset" else round(found.ppm, 2)  # no pace is proven yet
        event = self._voice.said("drift", *found.covered, **known)
        self._last[stream, reference] = event.seq
        yield event

    def set_back(self, stream: str) -> None:
        """A stream's clock was set back: what tied it to others is void.

        Args:
            stream: its name.
        """
        self._anchors = {pair: kept for pair, kept in self._anchors.items() if stream not in pair}
        self._told = [name for name in self._told if name != stream]
        self._last = {pair: seq for pair, seq in self._last.items() if stream not in pair}
        if stream in self._began:
            self._began[stream] = math.inf  # with its next row

    def state(self) -> dict[str, Any]:
        """All that is known, as plain values."""
        pairs = [[*names, kept, self._last.get(names)] for names, kept in self._anchors.items()]
        return {"began": self._began, "told": self._told, "anchors": pairs}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Become what ``state`` gave.

        Args:
            kept: from ``state``.
        """
        self._began, self._told = dict(kept["began"]), list(kept["told"])
        self._anchors = {(a, b): [(t, at) for t, at in pairs] for a, b, pairs, _ in kept["anchors"]}
        self._last = {(a, b): seq for a, b, _, seq in kept["anchors"] if seq is not None}

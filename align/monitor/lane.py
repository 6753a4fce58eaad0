"""One stream of a monitor: rows as they arrive -> events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from align.answers import Codebook
from align.datatypes import Floats
from align.errors import InputError
from align.monitor.coding import SegmentCoder
from align.monitor.missing import Missing
from align.monitor.rates import RateWatch
from align.sealed import under
from align.segmentation.arrivals import Arrival, Arrivals
from align.segmentation.live import LiveStream
from align.segmentation.live_events import Event, StreamSettings

__all__ = ["Lane"]

_NO_TIMES, _NO_VALUES = np.empty(0), np.empty((0, 1))


class Lane:
    """Arrivals put in order, segments cut, missing channels and another rate noticed, final segments coded.

    Args:
        name: of the stream.
        n_channels: columns.
        settings: how it is read and cut.
        codebook: of such streams, or None.

    Raises:
        InputError: E-SCHEMA-CHANGE, the settings name another number of channels.
    """

    def __init__(
        self, name: str, n_channels: int, settings: StreamSettings, codebook: Codebook | None
    ) -> None:
        named = len(settings.channels or settings.units) or n_channels
        if named != n_channels:
            raise InputError(
                "E-SCHEMA-CHANGE",
                f"a row of {n_channels} values where the settings name {named} channels; allowed: {named} values",
                hint="push other channels as another stream, NaN for a channel that is missing",
            )
        self.settings, self.n_channels = settings, n_channels
        self.arrivals, self.live = (
            Arrivals(n_channels, settings.lateness),
            LiveStream(name, n_channels, settings),
        )
        self._missing = Missing(settings.missing_after, n_channels)
        self._rate = RateWatch(settings.rate, settings.gap_factor / (settings.rate or 1.0))
        self._coder = None if codebook is None else SegmentCoder(codebook, settings, name)

    def rows(self, times: Floats, values: Floats) -> Iterator[Event]:
        """Rows in order.

        Args:
            times: (n,) ascending seconds, after those before.
            values: (n, d).
        """
        first = 0
        for end, notices in self._missing.pieces(times, values):
            yield from self._measured(times[first:end], values[first:end])
            for notice in notices:
                name = (
                    self.settings.channels[notice.channel] if self.settings.channels else str(notice.channel)
                )
                yield self.live.said(notice.kind, notice.since, notice.at, why="missing", name=name)
            first = end

    def _measured(self, times: Floats, values: Floats) -> Iterator[Event]:
        """Rows, with a word where they show another rate than the declared one."""
        first = 0
        for end, departure in self._rate.pieces(times):
            part = times[first:end], values[first:end]
            yield from self._coded(self.live.push(*part), *part)
            if departure is not None:
                ppm = round(departure.ppm, 2)
                yield self.live.said("degraded", departure.since, departure.at, why=departure.code, ppm=ppm)
            first = end

    def other(self, arrival: Arrival) -> Iterator[Event]:
        """An arrival that is no rows.

        Args:
            arrival: a late row, a step of the clock, a full or an emptied buffer.
        """
        first = float(arrival.times[0])
        if arrival.kind == "late":
            yield self.live.said("late", first, first)
        elif arrival.kind == "step":
            yield from self._coded(self.live.set_back(first, float(arrival.times[1])))
            self._missing.reset()
            self._rate.reset()
            if self._coder is not None:
                self._coder.forget(np.inf)
        else:
            kind = "degraded" if arrival.kind == "full" else "restored"
            yield self.live.said(kind, first, first, why="buffer")

    def hear(self, time: float) -> Iterator[Event]:
        """Nothing before a time will come any more.

        Args:
            time: seconds.
        """
        yield from self._coded(self.live.hear(time))

    def close(self) -> Iterator[Event]:
        """The stream ends: everything is final."""
        yield from self._coded(self.live.close())

    def _coded(
        self, events: Iterable[Event], times: Floats = _NO_TIMES, values: Floats = _NO_VALUES
    ) -> Iterator[Event]:
        """Each final segment with its token behind it."""
        if self._coder is None:
            yield from events
            return
        self._coder.keep(times, values)
        for event in events:
            yield event
            if event.event == "segment" and event.final:
                coded = self._coder.code(event.start, event.end, self.live.period)
                if coded is not None and coded.code is None:
                    yield self.live.said("degraded", event.start, event.end, why=coded.why)
                elif coded is not None:
                    yield self.live.said("token", event.start, event.end, **coded._asdict())
        self._coder.forget(self.live.watermark)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        numbers: dict[str, Any] = {"n_channels": self.n_channels}
        parts = {
            "arrivals": self.arrivals.state(),
            "live": self.live.state(),
            "missing": ({}, self._missing.state()),
            "rate": self._rate.state(),
        }
        if self._coder is not None:
            parts["coder"] = self._coder.state()
        arrays: dict[str, npt.NDArray[Any]] = {}
        for part, (known, held) in parts.items():
            numbers[part] = known
            arrays |= {f"{part}/{name}": array for name, array in held.items()}
        return numbers, arrays

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            numbers, arrays: from ``state``.
        """
        self.arrivals.restore(numbers["arrivals"], under("arrivals/", arrays))
        self.live.restore(numbers["live"], under("live/", arrays))
        self._missing.restore(under("missing/", arrays))
        self._rate.restore(numbers["rate"], under("rate/", arrays))
        if self._coder is not None:
            self._coder.restore(numbers["coder"], under("coder/", arrays))

"""``Monitor``: rows, heartbeats and notes in, events out, and all of it in a checkpoint."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from align.answers import Codebook
from align.datatypes import Floats
from align.errors import InputError, ParameterError
from align.monitor.checkpoint import check_same_parts, read_state, write_state
from align.monitor.lane import Lane
from align.monitor.overall import Overall
from align.monitor.parts import Parts
from align.monitor.rows import checked_rows, checked_time
from align.monitor.watching import WatchSettings
from align.rules import Rules
from align.sealed import opened, sealed, under
from align.segmentation.live_events import Event, StreamSettings

if TYPE_CHECKING:
    from align.coordination import Coordination

__all__ = ["Monitor"]

FORMAT = "align-monitor/3"


class Monitor:
    """Cut streams while they come in; name their segments, link notes, look for phrases, raise alerts.

    ``push`` returns events (``Event``): provisional segments as soon as they pay, final ones when no later sample can
    move them, gaps, late rows, clocks set back. Memory is bounded by ``horizon`` rows per stream and what waits within
    ``lateness``; with a model also by its window. Not for several threads at once. Without a model no torch is loaded.

    Args:
        settings: of all streams that ``streams`` does not name.
        streams: settings by name of stream.
        model: trained (``align.load_coordination``): notes become links, phrases of rules are looked for.
        codebook: one for all streams, or by name of stream: final segments become tokens.
        rules: what raises alerts (``align.rules.read_rules``).
        watching: when the model looks.

    Raises:
        ParameterError: rules with phrases and no model, or a phrase in which the model reads nothing.
        InputError: E-MODEL-EMPTY, the model was never trained.

    >>> monitor = Monitor(StreamSettings(rate=1.0, noise=1.0, lateness=0.0))
    >>> said = monitor.push("wrist", [0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 90.0, 90.0])
    >>> [(e.event, e.start, e.end, e.final) for e in said + monitor.close()]
    [('segment', 0.0, 2.0, False), ('segment', 0.0, 2.0, True), ('segment', 2.0, 4.0, True)]
    """

    def __init__(
        self,
        settings: StreamSettings | None = None,
        streams: Mapping[str, StreamSettings] | None = None,
        model: Coordination | None = None,
        codebook: Codebook | Mapping[str, Codebook] | None = None,
        *,
        rules: Rules | None = None,
        watching: WatchSettings | None = None,
    ) -> None:
        self._parts = Parts(settings, streams, model, codebook, rules, watching)
        self._lanes: dict[str, Lane] = {}
        self._overall = Overall(self._parts, self._about)
        self._closed = False

    def push(
        self, stream: str, times: npt.ArrayLike, values: npt.ArrayLike, *, sequence: int | None = None
    ) -> list[Event]:
        """Take rows of one stream, in any order and any number.

        Args:
            stream: its name; not empty.
            times: (n,) or one number: seconds.
            values: (n, d), (n,) for one channel, or (d,) with one time; NaN = missing.
            sequence: number of the first row, where the source counts its rows: what comes twice is then known
                however late.

        Returns:
            what is to be said, in order.

        Raises:
            InputError: E-SCHEMA-CHANGE, other channels than before; E-TIME, a time that is not finite; E-NONFINITE;
                E-RANGE. The monitor is then as it was before, and other streams go on.
            ParameterError: shapes that do not fit, or the monitor is closed.
        """
        self._check_open()
        if not stream:
            raise ParameterError("stream", stream, "a name")
        known = self._lanes.get(stream)
        rows = checked_rows(times, values, None if known is None else known.n_channels)
        lane = known or self._parts.lane(stream, rows[1].shape[1])
        self._lanes[stream] = lane
        arrivals = lane.arrivals.push(*rows, sequence)
        judged = self._overall.judged
        return [event for arrival in arrivals for event in judged(self._told(stream, lane, arrival))]

    def heartbeat(self, stream: str, time: float) -> list[Event]:
        """A stream lives, though it may have nothing to say: rows before ``time``, less the lateness, will not come.

        Args:
            stream: its name; one that never sent a row is only looked at by rules of silence.
            time: seconds on the stream's clock.

        Returns:
            what is to be said: after a silence longer than a gap the run has ended and is final.

        Raises:
            InputError: E-TIME, the time is not finite.
        """
        self._check_open()
        time = checked_time(time, "heartbeat")
        lane, judged = self._lanes.get(stream), self._overall.judged
        passed = time - self._parts.settings_of(stream).lateness
        events: list[Event] = []
        if lane is not None:
            for arrival in lane.arrivals.hear(time):
                events += judged(self._told(stream, lane, arrival))
            events += judged(lane.hear(passed))
            events += judged(self._overall.pass_by(stream, passed))
        events += self._overall.be_silent(passed)
        return events

    def note(self, text: str, time: float) -> list[Event]:
        """Take a note. Its text is not kept: a hash, to know what comes twice, and with a model its vector for a while.

        Args:
            text: as written.
            time: seconds.

        Returns:
            an event whose ``why`` is the number of the note, 0, 1, ..; none when it came before. Its link follows
            when the streams have come as far (``watching``).

        Raises:
            InputError: E-TIME, the time is not finite.
        """
        self._check_open()
        time = checked_time(time, "note")
        return self._overall.note(text, time)

    def anchor(self, stream: str, time: float, reference: str, at: float) -> list[Event]:
        """One moment that two streams show, by the clock of each: a tap that both felt, a beep, a time that was set.

        Nothing is corrected; what the anchors prove of the two clocks is said (``drift``), from the second one on.

        Args:
            stream, reference: names of two streams.
            time, at: when it was by the clock of ``stream``, and by that of ``reference``: seconds.

        Raises:
            InputError: E-TIME, a time is not finite.
            ParameterError: one stream twice, or without a name.
        """
        self._check_open()
        time, at = checked_time(time, "anchor"), checked_time(at, "anchor")
        return list(self._overall.anchor(stream, time, reference, at))

    def acknowledge(self, rule: str) -> list[Event]:
        """Somebody has seen the alerts of a rule: with ``hold`` it may raise others from now on.

        Args:
            rule: its name.

        Raises:
            ParameterError: there is no such rule.
        """
        self._check_open()
        return list(self._overall.acknowledge(rule))

    def shed(self, until: float) -> list[Event]:
        """Leave out the model's looks up to a time, as whoever runs the monitor has fallen behind: it says so.

        Args:
            until: seconds on the streams' clock.

        Raises:
            InputError: E-TIME, the time is not finite.
        """
        self._check_open()
        until = checked_time(until, "pause")
        return list(self._overall.shed(until))

    def snapshot(self) -> list[Event]:
        """What ``close`` would say now, as provisional. Nothing changes."""
        if self._closed:
            return []
        about = self._parts
        again = self.from_bytes(
            self.as_bytes(), about.model, about.codebook, rules=about.rules, watching=about.watching
        )
        return [dataclasses.replace(event, final=False) for event in again.close()]

    def close(self) -> list[Event]:
        """Nothing more will come: what waits is taken, and everything is final."""
        events: list[Event] = []
        judged = self._overall.judged
        if not self._closed:
            for stream, lane in self._lanes.items():
                for arrival in lane.arrivals.flush():
                    events += judged(self._told(stream, lane, arrival))
                events += judged(lane.close())
            events += judged(self._overall.close())
        self._closed = True
        return events

    def counts(self) -> dict[str, dict[str, int]]:
        """Per stream: rows that were late, came twice, or are missing by their sequence numbers."""
        every = {name: lane.arrivals for name, lane in self._lanes.items()}
        return {
            name: {"late": a.n_late, "duplicates": a.n_duplicates, "lost": a.n_lost}
            for name, a in every.items()
        }

    def watermark(self, stream: str) -> float | None:
        """Seconds before which all segments of a stream are final; None where nothing was cut yet.

        Args:
            stream: its name; "": the watermark of links and matches.
        """
        if stream == "":
            return self._overall.voice.watermark
        return self._lanes[stream].live.watermark if stream in self._lanes else None

    # --- inside

    def _check_open(self) -> None:
        if self._closed:
            raise ParameterError(
                "monitor", "closed", "one that is not closed", hint="make or load another monitor"
            )

    def _about(self, stream: str) -> tuple[StreamSettings, float]:
        lane = self._lanes[stream]
        return lane.settings, lane.live.period

    def _told(self, stream: str, lane: Lane, arrival: Any) -> Iterator[Event]:
        if arrival.kind == "rows":
            yield from self._rows(stream, lane, arrival.times, arrival.values)
            return
        yield from lane.other(arrival)
        if arrival.kind == "step":
            yield from self._overall.set_back(stream)

    def _rows(self, stream: str, lane: Lane, times: Floats, values: Floats) -> Iterator[Event]:
        """Rows in order, up to each row at which something about all streams is due."""
        overall = self._overall
        while len(times):
            count = overall.until(stream, times)
            if count:
                yield from overall.hear(stream, times[:count])
                yield from lane.rows(times[:count], values[:count])
                overall.take(stream, times[:count], values[:count])
            if count < len(times):
                yield from overall.reach(stream, float(times[count]))
            times, values = times[count:], values[count:]

    # --- what is kept

    def as_bytes(self) -> bytes:
        """The monitor's state: one safetensors file whose header holds JSON and a checksum. No note text."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        listed = []
        for i, (name, lane) in enumerate(self._lanes.items()):
            numbers, held = lane.state()
            listed.append({"name": name, **numbers})
            arrays |= {f"{i}/{k}": np.ascontiguousarray(v) for k, v in held.items()}
        about: dict[str, Any] = {
            "format": FORMAT,
            "settings": dataclasses.asdict(self._parts.settings),
            "of_streams": {name: dataclasses.asdict(s) for name, s in self._parts.streams.items()},
            "parts": self._parts.identity,
            "streams": listed,
            "closed": self._closed,
        }
        about["overall"], held = self._overall.state()
        return sealed(about, arrays | held)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        model: Coordination | None = None,
        codebook: Codebook | Mapping[str, Codebook] | None = None,
        *,
        rules: Rules | None = None,
        watching: WatchSettings | None = None,
    ) -> Monitor:
        """The monitor that ``as_bytes`` gave.

        Args:
            data: its bytes.
            model, codebook, rules, watching: what it ran with; they are not in the bytes.

        Raises:
            InputError: E-CHECKSUM, not what was saved; E-STATE-VERSION, saved by another version; E-STATE-MISMATCH,
                another model, codebook, or other rules, named.
        """
        about, arrays = opened(data, "the state", "begin with a new state")
        if about.get("format") != FORMAT:
            raise InputError(
                "E-STATE-VERSION",
                f"a state of another version; allowed: {FORMAT}",
                hint="begin with a new state",
            )
        made = {name: StreamSettings(**s) for name, s in about["of_streams"].items()}
        settings = StreamSettings(**about["settings"])
        monitor = cls(settings, made, model, codebook, rules=rules, watching=watching)
        check_same_parts(about["parts"], monitor._parts.identity)
        monitor._closed = bool(about["closed"])
        for i, kept in enumerate(about["streams"]):
            lane = monitor._parts.lane(kept["name"], int(kept["n_channels"]))
            lane.restore(kept, under(f"{i}/", arrays))
            monitor._lanes[kept["name"]] = lane
        monitor._overall.restore(about["overall"], arrays)
        return monitor

    def save(self, path: str | os.PathLike[str]) -> None:
        """Keep the state in a file: whole or not at all; the one before stays beside it as ``PATH.previous``.

        Args:
            path: where; its folder exists.
        """
        write_state(path, self.as_bytes())

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        settings: StreamSettings | None = None,
        streams: Mapping[str, StreamSettings] | None = None,
        model: Coordination | None = None,
        codebook: Codebook | Mapping[str, Codebook] | None = None,
        **more: Any,
    ) -> Monitor:
        """The monitor that ``save`` kept; the one saved before, with a warning, where the file is damaged or gone.

        Args:
            path: the file.
            settings, streams: what the monitor is expected to run with; None: whatever it ran with.
            model, codebook: what it ran with.
            **more: ``rules`` and ``watching``, likewise.

        Raises:
            InputError: E-CHECKSUM, E-STATE-VERSION: neither file is whole; E-STATE-MISMATCH: other settings, named.
            FileNotFoundError: there is neither.
        """
        monitor = read_state(path, lambda data: cls.from_bytes(data, model, codebook, **more))
        monitor._parts.check_settings(settings, streams)
        return monitor

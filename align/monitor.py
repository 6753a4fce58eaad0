"""The live engine: rows and notes in as they come, events out; killed and brought back, it goes on as if nothing was.

Every event depends on the rows and their own times alone: neither on how rows are packed into pushes, nor on the
clock of the machine, nor on where the monitor was saved and loaded between.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import AlignError, InputError, ParameterError
from align.sealed import opened, sealed, under
from align.segmentation.arrivals import Arrivals
from align.segmentation.live import Event, LiveStream, StreamSettings

__all__ = ["Event", "Monitor", "StreamSettings"]

FORMAT = "align-monitor/1"
_LARGEST = 1e100  # values whose squares, and sums of squares, stay finite
_NOTES = 4_096  # remembered, to know what comes twice


class Monitor:
    """Cut streams while they come in.

    ``push`` returns events (``Event``): provisional segments as soon as they pay, final ones when no later sample can
    move them, gaps, late rows, clocks set back. Memory is bounded by ``horizon`` rows per stream and what waits within
    ``lateness``. Not for several threads at once.

    Args:
        settings: of all streams that ``streams`` does not name.
        streams: settings by name of stream.

    >>> monitor = Monitor(StreamSettings(rate=1.0, noise=1.0, lateness=0.0))
    >>> said = monitor.push("wrist", [0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 90.0, 90.0])
    >>> [(e.event, e.start, e.end, e.final) for e in said + monitor.close()]
    [('segment', 0.0, 2.0, False), ('segment', 0.0, 2.0, True), ('segment', 2.0, 4.0, True)]
    """

    def __init__(
        self, settings: StreamSettings | None = None, streams: Mapping[str, StreamSettings] | None = None
    ) -> None:
        self._settings = settings or StreamSettings()
        self._of_streams = dict(streams or {})
        self._streams: dict[str, tuple[Arrivals, LiveStream, int]] = {}
        self._notes: list[str] = []
        self._n_notes = 0
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
        rows = self._checked(stream, times, values)
        if stream not in self._streams:
            settings = self._of_streams.get(stream, self._settings)
            d = rows[1].shape[1]
            self._streams[stream] = Arrivals(d, settings.lateness), LiveStream(stream, d, settings), d
        arrivals, live, _ = self._streams[stream]
        return [event for arrival in arrivals.push(*rows, sequence) for event in _told(live, arrival)]

    def heartbeat(self, stream: str, time: float) -> list[Event]:
        """A stream lives, though it may have nothing to say: rows before ``time``, less the lateness, will not come.

        Args:
            stream: its name; one that never sent a row says nothing.
            time: seconds on the stream's clock.

        Returns:
            what is to be said: after a silence longer than a gap the run has ended and is final.

        Raises:
            InputError: E-TIME, the time is not finite.
        """
        self._check_open()
        if not np.isfinite(time):
            raise InputError("E-TIME", "the time of a heartbeat is not finite", hint="give seconds")
        if stream not in self._streams:
            return []
        arrivals, live, _ = self._streams[stream]
        events = [event for arrival in arrivals.hear(float(time)) for event in _told(live, arrival)]
        return events + list(live.hear(float(time) - live.settings.lateness))

    def note(self, text: str, time: float) -> list[Event]:
        """Take a note. Its text is not kept: only a hash, to know what comes twice.

        Args:
            text: as written.
            time: seconds.

        Returns:
            one event whose ``why`` is the number of the note, 0, 1, ..; none when it came before.

        Raises:
            InputError: E-TIME, the time is not finite.
        """
        self._check_open()
        if not np.isfinite(time):
            raise InputError(
                "E-TIME", "the time of a note is not finite; allowed: seconds", hint="leave it out"
            )
        number = hashlib.sha256(f"{float(time)!r} {text}".encode("utf-8", "surrogatepass")).hexdigest()
        if number in self._notes:
            return []
        self._notes = [*self._notes, number][-_NOTES:]
        self._n_notes += 1
        seq = self._n_notes - 1
        return [Event(seq, "note", "", float(time), float(time), True, None, None, str(seq))]

    def snapshot(self) -> list[Event]:
        """What ``close`` would say now, as provisional. Nothing changes."""
        if self._closed:
            return []
        return [dataclasses.replace(event, final=False) for event in self.from_bytes(self.as_bytes()).close()]

    def close(self) -> list[Event]:
        """Nothing more will come: what waits is taken, and everything is final."""
        events = []
        if not self._closed:
            for arrivals, live, _ in self._streams.values():
                events += [event for arrival in arrivals.flush() for event in _told(live, arrival)]
                events += live.close()
        self._closed = True
        return events

    def counts(self) -> dict[str, dict[str, int]]:
        """Per stream: rows that were late, came twice, or are missing by their sequence numbers."""
        return {
            name: {"late": a.n_late, "duplicates": a.n_duplicates, "lost": a.n_lost}
            for name, (a, _, _) in self._streams.items()
        }

    def watermark(self, stream: str) -> float | None:
        """Seconds before which all segments of a stream are final; None where nothing was cut yet.

        Args:
            stream: its name.
        """
        return self._streams[stream][1].watermark if stream in self._streams else None

    def _check_open(self) -> None:
        if self._closed:
            raise ParameterError(
                "monitor", "closed", "one that is not closed", hint="make or load another monitor"
            )

    def _checked(
        self, stream: str, times: npt.ArrayLike, values: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        if not stream:
            raise ParameterError("stream", stream, "a name")
        seconds, table = np.array(times, np.float64, ndmin=1), np.array(values, np.float64)
        if table.ndim < 2:
            table = table.reshape(len(seconds), -1) if len(seconds) else table.reshape(0, max(1, table.size))
        if seconds.ndim != 1 or table.ndim != 2 or len(table) != len(seconds) or table.shape[1] == 0:
            shapes = f"shapes {seconds.shape} and {np.shape(values)}"
            raise ParameterError("times and values", shapes, "(n,) and (n, n_channels >= 1)")
        known = self._streams[stream][2] if stream in self._streams else table.shape[1]
        if known != table.shape[1] and not len(table):
            table = np.empty((0, known))
        if known != table.shape[1]:
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
        for code, bad in (("E-NONFINITE", np.isinf(table)), ("E-RANGE", np.abs(table) > _LARGEST)):
            if bad.any():
                row, channel = (int(i[0]) for i in np.nonzero(bad))
                what = (
                    f"an infinite value, or one beyond {_LARGEST:g}; allowed: finite numbers, NaN for missing"
                )
                hint = "push NaN instead"
                raise InputError(code, what, hint=hint, channel=channel, sample=row, time=float(seconds[row]))
        return seconds, table

    # --- what is kept

    def as_bytes(self) -> bytes:
        """The monitor's state: one safetensors file whose header holds JSON and a checksum. No note text."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        listed = []
        for i, (name, (arrivals, live, d)) in enumerate(self._streams.items()):
            parts = {}
            for part, (numbers, held) in {"arrivals": arrivals.state(), "live": live.state()}.items():
                parts[part] = numbers
                arrays |= {f"{i}/{part}/{k}": np.ascontiguousarray(v) for k, v in held.items()}
            listed.append({"name": name, "n_channels": d, **parts})
        about = {
            "format": FORMAT,
            "settings": dataclasses.asdict(self._settings),
            "of_streams": {name: dataclasses.asdict(s) for name, s in self._of_streams.items()},
            "streams": listed,
            "notes": self._notes,
            "n_notes": self._n_notes,
            "closed": self._closed,
        }
        return sealed(about, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Monitor:
        """The monitor that ``as_bytes`` gave.

        Args:
            data: its bytes.

        Raises:
            InputError: E-CHECKSUM, not what was saved; E-STATE-VERSION, saved by another version.
        """
        about, arrays = opened(data, "the state", "begin with a new state")
        if about.get("format") != FORMAT:
            raise InputError(
                "E-STATE-VERSION",
                f"a state of another version; allowed: {FORMAT}",
                hint="begin with a new state",
            )
        made = {name: StreamSettings(**s) for name, s in about["of_streams"].items()}
        monitor = cls(StreamSettings(**about["settings"]), made)
        monitor._notes, monitor._n_notes = list(about["notes"]), int(about["n_notes"])
        monitor._closed = bool(about["closed"])
        for i, kept in enumerate(about["streams"]):
            name, d = kept["name"], int(kept["n_channels"])
            settings = made.get(name, monitor._settings)
            arrivals, live = Arrivals(d, settings.lateness), LiveStream(name, d, settings)
            arrivals.restore(kept["arrivals"], under(f"{i}/arrivals/", arrays))
            live.restore(kept["live"], under(f"{i}/live/", arrays))
            monitor._streams[name] = arrivals, live, d
        return monitor

    def save(self, path: str | os.PathLike[str]) -> None:
        """Keep the state in a file: whole or not at all; the one before stays beside it as ``PATH.previous``.

        Args:
            path: where; its folder exists.
        """
        path = Path(path)
        fresh = path.with_name(path.name + ".new")  # always the same name: nothing piles up after crashes
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.as_bytes())
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, path.with_name(path.name + ".previous"))
        os.replace(fresh, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        settings: StreamSettings | None = None,
        streams: Mapping[str, StreamSettings] | None = None,
    ) -> Monitor:
        """The monitor that ``save`` kept; the one saved before, with a warning, where the file is damaged or gone.

        Args:
            path: the file.
            settings, streams: what the monitor is expected to run with; None: whatever it ran with.

        Raises:
            InputError: E-CHECKSUM, E-STATE-VERSION: neither file is whole; E-STATE-MISMATCH: other settings, named.
            FileNotFoundError: there is neither.
        """
        path = Path(path)
        previous = path.with_name(path.name + ".previous")
        try:
            monitor = cls.from_bytes(path.read_bytes())
        except (AlignError, FileNotFoundError) as error:
            if not previous.exists():
                raise
            code = error.code if isinstance(error, AlignError) else "E-MISSING"
            monitor = cls.from_bytes(previous.read_bytes())
            warnings.warn(
                f"W-STATE-PREVIOUS: the checkpoint is not whole ({code}); the one before is used",
                stacklevel=2,
            )
        if settings is not None or streams is not None:
            wanted = cls(settings, streams)
            pairs = [("all streams", monitor._settings, wanted._settings)]
            for name in sorted({*monitor._of_streams, *wanted._of_streams}):
                kept = monitor._of_streams.get(name, monitor._settings)
                pairs.append((name, kept, wanted._of_streams.get(name, wanted._settings)))
            _check_same(pairs)
        return monitor


def _told(live: LiveStream, arrival: Any) -> Iterator[Event]:
    if arrival.kind == "rows":
        yield from live.push(arrival.times, arrival.values)
    elif arrival.kind == "late":
        yield live.said("late", float(arrival.times[0]), float(arrival.times[0]))
    else:
        yield from live.set_back(float(arrival.times[0]), float(arrival.times[1]))


def _check_same(pairs: list[tuple[str, StreamSettings, StreamSettings]]) -> None:
    differences = [
        f"{field.name} of {name!r} was {getattr(kept, field.name)}, is {getattr(wanted, field.name)}"
        for name, kept, wanted in pairs
        for field in dataclasses.fields(StreamSettings)
        if getattr(kept, field.name) != getattr(wanted, field.name)
    ]
    if differences:
        raise InputError(
            "E-STATE-MISMATCH",
            "the state was kept under other settings: " + "; ".join(differences),
            hint="run with the same settings, or begin with a new state",
        )

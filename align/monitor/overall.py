"""What is about all streams at once: notes, the model's window, rules, clocks; under the stream name ""."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.monitor.clocks import ClockWatch
from align.monitor.parts import Parts
from align.monitor.voice import Voice
from align.monitor.watching import Watcher
from align.rules import Judge
from align.sealed import under
from align.segmentation.live_events import Event, StreamSettings

__all__ = ["Overall"]

_NOTES = 4_096  # remembered, to know what comes twice


class Overall:
    """Hears the rows of all streams; looks, judges and measures at the rows at which that is due.

    Args:
        parts: what the monitor runs with.
        about: settings and sample period (NaN: not known yet) of a stream by its name.

    Attributes:
        voice: numbers the events.
    """

    def __init__(self, parts: Parts, about: Callable[[str], tuple[StreamSettings, float]]) -> None:
        self.voice = Voice()
        rules, model = parts.rules, parts.model
        self._notes: dict[str, None] = {}
        self._n_notes = 0
        self._clocks = ClockWatch(lambda stream: parts.settings_of(stream).clock, self.voice)
        self._judge = None if rules is None else Judge(rules, self.voice.said)
        self._watch = None
        if model is not None:
            phrases = () if rules is None else rules.phrases
            self._watch = Watcher(model, phrases, parts.watching, self.voice, about)

    # --- rows

    def until(self, stream: str, times: Floats) -> int:
        """How many rows a stream may bring before something is due, and ``reach`` is to be called.

        Args:
            stream: its name.
            times: (n,) ascending seconds, n >= 1.
        """
        count = self._clocks.until(stream, times)
        if self._watch is not None:
            count = min(count, self._watch.until(stream, times))
        if self._judge is not None:
            count = min(count, self._judge.until(stream, times))
        return count

    def hear(self, stream: str, times: Floats) -> Iterator[Event]:
        """Rows are about to be cut.

        Args:
            stream: its name.
            times: (n,) ascending seconds, n >= 1.
        """
        if self._judge is not None:
            yield from self._judge.hear(stream, float(times[0]), float(times[-1]))

    def take(self, stream: str, times: Floats, values: Floats) -> None:
        """Rows were cut.

        Args:
            stream: its name.
            times: (n,) ascending seconds, n >= 1.
            values: (n, d).
        """
        if self._watch is not None:
            self._watch.take(stream, times, values)

    def reach(self, stream: str, time: float) -> Iterator[Event]:
        """The next row of a stream is at a time.

        Args:
            stream: its name.
            time: seconds.
        """
        yield from self._clocks.reach(stream, time)
        yield from self.pass_by(stream, time)
        yield from self.be_silent(time)

    def pass_by(self, stream: str, time: float) -> Iterator[Event]:
        """A stream has no row before a time that is still to come.

        Args:
            stream: its name.
            time: seconds.
        """
        if self._watch is not None:
            yield from self._watch.reach(stream, time)

    def be_silent(self, time: float) -> Iterator[Event]:
        """It is that late.

        Args:
            time: seconds.
        """
        if self._judge is not None:
            yield from self._judge.reach(time)

    def set_back(self, stream: str) -> Iterator[Event]:
        """A stream's clock was set back.

        Args:
            stream: its name.
        """
        self._clocks.set_back(stream)
        if self._watch is not None:
            yield from self._watch.set_back()
        if self._judge is not None:
            self._judge.set_back()

    def judged(self, events: Iterable[Event]) -> Iterator[Event]:
        """Each event with what the rules make of it behind it.

        Args:
            events: of any stream, in order.
        """
        if self._judge is None:
            yield from events
            return
        for event in events:
            yield event
            yield from self._judge.take(event)

    def close(self) -> Iterator[Event]:
        """Nothing more will come: all is final."""
        if self._watch is not None:
            yield from self._watch.close()

    # --- what people and programs say

    def note(self, text: str, time: float) -> list[Event]:
        """Take a note, once.

        Args:
            text: as written; a hash of it is kept, and with a model its vector for a while.
            time: finite seconds.
        """
        number = hashlib.sha256(f"{time!r} {text}".encode("utf-8", "surrogatepass")).hexdigest()
        if number in self._notes:
            return []
        if len(self._notes) >= _NOTES:
            del self._notes[next(iter(self._notes))]
        self._notes[number] = None
        self._n_notes += 1
        events = [self.voice.said("note", time, time, why=str(self._n_notes - 1))]
        if self._watch is not None:
            events += self._watch.linker.add(self._n_notes - 1, text, time)
        return events

    def acknowledge(self, rule: str) -> Iterator[Event]:
        """Somebody has seen the alerts of a rule.

        Args:
            rule: its name.

        Raises:
            ParameterError: there is no such rule.
        """
        if self._judge is None:
            raise ParameterError("rule", rule, "none: the monitor has no rules")
        return self._judge.acknowledge(rule)

    def shed(self, until: float) -> Iterator[Event]:
        """Leave out looks.

        Args:
            until: finite seconds.
        """
        if self._watch is not None:
            yield from self._watch.shed(until)

    def anchor(self, stream: str, time: float, reference: str, at: float) -> Iterator[Event]:
        """One moment, by the clocks of two streams.

        Args:
            stream, reference: their names.
            time, at: finite seconds of each one's clock.

        Raises:
            ParameterError: one stream twice, or without a name.
        """
        return self._clocks.anchor(stream, time, reference, at)

    # --- what is kept

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain values and as arrays by name."""
        about: dict[str, Any] = {
            "notes": list(self._notes),
            "n_notes": self._n_notes,
            "voice": self.voice.state(),
            "clocks": self._clocks.state(),
            "judge": None if self._judge is None else self._judge.state(),
        }
        if self._watch is None:
            return about, {}
        about["watch"], held = self._watch.state()
        return about, {f"watch/{k}": np.ascontiguousarray(v) for k, v in held.items()}

    def restore(self, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            about, arrays: from ``state``.
        """
        self._notes, self._n_notes = dict.fromkeys(about["notes"]), int(about["n_notes"])
        self.voice.restore(about["voice"])
        self._clocks.restore(about["clocks"])
        if self._judge is not None:
            self._judge.restore(about["judge"])
        if self._watch is not None:
            self._watch.restore(about["watch"], under("watch/", arrays))

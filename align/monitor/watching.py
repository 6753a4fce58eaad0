"""The model's window: the last minutes of all streams, looked at when all of them have passed a tick.

Ticks are whole multiples of ``every`` on the streams' clock, and a look sees the rows before its tick and no others:
so looks do not depend on how rows are packed into pushes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Session, Stream
from align.errors import InputError, ParameterError
from align.monitor.linking import Linker
from align.monitor.phrases import PhraseWatch
from align.monitor.voice import Voice
from align.rules import PhraseRule
from align.segmentation.live_events import Event, StreamSettings

if TYPE_CHECKING:
    from align.coordination import Coordination

__all__ = ["WatchSettings", "Watcher", "recent_stream"]

_MOST_ROWS = 1 << 18  # of a stream, kept for the window
_TOO_SHORT = "E-NO-FRAMES"  # no frame yet: nothing to look at, and nothing wrong


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How a model looks at streams while they come in.

    Args:
        window: seconds behind a tick that a look sees, >= 2 ``settle``.
        every: seconds between ticks, > 0.
        settle: seconds behind a tick where links and matches become final, >= ``every``: that far the model sees
            what follows.
        max_wait: seconds that a tick waits for a stream behind the others, >= 0.

    Raises:
        ParameterError: a value outside what is said here.
    """

    window: float = 300.0
    every: float = 2.0
    settle: float = 30.0
    max_wait: float = 30.0

    def __post_init__(self) -> None:
        least = {"every": 1e-3, "settle": self.every, "window": 2 * self.settle, "max_wait": 0.0}
        for name, low in least.items():
            if not low <= getattr(self, name) < math.inf:
                raise ParameterError(name, getattr(self, name), f"a finite number >= {low:g}")


class Watcher:
    """Rows of all streams -> looks of a model: links of notes, matches of phrases.

    A tick is due when every stream has passed it, or one is over ``max_wait`` ahead. Rows of at most 262,144 a stream
    are kept, and of ``window`` seconds.

    Args:
        model: trained.
        phrases: watched.
        settings: when to look.
        voice: numbers the events.
        about: settings and sample period (NaN: not known yet) of a stream by its name.
    """

    def __init__(
        self,
        model: Coordination,
        phrases: Sequence[PhraseRule],
        settings: WatchSettings,
        voice: Voice,
        about: Callable[[str], tuple[StreamSettings, float]],
    ) -> None:
        self._model, self._settings, self._voice, self._about = model, settings, voice, about
        self.linker = Linker(model, settings.settle, settings.window, voice)
        self._phrases = PhraseWatch(model, phrases, voice)
        self._rows: dict[str, tuple[Floats, Floats]] = {}
        self._reached: dict[str, float] = {}
        self._number: int | None = None  # of the next tick
        self._shed = -math.inf  # ticks up to here are left out
        self._trouble = ""

    @property
    def _tick(self) -> float:
        assert self._number is not None
        return self._number * self._settings.every

    def until(self, stream: str, times: Floats) -> int:
        """How many rows a stream may bring before a tick is due.

        Args:
            stream: its name.
            times: (n,) ascending seconds, n >= 1.
        """
        if self._number is None:
            self._number = math.floor(float(times[0]) / self._settings.every) + 1
        others = min((r for name, r in self._reached.items() if name != stream), default=math.inf)
        if others >= self._tick:
            return int(np.searchsorted(times, self._tick))
        return int(np.searchsorted(times, self._tick + self._settings.max_wait, side="right"))

    def take(self, stream: str, times: Floats, values: Floats) -> None:
        """Keep rows.

        Args:
            stream: its name.
            times: (n,) ascending seconds, n >= 1.
            values: (n, d).
        """
        known = self._rows.get(stream, (times[:0], values[:0]))
        kept = np.concatenate([known[0], times]), np.concatenate([known[1], values])
        low = max(
            int(np.searchsorted(kept[0], self._tick - self._settings.window)), len(kept[0]) - _MOST_ROWS
        )
        self._rows[stream] = kept[0][low:], kept[1][low:]
        self._reached[stream] = float(times[-1])

    def reach(self, stream: str, time: float) -> Iterator[Event]:
        """A stream has come as far as a time: look at the ticks that are due.

        Args:
            stream: its name.
            time: seconds; its next row is not before.
        """
        self._reached[stream] = max(time, self._reached.get(stream, -math.inf))
        while self._number is not None and self._is_due():
            yield from self._look(self._tick, False)
            self._number = self._following()

    def set_back(self) -> Iterator[Event]:
        """A clock was set back: what there was is final, and ticks begin anew."""
        yield from self.close()
        self._rows, self._reached, self._number = {}, {}, None
        self._phrases.reset()

    def close(self) -> Iterator[Event]:
        """Nothing more will come: one last look, at everything, makes all final."""
        end = max((float(t[-1]) for t, _ in self._rows.values() if len(t)), default=math.nan)
        if math.isnan(end):
            end = -math.inf if self._number is None else self._tick
        yield from self._look(math.nextafter(end, math.inf), True)

    def shed(self, until: float) -> Iterator[Event]:
        """Leave out the looks up to a time: whoever runs the monitor has fallen behind.

        Args:
            until: seconds.
        """
        if until > self._shed:
            start = self._tick if self._number is not None else until
            self._shed = until
            yield self._voice.said("degraded", min(start, until), until, why="slow")

    def _is_due(self) -> bool:
        reached = self._reached.values()
        return min(reached) >= self._tick or max(reached) > self._tick + self._settings.max_wait

    def _following(self) -> int:
        """The next tick; after a silence the first one that can see anything."""
        assert self._number is not None
        newest = max((float(t[-1]) for t, _ in self._rows.values() if len(t)), default=-math.inf)
        quiet = (
            newest < self._tick - self._settings.settle and not self.linker.waits and not self._phrases.waits
        )
        if quiet:
            return max(self._number + 1, math.floor(max(self._reached.values()) / self._settings.every))
        return self._number + 1

    def _look(self, tick: float, last: bool) -> Iterator[Event]:
        settings = self._settings
        if tick <= self._shed and not last:
            return
        self._voice.watermark = max(tick - settings.settle, self._voice.watermark or -math.inf)
        if last:
            self._voice.watermark = tick if math.isfinite(tick) else None
        session, code = self._session(tick), ""
        try:  # both refuse before they say anything
            places = self._phrases.found(session)
            links = self.linker.placed(tick, session, last)
        except InputError as error:  # what comes is not what the model reads: said once, the streams go on
            code = "" if error.code == _TOO_SHORT else error.code
            places, links = self._phrases.found(None), self.linker.placed(tick, None, last)
        if session is not None:
            yield from self._trouble_is(code, tick)
        yield from self._phrases.told(places, math.inf if last else tick - settings.settle)
        yield from self.linker.told(tick, links, last)

    def _trouble_is(self, code: str, tick: float) -> Iterator[Event]:
        if code != self._trouble:
            kind, why = ("degraded", code) if code else ("restored", self._trouble)
            self._trouble = code
            yield self._voice.said(kind, tick, tick, why=why)

    def _session(self, tick: float) -> Session | None:
        streams = []
        for name, (times, values) in self._rows.items():
            low, high = np.searchsorted(times, [tick - self._settings.window, tick])
            settings, period = self._about(name)
            if high > low and not math.isnan(period):
                streams.append(recent_stream(name, times[low:high], values[low:high], settings, period))
        return Session("live", tuple(sorted(streams, key=lambda s: s.name))) if streams else None

    # --- what is kept

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """All that is known, as plain numbers and as arrays by name."""
        linker, vectors = self.linker.state()
        numbers = {
            "number": self._number,
            "shed": self._shed,
            "trouble": self._trouble,
            "reached": self._reached,
            "streams": list(self._rows),
            "linker": linker,
            "phrases": self._phrases.state(),
        }
        arrays: dict[str, npt.NDArray[Any]] = {"vectors": vectors}
        for i, (times, values) in enumerate(self._rows.values()):
            arrays |= {f"times/{i}": times.copy(), f"values/{i}": values.copy()}
        return numbers, arrays

    def restore(self, numbers: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            numbers, arrays: from ``state``.
        """
        self._number, self._shed, self._trouble = numbers["number"], numbers["shed"], numbers["trouble"]
        self._reached = dict(numbers["reached"])
        self._rows = {
            name: (arrays[f"times/{i}"].copy(), arrays[f"values/{i}"].copy())
            for i, name in enumerate(numbers["streams"])
        }
        self.linker.restore(numbers["linker"], arrays["vectors"])
        self._phrases.restore(numbers["phrases"])


def recent_stream(
    name: str, times: Floats, values: Floats, settings: StreamSettings, period: float
) -> Stream:
    """Rows with their own times as a stream of runs.

    A run counts its time in samples: where more rows came than the period says, the period is shortened so that no
    run reaches into the next.

    Args:
        name: of the stream.
        times: (n,) ascending seconds, n >= 1.
        values: (n, d).
        settings: its channels, units, modality and what counts as a gap.
        period: seconds from sample to sample.
    """
    first = np.concatenate([[0], np.flatnonzero(np.diff(times) > settings.gap_factor * period) + 1])
    starts, lengths = times[first], np.diff(np.append(first, len(times)))
    room = np.diff(starts) / lengths[:-1]
    period = min(period, float(room.min(initial=math.inf)))
    about = settings.modality, settings.channels, settings.units
    return Stream(values, 1.0 / period, name, *about, run_index=first, run_start=starts)

"""A live stream for weeks: source -> engine -> outbox -> sink, and now and then a generation of all on the disk.

The order is what makes the output exact. Records are taken; what is to be said goes into the outbox; a generation is
written that holds the engine, the outbox and both positions; only then is the source told, and only then do lines
leave. Dying between any two steps repeats work, and neither loses nor doubles a line.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from align.errors import InputError, ParameterError
from align.monitor import Monitor, StreamSettings
from pipelines.engine import Engine
from pipelines.generations import Generation, StateFolder
from pipelines.health import Health
from pipelines.logs import Log
from pipelines.outbox import Outbox
from pipelines.sinks import Sink
from pipelines.sources import Source

if TYPE_CHECKING:
    from align.answers import Codebook
    from align.coordination import Coordination
    from align.rules import Rules

__all__ = ["LiveRun", "Parts", "Plan", "warm_up"]

_IDLE, _BUSY = 0.1, 0.005  # seconds to wait for input: with nothing to write down, and with something
_SOON = 0.1  # seconds after which events are written down where nothing else comes
_SETTLE = 1.0  # seconds after which it is written down that lines have arrived
_SHARE = 4.0  # a generation takes at most a fifth of the time, unless the source waits for it
_BATCH = 1_024  # lines handed to a sink at once
_MOST_LINES, _MOST_BYTES = 10_000, 16 << 20  # of an outbox: behind them the source is not read
_OTHERWISE = (
    "begin with a new state folder, or --migrate: what is open is then made final, and the rest cut anew"
)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What the engine uses beside its settings: streams of their own settings, a model, codebooks by stream, rules."""

    streams: Mapping[str, StreamSettings] = field(default_factory=dict)
    model: Coordination | None = None
    codebook: Mapping[str, Codebook] | None = None
    rules: Rules | None = None

    def monitor(self, settings: StreamSettings, kept: bytes | None = None) -> Monitor:
        """A new engine, or the one that was kept.

        Args:
            settings: of a new one.
            kept: ``Monitor.as_bytes``.

        Raises:
            InputError: E-STATE-MISMATCH, kept with other parts; E-CHECKSUM, E-STATE-VERSION.
        """
        if kept is None:
            return Monitor(settings, self.streams, self.model, self.codebook, rules=self.rules)
        return Monitor.from_bytes(kept, self.model, self.codebook, rules=self.rules)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a live run goes.

    Args:
        settings: how streams are cut.
        checkpoint: seconds between generations, > 0; events wait for one.
        max_wait: seconds until a silent stream's run ends, > 0, None: never.
        keep_open: do not make everything final where the source ends.
        migrate: go on under other settings than the state was kept under.
        parts: what the engine uses beside its settings.
    """

    settings: StreamSettings = field(default_factory=StreamSettings)
    checkpoint: float = 1.0
    max_wait: float | None = None
    keep_open: bool = False
    migrate: bool = False
    parts: Parts = field(default_factory=Parts)

    def __post_init__(self) -> None:
        for name in ("checkpoint", "max_wait"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ParameterError(name, value, "a finite number of seconds > 0")


class LiveRun:
    """One process of a live monitor.

    Args:
        folder: the state, held by this process.
        plan: how it goes.
        make_source, make_sink: of the name under which brokers know this state.
        health, log: where counts and notices go.

    Raises:
        InputError: E-STATE-MISMATCH, the state was kept under other settings; E-CHECKSUM, E-STATE-VERSION.
        UnsafeError, ResourceError: source or sink cannot be opened.
    """

    def __init__(
        self,
        folder: StateFolder,
        plan: Plan,
        make_source: Callable[[str], Source],
        make_sink: Callable[[str], Sink],
        health: Health | None = None,
        log: Log | None = None,
    ) -> None:
        self.health, self.log = health or Health(), log or Log()
        self._folder, self._plan = folder, plan
        last, damage = folder.load()
        if damage is not None:
            words = "the state is not whole; the one before is used, and what the source gave since is lost with it"
            self.log("warning", "W-STATE-PREVIOUS", words, cause=damage)
        self._last = last or Generation(client=f"align-{secrets.token_hex(8)}")
        self._source, self._sink = make_source(self._last.client), make_sink(self._last.client)
        streams = {name: asdict(own) for name, own in sorted(plan.parts.streams.items())}
        config = {
            "source": self._source.kind,
            **asdict(plan.settings),
            **({"streams": streams} if streams else {}),
        }
        self._config = json.loads(
            json.dumps(config)
        )  # as JSON gives it back: lists where settings have tuples
        changed = [] if last is None else _differences(last.config, self._config)
        if changed and not plan.migrate:
            words = "the state was kept under other settings: " + "; ".join(changed)
            raise InputError("E-STATE-MISMATCH", words, hint=_OTHERWISE)
        self._outbox = Outbox(self._last.next_line, self._last.waiting)
        self._ended = self._last.ended
        self._dirty, self._arrived = True, False
        self._written, self._cost = -math.inf, 0.0
        self._begin(anew=bool(changed) or (self._ended and plan.migrate))

    def _begin(self, *, anew: bool) -> None:
        """Bring back engine, source and sink, and write down that this process goes on from there."""
        held = self._last.parts.get("monitor")
        try:
            monitor = self._plan.parts.monitor(self._plan.settings, held)
        except InputError as error:
            if error.code != "E-STATE-MISMATCH" or not self._plan.migrate:
                raise
            words = "the state was kept with another model, codebook or rules: what was open under them is left out"
            self.log("warning", "W-STATE-LEFT", words)
            monitor, anew = self._plan.parts.monitor(self._plan.settings), True
        self._engine = Engine(monitor, self.health, self.log, self._plan.max_wait)
        self._engine.restore(self._last.bases, self._last.next_seq, self._last.newest)
        if anew:
            self._say(self._engine.close())
            self._engine.begin_anew(self._plan.parts.monitor(self._plan.settings))
            self._ended = False
            self.log("info", "migrated", "the state before was made final; a new one goes on behind it")
        sink = self._last.sink if self._last.sink.get("kind") == self._sink.kind else {}
        arrived = self._sink.start(sink.get("position", {}), self._outbox.waiting())
        self._outbox.arrived(self._outbox.next_number - len(self._outbox) + arrived)
        same = self._last.source.get("kind") == self._source.kind
        try:
            self._source.start(self._last.source.get("position", {}) if same else {})
        except BaseException:
            self._sink.close()
            raise
        self._commit()
        how = {"generation": self._last.number, "waiting": len(self._outbox)}
        self.log("info", "started", "the monitor runs", source=self._source.kind, sink=self._sink.kind, **how)

    def run(self, stopped: Callable[[], bool]) -> Literal["ended", "stopped"]:
        """Go on until the source ends and everything has arrived, or until told to stop; the state is then written.

        Args:
            stopped: asked several times a second.

        Raises:
            InputError: E-STATE-CLOSED, more came from a source that had ended.
            ResourceError: the disk, the source or the sink refuses. The last generation is whole.
            BrokenPipeError: nobody reads standard output any more; the state is written.
        """
        try:
            how = self._run(stopped)
            self._finish()
        except BrokenPipeError:
            self._commit()
            raise
        finally:
            self._source.close()
            self._sink.close()
        self.log("info", how, "the state is written", generation=self._last.number, waiting=len(self._outbox))
        return how

    def _run(self, stopped: Callable[[], bool]) -> Literal["ended", "stopped"]:
        while not stopped():
            self.health.went_round()
            if self._round() or not self._source.ended:
                continue
            if not (self._ended or self._plan.keep_open):
                self._say(self._engine.close())
                self._ended = self._dirty = True
            if self._dirty:
                self._commit()
            if not self._outbox:
                return "ended"
            time.sleep(_BUSY)
        return "stopped"

    def _round(self) -> bool:
        """Take, write down, deliver, once; whether something came."""
        full = len(self._outbox) >= _MOST_LINES or self._outbox.n_bytes >= _MOST_BYTES
        taken = [] if full or self._source.ended else self._source.poll(_BUSY if self._dirty else _IDLE)
        if taken:
            if self._ended:
                hint = "begin with a new state folder, or --migrate to go on behind what is final"
                raise InputError("E-STATE-CLOSED", "the source had ended, and more came", hint=hint)
            self._say(self._engine.take(taken))
            self._dirty = True
        elif not full and not self._ended and self._source.connected:
            self._say(self._engine.beat())
        if self._due(idle=not taken, full=full):
            self._commit()
        if not self._dirty:
            self._source.committed()
        self._tell()
        if not self._deliver() and full:
            time.sleep(_BUSY)
        return bool(taken)

    def _say(self, lines: list[bytes]) -> None:
        for line in lines:
            self._outbox.put(line)
        self._dirty = self._dirty or bool(lines)

    def _due(self, *, idle: bool, full: bool) -> bool:
        since = time.monotonic() - self._written
        if not self._dirty:
            return self._arrived and idle and since >= _SETTLE
        if self._source.pressed:
            return True
        if since < _SHARE * self._cost:
            return False
        soon = idle and self._outbox.uncommitted > 0 and since >= min(_SOON, self._plan.checkpoint)
        return full or soon or since >= self._plan.checkpoint

    def _deliver(self) -> bool:
        lines = self._outbox.deliverable(_BATCH)
        if not lines:
            return False
        count = self._outbox.arrived(self._sink.deliver(lines))
        self._arrived = self._arrived or count > 0
        self.health.count("delivered", count)
        return count > 0

    def _commit(self) -> None:
        """Write a generation: all that was taken is safe, and what it says may leave."""
        begin = time.monotonic()
        generation = Generation(
            number=self._last.number + 1,
            config=self._config,
            parts={"monitor": self._engine.as_bytes()},
            source={"kind": self._source.kind, "position": self._source.position()},
            sink={"kind": self._sink.kind, "position": self._sink.position()},
            waiting=tuple(self._outbox.waiting()),
            next_line=self._outbox.next_number,
            newest=dict(self._engine.newest),
            client=self._last.client,
            bases=self._engine.bases,
            next_seq=dict(self._engine.next_seq),
            ended=self._ended,
        )
        size = self._folder.commit(generation)
        self._last = generation
        self._outbox.commit()
        self._dirty = self._arrived = False
        self._written = time.monotonic()
        self._cost = self._written - begin
        self.health.count("commits")
        self.health.levels.update(commit_seconds=self._cost, state_bytes=size)
        self._engine.measure()

    def _finish(self) -> None:
        """The last generation: with what a sink that is quick still takes."""
        if self._dirty:
            self._commit()
        self._source.committed()
        self._deliver()
        if self._arrived:
            self._commit()

    def _tell(self) -> None:
        for code, words in (*self._source.notices(), *self._sink.notices()):
            level: Literal["info", "warning", "error"] = "info"
            if code.startswith(("W-", "E-")):
                level = "warning" if code.startswith("W-") else "error"
            self.log(level, code, words)
        levels = self.health.levels
        levels["outbox_lines"], levels["source_behind"] = len(self._outbox), self._source.behind
        levels["source_connected"] = float(self._source.connected)
        self.health.total("redelivered_messages", getattr(self._source, "duplicates", 0))


def _differences(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What was set otherwise, field by field."""
    names = sorted({*kept, *wanted})
    return [f"{n} was {kept.get(n)}, is {wanted.get(n)}" for n in names if kept.get(n) != wanted.get(n)]


def warm_up(settings: StreamSettings) -> None:
    """Have the engine's code loaded or compiled, so that the first rows find it ready and a signal is soon heard.

    Args:
        settings: of the run.
    """
    monitor, n, rate = Monitor(settings), settings.warm_up + 256, settings.rate or 10.0
    high = 99.0 * (settings.noise or 1.0)
    rows = [i * i % 7919 % 13 + (high if n - i < 128 else 0.0) for i in range(n)]
    monitor.push("warm", [i / rate for i in range(n)], rows)
    monitor.close()

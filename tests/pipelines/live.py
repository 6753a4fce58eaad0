"""A source that tests fill, a run of the live monitor in this process, and what it should say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from align.monitor import Monitor, StreamSettings
from pipelines.engine import Engine
from pipelines.generations import Generation, StateFolder, held
from pipelines.health import Health
from pipelines.logs import Log
from pipelines.monitor import LiveRun, Plan
from pipelines.sinks import FileSink, Sink
from pipelines.sources import Source, Taken

SETTINGS = StreamSettings(rate=50.0, noise=1.0, lateness=0.1, horizon=256)
PLAN = Plan(SETTINGS, checkpoint=0.001)


def lines(n: int = 400, seed: int = 0) -> list[bytes]:
    """Rows of two streams whose level steps, and a few notes."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        level = 8.0 * ((i // 80) % 2)
        row = (level + rng.standard_normal(2)).round(3).tolist()
        made.append(json.dumps({"stream": ("a", "b")[i % 2], "t": i / 100, "v": row}).encode())
        if i % 150 == 20:
            made.append(json.dumps({"note": f"remark {i}", "t": i / 100}).encode())
    return made


def uninterrupted(
    given: Sequence[bytes], *, close: bool = True, settings: StreamSettings = SETTINGS
) -> bytes:
    """All lines of one monitor that takes everything at once."""
    engine = Engine(Monitor(settings), Health(), Log(io.StringIO()))
    said = engine.take([Taken(i, line) for i, line in enumerate(given, 1)])
    return b"".join(said + (engine.close() if close else []))


class ListSource:
    """Lines of a list, some at a time; its position is how many."""

    kind = "list"
    connected = True
    behind = 0

    def __init__(self, given: Sequence[bytes], step: int = 7, *, pressed: bool = False) -> None:
        self.given, self.step, self.at = list(given), step, 0
        self.pressed = pressed  # a generation after every part, however fast the machine is
        self.ended = False
        self.acknowledged = 0
        self.polled = 0

    def start(self, position: Mapping[str, Any]) -> None:
        self.at = int(position.get("at", 0))

    def poll(self, timeout: float) -> list[Taken]:
        self.polled += 1
        part = self.given[self.at : self.at + self.step]
        self.at += len(part)
        self.ended = not part
        return [Taken(self.at - len(part) + i, line) for i, line in enumerate(part, 1)]

    def position(self) -> dict[str, Any]:
        return {"at": self.at}

    def committed(self) -> None:
        self.acknowledged = self.at

    def notices(self) -> list[tuple[str, str]]:
        return []

    def close(self) -> None:
        self.closed = True


def live(
    state: Path,
    source: Source,
    sink: Sink | Path,
    plan: Plan = PLAN,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[str, list[dict[str, Any]]]:
    """Run until the source ends; how it ended, and the log."""
    said = io.StringIO()
    target = FileSink(sink) if isinstance(sink, Path) else sink
    with held(state) as folder:
        run = LiveRun(folder, plan, lambda client: source, lambda client: target, log=Log(said))
        how = run.run(stopped)
    return how, [json.loads(line) for line in said.getvalue().splitlines()]


def kept(state: Path) -> Generation:
    """The last generation of a state folder."""
    last = StateFolder(state).load()[0]
    assert last is not None
    return last

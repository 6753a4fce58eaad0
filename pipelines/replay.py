"""A recording as a live source: NDJSON lines, or any stream file, at a multiple of the speed at which it was made."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from align.errors import AlignError, ParameterError
from pipelines.ndjson import Heartbeat, Record, Remark, Rows, read_record
from pipelines.sources import Taken
from pipelines.tail import FileSource

__all__ = ["ReplaySource"]

_ROWS = 64  # of one block of a stream file
_AT_ONCE = 256


class ReplaySource:
    """The records of a file, in the order written or, of a stream file, in order of time.

    A record waits until the time between it and the first one, divided by the speed, has passed. What is read does not
    depend on the speed, so neither does what the monitor says.

    Args:
        path: ``.ndjson`` or ``.jsonl`` with the monitor's lines; else whatever ``align.readers`` reads.
        speed: how many times faster than real time, > 0; infinity: as fast as it goes.
    """

    kind = "replay"
    pressed = False
    connected = True
    behind = 0

    def __init__(self, path: Path, speed: float = math.inf) -> None:
        if not speed > 0:
            raise ParameterError("speed", speed, "a number > 0, as 100x, or max")
        self._path, self._speed = path, speed
        self._records: Iterator[Taken] = iter(())
        self._held: Taken | None = None
        self._count = 0
        self._first: tuple[float, float] | None = None  # time of the first record, and when it was given
        self.ended = False

    def start(self, position: Mapping[str, Any]) -> None:
        """Open the file, and pass over what was handed over before.

        Args:
            position: of ``position``.

        Raises:
            InputError, ResourceError: it cannot be read.
        """
        if self._path.suffix.lower() in (".ndjson", ".jsonl"):
            self._records = _lines(self._path)
        else:
            self._records = _blocks(self._path)
        self._count = int(position.get("records", 0))
        for _ in range(self._count):
            next(self._records, None)

    def poll(self, timeout: float) -> list[Taken]:
        """Records whose time has come."""
        taken: list[Taken] = []
        while len(taken) < _AT_ONCE:
            if self._held is None:
                self._held = next(self._records, None)
            if self._held is None:
                self.ended = True
                break
            wait = self._wait(self._held)
            if wait > 0:
                if not taken:
                    time.sleep(min(wait, timeout))
                break
            taken.append(self._held)
            self._held = None
        self._count += len(taken)
        return taken

    def _wait(self, taken: Taken) -> float:
        """Seconds until a record's time has come; one that cannot be read waits for nothing."""
        if math.isinf(self._speed):
            return 0.0
        seconds = _time_of(taken.what)
        if seconds is None:
            return 0.0
        if self._first is None:
            self._first = seconds, time.monotonic()
        return (seconds - self._first[0]) / self._speed - (time.monotonic() - self._first[1])

    def position(self) -> dict[str, Any]:
        """How many records were handed over."""
        return {"records": self._count}

    def committed(self) -> None:
        """Nothing to let go of."""

    def notices(self) -> list[tuple[str, str]]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""


def _time_of(what: bytes | Record | None) -> float | None:
    if isinstance(what, bytes):
        try:
            what = read_record(what)
        except AlignError:
            return None
    if isinstance(what, Rows):
        return float(what.times[0]) if len(what.times) else None
    return what.time if isinstance(what, Heartbeat | Remark) else None


def _lines(path: Path) -> Iterator[Taken]:
    file = FileSource(path, follow=False)
    file.start({})
    try:
        while not file.ended:
            yield from file.poll(0.0)
    finally:
        file.close()


def _blocks(path: Path) -> Iterator[Taken]:
    """Blocks of rows of all streams of a file, in order of their first rows' times."""
    from align import readers
    from align.datatypes import Stream

    def of(stream: Stream) -> Iterator[tuple[float, int, Rows]]:
        times = stream.times()
        for number, at in enumerate(range(0, len(times), _ROWS)):
            rows = Rows(
                stream.name,
                np.asarray(times[at : at + _ROWS], np.float64),
                np.asarray(stream.values[at : at + _ROWS], np.float64),
            )
            yield float(times[at]), number, rows

    streams = readers.read_streams(path)
    merged = heapq.merge(*(of(s) for s in streams), key=lambda block: block[0])
    for number, (_, _, rows) in enumerate(merged, 1):
        yield Taken(number, rows)

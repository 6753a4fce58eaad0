"""Records in, lines out: the live engine with its numbering, its counts, and what is done with a bad record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from align.errors import AlignError, InputError
from align.monitor import Monitor
from pipelines.health import Health
from pipelines.logs import Log
from pipelines.ndjson import (
    MOST_LINE,
    Acknowledgement,
    Anchor,
    Heartbeat,
    Record,
    Remark,
    Rows,
    event_line,
    read_record,
)
from pipelines.sources import Taken

__all__ = ["Engine"]


class Said(Protocol):
    """What engines say: an event that can be written."""

    def as_dict(self) -> dict[str, Any]: ...


class Engine:
    """A ``Monitor`` fed with what sources hand over.

    Consecutive rows of one stream go into the monitor together: it says the same however rows are packed.

    Args:
        monitor: takes the rows.
        health, log: what is counted and said of records that cannot be used.
        max_wait: seconds after which a stream that sends nothing counts as silent, or None: never.
    """

    def __init__(self, monitor: Monitor, health: Health, log: Log, max_wait: float | None = None) -> None:
        self._monitor, self._health, self._log, self._max_wait = monitor, health, log, max_wait
        self.bases: dict[str, int] = {}
        self.next_seq: dict[str, int] = {}
        self.newest: dict[str, float] = {}
        self._alive: dict[
            str, float
        ] = {}  # by the monotonic clock: when a stream last sent, or was last heard

    def restore(
        self, bases: Mapping[str, int], next_seq: Mapping[str, int], newest: Mapping[str, float]
    ) -> None:
        """Go on with the numbers of a generation.

        Args:
            bases, next_seq, newest: of ``Generation``.
        """
        self.bases, self.next_seq, self.newest = dict(bases), dict(next_seq), dict(newest)
        self._alive = dict.fromkeys(newest, time.monotonic())

    def begin_anew(self, monitor: Monitor) -> None:
        """Go on with another monitor, whose numbers follow those of the one before.

        Args:
            monitor: that said nothing yet.
        """
        self._monitor, self.bases = monitor, dict(self.next_seq)

    def as_bytes(self) -> bytes:
        """The monitor's state."""
        return self._monitor.as_bytes()

    def take(self, taken: Sequence[Taken]) -> list[bytes]:
        """What is to be said of what came.

        Args:
            taken: from a source, in order.
        """
        self._health.count("records", len(taken))
        lines: list[bytes] = []
        for group in _grouped(self._records(taken)):
            lines += self._lines(self._said(group))
        return lines

    def _records(self, taken: Sequence[Taken]) -> Iterator[tuple[int, Record]]:
        for one in taken:
            try:
                if one.what is None:
                    raise InputError(
                        "E-LIMIT", f"a line over {MOST_LINE:,} bytes", hint="send smaller blocks"
                    )
                record = read_record(one.what) if isinstance(one.what, bytes) else one.what
            except AlignError as error:
                self._bad(error, one.line)
                continue
            if record is not None and not (isinstance(record, Rows) and not len(record.times)):
                yield one.line, record

    def _bad(self, error: AlignError, line: int) -> None:
        self._health.count("bad_records", label=error.code)
        self._log.error(error, line=line)

    def _said(self, group: list[tuple[int, Record]]) -> Iterable[Said]:
        line, record = group[0]
        try:
            if isinstance(record, Remark):
                self._health.count("notes")
                return self._monitor.note(record.text, record.time)
            if isinstance(record, Heartbeat):
                return self._monitor.heartbeat(record.stream, record.time)
            if isinstance(record, Acknowledgement):
                return self._monitor.acknowledge(record.rule)
            if isinstance(record, Anchor):
                return self._monitor.anchor(record.stream, record.time, record.reference, record.at)
            rows = [r for _, r in group if isinstance(r, Rows)]
            times = np.concatenate([r.times for r in rows])
            values = np.concatenate([r.values for r in rows])
            events = self._monitor.push(record.stream, times, values, sequence=record.sequence)
        except AlignError as error:
            if len(group) > 1:  # the bad row alone is left out
                return [event for one in group for event in self._said([one])]
            self._bad(error, line)
            return []
        self._health.count("rows", len(times))
        self.newest[record.stream], self._alive[record.stream] = float(times[-1]), time.monotonic()
        return events

    def beat(self) -> list[bytes]:
        """What is to be said of streams that have been silent for longer than ``max_wait``, while nothing came."""
        if self._max_wait is None:
            return []
        now, lines = time.monotonic(), list[bytes]()
        for stream, since in self._alive.items():
            if now - since >= self._max_wait:
                self.newest[stream] += now - since
                self._alive[stream] = now
                lines += self._lines(self._monitor.heartbeat(stream, self.newest[stream]))
        return lines

    def close(self) -> list[bytes]:
        """Nothing more will come: what is still to be said, all final."""
        return self._lines(self._monitor.close())

    def _lines(self, events: Iterable[Said]) -> list[bytes]:
        lines = []
        for event in events:
            about = event.as_dict()
            stream = about["stream"]
            base = self.bases.get(stream, 0)
            about["seq"] += base
            if about.get("revises") is not None:
                about["revises"] += base
            self.next_seq[stream] = about["seq"] + 1
            self._health.count("events", label=about["event"])
            lines.append(event_line(about))
        return lines

    def measure(self) -> None:
        """Bring the counts and levels of streams up to date."""
        counts = self._monitor.counts()
        for name, counter in (("late", "late_rows"), ("duplicates", "duplicate_rows"), ("lost", "lost_rows")):
            self._health.total(counter, sum(of[name] for of in counts.values()))
        lags = [
            self.newest[s] - (self._monitor.watermark(s) or self.newest[s])
            for s in counts
            if s in self.newest
        ]
        self._health.levels["finality_lag_seconds"] = max(lags, default=0.0)
        self._health.levels["streams"] = len(counts)


def _grouped(records: Iterator[tuple[int, Record]]) -> Iterator[list[tuple[int, Record]]]:
    """Consecutive rows of one stream with as many channels, where their source does not number them."""
    group: list[tuple[int, Record]] = []
    for line, record in records:
        if group and not _joins(group[-1][1], record):
            yield group
            group = []
        group.append((line, record))
    if group:
        yield group


def _joins(before: Record, record: Record) -> bool:
    return (
        isinstance(before, Rows)
        and isinstance(record, Rows)
        and before.stream == record.stream
        and before.sequence is None
        and record.sequence is None
        and before.values.shape[1] == record.values.shape[1]
    )

"""Where a live monitor reads: what every source can do, and standard input.

A source hands over raw lines. It is told when everything that it handed over is safe on the disk (``committed``), and
only then lets go of it. One thread polls it; nothing is read while nothing is asked, so a slow monitor holds its
producer back.
"""

from __future__ import annotations

import os
import select
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from align.errors import ResourceError
from pipelines.ndjson import MOST_LINE, Record

__all__ = ["Lines", "Source", "StdinSource", "Taken"]

_BLOCK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One line, or record, that a source handed over; None for a line over the limit. ``line`` counts from 1."""

    line: int
    what: bytes | Record | None


class Source(Protocol):
    """What a live monitor reads from.

    Attributes:
        kind: "stdin", "file", "mqtt" or "replay".
        ended: nothing more will come.
        pressed: its producer waits for ``committed`` before it sends more.
        connected: whether it could hand something over at all.
        behind: what is known to wait: bytes of a file, messages of a queue.
    """

    kind: str

    @property
    def ended(self) -> bool: ...
    @property
    def pressed(self) -> bool: ...
    @property
    def connected(self) -> bool: ...
    @property
    def behind(self) -> int: ...
    def start(self, position: Mapping[str, Any]) -> None:
        """Begin, or go on behind a position."""

    def poll(self, timeout: float) -> list[Taken]:
        """What has come; waits for ``timeout`` seconds at most."""

    def position(self) -> dict[str, Any]:
        """Where all that was handed over ends, as plain JSON values."""

    def committed(self) -> None:
        """All that was handed over is safe."""

    def notices(self) -> list[tuple[str, str]]:
        """What happened since last asked, as code and words."""

    def close(self) -> None:
        """Let go."""


class Lines:
    """Bytes as they come -> whole lines. The rest of a line over the limit is skipped without being kept.

    Args:
        line: how many lines came before.
    """

    def __init__(self, line: int = 0) -> None:
        self.line = line
        self._rest = b""
        self._skipping = False

    @property
    def held(self) -> int:
        """Bytes of the line that has not ended."""
        return len(self._rest)

    def put(self, block: bytes) -> list[Taken]:
        """The lines that end in a block.

        Args:
            block: what follows.
        """
        *ended, rest = (self._rest + block).split(b"\n")
        taken = []
        for part in ended:
            self.line += 1
            taken.append(Taken(self.line, None if self._skipping or len(part) > MOST_LINE else part))
            self._skipping = False
        self._skipping = self._skipping or len(rest) > MOST_LINE
        self._rest = b"" if self._skipping else rest
        return taken

    def end(self) -> list[Taken]:
        """The last line, where it has no line end. JSON that was cut off does not read: it is not taken for whole."""
        return self.put(b"\n") if self._rest or self._skipping else []


class StdinSource:
    """Standard input. What was read and not committed is lost with a killed process: its producer must send it again.

    Args:
        descriptor: to read from.
    """

    kind = "stdin"
    pressed = False
    connected = True
    behind = 0

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._lines = Lines()
        self.ended = False

    def start(self, position: Mapping[str, Any]) -> None:
        """Nothing to go back to: a pipe has no position."""

    def poll(self, timeout: float) -> list[Taken]:
        """Lines that have come."""
        if self.ended or not select.select([self._descriptor], [], [], timeout)[0]:
            return []
        try:
            block = os.read(self._descriptor, _BLOCK)
        except BlockingIOError:
            return []
        except OSError as error:
            raise ResourceError(
                "E-SOURCE", f"standard input cannot be read: {os.strerror(error.errno or 0)}"
            ) from error
        if block:
            return self._lines.put(block)
        self.ended = True
        return self._lines.end()

    def position(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def committed(self) -> None:
        """Nothing to let go of."""

    def notices(self) -> list[tuple[str, str]]:
        """None."""
        return []

    def close(self) -> None:
        """Standard input stays open: it is not this object's."""

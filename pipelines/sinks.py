"""Where a live monitor writes: what every sink can do, standard output, and a file written exactly once."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from align.errors import ResourceError, UnsafeError
from pipelines.rotation import rotations_of
from pipelines.store import named_errors

__all__ = ["FileSink", "Sink", "StdoutSink", "broken_sink"]

_PIPE = 4_096  # bytes that a pipe which can be written takes whole


class Sink(Protocol):
    """What a live monitor writes to.

    Attributes:
        kind: "stdout", "file", "mqtt" or "http".
    """

    kind: str

    def start(self, position: Mapping[str, Any], waiting: Sequence[bytes]) -> int:
        """Begin, or go on: ``waiting`` are the lines that may have arrived behind ``position``; how many did?"""

    def deliver(self, lines: Sequence[tuple[int, bytes]]) -> int:
        """Take lines under their numbers, the first that have not arrived; return the number below which all have.

        Called again and again with the same first lines until they have arrived; waits a tenth of a second at most.
        """

    def position(self) -> dict[str, Any]:
        """Where the lines that have arrived end, safe on the disk, as plain JSON values."""

    def notices(self) -> list[tuple[str, str]]:
        """What happened since last asked, as code and words."""

    def close(self) -> None:
        """Let go."""


class StdoutSink:
    """Standard output, at least once: after a crash lines come again, and ``(stream, seq)`` tells.

    Lines go in pieces of at most 4,096 bytes that end with a line, and only when a pipe takes them at once: a reader
    that sleeps does not keep the monitor from stopping, and never finds half a line at the end (unless the line is
    longer).

    Args:
        descriptor: to write to.
    """

    kind = "stdout"

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._begun = 0  # bytes of the first line that went already: it is longer than a piece

    def start(self, position: Mapping[str, Any], waiting: Sequence[bytes]) -> int:
        """A pipe does not say what arrived: all come again."""
        return 0

    def deliver(self, lines: Sequence[tuple[int, bytes]]) -> int:
        """Write what the reader takes; BrokenPipeError when there is none any more."""
        below = lines[0][0] if lines else 0
        while lines and select.select([], [self._descriptor], [], 0.05)[1]:
            piece, count = lines[0][1][self._begun : self._begun + _PIPE], 1
            while count < len(lines) and not self._begun and len(piece) + len(lines[count][1]) <= _PIPE:
                piece += lines[count][1]
                count += 1
            try:
                written = os.write(self._descriptor, piece)
            except BlockingIOError:
                break
            self._begun += written
            while lines and self._begun >= len(lines[0][1]):
                self._begun -= len(lines[0][1])
                below = lines[0][0] + 1
                lines = lines[1:]
        return below

    def position(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def notices(self) -> list[tuple[str, str]]:
        """None."""
        return []

    def close(self) -> None:
        """Standard output stays open: it is not this object's."""


class FileSink:
    """A file that holds every line exactly once, whatever happens to the process.

    A generation knows how long the file was and which lines come next; after a crash what stands behind that length
    tells which of them arrived, half a line is cut off, and the others are written. A file that was moved away
    (rotated) is left as it is and a new one begun.

    Args:
        path: of the file; made with mode 0600.
        force: begin anew where a file is there that this state did not write.
    """

    kind = "file"

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self._path, self._force = path, force
        self._descriptor = -1
        self._end = 0
        self._dirty = True
        self._notices: list[tuple[str, str]] = []

    def start(self, position: Mapping[str, Any], waiting: Sequence[bytes]) -> int:
        """Open the file, see which lines arrived and cut off what is half a line.

        Args:
            position: of ``position``; empty: this state did not write it yet.
            waiting: the lines behind.

        Raises:
            UnsafeError: E-EXISTS, somebody else's file is there; E-SINK-CHANGED, somebody else wrote into it.
            ResourceError: it cannot be written.
        """
        arrived = 0
        with named_errors(self._path):
            self._open()
            there = os.fstat(self._descriptor)
            if not stat.S_ISREG(there.st_mode):
                raise UnsafeError(
                    "E-EXISTS", "is a device, pipe or folder", hint="give a file's name", file=self._path
                )
            if position and _identity(there) == position["file"]:
                self._end = int(position["end"])
            elif position:
                arrived = self._in_rotated(position, waiting)
            elif there.st_size and not self._force:
                hint = "--force begins it anew, or go on with the state that wrote it"
                raise UnsafeError(
                    "E-EXISTS", "exists already, and this state did not write it", hint=hint, file=self._path
                )
            if position:
                count, size = self._arrived(self._descriptor, self._end, waiting[arrived:])
                arrived, self._end = arrived + count, self._end + size
            os.ftruncate(self._descriptor, self._end)
        return arrived

    def _in_rotated(self, position: Mapping[str, Any], waiting: Sequence[bytes]) -> int:
        """How many of the waiting lines stand in the file that was written before and has been moved away."""
        for path in rotations_of(self._path):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if _identity(os.fstat(descriptor)) == position["file"]:
                    return self._arrived(descriptor, int(position["end"]), waiting)[0]
            finally:
                os.close(descriptor)
        self._notices.append(("W-SINK-NEW", "the file written before is gone; a new one is begun"))
        return 0

    def _arrived(self, descriptor: int, end: int, waiting: Sequence[bytes]) -> tuple[int, int]:
        """How many of the waiting lines stand behind ``end``, and their bytes."""
        behind, expected = os.fstat(descriptor).st_size - end, b"".join(waiting)
        if behind < 0 or behind > len(expected) or os.pread(descriptor, behind, end) != expected[:behind]:
            hint = "move it away: a new one is then begun, with all that has not arrived"
            raise UnsafeError(
                "E-SINK-CHANGED", "somebody else wrote into the file", hint=hint, file=self._path
            )
        count = size = 0
        while count < len(waiting) and size + len(waiting[count]) <= behind:
            size += len(waiting[count])
            count += 1
        return count, size

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(self._path, flags, 0o600)
        self._end = 0

    def deliver(self, lines: Sequence[tuple[int, bytes]]) -> int:
        """Write the lines; the next ``position`` syncs them."""
        if not lines:
            return 0
        with named_errors(self._path):
            if self._rotated():
                os.fsync(self._descriptor)
                os.close(self._descriptor)
                self._open()
                self._end = os.fstat(self._descriptor).st_size
                self._notices.append(("W-SINK-NEW", "the file was moved away; a new one is begun"))
            raw, at = b"".join(line for _, line in lines), self._end
            while raw:
                written = os.pwrite(self._descriptor, raw, at)
                at, raw = at + written, raw[written:]
        self._end, self._dirty = at, True
        return lines[-1][0] + 1

    def _rotated(self) -> bool:
        try:
            there = os.lstat(self._path)
        except FileNotFoundError:
            return True
        return _identity(there) != _identity(os.fstat(self._descriptor))

    def position(self) -> dict[str, Any]:
        """Which file, and how many bytes of it are written and synced."""
        if self._dirty:
            with named_errors(self._path):
                os.fsync(self._descriptor)
            self._dirty = False
        return {"file": _identity(os.fstat(self._descriptor)), "end": self._end}

    def notices(self) -> list[tuple[str, str]]:
        """What happened to the file."""
        said, self._notices = self._notices, []
        return said

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _identity(found: os.stat_result) -> list[int]:
    return [found.st_dev, found.st_ino]


def broken_sink(what: str, reason: str) -> ResourceError:
    """The sink will never take this: the line stays in the outbox.

    Args:
        what: the sink, in words.
        reason: a kind or a number.
    """
    hint = "mend the sink or its address and start again: nothing was lost"
    return ResourceError("E-SINK-REFUSED", f"{what} refused an event: {reason}", hint=hint)

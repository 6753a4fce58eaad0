"""A growing file as a source: followed through rotation and truncation, and found again after a restart."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from align.errors import InputError
from pipelines.rotation import rotations_of
from pipelines.sources import Lines, Taken
from pipelines.store import named_errors

__all__ = ["FileSource"]

_BLOCK = 65_536
_HEAD = 1_024  # bytes at the beginning, whose hash tells a file from another that got its number
_PATIENCE = 1.0  # seconds in which the writer of a file that was moved away may still finish it


class FileSource:
    """The lines of a file, and of the file that takes its place, as they are written.

    Position: device and number (inode) of the file, a hash of its beginning, and bytes of whole lines. After a restart
    a file that was moved to ``NAME.1`` or the like in the same folder meanwhile is read to its end, then those
    written after it, oldest first. A file shorter than its position was truncated and is read from its beginning.

    Args:
        path: of the file; it may be made later.
        follow: go on at the end; else the end of the file ends the source.
    """

    kind = "file"
    pressed = False

    def __init__(self, path: Path, *, follow: bool = True) -> None:
        self._path, self._follow = path, follow
        self._descriptor: int | None = None
        self._lines, self._offset = Lines(), 0
        self._head = hashlib.sha256()
        self._head_bytes = 0
        self._moved: float | None = None  # since when the name leads to another file
        self._notices: list[tuple[str, str]] = []
        self.ended = False

    @property
    def connected(self) -> bool:
        return self._descriptor is not None

    @property
    def behind(self) -> int:
        if self._descriptor is None:
            return 0
        return max(0, os.fstat(self._descriptor).st_size - self._offset)

    def start(self, position: Mapping[str, Any]) -> None:
        """Open the file, or go on where ``position`` was, in whatever file that is now.

        Args:
            position: of ``position``; empty: the beginning of the file.

        Raises:
            InputError: E-NOT-A-FILE.
            ResourceError: it cannot be read.
        """
        if not position:
            self._open(self._path)
            return
        found = self._find(position)
        if found is None:
            self._notices.append(
                ("W-SOURCE-GONE", "the file read before is not there any more; what followed is lost")
            )
            self._open(self._path)
            return
        self._open(found)
        if self._descriptor is None:
            return
        self._skip(int(position["offset"]), int(position["line"]))

    def _skip(self, offset: int, line: int) -> None:
        assert self._descriptor is not None
        self._offset, self._lines = offset, Lines(line)
        self._take_head(os.pread(self._descriptor, min(offset, _HEAD), 0))
        os.lseek(self._descriptor, offset, os.SEEK_SET)

    def _find(self, position: Mapping[str, Any]) -> Path | None:
        for path in (self._path, *rotations_of(self._path)):
            with contextlib.suppress(OSError):
                found = os.stat(path)
                same = [found.st_dev, found.st_ino] == list(position["file"])
                if same and found.st_size >= position["offset"] and _head(path, position) == position["head"]:
                    return path
        return None

    def _open(self, path: Path) -> None:
        self._close()
        self._lines, self._offset = Lines(), 0
        self._head, self._head_bytes = hashlib.sha256(), 0
        with named_errors(self._path):
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    raise InputError("E-NOT-A-FILE", "not a regular file", file=self._path)
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                if not self._follow:
                    raise InputError("E-MISSING", "no such file", file=self._path) from None

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def poll(self, timeout: float) -> list[Taken]:
        """Lines that were written; at the end of a file that was moved away, the file in its place."""
        if self._descriptor is None:
            self._open(self._path)
        block = self._read()
        if block:
            self._moved = None
            return self._lines.put(block)
        if not self._follow:
            self.ended = True
            return self._lines.end()
        replaced = self._replaced()
        if replaced is not None:
            rest = self._lines.end()
            self._open(replaced)
            return rest
        time.sleep(timeout)
        return []

    def _read(self) -> bytes:
        if self._descriptor is None:
            return b""
        with named_errors(self._path):
            if os.fstat(self._descriptor).st_size < self._offset:
                self._notices.append(
                    ("W-SOURCE-TRUNCATED", "the file was truncated; it is read from its beginning")
                )
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                self._lines, self._offset = Lines(self._lines.line), 0
                self._head, self._head_bytes = hashlib.sha256(), 0
            block = os.read(self._descriptor, _BLOCK)
        self._offset += len(block)
        self._take_head(block)
        return block

    def _take_head(self, block: bytes) -> None:
        part = block[: _HEAD - self._head_bytes]
        self._head.update(part)
        self._head_bytes += len(part)

    def _replaced(self) -> Path | None:
        """The file to go on with, once the name leads to another one for a while."""
        if self._descriptor is None:
            return None
        mine = os.fstat(self._descriptor)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return None
        if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
            self._moved = None
            return None
        self._moved = time.monotonic() if self._moved is None else self._moved
        if time.monotonic() - self._moved < _PATIENCE:
            return None
        self._moved = None
        later = [p for p in rotations_of(self._path) if p.stat().st_mtime_ns > mine.st_mtime_ns]
        others = [p for p in later if (p.stat().st_dev, p.stat().st_ino) != (mine.st_dev, mine.st_ino)]
        return others[0] if others else self._path

    def position(self) -> dict[str, Any]:
        """Which file, and how many bytes and lines of it were handed over."""
        if self._descriptor is None:
            return {}
        mine = os.fstat(self._descriptor)
        return {
            "file": [mine.st_dev, mine.st_ino],
            "head": self._head.hexdigest(),
            "head_bytes": self._head_bytes,
            "offset": self._offset - self._lines.held,
            "line": self._lines.line,
        }

    def committed(self) -> None:
        """Nothing to let go of: the file stays where it is."""

    def notices(self) -> list[tuple[str, str]]:
        """What happened to the file."""
        said, self._notices = self._notices, []
        return said

    def close(self) -> None:
        """Close the file."""
        self._close()


def _head(path: Path, position: Mapping[str, Any]) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(int(position["head_bytes"]))).hexdigest()

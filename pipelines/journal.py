"""What a batch has done so far: one line per event, added at the end, each with its own checksum.

A line is a JSON object with ``check``, the first 16 hexadecimal digits of the SHA-256 of the rest. A process that
is killed leaves at worst a torn last line; it is cut off when the journal is opened again. A line in the middle
that does not fit its checksum is left out and counted: what it told of is done again.

The journal is never ahead of the disk: results are synced before their line is written. It may be behind it: lines
are synced once a second and when it is closed. A killed process loses no line (the kernel holds them), a power
cut at most a second of them, and the items of lost lines are done again, to the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from align.errors import UnsafeError
from pipelines.store import named_errors, sync_folder

__all__ = ["Journal", "Lines", "read_journal"]

_SYNC_EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Lines:
    """What a journal holds.

    Attributes:
        lines: as written, without their checksums.
        damaged: lines that do not fit their checksums, but for a torn last one.
        good_bytes: where the next line goes; what lies behind it is torn.
    """

    lines: tuple[Mapping[str, Any], ...] = ()
    damaged: int = 0
    good_bytes: int = 0


def read_journal(path: Path) -> Lines:
    """Read a journal; one that does not exist is empty.

    Args:
        path: of the journal.

    Raises:
        UnsafeError: E-SYMLINK, it is a link or no regular file.
        ResourceError: it cannot be read.
    """
    if not os.path.lexists(path):
        return Lines()
    if path.is_symlink() or not path.is_file():
        raise UnsafeError("E-SYMLINK", "the journal is a link or no regular file", file=path)
    lines, damaged, good, at = [], 0, 0, 0
    with named_errors(path), path.open("rb") as file:
        for raw in file:
            at += len(raw)
            if not raw.endswith(b"\n"):
                break
            good = at
            line = _checked(raw)
            if line is None:
                damaged += 1
            else:
                lines.append(line)
    return Lines(tuple(lines), damaged, good)


def _checked(raw: bytes) -> Mapping[str, Any] | None:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict):
        return None
    check = line.pop("check", None)
    return line if check == _check(line) else None


def _check(line: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(line).encode()).hexdigest()[:16]


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, sort_keys=True, allow_nan=False, separators=(",", ":"))


class Journal:
    """An open journal: ``add`` a line; close it by leaving its ``with`` block.

    Args:
        path: of the journal; made (mode 0600) if it is not there.
        good_bytes: of ``read_journal``; what lies behind is cut off.

    Raises:
        ResourceError: the disk refuses; the journal then ends with the last whole line.
    """

    def __init__(self, path: Path, good_bytes: int = 0) -> None:
        self._path, self._end, self._synced = path, good_bytes, time.monotonic()
        with named_errors(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o600)
            try:
                os.ftruncate(self._descriptor, good_bytes)
                sync_folder(path.parent)
            except OSError:
                os.close(self._descriptor)
                raise

    def add(self, line: Mapping[str, Any]) -> None:
        """Write one line, whole or not at all.

        Args:
            line: JSON values; ``check`` is added.

        Raises:
            ResourceError: the disk refuses.
        """
        raw = (_text({**line, "check": _check(line)}) + "\n").encode()
        with named_errors(self._path):
            try:
                at = self._end
                while raw:
                    written = os.pwrite(self._descriptor, raw, at)
                    at, raw = at + written, raw[written:]
            except OSError:
                with contextlib.suppress(OSError):  # a torn line is cut off when the journal is opened again
                    os.ftruncate(self._descriptor, self._end)
                raise
            self._end = at
            if time.monotonic() - self._synced >= _SYNC_EVERY:
                self.sync()

    def sync(self) -> None:
        """Have the lines on the disk. A disk that fails to is not asked again."""
        with named_errors(self._path):
            os.fsync(self._descriptor)
        self._synced = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.sync()
            else:
                with contextlib.suppress(OSError):  # the error that ends the block is the one to be told
                    os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

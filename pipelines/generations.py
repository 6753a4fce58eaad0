"""The live monitor's state folder: one generation is one file, whole or not there; the one before stays beside it.

A generation holds together what belongs together: the engine's state, how far the source was read, how far the sink
was written, and the lines that may not have arrived. So whatever moment a process dies at, the next one
finds a moment at which all of that agreed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from align.errors import AlignError, InputError, LockedError
from align.sealed import opened, sealed
from pipelines.store import atomic_write, named_errors, only_writer, sweep_stale

__all__ = ["Generation", "StateFolder", "held"]

FORMAT = "align-live/1"
_STATE, _PREVIOUS, _HOLDER = "state", "state.previous", "holder.json"
_HINT = "begin with a new state folder"


@dataclass(frozen=True, slots=True)
class Generation:
    """Everything that is kept, at one moment.

    Attributes:
        number: 1, 2, 3, ..
        config: what it ran with, as plain JSON values.
        parts: the states of engines, as bytes by name.
        source, sink: their positions, as they gave them.
        waiting: lines that may not have arrived, up to number ``next_line``.
        next_line: number of the next line.
        newest: per stream, the time of the row that came last.
        client: name under which a broker keeps this state's session.
        bases, next_seq: per stream, what is added to the engine's ``seq``, and the next ``seq`` that is written.
        ended: the source has ended and everything is final.
    """

    number: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, bytes] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    sink: Mapping[str, Any] = field(default_factory=dict)
    waiting: tuple[bytes, ...] = ()
    next_line: int = 0
    newest: Mapping[str, float] = field(default_factory=dict)
    client: str = ""
    bases: Mapping[str, int] = field(default_factory=dict)
    next_seq: Mapping[str, int] = field(default_factory=dict)
    ended: bool = False

    def as_bytes(self) -> bytes:
        """The generation under one checksum."""
        about = {name: value for name, value in asdict(self).items() if name not in ("parts", "waiting")}
        about |= {"format": FORMAT, "waiting": [line.decode("ascii") for line in self.waiting]}
        arrays = {name: np.frombuffer(part, np.uint8) for name, part in self.parts.items()}
        return sealed(about, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Generation:
        """The generation that ``as_bytes`` gave.

        Args:
            data: its bytes.

        Raises:
            InputError: E-CHECKSUM; E-STATE-VERSION, written by another version.
        """
        about, arrays = opened(data, "the state", _HINT)
        if about.pop("format", None) != FORMAT:
            raise InputError("E-STATE-VERSION", f"a state of another version; allowed: {FORMAT}", hint=_HINT)
        about["waiting"] = tuple(line.encode("ascii") for line in about["waiting"])
        return cls(**about, parts={name: array.tobytes() for name, array in arrays.items()})


class StateFolder:
    """Generations on the disk.

    Args:
        folder: exists, and is this process's alone (``held``).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> tuple[Generation | None, str | None]:
        """The last whole generation, None where there never was one; and why it is not the last written, if so.

        Raises:
            InputError: E-CHECKSUM, E-STATE-VERSION: no generation is whole.
            ResourceError: a file cannot be read.
        """
        damage: AlignError | None = None
        for name in (_STATE, _PREVIOUS):
            path = self._folder / name
            try:
                with named_errors(path), contextlib.suppress(FileNotFoundError):
                    return Generation.from_bytes(path.read_bytes()), None if damage is None else damage.code
            except InputError as error:
                damage = damage or error
        if damage is not None:
            raise InputError(damage.code, damage.message, hint=damage.hint, file=self._folder / _STATE)
        return None, None

    def commit(self, generation: Generation) -> int:
        """Put a generation on the disk, synced, and return its bytes; the one before becomes the previous.

        A process that dies between the two steps leaves the previous alone, which is then the last.

        Args:
            generation: to keep.

        Raises:
            ResourceError: the disk refuses; the last generation is still there.
        """
        data = generation.as_bytes()
        path = self._folder / _STATE
        with named_errors(path), contextlib.suppress(FileNotFoundError):
            os.replace(path, self._folder / _PREVIOUS)
        atomic_write(path, data, force=True)
        return len(data)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[StateFolder]:
    """Make the folder if need be, keep other processes out while the block runs, and sweep up after dead ones.

    Args:
        folder: the state folder; made with mode 0700.

    Raises:
        LockedError: E-LOCKED, another process holds it; the message has its number and host.
        ResourceError: the folder cannot be made or locked.
    """
    with named_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    holder = folder / _HOLDER
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_writer(folder, "monitor"))
        except LockedError as error:
            raise LockedError(
                "E-LOCKED",
                f"another monitor runs on this state, {_who(holder)}",
                hint="stop it, or give this one a state folder of its own",
                file=folder,
            ) from error
        sweep_stale(folder)
        me = {"pid": os.getpid(), "host": socket.gethostname()}
        atomic_write(holder, json.dumps(me), force=True)
        yield StateFolder(folder)


def _who(holder: Path) -> str:
    try:
        found = json.loads(holder.read_bytes())
        return f"process {int(found['pid'])} on {str(found['host'])[:253]}"
    except (OSError, ValueError, TypeError, KeyError):  # it has the lock and has not written its name yet
        return "a process that has just begun"

"""A model folder while its training runs: the log and the checkpoints, each put there whole, one writer at a time.

Without checkpoints nothing is written before the model is. With them the folder holds ``training.jsonl`` and one
``NAME.checkpoint`` per network that is trained; they go when the model is there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from align.errors import InputError, UnsafeError
from pipelines.store import atomic_write, check_output, only_writer, prepare_output

if TYPE_CHECKING:
    from align.coordination.loop.journal import Journal

__all__ = ["CHECKPOINTS", "LOG", "Keeping", "check_training_folder", "leads", "log_bytes", "training_journal"]

LOG = "training.jsonl"
_AGAIN = ("", *(f"-{k}" for k in range(2, 12)))  # of the trainings that learn from what the last was sure of
CHECKPOINTS = tuple(f"{name}{again}.checkpoint" for name in ("held-out", "final") for again in _AGAIN)
_MODEL = "model.json"
_LARGEST = 40_000_000_000  # bytes of a checkpoint
Lines = list[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept while a training runs.

    Attributes:
        every: steps from checkpoint to checkpoint; 0: none are written.
        resume: go on from the checkpoints in the folder, if there are any.
        force: replace what is in the folder.
    """

    every: int = 0
    resume: bool = False
    force: bool = False

    @property
    def is_wanted(self) -> bool:
        """Does the folder take part before the model is written?"""
        return self.every > 0 or self.resume


def check_training_folder(out: Path, keeping: Keeping, known: tuple[str, ...]) -> None:
    """Say before work starts what would be refused. Changes nothing.

    Args:
        out: the model folder to be.
        keeping: what was asked for.
        known: names of a finished model's files.

    Raises:
        UnsafeError: E-EXISTS, as ``check_output``; with ``resume``, a folder that holds a finished model, or
            anything but a training.
        ResourceError: the folder cannot be written.
    """
    held = set(os.listdir(out)) if out.is_dir() else set()
    if keeping.resume and not keeping.force:
        if _MODEL in held:
            raise UnsafeError(
                "E-EXISTS", "holds a finished model: nothing to resume", hint="--force trains anew", file=out
            )
        ours = {LOG, *CHECKPOINTS}
        if held & ours and all(name in ours or name.startswith(".align-") for name in held):
            check_output(out, force=True, known=known)
            return
    check_output(out, force=keeping.force, known=known)


@contextlib.contextmanager
def training_journal(
    out: Path,
    keeping: Keeping,
    known: tuple[str, ...],
    listeners: Sequence[Callable[[Mapping[str, object]], None]] = (),
) -> Iterator[tuple[Journal, Lines]]:
    """The journal of a training whose log and checkpoints go to a folder, and the lines as they come.

    The folder belongs to this process until the block ends.

    Args:
        out: the model folder to be.
        keeping: what to keep; without checkpoints and resuming the folder is not touched.
        known: names of a finished model's files, removed when ``force`` starts anew.
        listeners: called with every line.

    Raises:
        LockedError: E-LOCKED, another training writes there.
        UnsafeError, ResourceError: as ``check_training_folder``; the disk refuses.
        InputError: E-LIMIT, a checkpoint larger than any.
    """
    from align.coordination.loop.journal import Journal

    lines: Lines = []

    def told(one: Mapping[str, object]) -> None:
        lines.append(one)
        for listener in listeners:
            listener(one)

    if not keeping.is_wanted:
        yield Journal(line=told), lines
        return
    going_on = keeping.resume and any((out / name).exists() for name in CHECKPOINTS)

    def kept(training: str) -> bytes | None:
        return _read(out / f"{training}.checkpoint") if going_on else None

    if not leads():
        yield Journal(line=told, kept=kept), lines
        return

    def logged(one: Mapping[str, object]) -> None:
        told(one)
        atomic_write(out / LOG, log_bytes(lines), force=True)

    def keep(training: str, data: bytes) -> None:
        atomic_write(out / f"{training}.checkpoint", data, force=True)

    check_training_folder(out, keeping, known)
    prepare_output(out, force=True, known=())
    with only_writer(out, "training"):
        prepare_output(out, force=True, known=() if going_on else (*known, LOG, *CHECKPOINTS))
        yield Journal(line=logged, keep=keep, kept=kept, every=keeping.every), lines


def leads() -> bool:
    """Is this the process that writes? Alone, or the first that a launcher (``torchrun``) started."""
    return os.environ.get("RANK", "0") == "0"


def log_bytes(lines: Sequence[Mapping[str, object]]) -> bytes:
    """The log: one JSON object a line.

    Args:
        lines: as the journal gave them.
    """
    return "".join(json.dumps(line, sort_keys=True, allow_nan=False) + "\n" for line in lines).encode()


def _read(path: Path) -> bytes | None:
    if path.is_symlink():
        raise UnsafeError("E-SYMLINK", "a checkpoint is a link to another place", file=path.name)
    if not path.is_file():
        return None
    if path.stat().st_size > _LARGEST:
        raise InputError("E-LIMIT", f"more than {_LARGEST} bytes: no checkpoint is as large", file=path.name)
    return path.read_bytes()

"""A monitor's state on disk: written whole, the one before beside it; compared with what it is to run with."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from align.errors import AlignError, InputError
from align.segmentation.live_events import StreamSettings

__all__ = ["check_same", "check_same_parts", "read_state", "write_state"]

Made = TypeVar("Made")


def write_state(path: str | os.PathLike[str], data: bytes) -> None:
    """Keep bytes in a file: whole or not at all; the one before stays beside it as ``PATH.previous``.

    Args:
        path: where; its folder exists.
        data: what to write.
    """
    path = Path(path)
    fresh = path.with_name(path.name + ".new")  # always the same name: nothing piles up after crashes
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        os.replace(path, path.with_name(path.name + ".previous"))
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_state(path: str | os.PathLike[str], made: Callable[[bytes], Made]) -> Made:
    """What is made of the file's bytes; of the one before, with a warning, where it is damaged or gone.

    Args:
        path: as of ``write_state``.
        made: makes it, or refuses (``AlignError``).

    Raises:
        AlignError: neither file is whole, or other settings than it was kept under.
        FileNotFoundError: there is neither.
    """
    path = Path(path)
    previous = path.with_name(path.name + ".previous")
    try:
        return made(path.read_bytes())
    except (AlignError, FileNotFoundError) as error:
        code = error.code if isinstance(error, AlignError) else "E-MISSING"
        if code == "E-STATE-MISMATCH" or not previous.exists():
            raise
        whole = made(previous.read_bytes())
        warnings.warn(
            f"W-STATE-PREVIOUS: the checkpoint is not whole ({code}); the one before is used", stacklevel=3
        )
        return whole


def check_same(pairs: list[tuple[str, StreamSettings, StreamSettings]]) -> None:
    """Refuse other settings than the state was kept under, field by field.

    Args:
        pairs: whose they are, those kept, those wanted.

    Raises:
        InputError: E-STATE-MISMATCH.
    """
    _refuse(
        [
            f"{field.name} of {name!r} was {getattr(kept, field.name)}, is {getattr(wanted, field.name)}"
            for name, kept, wanted in pairs
            for field in dataclasses.fields(StreamSettings)
            if getattr(kept, field.name) != getattr(wanted, field.name)
        ]
    )


def check_same_parts(kept: Mapping[str, object], given: Mapping[str, object]) -> None:
    """Refuse another model, codebook, or other rules than the state was kept with.

    Args:
        kept, given: what identifies each, None where there is none.

    Raises:
        InputError: E-STATE-MISMATCH.
    """
    said = {True: "there", False: "not there"}
    found = []
    for part, value in given.items():
        before = kept.get(part)
        if before != value:
            both = before is not None and value is not None
            change = "another one" if both else f"{said[before is not None]}, is {said[value is not None]}"
            found.append(f"{part} was {change}")
    _refuse(found)


def _refuse(differences: list[str]) -> None:
    if differences:
        raise InputError(
            "E-STATE-MISMATCH",
            "the state was kept under other settings: " + "; ".join(differences),
            hint="run with the same settings, or begin with a new state",
        )

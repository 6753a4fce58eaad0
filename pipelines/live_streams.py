"""A file that says how each live stream is read: TOML, a table per stream -> ``StreamSettings`` by name."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from align.errors import InputError, ParameterError
from align.monitor import StreamSettings

__all__ = ["read_streams"]

_LARGEST = 1 << 20  # bytes


def read_streams(path: Path, usual: StreamSettings) -> dict[str, StreamSettings]:
    """The settings of the streams that a file names; what a table leaves out is as usual.

    Args:
        path: TOML with a table per stream: ``[wrist]`` with any field of ``StreamSettings``.
        usual: of streams that are not named.

    Raises:
        InputError: E-STREAMS, no TOML, an unknown key or a value that is not allowed; E-NO-FILE.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "E-NO-FILE", "no such file", hint="name a file of streams", file=str(path)
        ) from error
    if len(data) > _LARGEST:
        raise _refused(path, f"{len(data)} bytes; allowed: {_LARGEST}", "write fewer streams")
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(path, "not TOML in UTF-8", "see docs/monitor-command.md for an example") from error
    return {name: _settings(path, name, table, usual) for name, table in tables.items()}


def _settings(path: Path, name: str, table: Any, usual: StreamSettings) -> StreamSettings:
    if not isinstance(table, Mapping):
        raise _refused(path, f"{name} is not a table", f"write [{name}]")
    known = [field.name for field in dataclasses.fields(StreamSettings)]
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"the nearest known one is {near[0]}" if near else f"known are {', '.join(known)}"
            raise _refused(path, f"[{name}] has an unknown key {key!r}", hint)
    try:
        return dataclasses.replace(usual, **table)
    except ParameterError as error:
        raise _refused(path, f"[{name}]: {error.message}", "change it") from error
    except TypeError as error:
        raise _refused(
            path, f"[{name}] has a value of the wrong kind", "see docs/monitor-command.md"
        ) from error


def _refused(path: Path, what: str, hint: str) -> InputError:
    return InputError("E-STREAMS", what, hint=hint, file=str(path))

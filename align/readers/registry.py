"""Which reader reads which kind of stream file. Add a row here, or an entry point in another package.

A package adds a suffix with an entry point of the group ``align.readers``: its name is the suffix (".xdf"),
its value a function ``(path, policy) -> tuple[Stream, ...]``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from align.datatypes import Stream
from align.errors import InputError, ParameterError, ResourceError
from align.readers.policy import Policy
from align.readers.sniff import sniff

__all__ = [
    "CHECKERS",
    "READERS",
    "STREAM_SUFFIXES",
    "check_streams",
    "is_stream_file",
    "read_stream",
    "read_streams",
    "streams_and_zone",
]

_TABLE, _AUDIO = "align.readers.tables:read_table", "align.readers.audio:read_audio"
_HEAD = "align.readers.table_heads:check_table"
READERS: Mapping[str, str] = MappingProxyType(
    {
        "csv": _TABLE,
        "tsv": _TABLE,
        "parquet": _TABLE,
        "jsonl": _TABLE,
        "wav": _AUDIO,
        "flac": _AUDIO,
        "ogg": _AUDIO,
        "mp3": _AUDIO,
        "edf": "align.readers.edf:read_edf",
        "bdf": "align.readers.edf:read_edf",
        "wfdb": "align.readers.wfdb:read_wfdb",
    }
)
# Looks at as little as says whether the file would be read; a kind without one is read.
CHECKERS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("wav", "flac", "ogg", "mp3"), "align.readers.audio:read_audio_header"),
        **dict.fromkeys(("edf", "bdf"), "align.readers.edf:check_edf"),
        "wfdb": "align.readers.wfdb:check_wfdb",
        **{kind: _HEAD for kind, reader in READERS.items() if reader == _TABLE},
    }
)
STREAM_SUFFIXES = frozenset(
    (".csv", ".tsv", ".tab", ".parquet", ".pq", ".jsonl", ".ndjson", ".wav", ".flac", ".ogg", ".oga", ".opus",
     ".mp3", ".edf", ".bdf", ".hea")
)  # fmt: skip


def read_streams(path: str | os.PathLike[str], policy: Policy | None = None) -> tuple[Stream, ...]:
    """Read every stream of one file, each at its own rate.

    Args:
        path: a table (CSV, TSV, Parquet, JSONL), sound (WAV, FLAC, OGG, MP3), EDF, BDF or WFDB header.
        policy: opt-in repairs; the default refuses every fault.

    Raises:
        InputError: what is wrong with the file, and where.
        ResourceError: E-PERMISSION; E-EXTRA, an optional library is absent.
    """
    return _with_reader(Path(path), policy or Policy(), READERS)


def streams_and_zone(path: Path, policy: Policy) -> tuple[tuple[Stream, ...], str]:
    """``read_streams``, and the offset that a table's times were written with ("+02:00"), "" when none was.

    Raises:
        InputError, ResourceError: as ``read_streams``.
    """
    tables = {kind: f"{_TABLE}_and_zone" for kind, reader in READERS.items() if reader == _TABLE}
    read = _with_reader(path, policy, {**READERS, **tables})
    return ((read[0],), read[1]) if isinstance(read[-1], str) else (read, "")


def check_streams(path: str | os.PathLike[str], policy: Policy | None = None) -> None:
    """Raise what ``read_streams`` would, as far as a look at the header shows it.

    Args:
        path: as ``read_streams``.
        policy: opt-in repairs.

    Raises:
        InputError, ResourceError: as ``read_streams``.
    """
    _with_reader(Path(path), policy or Policy(), {**READERS, **CHECKERS})


def read_stream(
    path: str | os.PathLike[str], policy: Policy | None = None, *, name: str | None = None
) -> Stream:
    """Read the one stream of a file, or the one called ``name``.

    Args:
        path: as for ``read_streams``.
        policy: opt-in repairs; default: refuse.
        name: of the stream wanted, where the file holds several.

    Raises:
        ParameterError: several streams and no name, or no stream of that name.
        InputError, ResourceError: as ``read_streams``.
    """
    streams = read_streams(path, policy)
    chosen = [s for s in streams if name is None or s.name == name]
    if len(chosen) != 1:
        raise ParameterError("name", name, "one of " + ", ".join(s.name for s in streams))
    return chosen[0]


def is_stream_file(path: Path) -> bool:
    """Whether the suffix is one that a reader is known for; nothing is opened."""
    suffix = path.suffix.lower()
    return suffix in STREAM_SUFFIXES or suffix in _added()


def _with_reader(path: Path, policy: Policy, table: Mapping[str, str]) -> Any:
    """Call the function that ``table`` names for the kind of the file."""
    try:
        added = _added().get(path.suffix.lower())
        if added is not None:
            return added.load()(path, policy)
        kind = sniff(path)
        if kind not in table:
            raise InputError("E-FORMAT", f"a {kind} file holds no streams that can be read here; allowed: "
                             + ", ".join(table), file=path)  # fmt: skip
        module, function = table[kind].split(":")
        return getattr(importlib.import_module(module), function)(path, policy)
    except PermissionError as error:
        raise ResourceError("E-PERMISSION", "the file may not be read", hint="change its permissions",
                            file=path) from error  # fmt: skip


@cache
def _added() -> Mapping[str, EntryPoint]:
    """Suffixes that other packages read; those known here stay here."""
    found = {point.name.lower(): point for point in entry_points(group="align.readers")}
    return {suffix: point for suffix, point in found.items() if suffix not in STREAM_SUFFIXES}

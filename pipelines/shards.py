"""Sessions as shards: a file each with its frames, notes and true spans, for training on more than memory holds.

``align batch --job prepare`` makes them, one session in memory at a time, and ``align train`` learns from the folder
of that batch: from the results that its ``items.jsonl`` calls done. A shard is a sealed safetensors file.

A shard holds note texts: it is as private as the session that it was made from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from align.datatypes import Note, NoteTime, Session, Span
from align.errors import InputError, ParameterError
from align.sealed import opened, sealed, under

if TYPE_CHECKING:
    from align.coordination.streaming import StoredSession
    from align.features.frames import FrameTable

__all__ = ["Shards", "is_shards", "only_shards", "read_shards", "shard_bytes"]

FORMAT = 1
_ITEMS, _RECORD = "items.jsonl", "batch.json"
_LARGEST = 8_000_000_000  # bytes of a shard
_LARGEST_HEADER = 100_000_000
_HINT = "make it again with align batch --job prepare"


def shard_bytes(session: Session, hop: float, *, raw: bool) -> bytes:
    """The shard of a session.

    Args:
        session: with notes and true spans.
        hop: seconds per frame, > 0; the same for all sessions to learn from.
        raw: raw patches beside the frames, as the setting ``training.raw``.
    """
    from align.coordination.inputs.layout import session_table
    from align.coordination.saved.provenance import session_hash

    table = session_table(session, hop, raw=raw)
    about = {
        "format": FORMAT,
        "name": session.name,
        "seconds": session.end - session.start,
        "source": session_hash(session),
        "notes": [[note.text, _times(note)] for note in session.notes],
        "truth": None
        if session.truth is None
        else [[_finite(s.start), _finite(s.end), s.label, s.text] for s in session.truth],
        "hop": table.hop,
        "first": table.first,
        "streams": list(table.names),
        "channels": [list(c) for c in table.channels],
        "units": [list(u) for u in table.units],
    }
    blocks = {f"block.{k}": np.ascontiguousarray(block) for k, block in enumerate(table.blocks)}
    return sealed(about, blocks)


def _times(note: Note) -> list[float] | None:
    return None if note.time is None else [note.time.earliest, note.time.likely, note.time.latest]


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def is_shards(path: Path) -> bool:
    """Is this the folder of a batch that made shards?

    Args:
        path: any.
    """
    try:
        record = json.loads((path / _RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("job") == "prepare"


def read_shards(folder: Path) -> tuple[list[StoredSession], int]:
    """What the shards of a batch say of their sessions, in the batch's order; frames are read when asked for.

    Args:
        folder: of ``align batch --job prepare``.

    Returns:
        The sessions; how many inputs of the batch had failed and are not among them.

    Raises:
        InputError: E-SHARDS, the batch is not done, none of its sessions is, two are the same, or a shard is not
            there whole. When frames are asked for: E-CHECKSUM, a shard is not what was written.
    """
    try:
        rows = [json.loads(line) for line in (folder / _ITEMS).read_text("utf-8").splitlines()]
        names = [str(name) for row in rows if row["status"] == "ok" for name in row["outputs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "the same align batch goes on with it"
        raise InputError("E-SHARDS", "the batch is not done", hint=hint, file=folder.name) from error
    stored = [_stored(folder, name) for name in names]
    if not stored:
        raise InputError("E-SHARDS", "no session of the batch is done", file=folder.name)
    if len({one.content for one in stored}) < len(stored):
        raise InputError("E-SHARDS", "two sessions have the same files and name", hint="give each once")
    return stored, len(rows) - len(stored)


@dataclass(frozen=True, slots=True)
class Shards:
    """What ``align train`` was given: ``stored`` sessions, ``n_failed`` that the batch could not make, files read."""

    stored: list[StoredSession]
    n_failed: int
    inputs: dict[str, tuple[Path, ...]]


def only_shards(paths: Sequence[Path], notes_file: str | None, truth_file: str | None) -> Shards | None:
    """The stored sessions of one folder of shards; None where no path is such a folder.

    Args:
        paths: that a training was given.
        notes_file, truth_file: likewise; shards have been made with theirs.

    Raises:
        ParameterError: shards beside anything else, or with names of files.
        InputError: as ``read_shards``.
    """
    if not any(map(is_shards, paths)):
        return None
    if len(paths) > 1:
        raise ParameterError(
            "sessions", f"{len(paths)} paths", "one folder of shards, or session folders alone"
        )
    if notes_file is not None or truth_file is not None:
        raise ParameterError(
            "truth_file, notes_file", "given with shards", "none: shards hold what they were made with"
        )
    return Shards(*read_shards(paths[0]), {"shards": (paths[0] / _ITEMS, paths[0] / _RECORD)})


def _stored(folder: Path, name: str) -> StoredSession:
    from align.coordination.streaming import StoredSession

    path = folder / name
    if not Path(path.resolve()).is_relative_to(folder.resolve()) or path.is_symlink() or not path.is_file():
        raise InputError("E-SHARDS", "a shard is not there", hint=_HINT, file=name[-80:])
    about, content = _about(path)
    try:
        notes = tuple(_note(str(text), at) for text, at in about["notes"])
        rows = about["truth"]
        truth = None if rows is None else tuple(Span(_known(a), _known(b), *said) for a, b, *said in rows)
        facts = str(about["name"]), notes, truth, float(about["seconds"]), str(about["source"])
        hop, first = float(about["hop"]), int(about["first"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("E-SHARDS", "a shard of another version", hint=_HINT, file=name[-80:]) from error
    return StoredSession(*facts, content, hop, first, lambda: _frames(path, content))


def _note(text: str, time: list[float] | None) -> Note:
    return Note(text, None if time is None else NoteTime(*map(float, time)))


def _known(seconds: float | None) -> float:
    return math.nan if seconds is None else float(seconds)


def _about(path: Path) -> tuple[dict[str, Any], str]:
    """What a shard says beside its frames, and its seal: the header alone is read, and checked when the frames are."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= _LARGEST_HEADER else {}
        about: dict[str, Any] = json.loads(header.pop("__metadata__")["about"])
        seal = str(about.pop("seal"))
        size = 8 + length + max((block["data_offsets"][1] for block in header.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, LookupError) as error:
        raise InputError("E-CHECKSUM", "a shard is not what was saved", hint=_HINT, file=path.name) from error
    if about.get("format") != FORMAT:
        raise InputError("E-SHARDS", "a shard of another version", hint=_HINT, file=path.name)
    if size != path.stat().st_size:
        raise InputError("E-SHARDS", "a shard is not there whole", hint=_HINT, file=path.name)
    return about, seal


def _frames(path: Path, seal: str) -> FrameTable:
    from align.features.frames import FrameTable

    if path.stat().st_size > _LARGEST:
        raise InputError("E-LIMIT", f"more than {_LARGEST} bytes: no shard is as large", file=path.name)
    about, arrays = opened(path.read_bytes(), "a shard", _HINT)
    if _about(path)[1] != seal:
        raise InputError("E-CHECKSUM", "a shard changed while it was used", hint=_HINT, file=path.name)
    blocks = under("block.", arrays)
    return FrameTable(
        int(about["first"]),
        float(about["hop"]),
        tuple(about["streams"]),
        tuple(tuple(c) for c in about["channels"]),
        tuple(blocks[str(k)] for k in range(len(blocks))),
        tuple(tuple(u) for u in about["units"]),
    )

"""Sessions as shards: a file each with its frames, notes and true spans, for training on more than memory holds.

``python -m pipelines.shards SESSION... --out FOLDER`` writes them, one session in memory at a time; a second run writes
only what is not there. ``align train FOLDER`` learns from them. A shard is a sealed safetensors file, named by the
SHA-256 of all that it was made from and put there whole; ``shards.jsonl`` has one line per shard and is written last.

A shard holds note texts: it is as private as the session that it was made from.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from align.datatypes import Note, NoteTime, Session, Span
from align.errors import AlignError, InputError, ParameterError
from align.readers import Policy, read_session, session_folders
from align.sealed import opened, sealed, under
from pipelines.store import atomic_write, only_writer, prepare_output, sha256_of
from pipelines.train import input_files

if TYPE_CHECKING:
    from align.coordination.streaming import StoredSession
    from align.features.frames import FrameTable

__all__ = ["INDEX", "Shards", "Wanted", "is_shards", "main", "only_shards", "read_shards", "write_shards"]

INDEX = "shards.jsonl"
FORMAT = 1
_SUFFIX = ".shard"
_LARGEST = 8_000_000_000  # bytes of a shard
_LARGEST_HEADER = 100_000_000
_HINT = "write it again with python -m pipelines.shards"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What goes into shards.

    Attributes:
        truth_file: name of the true spans in each session folder.
        notes_file: name of the notes, or None for ``notes.*``.
        hop: seconds per frame, or None: as a training on all these sessions would choose, for which each is read twice.
        raw: raw patches beside the frames, as the setting ``training.raw``.
        policy: opt-in repairs of reading.
    """

    truth_file: str
    notes_file: str | None = None
    hop: float | None = None
    raw: bool = False
    policy: Policy = dataclasses.field(default_factory=Policy)


def write_shards(paths: Sequence[Path], out: Path, wanted: Wanted) -> tuple[list[Path], int]:
    """Write one shard per session, then the index; what is there already and was made from the same stays.

    Args:
        paths: session folders, or parents of session folders.
        out: folder of the shards; created, or one that holds shards.
        wanted: what goes in.

    Returns:
        The shards of these sessions, in their order, and how many of them were written.

    Raises:
        InputError: whatever is wrong with a file; E-TOO-FEW-PAIRS, no session has a note; E-SHARDS, two sessions have
            the same files and name.
        UnsafeError, ResourceError, LockedError: the folder cannot be written or is being written.
    """
    folders = session_folders(paths)
    prepare_output(out, force=True, known=())
    with only_writer(out, "shards"):
        hop = _hop(folders, wanted)
        lines, written = [], 0
        for folder in folders:
            key = _key(folder, hop, wanted)
            shard = out / (key + _SUFFIX)
            if not shard.is_file():
                atomic_write(shard, _shard(_read(folder, wanted), hop, raw=wanted.raw))
                written += 1
            lines.append({"file": shard.name, "sha256": sha256_of(shard), "bytes": shard.stat().st_size})
        if len({line["file"] for line in lines}) < len(lines):
            raise InputError("E-SHARDS", "two sessions have the same files and name", hint="give each once")
        index = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
        atomic_write(out / INDEX, index, force=True)
    return [out / str(line["file"]) for line in lines], written


def _hop(folders: Sequence[Path], wanted: Wanted) -> float:
    from align.coordination.fitting import common_hop

    return wanted.hop or common_hop(_read(folder, wanted) for folder in folders)


def _read(folder: Path, wanted: Wanted) -> Session:
    return read_session(
        folder, notes_file=wanted.notes_file, truth_file=wanted.truth_file, policy=wanted.policy
    )


def _key(folder: Path, hop: float, wanted: Wanted) -> str:
    """SHA-256 of all that a shard follows from: the session's files and name, how they are read, and the version."""
    from align import __version__

    files = input_files([folder], wanted.notes_file, wanted.truth_file)
    hashes = {role: [(path.name, sha256_of(path)) for path in found] for role, found in files.items()}
    made_from = [FORMAT, __version__, folder.name, hop, wanted.raw, dataclasses.asdict(wanted.policy), hashes]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True, default=str).encode()).hexdigest()


def _shard(session: Session, hop: float, *, raw: bool) -> bytes:
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
    """Is this a folder of shards?

    Args:
        path: any.
    """
    return (path / INDEX).is_file()


def read_shards(folder: Path) -> list[StoredSession]:
    """What the shards of a folder say of their sessions, in the order of the index; frames are read when asked for.

    Args:
        folder: of ``write_shards``.

    Raises:
        InputError: E-SHARDS, no index, a shard that it names is not there or not of the length that it says.
            When frames are asked for: E-CHECKSUM, a shard is not what was written.
    """
    try:
        text = (folder / INDEX).read_text("utf-8")
        lines = [
            (str(line["file"]), int(line["bytes"]), str(line["sha256"]))
            for line in map(json.loads, text.splitlines())
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("E-SHARDS", "no index of shards", hint=_HINT, file=folder.name) from error
    return [_stored(folder, name, size, content) for name, size, content in lines]


@dataclass(frozen=True, slots=True)
class Shards:
    """What ``align train`` was given: the stored sessions, and the index as the file that was read."""

    stored: list[StoredSession]
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
    return Shards(read_shards(paths[0]), {"shards": (paths[0] / INDEX,)})


def _stored(folder: Path, name: str, size: int, content: str) -> StoredSession:
    from align.coordination.streaming import StoredSession

    path = folder / name
    if Path(name).name != name or path.is_symlink() or not path.is_file() or path.stat().st_size != size:
        raise InputError("E-SHARDS", "a shard of the index is not there whole", hint=_HINT, file=name[:80])
    about = _about(path)
    try:
        notes = tuple(_note(str(text), at) for text, at in about["notes"])
        rows = about["truth"]
        truth = None if rows is None else tuple(Span(_known(a), _known(b), *said) for a, b, *said in rows)
        facts = str(about["name"]), notes, truth, float(about["seconds"]), str(about["source"])
        hop, first = float(about["hop"]), int(about["first"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("E-SHARDS", "a shard of another version", hint=_HINT, file=name) from error
    return StoredSession(*facts, content, hop, first, lambda: _frames(path, about))


def _note(text: str, time: list[float] | None) -> Note:
    return Note(text, None if time is None else NoteTime(*map(float, time)))


def _known(seconds: float | None) -> float:
    return math.nan if seconds is None else float(seconds)


def _about(path: Path) -> dict[str, Any]:
    """What a shard says beside its frames: the header alone is read, and checked when the frames are."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= _LARGEST_HEADER else {}
        about: dict[str, Any] = json.loads(header["__metadata__"]["about"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("E-CHECKSUM", "a shard is not what was saved", hint=_HINT, file=path.name) from error
    if about.get("format") != FORMAT:
        raise InputError("E-SHARDS", "a shard of another version", hint=_HINT, file=path.name)
    return {name: value for name, value in about.items() if name != "seal"}


def _frames(path: Path, expected: dict[str, Any]) -> FrameTable:
    from align.features.frames import FrameTable

    if path.stat().st_size > _LARGEST:
        raise InputError("E-LIMIT", f"more than {_LARGEST} bytes: no shard is as large", file=path.name)
    about, arrays = opened(path.read_bytes(), "a shard", _HINT)
    if about != expected:
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


def main(arguments: list[str] | None = None) -> int:
    """``python -m pipelines.shards SESSION... --out FOLDER --truth-file NAME``; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.shards", description="Sessions -> shards for training."
    )
    parser.add_argument("sessions", nargs="+", type=Path, help="session folders, or folders of them")
    parser.add_argument("--out", required=True, type=Path, help="folder to write into")
    parser.add_argument("--truth-file", required=True, help="true spans in each session folder")
    parser.add_argument("--notes-file", help="notes in each session folder; the default is notes.*")
    parser.add_argument(
        "--hop", type=float, help="seconds per frame; the default is chosen from all sessions"
    )
    parser.add_argument("--raw", action="store_true", help="raw patches beside the frames (training.raw)")
    given = parser.parse_args(arguments)
    wanted = Wanted(given.truth_file, given.notes_file, given.hop, given.raw)
    try:
        shards, written = write_shards(given.sessions, given.out, wanted)
    except AlignError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{len(shards)} shards, {written} of them new: {given.out / INDEX}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a result hangs on, as hashes: the input's bytes, the settings, the model, the code and its libraries."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from align.errors import InputError, ResourceError
from align.readers import session_files
from pipelines.inputs import model_files
from pipelines.record import versions
from pipelines.store import sha256_of

__all__ = ["code_hash", "content_hash", "files_hash", "model_hash", "settings_hash"]

_ROOT = Path(__file__).parent.parent


@cache
def code_hash() -> str:
    """SHA-256 of the sources of align and pipelines, the versions of the libraries and of Python."""
    digest = hashlib.sha256(json.dumps([versions(), platform.python_version()], sort_keys=True).encode())
    for package in ("align", "pipelines"):
        for file in sorted((_ROOT / package).rglob("*.py")):
            digest.update(file.relative_to(_ROOT).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def settings_hash(settings: Mapping[str, object]) -> str:
    """SHA-256 of settings as JSON.

    Args:
        settings: JSON values.
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def model_hash(model: Path | None) -> str:
    """SHA-256 over a model folder's files, "" without a model.

    Args:
        model: the folder.

    Raises:
        InputError: E-NO-FILE; ResourceError: E-IO.
    """
    if model is None:
        return ""
    if not model.is_dir():
        raise InputError("E-NO-FILE", "no such folder; a model is a folder of align train", file=model)
    return files_hash(model, model_files(model))


def content_hash(path: Path) -> str:
    """SHA-256 of what an input holds: a file's own, or that of a session's or record's files and their names.

    Args:
        path: a stream file, a WFDB header or a session folder.

    Raises:
        InputError: E-NO-FILE, E-NOT-A-FILE, or whatever is wrong with the session folder.
        ResourceError: E-IO, it cannot be read.
    """
    if path.is_dir():
        streams, notes = session_files(path)
        named = [*streams, *([] if notes is None else [notes])]
        return files_hash(path, [*named, *(part for file in named for part in _beside(file))])
    parts = _beside(path)
    return files_hash(path.parent, [path, *parts]) if parts else _sha256(path)


def _beside(path: Path) -> list[Path]:
    """The files of a WFDB record beside its header: those whose names begin as the header's."""
    if path.suffix.lower() != ".hea":
        return []
    return [other for other in path.parent.iterdir() if other.name.startswith(path.stem) and other.is_file()]


def files_hash(folder: Path, files: list[Path] | tuple[Path, ...]) -> str:
    """SHA-256 over several files' names and contents, whatever their order.

    Args:
        folder: their names are taken relative to it.
        files: each counts once.

    Raises:
        InputError: E-NO-FILE, E-NOT-A-FILE; ResourceError: E-IO.
    """
    named = {os.path.relpath(file, folder): _sha256(file) for file in files}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except ResourceError as error:
        cause = error.__cause__
        if isinstance(cause, FileNotFoundError):
            raise InputError("E-NO-FILE", "no such file or folder", file=path) from cause
        reason = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else "unreadable"
        raise ResourceError("E-IO", f"could not be read: {reason}", file=path) from cause

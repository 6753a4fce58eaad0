"""What a file is, by its first bytes and its extension; where the two disagree, the file is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from align.errors import InputError, ResourceError

__all__ = ["require_file", "sniff"]

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3"), (b"\xff\xfb", "mp3"), (b"\xff\xf3", "mp3"),
    (b"\xff\xf2", "mp3"), (b"\xff\xfa", "mp3"), (b"PAR1", "parquet"), (b"0       ", "edf"),
    (b"\xffBIOSEMI", "bdf"), (b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x89HDF", "hdf5"), (b"\x93NUMPY", "npy"),
    (b"ARROW1", "arrow"), (b"%PDF", "pdf"),
)  # fmt: skip
_RIFF = (b"RIFF", b"RF64", b"RIFX")

_KINDS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".oga": "ogg", ".opus": "ogg", ".mp3": "mp3",
    ".edf": "edf", ".bdf": "bdf", ".hea": "wfdb", ".dat": "wfdb-signal", ".atr": "wfdb-annotation",
    ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown",
    ".srt": "srt", ".vtt": "vtt",
}  # fmt: skip
_BINARY = {"parquet": b"PAR1", "wav": b"RIFF", "flac": b"fLaC", "ogg": b"OggS", "edf": b"0       ",
           "bdf": b"\xffBIOSEMI"}  # fmt: skip
_OPAQUE = ("wfdb-signal", "wfdb-annotation")  # raw numbers: any first bytes are right
_TYPES = ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"),
          (stat.S_ISCHR, "a character device"), (stat.S_ISBLK, "a block device"))  # fmt: skip


def require_file(path: Path) -> os.stat_result:
    """The status of a regular file; nothing is opened.

    Raises:
        InputError: E-NO-FILE; E-NOT-A-FILE (directory, FIFO, device, socket, broken or looping link).
        ResourceError: E-PERMISSION.
    """
    try:
        status = os.stat(path)
    except PermissionError as error:
        raise ResourceError("E-PERMISSION", "the file may not be looked at", file=path) from error
    except (OSError, ValueError) as error:
        if os.path.islink(path):
            said = "a symbolic link that leads nowhere or in a circle; allowed: a regular file"
            raise InputError("E-NOT-A-FILE", said, file=path) from error
        raise InputError("E-NO-FILE", "there is no such file", hint="check the path", file=path) from error
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _TYPES if test(status.st_mode)), "not a regular file")
        raise InputError("E-NOT-A-FILE", f"{kind}; allowed: a regular file", file=path)
    return status


def sniff(path: Path) -> str:
    """The kind of a file: "csv", "tsv", "parquet", "jsonl", "json", "wav", "flac", "ogg", "mp3", "edf", "bdf",
    "wfdb" (header), "wfdb-signal", "wfdb-annotation", "text", "markdown", "srt" or "vtt".

    The extension decides between kinds of text, the first bytes between binary kinds. A file that is shorter
    than its kind's first bytes but agrees so far keeps the kind: the reader says that it is cut.

    Raises:
        InputError: E-NO-FILE, E-NOT-A-FILE, E-EMPTY (0 bytes), E-FORMAT (extension and content disagree, or
            neither says anything).
        ResourceError: E-PERMISSION.
    """
    path = Path(path)
    if require_file(path).st_size == 0:
        raise InputError("E-EMPTY", "the file has 0 bytes", hint="was it copied completely?", file=path)
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except PermissionError as error:
        raise ResourceError("E-PERMISSION", "the file may not be read", file=path) from error
    says = _KINDS.get(path.suffix.lower(), "")
    if says in _OPAQUE:
        return says
    found = _content(head)
    if says in _BINARY:
        if found == says or _BINARY[says].startswith(head):
            return says
        raise _lie(path, says, found)
    if says == "mp3" and not found:  # an MP3 may begin anywhere in its stream
        return says
    if found in ("", "text"):
        if says and (found or _is_wide_text(head)):
            return says
        if found:
            return "text"
        raise _lie(path, says, found)
    if says and says != found:
        raise _lie(path, says, found)
    if found not in _KINDS.values():
        raise _lie(path, says, found)
    return found


def _lie(path: Path, says: str, found: str) -> InputError:
    content = {"": "an unknown binary format", "text": "plain text"}.get(found, found.upper())
    name = path.suffix.lower() or "no extension"
    said = f"the name says {says.upper()} ({name})" if says else f"the name says nothing known ({name})"
    hint = (
        "unpack it first" if found in ("gzip", "zip", "zstd", "bzip2", "xz") else "rename or convert the file"
    )
    return InputError("E-FORMAT", f"{said}, the content is {content}", hint=hint, file=path)


def _content(head: bytes) -> str:
    """The binary kind of the first bytes, "text" when they are readable text, "" when neither."""
    if head[:4] in _RIFF:
        return "wav"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    controls = sum(head.count(bytes([c])) for c in (*range(1, 7), *range(14, 27), 28, 29, 30, 31))
    return "text" if controls * 50 <= len(head) and head.count(0) * 50 <= len(head) else ""


def _is_wide_text(head: bytes) -> bool:
    """UTF-16 by its byte order mark, or by every other byte being 0 (which the text readers refuse better)."""
    half = len(head) // 2
    return (
        head[:2] in (b"\xff\xfe", b"\xfe\xff")
        or head[0::2].count(0) > 0.9 * half
        or (head[1::2].count(0) > 0.9 * half)
    )

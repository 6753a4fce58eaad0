"""Which inputs a batch has: from a manifest, a pattern, a folder or a list of files; named before work starts.

Every input has a name: its path relative to the batch's root, with "/". Results are called after it.
"""

from __future__ import annotations

import csv
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from align.errors import InputError, ParameterError, UnsafeError
from align.readers import session_folders
from align.readers.registry import is_stream_file
from pipelines.cloud import check_url, is_url, listed
from pipelines.failures import as_align_error

__all__ = ["Input", "Takes", "inputs_of"]

Takes = Literal["streams", "sessions"]
_COLUMNS = ("input", "path", "file")
_LONGEST = 230  # bytes of a file's name, so that a suffix still fits


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its ``name`` in the batch and the ``path`` that is read, a URL if it is in an object store."""

    name: str
    path: Path | str


def inputs_of(
    sources: Sequence[Path | str],
    takes: Takes,
    *,
    root: Path | str | None = None,
    without: Path | None = None,
) -> tuple[Input, ...]:
    """The inputs that the sources name; all of them exist, none twice.

    One file is a manifest; one path that does not exist but has ``*``, ``?`` or ``[`` is a pattern; anything
    else is a folder to search or an input itself. Folders and patterns give sorted inputs, without hidden
    files and without files called ``notes*`` or ``truth*``.

    Args:
        sources: at least one path, or one URL of an object store.
        takes: "streams" (files) or "sessions" (folders and WFDB headers).
        root: the folder that all inputs must lie in and that names are relative to; default: the manifest's
            folder, the folder before a pattern, the folder searched, the folder common to all. A URL: the
            manifest names objects below it.
        without: a folder that is not searched: where the results go.

    Returns:
        In the order of the manifest, or sorted by name.

    Raises:
        InputError: E-MANIFEST, a line of a manifest that names nothing, or the same as another; E-NO-FILE,
            E-NO-STREAMS, nothing found; E-LIMIT, a name too long to be given to a result.
        ResourceError: E-IO, a folder cannot be searched.
        UnsafeError: E-OUTSIDE, an input outside of the root.
    """
    if any(is_url(source) for source in (*sources, root)):
        found = list(_of_store(sources, takes, root))
        return _checked(found, takes, sources[0])
    paths, folder = [Path(source) for source in sources], None if root is None else Path(root)
    one = paths[0] if len(paths) == 1 else None
    if one is not None and one.is_file() and one.suffix.lower() != ".hea":
        found = list(_of_manifest(one, folder or one.parent))
    else:
        matches, common = _of_paths(paths, takes, without)
        found = sorted({_input(p, folder or common) for p in matches}, key=lambda item: item.name)
    return _checked(found, takes, sources[0])


def _checked(found: list[Input], takes: Takes, source: Path | str) -> tuple[Input, ...]:
    if not found:
        raise InputError("E-NO-FILE", f"no {takes} found", hint="see align batch --help", file=source)
    for item in found:
        if any(len(os.fsencode(part)) > _LONGEST for part in item.name.split("/")):
            raise InputError("E-LIMIT", f"a name of over {_LONGEST} bytes", hint="shorten it", file=item.path)
    return tuple(found)


# --- object stores


def _of_store(sources: Sequence[Path | str], takes: Takes, root: Path | str | None) -> Iterator[Input]:
    """The objects that one URL names, or, below a root that is one, those that a manifest names."""
    if len(sources) != 1:
        raise ParameterError("sources", f"{len(sources)} with a URL among them", "one URL, or one manifest")
    if not is_url(root):
        if root is not None:
            raise ParameterError("root", str(root), "a URL, as the source is one")
        yield from _objects(str(sources[0]), takes)
        return
    there = {item.path: item for item in _objects(check_url(str(root)), takes)}
    manifest = Path(sources[0])
    if is_url(sources[0]) or not manifest.is_file():
        raise ParameterError(
            "sources", "no manifest", "a manifest on this machine, with a root that is a URL"
        )
    lines: dict[str, int] = {}
    for line, text in _lines(manifest):
        url = check_url(text if is_url(text) else f"{str(root).rstrip('/')}/{text}")
        if url not in there:
            hint = "objects below --root only"
            raise InputError("E-MANIFEST", "names no object there", hint=hint, file=manifest, line=line)
        if url in lines:
            said = f"names the same as line {lines[url]}"
            raise InputError("E-MANIFEST", said, hint="name each input once", file=manifest, line=line)
        lines[url] = line
        yield there[url]


def _objects(source: str, takes: Takes) -> Iterator[Input]:
    if takes == "streams":
        for name, url in listed(source, lambda name: is_stream_file(Path(name)) and _is_stream_name(name)):
            yield Input(name, url)
        return
    notes = listed(source, lambda name: name.lower().startswith("notes."))
    for name, url in notes:  # a session is where notes are
        parent = url.rpartition("/")[0]
        yield Input(name.rpartition("/")[0] or parent.rpartition("/")[2], parent)


# --- folders, patterns, files


def _of_paths(sources: Sequence[Path], takes: Takes, without: Path | None) -> tuple[list[Path], Path]:
    """The inputs under some paths, and the folder that they share."""
    if len(sources) == 1 and not sources[0].exists() and glob.has_magic(str(sources[0])):
        parts = sources[0].parts
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        matches = [Path(match) for match in glob.glob(str(sources[0]), recursive=True)]
        return [p for p in matches if _wanted(p, takes, without)], Path(*parts[:fixed])
    for path in sources:
        if not path.exists():
            raise InputError("E-NO-FILE", "no such file or folder", file=path)
    if takes == "sessions":
        paths = [p for p in session_folders(sources) if not _is_in(p, without)]
        same = len(sources) == 1 and paths != list(sources)
        return paths, sources[0] if same else _shared(paths)
    paths = [found for path in sources for found in (_walk(path, without) if path.is_dir() else [path])]
    return paths, sources[0] if len(sources) == 1 and sources[0].is_dir() else _shared(paths)


def _shared(paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([os.path.abspath(path.parent) for path in paths]))


def _wanted(path: Path, takes: Takes, without: Path | None) -> bool:
    if _is_in(path, without):
        return False
    if takes == "sessions":
        return path.is_dir() or path.suffix.lower() == ".hea"
    return path.is_file() and _is_stream_name(path.name)


def _is_stream_name(name: str) -> bool:
    return name[0] != "." and not name.lower().startswith(("notes", "truth"))


def _walk(folder: Path, without: Path | None) -> Iterator[Path]:
    def refuse(error: OSError) -> None:  # left out silently, its files would be lost
        raise as_align_error(error) from error

    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [f for f in folders if f[0] != "." and not _is_in(Path(here, f), without)]
        for name in files:
            path = Path(here, name)
            if name[0] != "." and is_stream_file(path) and _wanted(path, "streams", None):
                yield path


def _is_in(path: Path, folder: Path | None) -> bool:
    return folder is not None and Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def _input(path: Path, root: Path) -> Input:
    name = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if name == "." or name.split(os.sep)[0] == "..":
        raise UnsafeError("E-OUTSIDE", "lies outside of the root", hint="--root names a wider one", file=path)
    return Input(name.replace(os.sep, "/"), path)


# --- manifests


def _of_manifest(manifest: Path, root: Path) -> Iterator[Input]:
    true_root = os.path.realpath(root)
    first: dict[str, int] = {}
    for line, text in _lines(manifest):
        if "\0" in text:
            raise InputError("E-MANIFEST", "a path with a NUL", file=manifest, line=line)
        path = manifest.parent / text
        if not path.exists():
            hint = "paths are relative to the manifest"
            raise InputError("E-MANIFEST", "names no file or folder", hint=hint, file=manifest, line=line)
        true = os.path.realpath(path)
        if os.path.commonpath([true, true_root]) != true_root:
            hint = "--root names a wider one"
            raise UnsafeError(
                "E-OUTSIDE", "leads outside of the manifest's folder", hint=hint, file=manifest, line=line
            )
        here = Path(os.path.abspath(path))
        inside = here.is_relative_to(os.path.abspath(root))  # else it came in through a link: its true name
        item = Input(_input(here if inside else Path(true), root if inside else Path(true_root)).name, path)
        if item.name in first:
            hint = "name each input once"
            said = f"names the same as line {first[item.name]}"
            raise InputError("E-MANIFEST", said, hint=hint, file=manifest, line=line)
        first[item.name] = line
        yield item


def _lines(manifest: Path) -> Iterator[tuple[int, str]]:
    """Line number and path of every input that a manifest names; blank lines and comments are skipped."""
    suffix = manifest.suffix.lower()
    reader = _of_csv if suffix in (".csv", ".tsv") else _of_text
    parse = _of_json if suffix in (".jsonl", ".ndjson") else None
    try:
        with manifest.open(encoding="utf-8-sig", newline=None) as file:
            for line, text in reader(file, manifest):
                yield line, text if parse is None else parse(text, manifest, line)
    except UnicodeDecodeError as error:
        raise InputError("E-ENCODING", "not UTF-8", hint="save it as UTF-8", file=manifest) from error


def _of_text(file: Iterable[str], manifest: Path) -> Iterator[tuple[int, str]]:
    for line, raw in enumerate(file, 1):
        text = raw.strip()
        if text and not text.startswith("#"):
            yield line, text


def _of_csv(file: Iterable[str], manifest: Path) -> Iterator[tuple[int, str]]:
    rows = csv.reader(file, delimiter="\t" if manifest.suffix.lower() == ".tsv" else ",", strict=True)
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        column = next((header.index(name) for name in _COLUMNS if name in header), None)
        if column is None:
            hint = "a recording itself is given by its folder, or by a pattern in quotes"
            said = f"a manifest has one of the columns {', '.join(_COLUMNS)}; none is here"
            raise InputError("E-MANIFEST", said, hint=hint, file=manifest, line=1)
        for row in rows:
            if not "".join(row).strip() or row[0].startswith("#"):
                continue
            if len(row) != len(header) or not row[column].strip():
                said = f"{len(row)} cells under {len(header)} columns, or no path"
                raise InputError("E-MANIFEST", said, file=manifest, line=rows.line_num)
            yield rows.line_num, row[column].strip()
    except csv.Error as error:
        raise InputError("E-MANIFEST", "not CSV from here on", file=manifest, line=rows.line_num) from error


def _of_json(text: str, manifest: Path, line: int) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("E-MANIFEST", "not JSON", file=manifest, line=line) from error
    if isinstance(value, dict):
        value = next((value[name] for name in _COLUMNS if name in value), None)
    if not isinstance(value, str) or not re.search(r"\S", value):
        said = f"a line is a path, or an object with one of {', '.join(_COLUMNS)}"
        raise InputError("E-MANIFEST", said, file=manifest, line=line)
    return value

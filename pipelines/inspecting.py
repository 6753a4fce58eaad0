"""What was understood of files, in plain values: streams, clocks, gaps, notes and their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from align.clock import iso_from_ns, ns_from_seconds
from align.datatypes import Finding, Note, Session, Stream
from align.errors import AlignError, InputError
from align.readers import (
    Policy,
    check_streams,
    read_notes_with_findings,
    read_session,
    session_files,
    session_folders,
    session_of,
)
from align.readers.table_heads import time_column_of
from align.readers.zones import offset_at
from pipelines.clocks import clock_outlook

__all__ = ["Item", "check_items", "describe_item", "describe_paths", "describe_session", "items_of"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to look at: a "session" (folder or record), a "stream" file or a file of "notes"."""

    path: Path
    kind: str


def items_of(paths: Iterable[Path]) -> list[Item]:
    """The sessions and files under the given paths, in the order given; a folder's sessions sorted.

    Raises:
        InputError: E-NO-FILE, E-NO-STREAMS.
    """
    items = []
    for path in paths:
        if path.is_dir() or not path.exists() or path.suffix.lower() == ".hea":
            items += [Item(found, "session") for found in session_folders([path])]
        elif path.stem.lower().startswith("notes") or path.suffix.lower() in (".txt", ".md", ".atr"):
            items.append(Item(path, "notes"))
        else:
            items.append(Item(path, "stream"))
    return items


def describe_paths(
    paths: Sequence[Path], policy: Policy, notes_file: str | None = None
) -> list[dict[str, Any]]:
    """Describe every session and file under ``paths``; one that cannot be read has its ``error`` instead.

    Args:
        paths: folders and files.
        policy: opt-in repairs.
        notes_file: name of the notes in each session folder; None takes ``notes.*``.

    Raises:
        InputError: E-NO-FILE, E-NO-STREAMS, a path that leads to nothing.
    """
    return [describe_item(item, policy, notes_file) for item in items_of(paths)]


def describe_item(item: Item, policy: Policy, notes_file: str | None = None) -> dict[str, Any]:
    """Describe one item: ``describe_session`` and its path, or its path and ``error``."""
    head: dict[str, Any] = {"path": str(item.path), "kind": item.kind}
    try:
        if item.kind == "notes":
            notes, found = read_notes_with_findings(item.path)
            return {**head, "notes": _notes(notes, None), "findings": _findings(found)}
        if item.kind == "stream":
            session, files = session_of([item.path], None, policy), [item.path]
        else:
            session = read_session(item.path, notes_file=notes_file, policy=policy)
            files = session_files(item.path, notes_file)[0]
        columns = {path.name: time_column_of(path, policy) for path in files}
    except AlignError as error:
        return {**head, "error": error}
    times = {name: column for name, column in columns.items() if column is not None}
    return {**head, **describe_session(session), "time_columns": times}


def describe_session(session: Session) -> dict[str, Any]:
    """What a session holds, in JSON's own types.

    Returns:
        ``session``, ``clock`` ("absolute" or "relative"), ``start``, ``end`` (seconds), ``start_time``,
        ``end_time`` (ISO 8601 or None), ``timezone``, ``streams`` (one dict each), ``notes``, ``clocks`` (what can be
        known of several devices' clocks, in words), ``findings``.
    """
    return {
        "session": session.name,
        "clock": "relative" if session.epoch is None else "absolute",
        "timezone": session.timezone,
        **_range(session.start, session.end, session),
        "streams": [_stream(stream, session) for stream in session.streams],
        "notes": _notes(session.notes, session),
        "clocks": clock_outlook(session.streams),
        "findings": _findings(session.findings),
    }


def check_items(
    items: Iterable[Item], policy: Policy, notes_file: str | None = None
) -> Iterator[dict[str, Any]]:
    """Say of each item whether it would run, from headers, first blocks and notes; nothing is decoded.

    Yields:
        ``path``, ``kind``, ``ok`` and, when it is not, ``error``.
    """
    for item in items:
        head: dict[str, Any] = {"path": str(item.path), "kind": item.kind}
        try:
            _check(item, policy, notes_file)
        except AlignError as error:
            yield {**head, "ok": False, "error": error}
        else:
            yield {**head, "ok": True}


def _check(item: Item, policy: Policy, notes_file: str | None) -> None:
    if item.kind == "notes":
        read_notes_with_findings(item.path)
        return
    if item.kind == "stream":
        check_streams(item.path, policy)
        return
    streams, notes = session_files(item.path, notes_file)
    if not streams:
        raise InputError("E-NO-STREAMS", "no sensor or sound file in the folder", file=item.path)
    for path in streams:
        check_streams(path, policy)
    if notes is not None:
        read_notes_with_findings(notes)


def _stream(stream: Stream, session: Session) -> dict[str, Any]:
    absent = np.isnan(stream.values).all(axis=1)
    return {
        "name": stream.name,
        "modality": stream.modality,
        "channels": list(stream.channels),
        "units": list(stream.units),
        "rate": stream.rate,
        "samples": stream.n_samples,
        "lost": int(np.count_nonzero(absent)),
        "missing_cells": int(np.count_nonzero(np.isnan(stream.values))),
        "runs": stream.n_runs,
        "gaps": [[float(a), float(b)] for a, b in stream.gaps],
        **_range(stream.start, stream.end, session),
        "findings": _findings(stream.findings),
    }


def _notes(notes: Sequence[Note], session: Session | None) -> dict[str, Any]:
    times = [note.time for note in notes if note.time is not None]
    outside = 0
    if session is not None:
        outside = sum(time.latest < session.start or time.earliest >= session.end for time in times)
    return {
        "files": sorted({note.file for note in notes if note.file}),
        "count": len(notes),
        "exact": sum(time.is_exact for time in times),
        "interval": sum(not time.is_exact for time in times),
        "untimed": len(notes) - len(times),
        "empty": sum(note.is_empty for note in notes),
        "outside": outside,
        "first": min((time.likely for time in times), default=None),
        "last": max((time.likely for time in times), default=None),
        "authors": sorted({note.author for note in notes if note.author}),
    }


def _range(start: float, end: float, session: Session) -> dict[str, Any]:
    """Seconds, and ISO 8601 when the clock is absolute."""
    times: list[str | None] = [None, None]
    if session.epoch is not None:
        offset = offset_at(session.timezone, session.epoch)
        times = [iso_from_ns(ns_from_seconds(t, session.epoch), offset) for t in (start, end)]
    return {"start": start, "end": end, "start_time": times[0], "end_time": times[1]}


def _findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [{"code": f.code, "message": f.message, "count": f.count} for f in findings]

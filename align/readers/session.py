"""A folder, or a handful of files, as one session: streams and notes on one clock."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from align.clock import NS, ns_from_iso
from align.datatypes import Finding, Session, Stream
from align.errors import InputError, ParameterError
from align.readers.note_rows import WrittenNote
from align.readers.notes import NOTE_SUFFIXES, place_notes, read_truth, read_written_notes
from align.readers.one_clock import check_overlap, on_one_clock
from align.readers.policy import Policy
from align.readers.registry import is_stream_file, streams_and_zone
from align.readers.written_times import Clock
from align.readers.zones import offset_at, offset_text

__all__ = ["read_session", "session_files", "session_folders", "session_of"]


def read_session(
    folder: str | os.PathLike[str],
    *,
    notes_file: str | None = None,
    truth_file: str | None = None,
    policy: Policy | None = None,
) -> Session:
    """Read a folder of stream files, with its notes, as one session.

    Every file that a reader knows is a stream, except those whose name begins with "notes" or "truth" and those
    that are named here as notes or truth.
    Without a file of notes, the EDF+ annotations and WFDB rhythms of the streams are the notes. Truth is
    opened only when ``truth_file`` names it.

    Args:
        folder: a session folder, or the ``.hea`` of a WFDB record that is a session of its own.
        notes_file: a file name in the folder; the default is the one called ``notes.*``. For a record also a
            suffix, ".atr".
        truth_file: a file name in the folder (or a suffix), or None.
        policy: opt-in repairs.

    Raises:
        InputError: E-NO-FILE, E-NO-STREAMS, E-NOTES-AMBIGUOUS, E-NO-START, E-CLOCK-MIXED, E-NO-OVERLAP, and
            whatever is wrong with a file.
        ParameterError: ``notes_file`` or ``truth_file`` is not the name of a file in the folder.
    """
    folder, policy = Path(folder), policy or Policy()
    streams, notes, found = _session_files(folder, notes_file, truth_file)
    session = session_of(streams, notes, policy)
    session = replace(session, name=_name_of(folder), findings=(*session.findings, *found))
    truth = None if truth_file is None else _named(folder, truth_file, "truth_file")
    return session if truth is None else replace(session, truth=read_truth(truth))


def session_of(
    paths: Sequence[str | os.PathLike[str]],
    notes_path: str | os.PathLike[str] | None = None,
    policy: Policy | None = None,
) -> Session:
    """Read stream files given one by one, and a file of notes, as one session.

    Args:
        paths: stream files.
        notes_path: the notes; None takes the annotations that belong to the stream files, if there are any.
        policy: opt-in repairs.

    Raises:
        InputError: as ``read_session``.
    """
    policy = policy or Policy()
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("E-NO-STREAMS", "no stream file was given", hint="name a sensor or sound file")
    read = [streams_and_zone(path, policy) for path in files]
    loaded = [(path, stream) for path, (streams, _) in zip(files, read, strict=True) for stream in streams]
    notes_file = None if notes_path is None else Path(notes_path)
    rows, found = _written(files, notes_file)
    absolute = any(row.written is not None and row.written.scale in ("utc", "local") for _, row in rows)
    streams, epoch = on_one_clock(loaded, notes_are_absolute=absolute)
    check_overlap(streams)
    zone = _zone(policy) or next((written for _, written in read if written), "")
    clock = Clock(epoch, zone, min(s.start for s in streams), max(s.end for s in streams))
    starts: dict[Path | None, int | None] = {path: stream.epoch for path, stream in loaded}
    placed, noticed = place_notes([_shifted(row, starts.get(file), epoch) for file, row in rows], clock)
    if epoch is not None and not zone and any(_is_local(row) for _, row in rows):
        found = (*found, Finding("W-TZ", "local times in the notes are read as UTC (--tz sets their zone)"))
    return Session(
        files[0].stem,
        _distinct(streams, [path for path, _ in loaded]),
        placed,
        epoch,
        offset_text(offset_at(zone, epoch)) if epoch is not None and zone else "",
        findings=(*found, *noticed),
    )


def session_files(
    folder: str | os.PathLike[str], notes_file: str | None = None, truth_file: str | None = None
) -> tuple[list[Path], Path | None]:
    """The stream files and the file of notes that ``read_session`` would read; none of them is opened.

    Args:
        folder: a session folder, or a WFDB header.
        notes_file: name of the notes in it; default ``notes.*``.
        truth_file: name of the true spans in it, which are no notes.

    Raises:
        InputError: E-NO-FILE, E-NO-STREAMS, E-NOTES-AMBIGUOUS.
        ParameterError: as ``read_session``.
    """
    streams, notes, _ = _session_files(Path(folder), notes_file, truth_file)
    return streams, notes


def session_folders(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Find the sessions under the given paths, sorted by name.

    A path is a session folder, a folder of session folders, or a WFDB header. A folder that holds several
    ``.hea`` is a collection of records: each header is a session of its own.

    Raises:
        InputError: E-NO-FILE, a path does not exist; E-NO-STREAMS, a path holds no session.
    """
    found: set[Path] = set()
    for given in paths:
        path = Path(given)
        if not path.exists():
            raise InputError("E-NO-FILE", "no such file or folder", file=path)
        here = _sessions_at(path)
        if not here and path.is_dir():
            children = (child for child in path.iterdir() if child.is_dir() and child.name[0] != ".")
            here = [session for child in children for session in _sessions_at(child)]
        if not here:
            raise InputError(
                "E-NO-STREAMS", "no session here: a folder with a sensor or sound file",
                hint="give session folders, or the folder that holds them", file=path,
            )  # fmt: skip
        found.update(here)
    return sorted(found)


def _sessions_at(path: Path) -> list[Path]:
    """The path itself when it is a session; the headers of a folder of several records."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".hea" else []
    files = _files(path)
    headers = [file for file in files if file.suffix.lower() == ".hea"]
    if len(headers) > 1:
        return headers
    return [path] if _sorted_out(files)[0] else []


def _session_files(
    folder: Path, notes_file: str | None, truth_file: str | None
) -> tuple[list[Path], Path | None, list[Finding]]:
    """Stream files, notes and what was noticed, of a folder or of a WFDB record."""
    if folder.suffix.lower() == ".hea" and folder.is_file():
        return [folder], None if notes_file is None else _named(folder, notes_file, "notes_file"), []
    files = _files(folder)
    streams, ignored = _sorted_out([path for path in files if path.name not in (notes_file, truth_file)])
    if not streams:
        raise InputError("E-NO-STREAMS", "no sensor or sound file in the folder", file=folder,
                         hint="a session folder holds stream files and notes.*")  # fmt: skip
    notes, found = _notes_of(folder, files, notes_file)
    return streams, notes, [*found, *ignored]


def _name_of(folder: Path) -> str:
    return folder.stem if folder.is_file() else folder.resolve().name


def _files(folder: Path) -> list[Path]:
    """The files of a folder that are not hidden, sorted."""
    if not folder.is_dir():
        kind = "not a folder" if folder.exists() else "no such folder"
        raise InputError("E-NO-FILE", kind, hint="give a session folder", file=folder)
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _sorted_out(files: list[Path]) -> tuple[list[Path], list[Finding]]:
    """Stream files, and a finding about files that are nothing known."""
    rest = [path for path in files if not path.stem.lower().startswith(("notes", "truth"))]
    streams = [path for path in rest if is_stream_file(path)]
    belong: set[str] = set()
    for path in streams:
        if path.suffix.lower() == ".hea":
            from align.readers.wfdb import companions

            belong |= companions(path)
    ignored = [path.name for path in rest if path not in streams and path.name not in belong]
    if not ignored:
        return streams, []
    shown = ", ".join(ignored[:3]) + (", ..." if len(ignored) > 3 else "")
    return streams, [Finding("W-IGNORED", f"files that are neither stream nor notes: {shown}", len(ignored))]


def _notes_of(folder: Path, files: list[Path], name: str | None) -> tuple[Path | None, list[Finding]]:
    """The file of notes, or a finding when there are some but none is the default."""
    if name is not None:
        return _named(folder, name, "notes_file"), []
    known = [path for path in files if path.suffix.lower() in NOTE_SUFFIXES]
    default = [path for path in known if path.stem.lower() == "notes"]
    if len(default) > 1:
        raise InputError("E-NOTES-AMBIGUOUS", "several files of notes: " + ", ".join(p.name for p in default),
                         hint="choose one with --notes-file NAME", file=folder)  # fmt: skip
    others = [path.name for path in known if path.stem.lower().startswith("notes")]
    if default or not others:
        return (default[0] if default else None), []
    listed = ", ".join(others)
    return None, [Finding("W-NO-NOTES", f"no notes.*; --notes-file chooses one of {listed}", len(others))]


def _named(session: Path, name: str, parameter: str) -> Path:
    """The file of that name in the session's folder, and nowhere else; of a record also ".atr"."""
    folder = session.parent if session.is_file() else session
    if session.is_file() and name.startswith("."):
        name = session.stem + name
    if not name or Path(name).name != name or name in (".", ".."):
        raise ParameterError(parameter, name, "the name of a file in the session folder")
    if not (folder / name).is_file():
        raise InputError(
            "E-NO-FILE", f"no file of that name ({parameter}) in the session", file=folder / name
        )
    return folder / name


def _written(
    files: list[Path], notes: Path | None
) -> tuple[list[tuple[Path | None, WrittenNote]], tuple[Finding, ...]]:
    """Notes as written, each with the file whose second 0 its seconds count from (None: the session's)."""
    if notes is not None:
        rows, found = read_written_notes(notes)
        owner = next((path for path in files if path == notes or path.with_suffix(".atr") == notes), None)
        return [(owner, row) for row in rows], found
    rows_of = []
    for path in files:
        annotated = path.with_suffix(".atr") if path.suffix.lower() == ".hea" else path
        if annotated.suffix.lower() not in (".atr", ".edf", ".bdf") or not annotated.is_file():
            continue
        if annotated.suffix.lower() != ".atr":
            from align.readers.edf_header import read_edf_header

            if not read_edf_header(annotated).annotations:
                continue
        rows_of += [(path, row) for row in read_written_notes(annotated)[0]]
    return list[tuple[Path | None, WrittenNote]](rows_of), ()


def _shifted(row: WrittenNote, own: int | None, epoch: int | None) -> WrittenNote:
    """Seconds after the start of one file as seconds after the session's second 0."""
    time = row.written
    if time is None or time.scale != "session" or own is None or epoch is None:
        return row
    shift = (own - epoch) / NS
    moved = replace(
        time, earliest=time.earliest + shift, likely=time.likely + shift, latest=time.latest + shift
    )
    return replace(row, written=moved)


def _is_local(row: WrittenNote) -> bool:
    return row.written is not None and row.written.scale in ("local", "day")


def _zone(policy: Policy) -> str:
    """The zone of local times: ``policy.tz``, or the offset written in ``policy.start``."""
    if policy.tz is not None or policy.start is None:
        return policy.tz or ""
    offset = ns_from_iso(policy.start)[1]  # the reader of the sound has refused what is no time
    return "" if offset is None else offset_text(offset)


def _distinct(streams: list[Stream], files: list[Path]) -> tuple[Stream, ...]:
    """Distinct names: files of one stem keep their suffix, then their folder, then get a number."""
    names = [stream.name for stream in streams]
    for level in range(3):
        taken = Counter(names)
        for i, (stream, path) in enumerate(zip(streams, files, strict=True)):
            longer = (path.name, f"{path.parent.name}/{path.name}", f"{names[i]}#{i + 1}")[level]
            if taken[names[i]] > 1:
                names[i] = longer if level == 2 else longer + stream.name.removeprefix(path.stem)
    return tuple(
        stream if stream.name == name else replace(stream, name=name)
        for stream, name in zip(streams, names, strict=True)
    )

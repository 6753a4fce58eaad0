"""What a run was given: paths -> session, model and the files by role; and the same again from its record."""

from __future__ import annotations

from pathlib import Path

from align.datatypes import Session
from align.errors import ParameterError
from align.readers import Policy, read_session, session_files, session_of
from pipelines.train import files_by_role

__all__ = ["model_files", "read_inputs"]


def read_inputs(
    sensors: tuple[Path, ...], notes: Path | None, policy: Policy
) -> tuple[Session, dict[str, tuple[Path, ...]]]:
    """The session that paths name, and its files by role ("stream", "notes").

    Args:
        sensors: one session folder, or stream files.
        notes: the file of notes; None takes the default ones.
        policy: opt-in repairs.

    Raises:
        ParameterError: several paths with a folder among them; InputError: as ``read_session``.
    """
    if len(sensors) == 1 and sensors[0].is_dir():
        if notes is None or notes.parent == Path() or notes.resolve().parent == sensors[0].resolve():
            name = None if notes is None else notes.name
            session = read_session(sensors[0], notes_file=name, policy=policy)
            return session, files_by_role(*session_files(sensors[0], name))
        files = tuple(session_files(sensors[0])[0])
    elif any(p.is_dir() for p in sensors):
        raise ParameterError(
            "SENSOR", "several paths with a folder among them", "one session folder, or files"
        )
    else:
        files = sensors
    return session_of(files, notes, policy), files_by_role(files, notes)


def model_files(model: Path) -> tuple[Path, ...]:
    """The files of a model folder."""
    return tuple(sorted(p for p in model.iterdir() if p.is_file()))

"""Session folders -> a model folder."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from align.datatypes import Session
from align.errors import InputError
from align.readers import Policy, read_session, session_files, session_folders
from pipelines.config import RunConfig, Settings
from pipelines.record import RunFacts, run_record
from pipelines.store import atomic_write, check_output, prepare_output

if TYPE_CHECKING:
    from align.coordination import Coordination, TrainingPlan

__all__ = ["MODEL_FILES", "plan_of", "read_sessions", "train_model", "write_model"]

MODEL_FILES = ("model.safetensors", "model.json", "train.json")
Progress = Callable[[str, int, int], None]


def read_sessions(
    paths: Sequence[Path], *, notes_file: str | None, truth_file: str | None, policy: Policy
) -> list[Session]:
    """Every session under the given folders; truth is opened only when it is named.

    Args:
        paths: session folders, or parents of session folders.
        notes_file: name of the notes in each folder, or None for ``notes.*``; with truth and no notes file
            named, a folder may lack notes or hold several.
        truth_file: name of the true spans in each folder, or None.
        policy: opt-in repairs.

    Raises:
        InputError: E-NO-STREAMS, or whatever is wrong with a file.
    """
    return [
        read_session(folder, notes_file=notes_file, truth_file=truth_file, policy=policy)
        for folder in session_folders(paths)
    ]


def plan_of(config: RunConfig) -> TrainingPlan:
    """The library's training plan from the settings.

    Args:
        config: ``training``, ``features.hop`` and ``text.encoder`` are used.
    """
    from align.coordination import TrainingPlan

    known = {f.name for f in dataclasses.fields(TrainingPlan)}
    values = {k: v for k, v in dataclasses.asdict(config.training).items() if k in known}
    hop = None if config.features.hop == "auto" else config.features.hop
    return TrainingPlan(**{**values, "hop": hop, "encoder": config.text.encoder})


def train_model(
    sessions: Sequence[Session], settings: Settings, progress: Progress | None = None
) -> tuple[Coordination, float]:
    """Learn from sessions: from their truth where they carry it, else from their notes.

    Returns:
        The model and the seconds that training took.

    Raises:
        InputError: E-TOO-FEW-PAIRS, no session has a note or a true span; as ``fit_coordination``.
    """
    from align.coordination import fit_coordination

    if not any(s.truth or s.notes for s in sessions):
        raise InputError(
            "E-TOO-FEW-PAIRS",
            f"{len(sessions)} sessions and not one note",
            hint="name the notes with --notes-file, or true spans with --truth-file",
        )
    start = time.perf_counter()
    model = fit_coordination(sessions, plan_of(settings.config), progress)
    return model, time.perf_counter() - start


def write_model(
    model: Coordination,
    out: Path,
    settings: Settings,
    *,
    command: tuple[str, ...],
    inputs: Sequence[Path],
    seconds: float,
    force: bool = False,
) -> list[str]:
    """Write a model folder: tensors, what they mean, and how they were made; no note text in any of them.

    Raises:
        UnsafeError: E-EXISTS; ResourceError: the disk refuses.
    """
    from align.coordination import bundle_files
    from align.coordination.device import choose_device, describe_device

    check_output(out, force=force, known=MODEL_FILES)
    facts = RunFacts(
        command=command,
        method="contrastive",
        seed=settings.config.training.seed,
        device=describe_device(choose_device(settings.config.training.device)),
        config=settings.as_dict(),
        timings={"training": round(seconds, 3)},
    )
    record = run_record(facts, inputs={"session": inputs})
    files = {
        **bundle_files(model),
        "train.json": (json.dumps(record, indent=1, sort_keys=True) + "\n").encode(),
    }
    prepare_output(out, force=force, known=MODEL_FILES)
    for name, data in files.items():
        atomic_write(out / name, data, force=force)
    return list(files)


def input_files(paths: Sequence[Path], notes_file: str | None, truth_file: str | None) -> list[Path]:
    """Every file that ``read_sessions`` opens, for the record."""
    found: list[Path] = []
    for folder in session_folders(paths):
        streams, notes = session_files(folder, notes_file)
        found += [*map(Path, streams), *([Path(notes)] if notes else [])]
        if truth_file is not None and folder.is_dir():
            found.append(folder / truth_file)
    return found

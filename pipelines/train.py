"""Session folders -> a model folder."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from align.datatypes import Finding, Session
from align.errors import InputError
from align.readers import Policy, read_session, session_files, session_folders
from pipelines.config import RunConfig, Settings
from pipelines.record import RunFacts, run_record
from pipelines.store import atomic_write, check_output, prepare_output
from pipelines.training_folder import CHECKPOINTS, LOG, leads, log_bytes

if TYPE_CHECKING:
    from align.coordination import Coordination, TrainingPlan
    from align.coordination.loop.journal import Journal
    from align.coordination.streaming import StoredSession
    from align.coordination.training import Trunk

__all__ = [
    "MODEL_FILES",
    "TrainingFacts",
    "files_by_role",
    "input_files",
    "plan_of",
    "read_sessions",
    "train_model",
    "train_stored",
    "trunk_of",
    "write_model",
]

MODEL_FILES = ("model.safetensors", "model.json", "train.json", LOG)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What the record of a training says beside the settings.

    Attributes:
        command: the command and its arguments.
        inputs: role ("stream", "notes", "truth") -> files read.
        findings: what was noticed and repaired while reading.
        seconds: that training took.
        lines: of the training's journal, one an epoch.
    """

    command: tuple[str, ...]
    inputs: Mapping[str, Sequence[Path]]
    findings: Sequence[Finding]
    seconds: float
    lines: Sequence[Mapping[str, object]] = ()


def read_sessions(
    paths: Sequence[Path], *, notes_file: str | None, truth_file: str | None, policy: Policy
) -> list[Session]:
    """Every session under the given folders; truth is opened only when it is named.

    Args:
        paths: session folders, or parents of session folders.
        notes_file: name of the notes in each folder, or None for ``notes.*`` (a folder may have none).
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
    nobody = {"nothing_share": "auto", "patience": "off", "objective": "none"}
    values |= {name: None for name, word in nobody.items() if values[name] == word}
    hop = None if config.features.hop == "auto" else config.features.hop
    return TrainingPlan(**{**values, "hop": hop, "encoder": config.text.encoder})


def train_model(
    sessions: Sequence[Session],
    settings: Settings,
    progress: Progress | None = None,
    journal: Journal | None = None,
    trunk: Trunk | None = None,
) -> tuple[Coordination, float]:
    """Learn from sessions: from their truth where they carry it, else from their notes.

    Args:
        sessions, settings: to learn from, and how.
        progress: called as ``progress(stage, done, total)``.
        journal: where lines and checkpoints go, see ``pipelines.training_folder``.
        trunk: what the stream encoder starts from, see ``trunk_of``.

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
    model = fit_coordination(sessions, plan_of(settings.config), progress, journal, trunk=trunk)
    return model, time.perf_counter() - start


def train_stored(
    stored: Sequence[StoredSession],
    settings: Settings,
    progress: Progress | None = None,
    journal: Journal | None = None,
    trunk: Trunk | None = None,
) -> tuple[Coordination, float]:
    """Learn from the true spans of shards, without holding all of them in memory.

    Args:
        stored: from ``pipelines.shards.read_shards``.
        settings, progress, journal, trunk: as for ``train_model``.

    Returns:
        The model and the seconds that training took.

    Raises:
        InputError: E-SHARDS, as ``fit_stored``.
    """
    from align.coordination.fitting import fit_stored

    start = time.perf_counter()
    model = fit_stored(stored, plan_of(settings.config), progress, journal, trunk=trunk)
    return model, time.perf_counter() - start


def trunk_of(model: Path) -> Trunk:
    """What another training may start from: the stream encoder of a model, between its entry and its heads.

    Args:
        model: its folder.

    Raises:
        InputError: as ``load_coordination``.
    """
    from align.coordination import load_coordination
    from align.coordination.network.encoders import trunk_state

    return trunk_state(load_coordination(model).trained().stream)


def write_model(
    model: Coordination, out: Path, settings: Settings, facts: TrainingFacts, *, force: bool = False
) -> list[str]:
    """Write a model folder: tensors, what they mean, and how they were made; no note text in any of them.

    Checkpoints that the training left there go once the model is there. Of several processes only the first writes.

    Raises:
        UnsafeError: E-EXISTS; ResourceError: the disk refuses.
    """
    from align.coordination import bundle_files
    from align.coordination.loop.device import choose_device, describe_device

    if not leads():
        return []
    check_output(out, force=force, known=MODEL_FILES)
    about = RunFacts(
        command=facts.command,
        method="contrastive",
        seed=settings.config.training.seed,
        device=describe_device(choose_device(settings.config.training.device)),
        config=settings.as_dict(),
        timings={"training": facts.seconds},
    )
    record = run_record(about, inputs=facts.inputs, findings=facts.findings)
    files = {
        **bundle_files(model),
        "train.json": (json.dumps(record, indent=1, sort_keys=True) + "\n").encode(),
        LOG: log_bytes(facts.lines),
    }
    prepare_output(out, force=force, known=MODEL_FILES)
    for name, data in files.items():
        atomic_write(out / name, data, force=force)
    for name in CHECKPOINTS:
        (out / name).unlink(missing_ok=True)
    return list(files)


def input_files(
    paths: Sequence[Path], notes_file: str | None, truth_file: str | None
) -> dict[str, tuple[Path, ...]]:
    """Every file that ``read_sessions`` opens, by role: "stream", "notes" and, when it is named, "truth"."""
    found: dict[str, list[Path]] = {"stream": [], "notes": [], "truth": []}
    for folder in session_folders(paths):
        streams, notes = session_files(folder, notes_file, truth_file)
        roles = files_by_role(streams, notes)
        found["stream"] += roles["stream"]
        found["notes"] += roles["notes"]
        if truth_file is not None:
            found["truth"].append(truth_path(folder, truth_file))
    return {role: tuple(files) for role, files in found.items()}


def files_by_role(streams: Sequence[Path], notes: Path | None) -> dict[str, tuple[Path, ...]]:
    """Stream files with the signal files of WFDB headers, and notes: without a file, a record's own ``.atr``."""
    files: list[Path] = []
    own: list[Path] = []
    for path in streams:
        files.append(path)
        if path.suffix.lower() == ".hea":
            from align.readers.wfdb import companions

            beside = [path.parent / name for name in sorted(companions(path) - {path.name})]
            files += [f for f in beside if f.suffix != ".atr" and f.is_file()]
            own += [f for f in beside if f.suffix == ".atr" and f.stem == path.stem]
    return {"stream": tuple(files), "notes": tuple(own) if notes is None else (notes,)}


def truth_path(session: Path, name: str) -> Path:
    """The file of true spans of a session folder, or of a WFDB record beside its header."""
    if session.is_dir():
        return session / name
    return session.with_name(session.stem + name if name.startswith(".") else name)

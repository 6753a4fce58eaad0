"""A finished run, done again around the links that a person has corrected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from align.errors import InputError
from align.matching.anchors import Anchor, anchors_of
from align.readers.corrections import Correction, read_corrections
from align.readers.policy import Policy
from pipelines.config import Settings
from pipelines.inputs import model_files, read_inputs
from pipelines.record import SCHEMA
from pipelines.run import RunResult, run_session
from pipelines.settings import load_settings
from pipelines.store import sha256_of

__all__ = ["EarlierRun", "apply_corrections", "read_run"]

_OPTIONS = ("--notes", "-o", "--model")
_HINT = "align run it again, then apply the corrections to the new output"


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """What run.json says of how a run was made.

    ``inputs``: role -> file -> SHA-256; ``anchors`` corrections that it already kept.
    """

    file: Path
    command: tuple[str, ...]
    sensors: tuple[Path, ...]
    notes: Path | None
    model: Path | None
    settings: Settings
    policy: Policy
    inputs: Mapping[str, Mapping[Path, str]]
    anchors: tuple[Anchor, ...]


def read_run(out: Path) -> EarlierRun:
    """Read ``out/run.json``.

    Raises:
        InputError: E-NO-FILE, there is none; E-RUN, it is no record of ``align run``.
        ParameterError: a setting that this version does not know.
    """
    file = out / "run.json"
    if not file.is_file():
        raise InputError("E-NO-FILE", "no run.json", hint="give the folder that align run wrote", file=file)
    try:
        record = json.loads(file.read_text("utf-8"))
        if record["schema"] != SCHEMA or record["command"][:2] != ["align", "run"]:
            raise ValueError("another kind of record")
        given, options = _given(record["command"][2:])
        return EarlierRun(
            file=file,
            command=tuple(record["command"]),
            sensors=tuple(Path(word) for word in given),
            notes=None if "--notes" not in options else Path(options["--notes"]),
            model=None if "--model" not in options else Path(options["--model"]),
            settings=_settings(record["config"]),
            policy=_policy(record.get("policy", {})),
            inputs=_inputs(record["inputs"]),
            anchors=tuple(_anchor(row) for row in record.get("corrections", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = f"not the record of an align run ({type(error).__name__})"
        raise InputError("E-RUN", found, hint=_HINT, file=file) from error


def _given(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The inputs of a recorded command, and its options, which stand behind them in pairs."""
    first = next((i for i, word in enumerate(words) if word in _OPTIONS and i > 0), len(words))
    rest = words[first:]
    if not words[:first] or len(rest) % 2 or not set(rest[::2]) <= set(_OPTIONS):
        raise ValueError("no command line of align run")
    return words[:first], dict(zip(rest[::2], rest[1::2], strict=True))


def _settings(config: Mapping[str, Mapping[str, Any]]) -> Settings:
    settings = load_settings(None, {name: setting["value"] for name, setting in config.items()})
    sources = {name: s["source"] for name, s in config.items() if s["source"] != "default"}
    return replace(settings, sources=MappingProxyType(sources))


def _policy(said: Mapping[str, Any]) -> Policy:
    known = {field.name for field in fields(Policy)}
    if not set(said) <= known:
        raise ValueError("a repair that this version does not know")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}
    return Policy(**values)


def _inputs(rows: list[Mapping[str, Any]]) -> dict[str, dict[Path, str]]:
    found: dict[str, dict[Path, str]] = {}
    for row in rows:
        found.setdefault(row["role"], {})[Path(row["file"])] = row["sha256"]
    return found


def _anchor(row: Mapping[str, Any]) -> Anchor:
    start, end = row["start"], row["end"]
    return Anchor(row["note"], None if start is None else (float(start), float(end)))


def check_inputs(earlier: EarlierRun) -> None:
    """Refuse to go on unless every input is there, byte for byte as it was.

    Raises:
        InputError: E-INPUT-GONE, E-INPUT-CHANGED.
    """
    for files in earlier.inputs.values():
        for file, digest in files.items():
            if not file.exists():
                raise InputError("E-INPUT-GONE", "the run read this file, which is not there any more",
                                 hint="paths count from the folder where align run was called", file=file)  # fmt: skip
            if sha256_of(file) != digest:
                raise InputError("E-INPUT-CHANGED", "not the file that the run read: its SHA-256 differs",
                                 hint=_HINT, file=file)  # fmt: skip


def apply_corrections(
    earlier: EarlierRun, corrections: Path
) -> tuple[RunResult, dict[str, tuple[Path, ...]], tuple[Correction, ...]]:
    """Do a run again with its inputs, settings and seed, around corrected links.

    Corrections that the run already kept stay, unless the same note is corrected anew: the same file again
    changes nothing.

    Args:
        earlier: of ``read_run``.
        corrections: file of corrections, see ``align.readers.corrections``.

    Returns:
        The new result, its input files by role for the record, and the corrections as read.

    Raises:
        InputError: E-INPUT-GONE, E-INPUT-CHANGED, E-CORRECTION and whatever ``read_corrections`` finds.
        ParameterError: the run was made by a baseline, which keeps no links; corrected spans that contradict the
            order of their notes.
    """
    check_inputs(earlier)
    session, inputs = read_inputs(earlier.sensors, earlier.notes, earlier.policy)
    appeared = [
        f
        for files in inputs.values()
        for f in files
        if not any(f in known for known in earlier.inputs.values())
    ]
    if appeared:
        raise InputError("E-INPUT-CHANGED", "the run did not read this file, which is there now", hint=_HINT,
                         file=appeared[0])  # fmt: skip
    said, findings = read_corrections(corrections, n_notes=len(session.notes), epoch=session.epoch)
    anchors = anchors_of(said, (session.start, session.end), earlier.anchors, corrections)
    model = None
    if earlier.model is not None:
        from align.coordination import load_coordination

        model = load_coordination(earlier.model)
        inputs["model"] = model_files(earlier.model)
    session = replace(session, findings=(*session.findings, *findings))
    result = run_session(session, earlier.settings, model, anchors)
    return result, inputs, said

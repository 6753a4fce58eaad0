"""run.json: what was run, on what, with which versions and settings, and what was repaired on the way."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from align.datatypes import Finding
from pipelines.store import sha256_of

__all__ = ["SCHEMA", "RunFacts", "run_record", "versions"]

SCHEMA = "align.run/1"
_PACKAGES = (
    "streamnotes", "numpy", "numba", "polars", "torch", "librosa", "soundfile", "edfio", "wfdb",
    "scikit-learn", "safetensors", "tokenizers", "tsdownsample",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What only the run itself knows.

    Attributes:
        command: the command and its arguments, or the function that ran.
        method: how the notes were aligned ("contrastive", "dtw", ...).
        seed: the random seed.
        device: what did the arithmetic and why ("cpu: no GPU found").
        epoch: UTC nanoseconds of second 0, or None.
        timezone: the written offset.
        config: setting -> {"value", "source"}, as ``Settings.as_dict`` gives it.
        timings: stage -> seconds.
        policy: the repairs that were allowed, where not the default.
        corrections: note, start and end of each note that a person placed.
        clocks: the repairs of devices' clocks, as ``ClockRepair.as_dict`` gives them.
    """

    command: tuple[str, ...]
    method: str
    seed: int
    device: str = "cpu"
    epoch: int | None = None
    timezone: str = ""
    config: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    policy: Mapping[str, object] = field(default_factory=dict)
    corrections: tuple[Mapping[str, object], ...] = ()
    clocks: tuple[Mapping[str, object], ...] = ()


def run_record(
    facts: RunFacts, *, inputs: Mapping[str, Iterable[Path]], findings: Iterable[Finding] = ()
) -> dict[str, object]:
    """The contents of run.json (docs/schemas/run.schema.json), as plain JSON values.

    Args:
        facts: what the run knows.
        inputs: role ("stream", "notes", "truth", "model") -> the files read in that role, hashed here.
        findings: what readers noticed (``W-``) and repaired (``P-``): counted per code; any ``P-`` makes the
            run "degraded".

    Returns:
        A dictionary that ``json.dumps`` takes.

    Raises:
        InputError, ResourceError: an input that is not a file or cannot be read any more.
    """
    found = list(findings)
    policies: Counter[str] = Counter()
    for finding in found:
        if finding.code.startswith("P-"):
            policies[finding.code] += finding.count
    return {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(facts.command),
        "method": facts.method,
        "seed": facts.seed,
        "device": facts.device,
        "epoch_ns": facts.epoch,
        "timezone": facts.timezone,
        "degraded": bool(policies),
        "policies": dict(sorted(policies.items())),
        "findings": [f.as_dict() for f in found],
        "inputs": [_input(role, path) for role, paths in inputs.items() for path in paths],
        "config": {name: dict(setting) for name, setting in facts.config.items()},
        "policy": dict(facts.policy),
        "corrections": [dict(one) for one in facts.corrections],
        "clocks": [dict(one) for one in facts.clocks],
        "timings_s": {stage: round(seconds, 4) for stage, seconds in facts.timings.items()},
        "versions": versions(),
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }


def _input(role: str, path: Path) -> dict[str, object]:
    digest = sha256_of(path)  # first: it refuses what is not a file, in one line
    return {"role": role, "file": str(path), "bytes": path.stat().st_size, "sha256": digest}


def versions() -> dict[str, str]:
    """The installed version of each package whose version can change a result; absent ones are left out."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

"""Ours and a peer on one workload, process by process in turn, and whether they found the same optimum.

``in_turn`` is what all tables of speed share; ``Workload`` and ``compare`` are segmentation's (``benchmarks.warping``
has its own).
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Job
from benchmarks.objective import TOLERANCES, objective, typical_gamma
from benchmarks.signals import signal

__all__ = ["Row", "Workload", "compare", "in_turn", "machine", "peers_python", "run_job", "seconds_of"]

ROOT = Path(__file__).resolve().parent.parent
LONG = 20.0  # seconds after which a peer is timed once and no more
OURS, PEERS = "benchmarks.ours", "benchmarks.peers.worker"
_OF_PEERS = "benchmarks.peers."
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


@dataclass(frozen=True)
class Workload:
    """One line of the table: a signal, what is minimised on it, and the peer that minimises it too.

    ``least`` is the goal: peer's seconds over ours. ``peer`` is None where ours is timed alone; ``peer_job``
    are the peer's own options. With ``same_goal`` False the peer minimises something else, and results are
    not compared.
    """

    row: str
    signal: str
    penalty: float
    peer: str | None
    least: float = 1.0
    cost: str = "l2"
    min_size: int = 1
    peer_job: Mapping[str, Any] = field(default_factory=dict)
    our_job: Mapping[str, Any] = field(default_factory=dict)
    same_goal: bool = True
    threads: int = 1

    def job(self, file: Path, calls: int, seconds: float) -> Job:
        """What both sides are told."""
        told = {"penalty": self.penalty, "cost": self.cost, "min_size": self.min_size, "signal": str(file)}
        return told | {"threads": self.threads, "calls": calls, "seconds": seconds}


@dataclass(frozen=True)
class Row:
    """What was measured: the answers of both sides, merged over the rounds, and how they compare."""

    workload: Workload
    ours: Job
    peer: Job | None
    same: str

    @property
    def ratio(self) -> float:
        """Peer's seconds over ours."""
        return seconds_of(self.peer) / seconds_of(self.ours) if self.peer else float("nan")


def seconds_of(answer: Job) -> float:
    """Median of the warm calls; the first where there was no time for another."""
    return statistics.median(answer["warm"] or [answer["first"]])


def peers_python() -> Path | None:
    """The peers' interpreter: ``ALIGN_PEERS``, else .bench-venv as `make bench` builds it; None if absent."""
    python = Path(os.environ.get("ALIGN_PEERS", ROOT / ".bench-venv" / "bin" / "python"))
    return python if python.exists() else None


def run_job(module: str, job: Job, **environment: str) -> Job:
    """One job in a process of its own; a module of the peers under the peers' interpreter.

    ``job["our_python"]`` runs it under ours: for peers that need torch, which .bench-venv does not have.

    Raises:
        RuntimeError: the process failed; the message is the end of what it wrote.
    """
    theirs = module.startswith(_OF_PEERS) and not job.get("our_python")
    python = peers_python() if theirs else sys.executable
    done = subprocess.run(
        [str(python), "-m", module, json.dumps(job)],
        cwd=ROOT,
        env={**os.environ, **_ONE_THREAD, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        given = job.get("signal") or job.get("signals") or job.get("data")
        raise RuntimeError(f"{module} on {given}: {done.stderr[-800:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(workload: Workload, folder: Path, rounds: int = 3, calls: int = 3, seconds: float = 30.0) -> Row:
    """Measure a workload: ours, the peer, ours, the peer ... each in a fresh process.

    Args:
        workload: what to run.
        folder: where signals are kept between workloads.
        rounds: processes of each side.
        calls: warm calls in each process; 3 rounds of 3 give a median of 9.
        seconds: time after which a process makes no more calls.

    Raises:
        RuntimeError: a process failed, or ours reached a worse optimum than the peer.
    """
    file = folder / f"{workload.signal.replace(':', '_').replace(' ', '-')}.npy"
    if not file.exists():
        np.save(file, signal(workload.signal))
    job = workload.job(file, calls, seconds)
    if workload.cost == "kernel":
        job["gamma"] = typical_gamma(np.load(file))
    theirs = job | {"library": workload.peer} | dict(workload.peer_job)
    ours, peer = in_turn(
        lambda: run_job(OURS, job | dict(workload.our_job)),
        (lambda: run_job(PEERS, theirs)) if workload.peer else None,
        rounds,
    )
    if "missing" in ours:
        return Row(workload, ours, None, f"not there: {ours['missing']}")
    return Row(workload, ours, peer, _same(workload, file, ours, peer) if peer else "")


def in_turn(ours: Callable[[], Job], peer: Callable[[], Job] | None, rounds: int) -> tuple[Job, Job | None]:
    """Ours, the peer, ours, the peer ... and the answers of each side merged.

    Ends at once where ours answers ``missing``; a peer whose first call took over ``LONG`` seconds is run once.
    """
    mine: list[Job] = []
    theirs: list[Job] = []
    for _ in range(rounds):
        mine.append(ours())
        if "missing" in mine[0]:
            return mine[0], None
        if peer is not None and not (theirs and theirs[0]["first"] > LONG):
            theirs.append(peer())
    return merged(mine), merged(theirs) if theirs else None


def merged(answers: list[Job]) -> Job:
    """One answer out of several: all warm calls, the median first call and peaks."""
    middle = {k: statistics.median(a[k] for a in answers) for k in ("first", "peak_mb", "more_mb")}
    if "record" in answers[0]:
        middle["record"] = statistics.median(a["record"] for a in answers)
    return answers[0] | middle | {"warm": [s for a in answers for s in a["warm"]]}


def _same(workload: Workload, file: Path, ours: Job, peer: Job) -> str:
    if not workload.same_goal:
        return f"another goal: {len(ours['changes'])} and {len(peer['changes'])} change points"
    if ours["changes"] == peer["changes"]:
        return "change points"
    if workload.our_job.get("split"):
        raise RuntimeError(f"{workload.row} on {workload.signal}: the change points differ")
    values, near = np.load(file), TOLERANCES[workload.cost]
    gamma = typical_gamma(values) if workload.cost == "kernel" else 1.0
    a, b = (objective(values, x["changes"], workload.penalty, workload.cost, gamma) for x in (ours, peer))
    if a > b + near * abs(b):
        raise RuntimeError(f"{workload.row} on {workload.signal}: align reached {a!r}, {workload.peer} {b!r}")
    return "cost" if b <= a + near * abs(a) else f"peer's cost is {b - a:.3g} higher"


def machine(versions: Mapping[str, str] | None = None) -> str:
    """The machine, the day and the versions, one line."""
    from importlib.metadata import version

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.machine())
    ours = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    line = f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    theirs = ", ".join(f"{k} {v}" for k, v in (versions or {}).items() if v != "absent")
    return f"{line}; align: {ours}" + (f"; peers: {theirs}" if theirs else "")

"""Warping beside its peers: ``python -m benchmarks.warping [PART ...] [--quick] [--only W5]``.

Parts: ``speed`` (goals.md W1 to W8; W9 and W10 are ``benchmarks.gpu_warping``), ``cold`` (an empty cache) and
``agreement`` (random pairs against loops and tslearn). Without a part: all of them. The peers live in .bench-venv,
which `make bench` builds; ``ALIGN_PEERS`` names another interpreter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interleaved import in_turn, machine, peers_python, run_job, seconds_of
from benchmarks.measure import Job
from benchmarks.walks import SHAPES, walks
from benchmarks.warping_agreement import campaign
from benchmarks.warping_results import same

__all__ = ["Duel", "duels", "line", "main"]

OURS, PEERS = "benchmarks.ours_warping", "benchmarks.peers.warping"
PARTS = ("speed", "cold", "agreement")
TABLE = (
    "#",
    "task",
    "peer",
    "peer, s (calls)",
    "align, s",
    "ratio",
    "goal",
    "ns per cell",
    "first call, s",
    "peer's, s",
    "MB",
    "peer's MB",
    "same",
)


@dataclass(frozen=True)
class Duel:
    """One line of the table: a task on random walks, and the peer that does it too.

    ``data`` is a key of ``benchmarks.walks.SHAPES``; ``least`` the goal: the peer's seconds over ours; ``most_mb``
    the goal in memory: what a warm call of ours may hold over what the process held before. ``our_python``: the
    peer needs torch. ``long``: left out of --quick.
    """

    row: str
    task: str
    data: str
    peer: str
    least: float
    job: Mapping[str, Any] = field(default_factory=dict)
    most_mb: float = float("inf")
    our_python: bool = False
    long: bool = False


@dataclass(frozen=True)
class Row:
    """What was measured."""

    duel: Duel
    ours: Job
    peer: Job | None
    same: str

    @property
    def ratio(self) -> float:
        """Peer's seconds over ours."""
        return seconds_of(self.peer) / seconds_of(self.ours) if self.peer else float("nan")


def duels() -> Iterator[Duel]:
    """Every row of goals.md, section Warping, for a processor."""
    for peer in ("aeon", "wildboar", "dtaidistance", "tslearn", "librosa"):
        yield Duel("W1", "distance", "pair of 5000", peer, 22)
    for peer in ("aeon", "dtaidistance", "tslearn", "librosa"):
        yield Duel(
            "W2", "distance", "pair of 20000", peer, 24, most_mb=2, long=peer in ("tslearn", "librosa")
        )
    for peer in ("aeon", "wildboar", "dtaidistance", "tslearn"):
        yield Duel("W3", "distance", "pair of 5000", peer, 10, {"radius": 500})
    for peer in ("aeon", "tslearn", "dtaidistance", "librosa"):
        yield Duel("W4", "path", "pair of 5000", peer, 35, most_mb=30)
    for peer in ("aeon", "dtaidistance", "wildboar", "tslearn"):
        yield Duel("W5", "pairwise", "200 x 200 of 128", peer, 25, long=peer == "tslearn")
    yield Duel("W5, fp32", "pairwise", "200 x 200 of 128", "aeon", 40, {"dtype": "float32"})
    yield Duel("W6", "nearest", "1 x 100000 of 128", "wildboar", 8, {"radius": 12})
    yield Duel("W6", "nearest", "1 x 100000 of 128", "dtaidistance", 40, {"radius": 12})
    for peer in ("tslearn", "loops"):
        yield Duel("W7", "soft", "32 pairs of 128", peer, 80, {"gamma": 1.0}, our_python=True)
    # tslearn's k-means does not hand its max_iter_barycenter on: it averages up to 30 times, and so do all here
    rounds = {"iterations": 5, "barycentre_iterations": 30}
    yield Duel("W8", "kmeans", "500 of 128, 8 centres", "tslearn", 20, rounds)
    yield Duel("W8", "kmeans", "500 of 128, 8 centres", "aeon", 20, rounds, long=True)


def measured(duel: Duel, folder: Path, rounds: int = 3, calls: int = 3, seconds: float = 30.0) -> Row:
    """Measure one duel, process by process in turn, and compare the results.

    Raises:
        RuntimeError: a process failed, or the results differ.
    """
    file = folder / f"{duel.data.replace(' ', '-')}.npz"
    if not file.exists():
        np.savez(file, **walks(duel.data))  # type: ignore[arg-type]
    limits = {"threads": 1, "calls": calls, "seconds": seconds}
    job = {"task": duel.task, "data": str(file), **limits, **duel.job}
    results = folder / "ours.npz", folder / "peer.npz"
    theirs = {"library": duel.peer, "our_python": duel.our_python, "result": str(results[1])}
    ours, peer = in_turn(
        lambda: run_job(OURS, job | {"result": str(results[0])}), lambda: run_job(PEERS, job | theirs), rounds
    )
    if "missing" in ours:
        return Row(duel, ours, None, f"not there: {ours['missing']}")
    with np.load(file) as data, np.load(results[0]) as mine, np.load(results[1]) as other:
        words = same(duel.task, dict(data), dict(mine), dict(other), duel.job)
    ours |= run_job(OURS, job | {"memory": True})
    if peer is not None:
        peer |= run_job(PEERS, job | theirs | {"memory": True})
    return Row(duel, ours, peer, words)


def line(row: Row) -> str:
    """One row of the table of speed."""
    duel, ours, peer = row.duel, row.ours, row.peer
    task = f"{duel.task}, {duel.data}" + "".join(f", {k} {v}" for k, v in duel.job.items())
    if peer is None:
        return f"| {duel.row} | {task} | {duel.peer} |{' |' * 9} {row.same} |"
    seconds, warm = seconds_of(ours), len(peer["warm"])
    cells = cells_of(duel)
    goal = f">= {duel.least:g}x: {_met(row.ratio >= duel.least)}"
    if duel.most_mb < float("inf"):
        goal += f"; <= {duel.most_mb:g} MB: {_met(ours['work_mb'] <= duel.most_mb)}"
    columns = [duel.row, task, duel.peer, f"{seconds_of(peer):.4g} ({warm})", f"{seconds:.4g}"]
    columns += [f"{row.ratio:,.3g}x", goal, f"{seconds / cells * 1e9:.3g}" if cells else ""]
    columns += [f"{ours['first']:.2g}", f"{peer['first']:.2g}"]
    columns += [f"{side['work_mb']:.3g}" for side in (ours, peer)]
    return f"| {' | '.join([*columns, row.same])} |"


def cells_of(duel: Duel) -> int:
    """Cells of the tables of totals that a plain method fills; 0 where methods differ in which they need."""
    if duel.task not in ("distance", "path", "pairwise", "soft"):
        return 0
    shape = SHAPES[duel.data]
    pairs = shape.a * shape.b if duel.task == "pairwise" else shape.a
    n, radius = shape.length, duel.job.get("radius")
    return pairs * (n * n if radius is None else n * (2 * radius + 1) - radius * (radius + 1))


def _met(good: bool) -> str:
    return "met" if good else "**missed**"


def speed(folder: Path, quick: bool, only: str) -> int:
    """The table of goals.md; CPU seconds, warm median. Returns how many rows failed."""
    print(f"| {' | '.join(TABLE)} |\n|{'---|' * len(TABLE)}")
    versions: dict[str, str] = {}
    failed = 0
    for duel in duels():
        if not duel.row.startswith(only) or (quick and duel.long):
            continue
        if peers_python() is None and not duel.our_python:
            continue
        try:
            row = measured(duel, folder, *((2, 3, 15.0) if quick else (3, 3, 30.0)))
        except RuntimeError as error:  # the other rows are still worth having
            failed += 1
            print(f"| {duel.row} | {duel.peer} | FAILED: {' '.join(str(error).split())[-300:]} |", flush=True)
            continue
        versions |= {k: v for k, v in (row.peer or {}).get("versions", {}).items() if v != "absent"}
        print(line(row), flush=True)
    print(f"\n{machine(versions)}. CPU seconds of one pinned thread; MB: what a warm call adds.\n")
    return failed


def cold(folder: Path) -> None:
    """The first call with an empty cache of compiled code, and with a filled one; CPU seconds."""
    print("| first call, s | cache empty | cache filled |\n|---|---|---|")
    first = {duel.task: duel for duel in reversed([*duels()])}
    for duel in first.values():
        file = folder / f"{duel.data.replace(' ', '-')}.npz"
        if not file.exists():
            np.savez(file, **walks(duel.data))  # type: ignore[arg-type]
        job = {"task": duel.task, "data": str(file), "threads": 1, "calls": 0, "seconds": 0.0, **duel.job}
        job |= {"library": duel.peer, "our_python": duel.our_python, "result": str(folder / "cold.npz")}
        for module, name in ((OURS, "align"), (PEERS, duel.peer)):
            if module == PEERS and peers_python() is None and not duel.our_python:
                continue
            with tempfile.TemporaryDirectory() as empty:
                answers = [run_job(module, job, NUMBA_CACHE_DIR=empty) for _ in range(2)]
            cells = [f"{a['first']:.2f}" if "first" in a else a["missing"] for a in answers]
            print(f"| {duel.task}, {duel.data}: {name} | {' | '.join(cells)} |", flush=True)
    print(f"\n{machine()}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that were asked for and print their tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="the short rows only, fewer calls and pairs")
    parser.add_argument("--only", default="", help="rows whose name begins so, as W5")
    parser.add_argument("--pairs", type=int, default=10_000, help="of the agreement campaign")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    parts = options.parts or (("speed",) if options.only else PARTS)
    if peers_python() is None:
        print(
            "No peers: `make bench` builds .bench-venv, or ALIGN_PEERS names their Python.", file=sys.stderr
        )
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        if "speed" in parts:
            failed += speed(Path(name), options.quick, options.only)
        if "cold" in parts:
            cold(Path(name))
    if "agreement" in parts:
        failed += campaign(options.pairs // (20 if options.quick else 1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

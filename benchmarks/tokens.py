"""Clustering beside its peers: ``python -m benchmarks.tokens [--quick] [--only C1] [--seeds 5]``.

Rows C1 and C2 are those of goals.md, section Clustering; "n" shows what twice the rows cost. All libraries run in our
environment, each call in a process of its own, in turn with ours; CPU seconds of one pinned thread, warm median.
With ``--seeds`` nothing is timed: the inertia of the rows that each library seeds itself, over so many seeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.interleaved import in_turn, machine, run_job, seconds_of
from benchmarks.measure import Job

__all__ = ["Duel", "duels", "line", "main", "measured", "seeded_line"]

JOB = "benchmarks.tokens_job"
TABLE = (
    "#",
    "rows",
    "peer",
    "peer, s",
    "align, s",
    "ratio",
    "goal",
    "inertia over peer's",
    "MB",
    "peer's MB",
)
_SAME = 1e-5  # of the inertia, from the same start
SEEDED = (
    "#",
    "rows",
    "peer",
    "seeds",
    "mean inertia over peer's mean",
    "ours, of peer's mean",
    "peer's, of its mean",
)
_SEEDED_ROWS = 200_000  # enough to compare inertias


@dataclass(frozen=True)
class Duel:
    """One line: ``n`` rows of 16 columns, 64 clusters; from the same start, or with each library's seeding.

    ``least`` is the goal: the peer's seconds over ours; 0 where there is none.
    """

    row: str
    rows: str
    peer: str
    least: float = 0.0
    n: int = 1_000_000
    start: bool = True
    dtype: str = "float32"
    ours: str = "align"
    iterations: int = 20


def duels() -> Iterator[Duel]:
    """The table."""
    for kind in ("blobs", "noise"):
        yield Duel("C1", kind, "scikit-learn", 3.5)
        yield Duel("C1", kind, "faiss", 4.0)
    yield Duel("C1", "blobs", "scikit-learn", 3.5, dtype="float64")
    yield Duel("C1, small", "blobs", "tslearn", n=50_000)
    yield Duel("C2", "blobs", "scikit-learn", 8.0, start=False)
    yield Duel("C2", "blobs", "scikit-learn, batches", 8.0, start=False)
    yield Duel("batches", "blobs", "scikit-learn, batches", start=False, ours="align, batches")
    for n in (125_000, 250_000, 500_000):
        yield Duel("n", "blobs", "scikit-learn", n=n)


def measured(duel: Duel, rounds: int, calls: int) -> tuple[Job, Job]:
    """Both sides' answers, with the memory that a call takes.

    Raises:
        RuntimeError: a process failed, or our inertia is larger than the peer's from the same start.
    """
    mine, theirs = _jobs(duel, calls, 0)
    ours, peer = in_turn(lambda: run_job(JOB, mine), lambda: run_job(JOB, theirs), rounds)
    assert peer is not None  # there is one
    if duel.start and ours["inertia"] > peer["inertia"] * (1.0 + _SAME):
        raise RuntimeError(f"inertia {ours['inertia']!r}, the peer's {peer['inertia']!r}")
    ours |= run_job(JOB, mine | {"memory": True})
    peer |= run_job(JOB, theirs | {"memory": True})
    return ours, peer


def _jobs(duel: Duel, calls: int, seed: int) -> tuple[Job, Job]:
    """What both sides are told."""
    job = {"rows": duel.rows, "n": duel.n, "d": 16, "k": 64, "dtype": duel.dtype, "start": duel.start}
    job |= {"iterations": duel.iterations, "threads": 1, "calls": calls, "seconds": 60.0, "seed": seed}
    return job | {"library": duel.ours}, job | {"library": duel.peer}


def seeded_line(duel: Duel, seeds: int) -> str:
    """One row of ``SEEDED``: the same rows, clustered by both sides from seeds 0, 1, ...

    Raises:
        RuntimeError: a process failed.
    """
    found = np.array(
        [[run_job(JOB, job)["inertia"] for job in _jobs(duel, 0, seed)] for seed in range(seeds)]
    )
    shares = found / found[:, 1].mean() - 1.0
    ranges = [
        f"{least:+.2%} to {most:+.2%}" for least, most in zip(shares.min(0), shares.max(0), strict=True)
    ]
    rows = f"{duel.n:,} x 16 {duel.dtype}, {duel.rows}"
    columns = [duel.row, rows, duel.peer, str(seeds), f"{shares[:, 0].mean():+.2%}", *ranges]
    return f"| {' | '.join(columns)} |"


def line(duel: Duel, ours: Job, peer: Job) -> str:
    """One row of the table."""
    ratio = seconds_of(peer) / seconds_of(ours)
    goal = f">= {duel.least:g}x: {'met' if ratio >= duel.least else '**missed**'}" if duel.least else ""
    rows = f"{duel.n:,} x 16 {duel.dtype}, {duel.rows}, " + (
        f"{duel.iterations} iterations" if duel.start else "seeded"
    )
    columns = [
        duel.row,
        rows,
        duel.peer,
        f"{seconds_of(peer):.4g}",
        f"{seconds_of(ours):.4g}",
        f"{ratio:.3g}x",
    ]
    columns += [goal, f"{ours['inertia'] / peer['inertia'] - 1.0:+.1e}"]
    columns += [f"{side['work_mb']:.3g}" for side in (ours, peer)]
    return f"| {' | '.join(columns)} |"


def main(arguments: list[str] | None = None) -> int:
    """Print the table in Markdown; 1 if a row failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, fewer calls")
    parser.add_argument("--only", default="", help="rows whose name begins so, as C1")
    parser.add_argument("--seeds", type=int, default=0, help="inertia over so many seeds, and nothing else")
    options = parser.parse_args(arguments)
    chosen = [duel for duel in duels() if duel.row.startswith(options.only)]
    if options.seeds:
        print(f"| {' | '.join(SEEDED)} |\n|{'---|' * len(SEEDED)}")
        for duel in chosen:
            if not duel.start:
                print(seeded_line(replace(duel, n=_SEEDED_ROWS), options.seeds), flush=True)
        return 0
    print(f"| {' | '.join(TABLE)} |\n|{'---|' * len(TABLE)}")
    versions: dict[str, str] = {}
    failed = 0
    for duel in chosen:
        if options.quick:
            duel = replace(duel, n=duel.n // 10)
        try:
            ours, peer = measured(duel, *((1, 2) if options.quick else (3, 3)))
        except RuntimeError as error:  # the other rows are still worth having
            failed += 1
            print(f"| {duel.row} | {duel.peer} | FAILED: {' '.join(str(error).split())[-300:]} |", flush=True)
            continue
        versions |= peer["versions"]
        print(line(duel, ours, peer), flush=True)
    print(f"\n{machine(versions)}. CPU seconds of one pinned thread; MB: what a warm call adds.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

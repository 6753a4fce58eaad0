"""Contrastive losses of a large batch beside eager torch (goals.md L1): ``python -m benchmarks.losses [--quick]``.

Loss and gradients of paired float32 embeddings, one pinned thread, processes of both sides in turn. ``eager`` is the
loss as one writes it in torch (two cross entropies; a log-sigmoid); ``eager, masked`` is ``losses.symmetric_nce``.
L2, on a card, is ``benchmarks.gpu_losses``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.interleaved import in_turn, machine, run_job, seconds_of
from benchmarks.measure import Job

__all__ = ["Duel", "difference", "duels", "line", "main", "measured"]

JOB = "benchmarks.losses_job"
TABLE = (
    "#",
    "loss",
    "peer",
    "peer, s (calls)",
    "align, s",
    "ratio",
    "goal",
    "MB",
    "peer's MB",
    "share",
    "goal",
    "gradients",
)
EXACT = 1e-6  # relative difference of gradients that may be


@dataclass(frozen=True)
class Duel:
    """One line of the table: a loss of ``batch`` pairs, and which way of writing it ours is compared with."""

    row: str
    task: str
    peer: str
    scale: float = 1.0 / 0.07
    batch: int = 8192
    dimension: int = 128
    least: float = 1.5
    most_share: float = 1.0 / 8.0


@dataclass(frozen=True)
class Row:
    """What was measured; ``off`` is the greatest relative difference of a gradient."""

    duel: Duel
    ours: Job
    peer: Job
    off: float

    @property
    def ratio(self) -> float:
        """Peer's seconds over ours."""
        return seconds_of(self.peer) / seconds_of(self.ours)

    @property
    def share(self) -> float:
        """Our memory over the peer's."""
        return float(self.ours["work_mb"] / self.peer["work_mb"])


def duels() -> Iterator[Duel]:
    """L1 of goals.md, and the same with the largest inverse temperature, where exponentials are shifted."""
    yield Duel("L1", "nce", "eager")
    yield Duel("L1, scale 100", "nce", "eager", scale=100.0)
    yield Duel("L1, masks", "nce", "eager, masked")
    yield Duel("L1, SigLIP", "siglip", "eager")


def measured(duel: Duel, folder: Path, rounds: int = 3, calls: int = 3) -> Row:
    """Measure one duel, process by process in turn; then weigh memory in processes of their own.

    Raises:
        RuntimeError: a process failed.
    """
    job = {"task": duel.task, "batch": duel.batch, "dimension": duel.dimension, "scale": duel.scale}
    job |= {"threads": 1, "calls": calls, "seconds": 60.0}
    jobs = [
        job | {"side": side, "result": str(folder / f"{k}.npz")}
        for k, side in enumerate(("align", duel.peer))
    ]
    ours, peer = in_turn(lambda: run_job(JOB, jobs[0]), lambda: run_job(JOB, jobs[1]), rounds)
    assert peer is not None
    for side, told in zip((ours, peer), jobs, strict=True):
        side |= run_job(JOB, told | {"memory": True})
    with np.load(folder / "0.npz") as mine, np.load(folder / "1.npz") as theirs:
        return Row(duel, ours, peer, max(difference(mine[name], theirs[name]) for name in mine.files))


def difference(x: np.ndarray, y: np.ndarray) -> float:
    """Euclidean norm of x - y over that of y."""
    return float(np.linalg.norm(x.astype(np.float64) - y) / np.linalg.norm(y.astype(np.float64)))


def line(row: Row) -> str:
    """One row of the table."""
    duel = row.duel
    shape = f"{duel.task}, {duel.batch} x {duel.dimension}"
    columns = [duel.row, shape, duel.peer, f"{seconds_of(row.peer):.3g} ({len(row.peer['warm'])})"]
    columns += [
        f"{seconds_of(row.ours):.3g}",
        f"{row.ratio:.2f}x",
        _goal(row.ratio >= duel.least, f">= {duel.least:g}x"),
    ]
    columns += [f"{row.ours['work_mb']:.0f}", f"{row.peer['work_mb']:.0f}", f"1/{1.0 / row.share:.0f}"]
    columns += [_goal(row.share <= duel.most_share, f"<= 1/{1.0 / duel.most_share:g}")]
    return f"| {' | '.join([*columns, _goal(row.off <= EXACT, f'{row.off:.1e}')])} |"


def _goal(good: bool, words: str) -> str:
    return f"{words}: {'met' if good else '**missed**'}"


def main(arguments: list[str] | None = None) -> int:
    """Print the table in Markdown; returns 1 where a row failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the first row only, fewer calls")
    parser.add_argument("--only", default="", help="rows whose name begins so, as 'L1, SigLIP'")
    parser.add_argument("--batch", type=int, default=None, help="pairs, instead of goals.md's")
    options = parser.parse_args(arguments)
    failed, versions = 0, {}
    print(f"| {' | '.join(TABLE)} |\n|{'---|' * len(TABLE)}")
    with tempfile.TemporaryDirectory() as folder:
        for duel in [d for d in duels() if d.row.startswith(options.only)][: 1 if options.quick else None]:
            asked = duel if options.batch is None else replace(duel, batch=options.batch)
            try:
                row = measured(asked, Path(folder), *((2, 2) if options.quick else (3, 3)))
            except RuntimeError as error:  # the other rows are still worth having
                failed += 1
                print(f"| {duel.row} | FAILED: {' '.join(str(error).split())[-300:]} |", flush=True)
                continue
            versions |= {k: v for k, v in row.ours["versions"].items() if k == "torch"}
            print(line(row), flush=True)
    print(f"\n{machine(versions)}. CPU seconds of one pinned thread; MB: what a warm call adds.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""``align batch`` under load: poison, killed workers, crashes, refusals, and what it costs.

    python -m benchmarks.batch poison --files 10000 --poison 100 --kills 20 --engine local dask
    python -m benchmarks.batch calls --files 200
    python -m benchmarks.batch times --files 200 --kills 200
    python -m benchmarks.batch overhead scaling throughput memory

Every part checks what it measures and ends with an error where a result is not what it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.batch_crashes import calls, times
from benchmarks.batch_files import make_files
from benchmarks.batch_rates import memory, overhead, scaling, throughput
from benchmarks.interleaved import machine
from pipelines.batch import BatchResult, Done, run_batch
from pipelines.children import Limits
from pipelines.engines import ENGINES, Asked, Engine
from pipelines.jobs import JobSettings
from pipelines.manifest import inputs_of

__all__ = ["batch", "engine_of", "poison", "results_of"]


def engine_of(name: str, jobs: int) -> Engine:
    """An engine with ``jobs`` workers on this machine."""
    return ENGINES[name](Asked(jobs, Limits()))


def batch(
    manifest: Path,
    out: Path,
    engine: Engine,
    job: str = "segment",
    watch: Callable[[Done | None], bool] = lambda done: False,
) -> tuple[BatchResult, float]:
    """Do a batch; what became of it, and its seconds on the wall."""
    begin = time.perf_counter()
    result = run_batch(inputs_of([manifest], "streams"), out, job, JobSettings(), engine, watch=watch)
    return result, time.perf_counter() - begin


def results_of(out: Path) -> dict[str, bytes]:
    """Result -> bytes."""
    top = out / "results"
    return {p.relative_to(top).as_posix(): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def _processes() -> dict[str, list[int]]:
    """The processes below this one: "child" (they do items) and "dask" (Dask's workers)."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(
                int(stat.parent.name)
            )
        except OSError:  # it has ended meanwhile
            continue
    found: dict[str, list[int]] = {"child": [], "dask": []}
    todo = list(parents.get(os.getpid(), []))
    while todo:
        pid = todo.pop()
        todo += parents.get(pid, [])
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"pipelines.worker" in command:
            found["child"].append(pid)
        elif b"spawn_main" in command:
            found["dask"].append(pid)
    return found


class _Killer:
    """Kills a worker, now a child and now, where there are any, one of Dask's, each time ``every`` items are done."""

    def __init__(self, times: int, every: int) -> None:
        self.times, self.every, self.next = times, every, every
        self.killed: list[str] = []
        self.random = random.Random(7)

    def __call__(self, done: Done | None) -> bool:
        if done is not None and done.done >= self.next and len(self.killed) < self.times:
            there = _processes()
            kind = "dask" if there["dask"] and len(self.killed) % 2 else "child"
            if there[kind]:
                os.kill(self.random.choice(there[kind]), signal.SIGKILL)
                self.killed.append(kind)
                self.next = done.done + self.every
        return False


def poison(
    folder: Path, n_files: int, n_poison: int, n_kills: int, engines: tuple[str, ...], jobs: int, job: str
) -> None:
    """Poisoned files and killed workers, with every engine; against a run without either.

    Args:
        folder: to work in.
        n_files: all of them.
        n_poison: of these.
        n_kills: workers that are killed.
        engines: names.
        jobs: workers.
        job: of ``align batch``.
    """
    manifest, bad = make_files(folder / "in", n_files, n_poison)
    good = folder / "in" / "good.txt"
    good.write_text("".join(f"{n}\n" for n in manifest.read_text().split() if n not in bad))
    _, seconds = batch(good, folder / "clean", engine_of("local", jobs), job)
    clean = results_of(folder / "clean")
    assert len(clean) == n_files - len(bad)
    print(
        f"{n_files:,} files, {len(bad)} poisoned in {len(set(bad.values()))} ways, {n_kills} workers killed\n"
    )
    print(
        "| engine | workers killed | named | others byte-equal | seconds | files/s |\n|---|---|---|---|---|---|"
    )
    print(
        f"| local, only the good ones | 0 | 0 | {len(clean):,} | {seconds:.0f} | {len(clean) / seconds:.0f} |"
    )
    for name in engines:
        killer = _Killer(n_kills, int(0.9 * n_files / max(1, n_kills)))
        result, seconds = batch(manifest, folder / name, engine_of(name, jobs), job, killer)
        named = {row["input"]: row for row in result.failures}
        found = results_of(folder / name)
        if set(named) != set(bad):
            raise RuntimeError(f"{name}: named {sorted(set(named) ^ set(bad))[:10]} other than the poisoned")
        if found != clean or len(killer.killed) != n_kills:
            raise RuntimeError(
                f"{name}: {len(found)} results, {len(killer.killed)} killed: not as a clean run"
            )
        bugs = sorted(
            {f"{bad[i]}: {row['error']['code']}" for i, row in named.items() if "BUG" in row["error"]["code"]}
        )
        if bugs:
            raise RuntimeError(f"{name}: {bugs}")
        kinds = "+".join(f"{killer.killed.count(k)} {k}" for k in sorted(set(killer.killed)))
        print(
            f"| {name} | {kinds} | {len(named)} | {len(found):,} | {seconds:.0f} | {n_files / seconds:.0f} |",
            flush=True,
        )
    codes = json.dumps({bad[name]: row["error"]["code"] for name, row in sorted(named.items())})
    print(f"\nfault -> code: {codes}\n\n{machine()}\n")


PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "poison": lambda folder, asked: poison(
        folder, asked.files or 10_000, asked.poison, asked.kills, tuple(asked.engine), asked.jobs, asked.job
    ),
    "overhead": lambda folder, asked: overhead(folder, asked.files or 300),
    "scaling": lambda folder, asked: scaling(folder, asked.files or 30),
    "throughput": lambda folder, asked: throughput(folder, asked.hours),
    "memory": lambda folder, asked: memory(folder, asked.files or 400),
    "calls": lambda folder, asked: calls(folder, asked.files or 200),
    "times": lambda folder, asked: times(folder, asked.files or 200, asked.kills),
}


def main() -> None:
    """Run the parts that are named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="+", choices=sorted(PARTS))
    parser.add_argument("--files", type=int)
    parser.add_argument("--poison", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--engine", nargs="+", default=["local", "dask"])
    parser.add_argument("--job", default="inspect")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    for part in asked.part:
        folder = Path(tempfile.mkdtemp(prefix="align-bench-"))
        try:
            PARTS[part](folder, asked)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())

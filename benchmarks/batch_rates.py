"""What a batch costs: overhead per file, scaling, signal-hours per core-hour, memory by the number of files."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.batch_files import write_good
from benchmarks.interleaved import ROOT, machine
from pipelines.children import Limits
from pipelines.engines import ENGINES, Asked, Outcome, Task
from pipelines.jobs import JobSettings
from pipelines.token_books import Wanted
from pipelines.tokenize import tokenize_recordings

__all__ = ["memory", "overhead", "scaling", "throughput"]


def _outcomes(
    files: Sequence[Path], out: Path, job: str, engine: str, jobs: int, how: JobSettings | None = None
) -> list[tuple[float, Outcome]]:
    """(seconds since the start, outcome) of every file, by an engine alone: no journal."""
    out.mkdir(parents=True)
    begin, found = time.perf_counter(), []
    order = {"job": job, "how": (how or JobSettings()).as_json(), "out": str(out)}
    tasks = [Task(f"{i:06}", path) for i, path in enumerate(files)]
    with closing(ENGINES[engine](Asked(jobs, Limits())).outcomes(order, tasks, lambda: False)) as outcomes:
        for outcome in outcomes:
            if outcome.kind != "ok":
                raise RuntimeError(f"{outcome.kind}: {outcome.error}")
            found.append((time.perf_counter() - begin, outcome))
    return found


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def overhead(folder: Path, n_files: int) -> None:
    """Milliseconds between two answers beyond what the item itself took in its process, with one worker.

    Args:
        folder: to work in.
        n_files: small files.
    """
    files = []
    for i in range(n_files):
        files.append(folder / f"small{i:06}.csv")
        write_good(files[-1], i)
    print("| engine | first answer, s | item itself, ms (median) | between answers beyond it, ms (mean) |")
    print("|---|---|---|---|")
    for engine in ("local", "dask"):
        found = _outcomes(files, folder / f"overhead-{engine}", "inspect", engine, 1)
        seconds = [outcome.seconds for _, outcome in found]
        # a mean: where small items travel together their answers come at once
        beyond = (found[-1][0] - found[0][0] - sum(seconds[1:])) / (len(found) - 1)
        print(
            f"| {engine} | {found[0][0]:.1f} | {1e3 * _median(seconds):.2f} | {1e3 * beyond:.2f} |",
            flush=True,
        )
    print(f"\n{n_files:,} CSV files of 120 rows, job inspect\n\n{machine()}\n")


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def scaling(folder: Path, n_files: int) -> None:
    """One worker against two on the same files: seconds from the first answer to the last, and CPU of the work.

    Args:
        folder: to work in.
        n_files: of 20,000 rows each.
    """
    files = []
    for i in range(n_files):
        files.append(folder / f"large{i:03}.csv")
        write_good(files[-1], i, 20_000)
    print("| workers | wall of the work, s | CPU of the workers, s | efficiency |\n|---|---|---|---|")
    alone = 0.0
    _outcomes(files[:1], folder / "warm", "segment", "local", 1)  # kernels are compiled once
    for jobs in (1, 2):
        before = _cpu_of_children()
        found = _outcomes(files, folder / f"scaling{jobs}", "segment", "local", jobs)
        rest = [at for at, _ in found]
        # the first answers of all workers wait for libraries: counted from the last of these
        wall = (rest[-1] - rest[jobs - 1]) / (n_files - jobs) * n_files
        alone = alone or wall
        cpu = _cpu_of_children() - before
        print(f"| {jobs} | {wall:.1f} | {cpu:.1f} | {alone / jobs / wall:.2f} |", flush=True)
    print(f"\n{n_files} files of 20,000 rows and 2 channels, job segment\n\n{machine()}\n")


def throughput(folder: Path, hours: float) -> None:
    """Signal-hours per core-hour: CPU seconds of a worker that does five recordings, less those of one that does one.

    Args:
        folder: to work in.
        hours: of a recording: Parquet, 3 channels at 50 Hz, and sound, mono at 16 kHz (a tenth as long).
    """
    makers: dict[str, tuple[str, float, Callable[[Path, int], None]]] = {
        "3 channels at 50 Hz, Parquet": (".parquet", hours, lambda p, i: _motion(p, i, hours)),
        "mono 16 kHz, FLAC": (".flac", hours / 10, lambda p, i: _sound(p, i, hours / 10)),
    }
    print(
        "| job | recordings | hours each | CPU s per signal-hour | signal-hours per core-hour |\n|---|---|---|---|---|"
    )
    for title, (suffix, length, make) in makers.items():
        files = [folder / f"long{i}{suffix}" for i in range(5)]
        for i, file in enumerate(files):
            make(file, i)
        tokenize_recordings(files[:1], folder / f"tokens{suffix}", Wanted(n_codes=16))
        book = JobSettings(codebook=folder / f"tokens{suffix}" / "codebook.safetensors")
        for job, how in (("inspect", None), ("segment", None), ("tokenize", book)):
            _outcomes(
                files[:1], folder / f"warm-{job}{suffix}", job, "local", 1, how
            )  # kernels are compiled once
            used = []
            for part in (files[:1], files):
                before = _cpu_of_children()
                _outcomes(part, folder / f"rate-{job}{suffix}{len(part)}", job, "local", 1, how)
                used.append(_cpu_of_children() - before)
            each = (used[1] - used[0]) / 4 / length
            print(f"| {job} | {title} | {length:g} | {each:.2f} | {3600 / each:,.0f} |", flush=True)
    print(f"\n{machine()}\n")


def _motion(path: Path, seed: int, hours: float) -> None:
    import numpy as np
    import polars as pl

    n, random = round(hours * 180_000), np.random.default_rng(seed)
    level = np.repeat(random.normal(0, 2, (n // 3000 + 1, 3)), 3000, axis=0)[:n]
    values = (random.standard_normal((n, 3)) * 0.3 + level).astype(np.float32)
    pl.DataFrame({"time": np.arange(n) / 50} | {f"c{i}": values[:, i] for i in range(3)}).write_parquet(path)


def _sound(path: Path, seed: int, hours: float) -> None:
    import numpy as np
    import soundfile

    n, random = round(hours * 57_600_000), np.random.default_rng(seed)
    tone = np.repeat(random.uniform(0.02, 0.3, n // 80_000 + 1), 80_000)[:n]
    soundfile.write(path, np.sin(np.cumsum(tone)) * 0.4 + random.normal(0, 0.01, n), 16_000)


_GROWTH = """
import json, sys
from pathlib import Path
from pipelines.batch import run_batch
from pipelines.engines import Outcome
from pipelines.jobs import JobSettings
from pipelines.manifest import Input

class Nothing:
    def outcomes(self, order, tasks, stop):
        for task in tasks:
            yield Outcome(task, "ok", "0" * 64, {f"{task.name}.json": "1" * 64})

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024

inputs, before = tuple(Input(f"d{i // 1000:04}/{i:07}.csv", Path(f"/data/d{i // 1000:04}/{i:07}.csv"))
                       for i in range(int(sys.argv[1]))), 0
run_batch(inputs[:1], Path(sys.argv[2] + "-one"), "inspect", JobSettings(), Nothing())
run_batch(inputs, Path(sys.argv[2]), "inspect", JobSettings(), Nothing())
print(json.dumps(peak()))
"""


def memory(folder: Path, n_files: int) -> None:
    """Peak of a worker over its life, and of the parent by the number of inputs.

    Args:
        folder: to work in.
        n_files: small files for the worker.
    """
    file = folder / "same.csv"
    write_good(file, 0)
    found = _outcomes([file] * n_files, folder / "memory", "segment", "local", 1)
    print("| a worker's peak after items | MB |\n|---|---|")
    for n in sorted({10, n_files // 4, n_files // 2, n_files}):
        print(f"| {n:,} | {found[n - 1][1].peak / 1e6:.1f} |")
    print("\n| parent: inputs | peak, MB |\n|---|---|")
    for n in (1_000, 10_000, 100_000):
        asked = [sys.executable, "-c", _GROWTH, str(n), str(folder / f"growth{n}")]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
        print(f"| {n:,} | {json.loads(done.stdout) / 1e6:.0f} |", flush=True)
    print(f"\n{machine()}\n")

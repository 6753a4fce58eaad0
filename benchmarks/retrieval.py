"""Searching: the index beside numpy and faiss from 1e4 to 1e6 vectors, and ``align search`` over a day.

    python -m benchmarks.retrieval [--largest 1000000] [--no-day]

Every method runs in a process of its own: CPU seconds (set OMP_NUM_THREADS=1), the most memory that a search takes
beside the index, and the share of the exact ten nearest that it found. faiss takes part where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interleaved import ROOT, machine
from benchmarks.measure import peak_mb

METHODS = ("align exact", "numpy, whole matrix", "faiss flat", "align + faiss lists")
DIMENSION, QUERIES, K = 64, 100, 10
RATE, HOURS, CHANNELS = 50, 24, 6
_DAY = """
import resource, sys, time
from cli.main import main
began = time.perf_counter()
code = main(sys.argv[1:])
peak = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{used.ru_utime + used.ru_stime:.1f} {time.perf_counter() - began:.1f} {int(peak.split()[1]) / 1024:.0f} {code}",
      file=sys.stderr)
"""


def vectors(n: int, seed: int) -> np.ndarray:
    """Unit-norm vectors round 200 directions, as frames lie round what they show."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(200, DIMENSION))
    out = np.empty((n, DIMENSION), np.float32)
    for low in range(0, n, 100_000):
        m = min(100_000, n - low)
        part = centres[rng.integers(0, 200, m)] + 0.7 * rng.normal(size=(m, DIMENSION))
        out[low : low + m] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return out


def searcher(method: str, rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Queries -> the k rows nearest to each, by one method."""
    from align.coordination.uses.faiss_index import FaissIndex
    from align.coordination.uses.index import EmbeddingIndex

    if method == "align exact":
        exact = EmbeddingIndex(rows)
        return lambda queries: exact.search(queries, K)[1]
    if method == "align + faiss lists":
        lists = FaissIndex.build(rows)
        return lambda queries: lists.search(queries, K)[1]
    if method == "faiss flat":
        import faiss

        flat = faiss.IndexFlatIP(DIMENSION)
        flat.add(rows)
        return lambda queries: flat.search(queries, K)[1]

    def whole(queries: np.ndarray) -> np.ndarray:
        products = queries @ rows.T
        best = np.argpartition(-products, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(products, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1)

    return whole


def job(method: str, n: int) -> dict[str, Any]:
    """One method at one size, in this process."""
    import align.coordination.uses.faiss_index  # noqa: F401 - loaded before anything is timed

    rows, queries = vectors(n, 1), vectors(QUERIES, 2)
    begin = time.process_time()
    search = searcher(method, rows)
    built = time.process_time() - begin
    found = search(queries)
    beside = held_mb(lambda: search(queries))
    many = min(seconds_of(search, queries) for _ in range(3))
    one = float(np.median([seconds_of(search, queries[i : i + 1]) for i in range(20)]))
    exact = exact_rows(queries[:20], rows)
    same = np.mean(
        [len(set(a) & set(b)) / K for a, b in zip(found[:20].tolist(), exact.tolist(), strict=True)]
    )
    return {"built": built, "many": QUERIES / many, "one": one * 1e3, "mb": beside, "same": float(same)}


def exact_rows(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The K nearest by sorting all products of one query after the other."""
    return np.stack([np.argsort(-(rows @ q), kind="stable")[:K] for q in queries])


def seconds_of(search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray) -> float:
    begin = time.process_time()
    search(queries)
    return time.process_time() - begin


def held_mb(call: Callable[[], object]) -> float:
    """Most MiB of this process while the call ran, beyond what it held before (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = peak_mb()
    call()
    return max(0.0, peak_mb() - before)


def ask(method: str, n: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.retrieval", "--job", method, str(n)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def show_index(largest: int) -> None:
    """The table of the index."""
    print(f"{DIMENSION} dimensions, {QUERIES} queries at once or one alone, the {K} nearest, one thread\n")
    heads = (
        "vectors",
        "method",
        "queries/s",
        "one query, ms",
        "memory of a search, MiB",
        "built in, s",
    )
    print(f"| {' | '.join([*heads, 'share of the exact ten'])} |\n|{'---|' * 7}")
    n = 10_000
    while n <= largest:
        for method in METHODS:
            if "faiss" in method and importlib.util.find_spec("faiss") is None:
                print(f"| {n:,} | {method} | not installed | | | | |")
                continue
            got = ask(method, n)
            cells = [f"{n:,}", method, f"{got['many']:,.0f}", f"{got['one']:.2f}", f"{got['mb']:.0f}"]
            cells += [f"{got['built']:.2f}", f"{got['same']:.3f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
        n *= 10


def made_session(seconds: float, seed: int, name: str):  # type: ignore[no-untyped-def]
    """Six channels whose rhythm says which of three things happens."""
    from align.datatypes import Session, Span, Stream

    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    values = rng.normal(0, 0.1, (n, CHANNELS)).astype(np.float32)
    truth, at = [], 5.0
    while at + 20 < seconds:
        kind, length = int(rng.integers(3)), float(rng.uniform(8, 16))
        part = slice(round(at * RATE), round((at + length) * RATE))
        t = np.arange(part.stop - part.start) / RATE
        values[part] += np.sin(2 * np.pi * (0.5, 2.0, 5.0)[kind] * t)[:, None].astype(np.float32)
        truth.append(
            Span(at, at + length, "ABC"[kind], ("rocks slowly", "walks along", "shakes it fast")[kind])
        )
        at += length + float(rng.uniform(5, 15))
    channels = tuple(f"c{i}" for i in range(CHANNELS))
    stream = Stream(values, float(RATE), "day", channels=channels)
    return Session(name, (stream,), (), truth=tuple(truth))


def show_day(folder: Path) -> None:
    """``align search`` as a command over 24 h x 6 channels x 50 Hz, from a Parquet file."""
    import polars as pl

    from align.coordination import TrainingPlan, bundle_files, fit_coordination

    plan = TrainingPlan(epochs=6, hop=0.25, device="cpu")
    model = fit_coordination([made_session(300.0, k, f"p{k}_x") for k in range(4)], plan)
    (folder / "model").mkdir()
    for name, data in bundle_files(model).items():
        (folder / "model" / name).write_bytes(data)
    whole = made_session(HOURS * 3600.0, 9, "day")
    values = whole.streams[0].values
    columns = {"time": np.arange(len(values)) / RATE} | {f"c{i}": values[:, i] for i in range(CHANNELS)}
    pl.DataFrame(columns).write_parquet(folder / "day.parquet")
    true = sum(row.label == "C" for row in whole.truth)
    print(
        f"\n| align search, {HOURS} h x {CHANNELS} channels x {RATE} Hz | CPU, s | wall, s | peak, MiB | right |"
    )
    print("|---|---|---|---|---|")
    for k in (10, true):
        asked = [
            str(folder / "day.parquet"),
            "shakes it fast",
            "--model",
            str(folder / "model"),
            "-k",
            str(k),
            "--json",
        ]
        done = subprocess.run(
            [sys.executable, "-c", _DAY, "search", *asked],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        cpu, wall, peak, _ = done.stderr.split()[-4:]
        hits = [json.loads(line) for line in done.stdout.splitlines()[:-1]]
        right = sum(any(abs(h["start"] - t.start) < 2 and t.label == "C" for t in whole.truth) for h in hits)
        print(
            f"| -k {k} of {true} that are true | {cpu} | {wall} | {peak} | {right} of {len(hits)} |",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--no-day", action="store_true")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        print(json.dumps(job(options.job[0], int(options.job[1]))))
        return
    show_index(options.largest)
    if not options.no_day:
        with tempfile.TemporaryDirectory() as folder:
            show_day(Path(folder))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()

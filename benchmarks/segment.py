"""Segmentation against ruptures, and on a million samples of six channels: ``python -m benchmarks.segment``.

Every row runs in a process of its own, one thread, CPU seconds. Peers solve the same problem in the same
process: the change points, or where optima tie the costs, are asserted equal. S(n) is
``ruptures.pw_constant(n, 1, n // 500 - 1, noise_std=1, delta=(1, 10), seed=0)``; penalties are 2 d ln n.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["main"]

Array = np.ndarray[Any, Any]
_MILLION = {"noise": 0, "one change": 500_000, "changes every 1,000": 1_000}


def main() -> None:
    """Print the tables in Markdown."""
    print(f"{_machine()}\n")
    print(
        "| 1e6 x 6 float32, penalty 12 ln n | segments | warm, s | first call, warm cache, s | cold, s | MB more |"
    )
    print("|---|---|---|---|---|---|")
    _in_process("first", "noise")  # fills the cache
    for name in _MILLION:
        row = _in_process("million", name)
        with tempfile.TemporaryDirectory() as empty:
            cold = _in_process("first", name, NUMBA_CACHE_DIR=empty)["first"]
        print(
            f"| {name} | {row['segments']} | {row['warm']:.3f} | {row['first']:.2f} | {cold:.1f} | {row['mb']:.0f} |"
        )
    auto = _in_process("auto", "changes every 1,000")
    print(f'\n`penalty="auto"` on the last: {auto["warm"]:.3f} s warm.\n')
    print("| growth from 1e5 to 1e6, six channels | 1e5, s | 1e6, s | factor |\n|---|---|---|---|")
    for name in _MILLION:
        row = _in_process("growth", name)
        print(f"| {name} | {row['small']:.4f} | {row['large']:.3f} | {row['large'] / row['small']:.1f} |")
    print(
        "\n| same optimum as | on | min size | peer, s | align, s | ratio | equal |\n|---|---|---|---|---|---|---|"
    )
    for peer, n, d, min_size in (
        ("KernelCPD", 50_000, 1, 1),
        ("KernelCPD", 50_000, 8, 1),
        ("KernelCPD noise", 10_000, 8, 1),
        ("Pelt jump=1", 10_000, 1, 1),
    ):
        row = _in_process("peer", peer, str(n), str(d), str(min_size))
        print(
            f"| ruptures.{peer} | {row['on']} | {min_size} | {row['peer']:.4f} | {row['align']:.5f} "
            f"| {row['peer'] / row['align']:,.0f}x | {row['equal']} |"
        )
    print("\nruptures.Pelt(jump=1) on S(5e4) takes minutes (206 s in goals.md): not run here.")


def _machine() -> str:
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "ruptures"))
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next(
            (line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown"
        )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}; CPU seconds, one thread"


def _in_process(kind: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """One row, measured in a fresh process."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.segment", kind, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout))


def _cpu(call: Callable[[], Any], least: int = 5) -> float:
    """Median CPU seconds of at least five calls, more of short ones."""
    taken: list[float] = []
    while len(taken) < least or (sum(taken) < 0.5 and len(taken) < 50):
        before = time.process_time()
        call()
        taken.append(time.process_time() - before)
    return statistics.median(taken)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _six_channels(n: int, name: str) -> Array:
    values = np.random.default_rng(0).standard_normal((n, 6), dtype=np.float32)
    every = min(_MILLION[name], n // 2) if name != "changes every 1,000" else 1_000
    if every:
        values += (np.arange(n) // every % 2).astype(np.float32)[:, None]
    return values


def _call(n: int, name: str, penalty: float | str | None = None) -> Callable[[], Any]:
    from align import Stream, segment

    stream = Stream(_six_channels(n, name), rate=50.0)
    price = 12 * float(np.log(n)) if penalty is None else penalty
    return lambda: segment(stream, penalty=price)


def million(name: str) -> dict[str, Any]:
    """Time and memory of one signal; the memory is what the call adds to the process that holds the signal."""
    call = _call(1_000_000, name)
    before = time.process_time()
    held = _peak_mb()
    segments = call().n_segments
    first = time.process_time() - before
    mb = _peak_mb() - held
    return {"segments": segments, "first": first, "warm": _cpu(call), "mb": mb}


def first(name: str) -> dict[str, Any]:
    """The first call only."""
    call = _call(1_000_000, name)
    before = time.process_time()
    call()
    return {"first": time.process_time() - before}


def auto(name: str) -> dict[str, Any]:
    """With the automatic penalty."""
    call = _call(1_000_000, name, "auto")
    call()
    return {"warm": _cpu(call)}


def growth(name: str) -> dict[str, Any]:
    """The same pattern, ten times as long."""
    small, large = _call(100_000, name), _call(1_000_000, name)
    small(), large()
    return {"small": _cpu(small), "large": _cpu(large)}


def peer(name: str, n_text: str, d_text: str, min_text: str) -> dict[str, Any]:
    """Against ruptures, one after the other in one run."""
    import ruptures

    from align import Stream, segment

    n, d, min_size = int(n_text), int(d_text), int(min_text)
    if name.endswith("noise"):
        signal, on = np.random.default_rng(0).standard_normal((n, d)), f"noise {n:.0e} x {d}"
    else:
        signal, _ = ruptures.pw_constant(n, d, n // 500 - 1, noise_std=1, delta=(1, 10), seed=0)
        on = f"S({n:.0e}) x {d}"
    signal = np.ascontiguousarray(signal, np.float32).astype(np.float64)
    penalty = 2 * d * float(np.log(n))
    stream = Stream(signal, rate=1.0)

    def theirs() -> list[int]:
        if name.startswith("KernelCPD"):
            model = ruptures.KernelCPD("linear", min_size=min_size, jump=1)
        else:
            model = ruptures.Pelt("l2", min_size=min_size, jump=1)
        return list(model.fit_predict(signal, pen=penalty))[:-1]

    def ours() -> Any:
        return segment(stream, penalty=penalty, min_duration=float(min_size))

    found = ours()
    before = time.process_time()
    expected = theirs()
    once = time.process_time() - before
    least = _cost(signal, expected, penalty)
    equal = "change points" if found.changes.tolist() == expected else "cost"
    reached = found.cost + penalty * len(found.changes)
    if abs(reached - least) > 1e-9 * least:
        raise SystemExit(f"{name} on {on}: align reached {reached}, the peer {least}")
    peers = once if once > 2 else _cpu(theirs)
    return {"on": on, "peer": peers, "align": _cpu(ours), "equal": equal}


def _cost(signal: Array, changes: list[int], penalty: float) -> float:
    parts = np.split(signal, changes)
    return float(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts)) + penalty * len(changes)


_ROWS = {"million": million, "first": first, "auto": auto, "growth": growth, "peer": peer}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_ROWS[sys.argv[1]](*sys.argv[2:])))
    else:
        main()

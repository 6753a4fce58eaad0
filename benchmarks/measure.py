"""One measurement, the same on both sides: CPU seconds of the first call and of warm ones, and peak memory.

Runs under our interpreter and under the peers', so it imports numpy and the standard library only. A *job* is
a JSON object on the command line, its *answer* one JSON line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["answer", "clock_of", "measure", "peak_mb", "pin", "timed", "work_mb"]

Job = dict[str, Any]
Result = TypeVar("Result")


def pin(count: int = 1) -> None:
    """Keep this process to the last ``count`` processors it may use (where the system can)."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(allowed[-count:]))


def peak_mb() -> float:
    """Most memory that this process held so far, MiB.

    Linux counts what the parent held before ``exec`` into ``ru_maxrss``, so its own high-water mark is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def clock_of(threads: int) -> Callable[[], float]:
    """CPU seconds of the process for one thread, seconds on the wall for more."""
    return time.process_time if threads == 1 else time.perf_counter


def measure(call: Callable[[], Sequence[int]], job: Job) -> Job:
    """``timed`` for a call that gives change points; they are ``changes`` of the answer."""
    found, changes = timed(call, job)
    return found | {"changes": [int(c) for c in changes]}


def timed(call: Callable[[], Result], job: Job) -> tuple[Job, Result]:
    """Time the first call and up to ``job["calls"]`` warm ones, which stop after ``job["seconds"]``.

    Args:
        call: the work.
        job: ``calls``, ``seconds`` and ``threads``.

    Returns:
        ``first`` and ``warm`` seconds, ``peak_mb`` and ``more_mb``, what the first call added to the peak of
        the process that already held the signal and the libraries; and what the first call gave.
    """
    now = clock_of(job["threads"])
    held = peak_mb()
    before = now()
    result = call()
    first = now() - before
    peak = peak_mb()
    warm: list[float] = []
    while len(warm) < job["calls"] and first + sum(warm) < job["seconds"]:
        before = now()
        call()
        warm.append(now() - before)
    return {"first": first, "warm": warm, "peak_mb": peak, "more_mb": peak - held}, result


def work_mb(small: Callable[[], object], call: Callable[[], object]) -> float:
    """MiB that a call holds at most, over what the process held once a small call had loaded all code.

    Linux forgets the high-water mark on request; elsewhere a call that needs less than the process already
    had counts as 0.
    """
    small()
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")
    held = peak_mb()
    call()
    return peak_mb() - held


def answer(work: Callable[[Job], Job], libraries: Sequence[str]) -> None:
    """Do the job given on the command line and print its answer, with the versions of ``libraries``."""
    job = json.loads(sys.argv[1])
    pin(job.get("threads", 1))
    found = work(job)
    found["versions"] = {name: _version(name) for name in libraries}
    print(json.dumps(found))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"

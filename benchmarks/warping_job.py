"""A job of warping, the same on both sides: load the series, time the call, save its result, weigh its memory.

Runs under our interpreter and under the peers', so it imports numpy and ``benchmarks.measure`` only. A *job* names its
``task``, the ``data`` (an .npz with ``a`` and ``b``) and the file for the ``result``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Job, timed, work_mb

__all__ = ["Array", "Arrays", "Call", "do"]

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Call = Callable[[], Arrays]
_SMALL = (64, 8)  # series and samples of the call that loads all code before memory is weighed


def do(job: Job, build: Callable[[Arrays, Job], Call]) -> Job:
    """Time ``build(data, job)``; with ``job["memory"]`` instead weigh what a warm call holds at most, MiB."""
    with np.load(job["data"]) as file:
        data = {name: file[name] for name in file.files}
    if job.get("memory"):
        return {"work_mb": work_mb(build(small(data), job), build(data, job))}
    found, result = timed(build(data, job), job)
    np.savez(job["result"], **result)  # type: ignore[arg-type]
    return found


def small(data: Arrays) -> Arrays:
    """The first samples of the first series."""
    return {
        name: np.ascontiguousarray(x[: _SMALL[0], : _SMALL[1]] if x.ndim == 2 else x[: _SMALL[1]])
        for name, x in data.items()
    }

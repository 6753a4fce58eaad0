"""One job under our interpreter: ``python -m benchmarks.ours JOB``, the twin of ``benchmarks.peers.worker``."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.measure import Job, answer, measure, peak_mb

Array = np.ndarray[Any, Any]


def one_signal(job: Job) -> Job:
    """Time ``align.segment`` on one signal; ``record`` is what making the Stream took.

    A method that is not there answers ``missing``. With ``split`` the channels are streams of their own,
    shared out to ``threads``.
    """
    from align import Stream, segment
    from align.errors import ParameterError

    values = np.load(job["signal"])
    before = time.process_time()
    parts = [values[:, [c]] for c in range(values.shape[1])] if job.get("split") else [values]
    streams = [Stream(part, rate=1.0) for part in parts]
    record = time.process_time() - before
    options = {"method": job["cost"], "penalty": job["penalty"], **job.get("options", {})}
    if job["min_size"] > 1:
        options["min_duration"] = float(job["min_size"])

    def cut(stream: Stream) -> list[int]:
        return list(segment(stream, **options).changes)

    try:
        if job["threads"] == 1:
            found = measure(lambda: [c for stream in streams for c in cut(stream)], job)
        else:
            with ThreadPoolExecutor(job["threads"]) as pool:
                found = measure(lambda: [c for part in pool.map(cut, streams) for c in part], job)
    except (ParameterError, TypeError) as error:
        return {"missing": str(error)}
    return found | {"record": record}


def many_signals(job: Job) -> Job:
    """Our answers on the many signals of an .npz file; see ``benchmarks.peers.worker.many_signals``."""
    from align import Stream, segment
    from align.errors import ParameterError

    with np.load(job["signals"]) as file:
        held = {name: file[name] for name in file.files}
    signals = np.split(held["values"], np.cumsum(held["lengths"])[:-1])
    method = job["cost"]
    try:
        segment(Stream(signals[0], rate=1.0), method=method)  # compiles
    except ParameterError as error:
        return {"missing": str(error)}
    changes, seconds = [], []
    for i, signal in enumerate(signals):
        own: dict[str, Any] = {"penalty": held["penalty"][i].item()} if "penalty" in held else {}
        if "min_size" in held:
            own["min_duration"] = float(held["min_size"][i])
        stream = Stream(signal, rate=1.0)
        before = time.process_time()
        changes.append(segment(stream, method=method, **own).changes.tolist())
        seconds.append(time.process_time() - before)
    return {"changes": changes, "seconds": seconds, "peak_mb": peak_mb()}


if __name__ == "__main__":
    answer(lambda job: many_signals(job) if "signals" in job else one_signal(job), ("numpy", "numba"))

"""Streaming peers, one sample at a time: ``python -m benchmarks.peers.monitor JOB`` under the peers' interpreter.

River's ADWIN and PageHinkley, changepoint_online's Focus, claspy's streaming ClaSP, stumpy's FLOSS. Numpy, the
standard library and the peers only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.alarms import calibrated, with_restarts
from benchmarks.measure import Job, answer

Array = np.ndarray[Any, Any]
Step = Callable[[float], bool]


def made(library: str, job: Job) -> Step:
    """A fresh detector: takes a sample, says whether there is an alarm."""
    if library in ("ADWIN", "PageHinkley"):
        from river import drift

        detector = getattr(drift, library)(**job.get("options", {}))

        def step(x: float) -> bool:
            detector.update(x)
            return bool(detector.drift_detected)

        return step
    if library == "Focus":
        from changepoint_online import Focus, Gaussian

        focus, threshold = Focus(Gaussian()), job["options"]["threshold"]

        def step(x: float) -> bool:
            focus.update(x)
            return bool(focus.statistic() > threshold)

        return step
    raise ValueError(f"{library!r} is not ADWIN, PageHinkley or Focus")


def speed(job: Job) -> Job:
    """Samples per CPU second behind a warm-up."""
    values, warm = np.load(job["signal"]), int(job["warm"])
    library = job["library"]
    if library == "claspy":
        from claspy.streaming.segmentation import StreamingClaSPSegmentation

        take: Callable[[float], Any] = StreamingClaSPSegmentation(n_timepoints=warm, n_warmup=warm).update
    elif library == "stumpy":
        import stumpy

        known = values[:warm]
        profile = stumpy.stump(known, m=50)
        take = stumpy.floss(profile, known, m=50, L=50).update
        values = values[warm:]
        warm = 50
    else:
        take = made(library, job)
    for x in values[:warm].tolist():
        take(x)
    rest = values[warm:].tolist()
    begin = time.process_time()
    for x in rest:
        take(x)
    return {"per_second": len(rest) / (time.process_time() - begin), "samples": len(rest)}


def run_length(job: Job) -> Job:
    """Set a detector to a run length, and its alarms then on every file."""
    library = job["library"]

    def alarms(setting: float, series: Sequence[Array]) -> list[list[int]]:
        options = {"delta": 1.0 / setting} if library == "ADWIN" else {"threshold": setting}
        return [with_restarts(lambda: made(library, {"options": options}), x) for x in series]

    held = {}
    for name, file in job["files"].items():
        with np.load(file) as packed:
            held[name] = np.split(packed["values"], np.cumsum(packed["lengths"])[:-1])
    low, high = job["between"]
    set_up = (alarms, (low, high), held.pop("set"), job["changes"], job["within"], job["target"])
    value, reached = calibrated(*set_up)
    found = {name: alarms(value, series) for name, series in held.items()}
    return {"value": value, "reached": reached, "alarms": found}


def cut(job: Job) -> Job:
    """claspy's streaming change points of each series, and CPU seconds."""
    from claspy.streaming.segmentation import StreamingClaSPSegmentation

    with np.load(job["signals"]) as file:
        series = np.split(file["values"][:, 0], np.cumsum(file["lengths"])[:-1])
    changes, seconds = [], []
    for values in series:
        size = min(10_000, max(500, len(values) // 2))
        begin = time.process_time()
        method = StreamingClaSPSegmentation(n_timepoints=10_000, n_warmup=size)
        seen: set[int] = set()
        for k, x in enumerate(values.tolist(), 1):
            method.update(x)
            if k > size:
                seen.add(int(method.predict()))
        changes.append(sorted(c for c in seen if 0 < c < len(values)))
        seconds.append(time.process_time() - begin)
    return {"changes": changes, "seconds": seconds}


def main(job: Job) -> Job:
    """One job."""
    return {"speed": speed, "run_length": run_length, "cut": cut}[job["what"]](job)


if __name__ == "__main__":
    answer(main, ("river", "claspy", "stumpy", "changepoint_online"))

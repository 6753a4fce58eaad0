"""One job under the peers' interpreter: ``python -m benchmarks.peers.worker JOB``, see ``benchmarks.measure``.

Every peer is asked for the objective of the job: sum of costs + penalty per change point. fastcpd's costs are
halved log-likelihoods, so it is given half the penalty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.measure import Job, answer, measure, peak_mb

Array = np.ndarray[Any, Any]
Call = Callable[[], Sequence[int]]


def pelt(values: Array, job: Job) -> Call:
    """ruptures.Pelt: Python, exact at jump=1 and min_size=1."""
    import ruptures

    model = ruptures.Pelt("l2", min_size=job["min_size"], jump=job.get("jump", 1))
    return lambda: model.fit_predict(values, pen=job["penalty"])[:-1]


def kernel_cpd(values: Array, job: Job) -> Call:
    """ruptures.KernelCPD: C; linear kernel for "l2", Gaussian for "kernel"."""
    import ruptures

    params = {"gamma": job["gamma"]} if job.get("gamma") else None
    kernel = "rbf" if job["cost"] == "kernel" else "linear"
    model = ruptures.KernelCPD(kernel, min_size=job["min_size"], params=params)
    if "n_bkps" in job:
        return lambda: model.fit_predict(values, n_bkps=job["n_bkps"])[:-1]
    return lambda: model.fit_predict(values, pen=job["penalty"])[:-1]


def fpop(values: Array, job: Job) -> Call:
    """skchange.FPOP: numba, one channel; a matrix is cut channel by channel."""
    from skchange.detectors import FPOP

    channels = [np.ascontiguousarray(values[:, c : c + 1]) for c in range(values.shape[1])]
    detector = FPOP(penalty=job["penalty"])
    return lambda: [p for x in channels for p in detector.fit(x).predict(x)]


def skchange_pelt(values: Array, job: Job) -> Call:
    """skchange.PELT: numba, any cost."""
    from skchange.detectors import PELT
    from skchange.interval_scorers import GaussianCost, L2Cost

    cost = GaussianCost() if job["cost"] == "meanvar" else L2Cost()
    detector = PELT(cost=cost, penalty=job["penalty"], min_segment_length=job["min_size"])
    return lambda: detector.fit(values).predict(values)


def fastcpd(values: Array, job: Job) -> Call:
    """fastcpd: C++, no least length; "BIC" is the exact objective, "MBIC" another criterion."""
    from fastcpd import segmentation

    options = {"beta": job["penalty"] / 2, "cost_adjustment": job["criterion"], "trim": 0.0, "cp_only": True}
    if job["cost"] == "meanvar":
        return lambda: segmentation.detect_meanvariance(values, **options).cp_set
    unit = np.eye(values.shape[1])
    return lambda: segmentation.detect_mean(values, variance_estimation=unit, **options).cp_set


def claspy(values: Array, job: Job) -> Call:
    """claspy.BinaryClaSPSegmentation with its defaults, one thread, one channel."""
    from claspy.segmentation import BinaryClaSPSegmentation

    return lambda: BinaryClaSPSegmentation(n_jobs=1).fit_predict(values[:, 0])


LIBRARIES: dict[str, Callable[[Array, Job], Call]] = {
    "ruptures.Pelt": pelt,
    "ruptures.KernelCPD": kernel_cpd,
    "skchange.FPOP": fpop,
    "skchange.PELT": skchange_pelt,
    "fastcpd": fastcpd,
    "claspy": claspy,
}
VERSIONS = ("numpy", "numba", "ruptures", "skchange", "fastcpd", "claspy")


def one_signal(job: Job) -> Job:
    """Time one peer on one signal."""
    values = np.ascontiguousarray(np.load(job["signal"]), np.float64)
    return measure(LIBRARIES[job["library"]](values, job), job)


def many_signals(job: Job) -> Job:
    """The answers of one peer on the many small signals of an .npz file, and the CPU seconds of each.

    ``values`` are the signals one after the other, ``lengths`` theirs; ``penalty``, ``min_size`` and
    ``n_bkps``, where the file has them, are each signal's own.
    """
    with np.load(job["signals"]) as file:
        held = {name: file[name] for name in file.files}
    signals = np.split(held["values"].astype(np.float64), np.cumsum(held["lengths"])[:-1])
    build = LIBRARIES[job["library"]]
    if job.get("warm_up"):
        build(signals[0], job | {"penalty": 1.0, "min_size": 1})()
    changes, seconds = [], []
    for i, signal in enumerate(signals):
        own = {k: held[k][i].item() for k in ("penalty", "min_size", "n_bkps") if k in held}
        call = build(np.ascontiguousarray(signal), job | own)
        before = time.process_time()
        changes.append([int(c) for c in call()])
        seconds.append(time.process_time() - before)
    return {"changes": changes, "seconds": seconds, "peak_mb": peak_mb()}


if __name__ == "__main__":
    answer(lambda job: many_signals(job) if "signals" in job else one_signal(job), VERSIONS)

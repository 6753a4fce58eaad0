"""One job of warping under our interpreter: ``python -m benchmarks.ours_warping JOB``, see ``benchmarks.warping``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Job, answer
from benchmarks.warping_job import Arrays, Call, do

__all__ = ["CALLS"]


def distance(data: Arrays, job: Job) -> Call:
    """``dtw_distance`` of one pair."""
    from align.warping.dtw import dtw_distance

    options = options_of(job)
    return lambda: {"distance": np.float64(dtw_distance(data["a"], data["b"], **options))}


def path(data: Arrays, job: Job) -> Call:
    """``dtw_path`` of one pair."""
    from align.warping.dtw import dtw_path

    options = options_of(job)

    def both() -> Arrays:
        steps, length = dtw_path(data["a"], data["b"], **options)
        return {"path": steps, "distance": np.float64(length)}

    return both


def pairwise(data: Arrays, job: Job) -> Call:
    """``dtw_pairwise`` of two collections."""
    from align.warping.pairwise import dtw_pairwise

    options = options_of(job)
    return lambda: {"distances": dtw_pairwise(data["a"], data["b"], **options)}


def nearest(data: Arrays, job: Job) -> Call:
    """``nearest`` of one query in a collection."""
    from align.warping.search import nearest as find

    options = options_of(job)

    def first() -> Arrays:
        index, length = find(data["a"], data["b"], **options)
        return {"index": np.asarray(index).reshape(-1)[0], "distance": np.asarray(length).reshape(-1)[0]}

    return first


def soft(data: Arrays, job: Job) -> Call:
    """``soft_dtw`` of a batch of pairs, forward and backward."""
    import torch

    from align.warping.soft import soft_dtw

    torch.set_num_threads(1)
    a = torch.from_numpy(data["a"])[:, :, None].requires_grad_()
    b = torch.from_numpy(data["b"])[:, :, None]

    def both() -> Arrays:
        a.grad = None
        value = soft_dtw(a, b, gamma=job["gamma"])
        value.sum().backward()
        assert a.grad is not None
        return {"loss": value.detach().numpy(), "gradient": a.grad.numpy().copy()}

    return both


def kmeans(data: Arrays, job: Job) -> Call:
    """``dtw_kmeans`` from given centres."""
    from align.warping.barycentre import dtw_kmeans

    def cluster() -> Arrays:
        made = dtw_kmeans(
            data["a"],
            data["b"],
            iterations=job["iterations"],
            barycentre_iterations=job["barycentre_iterations"],
        )
        return {"centres": np.asarray(made.centres)}

    return cluster


def options_of(job: Job) -> dict[str, Any]:
    """Band and number type, where the job names them."""
    options: dict[str, Any] = {}
    if job.get("radius") is not None:
        from align.warping.bands import Band

        options["band"] = Band("sakoe-chiba", job["radius"])
    if job.get("dtype"):
        options["dtype"] = np.dtype(job["dtype"]).type
    return options


CALLS: dict[str, Callable[[Arrays, Job], Call]] = {
    "distance": distance,
    "path": path,
    "pairwise": pairwise,
    "nearest": nearest,
    "soft": soft,
    "kmeans": kmeans,
}


def work(job: Job) -> Job:
    """One job; a method that is not there is ``missing``."""
    try:
        return do(job, CALLS[job["task"]])
    except (ImportError, TypeError) as error:
        return {"missing": str(error)}


if __name__ == "__main__":
    answer(work, ("numpy", "numba", "torch"))

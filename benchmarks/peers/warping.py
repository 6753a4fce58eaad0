"""One job of warping under the peers' interpreter: ``python -m benchmarks.peers.warping JOB``.

Every peer answers in our convention: a distance is the root of the sum of squares (aeon's is the sum), a band is
a radius r in samples: cells with ``|i - j| <= r``. What each takes for the same band was found by its results,
which every run compares again: tslearn r, dtaidistance r + 1, aeon a share whose floor is r, wildboar a share
whose floor is r + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Job, answer
from benchmarks.warping_job import Arrays, Call, do


def aeon(task: str, data: Arrays, job: Job) -> Call:
    """aeon: numba, sums of squares."""
    from aeon import distances

    a, b = data["a"], data["b"]
    window = None if job.get("radius") is None else min((job["radius"] + 0.5) / b.shape[-1], 1.0)
    if task == "distance":
        return lambda: {"distance": np.sqrt(distances.dtw_distance(a, b, window=window))}
    if task == "path":

        def path() -> Arrays:
            steps, total = distances.dtw_alignment_path(a, b, window=window)
            return {"path": np.array(steps), "distance": np.sqrt(total)}

        return path
    if task == "pairwise":
        return lambda: {"distances": np.sqrt(distances.dtw_pairwise_distance(a, b, window=window))}
    if task == "kmeans":
        return lambda: aeon_kmeans(data, job)
    raise KeyError(task)


def aeon_kmeans(data: Arrays, job: Job) -> Arrays:
    """aeon's k-means with DTW and its barycentre average."""
    from aeon.clustering import TimeSeriesKMeans

    model = TimeSeriesKMeans(
        n_clusters=len(data["b"]),
        init=data["b"][:, None, :],
        distance="dtw",
        n_init=1,
        max_iter=job["iterations"],
        tol=0.0,
        average_params={"max_iters": job["barycentre_iterations"], "distance": "dtw"},
    )
    model.fit(data["a"][:, None, :])
    return {"centres": np.asarray(model.cluster_centers_)[:, 0]}


def dtaidistance(task: str, data: Arrays, job: Job) -> Call:
    """dtaidistance: its C library, roots."""
    from dtaidistance import dtw
    from dtaidistance.subsequence.subsequencesearch import subsequence_search

    a, b = data["a"], data["b"]
    options = {} if job.get("radius") is None else {"window": job["radius"] + 1}
    if task == "distance":
        return lambda: {"distance": np.float64(dtw.distance_fast(a, b, **options))}
    if task == "path":

        def path() -> Arrays:
            steps, distance = dtw.warping_path_fast(a, b, include_distance=True, **options)
            return {"path": np.array(steps), "distance": np.float64(distance)}

        return path
    if task == "pairwise":
        both = np.concatenate([a, b])
        block = ((0, len(a)), (len(a), len(both)))

        def pairwise() -> Arrays:
            whole = dtw.distance_matrix_fast(both, block=block, parallel=False, **options)
            return {"distances": np.asarray(whole)[: len(a), len(a) :]}

        return pairwise
    if task == "nearest":

        def nearest() -> Arrays:
            found = subsequence_search(a, b, dists_options=options, use_lb=True, use_c=True).best_match()
            return {"index": np.int64(found.idx), "distance": np.float64(found.distance)}

        return nearest
    raise KeyError(task)


def librosa(task: str, data: Arrays, job: Job) -> Call:
    """librosa.sequence.dtw with squared local costs; it returns the whole table of totals."""
    from librosa.sequence import dtw

    a, b = data["a"][None], data["b"][None]
    if task == "distance":
        return lambda: {"distance": np.sqrt(dtw(a, b, metric="sqeuclidean", backtrack=False)[-1, -1])}
    if task == "path":

        def path() -> Arrays:
            totals, steps = dtw(a, b, metric="sqeuclidean")
            return {"path": steps[::-1], "distance": np.sqrt(totals[-1, -1])}

        return path
    raise KeyError(task)


def tslearn(task: str, data: Arrays, job: Job) -> Call:
    """tslearn: numba, roots."""
    from tslearn import metrics

    if task == "soft":
        return soft(metrics.SoftDTWLossPyTorch(gamma=job["gamma"]), data)
    if task == "kmeans":
        return lambda: tslearn_kmeans(data, job)
    a, b = data["a"], data["b"]
    radius = job.get("radius")
    options = {} if radius is None else {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": radius}
    if task == "distance":
        return lambda: {"distance": np.float64(metrics.dtw(a, b, **options))}
    if task == "path":

        def path() -> Arrays:
            steps, distance = metrics.dtw_path(a, b, **options)
            return {"path": np.array(steps), "distance": np.float64(distance)}

        return path
    if task == "pairwise":
        return lambda: {"distances": np.asarray(metrics.cdist_dtw(a, b, **options))}
    raise KeyError(task)


def tslearn_kmeans(data: Arrays, job: Job) -> Arrays:
    """tslearn's k-means with DTW and its barycentre average."""
    from tslearn.clustering import TimeSeriesKMeans

    model = TimeSeriesKMeans(
        n_clusters=len(data["b"]),
        init=data["b"][:, :, None],
        metric="dtw",
        n_init=1,
        max_iter=job["iterations"],
        tol=0.0,
        max_iter_barycenter=job["barycentre_iterations"],
    )
    model.fit(data["a"][:, :, None])
    return {"centres": np.asarray(model.cluster_centers_)[:, :, 0]}


def wildboar(task: str, data: Arrays, job: Job) -> Call:
    """wildboar: Cython, roots; ``argmin_distance`` prunes with lower bounds."""
    from wildboar.distance import argmin_distance, pairwise_distance
    from wildboar.distance.dtw import dtw_distance

    a, b = data["a"], data["b"]
    share = 1.0 if job.get("radius") is None else min(1.0, (job["radius"] + 1.5) / b.shape[-1])
    if task == "distance":
        return lambda: {"distance": np.float64(dtw_distance(a, b, r=share))}
    if task == "pairwise":
        metric = {"dim": 0, "metric": "dtw", "metric_params": {"r": share}}
        return lambda: {"distances": np.asarray(pairwise_distance(a, b, **metric))}
    if task == "nearest":

        def nearest() -> Arrays:
            found, distance = argmin_distance(
                a[None], b, metric="dtw", metric_params={"r": share}, return_distance=True
            )
            return {"index": np.int64(found[0, 0]), "distance": np.float64(distance[0, 0])}

        return nearest
    raise KeyError(task)


def loops(task: str, data: Arrays, job: Job) -> Call:
    """Soft-DTW in the style of the public CUDA ports (``benchmarks.peers.soft_dtw_loops``)."""
    from benchmarks.peers.soft_dtw_loops import soft_dtw

    if task != "soft":
        raise KeyError(task)
    return soft(lambda a, b: soft_dtw(a, b, job["gamma"]), data)


def soft(loss: Callable[[Any, Any], Any], data: Arrays) -> Call:
    """Forward and backward of a torch loss over a batch of pairs of series with one channel."""
    import torch

    torch.set_num_threads(1)
    a = torch.from_numpy(data["a"])[:, :, None].requires_grad_()
    b = torch.from_numpy(data["b"])[:, :, None]

    def both() -> Arrays:
        a.grad = None
        value = loss(a, b)
        value.sum().backward()
        return {"loss": value.detach().numpy(), "gradient": a.grad.numpy().copy()}

    return both


LIBRARIES: dict[str, Callable[[str, Arrays, Job], Call]] = {
    "aeon": aeon,
    "dtaidistance": dtaidistance,
    "librosa": librosa,
    "loops": loops,
    "tslearn": tslearn,
    "wildboar": wildboar,
}
VERSIONS = ("numpy", "numba", "torch", "aeon", "dtaidistance", "librosa", "tslearn", "wildboar")


def work(job: Job) -> Job:
    """One job of the peer ``job["library"]``."""
    return do(job, lambda data, told: LIBRARIES[job["library"]](job["task"], data, told))


if __name__ == "__main__":
    answer(work, VERSIONS)

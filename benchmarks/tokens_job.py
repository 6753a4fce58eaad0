"""One job of clustering, any library: ``python -m benchmarks.tokens_job JOB``, see ``benchmarks.tokens``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Job, answer, timed, work_mb

__all__ = ["CALLS", "rows_of"]

Rows = np.ndarray[Any, Any]
Found = tuple[Rows, Rows]  # centroids, labels
_SMALL = 2048  # rows of the call that loads all code


def rows_of(kind: str, n: int, d: int, dtype: str) -> Rows:
    """ "blobs": 64 overlapping normal clusters; "noise": one normal cloud, which has no clusters at all."""
    random = np.random.default_rng(1)
    noise = random.standard_normal((n, d))
    if kind == "blobs":
        noise += (2.0 * random.standard_normal((64, d)))[random.integers(0, 64, n)]
    return np.ascontiguousarray(noise, dtype)


def align(rows: Rows, start: Rows | None, job: Job) -> Found:
    """``kmeans``, with scikit-learn's limits."""
    from align.tokens.clustering import kmeans

    if start is None:
        found = kmeans(rows, job["k"], seed=job["seed"], tolerance=1e-4)
    else:
        found = kmeans(rows, start, iterations=job["iterations"])
    return found.centroids, found.labels


def minibatch(rows: Rows, start: Rows | None, job: Job) -> Found:
    """``kmeans_minibatch`` with its defaults."""
    from align.tokens.clustering import kmeans_minibatch

    found = kmeans_minibatch(rows, job["k"], seed=job["seed"])
    return found.centroids, found.labels


def scikit_learn(rows: Rows, start: Rows | None, job: Job) -> Found:
    """``KMeans``: from the start, or with its defaults."""
    from sklearn.cluster import KMeans

    if start is None:
        found = KMeans(job["k"], random_state=job["seed"]).fit(rows)
    else:
        found = KMeans(job["k"], init=start, n_init=1, max_iter=job["iterations"], tol=0.0).fit(rows)
    return found.cluster_centers_, found.labels_


def scikit_learn_minibatch(rows: Rows, start: Rows | None, job: Job) -> Found:
    """``MiniBatchKMeans`` with its defaults."""
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(job["k"], random_state=job["seed"]).fit(rows)
    return found.cluster_centers_, found.labels_


def faiss(rows: Rows, start: Rows | None, job: Job) -> Found:
    """``Kmeans`` of faiss on all rows; from the start, or with its own random rows and 25 iterations."""
    import faiss as library

    library.omp_set_num_threads(1)
    options = {"niter": 25 if start is None else job["iterations"], "seed": job["seed"]}
    found = library.Kmeans(rows.shape[1], job["k"], max_points_per_centroid=len(rows), **options)
    found.train(rows, init_centroids=start)
    return found.centroids, found.index.search(rows, 1)[1][:, 0]


def tslearn(rows: Rows, start: Rows | None, job: Job) -> Found:
    """``TimeSeriesKMeans`` with the Euclidean metric, which takes a row as a series."""
    from tslearn.clustering import TimeSeriesKMeans

    found = TimeSeriesKMeans(job["k"], max_iter=job["iterations"], tol=0.0, init=start[:, :, None])  # type: ignore[index]
    found.fit(rows[:, :, None])
    return found.cluster_centers_[:, :, 0], found.labels_


CALLS: dict[str, Callable[[Rows, Rows | None, Job], Found]] = {
    "align": align,
    "align, batches": minibatch,
    "scikit-learn": scikit_learn,
    "scikit-learn, batches": scikit_learn_minibatch,
    "faiss": faiss,
    "tslearn": tslearn,
}


def work(job: Job) -> Job:
    """Time a library's call and give the inertia of what it found, in float64 with true differences."""
    warnings.simplefilter("ignore")
    rows = rows_of(job["rows"], job["n"], job["d"], job["dtype"])
    chosen = np.random.default_rng(2).choice(len(rows), job["k"], replace=False)
    start = rows[chosen] if job["start"] else None
    call = CALLS[job["library"]]
    small = rows[:_SMALL]
    if job.get("memory"):
        begin = None if start is None else small[: job["k"]]
        return {"work_mb": work_mb(lambda: call(small, begin, job), lambda: call(rows, start, job))}
    found, (centroids, labels) = timed(lambda: call(rows, start, job), job)
    inertia = 0.0
    for first in range(0, len(rows), 1 << 16):
        part = slice(first, first + (1 << 16))
        inertia += float(((rows[part].astype(np.float64) - centroids[labels[part]]) ** 2).sum())
    return found | {"inertia": inertia}


if __name__ == "__main__":
    answer(work, ("scikit-learn", "tslearn", "faiss-cpu"))

"""How many codes: by what a description in so many costs (BIC), or by whether halves of the rows agree on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.tokens.clustering import Clustering, kmeans

__all__ = ["CRITERIA", "CodeChoice", "bic_of_clusters", "choose_codes", "prediction_strength"]

_SPLITS = 5  # halvings of the rows
_STABLE = (
    0.8  # prediction strength from which clusters count as found again (Tibshirani & Walther: 0.8 to 0.9)
)
_RESTARTS = 3
_FLOOR = 1e-10  # variance within clusters, of the variance of the rows, below which rows are equal but for rounding


class CodeChoice(NamedTuple):
    """``n_codes`` chosen of the numbers ``tried``, and the score of each: under "bic" and "mixture" the greatest
    wins, under "stability" the last that reaches 0.8."""

    n_codes: int
    tried: tuple[int, ...]
    scores: tuple[float, ...]


def choose_codes(
    points: npt.ArrayLike, tried: Sequence[int] | None = None, *, criterion: str = "bic", seed: int = 0
) -> CodeChoice:
    """Choose the number of clusters of rows.

    - "bic": k-means, its clusters taken as round Gaussians of one width (``bic_of_clusters``); the greatest.
    - "mixture": a mixture of Gaussians with a width per column and cluster (scikit-learn), minus half of its BIC;
      the greatest. For clusters that are not round or differ in width.
    - "stability": the most clusters that are found again in other rows (``prediction_strength`` plus its standard
      error >= 0.8). For "do these exist" rather than "which describe best": blind to small clusters.

    Args:
        points: (n, d) finite numbers.
        tried: numbers of clusters, ascending, each 1 to n; default 1 to 10, then steps of about a fifth up to
            the least of 64 and a tenth of the rows.
        criterion: a name of ``CRITERIA``.
        seed: of seedings and halves, >= 0.

    Raises:
        ParameterError: an argument out of range, or NaN or infinite numbers.

    >>> rows = [[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]]
    >>> choose_codes(rows, [1, 2, 3]).n_codes
    2
    """
    table = np.asarray(points, np.float64)
    if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
        raise ParameterError("points", f"shape {table.shape}", "(n, d) finite numbers")
    if criterion not in CRITERIA:
        raise ParameterError("criterion", criterion, ", ".join(CRITERIA))
    if seed < 0:
        raise ParameterError("seed", seed, "an integer >= 0")
    numbers = _numbers(len(table)) if tried is None else tuple(int(k) for k in tried)
    ascends = all(a < b for a, b in pairwise(numbers))
    if not numbers or not ascends or numbers[0] < 1 or numbers[-1] > len(table):
        raise ParameterError("tried", numbers[:5], f"ascending numbers from 1 to {len(table)}")
    table = table[np.lexsort(table.T[::-1])]  # the order of rows decides nothing
    scores = tuple(CRITERIA[criterion](table, k, seed) for k in numbers)
    if criterion == "stability":
        best = max((i for i, score in enumerate(scores) if score >= _STABLE), default=0)
    else:
        best = int(np.argmax(scores))
    return CodeChoice(numbers[best], numbers, scores)


def _numbers(n: int) -> tuple[int, ...]:
    most = min(n, max(10, min(64, n // 10)))
    found = [k for k in range(1, 11) if k <= most]
    while found[-1] < most:
        found.append(min(most, round(1.2 * found[-1])))
    return tuple(found)


def bic_of_clusters(points: Floats, found: Clustering) -> float:
    """Log likelihood of rows in round clusters of one width, less half a ``log n`` for each number it takes.

    With k clusters of n_j rows and ``s = inertia / (d (n - k))``:
    ``sum_j n_j log(n_j / n) - n d / 2 log(2 pi s) - d (n - k) / 2 - (k d + k) / 2 log n``. The width is at least
    1e-5 of the rows' own, so that rows that repeat do not make it infinite.

    Args:
        points: (n, d) the rows.
        found: their clusters.

    Returns:
        minus infinity where n <= k.

    Reference: Pelleg & Moore 2000, X-means, ICML, section 3.2 (with the errata's d in the variance).
    """
    (n, d), k = points.shape, len(found.centroids)
    if n <= k:
        return -np.inf
    floor = max(_FLOOR * float(points.var(axis=0).mean()), np.finfo(np.float64).tiny)
    width = max(found.inertia / (d * (n - k)), floor)
    sizes = np.bincount(found.labels, minlength=k)
    shares = float((sizes * np.log(np.maximum(sizes, 1) / n)).sum())
    likelihood = shares - n * d / 2 * np.log(2 * np.pi * width) - d * (n - k) / 2
    return float(likelihood - (k * d + k) / 2 * np.log(n))


def prediction_strength(points: Floats, k: int, seed: int = 0) -> tuple[float, float]:
    """Whether clusters of one half of the rows are clusters of the other half too.

    Both halves are clustered. Of each cluster of one half, the share of its pairs of rows that lie together by the
    centroids of the other half too; the least over the clusters (one of a single row counts 0), both ways, over five
    halvings.

    Args:
        points: (n, d) finite numbers.
        k: number of clusters, 1 to n // 2.
        seed: of the halves.

    Returns:
        mean and its standard error; (0, 0) where a half has fewer than k rows.

    Reference: Tibshirani & Walther 2005, JCGS 14(3), section 2.
    """
    from align.kernels.kmeans import nearest_centroids

    if k == 1:
        return 1.0, 0.0
    if len(points) // 2 < k:
        return 0.0, 0.0
    random, strengths = np.random.default_rng(seed), []
    for _ in range(_SPLITS):
        order = random.permutation(len(points))
        halves = [points[np.sort(part)] for part in (order[: len(order) // 2], order[len(order) // 2 :])]
        found = [kmeans(half, k, seed=seed, restarts=_RESTARTS) for half in halves]
        for own, other, rows in ((0, 1, halves[0]), (1, 0, halves[1])):
            labels = nearest_centroids(np.ascontiguousarray(rows), found[other].centroids)[0]
            strengths.append(_kept_together(found[own].labels, labels, k))
    return float(np.mean(strengths)), float(np.std(strengths) / np.sqrt(len(strengths)))


def _kept_together(labels: npt.NDArray[np.int64], other: npt.NDArray[np.int64], k: int) -> float:
    """The least share, over the clusters of ``labels``, of pairs that ``other`` puts together too."""
    table = np.zeros((k, k))
    np.add.at(table, (labels, other), 1.0)
    sizes = table.sum(axis=1)
    pairs = (table * (table - 1)).sum(axis=1)
    return float(np.min(np.where(sizes > 1, pairs / np.maximum(sizes * (sizes - 1), 1.0), 0.0)))


def _by_bic(points: Floats, k: int, seed: int) -> float:
    return bic_of_clusters(points, kmeans(points, k, seed=seed, restarts=_RESTARTS))


def _by_mixture(points: Floats, k: int, seed: int) -> float:
    from sklearn.mixture import GaussianMixture

    scale = points.std(axis=0)
    rows = (points - points.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    start = kmeans(rows, k, seed=seed, restarts=_RESTARTS)
    k = len(start.centroids)  # rows that repeat make fewer
    mixture = GaussianMixture(
        k, covariance_type="diag", reg_covar=1e-4, means_init=start.centroids, random_state=seed, max_iter=200
    )
    return float(-mixture.fit(rows).bic(rows) / 2)


def _by_stability(points: Floats, k: int, seed: int) -> float:
    mean, error = prediction_strength(points, k, seed)
    return mean + error


#: What ``choose_codes`` may go by: (sorted rows, number, seed) -> score.
CRITERIA: MappingProxyType[str, Callable[[Floats, int, int], float]] = MappingProxyType(
    {"bic": _by_bic, "mixture": _by_mixture, "stability": _by_stability}
)

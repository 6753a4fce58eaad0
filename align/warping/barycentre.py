"""The mean of series under warping, and clusters around such means: tslearn's algorithms on our kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.collection import Collection, as_collection, as_series, band_rows, same_channels
from align.warping.pairwise import dtw_pairwise

__all__ = ["Clusters", "dtw_barycentre", "dtw_kmeans", "soft_dtw_barycentre"]

Series = npt.ArrayLike | Sequence[npt.ArrayLike]

_SETTLED = 1e-5  # a mean square that changes by less ends the iterations, as in tslearn


class Clusters(NamedTuple):
    """What ``dtw_kmeans`` found.

    ``centres`` (k, length, n_channels) float64; ``labels`` i8 (n_series,) the nearest centre of each series;
    ``inertia`` the mean squared distance of the series to their nearest centre.
    """

    centres: Floats
    labels: npt.NDArray[np.int64]
    inertia: float


def dtw_barycentre(
    series: Series,
    *,
    weights: npt.ArrayLike | None = None,
    iterations: int = 30,
    init: npt.ArrayLike | None = None,
    band: Band | None = None,
) -> Floats:
    """The series whose weighted sum of squared warping distances to all others is (locally) least.

    DTW barycentre averaging: every series is warped onto the centre, each row of the centre becomes the weighted
    mean of what lies on it, and so on until the mean square changes by less than 1e-5 or rises.

    Args:
        series: (n_series, length), (n_series, length, n_channels), or a list of series of any lengths.
        weights: (n_series,) > 0; None weighs all alike.
        iterations: at most this many, >= 1.
        init: (m, n_channels) the centre to start from; None is the mean row by row, which needs equal lengths.
        band: which warpings of a series onto the centre are allowed; None allows all.

    Returns:
        (m, n_channels) float64, with m the length of ``init`` or of the series.

    Raises:
        ParameterError: series, weights, iterations or init out of range, or a band that leaves no path (E-BAND).

    Reference: Petitjean, Ketterlin & Gançarski 2011, algorithm 5. Equal to tslearn's
    ``dtw_barycenter_averaging_petitjean``, which calls its own paths and cannot take ours. Time
    O(iterations n_series n m n_channels).

    >>> dtw_barycentre([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 5.0]], iterations=5).ravel().tolist()
    [1.0, 2.0, 3.5, 4.5]
    """
    given = as_collection(series, "series", np.float64)
    shares = np.ones(len(given)) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (len(given),) or not (np.isfinite(shares) & (shares > 0)).all():
        raise ParameterError("weights", f"shape {shares.shape}", f"({len(given)},) finite numbers above 0")
    if iterations < 1:
        raise ParameterError("iterations", iterations, "at least 1")
    if init is None:
        if len(np.unique(given.lengths)) > 1:
            raise ParameterError("init", None, "a series to start from, as the lengths differ")
        centre = given.rows.reshape(len(given), -1, given.rows.shape[1]).mean(axis=0)
    else:
        centre = as_series(init, "init")
        same_channels("init", centre.shape[1], "series", given.rows.shape[1])
    return _average(given, shares, centre, iterations, band)


def dtw_kmeans(
    series: Series,
    k: int | npt.ArrayLike,
    *,
    seed: int = 0,
    iterations: int = 50,
    barycentre_iterations: int = 30,
    band: Band | None = None,
) -> Clusters:
    """Clusters of series around DTW barycentres: Lloyd's iterations under the warping distance.

    Each iteration gives every series to its nearest centre (the lowest on a tie) and moves each centre by
    ``dtw_barycentre`` from where it is; it ends when the inertia changes by less than 1e-6. A centre that loses
    all its series takes the series farthest from its own centre. As tslearn's, the centres are those after the
    last move and the labels are found against them.

    Args:
        series: (n_series, length) or (n_series, length, n_channels), or a list of series of one length.
        k: the number of clusters, 1 to n_series; or the centres to start from, (k, m) or (k, m, n_channels).
        seed: of k-means++ (greedy, with squared warping distances); unused when the centres are given.
        iterations: at most this many, >= 1.
        barycentre_iterations: at most this many in each move of a centre, >= 1.
        band: which paths are allowed; None allows all.

    Raises:
        ParameterError: series, k or iterations out of range, or a band that leaves no path (E-BAND).

    Reference: Petitjean et al. 2011; Arthur & Vassilvitskii 2007 (seeding). Deterministic.

    >>> found = dtw_kmeans([[0.0, 1.0, 0.0], [5.0, 6.0, 5.0], [0.0, 0.0, 1.0]], 2)
    >>> bool(found.labels[0] == found.labels[2] != found.labels[1])
    True
    """
    given = as_collection(series, "series", np.float64)
    table = _equally_long(given)
    for name, value in (("iterations", iterations), ("barycentre_iterations", barycentre_iterations)):
        if value < 1:
            raise ParameterError(name, value, "at least 1")
    if isinstance(k, int | np.integer):
        if not 1 <= k <= len(table):
            raise ParameterError("k", int(k), f"1 to {len(table)}, the number of series")
        centres = table[_seeds(table, int(k), seed, band)]
    else:
        chosen = as_collection(np.asarray(k), "k", np.float64)
        same_channels("k", chosen.rows.shape[1], "series", table.shape[2])
        centres = _equally_long(chosen)
    before = np.inf
    for _ in range(iterations):
        labels, inertia = _assign(table, centres, band, fill=True)
        centres = np.stack(
            [
                _average(
                    _part(given, labels == j),
                    np.ones((labels == j).sum()),
                    centre,
                    barycentre_iterations,
                    band,
                )
                for j, centre in enumerate(centres)
            ]
        )
        if abs(before - inertia) < 1e-6:
            break
        before = inertia
    labels, inertia = _assign(table, centres, band, fill=False)
    return Clusters(centres, labels, inertia)


def soft_dtw_barycentre(series: Series, *, gamma: float = 1.0, iterations: int = 50) -> Floats:
    """The mean of series under soft-DTW: tslearn's ``softdtw_barycenter``, from the mean row by row.

    Args:
        series: (n_series, length), (n_series, length, n_channels), or a list of series of any lengths.
        gamma: smoothness, > 0; towards 0 it becomes ``dtw_barycentre``.
        iterations: at most this many of L-BFGS-B, >= 1.

    Returns:
        (m, n_channels) float64, with m the length of the longest series.

    Raises:
        ParameterError: series, gamma or iterations out of range.

    Reference: Cuturi & Blondel 2017, section 4.
    """
    from tslearn.barycenters import softdtw_barycenter
    from tslearn.utils import to_time_series_dataset

    given = as_collection(series, "series", np.float64)
    if not (np.isfinite(gamma) and gamma > 0):
        raise ParameterError("gamma", gamma, "a finite number above 0")
    if iterations < 1:
        raise ParameterError("iterations", iterations, "at least 1")
    table = to_time_series_dataset(np.split(given.rows, given.starts[1:]))
    return np.asarray(softdtw_barycenter(table, gamma=gamma, max_iter=iterations), np.float64)


def _average(
    given: Collection, weights: Floats, centre: Floats, iterations: int, band: Band | None
) -> Floats:
    from align.kernels.dtw_average import laid_on_centre

    flat = given.rows.ravel()
    by_length = [(int(n), given.lengths == n) for n in np.unique(given.lengths)]
    before = np.inf
    for _ in range(iterations):
        sums, weight_sums, cost = np.zeros(centre.shape), np.zeros(len(centre)), 0.0
        for n, here in by_length:
            ranges = band_rows(n, len(centre), band)
            totals = laid_on_centre(
                flat, given.starts[here], weights[here], centre, ranges, sums, weight_sums
            )
            cost += float((totals * weights[here]).sum())
        cost /= float(weights.sum())
        centre = sums / weight_sums[:, None]
        if cost > before or before - cost < _SETTLED:
            break
        before = cost
    return centre


def _assign(
    table: Floats, centres: Floats, band: Band | None, *, fill: bool
) -> tuple[npt.NDArray[np.int64], float]:
    """Label and inertia of the series; with ``fill``, every centre gets at least one series."""
    squares = dtw_pairwise(table, centres, band=band) ** 2
    labels = squares.argmin(axis=1)
    own = squares[np.arange(len(table)), labels]
    if fill:
        for j in range(len(centres)):
            if not (labels == j).any():
                crowded = np.bincount(labels, minlength=len(centres))[labels] > 1
                farthest = int(np.argmax(np.where(crowded, own, -1.0)))
                labels[farthest], own[farthest] = j, 0.0
    return labels, float(own.mean())


def _seeds(table: Floats, k: int, seed: int, band: Band | None) -> npt.NDArray[np.int64]:
    """Greedy k-means++: each next seed is the best of 2 + log k drawn by squared distance to those so far."""
    random = np.random.default_rng(seed)
    seeds = [int(random.integers(len(table)))]
    near = dtw_pairwise(table[seeds], table, band=band)[0] ** 2
    while len(seeds) < k:
        draws = random.random(2 + int(np.log(k))) * near.sum()
        drawn = np.minimum(np.searchsorted(np.cumsum(near), draws, side="right"), len(table) - 1)
        trials = np.minimum(dtw_pairwise(table[drawn], table, band=band) ** 2, near)
        best = int(trials.sum(axis=1).argmin())
        seeds.append(int(drawn[best]))
        near = trials[best]
    return np.asarray(seeds)


def _equally_long(given: Collection) -> Floats:
    if len(np.unique(given.lengths)) > 1:
        raise ParameterError(
            "series", "series of different lengths", "one length", hint="resample them first"
        )
    return np.asarray(given.rows.reshape(len(given), -1, given.rows.shape[1]))


def _part(given: Collection, mine: npt.NDArray[np.bool_]) -> Collection:
    return Collection(given.rows, given.starts[mine], given.lengths[mine])

"""Clusters of segments as they run, not as they are described: around medoids or means under time warping.

For segments of any length. What two segments cost is their warping total per step, so that long ones do not count
more than short ones. The kernels are those of ``align.warping``, which is a later stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError

__all__ = ["SequenceClusters", "sequence_distances", "warped_means", "warped_medoids"]

Ints = npt.NDArray[np.int64]

_LARGEST = 1e145  # the sum of 1e17 squared differences still fits
_MOST = 2000  # segments that medoids are sought among
_AT_ONCE = 1 << 15  # pairs per call of the kernel
_SETTLED = 1e-9  # share of the inertia by which it must fall to go on


class SequenceClusters(NamedTuple):
    """Clusters of segments: ``labels`` i8 (n,), one of ``centres`` (m_j, n_channels) each.

    ``medoids`` i8 (k,): the segment that is the centre, or nearest to it; clusters in the order of their medoids.
    ``inertia``: the sum of what the segments cost at their centres.
    """

    centres: tuple[Floats, ...]
    medoids: Ints
    labels: Ints
    inertia: float


class _Laid(NamedTuple):
    """Segments one behind the other."""

    flat: Floats
    starts: Ints
    lengths: Ints
    n_channels: int


def sequence_distances(
    sequences: Sequence[npt.ArrayLike], others: Sequence[npt.ArrayLike] | None = None
) -> Floats:
    """What every segment costs at every other: the least warping total per step, ``total / (n + m)``.

    The total is the least sum of squared distances along a warping path (``kernels.dtw``).

    Args:
        sequences: (n_i,) or (n_i, n_channels) finite numbers each, n_i >= 1.
        others: likewise; None: the same ones, and every pair is computed once.

    Returns:
        (n, n_others) f8 >= 0.

    Raises:
        ParameterError: no segment, an empty one, different channels, NaN or too large numbers.

    Reference: Sakoe & Chiba 1978, section III (symmetric form: the total over n + m). Time O(n_i m_j) a pair.

    >>> sequence_distances([[0.0, 1.0], [0.0, 0.0, 1.0], [3.0]]).tolist()
    [[0.0, 0.0, 4.333333333333333], [0.0, 0.0, 5.5], [4.333333333333333, 5.5, 0.0]]
    """
    first = _laid(sequences, "sequences")
    second = first if others is None else _laid(others, "others")
    return _costs(first, second)


def warped_medoids(sequences: Sequence[npt.ArrayLike], k: int, *, seed: int = 0) -> SequenceClusters:
    """Clusters around segments: the k segments such that the others cost least at their nearest, up to exchanges.

    Seeded by k-means++ on the costs; then the exchange of a medoid for another segment that lowers the inertia most,
    until none does. Of more than 2,000 segments, medoids are sought among 2,000 drawn by the seed.

    Args:
        sequences: as of ``sequence_distances``.
        k: number of clusters, 1 to the number of segments (and 2,000).
        seed: of the seeding, >= 0.

    Raises:
        ParameterError: as ``sequence_distances``, or a k out of range.

    Reference: Kaufman & Rousseeuw 1990, chapter 2 (PAM); Schubert & Rousseeuw 2019, SISAP (FastPAM1: all exchanges
    judged in one pass). Memory 8 n^2 bytes of the segments sought among.

    >>> found = warped_medoids([[0.0, 1.0], [5.0, 5.0, 6.0], [0.0, 0.0, 1.0], [5.0, 6.0]], 2)
    >>> found.labels.tolist(), found.medoids.tolist()
    ([0, 1, 0, 1], [0, 1])
    """
    laid, random = _laid(sequences, "sequences"), _random(seed)
    n = laid.lengths.size
    if not 1 <= k <= min(n, _MOST):
        raise ParameterError("k", k, f"1 to {min(n, _MOST)}")
    among = np.sort(random.permutation(n)[:_MOST])
    costs = _costs(_part(laid, among), _part(laid, among)) if among.size < n else _costs(laid, laid)
    medoids = among[np.sort(_exchanged(costs, _spread_seeds(costs, k, random)))]
    return _around(laid, medoids)


def warped_means(
    sequences: Sequence[npt.ArrayLike], k: int, *, seed: int = 0, iterations: int = 20
) -> SequenceClusters:
    """Clusters around means under warping, for segments of any lengths: k-means with DTW barycentres.

    Starts from ``warped_medoids``, whose lengths the centres keep. Each iteration moves every centre to the weighted
    mean of what its segments lay on each of its rows, a segment of n rows weighing 1 / n, and gives every segment to
    the centre at which its total per row is least (the lowest on a tie); a move that does not lower the inertia
    ends it, so the inertia never rises. A centre without segments stays where it is.

    Args:
        sequences, k, seed: as of ``warped_medoids``.
        iterations: at most this many, >= 1.

    Returns:
        ``inertia`` is the sum over the segments of total / n.

    Raises:
        ParameterError: as ``warped_medoids``.

    Reference: Petitjean, Ketterlin & Gancarski 2011, algorithm 5 (the barycentre); tslearn's TimeSeriesKMeans and
    ``align.warping.dtw_kmeans`` are the same for segments of one length.

    >>> found = warped_means([[0.0, 2.0], [5.0, 5.0, 6.0], [0.0, 0.0, 1.0], [5.0, 6.0]], 2)
    >>> found.labels.tolist(), [c.shape[0] for c in found.centres]
    ([0, 1, 0, 1], [2, 3])
    """
    if iterations < 1:
        raise ParameterError("iterations", iterations, "at least 1")
    laid = _laid(sequences, "sequences")
    centres = list(warped_medoids(sequences, k, seed=seed).centres)
    labels, inertia = _nearest(laid, centres)
    for _ in range(iterations):
        moved = [_mean(_part(laid, np.flatnonzero(labels == j)), c) for j, c in enumerate(centres)]
        new_labels, new_inertia = _nearest(laid, moved)
        if new_inertia >= inertia * (1.0 - _SETTLED):
            break
        centres, labels, inertia = moved, new_labels, new_inertia
    costs = _costs(_laid(centres, "centres"), laid)
    medoids = costs.argmin(axis=1).astype(np.int64)
    order = np.argsort(medoids, kind="stable")
    rank = np.argsort(order)
    return SequenceClusters(tuple(centres[j] for j in order), medoids[order], rank[labels], inertia)


def _laid(sequences: Sequence[npt.ArrayLike], name: str) -> _Laid:
    if len(sequences) == 0:
        raise ParameterError(name, "none", "at least one segment")
    parts: list[Floats] = []
    for one in sequences:
        part = np.asarray(one, np.float64)
        part = part[:, None] if part.ndim == 1 else part
        if part.ndim != 2 or 0 in part.shape or part.shape[1] != (parts[0] if parts else part).shape[1]:
            raise ParameterError(
                name, f"a segment of shape {part.shape}", "(n >= 1, n_channels), the same channels"
            )
        if not (np.abs(part) < _LARGEST).all():
            raise ParameterError(
                name, "NaN, infinite or beyond 1e145", "finite numbers", hint="cut the gaps out"
            )
        parts.append(part)
    lengths = np.array([len(p) for p in parts], np.int64)
    return _Laid(np.concatenate(parts).ravel(), np.cumsum(lengths) - lengths, lengths, parts[0].shape[1])


def _part(laid: _Laid, which: Ints) -> _Laid:
    return laid._replace(starts=laid.starts[which], lengths=laid.lengths[which])


def _totals(first: _Laid, second: _Laid) -> Floats:
    """(n, m) warping totals; within one collection every pair once, the earlier segment first."""
    from align.kernels.dtw_pairwise import pair_totals

    if first.n_channels != second.n_channels:
        raise ParameterError("others", f"{second.n_channels} channels", f"{first.n_channels}")
    totals = np.zeros((first.lengths.size, second.lengths.size))
    by_a, by_b = np.argsort(first.lengths, kind="stable"), np.argsort(second.lengths, kind="stable")
    n_rows = max(1, _AT_ONCE // second.lengths.size)
    no_norms, no_band = np.array([[0.0, 1.0]]), np.empty((0, 2, 0), np.int64)
    for begin in range(0, by_a.size, n_rows):
        i, j = (g.ravel() for g in np.meshgrid(by_a[begin : begin + n_rows], by_b, indexing="ij"))
        if first is second:
            i, j = i[i < j], j[i < j]
        if not i.size:
            continue
        pairs = np.zeros((i.size, 5), np.int64)
        pairs[:, 0], pairs[:, 1] = first.starts[i], first.lengths[i]
        pairs[:, 2], pairs[:, 3] = second.starts[j], second.lengths[j]
        totals[i, j] = pair_totals(
            first.flat, second.flat, first.n_channels, pairs, no_norms, no_band, np.inf
        )
    return totals + totals.T if first is second else totals


def _costs(first: _Laid, second: _Laid) -> Floats:
    costs: Floats = _totals(first, second) / (first.lengths[:, None] + second.lengths)
    return costs


def _random(seed: int) -> np.random.Generator:
    if seed < 0:
        raise ParameterError("seed", seed, "an integer >= 0")
    return np.random.default_rng(seed)


def _spread_seeds(costs: Floats, k: int, random: np.random.Generator) -> Ints:
    """k-means++: each next seed drawn by what it costs at those so far; where nothing costs, the lowest free one."""
    seeds = [int(costs.sum(axis=1).argmin())]
    near = costs[seeds[0]].copy()
    while len(seeds) < k:
        total = near.sum()
        if total > 0:
            drawn = int(np.searchsorted(np.cumsum(near), random.random() * total, side="right"))
            drawn = min(drawn, len(costs) - 1)
        else:
            drawn = int(np.setdiff1d(np.arange(len(costs)), seeds)[0])
        seeds.append(drawn)
        near = np.minimum(near, costs[drawn])
    return np.array(seeds, np.int64)


def _exchanged(costs: Floats, medoids: Ints) -> Ints:
    """Exchange the medoid and segment that lower the sum most, until none does."""
    medoids, n, k = medoids.copy(), len(costs), len(medoids)
    while True:
        at = costs[:, medoids]
        label = at.argmin(axis=1)
        near = at[np.arange(n), label]
        at[np.arange(n), label] = np.inf
        second = at.min(axis=1) if k > 1 else np.full(n, np.inf)
        # joining: what segments gain that are nearer to the candidate; leaving: what those of the medoid lose by it
        joined = np.minimum(costs - near[:, None], 0.0)
        left = np.minimum(costs, second[:, None]) - near[:, None] - joined
        change = np.zeros((k, n))
        np.add.at(change, label, left)
        change += joined.sum(axis=0)
        change[:, medoids] = 0.0
        out, into = np.unravel_index(int(change.argmin()), change.shape)
        if change[out, into] >= -1e-12 * max(1e-300, float(near.sum())):
            return medoids
        medoids[out] = into


def _around(laid: _Laid, medoids: Ints) -> SequenceClusters:
    costs = _costs(laid, _part(laid, medoids))
    labels = costs.argmin(axis=1).astype(np.int64)
    labels[medoids] = np.arange(medoids.size)  # of equal segments each medoid keeps itself
    inertia = float(costs[np.arange(labels.size), labels].sum())
    return SequenceClusters(tuple(_segment(laid, int(i)) for i in medoids), medoids, labels, inertia)


def _segment(laid: _Laid, i: int) -> Floats:
    low, high = laid.starts[i] * laid.n_channels, (laid.starts[i] + laid.lengths[i]) * laid.n_channels
    return laid.flat[low:high].reshape(-1, laid.n_channels).copy()


def _nearest(laid: _Laid, centres: list[Floats]) -> tuple[Ints, float]:
    """Label of every segment and the sum of totals per row."""
    costs = _totals(laid, _laid(centres, "centres")) / laid.lengths[:, None]
    labels = costs.argmin(axis=1).astype(np.int64)
    return labels, float(costs[np.arange(labels.size), labels].sum())


def _mean(laid: _Laid, centre: Floats) -> Floats:
    """The centre after one round of barycentre averaging of these segments."""
    from align.kernels.dtw_average import laid_on_centre

    if laid.lengths.size == 0:
        return centre
    sums, weights = np.zeros(centre.shape), np.zeros(len(centre))
    for n in np.unique(laid.lengths):
        starts = laid.starts[laid.lengths == n]
        everywhere = np.repeat(np.array([[0], [len(centre)]], np.int64), n, axis=1)
        shares = np.full(starts.size, 1.0 / n)
        laid_on_centre(laid.flat, starts, shares, centre, everywhere, sums, weights)
    return np.asarray(sums / weights[:, None])

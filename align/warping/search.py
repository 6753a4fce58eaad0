"""Search by warping distance: the nearest of many series, and where in a long one a short one occurs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from align.datatypes import Floats
from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.bounds import columns_of_rows
from align.warping.collection import Ranges, as_series, band_rows, same_channels
from align.warping.pairwise import AS_THEY_ARE

__all__ = ["nearest", "subsequence_search"]

Indices = npt.NDArray[np.int64]

_SLACK = 1.0 - 1e-9  # a bound is rounded: it prunes only when it exceeds the threshold by more than that
_HEAD, _SHARE, _LEAST_BATCH, _MOST_BATCH = 512, 8, 128, 1024


def nearest(
    query: npt.ArrayLike, candidates: npt.ArrayLike, *, band: Band | None = None, k: int = 1
) -> tuple[Indices, Floats]:
    """The ``k`` candidates with the smallest warping distance to ``query``: exactly those of a full comparison.

    Distances are ``dtw_distance(query, candidate, band=band)``; nothing is normalised. Of equal distances the
    lower index comes first.

    Args:
        query: (m,) or (m, n_channels) finite numbers.
        candidates: (n, length) or (n, length, n_channels); float64 and C-contiguous are not copied.
        band: which paths are allowed; None allows all.
        k: how many to return, 1 to n.

    Returns:
        ``(indices, distances)``, each (k,), ascending in distance.

    Raises:
        ParameterError: NaN, infinite or too large values, no candidates, different channels, k out of range, or
            no path (E-BAND).

    Reference: bounds of Keogh & Ratanamahatana 2005, then of Lemire 2009, in ascending order. Departure from the
    usual last step: 32 warpings run side by side and are abandoned together, which costs less than pruning
    within each (EAPruned, Herrmann & Webb 2021).

    >>> indices, distances = nearest([0.0, 1.0], [[5.0, 5.0], [0.0, 2.0], [0.0, 1.0]], k=2)
    >>> indices.tolist(), distances.tolist()
    ([2, 1], [0.0, 1.0])
    """
    from align.kernels.dtw_search import envelope, keogh_bounds

    rows = as_series(query, "query")
    table = _candidates(candidates, rows.shape[1])
    n, length = len(table), table.shape[1] // rows.shape[1]
    if not 1 <= k <= n:
        raise ParameterError("k", k, f"1 to {n}, the number of candidates")
    ranges = band_rows(len(rows), length, band)
    around = envelope(rows, columns_of_rows(ranges, length)).reshape(2, -1)
    bounds = keogh_bounds(table, around[0], around[1])
    if not np.isfinite(bounds).all():
        worst = int(np.flatnonzero(~np.isfinite(bounds))[0])
        raise ParameterError(f"candidates[{worst}]", "NaN, infinite or too large values", "finite numbers")
    race = _Race(rows, table.ravel(), length, around, ranges)
    race.bounds = bounds
    found = _winners(race, k)
    return found, np.sqrt(race.totals[found])


class _Race:
    """Candidates, what is known of their warping totals, and at what price more can be known.

    ``totals`` is NaN where not computed and infinite where abandoned; ``bounds`` is below the total;
    ``alive`` says who takes part.
    """

    def __init__(self, query: Floats, flat: Floats, stride: int, around: Floats, ranges: Ranges) -> None:
        """``flat`` holds candidates by row, which begin ``stride`` rows apart: 1, or as many as each has."""
        self.query, self.flat, self.stride, self.ranges = query, flat, stride, ranges
        self.around = around.reshape(2, -1)
        size = self.around.shape[1]
        self.length = size // query.shape[1]
        self.series = flat.reshape(-1, size) if stride == self.length else sliding_window_view(flat, size)
        self.reach = _reach(ranges, self.length)
        self.norms, self.bounds = AS_THEY_ARE, np.zeros(len(self.series))
        self.totals = np.full(len(self.series), np.nan)
        self.sharp, self.alive = np.zeros(self.totals.shape, bool), np.ones(self.totals.shape, bool)

    def sharpen(self, batch: Indices) -> None:
        """Replace Keogh's bounds of ``batch`` by improved ones."""
        from align.kernels.dtw_search import band_bounds, improved_bounds

        batch = batch[~self.sharp[batch]]
        self.sharp[batch] = True
        if not len(batch):
            return
        problem = self.flat, batch * self.stride, self._norms(batch), self.query, self.around
        if self.reach is None:
            better = improved_bounds(*problem, self.ranges)
        else:
            better = band_bounds(*problem, *self.reach)
        self.bounds[batch] = np.maximum(self.bounds[batch], better)

    def run(self, batch: Indices, threshold: float) -> None:
        """Compute the totals of ``batch``; those above ``threshold`` may become infinite."""
        from align.kernels.dtw_pairwise import pair_totals

        pairs = np.zeros((len(batch), 5), np.int64)
        pairs[:, 1], pairs[:, 3] = len(self.query), self.length
        pairs[:, 2] = np.arange(len(batch)) * self.length
        series = self.series[batch].ravel()  # side by side: memory answers a plain copy faster
        shape, norms = self.ranges[None], self._norms(batch)
        totals = pair_totals(self.query.ravel(), series, self.query.shape[1], pairs, norms, shape, threshold)
        self.totals[batch] = totals
        self.bounds[batch] = np.maximum(self.bounds[batch], np.minimum(totals, threshold))

    def smallest(self, indices: Indices, k: int) -> Indices:
        """The ``k`` of ``indices`` with the smallest totals, ties to the lower index."""
        return indices[np.lexsort((indices, self.totals[indices]))[:k]]

    def rest(self, threshold: float) -> Indices:
        """The living whose total is not known and whose bound leaves one of at most ``threshold`` possible."""
        return np.flatnonzero(self.alive & ~np.isfinite(self.totals) & (self.bounds * _SLACK <= threshold))

    def within(self, indices: Indices, threshold: float) -> Indices:
        """Those of ``indices`` whose bound leaves a total of at most ``threshold`` possible."""
        return indices[self.bounds[indices] * _SLACK <= threshold]

    def _norms(self, batch: Indices) -> Floats:
        return self.norms if self.norms is AS_THEY_ARE else self.norms[batch]


def _reach(ranges: Ranges, length: int) -> tuple[int, int] | None:
    """``(before, after)`` where row i may visit the columns i - before to i + after of ``length``; None where the
    band has another shape, or is so wide that rows pay as lanes no more."""
    rows = np.arange(ranges.shape[1])
    before, after = max(int((rows - ranges[0]).max()), 0), max(int((ranges[1] - 1 - rows).max()), 0)
    low, high = np.clip(rows - before, 0, length), np.clip(rows + after + 1, 0, length)
    same = (low == ranges[0]).all() and (high == ranges[1]).all()
    return (before, after) if same and before + after < len(rows) else None


def _winners(race: _Race, k: int) -> Indices:
    """The ``k`` living candidates with the smallest totals, ascending, ties to the lower index."""
    best = race.smallest(np.flatnonzero(race.alive & np.isfinite(race.totals)), k)
    if len(best) < k:  # no threshold yet
        rest = race.rest(np.inf)
        if not len(rest):
            return best
        size = min(len(rest), max(_HEAD, k))
        some = rest[:: max(1, min(_SHARE, len(rest) // size))]  # any will do for a first threshold
        head = some[np.argpartition(race.bounds[some], size - 1)[:size]]
        race.sharpen(head)
        head = head[np.argsort(race.bounds[head], kind="stable")[: max(_LEAST_BATCH, k)]]
        race.run(head, np.inf)
        best = race.smallest(np.concatenate([best, head]), k)
    threshold = float(race.totals[best[-1]])
    rest = race.rest(threshold)
    race.sharpen(rest)
    rest = race.within(rest, threshold)
    rest = rest[np.argsort(race.bounds[rest], kind="stable")]
    size = _LEAST_BATCH
    while len(rest):
        batch, rest = rest[:size], rest[size:]
        race.run(batch, threshold)
        best = race.smallest(np.concatenate([best, batch]), k)
        threshold = float(race.totals[best[-1]])
        rest = race.within(rest, threshold)
        size = min(2 * size, _MOST_BATCH)
    return best


def subsequence_search(
    query: npt.ArrayLike,
    series: npt.ArrayLike,
    *,
    band: Band | None = None,
    k: int = 1,
    exclusion: int | None = None,
) -> tuple[Indices, Floats]:
    """Where in ``series`` the ``query`` occurs: the best windows that do not overlap, whatever level and size.

    Query and windows are z-normalised (mean 0, population deviation 1; a constant one becomes 0). The first
    match is the window with the smallest warping distance, the earlier on a tie; each next one the best of
    those whose start lies at least ``exclusion`` samples from every earlier match: exactly what comparing all
    windows would give.

    Args:
        query: (m,) finite numbers.
        series: (n,) finite numbers, n >= m.
        band: which paths are allowed; None allows all.
        k: how many matches at most, >= 1.
        exclusion: samples, >= 1; None is m, so that matches share no sample.

    Returns:
        ``(starts, distances)``, each (at most k,), in the order found: ascending in distance. Fewer than k
        when no window is left.

    Raises:
        ParameterError: NaN, infinite or too large values, more than one channel, a query that is longer than
            the series, k or exclusion out of range, or no path (E-BAND).

    Reference: Rakthanmanon et al. 2012 (UCR suite). Departures: each window's mean and deviation are summed
    directly, 64 windows side by side, as running sums drift; bounds and warpings run side by side as in
    ``nearest``. Memory O(n).

    >>> starts, distances = subsequence_search([0.0, 1.0, 0.0], [5.0, 5.0, 5.0, 7.0, 5.0, 5.0])
    >>> starts.tolist(), distances.round(6).tolist()
    ([2], [0.0])
    """
    from align.kernels.dtw_search import envelope, window_bounds

    rows, long = _one_channel(query, "query"), _one_channel(series, "series")
    m, n_windows = len(rows), len(long) - len(rows) + 1
    if n_windows < 1:
        raise ParameterError("query", f"{m} samples", f"at most {len(long)}, as many as the series has")
    apart = m if exclusion is None else exclusion
    if k < 1:
        raise ParameterError("k", k, "at least 1")
    if apart < 1:
        raise ParameterError("exclusion", exclusion, "at least 1 sample")
    norms, _ = window_bounds(rows, np.zeros(m), np.zeros(m))
    shape = (rows[:, None] - norms[0, 0]) * norms[0, 1]
    ranges = band_rows(m, m, band)
    around = envelope(shape, columns_of_rows(ranges, m)).reshape(2, -1)
    race = _Race(shape, long, 1, around, ranges)
    race.norms, race.bounds = window_bounds(long, around[0], around[1])
    starts: list[int] = []
    while len(starts) < k and race.alive.any():
        match = int(_winners(race, 1)[0])
        starts.append(match)
        race.alive[max(0, match - apart + 1) : match + apart] = False
    found = np.asarray(starts, np.int64)
    return found, np.sqrt(race.totals[found])


def _candidates(candidates: npt.ArrayLike, n_channels: int) -> Floats:
    """(n, length * n_channels) float64; not finite values are left to the kernel, which reads all anyway."""
    array: npt.NDArray[Any] = np.asarray(candidates)
    if array.dtype.kind not in "fiu":
        raise ParameterError("candidates", f"dtype {array.dtype}", "integers or real floats")
    if array.ndim not in (2, 3) or 0 in array.shape:
        allowed = "(n, length) or (n, length, n_channels), none of them 0"
        raise ParameterError(
            "candidates", f"shape {array.shape}", allowed, hint="search unequal lengths apart"
        )
    same_channels("candidates", array.shape[2] if array.ndim == 3 else 1, "query", n_channels)
    table = np.require(array, np.float64, ["C", "W"])
    return table.reshape(len(table), -1)


def _one_channel(values: npt.ArrayLike, name: str) -> Floats:
    rows = as_series(values, name)
    same_channels(name, rows.shape[1], "a search of z-normalised windows", 1)
    return rows.ravel()

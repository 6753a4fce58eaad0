"""Greedy k-means++: rows far from each other to start k-means from.

Distances are float32 on the tiles of ``align.kernels.tiles``; their sums are float64. No random numbers inside: the
caller passes uniforms.

Reference: Arthur & Vassilvitskii 2007, section 2.2, in its greedy form: each next row is the best of several drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["seed_rows"]

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

TILE = 256
_FAR = np.float32(3e38)
# As in align.kernels.kmeans: no reference counts, unsigned indices.
_called = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, fastmath={"contract"})
unsigned = np.uint64
U0, U1, U2, U3, U4 = unsigned(0), unsigned(1), unsigned(2), unsigned(3), unsigned(4)


@_called
def _add_squares(tiles: Singles, t: int, centres: Singles, first: int, sums: Singles) -> None:
    """sums[first + j, lane] = squared distance of tile t's lane to centres[first + j], for j of 0 to 3."""
    at, j0 = unsigned(t), unsigned(first)
    j1, j2, j3 = j0 + U1, j0 + U2, j0 + U3
    for lane in range(unsigned(TILE)):
        sums[j0, lane] = sums[j1, lane] = sums[j2, lane] = sums[j3, lane] = np.float32(0.0)
    for four in range(unsigned(tiles.shape[1] // 4)):
        c0 = four * U4
        c1, c2, c3 = c0 + U1, c0 + U2, c0 + U3
        a0, a1, a2, a3 = centres[j0, c0], centres[j0, c1], centres[j0, c2], centres[j0, c3]
        b0, b1, b2, b3 = centres[j1, c0], centres[j1, c1], centres[j1, c2], centres[j1, c3]
        d0, d1, d2, d3 = centres[j2, c0], centres[j2, c1], centres[j2, c2], centres[j2, c3]
        e0, e1, e2, e3 = centres[j3, c0], centres[j3, c1], centres[j3, c2], centres[j3, c3]
        for lane in range(unsigned(TILE)):
            w, x, y, z = tiles[at, c0, lane], tiles[at, c1, lane], tiles[at, c2, lane], tiles[at, c3, lane]
            p, q, r, s = w - a0, x - a1, y - a2, z - a3
            sums[j0, lane] = sums[j0, lane] + p * p + q * q + r * r + s * s
            p, q, r, s = w - b0, x - b1, y - b2, z - b3
            sums[j1, lane] = sums[j1, lane] + p * p + q * q + r * r + s * s
            p, q, r, s = w - d0, x - d1, y - d2, z - d3
            sums[j2, lane] = sums[j2, lane] + p * p + q * q + r * r + s * s
            p, q, r, s = w - e0, x - e1, y - e2, z - e3
            sums[j3, lane] = sums[j3, lane] + p * p + q * q + r * r + s * s


@_called
def _lower(near: Singles, t: int, sums: Singles) -> None:
    """near[t] = the smaller of near[t] and the distances to the first centre."""
    at = unsigned(t)
    for lane in range(unsigned(TILE)):
        x, least = sums[U0, lane], near[at, lane]
        near[at, lane] = x if x < least else least


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}, _nrt=False)
def _left(near: Singles, t: int, sums: Singles, j: int) -> float:
    """What tile t would have left with centre j: the sum of the smaller of near[t] and its distances."""
    at, of, total = unsigned(t), unsigned(j), 0.0
    for lane in range(unsigned(TILE)):
        x, least = sums[of, lane], near[at, lane]
        total += np.float64(x if x < least else least)
    return total


@njit(cache=True, nogil=True)
def _tile_of(totals: Floats, threshold: float) -> Any:
    """The first tile at which the cumulated weight exceeds the threshold, and what it was before; none of weight 0."""
    cumulated, before, t = 0.0, 0.0, 0
    for s in range(totals.shape[0]):
        if totals[s] > 0.0:
            t, before = s, cumulated
            if cumulated + totals[s] > threshold:
                break
            cumulated += totals[s]
    return t, before


@njit(cache=True, nogil=True)
def _lane_of(weights: Singles, cumulated: float, threshold: float) -> int:
    """The first lane at which the cumulated weight exceeds the threshold, or the last of any weight."""
    last = 0
    for lane in range(TILE):
        if weights[lane] > 0.0:
            last = lane
            cumulated += weights[lane]
            if cumulated > threshold:
                break
    return last


@njit(cache=True, nogil=True)
def _take(tiles: Singles, row: int, centre: Singles) -> None:
    for c in range(tiles.shape[1]):
        centre[c] = tiles[row // TILE, c, row % TILE]


@njit(cache=True, nogil=True)
def seed_rows(tiles: Singles, n: int, n_clusters: int, uniforms: Floats) -> Any:
    """The numbers of the rows to start from, at most ``n_clusters``.

    The first is drawn evenly. Each next one is the best of ``n_trials`` rows drawn with probability proportional
    to their squared distance to those so far: the one that leaves the smallest sum of them (first on a tie).
    It ends early when every row equals one of them, so that **identical rows reduce k**; equal is what float32
    cannot tell apart after centring.

    Args:
        tiles: (., a multiple of 4, 256) float32 of ``align.kernels.tiles``.
        n: rows in them, >= 1.
        n_clusters: >= 1.
        uniforms: (n_clusters, n_trials) numbers in [0, 1), n_trials >= 1; of row 0 only the first is used.

    Returns:
        i8, all rows distinct. Time O(n_clusters n_trials n d), memory 4 n bytes.
    """
    n_tiles, n_trials = tiles.shape[0], uniforms.shape[1]
    chosen = np.empty(n_clusters, np.int64)
    chosen[0] = int(min(np.floor(uniforms[0, 0] * n), n - 1.0))
    near, totals = np.full((n_tiles, TILE), _FAR), np.empty((n_trials + 1, n_tiles))
    for i in range(n, n_tiles * TILE):
        near[i // TILE, i % TILE] = np.float32(0.0)
    # Centre 0 is the one chosen last: one reading of the rows lowers their distances to it and tries the next.
    centres = np.zeros((-(-(n_trials + 1) // 4) * 4, tiles.shape[1]), np.float32)
    sums, candidates = np.empty((centres.shape[0], TILE), np.float32), np.empty(n_trials + 1, np.int64)
    _take(tiles, chosen[0], centres[0])
    for t in range(n_tiles):
        _add_squares(tiles, t, centres, 0, sums)
        totals[0, t] = _left(near, t, sums, 0)
    best, count = 0, 1
    while count < n_clusters:
        total = totals[best].sum()
        if total <= 0.0:
            break
        for trial in range(n_trials):
            threshold = uniforms[count, trial] * total
            t, before = _tile_of(totals[best], threshold)
            _add_squares(tiles, t, centres, 0, sums)
            _lower(near, t, sums)
            candidates[1 + trial] = t * TILE + _lane_of(near[t], before, threshold)
        for trial in range(n_trials):
            _take(tiles, candidates[1 + trial], centres[1 + trial])
        for t in range(n_tiles):
            for four in range(0, centres.shape[0], 4):
                _add_squares(tiles, t, centres, four, sums)
            _lower(near, t, sums)
            for trial in range(n_trials):
                totals[1 + trial, t] = _left(near, t, sums, 1 + trial)
        best = 1
        for trial in range(2, n_trials + 1):
            if totals[trial].sum() < totals[best].sum():
                best = trial
        chosen[count] = candidates[best]
        _take(tiles, chosen[count], centres[0])
        count += 1
    return chosen[:count].copy()

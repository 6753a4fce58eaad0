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
unsigned = np.uint64
U1, U2, U3 = unsigned(1), unsigned(2), unsigned(3)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"}, _nrt=False)
def _distances(tiles: Singles, t: int, centre: Singles, kept: Singles, before: int, after: int) -> float:
    """kept[after, t] = the smaller of kept[before, t] and the squared distance to ``centre``; returns the sum."""
    at, old, new = unsigned(t), unsigned(before), unsigned(after)
    for lane in range(unsigned(TILE)):
        kept[new, at, lane] = np.float32(0.0)
    for four in range(unsigned(tiles.shape[1] // 4)):
        c0 = four * unsigned(4)
        c1, c2, c3 = c0 + U1, c0 + U2, c0 + U3
        m0, m1, m2, m3 = centre[c0], centre[c1], centre[c2], centre[c3]
        for lane in range(unsigned(TILE)):
            x0, x1 = tiles[at, c0, lane] - m0, tiles[at, c1, lane] - m1
            x2, x3 = tiles[at, c2, lane] - m2, tiles[at, c3, lane] - m3
            kept[new, at, lane] = kept[new, at, lane] + x0 * x0 + x1 * x1 + x2 * x2 + x3 * x3
    total = 0.0
    for lane in range(unsigned(TILE)):
        x, least = kept[new, at, lane], kept[old, at, lane]
        least = x if x < least else least
        kept[new, at, lane] = least
        total += np.float64(least)
    return total


@njit(cache=True, nogil=True)
def _draw(near: Singles, totals: Floats, total: float, uniform: float) -> int:
    """The first row whose cumulated weight exceeds ``uniform * total``: never one of weight 0."""
    threshold, cumulated, t, last = uniform * total, 0.0, 0, 0
    for s in range(totals.shape[0]):
        if totals[s] > 0.0:
            t = s
            if cumulated + totals[s] > threshold:
                break
            cumulated += totals[s]
    for lane in range(TILE):
        if near[t, lane] > 0.0:
            last = lane
            cumulated += near[t, lane]
            if cumulated > threshold:
                break
    return t * TILE + last


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
        i8, all rows distinct. Time O(n_clusters n_trials n d), memory 4 n (n_trials + 1)
        bytes.
    """
    n_tiles, n_trials = tiles.shape[0], uniforms.shape[1]
    chosen = np.empty(n_clusters, np.int64)
    chosen[0] = int(min(np.floor(uniforms[0, 0] * n), n - 1.0))
    # Slot 0 of ``kept`` has the least squared distances so far, every other one those of a trial; the best trial's
    # slot becomes slot 0 by name only.
    slots = np.arange(n_trials + 1)
    kept, totals = np.empty((n_trials + 1, n_tiles, TILE), np.float32), np.empty((n_trials + 1, n_tiles))
    kept[0] = np.float32(3e38)
    for i in range(n, n_tiles * TILE):
        kept[0, i // TILE, i % TILE] = np.float32(0.0)
    centres, candidates = np.empty((n_trials, tiles.shape[1]), np.float32), np.empty(n_trials, np.int64)
    _take(tiles, chosen[0], centres[0])
    for t in range(n_tiles):
        totals[0, t] = _distances(tiles, t, centres[0], kept, 0, 1)
        kept[0, t] = kept[1, t]
    count = 1
    while count < n_clusters:
        near = slots[0]
        total = totals[near].sum()
        if total <= 0.0:
            break
        for trial in range(n_trials):
            candidates[trial] = _draw(kept[near], totals[near], total, uniforms[count, trial])
            _take(tiles, candidates[trial], centres[trial])
        for t in range(n_tiles):
            for trial in range(n_trials):
                slot = slots[1 + trial]
                totals[slot, t] = _distances(tiles, t, centres[trial], kept, near, slot)
        best = 0
        for trial in range(1, n_trials):
            if totals[slots[1 + trial]].sum() < totals[slots[1 + best]].sum():
                best = trial
        chosen[count] = candidates[best]
        slots[0], slots[1 + best] = slots[1 + best], near
        count += 1
    return chosen[:count].copy()

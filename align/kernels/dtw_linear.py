"""The totals of dynamic time warping without their table: strips of rows, swept along anti-diagonals.

For rows i of ``a`` and j of ``b``: total[i, j] = cost[i, j] + min(total[i-1, j-1], total[i-1, j], total[i, j-1])
(Sakoe & Chiba 1978, section III), cost the squared Euclidean distance, times weights[i - j] if given.

A strip is 128 lanes of 4 rows. At step t lane k computes its 4 cells of column t - k, so that no lane waits for
another in the same step and each loop over lanes is vector code. What the lanes need of each other, their lowest
totals of the last three steps, goes round a ring. Only the strip's lowest row is kept for the strip below it.
Lanes that have not begun, or have ended, may hold any number: a lane is given its neighbours when it begins.

What keeps it fast (kernel-notes.md): unsigned indices; one-dimensional arrays with constant offsets, so that
nothing can overlap; no reference counts; the minimum in the order that keeps the chain down a lane shortest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["LANES", "MARGIN", "STRIP", "sweep", "trace_back"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Place = tuple[int, int, int, int, int, int]  # column of lane 0 in b, up, diagonal, out (in the ring), lanes

unsigned = np.uint64
LANES, DEPTH = 128, 4
STRIP = LANES * DEPTH
MARGIN = LANES + 8  # steps of a strip beyond the columns
N, S, ONE = unsigned(LANES), unsigned(DEPTH), unsigned(1)
GROUP = 32  # lanes are computed in groups: whole vectors only

called = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)


@called
def plain_step(rows: Floats, left: Floats, b: Floats, ring: Floats, place: Place) -> None:
    """One channel, no band: the local cost is computed on the way."""
    at, up, diagonal, out, _, _ = place
    for lane in range(N):
        y = b[at + lane]
        above = ring[up + lane]
        corner = ring[diagonal + lane]
        for s in range(S):
            x = rows[s * N + lane] - y
            beside = left[s * N + lane]
            best = corner if corner < beside else beside
            best = above if above < best else best
            corner = beside
            above = x * x + best
            left[s * N + lane] = above
        ring[out + ONE + lane] = above


@called
def band_step(
    rows: Floats, left: Floats, b: Floats, ring: Floats, place: Place, first: Ints, last: Ints, t: int
) -> None:
    """One channel in a band: cells are infinite but for steps first <= t < last."""
    at, up, diagonal, out, lane_from, lane_to = place
    far = ring[unsigned(0)]
    for group in range(lane_from, lane_to, unsigned(GROUP)):
        for k in range(unsigned(GROUP)):
            lane = group + k
            y = b[at + lane]
            above = ring[up + lane]
            corner = ring[diagonal + lane]
            for s in range(S):
                x = rows[s * N + lane] - y
                beside = left[s * N + lane]
                best = corner if corner < beside else beside
                best = above if above < best else best
                corner = beside
                above = x * x + best
                above = above if t >= first[s * N + lane] else far
                above = above if t < last[s * N + lane] else far
                left[s * N + lane] = above
            ring[out + ONE + lane] = above


@called
def local_step(local: Floats, left: Floats, ring: Floats, place: Place) -> None:
    """Any local costs, computed before."""
    _, up, diagonal, out, _, _ = place
    for lane in range(N):
        above = ring[up + lane]
        corner = ring[diagonal + lane]
        for s in range(S):
            beside = left[s * N + lane]
            best = corner if corner < beside else beside
            best = above if above < best else best
            corner = beside
            above = local[s * N + lane] + best
            left[s * N + lane] = above
        ring[out + ONE + lane] = above


@called
def local_costs_of_step(
    rows: Floats, b: Floats, local: Floats, place: Place, n_channels: int, width: int
) -> None:
    """Squared Euclidean distances of one step's cells."""
    at = place[0]
    for s in range(S):
        for lane in range(N):
            local[s * N + lane] = rows[unsigned(0)] - rows[unsigned(0)]
        for c in range(unsigned(n_channels)):
            row = (c * S + s) * N
            column = c * unsigned(width) + at
            for lane in range(N):
                x = rows[row + lane] - b[column + lane]
                local[s * N + lane] += x * x


@called
def weigh(local: Floats, weights: Floats, base: int) -> None:
    """local[s, lane] *= weights[base + s + (DEPTH + 1) lane], where that exists: elsewhere the cell does not count."""
    for lane in range(N):
        for s in range(S):
            at = base + int(s) + (DEPTH + 1) * int(lane)
            if 0 <= at < weights.shape[0]:
                local[s * N + lane] *= weights[at]


@called
def forbid(local: Floats, first: Ints, last: Ints, t: int, far: float) -> None:
    """Cells outside the band cost infinity."""
    for s in range(S):
        for lane in range(N):
            if t < first[s * N + lane] or t >= last[s * N + lane]:
                local[s * N + lane] = far


@called
def load_strip(
    a: Floats, limits: Ints, begin: int, width: int, rows: Floats, lanes: tuple[Ints, Ints, Ints, Ints]
) -> int:
    """Copy the rows from ``begin`` on into lanes, and the steps in which rows and lanes work; how many rows."""
    first, last, starts, ends = lanes
    n_rows = min(STRIP, a.shape[0] - begin)
    for lane in range(LANES):
        for s in range(DEPTH):
            i = begin + min(lane * DEPTH + s, n_rows - 1)
            for c in range(a.shape[1]):
                rows[(c * DEPTH + s) * LANES + lane] = a[i, c]
            banded = limits.shape[1] > 0
            first[s * LANES + lane] = lane + (limits[0, i] if banded else 0)
            last[s * LANES + lane] = lane + (limits[1, i] if banded else width)
        starts[lane] = first[lane]
        # three steps more, so that the ring forgets what a lane wrote when it was in the band
        ends[lane] = last[(DEPTH - 1) * LANES + lane] + (3 if limits.shape[1] > 0 else 0)
    return n_rows


@called
def start_lane(
    lane: int, t: int, col: Floats, begin: int, left: Floats, ring: Floats, z: int, early: bool
) -> None:
    """Give a lane its left neighbours at its first step: a column of totals, or infinity inside a band."""
    far = ring[0]
    for s in range(DEPTH):
        i = begin + lane * DEPTH + s
        left[s * LANES + lane] = col[i] if t == lane and i < col.shape[0] else far
    if lane > 0:
        if t == lane:
            ring[z + lane] = col[begin + lane * DEPTH - 1]
        elif not early:
            ring[z + lane] = far


@called
def sweep_strip(
    work: tuple[Floats, Floats, Floats, Floats, Floats],
    lanes: tuple[Ints, Ints, Ints, Ints],
    edges: tuple[Floats, Floats],
    weights: Floats,
    sizes: tuple[int, int, int, int, int, int],
    columns: Floats,
    history: Floats,
) -> None:
    """All steps of one strip."""
    rows, local, left, ring, reverse = work
    first, last, starts, ends = lanes
    row, col = edges
    begin, n_rows, w, d, every, n_limits = sizes
    banded, weighted = n_limits > 0, weights.shape[0] > 0
    lowest = (n_rows - 1) // DEPTH
    bottom = (n_rows - 1) % DEPTH * LANES + lowest
    x, y, z = LANES - 1, 3 * LANES - 1, 5 * LANES - 1
    ring[z] = row[starts[0]]
    far = ring[0]
    lane_from, lane_to, kept = 0, 0, 0
    for t in range(starts[0], min(ends[lowest], w + lowest + 3)):
        while lane_to <= lowest and starts[lane_to] <= t:
            early = lane_to > 0 and starts[lane_to - 1] <= t - 2
            start_lane(lane_to, t, col, begin, left, ring, z, early)
            lane_to += 1
        while lane_from < lane_to and ends[lane_from] <= t:
            lane_from += 1
        ring[x] = row[t + 1] if t < w else far
        place = (
            unsigned(MARGIN + w - 1 - t),
            unsigned(x),
            unsigned(z),
            unsigned(y),
            unsigned(lane_from // GROUP * GROUP),
            unsigned((lane_to + GROUP - 1) // GROUP * GROUP),
        )
        if d == 1 and not weighted and not banded:
            plain_step(rows, left, reverse, ring, place)
        elif d == 1 and not weighted:
            band_step(rows, left, reverse, ring, place, first, last, t)
        else:
            local_costs_of_step(rows, reverse, local, place, d, w + 2 * MARGIN)
            if weighted:
                weigh(local, weights, begin - t + w - 1)
            if banded:
                forbid(local, first, last, t, far)
            local_step(local, left, ring, place)
        if lane_to > lowest and t - lowest < w:
            row[t - lowest + 1] = left[bottom]
        if history.shape[0] > 0:
            at = unsigned(begin // STRIP * (w + MARGIN) + t)
            for k in range(unsigned(STRIP)):
                history[at, k] = left[k]
        while kept < columns.shape[0] and min((kept + 1) * every, w) - 1 + lowest < t:
            kept += 1
        for k in range(kept, columns.shape[0]):
            lane = t - min((k + 1) * every, w) + 1
            if lane < 0:
                break
            for s in range(DEPTH):
                if lane_from <= lane < lane_to and lane * DEPTH + s < n_rows:
                    columns[k, begin + lane * DEPTH + s] = left[s * LANES + lane]
        x, y, z = y, z, x
    # left of the lowest row: the corner of the strip below
    column = max(starts[lowest] - lowest, 0)
    row[column] = col[begin + n_rows - 1] if column == 0 else far


@njit(cache=True, nogil=True, error_model="numpy")
def sweep(
    a: Floats,
    b: Floats,
    edges: tuple[Floats, Floats],
    limits: Ints,
    weights: Floats,
    every: int,
    columns: Floats,
    history: Floats,
) -> None:
    """Carry totals over the block of rows ``a`` and columns ``b``: from its upper edge to its lower one.

    Args:
        a, b: (h, d) and (w, d), one float type, h and w at least 1, finite.
        edges: ``row`` (w + 1,): the totals above the block, from its upper left corner on; becomes the totals of
            its last row (and the corner left of that). ``col`` (h,): the totals left of the block.
        limits: (2, h) first column and end of columns of each row, neither ever descending; (2, 0): no band.
            Where no cell is allowed, both are 0 or w.
        weights: (h + w - 1,) of i - j + w - 1; (0,): all 1.
        every: columns of totals are kept at min((k + 1) every, w) - 1; at least 1.
        columns: (n_kept, h), filled with infinity; receives them. (0, h): none.
        history: (strips (w + MARGIN), STRIP): receives the totals of all cells. (0, STRIP): none.
    """
    h, d = a.shape
    w = b.shape[0]
    width = w + 2 * MARGIN
    reverse = np.zeros(d * width, a.dtype)
    for c in range(d):
        for j in range(w):
            reverse[c * width + MARGIN + w - 1 - j] = b[j, c]
    left, ring = np.empty(STRIP, a.dtype), np.empty(7 * LANES, a.dtype)
    work = (np.empty(d * STRIP, a.dtype), np.empty(STRIP, a.dtype), left, ring, reverse)
    steps = (np.empty(STRIP, np.int64), np.empty(STRIP, np.int64))
    lanes = (steps[0], steps[1], np.empty(LANES, np.int64), np.empty(LANES, np.int64))
    for begin in range(0, h, STRIP):
        n_rows = load_strip(a, limits, begin, w, work[0], lanes)
        left[:] = np.inf
        ring[:] = np.inf
        sizes = (begin, n_rows, w, d, every, limits.shape[1])
        sweep_strip(work, lanes, edges, weights, sizes, columns, history)


@njit(cache=True, nogil=True)
def trace_back(history: Floats, row: Floats, col: Floats, limits: Ints, path: Ints) -> Any:
    """Walk from a block's last cell back until the path leaves it: ``(length, i, j)``.

    Of equal totals the diagonal one is preferred, then the one above, then the one beside.

    Args:
        history: as ``sweep`` left it.
        row, col: the edges that ``sweep`` was given (before it overwrote the row).
        limits: as for ``sweep``.
        path: (>= h + w, 2) receives the pairs, last first; i or j of the result is -1.
    """
    h, w = col.shape[0], row.shape[0] - 1
    i, j, length = h - 1, w - 1, 0
    found = np.empty(3)
    while i >= 0 and j >= 0:
        path[length, 0], path[length, 1] = i, j
        length += 1
        found[:] = np.inf
        for k in range(3):
            p, q = i - (k < 2), j - (k != 1)
            if p < 0:
                found[k] = row[q + 1]
            elif q < 0:
                found[k] = col[p]
            elif limits.shape[1] == 0 or limits[0, p] <= q < limits[1, p]:
                lane = p % STRIP // DEPTH
                at = p // STRIP * (w + MARGIN) + q + lane
                found[k] = history[at, p % DEPTH * LANES + lane]
        step = 0
        if found[1] < found[0]:
            step = 1
        if found[2] < found[step]:
            step = 2
        i -= step < 2
        j -= step != 1
    return length, i, j

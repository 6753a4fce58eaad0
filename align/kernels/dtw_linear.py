"""The totals of dynamic time warping without their table: strips of rows, swept along anti-diagonals.

For rows i of ``a`` and j of ``b``: total[i, j] = cost[i, j] + min(total[i-1, j-1], total[i-1, j], total[i, j-1])
(Sakoe & Chiba 1978, section III), cost the squared Euclidean distance, times weights[i - j] if given.

A strip is 256 lanes of 4 rows. At step t lane k computes its 4 cells of column t - k, so that no lane waits for
another in the same step and each loop over lanes is vector code. What the lanes need of each other, their lowest
totals of the last steps, stands in three *rings* that take turns. Only the strip's lowest row is kept for the strip
below it. Lanes that have not begun, or have ended, may hold any number: a lane is given its neighbours when it
begins. A path is traced in small blocks, computed again from the rows and columns of totals around them.

What keeps it fast (kernel-notes.md): unsigned indices; one array for each purpose, all beginning on a cache line,
so that nothing overlaps; no reference counts; the minimum in the order that keeps the chain down a lane shortest;
in a band, comparisons only in the groups of lanes that its ends cross.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["LANES", "ROWS", "STRIP", "sweep"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Place = tuple[int, int, int, int]  # column of lane 0 in the reversed b, first lane, end of lanes, step

Pair = tuple[Floats, Floats]  # edges: row, column; or kept: rows, columns
Lanes = tuple[Ints, Ints, Ints]  # first and last steps of each row; of each lane the first; and the last
Sizes = tuple[
    int, int, int, int, int, int
]  # first row, rows, columns, channels, every, columns of the limits
Work = tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]

unsigned = np.uint64
LANES, DEPTH = 256, 4
STRIP = LANES * DEPTH
MARGIN = LANES + 8  # steps of a strip beyond the columns
GROUP = 32  # lanes are computed in groups: whole vectors only
ROWS = GROUP * DEPTH  # rows of a block when a path is traced
FIRST = 8  # lane 0 in a ring, for the alignment; the edge above it stands before, and entry 0 stays infinite
CACHE_LINE = 64
N, S, LAST, HERE, ABOVE = (unsigned(k) for k in (LANES, DEPTH, STRIP, FIRST, FIRST - 1))

called = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)


@called
def plain_step(
    rows: Floats, left: Floats, b: Floats, up: Floats, diagonal: Floats, out: Floats, place: Place
) -> None:
    """One channel, no band: the local cost is computed on the way."""
    at, lane_from, lane_to, _ = place
    for lane in range(lane_from, lane_to):
        y = b[at + lane]
        above = up[ABOVE + lane]
        corner = diagonal[ABOVE + lane]
        for s in range(S):
            x = rows[s * N + lane] - y
            beside = left[s * N + lane]
            best = corner if corner < beside else beside
            best = above if above < best else best
            corner = beside
            above = x * x + best
            left[s * N + lane] = above
        out[HERE + lane] = above


@called
def band_step(
    rows: Floats,
    left: Floats,
    b: Floats,
    up: Floats,
    diagonal: Floats,
    out: Floats,
    steps: Ints,
    place: Place,
) -> None:
    """One channel in a band: cells are infinite outside their steps."""
    at, lane_from, lane_to, now = place
    far, t = up[unsigned(0)], int(now)
    for lane in range(lane_from, lane_to):
        y = b[at + lane]
        above = up[ABOVE + lane]
        corner = diagonal[ABOVE + lane]
        for s in range(S):
            x = rows[s * N + lane] - y
            beside = left[s * N + lane]
            best = corner if corner < beside else beside
            best = above if above < best else best
            corner = beside
            above = x * x + best if t >= steps[s * N + lane] else far
            above = above if t < steps[LAST + s * N + lane] else far
            left[s * N + lane] = above
        out[HERE + lane] = above


@called
def local_step(local: Floats, left: Floats, up: Floats, diagonal: Floats, out: Floats, place: Place) -> None:
    """Any local costs, computed before."""
    _, lane_from, lane_to, _ = place
    for lane in range(lane_from, lane_to):
        above = up[ABOVE + lane]
        corner = diagonal[ABOVE + lane]
        for s in range(S):
            beside = left[s * N + lane]
            best = corner if corner < beside else beside
            best = above if above < best else best
            corner = beside
            above = local[s * N + lane] + best
            left[s * N + lane] = above
        out[HERE + lane] = above


@called
def local_costs_of_step(
    rows: Floats, b: Floats, local: Floats, place: Place, n_channels: int, width: int
) -> None:
    """Squared Euclidean distances of one step's cells."""
    at, lane_from, lane_to, _ = place
    for s in range(S):
        for lane in range(lane_from, lane_to):
            local[s * N + lane] = rows[unsigned(0)] - rows[unsigned(0)]
        for c in range(unsigned(n_channels)):
            row = (c * S + s) * N
            column = c * unsigned(width) + at
            for lane in range(lane_from, lane_to):
                x = rows[row + lane] - b[column + lane]
                local[s * N + lane] += x * x


@called
def weigh(local: Floats, weights: Floats, place: Place, base: int) -> None:
    """local[s, lane] *= weights[base + s + (DEPTH + 1) lane], where that exists: elsewhere the cell does not count."""
    for lane in range(place[1], place[2]):
        for s in range(S):
            at = base + int(s) + (DEPTH + 1) * int(lane)
            if 0 <= at < weights.shape[0]:
                local[s * N + lane] *= weights[at]


@called
def forbid(local: Floats, steps: Ints, place: Place, far: float) -> None:
    """Cells outside the band cost infinity."""
    _, lane_from, lane_to, now = place
    for s in range(S):
        for lane in range(lane_from, lane_to):
            if int(now) < steps[s * N + lane] or int(now) >= steps[LAST + s * N + lane]:
                local[s * N + lane] = far


@called
def load_strip(a: Floats, limits: Ints, begin: int, width: int, rows: Floats, lanes: Lanes) -> int:
    """Copy the rows from ``begin`` on into lanes, and the steps in which rows and lanes work; how many rows."""
    steps, starts, ends = lanes
    n_rows = min(STRIP, a.shape[0] - begin)
    banded = limits.shape[1] > 0
    for lane in range((n_rows + ROWS - 1) // ROWS * GROUP):
        for s in range(DEPTH):
            i = begin + min(lane * DEPTH + s, n_rows - 1)
            for c in range(a.shape[1]):
                rows[(c * DEPTH + s) * LANES + lane] = a[i, c]
            steps[s * LANES + lane] = lane + (limits[0, i] if banded else 0)
            steps[STRIP + s * LANES + lane] = lane + (limits[1, i] if banded else width)
        starts[lane] = steps[lane]
        # three steps more, so that the rings forget what a lane wrote when it was in the band
        ends[lane] = steps[STRIP + (DEPTH - 1) * LANES + lane] + (3 if banded else 0)
    return n_rows


@called
def start_lane(
    lane: int, t: int, col: Floats, begin: int, left: Floats, diagonal: Floats, early: bool
) -> None:
    """Give a lane its left neighbours at its first step: a column of totals, or infinity inside a band."""
    far = diagonal[0]
    for s in range(DEPTH):
        i = begin + lane * DEPTH + s
        left[s * LANES + lane] = col[i] if t == lane and i < col.shape[0] else far
    if lane > 0:
        if t == lane:
            diagonal[FIRST - 1 + lane] = col[begin + lane * DEPTH - 1]
        elif not early:
            diagonal[FIRST - 1 + lane] = far


@called
def keep(left: Floats, kept: Pair, sizes: Sizes, t: int, lanes: tuple[int, int], column: int) -> int:
    """Copy this step's totals that lie on the grid of kept rows and columns; the first column still to come."""
    rows, columns = kept
    (begin, n_rows, w, _, every, _), (lane_from, lane_to) = sizes, lanes
    for k in range(begin // ROWS + 1, rows.shape[0]):
        lane = (k * ROWS - begin) // DEPTH - 1
        if lane >= lane_to:
            break
        if lane >= lane_from and t - lane < w:
            rows[k, t - lane + 1] = left[STRIP - LANES + lane]
    lowest = (n_rows - 1) // DEPTH
    while column < columns.shape[0] and min((column + 1) * every, w) - 1 + lowest < t:
        column += 1
    for k in range(column, columns.shape[0]):
        lane = t - min((k + 1) * every, w) + 1
        if lane < 0:
            break
        for s in range(DEPTH):
            if lane_from <= lane < lane_to and lane * DEPTH + s < n_rows:
                columns[k, begin + lane * DEPTH + s] = left[s * LANES + lane]
    return column


@called
def sweep_strip(
    work: Work, lanes: Lanes, edges: Pair, weights: Floats, sizes: Sizes, kept: Pair, history: Floats
) -> None:
    """All steps of one strip."""
    rows, local, left, up, diagonal, out, reverse = work
    (steps, starts, ends), (row, col) = lanes, edges
    begin, n_rows, w, d, _, n_limits = sizes
    banded, weighted = n_limits > 0, weights.shape[0] > 0
    keeping = kept[0].shape[0] + kept[1].shape[0] > 0
    lowest, bottom = (n_rows - 1) // DEPTH, (n_rows - 1) % DEPTH * LANES + (n_rows - 1) // DEPTH
    n_lanes = (n_rows + ROWS - 1) // ROWS * GROUP
    far = up[0]
    for lane in range(n_lanes):
        up[FIRST - 1 + lane] = diagonal[FIRST - 1 + lane] = out[FIRST - 1 + lane] = far
    for k in range(STRIP):
        left[k] = far
    diagonal[FIRST - 1] = row[starts[0]]
    lane_from = lane_to = column = inner_from = inner_to = 0  # inner: lanes of whole groups inside the band
    for t in range(starts[0], min(ends[lowest], w + lowest + 3)):
        while lane_to <= lowest and starts[lane_to] <= t:
            early = lane_to > 0 and starts[lane_to - 1] <= t - 2
            start_lane(lane_to, t, col, begin, left, diagonal, early)
            lane_to += 1
        while lane_from < lane_to and ends[lane_from] <= t:
            lane_from += 1
        up[FIRST - 1] = row[t + 1] if t < w else far
        at, now = unsigned(MARGIN + w - 1 - t), unsigned(t)
        begun, ended = lane_from // GROUP * GROUP, (lane_to + GROUP - 1) // GROUP * GROUP
        place = (at, unsigned(begun), unsigned(ended), now)
        if d > 1 or weighted:
            local_costs_of_step(rows, reverse, local, place, d, w + 2 * MARGIN)
            if weighted:
                weigh(local, weights, place, begin - t + w - 1)
            if banded:
                forbid(local, steps, place, far)
            local_step(local, left, up, diagonal, out, place)
        elif banded:
            while inner_to < n_lanes and steps[STRIP - LANES + inner_to + GROUP - 1] <= t:
                inner_to += GROUP
            while inner_from < inner_to and steps[STRIP + inner_from] <= t:
                inner_from += GROUP
            low = min(max(inner_from, begun), ended)
            high = min(max(inner_to, low), ended)
            if begun < low:
                place = (at, unsigned(begun), unsigned(low), now)
                band_step(rows, left, reverse, up, diagonal, out, steps, place)
            if low < high:
                place = (at, unsigned(low), unsigned(high), now)
                plain_step(rows, left, reverse, up, diagonal, out, place)
            if high < ended:
                place = (at, unsigned(high), unsigned(ended), now)
                band_step(rows, left, reverse, up, diagonal, out, steps, place)
        else:
            plain_step(rows, left, reverse, up, diagonal, out, place)
        if lane_to > lowest and t - lowest < w:
            row[t - lowest + 1] = left[bottom]
        if keeping:
            column = keep(left, kept, sizes, t, (lane_from, lane_to), column)
        if history.shape[0] > 0:
            for s in range(S):
                for k in range(unsigned(GROUP)):
                    history[unsigned(t), s * unsigned(GROUP) + k] = left[s * N + k]
        up, diagonal, out = out, up, diagonal
    # left of the lowest row: the corner of the strip below
    column = max(starts[lowest] - lowest, 0)
    row[column] = col[begin + n_rows - 1] if column == 0 else far


@njit(cache=True, nogil=True, error_model="numpy")
def workspace(d: int, w: int, like: Floats) -> Any:
    """``work`` and ``lanes`` of ``sweep_strip`` for ``w`` columns; rings infinite, b zero."""
    ring = LANES + 2 * FIRST
    room = np.empty((d + 2) * STRIP + 3 * ring + CACHE_LINE, like.dtype)
    room = room[(-room.ctypes.data) % CACHE_LINE // room.itemsize :]
    left, local, rings = room[:STRIP], room[STRIP : 2 * STRIP], room[2 * STRIP : 2 * STRIP + 3 * ring]
    rows = room[2 * STRIP + 3 * ring :]
    rings[:] = np.inf
    reverse = np.zeros(d * (w + 2 * MARGIN), like.dtype)
    work = (rows, local, left, rings[:ring], rings[ring : 2 * ring], rings[2 * ring :], reverse)
    steps = np.empty(2 * STRIP + 2 * LANES + CACHE_LINE, np.int64)
    steps = steps[(-steps.ctypes.data) % CACHE_LINE // steps.itemsize :]
    ends = steps[2 * STRIP :]
    return work, (steps[: 2 * STRIP], ends[:LANES], ends[LANES:])


@called
def turn(b: Floats, begin: int, w: int, reverse: Floats) -> None:
    """Lay the columns ``begin`` to ``begin + w - 1`` into ``reverse``, last first, channel by channel."""
    for c in range(b.shape[1]):
        for j in range(w):
            reverse[c * (w + 2 * MARGIN) + MARGIN + w - 1 - j] = b[begin + j, c]


@called
def step_back(i: int, j: int, history: Floats, row: Floats, col: Floats, limits: Ints) -> tuple[int, int]:
    """The cell before (i, j) of a block on its cheapest path; i or j is -1 where the path leaves the block."""
    best, p, q = np.inf, i - 1, j - 1
    for k in range(3):
        above, beside = i - (k < 2), j - (k != 1)
        total = np.inf
        if above < 0:
            total = row[beside + 1]
        elif beside < 0:
            total = col[above]
        elif limits.shape[1] == 0 or limits[0, above] <= beside < limits[1, above]:
            lane = above // DEPTH
            total = history[beside + lane, above % DEPTH * GROUP + lane]
        if total < best:
            best, p, q = total, above, beside
    return p, q


@called
def cut_limits(limits: Ints, top: int, begin: int, w: int, inside: Ints) -> None:
    """The limits within a block of w columns: rows from ``top`` on, columns from ``begin`` on."""
    for k in range(inside.shape[1]):
        for side in range(2):
            inside[side, k] = min(max(limits[side, top + k] - begin, 0), w)


@njit(cache=True, nogil=True, error_model="numpy")
def sweep(
    a: Floats, b: Floats, edges: Pair, limits: Ints, weights: Floats, every: int, kept: Pair, path: Ints
) -> Any:
    """Carry totals over the block of rows ``a`` and columns ``b``; then trace the path back from its last cell.

    Of equal totals the diagonal one is preferred, then the one above, then the one beside. Only the parts of ROWS
    rows and ``every`` columns that the path crosses are computed again.

    Args:
        a, b: (h, d) and (w, d), one float type, h and w at least 1, finite.
        edges: ``row`` (w + 1,): the totals above the block, from its upper left corner on; becomes the totals of
            its last row (and the corner left of that). ``col`` (h,): the totals left of the block.
        limits: (2, h) first column and end of columns of each row, neither ever descending; (2, 0): no band.
            Where no cell is allowed, both are 0 or w.
        weights: (h + w - 1,) of i - j + w - 1; (0,): all 1.
        every: columns of totals are kept at min((k + 1) every, w) - 1; at least 1.
        kept: ``rows`` (ceil(h / ROWS), w + 1) and ``columns`` (ceil(w / every), h), filled with infinity, receive
            totals: rows[k] what ``row`` is for a block that begins at row k ROWS. (0, w + 1) and (0, h): none.
        path: (>= h + w, 2) receives the pairs, last first, if rows and columns are kept; (0, 2): it is not traced.

    Returns:
        ``(length, i, j)`` of the path; (i, j) is the cell it leaves to: i or j is -1.
    """
    (h, d), w = a.shape, b.shape[0]
    work, lanes = workspace(d, w, a)
    turn(b, 0, w, work[6])
    rows, columns = kept
    history = np.empty((0, ROWS), a.dtype)
    for k in range(rows.shape[0]):
        rows[k, 0] = edges[1][k * ROWS - 1] if k > 0 else edges[0][0]
    for begin in range(0, h, STRIP):
        if rows.shape[0] > 0:
            rows[begin // ROWS] = edges[0]
        n_rows = load_strip(a, limits, begin, w, work[0], lanes)
        sizes = (begin, n_rows, w, d, every, limits.shape[1])
        sweep_strip(work, lanes, edges, weights, sizes, kept, history)
    i, j, length = h - 1, w - 1, 0
    if path.shape[0] == 0:
        return length, i, j
    history = np.empty((min(every, w) + GROUP + 3, ROWS), a.dtype)
    above, below, beside = np.empty(w + 1, a.dtype), np.empty(w + 1, a.dtype), np.empty(ROWS, a.dtype)
    nothing = (rows[:0], columns[:0])
    while i >= 0 and j >= 0:
        top, begin = i // ROWS * ROWS, j // every * every
        h, w = i - top + 1, j - begin + 1
        for k in range(h):
            beside[k] = edges[1][top + k] if begin == 0 else columns[begin // every - 1, top + k]
        for k in range(w + 1):
            above[k] = below[k] = rows[top // ROWS, begin + k]
        inside = np.empty((2, h if limits.shape[1] > 0 else 0), np.int64)
        cut_limits(limits, top, begin, w, inside)
        first = top - j + b.shape[0] - 1
        turn(b, begin, w, work[6])
        load_strip(a[top : i + 1], inside, 0, w, work[0], lanes)
        sizes = (0, h, w, d, 1, inside.shape[1])
        sweep_strip(work, lanes, (below, beside), weights[first : first + h + w - 1], sizes, nothing, history)
        p, q = h - 1, w - 1
        while p >= 0 and q >= 0:
            path[length, 0], path[length, 1] = top + p, begin + q
            length += 1
            p, q = step_back(p, q, history, above, beside, inside)
        i, j = top + p, begin + q
    return length, i, j

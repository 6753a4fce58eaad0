"""Dynamic time warping of many pairs of series: 32 pairs side by side, one per lane of a vector.

The *total* of a pair is what ``kernels.dtw`` defines: the smallest sum of squared Euclidean distances along a
warping path from (0, 0) to (n - 1, m - 1) (Sakoe & Chiba 1978, section III). The cells of one pair depend on
each other, those of different pairs do not, so a loop over pairs is a loop over lanes.

A *tile* is 32 pairs; their series lie transposed in it: the values of all lanes at one time are neighbours.
It is filled in blocks of four rows, column by column: only ``top`` (the row above the block) and ``left`` (the
column before) are kept, so that memory is O(m) per lane and a cell costs one load. Three things make it fast:
the minimum of what is known early comes first; every array begins on a cache line (half the speed otherwise);
plain differences, products, sums and minima in one order, so that a pair's total has the same bits in every
tile, on every machine, and with its two series exchanged.

Series may differ in length: a lane's total is read off where it ends, and what lies behind is padding.
Values are finite (the caller validates). Totals have the type of the series, float64 or float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["pair_totals"]

Values = npt.NDArray[Any]  # float64 or float32
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tile = tuple[Values, Values, Values, Values, Values]  # a, b, top, left, local
Band = tuple[Ints, Ints]  # limits, blocks

LANES = 32
ROWS = 4  # rows of a block
PATIENCE = 16  # rows between two looks at whether to abandon; a multiple of ROWS
CACHE_LINE = 64

unsigned = np.uint64
_LANES, _ROWS = unsigned(LANES), unsigned(ROWS)
called = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # called by kernels only
# Columns of ``pairs`` and of ``blocks``
_START_A, _LENGTH_A, _START_B, _LENGTH_B, _SHAPE = 0, 1, 2, 3, 4
_BEGIN, _INNER_BEGIN, _INNER_END, _END = 0, 1, 2, 3


@called
def _fill_columns(tile: Tile, row: int, begin: int, end: int) -> None:
    """Cells of rows ``row`` to ``row + 3`` and columns ``begin`` to ``end - 1``: one channel, no band.

    ``left`` holds, of the column before, the cells of five rows: the row above the block and its own four.
    """
    a, b, top, left, _ = tile
    first = unsigned(row) * _LANES
    for column in range(unsigned(begin), unsigned(end)):
        at = column * _LANES
        for lane in range(_LANES):
            value = b[at + lane]
            diagonal = left[lane]
            cell = top[at + lane]
            left[lane] = cell
            for r in range(_ROWS):
                above = r * _LANES + lane
                beside = left[above + _LANES]
                step = a[first + above] - value
                cell = min(min(diagonal, beside), cell) + step * step
                left[above + _LANES] = cell
                diagonal = beside
            top[at + lane] = cell


@called
def _fill_edges(tile: Tile, limits: Ints, row: int, begin: int, end: int) -> None:
    """As ``_fill_columns`` where the band begins or ends: cells outside of their lane's band are infinite."""
    a, b, top, left, _ = tile
    first, half = unsigned(row) * _LANES, unsigned(limits.shape[0]) // unsigned(2)
    for column in range(unsigned(begin), unsigned(end)):
        at, here = column * _LANES, np.int64(column)
        for lane in range(_LANES):
            value = b[at + lane]
            diagonal = left[lane]
            cell = top[at + lane]
            left[lane] = cell
            for r in range(_ROWS):
                above = r * _LANES + lane
                beside = left[above + _LANES]
                step = a[first + above] - value
                inside = (limits[first + above] <= here) & (here < limits[half + first + above])
                cell = min(min(diagonal, beside), cell) + step * step
                cell = cell if inside else np.inf
                left[above + _LANES] = cell
                diagonal = beside
            top[at + lane] = cell


@called
def _fill_channels(tile: Tile, limits: Ints, row: int, column: int, n_channels: int) -> None:
    """As ``_fill_edges`` for one column and any number of channels; ``local`` holds the costs of its four rows."""
    a, b, top, left, local = tile
    wide, at, half = unsigned(n_channels), unsigned(column) * _LANES, unsigned(limits.shape[0]) // unsigned(2)
    for k in range(_ROWS * _LANES):
        local[k] = 0.0
    for c in range(wide):
        at_b = at * wide + c * _LANES
        for r in range(_ROWS):
            at_a = ((unsigned(row) + r) * wide + c) * _LANES
            for lane in range(_LANES):
                step = a[at_a + lane] - b[at_b + lane]
                local[r * _LANES + lane] += step * step
    first = unsigned(row) * _LANES
    for lane in range(_LANES):
        diagonal = left[lane]
        cell = top[at + lane]
        left[lane] = cell
        for r in range(_ROWS):
            above = r * _LANES + lane
            beside = left[above + _LANES]
            inside = (limits[first + above] <= column) & (column < limits[half + first + above])
            cell = min(min(diagonal, beside), cell) + local[above]
            cell = cell if inside else np.inf
            left[above + _LANES] = cell
            diagonal = beside
        top[at + lane] = cell


@called
def _fill_block(tile: Tile, bounds: Band, row: int, begin: int, end: int, n_channels: int) -> None:
    """The cells of a block in columns ``begin`` to ``end - 1``, whatever the band and the channels."""
    limits, blocks = bounds
    if n_channels > 1:
        for column in range(begin, end):
            _fill_channels(tile, limits, row, column, n_channels)
        return
    inner_begin = min(max(begin, blocks[row // ROWS, _INNER_BEGIN]), end)
    inner_end = max(inner_begin, min(blocks[row // ROWS, _INNER_END], end))
    _fill_edges(tile, limits, row, begin, inner_begin)
    _fill_columns(tile, row, inner_begin, inner_end)
    _fill_edges(tile, limits, row, inner_end, end)


@called
def _is_hopeless(tile: Tile, begin: int, end: int, threshold: float) -> bool:
    """Whether the last row filled is above the threshold everywhere, in every lane."""
    _, _, top, left, _ = tile
    for lane in range(_LANES):
        left[lane] = np.inf
    for column in range(unsigned(begin), unsigned(end)):
        at = column * _LANES
        for lane in range(_LANES):
            left[lane] = min(left[lane], top[at + lane])
    alive = 0
    for lane in range(_LANES):
        alive += left[lane] <= threshold
    return alive == 0


@called
def _run_tile(
    tile: Tile, pairs: Ints, bounds: Band, n_channels: int, threshold: float, totals: Values
) -> None:
    """Fill a tile and write each pair's total; leave them infinite once every lane has passed ``threshold``."""
    _, _, top, left, _ = tile
    blocks = bounds[1]
    n, shortest = 0, np.iinfo(np.int64).max
    for lane in range(pairs.shape[0]):
        n, shortest = max(n, pairs[lane, _LENGTH_A]), min(shortest, pairs[lane, _LENGTH_A])
        totals[lane] = np.inf
    for k in range(top.shape[0]):
        top[k] = np.inf
    for row in range(0, n, ROWS):
        begin, end = blocks[row // ROWS, _BEGIN], blocks[row // ROWS, _END]
        for lane in range(LANES):
            left[lane] = 0.0 if row == 0 else np.inf  # before (0, 0)
            if begin > 0:
                left[lane] = top[(begin - 1) * LANES + lane]
                top[(begin - 1) * LANES + lane] = np.inf  # no later row may come from there
        for k in range(LANES, (ROWS + 1) * LANES):
            left[k] = np.inf
        if row + ROWS < shortest:
            _fill_block(tile, bounds, row, begin, end, n_channels)
        column = begin if row + ROWS >= shortest else end
        while column < end:  # up to the next column in which a pair ends
            stop = end
            for lane in range(pairs.shape[0]):
                ends = row < pairs[lane, _LENGTH_A] <= row + ROWS
                if ends and column < pairs[lane, _LENGTH_B] < stop:
                    stop = pairs[lane, _LENGTH_B]
            _fill_block(tile, bounds, row, column, stop, n_channels)
            for lane in range(pairs.shape[0]):
                ends = row < pairs[lane, _LENGTH_A] <= row + ROWS
                if ends and pairs[lane, _LENGTH_B] == stop:
                    totals[lane] = left[(pairs[lane, _LENGTH_A] - row) * LANES + lane]
            column = stop
        look = threshold < np.inf and row % PATIENCE == PATIENCE - ROWS and row + ROWS < n
        if look and _is_hopeless(tile, begin, end, threshold):
            break


@called
def _pack(series: Values, pairs: Ints, side: int, n_channels: int, norms: Floats, out: Values) -> None:
    """Lay the series of all lanes into ``out`` by time, channel and lane; zeros where one has ended.

    Lanes without a pair repeat the last one.
    """
    for k in range(out.shape[0]):
        out[k] = 0.0
    for lane in range(LANES):
        pair = min(lane, pairs.shape[0] - 1)
        shift, scale = norms[pair % norms.shape[0], 0], norms[pair % norms.shape[0], 1]
        first = unsigned(pairs[pair, side] * n_channels)
        for k in range(unsigned(pairs[pair, side + 1] * n_channels)):
            out[k * _LANES + unsigned(lane)] = (series[first + k] - shift) * scale


@called
def _pack_band(ranges: Ints, pairs: Ints, m: int, bounds: Band) -> None:
    """Low and high column by row and lane, and what each block needs; rows behind a pair's last repeat it."""
    limits, blocks = bounds
    half = limits.shape[0] // 2
    for row in range(half // LANES):
        first_low, last_low, first_high, last_high = m, 0, m, 0
        for lane in range(LANES):
            low, high = 0, m
            if ranges.shape[0] > 0:
                pair = min(lane, pairs.shape[0] - 1)
                at = min(row, pairs[pair, _LENGTH_A] - 1)
                low, high = ranges[pairs[pair, _SHAPE], 0, at], ranges[pairs[pair, _SHAPE], 1, at]
            limits[row * LANES + lane] = low
            limits[half + row * LANES + lane] = high
            first_low, last_low = min(first_low, low), max(last_low, low)
            first_high, last_high = min(first_high, high), max(last_high, high)
        block = row // ROWS
        if row % ROWS == 0:
            blocks[block, _BEGIN], blocks[block, _INNER_BEGIN] = first_low, last_low
            blocks[block, _INNER_END], blocks[block, _END] = first_high, last_high
        blocks[block, _BEGIN] = min(blocks[block, _BEGIN], first_low)
        blocks[block, _INNER_BEGIN] = max(blocks[block, _INNER_BEGIN], last_low)
        blocks[block, _INNER_END] = min(blocks[block, _INNER_END], first_high)
        blocks[block, _END] = max(blocks[block, _END], last_high)


@called
def _is_same(pairs: Ints, first: int, column: int) -> bool:
    """Whether the tile from pair ``first`` on holds the same in ``column`` as the one before it."""
    if first == 0 or first + LANES > pairs.shape[0]:
        return False
    same = True
    for pair in range(first, first + LANES):
        same &= pairs[pair - LANES, column] == pairs[pair, column]
    return same


@njit(cache=True, nogil=True)
def pair_totals(
    a: Values, b: Values, n_channels: int, pairs: Ints, norms: Floats, ranges: Ints, threshold: float
) -> Values:
    """The DTW totals of many pairs of series.

    Args:
        a, b: (rows * n_channels,) float64 or float32, the same type: series one behind the other, by row.
        n_channels: at least 1.
        pairs: i8 (n_pairs, 5): first row and number of rows in ``a``, the same in ``b``, index into ``ranges``.
            Neighbours should be of about equal length: a tile takes the time of its longest.
        norms: f8 (n_pairs, 2): each value x of b counts as (x - norms[p, 0]) * norms[p, 1]; or (1, 2).
        ranges: i8 (n_shapes, 2, rows): half-open columns that each row may visit, both non-decreasing;
            (0, 2, 0) without a band.
        threshold: totals above it may be given as infinite: a tile is abandoned when all its lanes are.

    Returns:
        (n_pairs,) of the series' type. Time O(n m n_channels / lanes) a pair; memory O((n + m) n_channels).
    """
    n_pairs, n, m = pairs.shape[0], 0, 0
    for p in range(n_pairs):
        n, m = max(n, pairs[p, _LENGTH_A]), max(m, pairs[p, _LENGTH_B])
    n_blocks = (n + ROWS - 1) // ROWS
    n = n_blocks * ROWS
    bounds = (np.empty(2 * n * LANES, np.int64), np.empty((n_blocks, 4), np.int64))
    work = np.empty(((n + m) * n_channels + m + 2 * ROWS + 1) * LANES + CACHE_LINE, a.dtype)
    work = work[(-work.ctypes.data) % CACHE_LINE // work.itemsize :]
    tile_a, work = work[: n * n_channels * LANES], work[n * n_channels * LANES :]
    tile_b, work = work[: m * n_channels * LANES], work[m * n_channels * LANES :]
    top, work = work[: m * LANES], work[m * LANES :]
    tile = (
        tile_a,
        tile_b,
        top,
        work[: (ROWS + 1) * LANES],
        work[(ROWS + 1) * LANES : (2 * ROWS + 1) * LANES],
    )
    as_they_are = np.zeros((1, 2))
    as_they_are[0, 1] = 1.0
    totals = np.empty(n_pairs, a.dtype)
    for first in range(0, n_pairs, LANES):
        part = pairs[first : first + LANES]
        if not (_is_same(pairs, first, _START_A) and _is_same(pairs, first, _LENGTH_A)):
            _pack(a, part, _START_A, n_channels, as_they_are, tile_a)
        own = norms[first : first + LANES] if norms.shape[0] == n_pairs else norms
        _pack(b, part, _START_B, n_channels, own, tile_b)
        if not _is_same(pairs, first, _SHAPE):
            _pack_band(ranges, part, m, bounds)
        _run_tile(tile, part, bounds, n_channels, threshold, totals[first : first + LANES])
    return totals

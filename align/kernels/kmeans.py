"""k-means: which centroid is nearest to each row, and how the centroids move.

The objective is the *inertia*, the sum over all rows of the squared Euclidean distance to the nearest centroid.
``align.tokens.clustering`` iterates; how far centroids move is ``align.kernels.centroids``, where they start
``align.kernels.seeding``.

Rows are read as *tiles* (``align.kernels.tiles``), in float32: four centroids and four columns at a time are
multiplied into sums that stay in vector registers. float32 decides a label only where the second nearest
centroid is farther by more than the rounding error can be; every other row is compared anew in float64 with true
differences. Labels are therefore those of float64, ties go to the lowest index, and the same input gives the same
bits.

From pass to pass every row keeps an upper bound of the distance to its own centroid and a lower bound of that
to any other (Hamerly 2010, algorithms 1-3, without tightening, which costs as much as the tile). A row whose
bounds prove that nothing changed sleeps; where most of a tile sleeps, those awake are gathered into one of
their own. One centroid that moves far would wake all rows: where those that moved most are to blame, the distances
to these few come first (as in Yinyang k-means, Ding et al. 2015, with one group, chosen anew in every pass).
Bounds are float32, rounded outwards.

References: Lloyd 1982; Hamerly 2010, "Making k-means even faster"; rounding: Higham 2002, section 3.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["NONE", "assign_rows", "nearest_centroids"]

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

TILE = 256  # of align.kernels.tiles
NONE = -2  # label of a row that has none yet; -1 is a code that float32 cannot tell
_MANY = 160  # rows awake from which a tile is evaluated where it lies
_WORTH = 32  # rows that may sleep if the fast centroids are looked at first
_FEW = 16  # rows awake up to which they are not read from their tile
_UNIT = 2.0**-24  # relative rounding of float32
_OUT = np.float32(1.0 + 2.0**-20)  # widens a bound by more than the rounding of the few steps that made it
_IN = np.float32(1.0 - 2.0**-20)
_TINY = np.float32(1e-30)  # below it float32 sums are rounded absolutely
_HUGE = np.float32(1e30)  # squared distance of the centroids that fill up the last four
_ZERO = np.float32(0.0)

# No reference counts: their atomics took most of the time. Indices are unsigned: signed ones wrap around, and
# loops over them are not vectorised.
_BARE = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
_called = njit(**_BARE, fastmath={"contract"})
_inside = njit(**_BARE, fastmath={"contract", "reassoc"}, forceinline=True)
unsigned = np.uint64
U0, U1, U2, U3, U4 = unsigned(0), unsigned(1), unsigned(2), unsigned(3), unsigned(4)


@njit(cache=True, nogil=True)
def _make_table(centroids: Floats, origin: Floats, scale: float) -> Any:
    """Centroids times -2, and their squared norms, in float32, filled up to fours; and the longest norm."""
    k, n_columns = centroids.shape
    table = np.zeros((-(-k // 4) * 4, -(-n_columns // 4) * 4), np.float32)
    squares = np.full(table.shape[0], _HUGE, np.float32)
    longest = 0.0
    for j in range(k):
        total = 0.0
        for c in range(n_columns):
            x = (centroids[j, c] - origin[c]) * scale
            table[j, c] = np.float32(-2.0 * x)
            total += x * x
        squares[j] = np.float32(total)
        longest = max(longest, total)
    return table, squares, np.sqrt(longest)


@njit(cache=True, nogil=True)
def _aligned(n_rows: int) -> Any:
    """(n_rows, 256) float32 zeros that begin on a cache line: a vector across two lines takes twice as long."""
    room = np.zeros(n_rows * TILE + 16, np.float32)
    skip = (-(room.ctypes.data // 4)) % 16
    return room[skip : skip + n_rows * TILE].reshape(n_rows, TILE)


@_called
def _multiply(tile: Singles, table: Singles, squares: Singles, first: int, sums: Singles) -> None:
    """sums[j, lane] = squares[first + j] + table[first + j] . tile[:, lane], for j of 0 to 3."""
    j0 = unsigned(first)
    j1, j2, j3 = j0 + U1, j0 + U2, j0 + U3
    # The first four columns apart: sums that are set and then added to cost a third more.
    n0, n1, n2, n3 = squares[j0], squares[j1], squares[j2], squares[j3]
    a0, a1, a2, a3 = table[j0, U0], table[j0, U1], table[j0, U2], table[j0, U3]
    b0, b1, b2, b3 = table[j1, U0], table[j1, U1], table[j1, U2], table[j1, U3]
    d0, d1, d2, d3 = table[j2, U0], table[j2, U1], table[j2, U2], table[j2, U3]
    e0, e1, e2, e3 = table[j3, U0], table[j3, U1], table[j3, U2], table[j3, U3]
    for lane in range(unsigned(TILE)):
        x0, x1, x2, x3 = tile[U0, lane], tile[U1, lane], tile[U2, lane], tile[U3, lane]
        sums[U0, lane] = n0 + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
        sums[U1, lane] = n1 + b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
        sums[U2, lane] = n2 + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3
        sums[U3, lane] = n3 + e0 * x0 + e1 * x1 + e2 * x2 + e3 * x3
    for four in range(U1, unsigned(table.shape[1] // 4)):
        c0 = four * U4
        c1, c2, c3 = c0 + U1, c0 + U2, c0 + U3
        a0, a1, a2, a3 = table[j0, c0], table[j0, c1], table[j0, c2], table[j0, c3]
        b0, b1, b2, b3 = table[j1, c0], table[j1, c1], table[j1, c2], table[j1, c3]
        d0, d1, d2, d3 = table[j2, c0], table[j2, c1], table[j2, c2], table[j2, c3]
        e0, e1, e2, e3 = table[j3, c0], table[j3, c1], table[j3, c2], table[j3, c3]
        for lane in range(unsigned(TILE)):
            x0, x1, x2, x3 = tile[c0, lane], tile[c1, lane], tile[c2, lane], tile[c3, lane]
            sums[U0, lane] = sums[U0, lane] + a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
            sums[U1, lane] = sums[U1, lane] + b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
            sums[U2, lane] = sums[U2, lane] + d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3
            sums[U3, lane] = sums[U3, lane] + e0 * x0 + e1 * x1 + e2 * x2 + e3 * x3


@_called
def _two_least(sums: Singles, first: int, two: Singles, codes: npt.NDArray[np.int32]) -> None:
    """Hold four more sums per lane against the least and second least so far, and which was the least."""
    i0, i1, i2, i3 = np.int32(first), np.int32(first + 1), np.int32(first + 2), np.int32(first + 3)
    for lane in range(unsigned(TILE)):
        w, x, y, z = sums[U0, lane], sums[U1, lane], sums[U2, lane], sums[U3, lane]
        low, high, i = (w if w <= x else x), (x if w <= x else w), (i0 if w <= x else i1)
        less, more, j = (y if y <= z else z), (z if y <= z else y), (i2 if y <= z else i3)
        least, code = (low if low <= less else less), (i if low <= less else j)
        next_least = less if low <= less else low
        other = high if low <= less else more
        next_least = next_least if next_least < other else other
        best, second = two[U0, lane], two[U1, lane]
        larger = least if least > best else best
        second = second if second < next_least else next_least
        two[U1, lane] = larger if larger < second else second
        codes[lane] = code if least < best else codes[lane]
        two[U0, lane] = least if least < best else best


@_called
def _add_norms(tile: Singles, two: Singles) -> None:
    for c in range(unsigned(tile.shape[0])):
        for lane in range(unsigned(TILE)):
            x = tile[c, lane]
            two[U2, lane] += x * x


@_called
def _evaluate(
    tile: Singles, table: Singles, squares: Singles, longest: float, sums: Singles, two: Singles, codes: Any
) -> None:
    """Code and bounds (``two``) of every lane; code -1 where float32 cannot tell."""
    for lane in range(unsigned(TILE)):
        two[U0, lane] = two[U1, lane] = _HUGE
        two[U2, lane] = _ZERO
        codes[lane] = np.int32(0)
    for first in range(0, table.shape[0], 4):
        _multiply(tile, table, squares, first, sums)
        _two_least(sums, first, two, codes)
    _add_norms(tile, two)
    # Inputs and d + 2 steps are rounded, on either distance by at most (d + 6) u (|x| + |m|)^2: a root is saved
    # by (|x| + |m|)^2 <= 2 (|x|^2 + |m|^2).
    share = np.float32(4.0 * (table.shape[1] + 6) * _UNIT)
    reach = np.float32(longest * longest)
    for lane in range(unsigned(TILE)):
        own = two[U2, lane]
        error = share * (own + reach) + _TINY
        least, second = two[U0, lane], two[U1, lane]
        codes[lane] = codes[lane] if second - least > error else np.int32(-1)
        near, far = least + own, second + own - error
        two[U0, lane] = np.sqrt((near if near > _ZERO else _ZERO) + error) * _OUT
        two[U1, lane] = np.sqrt(far if far > _ZERO else _ZERO) * _IN


@_called
def _compare(points: Any, i: int, columns: Floats, lanes: Floats) -> Any:
    """Nearest centroid of row i (the lowest on a tie), its squared distance and the second nearest's."""
    lanes[:] = 0.0
    for c in range(columns.shape[0]):
        x = np.float64(points[i, c])
        for j in range(columns.shape[1]):
            difference = x - columns[c, j]
            lanes[j] += difference * difference
    best, second = 0, np.inf
    for j in range(1, columns.shape[1]):
        if lanes[j] < lanes[best]:
            second = lanes[best]
            best = j
        elif lanes[j] < second:
            second = lanes[j]
    return best, lanes[best], second


@_inside
def _move_bounds(
    moves: Singles, rest: Any, labels: Any, bounds: Singles, first: unsigned, n: int, kept: Any
) -> Any:
    """Let the bounds of the first n rows of a tile follow the centroids; how many may have another nearest now.

    Also how many would if the fast centroids stood still, and (``kept``) their lower bounds then.
    """
    awake, awake_to_rest = 0, 0
    for lane in range(unsigned(n)):  # lanes behind have no label
        i = first + lane
        own, before = labels[i], bounds[U1, i]
        upper, half = (bounds[U0, i] + moves[U0, own]) * _OUT, moves[U2, own]
        lower, slow = (before - moves[U1, own]) * _IN, (before - rest) * _IN
        lower, slow = (lower if lower > _ZERO else _ZERO), (slow if slow > _ZERO else _ZERO)
        bounds[U0, i], bounds[U1, i], kept[lane] = upper, lower, slow
        awake += upper >= (lower if lower > half else half)
        awake_to_rest += upper >= (slow if slow > half else half)
    return awake, awake_to_rest


@_inside
def _awake(moves: Singles, labels: Any, bounds: Singles, first: unsigned, awake: Any, n: int) -> int:
    """List the first n rows of a tile that may have another nearest centroid; how many those are."""
    count = 0
    for lane in range(unsigned(n)):
        i = first + lane
        lower, half = bounds[U1, i], moves[U2, labels[i]]
        awake[count] = lane
        count += bounds[U0, i] >= (lower if lower > half else half)
    return count


@njit(cache=True, nogil=True)
def _fastest(moves: Singles, table: Singles, squares: Singles) -> Any:
    """The centroids that moved most, four for every 64, as a table of their own; and how far any other moved."""
    k, order = moves.shape[1], np.argsort(-moves[0])
    count = 4 * max(1, k // 64)
    ids, fast = np.full(count, NONE, np.int32), np.zeros((count, table.shape[1]), np.float32)
    norms = np.full(count, _HUGE, np.float32)
    for j in range(min(count, k)):
        ids[j], fast[j], norms[j] = order[j], table[order[j]], squares[order[j]]
    return ids, fast, norms, moves[0, order[count]] if k > count else _ZERO


@_called
def _look_at_fast(
    tile: Singles, fast: Any, longest: float, labels: Any, bounds: Singles, first: unsigned, n: int, room: Any
) -> None:
    """Raise the lower bounds of a tile to what the true distances to the fast centroids allow."""
    ids, table, squares, _ = fast
    products, two, kept = room
    for lane in range(unsigned(TILE)):
        two[U0, lane] = _HUGE
        two[U2, lane] = _ZERO
    for four in range(0, table.shape[0], 4):
        _multiply(tile, table, squares, four, products)
        for j in range(unsigned(4)):
            own = ids[unsigned(four) + j]
            for lane in range(unsigned(n)):
                x = products[j, lane] if labels[first + lane] != own else _HUGE
                two[U0, lane] = x if x < two[U0, lane] else two[U0, lane]
    _add_norms(tile, two)
    share = np.float32(4.0 * (table.shape[1] + 6) * _UNIT)  # as in _evaluate
    reach = np.float32(longest * longest)
    for lane in range(unsigned(n)):
        own = two[U2, lane]
        far = two[U0, lane] + own - (share * (own + reach) + _TINY)
        lower = np.sqrt(far if far > _ZERO else _ZERO) * _IN
        lower = lower if lower < kept[lane] else kept[lane]
        before = bounds[U1, first + lane]
        bounds[U1, first + lane] = lower if lower > before else before


@_called
def _relabel(points: Any, i: int, code: int, labels: Any, sums: Floats, origin: Floats) -> None:
    """Give row i another code and move it from one sum to the other."""
    before, n_columns = labels[i], points.shape[1]
    if before >= 0:
        for c in range(n_columns):
            sums[before, c] -= points[i, c] - origin[c]
        sums[before, n_columns] -= 1.0
    for c in range(n_columns):
        sums[code, c] += points[i, c] - origin[c]
    sums[code, n_columns] += 1.0
    labels[i] = code


@_called
def _settle(rows: Any, count: int, codes: Any, two: Singles, labels: Any, bounds: Singles, moved: Any) -> int:
    """Write the bounds of the first ``count`` lanes to ``rows``; list the lanes that change their code."""
    n_moved = 0
    for lane in range(unsigned(count)):
        i = unsigned(rows[lane])
        bounds[U0, i], bounds[U1, i] = two[U0, lane], two[U1, lane]
        moved[n_moved] = lane
        n_moved += codes[lane] != labels[i]
    return n_moved


@njit(cache=True, nogil=True, error_model="numpy")
def _evaluate_rows(tile: Singles, rows: Any, count: int, data: Any, table: Any, room: Any) -> int:
    """Code and bounds of the rows that lie in the first ``count`` lanes of a tile; how many codes changed."""
    points, origin, scale, labels, bounds, sums = data
    columns, scaled, squares, longest = table
    products, two, codes, moved, lanes = room
    _evaluate(tile, scaled, squares, longest, products, two, codes)
    n_moved = _settle(rows, count, codes, two, labels, bounds, moved)
    changed = 0
    for a in range(n_moved):
        lane = moved[a]
        i, code = rows[lane], np.int64(codes[lane])
        if code < 0:
            code, near, far = _compare(points, i, columns, lanes)
            bounds[0, i] = np.float32(np.sqrt(near) * scale) * _OUT
            bounds[1, i] = np.float32(np.sqrt(far) * scale) * _IN
        if labels[i] != code:
            _relabel(points, i, code, labels, sums, origin)
            changed += 1
    return changed


@_called
def _gather(
    data: Any, tile: Singles, first: int, awake: Any, count: int, waiting: int, rows: Any, scratch: Singles
) -> None:
    """Put the ``count`` rows of a tile that are awake behind those that wait in ``scratch``.

    Few of them are read from ``points``, where a row is a cache line or two; in its tile it is one a column.
    """
    points, origin, scale, _, _, _ = data
    for a in range(unsigned(count)):
        rows[unsigned(waiting) + a] = unsigned(first) + awake[a]
    if count <= _FEW:
        for a in range(unsigned(waiting), unsigned(waiting + count)):
            i = unsigned(rows[a])
            for c in range(unsigned(points.shape[1])):
                scratch[c, a] = np.float32((np.float64(points[i, c]) - origin[c]) * scale)
        return
    for c in range(unsigned(tile.shape[0])):
        for a in range(unsigned(count)):
            scratch[c, unsigned(waiting) + a] = tile[c, awake[a]]


@njit(cache=True, nogil=True, error_model="numpy")
def assign_rows(
    points: Any, tiles: Any, part: Any, frame: Any, centroids: Floats, moves: Any, state: Any, sums: Any
) -> int:
    """Give the rows ``part[0]`` to ``part[1]`` the code of their nearest centroid; how many codes changed.

    Args:
        points: (n, d) float32 or float64.
        tiles: of ``align.kernels.tiles`` for the same rows.
        part: first and last row; the first a multiple of 256.
        frame: ``(origin f8 (d,), scale)`` as given to ``make_tiles``.
        centroids: (k, d) float64.
        moves: (3, k) float32 of ``centroids.centroid_moves``; (3, 0) in the first pass, where nothing is known.
        state: ``(labels i4, bounds f4 (2, .))``, changed; a place for every lane of every tile. Labels are -1
            before the first pass. Bounds are distances times ``scale``: at most to the own centroid, at least
            to any other.
        sums: (k, d + 1) float64, changed: of this part, each cluster's sum of ``points - origin`` and its size.
    """
    labels, bounds = state
    scaled, squares, longest = _make_table(centroids, frame[0], frame[1])
    space = _aligned(scaled.shape[1] + 8)
    products, two, kept, scratch = space[:4], space[4:7], space[7], space[8:]
    table = (np.ascontiguousarray(centroids.T), scaled, squares, longest)
    data = (points, frame[0], frame[1], labels, bounds, sums)
    room = (products, two, np.empty(TILE, np.int32), np.empty(TILE, np.int64), np.empty(centroids.shape[0]))
    awake, rows, gathered = np.empty(TILE, np.uint64), np.empty(TILE, np.int64), np.empty(TILE, np.int64)
    changed, waiting, is_first_pass = 0, 0, moves.shape[1] == 0
    fast = _fastest(moves if not is_first_pass else np.zeros((3, 1), np.float32), scaled, squares)
    for first in range(part[0], part[1], TILE):
        tile, n = tiles[first // TILE], min(TILE, part[1] - first)
        count, at = n, unsigned(first)
        if not is_first_pass:
            count, to_rest = _move_bounds(moves, fast[3], labels, bounds, at, n, kept)
            if count - to_rest >= _WORTH and to_rest <= _MANY:
                _look_at_fast(tile, fast, longest, labels, bounds, at, n, (products, two, kept))
            if count > 0 and to_rest <= _MANY:
                count = _awake(moves, labels, bounds, at, awake, n)
        if is_first_pass or count > _MANY:
            for lane in range(n):
                rows[lane] = first + lane
            changed += _evaluate_rows(tile, rows, n, data, table, room)
            continue
        if waiting + count > TILE:
            changed += _evaluate_rows(scratch, gathered, waiting, data, table, room)
            waiting = 0
        _gather(data, tile, first, awake, count, waiting, gathered, scratch)
        waiting += count
    return changed + _evaluate_rows(scratch, gathered, waiting, data, table, room)


@njit(cache=True, nogil=True)
def nearest_centroids(points: Floats, centroids: Floats) -> Any:
    """``(labels i8 (n,), squared distances f8 (n,))`` of each row's nearest centroid; ties to the lowest.

    Args:
        points: (n, d) float32 or float64, no NaN.
        centroids: (k, d) float64, k >= 1.
    """
    n = points.shape[0]
    labels, distances = np.empty(n, np.int64), np.empty(n)
    columns, lanes = np.ascontiguousarray(centroids.T), np.empty(centroids.shape[0])
    for i in range(n):
        labels[i], distances[i], _ = _compare(points, i, columns, lanes)
    return labels, distances

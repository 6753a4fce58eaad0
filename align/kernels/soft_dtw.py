"""Soft-DTW: the smooth minimum over all warping paths, and how much each pair of rows shares in it.

For local costs ``cost[i, j]`` and gamma > 0

    soft = -gamma log( sum over warping paths of exp(-(sum of the costs that the path visits) / gamma) )

(Cuturi & Blondel 2017, section 2). Its gradient with respect to the costs is the *expected alignment*
``E[i, j]``, the probability that a path visits (i, j) when paths are drawn with those weights
(their algorithm 2); E is 1 at both corners.

How it is computed, which departs from the paper's logarithms: what the paper calls exp(-r / gamma) is kept as
a number ``mantissa * 2^exponent``, with an exponent that is itself a float64 and cannot run out. Then a cell takes one
exponential, no logarithm, and three scalings by a power of two, which are shifts; and the shares of a cell's three
predecessors fall out on the way, so that the way back multiplies only. 2^f for |f| <= 1/2 is a polynomial of degree
11 (Chebyshev's nodes; relative error at most 1.8e-16 with its rounding). A share below 2^-1022 counts as 0.

Cells are visited by anti-diagonals i + j = d, on which none depends on another, in strips of ``ROWS`` rows; ``lanes``
holds one line of ``STRIDE`` numbers per purpose, the lane of row i at ``PAD + i``. Lines at known distances, lanes in
multiples of 8 and unsigned indices let LLVM vectorise; lanes outside the matrix compute along and weigh nothing.
Everything is float64; NaN and infinities must not enter (the caller validates). One thread per call.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["soft_dtw_costs", "soft_dtw_series"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROWS = 512  # rows of a strip
PAD = 8  # lanes before the first row; also what lengths are rounded up to
STRIDE = 536  # numbers per line: PAD + ROWS + PAD, and not a multiple of 4 KiB away from the next line
OUTSIDE = -1e200  # exponent of what is not in the matrix
RENEW = 128  # diagonals until mantissas return to [1, 2); each multiplies them by 2^-0.5 to 2^2.1

unsigned = np.uint64
PADDED, ONE = unsigned(PAD), unsigned(1)
EXPONENT = unsigned(STRIDE)  # a diagonal's exponents lie one line after its mantissas
LEFTWARD, CORNERWARD = (
    unsigned(STRIDE),
    unsigned(2 * STRIDE),
)  # flows to the left and to the corner, after those up
RING = 3 * STRIDE  # one diagonal: two lines on the way there, three on the way back
LOCAL = 3 * RING  # the line after the ring of three diagonals: log2 of exp(-cost / gamma), or E
LINES = LOCAL + STRIDE
BLOCK = 2 * ROWS  # shares of as many diagonals as fit: the upper neighbours', then the left ones'

SHIFTER = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which is then in the low bits
BIASED = SHIFTER + 1023.0
MANTISSA, SHIFT, BIAS = np.int64((1 << 52) - 1), np.int64(52), np.int64(1023)
C1, C2, C3 = 0.6931471805599453, 0.2402265069591016, 0.05550410866482165
C4, C5, C6 = 0.009618129107587194, 0.001333355814640203, 0.00015403530463785255
C7, C8, C9 = 1.5252733845385266e-05, 1.3215432509002047e-06, 1.0178055534921356e-07
C10, C11 = 7.07419873302338e-09, 4.4560564036918047e-10

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called by kernels only
called = njit(**OPTIONS, **NO_WRAPPERS)
looped = njit(**OPTIONS, **NO_WRAPPERS, _nrt=False)  # without reference counts, whose atomics take time
inlined = njit(**OPTIONS, **NO_WRAPPERS, _nrt=False, forceinline=True)


@inlined
def power_of_two(exponent: float) -> float:
    """2^exponent of an integer <= 0; 0.0 below -1022."""
    bits = np.float64(max(exponent, -1023.0) + BIASED).view(np.int64)
    return np.int64(bits << SHIFT).view(np.float64)


@inlined
def power_of_fraction(f: float) -> float:
    """2^f for |f| <= 1/2."""
    high = C7 + f * (C8 + f * (C9 + f * (C10 + f * C11)))
    return 1.0 + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * (C5 + f * (C6 + f * high))))))


@inlined
def lanes_of(shape: Ints, row: int, d: int) -> tuple[int, int]:
    """First and last lane of diagonal ``d`` that lie in the matrix, in the strip from ``row`` on."""
    return max(0, d - shape[1] + 1), min(min(shape[0] - row, shape[4]) - 1, d)


@inlined
def fill_local(
    lanes: Floats, a: Floats, b: Floats, costs: Floats, shape: Ints, row: int, d: int, scale: float
) -> None:
    """LOCAL of diagonal ``d`` of the strip from ``row`` on: scale * cost, and OUTSIDE around the matrix."""
    low, high = lanes_of(shape, row, d)
    begin, end = low & -PAD, (high + PAD) & -PAD
    to, count = unsigned(LOCAL + PAD + begin), unsigned(end - begin)
    if a.shape[0] == 0:
        for i in range(low, high + 1):
            lanes[LOCAL + PAD + i] = scale * costs[(row + i) * shape[2] + (d - i) * shape[3]]
    r, c = unsigned(PAD + row + begin), unsigned(PAD + shape[1] - 1 - d + begin)
    for channel in range(unsigned(a.shape[0])):
        first = channel == 0
        for i in range(count):
            difference = a[channel, r + i] - b[channel, c + i]
            square = scale * (difference * difference)
            lanes[to + i] = square if first else square + lanes[to + i]
    for i in range(unsigned(LOCAL + PAD + begin), unsigned(LOCAL + PAD + low)):
        lanes[i] = OUTSIDE
    for i in range(unsigned(LOCAL + PAD + high + 1), unsigned(LOCAL + PAD + end)):
        lanes[i] = OUTSIDE


@inlined
def advance(
    lanes: Floats, ring0: int, ring1: int, ring2: int, low: int, high: int, shares: Floats, block: int
) -> None:
    """One diagonal from the two before it; ``shares`` gets what the upper and the left neighbour contribute."""
    now, before, earlier = unsigned(ring0), unsigned(ring1), unsigned(ring2)
    local, upper, left = unsigned(LOCAL), unsigned(block), unsigned(block + ROWS)
    for i in range(unsigned(low & -PAD), unsigned((high + PAD) & -PAD)):
        lane = PADDED + i
        above = lane - ONE
        exponent_up = lanes[before + EXPONENT + above]
        exponent_left = lanes[before + EXPONENT + lane]
        exponent_corner = lanes[earlier + EXPONENT + above]
        top = max(max(exponent_up, exponent_left), exponent_corner)
        from_up = lanes[before + above] * power_of_two(exponent_up - top)
        from_left = lanes[before + lane] * power_of_two(exponent_left - top)
        total = from_up + from_left + lanes[earlier + above] * power_of_two(exponent_corner - top)
        one_share = 1.0 / total
        shares[upper + i] = from_up * one_share
        shares[left + i] = from_left * one_share
        local_log = lanes[local + lane]
        whole = (local_log + SHIFTER) - SHIFTER
        lanes[now + lane] = total * power_of_fraction(local_log - whole)
        lanes[now + EXPONENT + lane] = top + whole


@inlined
def retreat(
    lanes: Floats, ring0: int, ring1: int, ring2: int, low: int, high: int, shares: Floats, block: int
) -> None:
    """One diagonal's E, into LOCAL, from the flows of the two after it; and its own flows."""
    now, after, later = unsigned(ring0), unsigned(ring1), unsigned(ring2)
    local, upper, left = unsigned(LOCAL), unsigned(block), unsigned(block + ROWS)
    for i in range(unsigned(low & -PAD), unsigned((high + PAD) & -PAD)):
        lane = PADDED + i
        below = lane + ONE
        expected = lanes[after + below] + lanes[after + LEFTWARD + lane] + lanes[later + CORNERWARD + below]
        upward = expected * shares[upper + i]
        leftward = expected * shares[left + i]
        lanes[local + lane] = expected
        lanes[now + lane] = upward
        lanes[now + LEFTWARD + lane] = leftward
        lanes[now + CORNERWARD + lane] = expected - upward - leftward


@looped
def renew(lanes: Floats, ring: int) -> None:
    """Bring a diagonal's mantissas back to [1, 2)."""
    start = unsigned(ring)
    for lane in range(unsigned(STRIDE)):
        bits = np.float64(lanes[start + lane]).view(np.int64)
        lanes[start + EXPONENT + lane] += float((bits >> SHIFT) - BIAS)
        lanes[start + lane] = np.int64((bits & MANTISSA) | (BIAS << SHIFT)).view(np.float64)


@inlined
def block_of(shape: Ints, strip: int, d: int) -> int:
    """Where the shares of a diagonal begin."""
    diagonal, per_block = unsigned(strip * (shape[4] + shape[1] - 1) + d), unsigned(shape[5])
    block = diagonal // per_block
    return int(block * unsigned(BLOCK) + (diagonal - block * per_block) * unsigned(shape[6]))


@looped
def there(
    lanes: Floats,
    a: Floats,
    b: Floats,
    costs: Floats,
    shape: Ints,
    scale: float,
    edge: Floats,
    shares: Floats,
) -> float:
    """log2 of the sum over warping paths of 2^(scale * sum of costs); fills ``shares``, if there is room.

    ``edge`` carries the last row of a strip to the next one: mantissas and exponents.
    """
    n_rows, n_columns, height = shape[0], shape[1], shape[4]
    keep = shares.shape[0] > BLOCK
    for j in range(n_columns):
        edge[0, j] = 1.0
        edge[1, j] = OUTSIDE
    for strip in range((n_rows + height - 1) // height):
        row = strip * height
        last = min(height, n_rows - row) - 1
        now, before, earlier = 0, RING, 2 * RING
        for ring in (now, before, earlier):
            for lane in range(STRIDE):
                lanes[ring + lane] = 1.0
                lanes[ring + STRIDE + lane] = OUTSIDE
        if strip == 0:
            lanes[earlier + STRIDE + PAD - 1] = 0.0  # every path begins before (0, 0), two diagonals earlier
        for d in range(last + n_columns):
            if d < n_columns:
                lanes[before + PAD - 1] = edge[0, d]
                lanes[before + STRIDE + PAD - 1] = edge[1, d]
            fill_local(lanes, a, b, costs, shape, row, d, scale)
            low, high = lanes_of(shape, row, d)
            block = block_of(shape, strip, d) if keep else 0
            advance(lanes, now, before, earlier, low, high, shares, block)
            if d % RENEW == RENEW - 1:
                renew(lanes, now)
                renew(lanes, before)
            if d >= last:
                mantissa, exponent = math.frexp(lanes[now + PAD + last])
                edge[0, d - last] = mantissa
                edge[1, d - last] = lanes[now + STRIDE + PAD + last] + exponent
            now, before, earlier = earlier, now, before
    return edge[1, n_columns - 1] + math.log2(edge[0, n_columns - 1])


@inlined
def spread(
    lanes: Floats, a: Floats, b: Floats, shape: Ints, row: int, d: int, grad_a: Floats, grad_b: Floats
) -> None:
    """Add a diagonal's part to the gradients; without series, ``grad_b`` is E itself."""
    low, high = lanes_of(shape, row, d)
    if a.shape[0] == 0:
        for i in range(low, high + 1):
            grad_b[0, (row + i) * shape[2] + (d - i) * shape[3]] = lanes[LOCAL + PAD + i]
    begin, end = low & -PAD, (high + PAD) & -PAD  # E is 0 around the matrix
    at, count = unsigned(LOCAL + PAD + begin), unsigned(end - begin)
    r, c = unsigned(PAD + row + begin), unsigned(PAD + shape[1] - 1 - d + begin)
    for channel in range(unsigned(a.shape[0])):
        for i in range(count):
            pull = lanes[at + i] * (a[channel, r + i] - b[channel, c + i])
            grad_a[channel, r + i] += pull
            grad_b[channel, c + i] -= pull


@looped
def back(
    lanes: Floats,
    a: Floats,
    b: Floats,
    shape: Ints,
    edge: Floats,
    shares: Floats,
    grad_a: Floats,
    grad_b: Floats,
) -> None:
    """The gradients, from the shares that ``there`` left; ``edge`` carries the flows up to the strip before."""
    n_rows, n_columns, height = shape[0], shape[1], shape[4]
    n_strips = (n_rows + height - 1) // height
    for j in range(n_columns):
        edge[0, j] = 0.0
        edge[1, j] = 0.0
    edge[0, n_columns - 1] = 1.0  # every path ends in the last corner: all comes from below it
    for strip in range(n_strips - 1, -1, -1):
        row = strip * height
        last = min(height, n_rows - row) - 1
        below = PAD + last + 1
        for lane in range(LOCAL):
            lanes[lane] = 0.0
        now, after, later = 0, RING, 2 * RING
        for d in range(last + n_columns - 1, -1, -1):
            j = d - last
            lanes[after + below] = edge[0, j] if j >= 0 else 0.0
            lanes[after + 2 * STRIDE + below] = edge[1, j] if j >= 0 else 0.0
            low, high = lanes_of(shape, row, d)
            retreat(lanes, now, after, later, low, high, shares, block_of(shape, strip, d))
            spread(lanes, a, b, shape, row, d, grad_a, grad_b)
            beyond = PAD + (
                (high + PAD) & -PAD
            )  # three diagonals later a lane of the matrix, which flowed upward
            lanes[now + beyond] = 0.0
            lanes[now + 2 * STRIDE + beyond] = 0.0
            if d < n_columns:
                edge[0, d] = lanes[now + PAD]
                edge[1, d] = lanes[now + 2 * STRIDE + PAD]
            now, after, later = later, now, after


@looped
def lay_out(n: int, m: int, pitch: int, shape: Ints) -> int:
    """Fill ``shape`` for an (n, m) part of a cost matrix with rows of ``pitch``; returns the room that shares take.

    Its entries: rows, columns, their strides in the cost matrix; rows of a strip; diagonals of shares that fit a
    block, lanes of each. The shorter side gives the rows: diagonals are as long as the rows are many.
    """
    n_rows, n_columns = min(n, m), max(n, m)
    n_strips = (n_rows + ROWS - 1) // ROWS
    shape[0], shape[1] = n_rows, n_columns
    shape[2], shape[3] = (pitch, 1) if n <= m else (1, pitch)
    shape[4] = (n_rows + n_strips - 1) // n_strips
    shape[6] = (shape[4] + PAD - 1) & -PAD
    shape[5] = ROWS // shape[6]
    return block_of(shape, n_strips, 0) + 2 * BLOCK


@called
def by_channel(series: Floats, count: int, backwards: bool) -> Floats:
    """The first ``count`` rows of (n, d) as (d, count), or from the last to the first, with PAD zeros around."""
    turned = np.zeros((series.shape[1], count + 2 * PAD))
    for i in range(count):
        to = PAD + (count - 1 - i if backwards else i)
        for channel in range(series.shape[1]):
            turned[channel, to] = series[i, channel]
    return turned


@called
def add_gradient(turned: Floats, count: int, backwards: bool, gradient: Floats) -> None:
    """The gradient of squares from half of it, laid out as ``by_channel`` does."""
    for i in range(count):
        at = PAD + (count - 1 - i if backwards else i)
        for channel in range(turned.shape[0]):
            gradient[i, channel] += 2.0 * turned[channel, at]


@njit(cache=True, **OPTIONS)
def soft_dtw_series(
    x: Floats, y: Floats, sizes: Ints, gamma: float, losses: Floats, grad_x: Floats, grad_y: Floats
) -> None:
    """Soft-DTW of pairs of series under the squared Euclidean distance of their rows.

    Args:
        x: (batch, n, d); of pair k the first ``sizes[k, 0]`` rows count.
        y: (batch, m, d); ``sizes[k, 1]`` rows.
        sizes: (batch, 2), at least 1.
        gamma: > 0.
        losses: (batch,), filled.
        grad_x, grad_y: as x and y, added to: the gradients of the losses; with no pairs in them the way back
            is not gone.

    Time O(n m d); memory 16 bytes for each of (shorter side) * (n + m) cells of one pair if there are gradients.
    """
    wanted = grad_x.shape[0] > 0
    lanes, shape, no_costs = np.empty(LINES), np.empty(7, np.int64), np.empty(0)
    edge = np.empty((2, max(x.shape[1], y.shape[1])))
    shares = np.empty(BLOCK)
    for k in range(losses.shape[0]):
        n, m = sizes[k, 0], sizes[k, 1]
        room = lay_out(n, m, 0, shape)
        if wanted and shares.shape[0] < room:
            shares = np.empty(room)
        swap = n > m
        if swap:
            a, b = by_channel(y[k], m, False), by_channel(x[k], n, True)
        else:
            a, b = by_channel(x[k], n, False), by_channel(y[k], m, True)
        scale = -1.0 / (gamma * math.log(2.0))
        log_sum = there(lanes, a, b, no_costs, shape, scale, edge, shares)
        losses[k] = -gamma * math.log(2.0) * log_sum
        if wanted:
            grad_a, grad_b = np.zeros_like(a), np.zeros_like(b)
            back(lanes, a, b, shape, edge, shares, grad_a, grad_b)
            if swap:
                add_gradient(grad_a, m, False, grad_y[k])
                add_gradient(grad_b, n, True, grad_x[k])
            else:
                add_gradient(grad_a, n, False, grad_x[k])
                add_gradient(grad_b, m, True, grad_y[k])


@njit(cache=True, **OPTIONS)
def soft_dtw_costs(costs: Floats, sizes: Ints, gamma: float, losses: Floats, expected: Floats) -> None:
    """Soft-DTW of cost matrices, and their expected alignments.

    Args:
        costs: (batch, n, m) finite; of matrix k the first ``sizes[k]`` rows and columns count.
        sizes: (batch, 2), at least 1.
        gamma: > 0.
        losses: (batch,), filled.
        expected: (batch, n, m) zeros, filled with E; with no matrices in it the way back is not gone.

    Time O(n m); memory as ``soft_dtw_series``.
    """
    wanted = expected.shape[0] > 0
    lanes, shape, no_series = np.empty(LINES), np.empty(7, np.int64), np.empty((0, 0))
    edge = np.empty((2, max(costs.shape[1], costs.shape[2])))
    shares = np.empty(BLOCK)
    for k in range(losses.shape[0]):
        room = lay_out(sizes[k, 0], sizes[k, 1], costs.shape[2], shape)
        if wanted and shares.shape[0] < room:
            shares = np.empty(room)
        scale = -1.0 / (gamma * math.log(2.0))
        log_sum = there(lanes, no_series, no_series, costs[k].reshape(-1), shape, scale, edge, shares)
        losses[k] = -gamma * math.log(2.0) * log_sum
        if wanted:
            flat = expected[k].reshape((1, -1))
            back(lanes, no_series, no_series, shape, edge, shares, no_series, flat)

"""Loops over 32 time steps or 32 candidates at once: the inside of ``lazy_bounds``, whose words are used here.

A block is 32 steps ("lanes"), a leaf 32 candidates, a node the bound of 32 children; ``lanes`` holds one row of
32 numbers per purpose and ``place`` the block's positions.

What keeps the loops fast: unsigned indices, as signed ones wrap around; no reference counts, whose atomics
took most of the time, hence no allocation; a number of channels known to the compiler (``width`` is as long);
``+ 0.0``, without which LLVM stores a minimum under a mask and the next load waits for it.

Reference: see ``lazy_bounds``. The only kernel file that another one imports: together they would be too long.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = [
    "BEST",
    "FAN",
    "FIRST",
    "HELD",
    "LEAST",
    "NEWEST",
    "OPTIONS",
    "PASSED",
    "UNREACHABLE",
    "VALUES",
    "Block",
    "Tree",
    "Width",
    "block_threshold",
    "called",
    "count_awake",
    "inlined",
    "is_useless",
    "leaf_values",
    "least_of",
    "newborn_wins",
    "node_bounds",
    "push",
    "set_prices",
    "sieve",
    "start_block",
    "unsigned",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tree = tuple[
    Floats, Ints, npt.NDArray[np.uint8]
]  # nodes; first node of each level; whether a candidate is done
Block = tuple[Floats, Ints]  # lanes, place
Width = tuple[tuple[()], ...]

FAN = 32  # steps per block, candidates per leaf, children per parent
NEAR = 16  # ages of newborn candidates that are evaluated one by one
UNREACHABLE = 1e300
ENORMOUS = 1e140  # as are values that are no number of the data; its square is finite

unsigned = np.uint64
# Rows of ``lanes``: least value so far; |S_t - S_u|^2 / (t - u); scratch; four more, 0 but for channels
# beyond ``width``; values at each level of the tree.
LEAST, DRIFT, SCRATCH, REST, VALUES = unsigned(0), unsigned(1), unsigned(2), unsigned(3), unsigned(7)
ONE, TWO, THREE, LAST = unsigned(1), unsigned(2), unsigned(3), unsigned(FAN - 1)
# Entries of ``place``: newest common candidate u; first position of the block; best candidate before the
# block, held out of the tree; best candidate for the block's last lane; latest one of the tree that competed.
NEWEST, FIRST, HELD, BEST, PASSED = 0, 1, 2, 3, 4

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True, "_nrt": False}
NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # called by kernels only
called = njit(**OPTIONS, **NO_WRAPPERS)
inlined = njit(**OPTIONS, **NO_WRAPPERS, forceinline=True)


@inlined
def distances(
    point: Floats, at: int, table: Floats, first: int, lanes: Floats, row: int, width: Width
) -> None:
    """lanes[row, l] = squared distance of column ``at`` of ``point`` from ``table``'s column ``first + l``."""
    i, k, out = unsigned(at), unsigned(first), unsigned(row)
    n_lanes = unsigned(lanes.shape[1])
    for lane in range(n_lanes):
        squares = 0.0
        for c in range(len(width)):
            step = table[unsigned(c), k + lane] - point[unsigned(c), i]
            squares += step * step
        lanes[out, lane] = squares
    for c in range(unsigned(len(width)), unsigned(point.shape[0])):
        origin = point[c, i]
        for lane in range(n_lanes):
            step = table[c, k + lane] - origin
            lanes[out, lane] += step * step


@called
def rest_squares(sums: Floats, s: int, t: int, lanes: Floats, width: Width) -> None:
    """lanes[REST + a, l] = squared distance of columns s + l - a and t + l, in channels beyond ``width``."""
    n_lanes = unsigned(lanes.shape[1])
    for a in range(unsigned(4)):
        for lane in range(n_lanes):
            lanes[REST + a, lane] = 0.0
        for c in range(unsigned(len(width)), unsigned(sums.shape[0])):
            for lane in range(n_lanes):
                step = sums[c, t + lane] - sums[c, s - a + lane]
                lanes[REST + a, lane] += step * step


@inlined
def newborn_wins(sums: Floats, price: Floats, u: int, first: int, lanes: Floats, width: Width) -> int:
    """How often a candidate younger than u might beat the least value so far; 0 means that none does.

    Up to ``NEAR`` steps more than the least age all pairs are evaluated. An older pair s < t has a multiple
    w of ``NEAR`` (counted from u) between them, and value(s, t) >= value(s, w) - |S_t - S_w|^2 / (t - w).
    """
    n_lanes = unsigned(lanes.shape[1])
    t = unsigned(first)
    wins = 0
    for before in range(0, NEAR, 4):
        s0 = unsigned(u - before)
        s1, s2, s3 = s0 - ONE, s0 - TWO, s0 - THREE
        age = first - u + before
        share0, share1, share2, share3 = 1.0 / age, 1.0 / (age + 1), 1.0 / (age + 2), 1.0 / (age + 3)
        if sums.shape[0] > len(width):
            rest_squares(sums, s0, t, lanes, width)
        for lane in range(n_lanes):
            least = lanes[LEAST, lane]
            squares0, squares1 = lanes[REST, lane], lanes[REST + ONE, lane]
            squares2, squares3 = lanes[REST + TWO, lane], lanes[REST + THREE, lane]
            for c in range(len(width)):
                here = sums[unsigned(c), t + lane]
                x0 = here - sums[unsigned(c), s0 + lane]
                x1 = here - sums[unsigned(c), s1 + lane]
                x2 = here - sums[unsigned(c), s2 + lane]
                x3 = here - sums[unsigned(c), s3 + lane]
                squares0 += x0 * x0
                squares1 += x1 * x1
                squares2 += x2 * x2
                squares3 += x3 * x3
            wins += int(price[s0 + lane] - squares0 * share0 < least)
            wins += int(price[s1 + lane] - squares1 * share1 < least)
            wins += int(price[s2 + lane] - squares2 * share2 < least)
            wins += int(price[s3 + lane] - squares3 * share3 < least)
    for begin in range(NEAR, FAN, NEAR):
        w = u + begin
        distances(sums, w, sums, w - NEAR, lanes, SCRATCH, width)
        lowest = UNREACHABLE
        for j in range(NEAR):
            lowest = min(lowest, price[w - NEAR + j] - lanes[SCRATCH, j] / (NEAR - j))
        distances(sums, w, sums, first, lanes, SCRATCH, width)
        later = float(first - w)
        for lane in range(unsigned(begin), n_lanes):
            wins += int(lowest < lanes[LEAST, lane] + lanes[SCRATCH, lane] / (later + lane))
    return wins


@called
def push(sums: Floats, price: Floats, s: int, youngest: int, block: Block, width: Width) -> None:
    """Let candidate s compete at the block's lanes from ``youngest`` on."""
    lanes, place = block
    first = place[FIRST]
    distances(sums, s, sums, first, lanes, SCRATCH, width)
    before = lanes[LEAST, LAST]
    paid = price[s]
    age = float(first - s)
    skip = float(youngest)
    for lane in range(unsigned(lanes.shape[1])):
        value = paid - lanes[SCRATCH, lane] / max(age + lane, 1.0)
        value = value if float(lane) >= skip else UNREACHABLE
        lanes[LEAST, lane] = min(value, lanes[LEAST, lane]) + 0.0
    if lanes[LEAST, LAST] < before:
        place[BEST] = s


@inlined
def start_block(sums: Floats, price: Floats, block: Block, width: Width) -> None:
    """Fill the rows LEAST, by the held candidate and by u, and DRIFT."""
    lanes, place = block
    u, first, held = place[NEWEST], place[FIRST], place[HELD]
    n_lanes = unsigned(lanes.shape[1])
    if held >= 0:
        distances(sums, held, sums, first, lanes, LEAST, width)
        paid, age = price[held], float(first - held)
        for lane in range(n_lanes):
            lanes[LEAST, lane] = paid - lanes[LEAST, lane] / (age + lane)
    else:
        for lane in range(n_lanes):
            lanes[LEAST, lane] = UNREACHABLE
    before = lanes[LEAST, LAST]
    distances(sums, u, sums, first, lanes, DRIFT, width)
    paid, age = price[u], float(first - u)
    for lane in range(n_lanes):
        drift = lanes[DRIFT, lane] / (age + lane)
        lanes[DRIFT, lane] = drift
        lanes[LEAST, lane] = min(paid - drift, lanes[LEAST, lane]) + 0.0
    place[BEST] = u if lanes[LEAST, LAST] < before else held


@inlined
def block_threshold(lanes: Floats) -> float:
    """The bound at u from which on nothing can matter in this block: max of LEAST + DRIFT, in four chains."""
    m0 = m1 = m2 = m3 = -UNREACHABLE
    for lane in range(unsigned(0), unsigned(FAN), unsigned(4)):
        m0 = max(m0, lanes[LEAST, lane] + lanes[DRIFT, lane])
        m1 = max(m1, lanes[LEAST, lane + unsigned(1)] + lanes[DRIFT, lane + unsigned(1)])
        m2 = max(m2, lanes[LEAST, lane + unsigned(2)] + lanes[DRIFT, lane + unsigned(2)])
        m3 = max(m3, lanes[LEAST, lane + unsigned(3)] + lanes[DRIFT, lane + unsigned(3)])
    return max(max(m0, m1), max(m2, m3))


@inlined
def least_of(lanes: Floats, row: int) -> float:
    """The least of 32 values, in four chains."""
    i = unsigned(row)
    m0 = m1 = m2 = m3 = UNREACHABLE
    for lane in range(unsigned(0), unsigned(FAN), unsigned(4)):
        m0 = min(m0, lanes[i, lane])
        m1 = min(m1, lanes[i, lane + unsigned(1)])
        m2 = min(m2, lanes[i, lane + unsigned(2)])
        m3 = min(m3, lanes[i, lane + unsigned(3)])
    return min(min(m0, m1), min(m2, m3))


@inlined
def count_awake(
    sums: Floats, u: int, nodes: Floats, first: int, threshold: float, lanes: Floats, width: Width
) -> int:
    """How many of 32 neighbouring nodes have a bound at u below the threshold."""
    k, bound, checkpoint = unsigned(first), unsigned(sums.shape[0]), unsigned(sums.shape[0] + 1)
    distances(sums, u, nodes, first, lanes, SCRATCH, width)
    now = float(u)
    count = 0
    for lane in range(unsigned(lanes.shape[1])):
        age = max(now - nodes[checkpoint, k + lane], 1.0)
        count += int((nodes[bound, k + lane] - threshold) * age < lanes[SCRATCH, lane])
    return count


@called
def node_bounds(
    sums: Floats, u: int, nodes: Floats, first: int, lanes: Floats, row: int, width: Width
) -> None:
    """Bounds at u of 32 neighbouring nodes; ``nodes`` holds per column their S_c, least value at c, and c."""
    k, bound, checkpoint = unsigned(first), unsigned(sums.shape[0]), unsigned(sums.shape[0] + 1)
    out = unsigned(row)
    distances(sums, u, nodes, first, lanes, row, width)
    now = float(u)
    for lane in range(unsigned(lanes.shape[1])):
        age = max(now - nodes[checkpoint, k + lane], 1.0)
        lanes[out, lane] = nodes[bound, k + lane] - lanes[out, lane] / age


@called
def leaf_values(sums: Floats, price: Floats, tree: Tree, first: int, block: Block, width: Width) -> None:
    """Fill the row VALUES: at u, of the 32 candidates from ``first`` on; UNREACHABLE if done or held."""
    (_, _, done), (lanes, place) = tree, block
    k = unsigned(first)
    u = place[NEWEST]
    distances(sums, u, sums, first, lanes, VALUES, width)
    age = float(u - first)
    for lane in range(unsigned(lanes.shape[1])):
        value = price[k + lane] - lanes[VALUES, lane] / (age - lane)
        lanes[VALUES, lane] = value if done[k + lane] == 0 else UNREACHABLE
    held = place[HELD] - first
    if 0 <= held < FAN:
        lanes[VALUES, unsigned(held)] = UNREACHABLE


@called
def sieve(sums: Floats, price: Floats, tree: Tree, first: int, r: int, w: int, lanes: Floats) -> None:
    """Take the candidates s of a leaf off the list for good that r < s < w leave no segment to start.

    From s, a tail with mean m costs less than from w within a ball around the mean of s..w, and less than
    from r outside a ball around the mean of r..s: s is done when the first is empty or lies in the second.
    """
    done = tree[2]
    i, j, k = unsigned(w), unsigned(r), unsigned(first)
    later, sooner = price[i], price[j]
    to_w, to_r = float(w - first), float(first - r)
    for lane in range(unsigned(lanes.shape[1])):
        share_w, share_r = 1.0 / max(to_w - lane, 1.0), 1.0 / max(to_r + lane, 1.0)
        own = price[k + lane]
        inner = (later - own) * share_w
        outer = (own - sooner) * share_r
        between = 0.0
        for c in range(unsigned(sums.shape[0])):
            here = sums[c, k + lane]
            before, after = (here - sums[c, j]) * share_r, (sums[c, i] - here) * share_w
            inner += after * after
            outer += before * before
            between += (after - before) * (after - before)
        inner = min(max(inner, 0.0), ENORMOUS)
        spare = min(outer - between - inner, ENORMOUS)  # sqrt(between) + sqrt(inner) <= sqrt(outer), no roots
        inside = (spare > 0.0) & (spare * spare >= 4.0 * between * inner) & (to_r + lane > 0.0)
        if (inside | (inner == 0.0)) & (to_r + lane != 0.0) & (to_w - lane > 0.0):
            lanes[VALUES, lane] = UNREACHABLE
            done[k + lane] = 1


@called
def is_useless(sums: Floats, price: Floats, r: int, s: int, w: int) -> bool:
    """``sieve`` for one candidate."""
    share_r, share_w = 1.0 / (s - r), 1.0 / (w - s)
    inner = (price[w] - price[s]) * share_w
    outer = (price[s] - price[r]) * share_r
    between = 0.0
    for c in range(sums.shape[0]):
        before, after = (sums[c, s] - sums[c, r]) * share_r, (sums[c, w] - sums[c, s]) * share_w
        inner += after * after
        outer += before * before
        between += (after - before) * (after - before)
    spare = outer - between - inner
    return inner <= 0.0 or (spare > 0.0 and spare * spare >= 4.0 * between * inner)


@inlined
def set_prices(price: Floats, first: int, lanes: Floats, penalty: float) -> None:
    """Prices of the block's positions."""
    k = unsigned(first)
    for lane in range(unsigned(lanes.shape[1])):
        price[k + lane] = lanes[LEAST, lane] + penalty

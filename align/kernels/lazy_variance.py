"""Exact change points in mean and variance in nearly linear time: lazy bounds under a logarithmic cost.

The cost of samples s..t (t excluded, N = t - s) of one channel is twice the negative log-likelihood of the best
normal distribution whose variance is at least 1, without what all segmentations share:

    cost(s, t) = min over mu and w >= 1 of  sum (x - mu)^2 / w + N log w - N  =  N (log max(v, 1) + min(v, 1) - 1),

v the segment's mean squared deviation; channels add up. Being a minimum over models that both parts of a split
segment could keep, it never rises when a segment is split: all that lazy bounds need (docs/lazy-bounds.md, whose
words are used here). Another floor is another scale of the values: see ``variance.variance_sums``.

Departures from ``lazy_bounds``: bounds are taken at least ``LAG`` samples before a block, since the variance of
two or three samples says next to nothing; and the logarithm is a series, as numba calls libm lane by lane.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["BACK", "FRONT", "lazy_variance"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FAN = 32  # steps per block, candidates per leaf, children per parent
HALF = np.uint64(FAN // 2)
LAG = 8  # samples that a bound looks ahead at least
FRONT = FAN + LAG - 1  # positions that the table needs before sample 0: the first block begins after it
BACK = FAN  # and behind the last one
UNREACHABLE = 1e300
LN2 = 0.6931471805599453
EXPONENT = np.uint64(52)  # bits of a float's fraction
ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
FRACTION = np.uint64(0x000FFFFFFFFFFFFF)
ONE = np.uint64(0x3FF0000000000000)  # the bits of 1.0
TWO_52 = np.uint64(0x4330000000000000)  # the bits of 2^52, to which an integer below 2^52 is added by "or"

# Rows of ``lanes``: least value so far; cost(u, t); 0, 1, .. 31; lengths, costs and values in the making; then
# the values at each level of the tree.
LEAST, AHEAD, RAMP, LENGTHS, COSTS, VALUES, LEVELS = 0, 1, 2, 3, 4, 5, 6
# Entries of ``place``: newest common candidate u; first position of the block; best candidate before the
# block, held out of the tree; best candidate for the block's last lane; least samples of a segment.
NEWEST, FIRST, HELD, BEST, SHORTEST = 0, 1, 2, 3, 4


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _log(x: float) -> float:
    """log x for finite x >= 1, off by at most 1.2e-15 of itself, in instructions that vectorise.

    x = 2^k m, 1/2 <= m^2 < 2; log m = 2 artanh(f), f = (m - 1) / (m + 1), |f| < 0.172, by its series to f^17.
    """
    bits = np.float64(x).view(np.uint64)
    k = (bits - ROOT_HALF) >> EXPONENT
    m = np.uint64(bits - (k << EXPONENT)).view(np.float64)
    f = (m - 1.0) / (m + 1.0)
    z = f * f
    tail = 1 / 11 + z * (1 / 13 + z * (1 / 15 + z * (1 / 17)))
    tail = 1 / 3 + z * (1 / 5 + z * (1 / 7 + z * (1 / 9 + z * tail)))
    return (np.uint64(k | TWO_52).view(np.float64) - 4503599627370496.0) * LN2 + 2.0 * (f + f * (z * tail))


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _log_below(x: float) -> float:
    """A number between log x - 2e-5 and log x, for finite x >= 1: a least-squares polynomial of the fraction."""
    bits = np.float64(x).view(np.uint64)
    k = np.uint64((bits >> EXPONENT) | TWO_52).view(np.float64) - (4503599627370496.0 + 1023.0)
    r = np.uint64((bits & FRACTION) | ONE).view(np.float64) - 1.0
    tail = 0.2867025 + r * (-0.1332170 + r * 0.0311034)
    return k * LN2 - 3e-7 + r * (0.9992991 + r * (-0.4907409 + r * tail))


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _cost(length: float, v: float) -> float:
    """Cost of ``length`` samples of mean squared deviation v."""
    return length * (_log(max(v, 1.0)) + (min(v, 1.0) - 1.0))


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _costs(sums: Floats, at: int, table: Floats, first: int, lengths: Floats, out: Floats) -> None:
    """out[l] = cost of the ``lengths[l]`` samples between column ``at`` and column ``first + l`` of ``table``."""
    i, k = np.uint64(at), np.uint64(first)
    d = sums.shape[0] // 2
    n_lanes = np.uint64(len(out))  # 32; a known count would be unrolled to scalars before vectorisation
    for lane in range(n_lanes):
        out[lane] = 0.0
    for c in range(d):
        total, squares = sums[c, i], sums[d + c, i]
        row, square_row = table[c], table[d + c]
        for lane in range(n_lanes):
            length = lengths[lane]
            share = 1.0 / length
            step = row[k + lane] - total
            v = abs((abs(square_row[k + lane] - squares) - step * (step * share)) * share)
            out[lane] += _cost(length, v)


@njit(cache=True, nogil=True)
def _set_lengths(lanes: Floats, start: float, step: float) -> None:
    """Fill the row LENGTHS with start, start + step, ..; at least 1."""
    ramp, lengths = lanes[RAMP], lanes[LENGTHS]
    for lane in range(np.uint64(len(ramp))):
        lengths[lane] = max(start + step * ramp[lane], 1.0)


@njit(cache=True, nogil=True)
def _push(sums: Floats, price: Floats, s: int, lanes: Floats, place: Ints) -> None:
    """Let candidate s compete at those of the block's lanes at which its segment is long enough."""
    first = place[FIRST]
    youngest = float(s + place[SHORTEST] - first)
    _set_lengths(lanes, first - s, 1.0)
    least, costs, ramp = lanes[LEAST], lanes[COSTS], lanes[RAMP]
    _costs(sums, s, sums, first, lanes[LENGTHS], costs)
    before = least[FAN - 1]
    paid = price[s]
    for lane in range(np.uint64(len(least))):
        value = paid + costs[lane]
        keep = (ramp[lane] < youngest) | (value >= least[lane])
        least[lane] = least[lane] if keep else value
    if least[FAN - 1] < before:
        place[BEST] = s


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _newborn_wins(sums: Floats, price: Floats, lanes: Floats, place: Ints) -> int:
    """How often a candidate born after u would beat the least value so far: all pairs, age by age."""
    d = sums.shape[0] // 2
    least, costs = lanes[LEAST], lanes[COSTS]
    n_lanes = np.uint64(len(least))
    t = np.uint64(place[FIRST])
    lag = place[FIRST] - place[NEWEST]
    wins = 0
    for age in range(place[SHORTEST], lag + FAN - 1):
        s = np.uint64(place[FIRST] - age)
        length = float(age)
        share = 1.0 / length
        # lanes before have no newborn of this age; a multiple of 8 keeps vectors whole
        born = np.uint64(max(age - lag + 1, 0) // 8 * 8)
        for lane in range(born, n_lanes):
            costs[lane] = 0.0
        for c in range(d):
            row, square_row = sums[c], sums[d + c]
            for lane in range(born, n_lanes):
                step = row[t + lane] - row[s + lane]
                v = abs((square_row[t + lane] - square_row[s + lane]) - step * (step * share)) * share
                costs[lane] += length * (_log_below(max(v, 1.0)) + (min(v, 1.0) - 1.0))
        for lane in range(born, n_lanes):
            wins += int(price[s + lane] + costs[lane] < least[lane])
    return wins


@njit(cache=True, nogil=True)
def _threshold(lanes: Floats) -> float:
    """The bound at u from which on nothing matters in this block: max of LEAST - AHEAD, in two chains."""
    least, ahead = lanes[LEAST], lanes[AHEAD]
    most = other = -UNREACHABLE
    for i in range(np.uint64(FAN // 2)):
        most = max(most, least[i] - ahead[i])
        other = max(other, least[i + HALF] - ahead[i + HALF])
    return max(most, other)


@njit(cache=True, nogil=True)
def _candidate_values(sums: Floats, price: Floats, u: int, first: int, lanes: Floats) -> None:
    """Fill the row VALUES: price(s) + cost(s, u) of the 32 candidates from position ``first`` on."""
    values = lanes[VALUES]
    _set_lengths(lanes, u - first, -1.0)
    _costs(sums, u, sums, first, lanes[LENGTHS], values)
    k = np.uint64(first)
    for lane in range(np.uint64(len(values))):
        values[lane] += price[k + lane]


@njit(cache=True, nogil=True)
def _node_bounds(sums: Floats, nodes: Floats, u: int, first: int, lanes: Floats) -> None:
    """Fill the row VALUES: bounds at u of 32 neighbouring nodes.

    ``nodes`` holds per column the table at its checkpoint c, the least value at c, and c.
    """
    d = sums.shape[0]
    values, lengths = lanes[VALUES], lanes[LENGTHS]
    bound, checkpoint = nodes[d], nodes[d + 1]
    k = np.uint64(first)
    for lane in range(np.uint64(len(lengths))):
        lengths[lane] = max(u - checkpoint[k + lane], 1.0)
    _costs(sums, u, nodes, first, lengths, values)
    for lane in range(np.uint64(len(values))):
        values[lane] += bound[k + lane]


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy")
def _drop_dominated(sums: Floats, price: Floats, first: int, lanes: Floats, place: Ints) -> None:
    """Give up those of 32 candidates that the held candidate r and u rule out: their price is UNREACHABLE.

    Whatever normal distribution the tail follows, s costs no less than r or no less than u, if for some weight
    w >= 0 the least value over all distributions of (lead of u over s) + w (lead of r over s) is not negative;
    that is prices, plus the cost at counts and sums of ``s..u`` less w times those of ``r..s``. Here
    w = (u - s) / (2 (s - r)).
    """
    d = sums.shape[0] // 2
    r, u, k = np.uint64(place[HELD]), np.uint64(place[NEWEST]), np.uint64(first)
    ramp, weights, leads = lanes[RAMP], lanes[LENGTHS], lanes[COSTS]
    since_r, until_u = float(first - place[HELD]), float(place[NEWEST] - first)
    n_lanes = np.uint64(len(leads))
    for lane in range(n_lanes):
        weights[lane] = 0.5 * (until_u - ramp[lane]) / (since_r + ramp[lane])
        leads[lane] = price[k + lane] - price[u] + weights[lane] * (price[k + lane] - price[r])
    for c in range(d):
        row, square_row = sums[c], sums[d + c]
        total_r, total_u, squares_r, squares_u = row[r], row[u], square_row[r], square_row[u]
        for lane in range(n_lanes):
            length = 0.5 * (until_u - ramp[lane])
            total = total_u - row[k + lane] - weights[lane] * (row[k + lane] - total_r)
            squares = squares_u - square_row[k + lane] - weights[lane] * (square_row[k + lane] - squares_r)
            mean = total / length
            leads[lane] += _cost(length, squares / length - mean * mean)
    for lane in range(n_lanes):
        price[k + lane] = UNREACHABLE if leads[lane] >= 0.0 else price[k + lane]


@njit(cache=True, nogil=True)
def _set_node(sums: Floats, nodes: Floats, node: int, u: int, bound: float, dead: float) -> float:
    """Move a node's checkpoint to u; at or above ``dead``, the price of u itself, it never matters again."""
    d = sums.shape[0]
    if bound >= dead:
        bound = UNREACHABLE
    for c in range(d):
        nodes[c, node] = sums[c, u]
    nodes[d, node] = bound
    nodes[d + 1, node] = u
    return bound


@njit(cache=True, nogil=True)
def _open(
    sums: Floats,
    price: Floats,
    nodes: Floats,
    offsets: Ints,
    lanes: Floats,
    place: Ints,
    level: int,
    index: int,
) -> float:
    """Let every candidate below a node compete whose bound fails; returns the node's new bound at u."""
    u = place[NEWEST]
    if level == 0:
        if 0 <= place[HELD] < FAN * index and price[u] < UNREACHABLE:
            _drop_dominated(sums, price, FAN * index, lanes, place)
        _candidate_values(sums, price, u, FAN * index, lanes)
    else:
        _node_bounds(sums, nodes, u, offsets[level - 1] + FAN * index, lanes)
    values = lanes[LEVELS + level]
    values[:] = lanes[VALUES]
    least = UNREACHABLE
    threshold = _threshold(lanes)
    for j in range(FAN - 1, -1, -1):  # the newest first: after a change they are nearest to the best
        bound = values[j]
        if level == 0 and (FAN * index + j == place[HELD] or bound >= price[u]):
            continue
        if bound < threshold:
            if level == 0:
                _push(sums, price, FAN * index + j, lanes, place)
            else:
                bound = _open(sums, price, nodes, offsets, lanes, place, level - 1, FAN * index + j)
            threshold = _threshold(lanes)
        least = min(least, bound)
    return _set_node(sums, nodes, offsets[level] + index, u, least, price[u])


@njit(cache=True, nogil=True)
def _complete(sums: Floats, price: Floats, nodes: Floats, offsets: Ints, lanes: Floats, place: Ints) -> None:
    """Set up the nodes whose last candidate is the one before u."""
    u = place[NEWEST]
    size = 1
    for level in range(len(offsets) - 1):
        size *= FAN
        if u % size:
            return
        index = u // size - 1
        if level == 0:
            _candidate_values(sums, price, u, FAN * index, lanes)
        else:
            _node_bounds(sums, nodes, u, offsets[level - 1] + FAN * index, lanes)
        least = UNREACHABLE
        for j in range(FAN):
            if level > 0 or FAN * index + j != place[HELD]:
                least = min(least, lanes[VALUES, j])
        _set_node(sums, nodes, offsets[level] + index, u, least, price[u])


@njit(cache=True, nogil=True)
def _count_below(values: Floats, threshold: float) -> int:
    """How many of 32 values lie below the threshold."""
    count = 0
    for lane in range(np.uint64(len(values))):
        count += int(values[lane] < threshold)
    return count


@njit(cache=True, nogil=True)
def _put_back(sums: Floats, price: Floats, nodes: Floats, offsets: Ints, lanes: Floats, place: Ints) -> None:
    """Lower the bounds of all nodes above the held candidate, which was left out of them."""
    d, s, size = sums.shape[0], place[HELD], 1
    for level in range(len(offsets) - 1):
        size *= FAN
        if size * (s // size + 1) > place[NEWEST]:
            return
        node = offsets[level] + s // size
        lanes[LENGTHS] = nodes[d + 1, node] - s  # right for the first of the 32 lanes, the only one wanted
        _costs(sums, s, nodes, node, lanes[LENGTHS], lanes[COSTS])
        nodes[d, node] = min(nodes[d, node], price[s] + lanes[COSTS, 0])


@njit(cache=True, nogil=True)
def _level_offsets(n_positions: int) -> Ints:
    """First node of each level, and after the last one the number of nodes; 32 spare ones per level."""
    offsets = [0]
    size = FAN
    while True:
        offsets.append(offsets[-1] + n_positions // size + 2 * FAN)
        if n_positions <= size * FAN:
            return np.array(offsets)
        size *= FAN


@njit(cache=True, nogil=True)
def lazy_variance(table: Floats, front: int, n: int, penalty: float, min_size: int) -> Floats:
    """Least penalised cost of every prefix under the cost of mean and variance.

    ``price(t) = penalty + min over s <= t - min_size of price(s) + cost(s, t)``, price(0) = 0.

    Args:
        table: from ``variance_sums`` with ``FRONT`` before and ``BACK`` behind: the variance's floor is 1 in
            its units.
        front: ``FRONT``.
        n: samples, >= 1.
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment, >= 1; 2 or more makes sense.

    Returns:
        (front + n + 1 + BACK,) f8: for each position the least cost up to it plus the penalty of starting a
        segment there; 1e300 where no segmentation ends. O(n d) measured on noise and on signals with
        changes, O(n^2 d) at worst.
    """
    alive = np.full(table.shape[1], UNREACHABLE)
    alive[front] = 0.0
    price = alive.copy()  # alive is the same, for candidates that may still win
    offsets = _level_offsets(table.shape[1])
    nodes = np.zeros((table.shape[0] + 2, offsets[-1]))
    nodes[table.shape[0]] = UNREACHABLE
    lanes = np.empty((LEVELS + len(offsets), FAN))
    lanes[RAMP] = np.arange(FAN)
    lag = max(min_size, LAG)
    place = np.array([0, 0, 0, -1, min_size])
    for u in range(FAN, front + n - lag + 1, FAN):
        first = u + lag
        place[NEWEST], place[FIRST], place[HELD] = u, first, place[BEST]
        lanes[LEAST] = UNREACHABLE
        _complete(table, alive, nodes, offsets, lanes, place)
        if place[HELD] >= 0:
            _push(table, alive, place[HELD], lanes, place)
            place[BEST] = place[HELD]
        if alive[u] < UNREACHABLE:
            _push(table, alive, u, lanes, place)
        _set_lengths(lanes, lag, 1.0)
        _costs(table, u, table, first, lanes[LENGTHS], lanes[AHEAD])
        threshold = _threshold(lanes)
        size = 1
        for level in range(len(offsets) - 1):
            size *= FAN
            begin = u // (size * FAN) * FAN if level + 2 < len(offsets) else 0
            _node_bounds(table, nodes, u, offsets[level] + begin, lanes)
            if _count_below(lanes[VALUES], threshold) > 0:  # rarely
                lanes[-1] = lanes[VALUES]
                for j in range(FAN):
                    if lanes[-1, j] < threshold:
                        _open(table, alive, nodes, offsets, lanes, place, level, begin + j)
                        threshold = _threshold(lanes)
        alive[first : first + FAN] = lanes[LEAST] + penalty
        if _newborn_wins(table, alive, lanes, place) > 0:
            for s in range(u + 1, first + FAN - min_size):
                if s >= first:
                    alive[s] = lanes[LEAST, s - first] + penalty
                if alive[s] < UNREACHABLE:
                    _push(table, alive, s, lanes, place)
            alive[first : first + FAN] = lanes[LEAST] + penalty
        price[first : first + FAN] = alive[first : first + FAN]
        if place[HELD] >= 0 and place[BEST] != place[HELD]:
            _put_back(table, alive, nodes, offsets, lanes, place)
    return price

"""Sums and maxima over the spans of one note: the inner loops of the decoder (``align/matching/programme.py``).

Edges 0..n lie between frames; a span is a pair of edges a < b within one unbroken run of data. Its score is
``starts[a] + durations[b - a]``, plus what depends on b alone, which the caller adds. Each function takes all spans
[a, b) with a and b in a box, except those with both in a hole.

Sums are taken in linear scale: starts in blocks of at most 32 edges that differ by at most e^400, so that a block
times a row of durations is 32 running sums side by side, exact to rounding whatever the scores. Blocks whose scales
lie within e^100 add to the same sums.

Cold compile time is paid by every user, so the kernels loop over numbers in buffers that their callers make:
every array that a kernel makes, slices or assigns costs more to compile than the loop around it.

Reference: classical segment (explicit-duration hidden Markov) models: Ostendorf, Digalakis & Kimball, IEEE Trans.
Speech and Audio Processing 4(5), 1996, section III; forward-backward as Yu, Artificial Intelligence 174, 2010,
section 2.2, with "nothing" as a state of free length. O(starts x durations) additions a note.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["NEVER", "advance", "mass_near", "span_maxima", "span_sums"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
NEVER = -1e30
HARDLY = -1e29  # below it nothing but NEVER and what was added to it
LANES = 32  # ends side by side; also the most edges of a block
RANGE = 400.0  # nats between the largest and the least start of a block: no product underflows
NEAR = 100.0  # nats between blocks that are summed together
VALUE, SCALE, TOP, TOTAL = 0, 1, 2, 3  # rows of the work buffer


def span_sums(starts: Array, durations: Array, runs: Indices, box: Indices, hole: Indices) -> Array:
    """(n + 1,) for every end b the log sum over starts a of exp(starts[a] + durations[b - a]); NEVER: no span.

    Args:
        starts: (n + 1,) log weight of a start at each edge; NEVER: none.
        durations: (longest + 1,) log weight of each duration in frames; column 0 is ignored, NEVER: barred.
        runs: (n_runs, 2) first and last edge of every unbroken stretch of data, ascending.
        box: (4,) lowest and highest start, lowest and highest end, inclusive.
        hole: (4,) likewise: spans left out; empty when its first number is above its second.
    """
    work, marks = _buffers(len(starts))
    weights, level = _linear(durations)
    _spans(starts, weights, runs, np.stack((box, hole)), work, marks, np.empty(LANES), False)
    top, total = work[TOP, : len(starts)], work[TOTAL, : len(starts)]
    return np.where(total > 0.0, top + level + np.log(np.maximum(total, 1e-300)), NEVER)


def span_maxima(starts: Array, durations: Array, runs: Indices, box: Indices) -> Array:
    """The same with the maximum in place of the log sum, and no hole.

    Args:
        starts, durations, runs, box: as for ``span_sums``.
    """
    work, marks = _buffers(len(starts))
    areas = np.stack((box, np.asarray((0, -1, 0, -1), np.int64)))
    _spans(starts, _padded(durations, NEVER), runs, areas, work, marks, np.empty(LANES), True)
    return work[TOP, : len(starts)].copy()


def mass_near(
    starts: Array, ends: Array, durations: Array, runs: Indices, areas: Indices, span: tuple[float, float]
) -> float:
    """Sum of exp(starts[a] + durations[b - a] + ends[b]) where [a, b) is much like ``span``, at most 1.

    Much like: the intersection over union is at least 0.5. With posterior weights the sum is a probability.

    Args:
        starts, durations, runs: as for ``span_sums``.
        ends: (n + 1,) log weight of an end at each edge.
        areas: (2, 4) box and hole, as for ``span_sums``.
        span: edges, start < end, not necessarily whole.
    """
    work, marks = _buffers(len(starts))
    weights, level = _linear(durations)
    return min(1.0, _mass(starts, ends, weights, runs, areas, work, marks, (span[0], span[1], level)))


def _buffers(n_edges: int) -> tuple[Array, Indices]:
    return np.empty((4, n_edges)), np.empty(n_edges + 2, np.int64)


def _padded(durations: Array, fill: float) -> Array:
    """Durations with ``fill`` where they are barred and LANES times before and after."""
    padded = np.full(len(durations) + 2 * LANES, fill)
    padded[LANES + 1 : LANES + len(durations)] = np.where(durations > HARDLY, durations, fill)[1:]
    return padded


def _linear(durations: Array) -> tuple[Array, float]:
    """Padded durations in linear scale, the largest 1, and its log."""
    level = float(durations[1:].max(initial=NEVER))
    if level <= HARDLY:
        return np.zeros(len(durations) + 2 * LANES), 0.0
    return _padded(np.exp(durations - level), 0.0), level


@njit(cache=True, nogil=True)
def _scaled(logs: Array, low: int, high: int, work: Array, marks: Indices) -> int:
    """Edges low..high in linear scale, in blocks: how many there are.

    ``work[VALUE]`` per edge, ``work[SCALE]`` per block its log scale (NEVER: all impossible), ``marks`` per block
    its first edge, and behind the last one ``high + 1``.
    """
    blocks = 0
    a = low
    while a <= high:
        top, least = NEVER, -NEVER
        end = a
        while end <= high and end - a < LANES:
            value = logs[end]
            if value > HARDLY:
                higher = value if value > top else top
                lower = value if value < least else least
                if higher - lower > RANGE:
                    break
                top, least = higher, lower
            end += 1
        for k in range(a, end):
            work[VALUE, k] = np.exp(logs[k] - top) if logs[k] > HARDLY else 0.0
        work[SCALE, blocks] = top
        marks[blocks] = a
        blocks += 1
        a = end
    marks[blocks] = high + 1
    return blocks


@njit(cache=True, nogil=True)
def _add_lanes(
    work: Array, low: int, high: int, scale: float, weights: Array, first: int, lanes: Array
) -> None:
    """lanes[j] += scale times the sum over a from low to high of work[VALUE, a] weights[LANES + first - a + j]."""
    for a in range(low, high, 2):  # two at a time: half as often through the lanes
        one, two = scale * work[VALUE, a], scale * work[VALUE, a + 1]
        here, after = np.uint64(LANES + first - a), np.uint64(LANES + first - a - 1)
        for j in range(np.uint64(LANES)):
            lanes[j] += one * weights[here + j] + two * weights[after + j]
    if low <= high and (high - low) % 2 == 0:
        one, here = scale * work[VALUE, high], np.uint64(LANES + first - high)
        for j in range(np.uint64(LANES)):
            lanes[j] += one * weights[here + j]


@njit(cache=True, nogil=True)
def _flush(work: Array, first: int, last: int, scale: float, lanes: Array) -> None:
    """The lanes' sums, of this log scale, go to the ends first..last, and the lanes are empty."""
    for b in range(first, last + 1):
        more = lanes[b - first]
        if work[TOTAL, b] == 0.0:
            work[TOTAL, b] = more
            work[TOP, b] = scale if more > 0.0 else NEVER
        elif more > 0.0 and scale > work[TOP, b]:
            work[TOTAL, b] = work[TOTAL, b] * np.exp(work[TOP, b] - scale) + more
            work[TOP, b] = scale
        elif more > 0.0:
            work[TOTAL, b] += more * np.exp(scale - work[TOP, b])
    for j in range(LANES):
        lanes[j] = 0.0


@njit(cache=True, nogil=True)
def _max_lanes(starts: Array, low: int, high: int, weights: Array, first: int, lanes: Array) -> None:
    """The same with maximum and sum in place of sum and product, on top of what is there."""
    for a in range(low, high + 1, 2):
        one, two = starts[a], starts[min(a + 1, high)]
        here, after = np.uint64(LANES + first - a), np.uint64(LANES + first - min(a + 1, high))
        for j in range(np.uint64(LANES)):
            x, y = one + weights[here + j], two + weights[after + j]
            best = x if x > y else y
            lanes[j] = best if best > lanes[j] else lanes[j]


@njit(cache=True, nogil=True)
def _spans(
    starts: Array,
    weights: Array,
    runs: Indices,
    areas: Indices,
    work: Array,
    marks: Indices,
    lanes: Array,
    is_best: bool,
) -> None:
    """``work[TOP]`` the best span of every end; of sums, ``exp(work[TOP]) work[TOTAL]``, weights linear."""
    n = starts.size
    least = NEVER if is_best else 0.0
    first, last = weights.size, -1
    for k in range(LANES + 1, weights.size - LANES):
        if weights[k] > least:
            first = min(first, k - LANES)
            last = k - LANES
    for b in range(n):
        work[TOP, b] = NEVER
        work[TOTAL, b] = 0.0
    low_start, high_start = max(0, areas[0, 0]), min(n - 1, areas[0, 1])
    h0, h1, h2, h3 = areas[1, 0], areas[1, 1], areas[1, 2], areas[1, 3]
    blocks = 0 if is_best else _scaled(starts, low_start, high_start, work, marks)
    for r in range(runs.shape[0]):
        s0, s1 = max(low_start, runs[r, 0]), min(high_start, runs[r, 1])
        e1 = min(areas[0, 3], min(runs[r, 1], s1 + last))
        t0 = max(areas[0, 2], s0 + first)
        block = 0
        while s0 <= s1 and t0 <= e1:
            # ends side by side lie all within the hole or all outside it
            t1 = min(t0 + LANES - 1, e1)
            is_holed = h0 <= h1 and h2 <= t0 <= h3
            if is_holed:
                t1 = min(t1, h3)
            elif h0 <= h1 and t0 < h2 <= h3:
                t1 = min(t1, h2 - 1)
            low, high = max(s0, t0 - last), min(s1, t1 - first)
            held = NEVER  # log scale of what the lanes hold
            for j in range(LANES):
                lanes[j] = least
            for part in range(2):
                # starts before the hole, then those behind it; without a hole all, then none
                p0 = low if part == 0 else max(low, h1 + 1)
                p1 = min(high, h0 - 1) if is_holed and part == 0 else high
                if part == 1 and not is_holed:
                    break
                if is_best:
                    _max_lanes(starts, p0, p1, weights, t0, lanes)
                    continue
                while block > 0 and marks[block] > p0:
                    block -= 1
                while block < blocks and marks[block + 1] <= p0:
                    block += 1
                at = block
                while at < blocks and marks[at] <= p1:
                    scale = work[SCALE, at]
                    if scale > HARDLY:
                        if abs(scale - held) > NEAR:
                            _flush(work, t0, t1, held, lanes)
                            held = scale
                        a0, a1 = max(p0, marks[at]), min(p1, marks[at + 1] - 1)
                        _add_lanes(work, a0, a1, np.exp(scale - held), weights, t0, lanes)
                    at += 1
            if is_best:
                for b in range(t0, t1 + 1):
                    work[TOP, b] = max(work[TOP, b], lanes[b - t0])
            else:
                _flush(work, t0, t1, held, lanes)
            t0 = t1 + 1


@njit(cache=True, nogil=True)
def _mass(
    starts: Array,
    ends: Array,
    weights: Array,
    runs: Indices,
    areas: Indices,
    work: Array,
    marks: Indices,
    span: tuple[float, float, float],
) -> float:
    """``mass_near`` with durations in linear scale; ``span`` is start, end and the log of that scale."""
    a0, b0, level = span
    # intersection over union >= 1/2 leaves at most twice the length on each side
    low_end = max(0, max(areas[0, 2], int(np.floor(a0))))
    high_end = min(ends.size - 1, min(areas[0, 3], int(np.ceil(2 * b0 - a0))))
    blocks = _scaled(ends, low_end, high_end, work, marks)
    total = 0.0
    run = 0
    for a in range(
        max(0, max(areas[0, 0], int(np.floor(2 * a0 - b0)))),
        min(starts.size - 1, min(areas[0, 1], int(np.ceil(b0)))) + 1,
    ):
        while run < runs.shape[0] and runs[run, 1] < a:
            run += 1
        if run == runs.shape[0] or runs[run, 0] > a or starts[a] <= HARDLY:
            continue
        inner, outer = max(a, a0), min(a, a0)
        # intersection over union >= 1/2, solved for b <= b0 and for b >= b0
        low = max(low_end, max(a + 1, int(np.ceil(inner + 0.5 * (b0 - outer) - 1e-12))))
        high = min(high_end, min(runs[run, 1], int(np.floor(2 * b0 - 2 * inner + outer + 1e-12))))
        high = min(high, a + weights.size - 2 * LANES - 1)
        is_holed = areas[1, 0] <= a <= areas[1, 1]
        for block in range(blocks):
            factor = starts[a] + level + work[SCALE, block]
            part = 0.0
            if factor > -745.0:
                for b in range(max(low, marks[block]), min(high, marks[block + 1] - 1) + 1):
                    if not (is_holed and areas[1, 2] <= b <= areas[1, 3]):
                        part += work[VALUE, b] * weights[LANES + b - a]
            if part > 0.0:
                total += np.exp(factor + np.log(part))
    return total


@njit(cache=True, nogil=True)
def _log_add(a: float, b: float) -> float:
    high = max(a, b)
    low = min(a, b)
    if low <= HARDLY or high - low > 40.0:
        return high
    return high + np.log1p(np.exp(low - high))


@njit(cache=True, nogil=True)
def _advance(row: Array, ends: Array, skip: float, out: Array) -> None:
    running = NEVER
    for t in range(row.size):
        if ends[t] > HARDLY:
            running = _log_add(running, ends[t])
        elif t > 0 and row[t] == row[t - 1]:
            out[t] = out[t - 1]
            continue
        out[t] = _log_add(running, row[t] + skip)


def advance(row: Array, ends: Array, skip: float) -> Array:
    """(n + 1,) log sums with one note more: it ended at some edge up to t, or it was left out.

    Args:
        row: (n + 1,) log sums over the notes before, within the first t frames.
        ends: (n + 1,) log weight of the note's end at each edge.
        skip: log odds of leaving it out.
    """
    out = np.empty(len(row))
    _advance(row, ends, skip, out)
    return out

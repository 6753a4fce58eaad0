"""Sums and maxima over the spans of one note: the inner loops of the decoder (``align/matching/programme.py``).

Edges 0..n lie between frames; a span is a pair of edges a < b within one unbroken run of data. Its score is
``starts[a] + durations[b - a] + M(a, b)``, plus what depends on b alone, which the caller adds. Each kernel takes
all spans [a, b) with a and b in a box, except those with both in a hole.

``M`` is the time prior: ``-0.5 (max(0, |m - centre| - half - reach (b - a) / 2) / sd)^2`` with the middle
``m = (a + b) / 2``, never below ``-floor``. With reach 1 it is a function of a plus a function of b, which the
caller adds; only other reaches come here.

Sums are taken in linear scale: starts in blocks of at most 64 edges that differ by at most e^500, so that a block
times a row of durations is 64 running sums side by side, exact to rounding whatever the scores.

Reference: classical segment (explicit-duration hidden Markov) models: Ostendorf, Digalakis & Kimball, IEEE Trans.
Speech and Audio Processing 4(5), 1996, section III; forward-backward as Yu, Artificial Intelligence 174, 2010,
section 2.2, with "nothing" as a state of free length. O(starts x durations) additions a note.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["NEVER", "advance", "advance_best", "mass_near", "span_maxima", "span_sums"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
NEVER = -1e30
HARDLY = -1e29  # below it nothing but NEVER and what was added to it
LANES = 64  # ends side by side; also the most edges of a block
RANGE = 500.0  # nats between the largest and the least start of a block: no product underflows


@njit(cache=True, nogil=True)
def _time_prior(a: int, b: int, prior: Array) -> float:
    """Log weight of a span's place; ``prior`` is (centre, half width, sd, floor, reach) in frames, sd <= 0: none."""
    if prior[2] <= 0.0:
        return 0.0
    off = max(0.0, abs(0.5 * (a + b) - prior[0]) - prior[1] - 0.5 * prior[4] * (b - a)) / prior[2]
    return max(-0.5 * off * off, -prior[3])


@njit(cache=True, nogil=True)
def _scaled(starts: Array, low: int, high: int) -> tuple[Array, Array, Indices]:
    """Edges low..high in linear scale; per block its scale (NEVER: all impossible) and its first edge, and the end.

    Row k of the first is edge ``low + k``.
    """
    count = max(0, high - low + 1)
    values = np.zeros(count)
    scales = np.empty(count)
    firsts = np.empty(count + 1, np.int64)
    blocks = 0
    a = low
    while a <= high:
        top, least = NEVER, -NEVER
        end = a
        while end <= high and end - a < LANES:
            value = starts[end]
            if value > HARDLY:
                if max(top, value) - min(least, value) > RANGE:
                    break
                top = max(top, value)
                least = min(least, value)
            end += 1
        for k in range(a, end):
            if starts[k] > HARDLY:
                values[k - low] = np.exp(starts[k] - top)
        scales[blocks] = top
        firsts[blocks] = a
        blocks += 1
        a = end
    firsts[blocks] = high + 1
    return values, scales[:blocks], firsts[: blocks + 1]


@njit(cache=True, nogil=True)
def _block_of(firsts: Indices, edge: int) -> int:
    """The block that holds an edge; the first one for those before it."""
    low, high = 0, firsts.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        if firsts[middle] <= edge:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _padded(durations: Array, fill: float) -> tuple[Array, int, int]:
    """Durations with ``fill`` before and after, and the first and the last allowed one (first > last: none)."""
    first, last = durations.size, 0
    padded = np.full(durations.size + 2 * LANES, fill)
    for length in range(1, durations.size):
        if durations[length] > HARDLY:
            first = min(first, length)
            last = length
            padded[LANES + length] = durations[length]
    return padded, first, last


@njit(cache=True, nogil=True)
def _rectangles(box: Indices, hole: Indices) -> Indices:
    """(4, 4) start low, high, end low, high, inclusive, that together are the box without the hole."""
    out = np.empty((4, 4), np.int64)
    s0, s1, e0, e1 = box[0], box[1], box[2], box[3]
    if hole[0] > hole[1] or hole[2] > hole[3]:
        out[:] = np.array([0, -1, 0, -1])
        out[0] = box
        return out
    out[0] = np.array([s0, s1, e0, min(e1, hole[2] - 1)])
    out[1] = np.array([s0, s1, max(e0, hole[3] + 1), e1])
    out[2] = np.array([s0, min(s1, hole[0] - 1), max(e0, hole[2]), min(e1, hole[3])])
    out[3] = np.array([max(s0, hole[1] + 1), s1, max(e0, hole[2]), min(e1, hole[3])])
    return out


@njit(cache=True, nogil=True)
def _add_block(values: Array, weights: Array, first: int, lanes: Array) -> None:
    """lanes[j] = sum over k of values[k] weights[first - k + j], the padding of ``weights`` not counted."""
    lanes[:] = 0.0
    for k in range(values.size):
        value = values[k]
        if value > 0.0:
            row = weights[LANES + first - k : LANES + first - k + LANES]
            for j in range(LANES):
                lanes[j] += value * row[j]


@njit(cache=True, nogil=True)
def span_sums(
    starts: Array, durations: Array, priors: Array, runs: Indices, box: Indices, hole: Indices
) -> Array:
    """(n + 1,) for every end b the log sum over starts a of exp(starts[a] + durations[b - a] + M(a, b)).

    Args:
        starts: (n + 1,) log weight of a start at each edge; NEVER: none.
        durations: (longest + 1,) log weight of each duration in frames; column 0 is ignored, NEVER: barred.
        priors: (k, 5) time priors that are not split into start and end: centre, half width, deviation,
            floor and reach; in frames but for the last two (nats, share of the span).
        runs: (n_runs, 2) first and last edge of every unbroken stretch of data, ascending.
        box: (4,) lowest and highest start, lowest and highest end, inclusive.
        hole: (4,) likewise: spans left out; empty when its first number is above its second.
    """
    top = np.full(starts.size, NEVER)
    total = np.zeros(starts.size)
    low_start, high_start = max(0, box[0]), min(starts.size - 1, box[1])
    values, scales, firsts = _scaled(starts, low_start, high_start)
    logs, first, last = _padded(durations, NEVER)
    level = logs.max()
    weights = np.exp(logs - level) if level > HARDLY else np.zeros(logs.size)
    lanes = np.empty(LANES)
    rectangles = _rectangles(box, hole)
    for r in range(len(runs)):
        for k in range(len(rectangles)):
            s0, s1 = max(rectangles[k, 0], runs[r, 0]), min(rectangles[k, 1], runs[r, 1])
            e0, e1 = max(rectangles[k, 2], s0 + first), min(rectangles[k, 3], runs[r, 1], s1 + last)
            for t0 in range(e0, e1 + 1, LANES):
                t1 = min(t0 + LANES - 1, e1)
                if len(priors):
                    for b in range(t0, t1 + 1):
                        for a in range(max(s0, b - last), min(s1, b - first) + 1):
                            value = starts[a] + durations[b - a]
                            for p in range(len(priors)):
                                value += _time_prior(a, b, priors[p])
                            if value <= HARDLY:
                                continue
                            if value > top[b]:
                                total[b] = total[b] * np.exp(top[b] - value) + 1.0
                                top[b] = value
                            else:
                                total[b] += np.exp(value - top[b])
                    continue
                low, high = max(s0, t0 - last, low_start), min(s1, t1 - first, high_start)
                block = _block_of(firsts, low)
                while block < scales.size and firsts[block] <= high:
                    scale = scales[block]
                    if scale > HARDLY:
                        begin, end = max(low, firsts[block]), min(high, firsts[block + 1] - 1)
                        _add_block(
                            values[begin - low_start : end + 1 - low_start], weights, t0 - begin, lanes
                        )
                        for b in range(t0, t1 + 1):
                            more = lanes[b - t0]
                            if more <= 0.0:
                                continue
                            if scale > top[b]:
                                total[b] = total[b] * np.exp(top[b] - scale) + more
                                top[b] = scale
                            else:
                                total[b] += more * np.exp(scale - top[b])
                    block += 1
    shift = 0.0 if len(priors) else level
    for b in range(starts.size):
        top[b] = top[b] + shift + np.log(total[b]) if total[b] > 0.0 else NEVER
    return top


@njit(cache=True, nogil=True)
def span_maxima(starts: Array, durations: Array, priors: Array, runs: Indices, box: Indices) -> Array:
    """The same with the maximum in place of the log sum, and no hole.

    Args:
        starts, durations, priors, runs, box: as for ``span_sums``.
    """
    out = np.full(starts.size, NEVER)
    logs, first, last = _padded(durations, NEVER)
    lanes = np.empty(LANES)
    for r in range(len(runs)):
        s0, s1 = max(box[0], runs[r, 0]), min(box[1], runs[r, 1])
        e0, e1 = max(box[2], s0 + first), min(box[3], runs[r, 1], s1 + last)
        for t0 in range(e0, e1 + 1, LANES):
            t1 = min(t0 + LANES - 1, e1)
            if len(priors):
                for b in range(t0, t1 + 1):
                    for a in range(max(s0, b - last), min(s1, b - first) + 1):
                        value = starts[a] + durations[b - a]
                        for p in range(len(priors)):
                            value += _time_prior(a, b, priors[p])
                        out[b] = max(out[b], value)
                continue
            lanes[:] = NEVER
            for a in range(max(s0, t0 - last), min(s1, t1 - first) + 1):
                value = starts[a]
                if value > HARDLY:
                    row = logs[LANES + t0 - a : LANES + t0 - a + LANES]
                    for j in range(LANES):
                        one = value + row[j]
                        lanes[j] = one if one > lanes[j] else lanes[j]
            for b in range(t0, t1 + 1):
                out[b] = max(out[b], lanes[b - t0])
    return out


@njit(cache=True, nogil=True)
def _log_add(a: float, b: float) -> float:
    high = max(a, b)
    low = min(a, b)
    if low <= HARDLY or high - low > 40.0:
        return high
    return high + np.log1p(np.exp(low - high))


@njit(cache=True, nogil=True)
def advance(row: Array, ends: Array, skip: float) -> Array:
    """(n + 1,) log sums with one note more: it ended at some edge up to t, or it was left out.

    Args:
        row: (n + 1,) log sums over the notes before, within the first t frames.
        ends: (n + 1,) log weight of the note's end at each edge.
        skip: log odds of leaving it out.
    """
    out = np.empty(row.size)
    running = NEVER
    for t in range(row.size):
        if ends[t] > HARDLY:
            running = _log_add(running, ends[t])
        elif t > 0 and row[t] == row[t - 1]:
            out[t] = out[t - 1]
            continue
        out[t] = _log_add(running, row[t] + skip)
    return out


@njit(cache=True, nogil=True)
def advance_best(row: Array, ends: Array, skip: float) -> Array:
    """The same with the maximum in place of the log sum."""
    out = np.empty(row.size)
    running = NEVER
    for t in range(row.size):
        running = max(running, ends[t])
        out[t] = max(running, row[t] + skip)
    return out


@njit(cache=True, nogil=True)
def mass_near(
    starts: Array, ends: Array, durations: Array, priors: Array, runs: Indices, areas: Indices, span: Array
) -> float:
    """Sum of exp(starts[a] + durations[b - a] + M(a, b) + ends[b]) where [a, b) is much like ``span``.

    Much like: the intersection over union is at least 0.5. With posterior weights the sum is a probability.

    Args:
        starts, durations, priors, runs: as for ``span_sums``.
        ends: (n + 1,) log weight of an end at each edge.
        areas: (2, 4) box and hole, as for ``span_sums``.
        span: (2,) edges, start < end, not necessarily whole.
    """
    a0, b0 = span[0], span[1]
    # intersection over union >= 1/2 leaves at most twice the length on each side
    low_end = max(areas[0, 2], np.int64(np.floor(a0)), 0)
    high_end = min(areas[0, 3], ends.size - 1, np.int64(np.ceil(2 * b0 - a0)))
    values, scales, firsts = _scaled(ends, low_end, high_end)
    logs, first, last = _padded(durations, NEVER)
    weights = np.exp(logs)
    box, hole = areas[0], areas[1]
    total = 0.0
    run = 0
    for a in range(
        max(box[0], np.int64(np.floor(2 * a0 - b0))), min(box[1], starts.size - 1, np.int64(np.ceil(b0))) + 1
    ):
        while run < len(runs) and runs[run, 1] < a:
            run += 1
        if run == len(runs) or runs[run, 0] > a or starts[a] <= HARDLY:
            continue
        inner, outer = max(np.float64(a), a0), min(np.float64(a), a0)
        # intersection over union >= 1/2, solved for b <= b0 and for b >= b0
        low = max(low_end, a + first, np.int64(np.ceil(inner + 0.5 * (b0 - outer) - 1e-12)))
        high = min(high_end, runs[run, 1], a + last, np.int64(np.floor(2 * b0 - 2 * inner + outer + 1e-12)))
        is_holed = hole[0] <= a <= hole[1] and hole[2] <= hole[3]
        b = low
        block = _block_of(firsts, low)
        while b <= high:
            end = min(high, firsts[block + 1] - 1)
            factor = starts[a] + scales[block]
            part = 0.0
            if scales[block] > HARDLY and factor > -745.0:
                for t in range(b, end + 1):
                    if is_holed and hole[2] <= t <= hole[3]:
                        continue
                    weight = values[t - low_end] * weights[LANES + t - a]
                    for p in range(len(priors)):
                        weight *= np.exp(_time_prior(a, t, priors[p]))
                    part += weight
            if part > 0.0:
                total += np.exp(factor + np.log(part))
            b = end + 1
            block += 1
    return min(1.0, total)

"""The semi-Markov programme that places notes, in order, with "nothing" between them.

Time is cut into frames 0..n. Every note i takes a stretch [a, b) with score

    V_i(a, b) = P_i[b] - P_i[a] + D_i[b - a] + M_i(a, b)

or is skipped at the price ``skip[i]``. No stretch crosses a frame without data: one that ends at b starts at
``earliest[b]`` or later. ``P_i`` are prefix sums of the frames' log odds against "nothing" (a frame
of nothing scores 0), ``D_i`` the log probability of its duration, ``M_i`` its time prior, applied once per note:
``-0.5 (max(0, |m - centre| - half - reach (b - a) / 2) / sd)^2``, never below ``-floor``: with reach 0 the
written time points at the middle of the span, with reach 1 anywhere into it. Notes keep their order.

Arguments that all kernels here share (``best_path`` says which shape each has): ``prefix``, ``durations``,
``priors``, ``skip``, ``earliest``.

``G[i, t]`` sums (or, for the best path, maximises) over all placements of notes 0..i-1 within the first t frames.

Reference: classical segment (explicit-duration hidden Markov) models: Ostendorf, Digalakis & Kimball, IEEE Trans.
Speech and Audio Processing 4(5), 1996, section III; forward-backward as Yu, Artificial Intelligence 174, 2010,
section 2.2, with "nothing" as a state of free length. O(n_notes n_frames max_duration) time, O(n_notes n_frames)
memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["best_path", "forward_backward", "mass_near", "onset_table"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
NEVER = -1e30


@njit(cache=True, nogil=True)
def _time_prior(a: int, b: int, prior: Array) -> float:
    """Log weight of a span's place; ``prior`` is (centre, half width, sd, floor, reach) in frames, sd <= 0: none."""
    if prior[2] <= 0.0:
        return 0.0
    off = max(0.0, abs(0.5 * (a + b) - prior[0]) - prior[1] - 0.5 * prior[4] * (b - a)) / prior[2]
    return max(-0.5 * off * off, -prior[3])


@njit(cache=True, nogil=True)
def best_path(prefix: Array, durations: Array, priors: Array, skip: Array, earliest: Indices) -> Indices:
    """(n_notes, 2) the most probable stretches [a, b) in frames; (-1, -1) for a skipped note.

    Args:
        prefix: (n_notes, n + 1) prefix sums of the log odds.
        durations: (n_notes, longest + 1) log probability of each duration in frames; column 0 is ignored.
        priors: (n_notes, 5) centre, half width, standard deviation, floor and reach of the time prior; in frames
            but for the last two (nats, share of the span).
        skip: (n_notes,) log odds of leaving a note out.
        earliest: (n + 1,) int64, the first frame of the unbroken stretch of data that ends before frame t, t
            itself when frame t - 1 has no data; ascending.
    """
    n_notes, n = prefix.shape[0], prefix.shape[1] - 1
    longest = durations.shape[1] - 1
    total = np.zeros((n_notes + 1, n + 1))
    began = np.full(
        (n_notes, n + 1), -1, np.int64
    )  # start of note i if it ends exactly at t in the best path
    placed = np.full((n_notes, n + 1), -1, np.int64)  # where note i ended, or -1 when it was skipped
    for i in range(n_notes):
        running = NEVER
        ended = -1
        for t in range(n + 1):
            best = NEVER
            start = -1
            for length in range(1, min(longest, t - earliest[t]) + 1):
                a = t - length
                d = durations[i, length]
                if d <= NEVER:
                    continue
                value = total[i, a] + prefix[i, t] - prefix[i, a] + d + _time_prior(a, t, priors[i])
                if value > best:
                    best = value
                    start = a
            began[i, t] = start
            if best > running:
                running = best
                ended = t
            skipped = total[i, t] + skip[i]
            if running > skipped:
                total[i + 1, t] = running
                placed[i, t] = ended
            else:
                total[i + 1, t] = skipped
    out = np.full((n_notes, 2), -1, np.int64)
    t = n
    for i in range(n_notes - 1, -1, -1):
        end = placed[i, t]
        if end >= 0:
            out[i, 0] = began[i, end]
            out[i, 1] = end
            t = began[i, end]
    return out


@njit(cache=True, nogil=True)
def _log_add(a: float, b: float) -> float:
    high = max(a, b)
    low = min(a, b)
    if low <= NEVER or high - low > 40.0:
        return high
    return high + np.log1p(np.exp(low - high))


@njit(cache=True, nogil=True)
def _log_total(scores: Array, count: int, top: float) -> float:
    """Log of the sum of exp(scores[1..count]), ``top`` being their largest; what is 40 nats below it is left out."""
    total = 0.0
    for k in range(1, count + 1):
        if scores[k] > top - 40.0:
            total += np.exp(scores[k] - top)
    return top + np.log(total)


@njit(cache=True, nogil=True)
def forward_backward(
    prefix: Array, durations: Array, priors: Array, skip: Array, earliest: Indices
) -> tuple[Array, Array]:
    """Log sums before and after: both (n_notes + 1, n + 1).

    ``before[i, t]`` sums over the placements of notes 0..i-1 in frames [0, t), ``after[i, t]`` over those of
    notes i.. in [t, n).

    ``before[n_notes, n] == after[0, 0]`` is the log normaliser Z; the posterior of note i on [a, b) is
    ``exp(before[i, a] + V_i(a, b) + after[i + 1, b] - Z)``.

    Args:
        prefix, durations, priors, skip, earliest: as for ``best_path``.
    """
    n_notes, n = prefix.shape[0], prefix.shape[1] - 1
    longest = durations.shape[1] - 1
    before = np.zeros((n_notes + 1, n + 1))
    after = np.zeros((n_notes + 1, n + 1))
    scores = np.empty(longest + 1)
    for i in range(n_notes):
        running = NEVER
        for t in range(n + 1):
            top = NEVER
            reach = min(longest, t - earliest[t])
            for length in range(1, reach + 1):
                a = t - length
                d = durations[i, length]
                value = NEVER
                if d > NEVER:
                    value = before[i, a] - prefix[i, a] + d + _time_prior(a, t, priors[i])
                scores[length] = value
                top = max(top, value)
            if top > NEVER:
                running = _log_add(running, _log_total(scores, reach, top) + prefix[i, t])
            before[i + 1, t] = _log_add(running, before[i, t] + skip[i])
    for i in range(n_notes - 1, -1, -1):
        running = NEVER
        for t in range(n, -1, -1):
            top = NEVER
            reach = 0
            for length in range(1, min(longest, n - t) + 1):
                b = t + length
                if earliest[b] > t:
                    break
                reach = length
                d = durations[i, length]
                value = NEVER
                if d > NEVER:
                    value = after[i + 1, b] + prefix[i, b] + d + _time_prior(t, b, priors[i])
                scores[length] = value
                top = max(top, value)
            if top > NEVER:
                running = _log_add(running, _log_total(scores, reach, top) - prefix[i, t])
            after[i, t] = _log_add(running, after[i + 1, t] + skip[i])
    return before, after


@njit(cache=True, nogil=True)
def onset_table(
    prefix: Array, durations: Array, priors: Array, earliest: Indices, before: Array, after: Array
) -> tuple[Array, Array, Indices, Array]:
    """What the posterior says of each note: p(starts at t), p(covers frame t), best end per start, its probability.

    Args:
        prefix, durations, priors, earliest: as for ``best_path``.
        before, after: from ``forward_backward``.

    Returns:
        onset (n_notes, n + 1), cover (n_notes, n), end (n_notes, n + 1) int64 (-1: none), peak (n_notes, n + 1).
    """
    n_notes, n = prefix.shape[0], prefix.shape[1] - 1
    longest = durations.shape[1] - 1
    z = after[0, 0]
    onset = np.zeros((n_notes, n + 1))
    change = np.zeros((n_notes, n + 1))
    end = np.full((n_notes, n + 1), -1, np.int64)
    peak = np.zeros((n_notes, n + 1))
    for i in range(n_notes):
        for a in range(n):
            for length in range(1, min(longest, n - a) + 1):
                b = a + length
                if earliest[b] > a:
                    break
                d = durations[i, length]
                if d <= NEVER:
                    continue
                value = before[i, a] + prefix[i, b] - prefix[i, a] + d + after[i + 1, b] - z
                if value < -30.0:
                    continue
                p = np.exp(value + _time_prior(a, b, priors[i]))
                onset[i, a] += p
                change[i, a] += p
                change[i, b] -= p
                if p > peak[i, a]:
                    peak[i, a] = p
                    end[i, a] = b
    cover = np.empty((n_notes, n))
    for i in range(n_notes):
        level = 0.0
        for t in range(n):
            level += change[i, t]
            cover[i, t] = min(1.0, max(0.0, level))
    return onset, cover, end, peak


@njit(cache=True, nogil=True)
def mass_near(
    prefix: Array,
    durations: Array,
    prior: Array,
    earliest: Indices,
    before: Array,
    after: Array,
    span: Array,
) -> float:
    """Posterior mass of the stretches of one note whose intersection over union with ``span`` is at least 0.5.

    Args:
        prefix, durations, prior: the note's rows of what ``best_path`` takes: (n + 1,), (longest + 1,), (5,).
        earliest: as for ``best_path``.
        before: (n + 1,) row i of note i.
        after: (n + 1,) row i + 1, from which the log normaliser was subtracted.
        span: (2,) frames, start < end, not necessarily whole.
    """
    n = prefix.size - 1
    longest = durations.size - 1
    a0, b0 = span[0], span[1]
    total = 0.0
    for a in range(max(0, int(np.floor(2 * a0 - b0))), min(n, int(np.ceil(b0)))):
        for length in range(1, min(longest, n - a) + 1):
            b = a + length
            if earliest[b] > a:
                break
            shared = min(np.float64(b), b0) - max(np.float64(a), a0)
            if durations[length] <= NEVER or shared <= 0 or 2 * shared < (b - a) + (b0 - a0) - shared:
                continue
            value = before[a] + prefix[b] - prefix[a] + durations[length] + after[b]
            if value > -30.0:
                total += np.exp(value + _time_prior(a, b, prior))
    return min(1.0, total)

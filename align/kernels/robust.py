"""Exact change points in one channel's level under losses that outliers cannot bend.

The loss of sample y at level mu, with r = y - mu and threshold K, is

    biweight    min(r^2, K^2)                             (an outlier costs K^2, however far it lies)
    Huber       r^2 for |r| <= K, else 2 K |r| - K^2      (an outlier costs by its distance, not its square)

and a segment costs the least sum of losses over mu. With q_s(mu) = price[s] + sum of losses from sample s up
to u, the envelope min over s <= u of q_s(mu) is a row of *pieces*, parabolas ``value + slope x + square x^2``
of the distance x from the piece's start, each with the candidate s it belongs to as ``owner``. One more sample
adds one of three parabolas to every piece; the new candidate, a constant, takes all above it. All pieces open
upward, so one whose two ends lie below a level lies below it.

Why parabolas about a piece's own start: its value there is a cost, never above the price of the newest
candidate, so nothing large cancels whatever the offset and however long the signal.

Reference: Fearnhead & Rigaill 2019, JASA 114(525), 169-183, the dynamic programme for bounded and robust
losses. Departures: a minimum segment length m: the envelope ends m - 1 samples before the
end of the last segment, whose losses, a row of parabolas as well, are added to it before the minimum is taken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["robust_changes"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNREACHABLE = 1e300
START, SQUARE, SLOPE, VALUE, OWNER = range(5)  # rows of the table of pieces; the last column closes it


@njit(cache=True, nogil=True)
def _split(pieces: Floats, count: int, mu: float) -> tuple[int, int]:
    """Let a piece start at mu if mu lies inside the row; returns (count, first piece not before mu)."""
    low, high = 0, count + 1
    while low < high:
        middle = (low + high) // 2
        if pieces[START, middle] < mu:
            low = middle + 1
        else:
            high = middle
    if low == 0 or low > count or pieces[START, low] == mu:
        return count, low
    for row in range(5):
        for k in range(count, low - 1, -1):
            pieces[row, k + 1] = pieces[row, k]
    x = mu - pieces[START, low - 1]
    pieces[START, low] = mu
    pieces[SQUARE, low] = pieces[SQUARE, low - 1]
    pieces[SLOPE, low] = pieces[SLOPE, low - 1] + 2.0 * pieces[SQUARE, low - 1] * x
    pieces[VALUE, low] = pieces[VALUE, low - 1] + x * (pieces[SLOPE, low - 1] + pieces[SQUARE, low - 1] * x)
    pieces[OWNER, low] = pieces[OWNER, low - 1]
    return count + 1, low


@njit(cache=True, nogil=True)
def _add(pieces: Floats, count: int, y: float, threshold: float, biweight: bool) -> int:
    """Add the loss of y to every piece; returns the number of pieces."""
    count, near = _split(pieces, count, y - threshold)
    count, far = _split(pieces, count, y + threshold)
    capped = threshold * threshold
    steep = 2.0 * threshold
    if biweight:
        for k in range(near):
            pieces[VALUE, k] += capped
        for k in range(far, count + 1):
            pieces[VALUE, k] += capped
    else:
        for k in range(near):
            pieces[VALUE, k] += steep * (y - pieces[START, k]) - capped
            pieces[SLOPE, k] -= steep
        for k in range(far, count + 1):
            pieces[VALUE, k] += steep * (pieces[START, k] - y) - capped
            pieces[SLOPE, k] += steep
    for k in range(near, far):
        step = pieces[START, k] - y
        pieces[SQUARE, k] += 1.0
        pieces[SLOPE, k] += 2.0 * step
        pieces[VALUE, k] += step * step
    return count


@njit(cache=True, nogil=True)
def _below(square: float, slope: float, above: float, above_end: float, width: float) -> tuple[float, float]:
    """Where a parabola that opens upward lies below 0 on [0, width]; low >= high: nowhere.

    ``above`` is its value at 0, ``above_end`` at width.
    """
    discriminant = slope * slope - 4.0 * square * above
    if above > 0.0 and (slope >= 0.0 or discriminant <= 0.0):
        return width, width
    root = np.sqrt(max(discriminant, 0.0))
    low, high = 0.0, width
    if above > 0.0:
        low = min(2.0 * above / (root - slope), width)
    if above_end > 0.0:
        if slope < 0.0:
            if square > 0.0:
                high = min((root - slope) / (2.0 * square), width)
        elif slope + root > 0.0:
            high = min(-2.0 * above / (slope + root), width)
        elif square > 0.0:  # touches 0 where it starts
            high = 0.0
    return low, high


@njit(cache=True, nogil=True)
def _put(
    pieces: Floats, count: int, start: float, square: float, slope: float, value: float, owner: float
) -> int:
    """Append a piece, in place of one without width; returns the number of pieces."""
    if count > 0 and pieces[START, count - 1] >= start:
        count -= 1
    pieces[START, count] = start
    pieces[SQUARE, count] = square
    pieces[SLOPE, count] = slope
    pieces[VALUE, count] = value
    pieces[OWNER, count] = owner
    return count + 1


@njit(cache=True, nogil=True)
def _admit(pieces: Floats, count: int, level: float, owner: int, out: Floats) -> int:
    """The row after a new candidate, constant at ``level``, took all above it; returns the number of pieces."""
    kept = 0
    flat = False  # whether the last piece in ``out`` is the new candidate's
    for k in range(count):
        start, end = pieces[START, k], pieces[START, k + 1]
        square, slope, value = pieces[SQUARE, k], pieces[SLOPE, k], pieces[VALUE, k]
        width = end - start
        low, high = 0.0, width
        if value > level or pieces[VALUE, k + 1] > level:
            low, high = _below(square, slope, value - level, pieces[VALUE, k + 1] - level, width)
        if (low > 0.0 or low >= high) and not flat:
            kept = _put(out, kept, start, 0.0, 0.0, level, owner)
            flat = True
        if low < high:
            slope += 2.0 * square * low
            kept = _put(out, kept, start + low, square, slope, min(value, level), pieces[OWNER, k])
            flat = high < width
            if flat:
                kept = _put(out, kept, min(start + high, end), 0.0, 0.0, level, owner)
    out[:, kept] = pieces[:, count]
    out[VALUE, kept] = min(level, out[VALUE, kept])
    return kept


@njit(cache=True, nogil=True)
def _least(pieces: Floats, count: int, tail: Floats, threshold: float, biweight: bool) -> tuple[float, int]:
    """Least of the row plus the losses of ``tail`` (ascending), and the candidate that has it."""
    capped = threshold * threshold
    mu = pieces[START, 0]
    square = slope = value = 0.0  # of the tail's parabola at mu: the row starts left of all samples' own
    for y in tail:
        value += capped if biweight else 2.0 * threshold * (y - mu) - capped
        slope -= 0.0 if biweight else 2.0 * threshold
    least = UNREACHABLE
    k = owner = entering = leaving = 0
    while k < count:
        end = pieces[START, k + 1]
        if entering < len(tail):
            end = min(end, tail[entering] - threshold)
        if leaving < len(tail):
            end = min(end, tail[leaving] + threshold)
        width = max(0.0, end - mu)
        x = mu - pieces[START, k]
        both = pieces[SQUARE, k] + square
        falling = pieces[SLOPE, k] + 2.0 * pieces[SQUARE, k] * x + slope
        total = pieces[VALUE, k] + x * (pieces[SLOPE, k] + pieces[SQUARE, k] * x) + value
        if falling < 0.0 and -falling < 2.0 * both * width:
            total -= falling * falling / (4.0 * both)
        if total < least:
            least = total
            owner = int(pieces[OWNER, k])
        value += width * (slope + square * width)
        slope += 2.0 * square * width
        mu = end
        while entering < len(tail) and tail[entering] - threshold <= mu:
            square += 1.0
            if biweight:
                slope -= 2.0 * threshold
            entering += 1
        while leaving < len(tail) and tail[leaving] + threshold <= mu:
            square -= 1.0
            if biweight:
                slope -= 2.0 * threshold
            leaving += 1
        if biweight and square == 0.0:  # no rounding is carried across a stretch far from all samples
            slope, value = 0.0, len(tail) * capped
        while k < count and pieces[START, k + 1] <= mu:
            k += 1
    total = pieces[VALUE, count] + value
    if total < least:
        least = total
        owner = int(pieces[OWNER, count - 1])
    return least, owner


@njit(cache=True, nogil=True)
def _slide(tail: Floats, old: float, new: float) -> None:
    """Replace one of the ascending numbers by another."""
    k = np.searchsorted(tail, old)
    while k + 1 < len(tail) and tail[k + 1] < new:
        tail[k] = tail[k + 1]
        k += 1
    while k > 0 and tail[k - 1] > new:
        tail[k] = tail[k - 1]
        k -= 1
    tail[k] = new


@njit(cache=True, nogil=True)
def robust_changes(values: Floats, penalty: float, min_size: int, threshold: float, biweight: bool) -> Ints:
    """Change points that minimise the segments' robust costs plus ``penalty`` per change point: exactly.

    Args:
        values: (n,) f8, finite, n >= min_size; centred, and without gaps wider than a few thresholds where the
            loss is the biweight one (``align.segmentation.functional`` sees to both).
        penalty: price of one more change point, >= 0.
        min_size: least samples of a segment, >= 1.
        threshold: K, > 0.
        biweight: True for the biweight loss, False for Huber's.

    Returns:
        (n_changes,) i8, ascending, in 1..n-1. O(n (p + min_size)) for p pieces: tens with the biweight loss,
        and about ``K^-1 sqrt(penalty x n)`` at most with Huber's, where nothing changes.
    """
    n = len(values)
    price = np.full(n + 1, UNREACHABLE)
    price[0] = 0.0
    before = np.zeros(
        n + 1, np.int64
    )  # where the last segment of the best segmentation of each prefix starts
    pieces, spare = np.zeros((5, 64)), np.zeros((5, 64))
    pieces[START, 0] = values.min() - threshold
    pieces[START, 1] = values.max() + threshold
    count = 1
    tail = np.sort(values[1:min_size])
    for t in range(min_size, n + 1):
        u = t - min_size + 1
        if 3 * count + 16 > pieces.shape[1]:
            wider = np.zeros((5, 6 * count + 32))
            wider[:, : count + 1] = pieces[:, : count + 1]
            pieces, spare = wider, np.zeros_like(wider)
        count = _add(pieces, count, values[u - 1], threshold, biweight)
        if t > min_size and min_size > 1:
            _slide(tail, values[u - 1], values[t - 1])
        least, before[t] = _least(pieces, count, tail, threshold, biweight)
        price[t] = least + penalty
        if price[u] < UNREACHABLE:
            count = _admit(pieces, count, price[u], u, spare)
            pieces, spare = spare, pieces
    changes = np.empty(n // min_size + 1, np.int64)
    n_changes = 0
    t = before[n]
    while t > 0:
        changes[n_changes] = t
        n_changes += 1
        t = before[t]
    return changes[:n_changes][::-1].copy()

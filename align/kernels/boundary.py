"""How real a boundary is: held-out effect sizes, nearest-mean classification, neighbours' votes.

Rows are blocks of a signal described by features of about unit noise (d columns). All scores leave contiguous
stretches out, since neighbouring blocks resemble each other.

Reference: contiguous folds as in Ermshaus, Schaefer & Leser 2025 (CLaP), section 4; effect size Cohen 1988,
section 2.2 (standardised mean difference), here on rows that had no part in choosing the direction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["best_split", "boundary_effect", "coverings", "neighbour_votes", "segment_scores"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDS = 4
CLASS_FOLDS = 5
SHRINK = 1 / 3  # of the covariance


@njit(cache=True, nogil=True)
def _sum_rows(rows: Floats, begin: int, end: int, out: Floats) -> None:
    out[:] = 0.0
    for i in range(begin, end):
        for c in range(rows.shape[1]):
            out[c] += rows[i, c]


@njit(cache=True, nogil=True)
def boundary_effect(rows: Floats, a: int, b: int, c: int) -> tuple[float, float, float, float]:
    """How far rows a..b and b..c lie apart.

    Both sides are cut into four contiguous quarters (fewer where there are fewer rows). For each quarter the
    direction that tells the sides apart best (Fisher's discriminant, its covariance shrunk by a third towards a
    multiple of the identity) is found without it and its neighbour rows; the effect is the difference, along
    that direction, of the left-out quarters' means over the sides' pooled standard deviation.

    Args:
        rows: (n, d).
        a, b, c: a < b < c <= n.

    Returns:
        the least effect of the quarters; their mean; the squared misfit that the boundary saves; the distance
        of the two means.
    """
    d = rows.shape[1]
    na, nb = b - a, c - b
    left, right = np.empty(d), np.empty(d)
    _sum_rows(rows, a, b, left)
    _sum_rows(rows, b, c, right)
    square = 0.0
    for k in range(d):
        step = left[k] / na - right[k] / nb
        square += step * step
    gain = square * na * nb / (na + nb)
    folds = min(FOLDS, na, nb)
    if folds < 2:
        return 0.0, 0.0, gain, np.sqrt(square)
    least, total = np.inf, 0.0
    direction = np.empty(d)
    out_left, out_right = np.empty(d), np.empty(d)
    within = np.empty((d, d))
    for f in range(folds):
        a0, a1 = a + na * f // folds, a + na * (f + 1) // folds
        b0, b1 = b + nb * f // folds, b + nb * (f + 1) // folds
        p0, p1, q0, q1 = max(a, a0 - 1), min(b, a1 + 1), max(b, b0 - 1), min(c, b1 + 1)
        if p1 - p0 == na:
            p0, p1 = a0, a1
        if q1 - q0 == nb:
            q0, q1 = b0, b1
        _sum_rows(rows, p0, p1, out_left)
        _sum_rows(rows, q0, q1, out_right)
        kept_left, kept_right = na - (p1 - p0), nb - (q1 - q0)
        for k in range(d):
            out_left[k] = (left[k] - out_left[k]) / kept_left
            out_right[k] = (right[k] - out_right[k]) / kept_right
            direction[k] = out_left[k] - out_right[k]
        within[:] = 0.0
        _add_scatter(rows, a, b, p0, p1, out_left, within)
        _add_scatter(rows, b, c, q0, q1, out_right, within)
        _discriminate(within, max(1, kept_left + kept_right - 2), direction)
        square_left, held_left = _along(rows, direction, a, b, a0, a1)
        square_right, held_right = _along(rows, direction, b, c, b0, b1)
        variance = (square_left + square_right) / max(1, na + nb - 2)
        effect = (held_left - held_right) / np.sqrt(max(variance, 1e-12))
        least = min(least, effect)
        total += effect
    return least, total / folds, gain, np.sqrt(square)


@njit(cache=True, nogil=True)
def _add_scatter(
    rows: Floats, begin: int, end: int, held: int, held_end: int, mean: Floats, out: Floats
) -> None:
    """Add the scatter about ``mean`` of rows begin..end without held..held_end; lower triangle only."""
    for i in range(begin, end):
        if held <= i < held_end:
            continue
        for p in range(rows.shape[1]):
            step = rows[i, p] - mean[p]
            for q in range(p + 1):
                out[p, q] += step * (rows[i, q] - mean[q])


@njit(cache=True, nogil=True)
def _discriminate(scatter: Floats, freedom: int, direction: Floats) -> None:
    """Turn the difference of two means into Fisher's direction, in place: solve with the shrunk covariance."""
    d = len(direction)
    trace = 0.0
    for p in range(d):
        trace += scatter[p, p]
    ridge = SHRINK * trace / d / freedom + 1e-9
    for p in range(d):  # Cholesky factor into the lower triangle
        for q in range(p + 1):
            total = (1.0 - SHRINK) * scatter[p, q] / freedom + (ridge if p == q else 0.0)
            for r in range(q):
                total -= scatter[p, r] * scatter[q, r]
            scatter[p, q] = np.sqrt(total) if p == q else total / scatter[q, q]
    for p in range(d):
        for r in range(p):
            direction[p] -= scatter[p, r] * direction[r]
        direction[p] /= scatter[p, p]
    for p in range(d - 1, -1, -1):
        for r in range(p + 1, d):
            direction[p] -= scatter[r, p] * direction[r]
        direction[p] /= scatter[p, p]


@njit(cache=True, nogil=True)
def _along(
    rows: Floats, direction: Floats, begin: int, end: int, held: int, held_end: int
) -> tuple[float, float]:
    """Rows begin..end projected: squared deviations from their mean, and the mean of held..held_end."""
    total, squares, held_total = 0.0, 0.0, 0.0
    for i in range(begin, end):
        at = 0.0
        for k in range(rows.shape[1]):
            at += direction[k] * rows[i, k]
        total += at
        squares += at * at
        if held <= i < held_end:
            held_total += at
    n = end - begin
    return squares - total * total / n, held_total / (held_end - held)


@njit(cache=True, nogil=True)
def best_split(rows: Floats, a: int, c: int, least: int) -> int:
    """The split of rows a..c that saves most squared misfit, -1 where no two parts of ``least`` rows fit.

    Args:
        rows: (n, d).
        a, c: range of rows.
        least: fewest rows of a part, >= 1.
    """
    d = rows.shape[1]
    total, left = np.empty(d), np.zeros(d)
    _sum_rows(rows, a, c, total)
    best, found = -1.0, -1
    for b in range(a + 1, c):
        for k in range(d):
            left[k] += rows[b - 1, k]
        na, nb = b - a, c - b
        if na < least or nb < least:
            continue
        gain = 0.0
        for k in range(d):
            step = left[k] / na - (total[k] - left[k]) / nb
            gain += step * step
        gain *= na * nb / (na + nb)
        if gain > best:
            best, found = gain, b
    return found


@njit(cache=True, nogil=True)
def segment_scores(rows: Floats, bounds: Ints) -> tuple[float, float, float, float, float]:
    """How well rows are told apart by segment: nearest mean, each fifth of a segment left out of its mean.

    Args:
        rows: (n, d).
        bounds: (n_segments + 1,) ascending, 0 and n included.

    Returns:
        accuracy; mean recall; least recall; worst confusion of two neighbouring segments; squared distance to
        the own mean so found over that to the common mean (1 for one segment, about; above 1 where the
        segments predict worse than none).
    """
    n_segments = len(bounds) - 1
    n, d = rows.shape
    sums = np.empty((n_segments, d))
    for s in range(n_segments):
        _sum_rows(rows, bounds[s], bounds[s + 1], sums[s])
    common = np.zeros(d)
    for s in range(n_segments):
        common += sums[s]
    common /= n
    total, own = 0.0, 0.0
    confusion = np.zeros((n_segments, n_segments))
    means = np.empty((n_segments, d))
    held = np.empty(d)
    for s in range(n_segments):
        size = bounds[s + 1] - bounds[s]
        folds = min(CLASS_FOLDS, size)
        for f in range(folds):
            begin = bounds[s] + size * f // folds
            end = bounds[s] + size * (f + 1) // folds
            for r in range(n_segments):
                means[r] = sums[r] / (bounds[r + 1] - bounds[r])
            _sum_rows(rows, begin, end, held)
            rest = size - (end - begin)
            means[s] = (sums[s] - held) / rest if rest > 0 else common
            for i in range(begin, end):
                nearest, found = np.inf, 0
                for r in range(n_segments):
                    square = 0.0
                    for k in range(d):
                        step = rows[i, k] - means[r, k]
                        square += step * step
                    if r == s:
                        own += square
                    if square < nearest:
                        nearest, found = square, r
                confusion[s, found] += 1
                for k in range(d):
                    step = rows[i, k] - common[k]
                    total += step * step
    right, recalls, least, worst = 0.0, 0.0, 1.0, 0.0
    for s in range(n_segments):
        recall = confusion[s, s] / (bounds[s + 1] - bounds[s])
        right += confusion[s, s]
        recalls += recall
        least = min(least, recall)
        if s + 1 < n_segments:
            mixed = confusion[s, s + 1] + confusion[s + 1, s]
            worst = max(worst, mixed / (confusion[s, s] + confusion[s + 1, s + 1] + mixed + 1e-9))
    return right / n, recalls / n_segments, least, worst, own / max(total, 1e-12)


@njit(cache=True, nogil=True)
def neighbour_votes(near: Ints, bounds: Ints) -> tuple[float, float, float, float]:
    """How far nearest neighbours lie in the same segment.

    Args:
        near: (n, k) from ``patterns.nearest``.
        bounds: (n_segments + 1,) ascending, 0 and n included.

    Returns:
        share of neighbours in the same segment; that less what chance gives; over the boundaries, the least
        and the mean macro F1 of a vote among the neighbours in the two segments (1 without boundaries; 0 mean).
    """
    n_segments = len(bounds) - 1
    n, k = near.shape
    segment = np.empty(n, np.int64)
    for s in range(n_segments):
        segment[bounds[s] : bounds[s + 1]] = s
    same = 0
    for i in range(n):
        for j in range(k):
            same += int(segment[near[i, j]] == segment[i])
    least, total, chance = 1.0, 0.0, 0.0
    for s in range(n_segments):
        chance += ((bounds[s + 1] - bounds[s]) / n) ** 2
        if s + 1 == n_segments:
            break
        true_left, said_left, true_right, said_right = 0, 0, 0, 0
        for i in range(bounds[s], bounds[s + 2]):
            votes, right = 0, 0
            for j in range(k):
                votes += int(s <= segment[near[i, j]] <= s + 1)
                right += int(segment[near[i, j]] == s + 1)
            is_right = segment[i] == s + 1
            says_right = 2 * right > votes if votes > 0 else not is_right
            said_right += int(says_right)
            said_left += int(not says_right)
            true_right += int(says_right and is_right)
            true_left += int(not says_right and not is_right)
        n_left, n_right = bounds[s + 1] - bounds[s], bounds[s + 2] - bounds[s + 1]
        score = true_left / (n_left + said_left) + true_right / (n_right + said_right)
        least = min(least, score)
        total += score
    share = same / (n * k)
    return share, share - chance, least, total / max(1, n_segments - 1)


@njit(cache=True, nogil=True)
def coverings(edges: Ints, starts: Ints) -> Floats:
    """Covering of each segmentation (row, as truth) by each other one (column).

    Args:
        edges: the boundaries of all segmentations of one run, one after another, 0 and n included.
        starts: (m + 1,) where each begins in ``edges``.

    Returns:
        (m, m) f8 in (0, 1]. O(m^2 n_segments).

    Reference: van den Burg & Williams 2020, arXiv 2003.06222, eq. 7.
    """
    m = len(starts) - 1
    out = np.empty((m, m))
    for i in range(m):
        n = edges[starts[i + 1] - 1]
        for j in range(m):
            total = 0.0
            first = starts[j]
            for a in range(starts[i], starts[i + 1] - 1):
                begin, end = edges[a], edges[a + 1]
                while edges[first + 1] <= begin:
                    first += 1
                best = 0.0
                b = first
                while b < starts[j + 1] - 1 and edges[b] < end:
                    common = min(end, edges[b + 1]) - max(begin, edges[b])
                    best = max(best, common / (end - begin + edges[b + 1] - edges[b] - common))
                    b += 1
                total += (end - begin) * best
            out[i, j] = total / n
    return out

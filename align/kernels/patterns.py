"""Patterns of a signal, and where they change: convolution counts, optimal partitions, nearest windows.

Reference: the convolutions are those of MiniRocket (Dempster, Schmidt & Webb 2021, KDD, section 3: kernels of
nine taps with weights -1 and three times 2); optimal partitions Jackson et al. 2005, IEEE SPL 12(2); the profile
of classification scores Ermshaus, Schaefer & Leser 2023, DMKD 37 (ClaSP), section 4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["convolution_quantiles", "nearest", "partitions", "rolling_range", "sign_counts", "split_profile"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TAPS = 9


@njit(cache=True, nogil=True)
def _mirrored(i: int, n: int) -> int:
    """Index i reflected at both ends into 0..n-1."""
    if i < 0:
        i = -i
    if i >= n:
        i = 2 * n - 2 - i
    return i


@njit(cache=True, nogil=True)
def convolution_quantiles(
    values: Floats, dilations: Ints, triples: Ints, at: Ints, quantiles: Floats
) -> Floats:
    """A quantile of each convolution's output over the given samples: the threshold that its signs compare with.

    Args:
        values: (n,) finite, n > 4 x the largest dilation.
        dilations: (n_dilations,) samples between taps, >= 1.
        triples: (n_triples, 3) which of the nine taps weigh 2; the others weigh -1.
        at: (m,) samples to look at.
        quantiles: (n_dilations * n_triples,) in [0, 1], dilation by dilation.

    Returns:
        (n_dilations * n_triples,) f8. O(n_dilations n_triples m log m).
    """
    n = len(values)
    out = np.empty(len(dilations) * len(triples))
    seen = np.empty(len(at))
    weights = np.empty(TAPS)
    f = 0
    for dilation in dilations:
        for q in range(len(triples)):
            weights[:] = -1.0
            for k in triples[q]:
                weights[k] = 2.0
            for p in range(len(at)):
                total = 0.0
                for k in range(TAPS):
                    total += weights[k] * values[_mirrored(at[p] + (k - 4) * dilation, n)]
                seen[p] = total
            out[f] = np.sort(seen)[int(quantiles[f] * (len(seen) - 1))]
            f += 1
    return out


@njit(cache=True, nogil=True)
def sign_counts(values: Floats, dilations: Ints, triples: Ints, thresholds: Floats, hop: int) -> Floats:
    """Share of samples in each hop at which each convolution lies above its threshold.

    Args:
        values: (n,) finite.
        dilations, triples: as in ``convolution_quantiles``.
        thresholds: (n_features,) from there.
        hop: samples per row, >= 1.

    Returns:
        (n // hop, n_features) f8 in [0, 1]. O(n n_features).
    """
    n = len(values)
    n_hops = n // hop
    out = np.empty((n_hops, len(thresholds)))
    total = np.empty(n)
    response = np.empty(n)
    f = 0
    for dilation in dilations:
        edge = 4 * dilation
        for i in range(n):
            total[i] = 0.0
            for k in range(TAPS):
                total[i] += values[_mirrored(i + (k - 4) * dilation, n)]
        for q in range(len(triples)):
            a = (triples[q, 0] - 4) * dilation
            b = (triples[q, 1] - 4) * dilation
            c = (triples[q, 2] - 4) * dilation
            for i in range(edge, n - edge):
                response[i] = 3.0 * (values[i + a] + values[i + b] + values[i + c]) - total[i]
            for j in range(min(2 * edge, n)):
                i = j if j < edge else n - 1 - (j - edge)
                taps = values[_mirrored(i + a, n)] + values[_mirrored(i + b, n)] + values[_mirrored(i + c, n)]
                response[i] = 3.0 * taps - total[i]
            threshold = thresholds[f]
            for h in range(n_hops):
                count = 0
                for i in range(h * hop, (h + 1) * hop):
                    count += int(response[i] > threshold)
                out[h, f] = count / hop
            f += 1
    return out


@njit(cache=True, nogil=True)
def partitions(sums: Floats, min_size: int, most: int) -> tuple[Floats, Ints]:
    """Optimal partitions of n rows into 1, 2, ... pieces under squared deviations from the pieces' means.

    Args:
        sums: (n + 1, d) prefix sums of the rows.
        min_size: fewest rows of a piece, >= 1.
        most: largest number of change points.

    Returns:
        (most + 1, n + 1) f8 least cost of the first t rows with k change points, inf where there is none, less
        the sum of squares; and the last change point (0 for none). O(n^2 (d + most)), n^2 f8 of memory.
    """
    n = sums.shape[0] - 1
    d = sums.shape[1]
    cost = np.full((n, n + 1), np.inf)
    for s in range(n):
        for t in range(s + min_size, n + 1):
            squares = 0.0
            for c in range(d):
                step = sums[t, c] - sums[s, c]
                squares += step * step
            cost[s, t] = -squares / (t - s)
    least = np.full((most + 1, n + 1), np.inf)
    last = np.zeros((most + 1, n + 1), np.int64)
    least[0] = cost[0]
    for k in range(1, most + 1):
        for s in range(k * min_size, n - min_size + 1):
            before = least[k - 1, s]
            for t in range(s + min_size, n + 1):
                value = before + cost[s, t]
                if value < least[k, t]:
                    least[k, t] = value
                    last[k, t] = s
    return least, last


@njit(cache=True, nogil=True)
def nearest(similarity: npt.NDArray[np.float32], exclude: int, n_neighbours: int) -> Ints:
    """The most similar other rows of each row, those close by left out.

    Args:
        similarity: (n, n) f4.
        exclude: rows at most this far away do not count, >= 0.
        n_neighbours: k, >= 1.

    Returns:
        (n, k) i8, most similar first, ties to the earlier; a row itself where there are too few. O(n^2).
    """
    n = similarity.shape[0]
    out = np.empty((n, n_neighbours), np.int64)
    best = np.empty(n_neighbours, np.float32)
    for i in range(n):
        best[:] = -np.inf
        out[i] = i
        for j in range(n):
            value = similarity[i, j]
            if value <= best[n_neighbours - 1] or abs(i - j) <= exclude:
                continue
            p = n_neighbours - 1
            while p > 0 and best[p - 1] < value:
                best[p] = best[p - 1]
                out[i, p] = out[i, p - 1]
                p -= 1
            best[p] = value
            out[i, p] = j
    return out


@njit(cache=True, nogil=True)
def split_profile(near: Ints, low: int, high: int, margin: int) -> Floats:
    """How well neighbours tell left from right, for every split of rows low..high: macro F1 of their votes.

    Each row votes by the majority of its neighbours within the range (left on a tie); a split at p calls rows
    before p left. Moving the split by one changes the votes of the rows that have that row as neighbour only.

    Args:
        near: (n, k) from ``nearest``.
        low, high: range of rows.
        margin: rows that a split leaves on either side at least.

    Returns:
        (high - low,) f8 in [0, 1]: the score of a split before that row; 0 within the margins. O((high - low) k).
    """
    m = high - low
    k = near.shape[1]
    starts = np.zeros(m + 1, np.int64)
    n_inside = np.zeros(m, np.int64)
    for i in range(low, high):
        for j in range(k):
            if low <= near[i, j] < high:
                starts[near[i, j] - low + 1] += 1
                n_inside[i - low] += 1
    for i in range(m):
        starts[i + 1] += starts[i]
    fill = starts[:m].copy()
    followers = np.empty(starts[m], np.int64)
    for i in range(low, high):
        for j in range(k):
            q = near[i, j] - low
            if 0 <= q < m:
                followers[fill[q]] = i - low
                fill[q] += 1
    n_right = n_inside.copy()
    votes_right = n_inside > 0
    scores = np.zeros(m)
    said_right = votes_right.sum()
    true_left, said_left, true_right = 0, m - said_right, said_right
    for split in range(1, m):
        moved = split - 1
        if votes_right[moved]:
            true_right -= 1
        else:
            true_left += 1
        for e in range(starts[moved], starts[moved + 1]):
            i = followers[e]
            n_right[i] -= 1
            if votes_right[i] and 2 * n_right[i] <= n_inside[i]:
                votes_right[i] = False
                said_right -= 1
                said_left += 1
                if i < split:
                    true_left += 1
                else:
                    true_right -= 1
        if margin <= split <= m - margin:
            left = 2.0 * true_left / (split + said_left)
            right = 2.0 * true_right / (m - split + said_right)
            scores[split] = 0.5 * (left + right)
    return scores


@njit(cache=True, nogil=True)
def rolling_range(values: Floats, width: int) -> Floats:
    """Largest less smallest value of every window.

    Args:
        values: (n,).
        width: samples, 1..n.

    Returns:
        (n - width + 1,) f8. O(n), by two queues of candidates (Lemire 2006).
    """
    n = len(values)
    out = np.empty(n - width + 1)
    high = np.empty(n, np.int64)
    low = np.empty(n, np.int64)
    h0 = h1 = l0 = l1 = 0
    for i in range(n):
        while h1 > h0 and values[high[h1 - 1]] <= values[i]:
            h1 -= 1
        while l1 > l0 and values[low[l1 - 1]] >= values[i]:
            l1 -= 1
        high[h1] = i
        low[l1] = i
        h1 += 1
        l1 += 1
        if high[h0] <= i - width:
            h0 += 1
        if low[l0] <= i - width:
            l0 += 1
        if i >= width - 1:
            out[i - width + 1] = values[high[h0]] - values[low[l0]]
    return out

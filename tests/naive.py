"""Slow twins of the kernels: each written straight from its definition, to compare with."""


# --- segmentation (align/kernels/pelt.py, align/kernels/lazy_bounds.py) ---------------------------------


def penalised_cost(values, changes, penalty):
    """Squared deviations from the segments' means, plus the penalty per change point: the definition."""
    from itertools import pairwise

    import numpy as np

    edges = [0, *(int(c) for c in changes), len(values)]
    cost = 0.0
    for begin, end in pairwise(edges):
        segment = np.asarray(values[begin:end], np.longdouble)
        cost += float(((segment - segment.mean(axis=0)) ** 2).sum())
    return cost + penalty * len(changes)


def least_penalised_cost(values, penalty, min_size):
    """The optimum over all segmentations, by dynamic programming without pruning, in extended precision.

    ``total[t] = min over s of total[s] + cost(s, t) + penalty``, total[0] = -penalty; O(n^2 d).
    """
    import numpy as np

    values = np.asarray(values, np.longdouble)
    values = values - values.mean(axis=0)
    zero = np.zeros((1, values.shape[1]), np.longdouble)
    sums = np.concatenate([zero, values.cumsum(axis=0)])
    squares = np.concatenate([[0.0], (values**2).sum(axis=1).cumsum()])
    n = len(values)
    total = np.full(n + 1, np.inf, np.longdouble)
    total[0] = -penalty
    for t in range(min_size, n + 1):
        s = np.arange(t - min_size + 1)
        cost = squares[t] - squares[s] - ((sums[t] - sums[s]) ** 2).sum(axis=1) / (t - s)
        total[t] = (total[s] + cost).min() + penalty
    return float(total[n])


# --- warping (align/kernels/dtw.py) ---------------------------------------------------------------------


def every_warping_path(n, m):
    """All warping paths from (0, 0) to (n - 1, m - 1), as tuples of pairs: the definition, for tiny sizes."""
    if (n, m) == (1, 1):
        return [((0, 0),)]
    before = [(n - 1, m - 1), (n - 1, m), (n, m - 1)]
    return [(*path, (n - 1, m - 1)) for i, j in before if i and j for path in every_warping_path(i, j)]


def dtw_totals(cost):
    """The table of smallest totals, straight from the recursion."""
    import numpy as np

    n, m = len(cost), len(cost[0])
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            total[i + 1, j + 1] = cost[i][j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[1:, 1:]


# --- clustering (align/kernels/kmeans.py) ---------------------------------------------------------------


def lloyd(points, start, max_iterations):
    """Assign, refill empty clusters with the farthest rows, average, until no label changes."""
    import numpy as np

    centroids, labels, inertias = np.array(start, float), None, []
    for _ in range(max_iterations):
        squares = ((points[:, None, :] - centroids[None, :, :]) ** 2).sum(axis=2)
        nearest = squares.argmin(axis=1)
        distances = squares[np.arange(len(points)), nearest]
        changed = labels is None or (nearest != labels).any()
        labels = nearest
        for k in range(len(centroids)):
            if k not in labels:
                gives = np.isin(labels, [c for c in range(len(centroids)) if (labels == c).sum() > 1])
                row = int(np.where(gives, distances, -1.0).argmax())
                labels[row], distances[row] = k, 0.0
        inertias.append(distances.sum())
        if not changed:
            break
        centroids = np.array([points[labels == k].mean(axis=0) for k in range(len(centroids))])
    return centroids, labels, np.array(inertias)


def seed_centroids(points, n_clusters, uniforms):
    """Greedy k-means++: of a few rows drawn by squared distance, the one that leaves the least."""
    import numpy as np

    chosen = [int(uniforms[0, 0] * len(points))]
    while len(chosen) < n_clusters:
        nearest = ((points[:, None, :] - points[None, chosen, :]) ** 2).sum(axis=2).min(axis=1)
        if not nearest.any():
            break
        drawn = [
            int(np.flatnonzero(nearest.cumsum() > u * nearest.cumsum()[-1])[0]) for u in uniforms[len(chosen)]
        ]
        left = [np.minimum(nearest, ((points - points[row]) ** 2).sum(axis=1)).sum() for row in drawn]
        chosen.append(drawn[int(np.argmin(left))])
    return points[chosen]


# --- placing notes (align/kernels/decode.py) ------------------------------------------------------------


def every_placement(n_notes, n, earliest, start=0):
    """All ways to give notes 0.. a stretch (a, b) in order from frame ``start`` on, or none: for tiny sizes."""
    if n_notes == 0:
        return [()]
    skipped = [(None, *rest) for rest in every_placement(n_notes - 1, n, earliest, start)]
    placed = [
        ((a, b), *rest)
        for b in range(start + 1, n + 1)
        for a in range(max(start, int(earliest[b])), b)
        for rest in every_placement(n_notes - 1, n, earliest, b)
    ]
    return skipped + placed


def placement_score(placement, prefix, durations, priors, skip):
    """The log weight of one placement, as the module's docstring defines it; -inf where a duration is barred."""
    total = 0.0
    for i, span in enumerate(placement):
        if span is None:
            total += skip[i]
            continue
        a, b = span
        if b - a >= len(durations[i]) or durations[i][b - a] <= -1e30:
            return float("-inf")
        centre, half, sd, floor, reach = priors[i]
        off = max(0.0, abs((a + b) / 2 - centre) - half - reach * (b - a) / 2)
        total += prefix[i][b] - prefix[i][a] + durations[i][b - a]
        total += max(-0.5 * (off / sd) ** 2, -floor) if sd > 0 else 0.0
    return total


def placement_posterior(prefix, durations, priors, skip, earliest):
    """Every possible placement with its log weight, and the log of the sum of the weights."""
    import numpy as np

    n_notes, n = len(prefix), len(prefix[0]) - 1
    scored = [
        (placement, placement_score(placement, prefix, durations, priors, skip))
        for placement in every_placement(n_notes, n, earliest)
    ]
    scored = [(placement, score) for placement, score in scored if np.isfinite(score)]
    return scored, float(np.logaddexp.reduce([score for _, score in scored]))


# --- sensor frames (align/kernels/frames.py) ------------------------------------------------------------


def window_statistics(values, first, last):
    """Mean, deviation, least, greatest, slope and mean step of each window and channel, from their formulas."""
    import numpy as np

    out = np.full((len(first), values.shape[1], 6), np.nan)
    for i, (low, high) in enumerate(zip(first, last, strict=True)):
        for c in range(values.shape[1]):
            window = np.asarray(values[low:high, c], np.longdouble)
            times = np.arange(low, high)[~np.isnan(window)]
            steps = np.abs(np.diff(window))
            steps = steps[~np.isnan(steps)]
            known = window[~np.isnan(window)]
            if not known.size:
                continue
            mean = known.mean()
            from_middle = times - times.mean()
            spread = (from_middle**2).sum()
            slope = (from_middle * (known - mean)).sum() / spread if spread else 0.0
            deviation = np.sqrt(((known - mean) ** 2).mean())
            step = steps.mean() if steps.size else 0.0
            out[i, c] = mean, deviation, known.min(), known.max(), slope, step
    return out


def band_powers(values, first, last, cosines, sines):
    """Squared length of each window's Fourier sum; the window sits in the middle of the tables."""
    import numpy as np

    out = np.full((len(first), values.shape[1], cosines.shape[1]), np.nan)
    for i, (low, high) in enumerate(zip(first, last, strict=True)):
        rows = (len(cosines) - (high - low)) // 2 + np.arange(high - low)
        for c in range(values.shape[1]):
            window = np.asarray(values[low:high, c], float)
            if np.isnan(window).all():
                continue
            centred = np.nan_to_num(window - np.nanmean(window), nan=0.0)
            out[i, c] = (centred @ cosines[rows]) ** 2 + (centred @ sines[rows]) ** 2
    return out

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

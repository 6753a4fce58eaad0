"""Slow twins of the kernels: each written straight from its definition, to compare with."""

import itertools
import math
import statistics

import numpy as np

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


# --- mean and variance (align/kernels/lazy_variance.py, align/kernels/variance.py) ----------------------


def variance_cost(values, begin, end):
    """Twice the negative log-likelihood of the best normal whose variance is 1 at least, less the constant."""
    import numpy as np

    cost = 0.0
    for channel in np.asarray(values, np.longdouble)[begin:end].T:
        squares = (channel - channel.mean()) ** 2
        variance = max(squares.mean(), 1.0)
        cost += (squares / variance + np.log(variance) - 1.0).sum()
    return cost


def least_variance_cost(values, penalty, min_size):
    """The optimum over all segmentations by dynamic programming without pruning, in extended precision."""
    import numpy as np

    values = np.asarray(values, np.longdouble)
    values = values - values.mean(axis=0)
    zero = np.zeros((1, values.shape[1]), np.longdouble)
    sums = np.concatenate([zero, values.cumsum(axis=0)])
    squares = np.concatenate([zero, (values**2).cumsum(axis=0)])
    n = len(values)
    total = np.full(n + 1, np.inf, np.longdouble)
    total[0] = -penalty
    for t in range(min_size, n + 1):
        s = np.arange(t - min_size + 1)[:, None]
        variance = (squares[t] - squares[s[:, 0]] - (sums[t] - sums[s[:, 0]]) ** 2 / (t - s)) / (t - s)
        cost = (t - s) * (np.log(np.maximum(variance, 1)) + np.minimum(variance, 1) - 1)
        total[t] = (total[s[:, 0]] + cost.sum(axis=1)).min() + penalty
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


def dtw_path_of(cost):
    """The cheapest path as a list of pairs: ties go to the diagonal, then up, then left, seen from the end."""
    total = dtw_totals(cost)
    i, j = len(cost) - 1, len(cost[0]) - 1
    path = [[i, j]]
    while i or j:
        steps = [(p, q) for p, q in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if p >= 0 and q >= 0]
        i, j = min(steps, key=lambda cell: total[cell])
        path.append([i, j])
    return path[::-1]


# --- clustering (align/kernels/kmeans.py, align/kernels/seeding.py) --------------------------------------


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


# --- placing notes (align/kernels/decode.py, align/matching/programme.py, align/matching/items.py) ----------
# ``runs`` are pairs (first edge, last edge) of unbroken data; a barred duration has a log weight below -1e29.


def time_prior(a, b, prior):
    """Log weight of a span's place under (centre, half width, deviation, floor, reach)."""
    centre, half, sd, floor, reach = prior
    off = max(0.0, abs((a + b) / 2 - centre) - half - reach * (b - a) / 2)
    return max(-0.5 * (off / sd) ** 2, -floor) if sd > 0 else 0.0


def spans_of(n, runs):
    """Every span of edges 0..n that lies within one run."""
    return [(a, b) for b in range(1, n + 1) for a in range(b) if any(r <= a and b <= e for r, e in runs)]


def span_scores(starts, durations, priors, runs, box, hole):
    """{(a, b): starts[a] + durations[b - a] + time priors}, of the box without the hole."""

    def within(a, b, area):
        return area[0] <= a <= area[1] and area[2] <= b <= area[3]

    out = {}
    for a, b in spans_of(len(starts) - 1, runs):
        barred = b - a >= len(durations) or durations[b - a] < -1e29 or starts[a] < -1e29
        if not barred and within(a, b, box) and not within(a, b, hole):
            out[a, b] = starts[a] + durations[b - a] + sum(time_prior(a, b, p) for p in priors)
    return out


def ordered_placements(durations, n, start=0):
    """In how many ways spans of these durations lie one behind the other in n frames."""
    if not durations:
        return 1
    starts = range(start, n - durations[0] + 1)
    return sum(ordered_placements(durations[1:], n, a + durations[0]) for a in starts)


def every_placement(n_notes, spans, share, start=0):
    """All ways to give notes in order a span from edge ``start`` on, or none, or the span of the note before.

    Spans never overlap, so equal neighbours mean one span that two notes share.
    """
    if n_notes == 0:
        return [()]
    out = [(None, *rest) for rest in every_placement(n_notes - 1, spans, share[1:], start)]
    for a, b in spans:
        if a >= start:
            out += [((a, b), *rest) for rest in every_placement(n_notes - 1, spans, share[1:], b)]
            if n_notes > 1 and share[0] > -1e29:
                rests = every_placement(n_notes - 2, spans, share[2:], b)
                out += [((a, b), (a, b), *rest) for rest in rests]
    return out


def _log_sum(rows):
    import numpy as np

    return float(np.logaddexp.reduce([row for row in rows if row > -1e29]))


def pair_durations(one, two):
    """Geometric mean of two rows of log weights; together they weigh as much as the heavier of the two."""
    both = [(x + y) / 2 if x > -1e29 and y > -1e29 else -1e30 for x, y in zip(one, two, strict=True)]
    if max(both) < -1e29:
        return both
    more = max(_log_sum(one), _log_sum(two)) - _log_sum(both)
    return [value + more if value > -1e29 else value for value in both]


def placement_score(placement, prefix, durations, priors, skip, share, gain, others=None, best=False):
    """The log weight of one placement, as the programme's docstring defines it; -inf where a duration is barred.

    ``others``: the log share of what each note's words say, and for each note (prefix sums, log durations) of
    what else it may mean; their sum counts, or with ``best`` the greatest.
    """
    total, i = 0.0, 0
    while i < len(placement):
        span = placement[i]
        if span is None:
            total, i = total + skip[i], i + 1
            continue
        a, b = span
        is_pair = i + 1 < len(placement) and placement[i + 1] == span
        if others is not None and not is_pair:
            own, meanings = others
            said = [(prefix[i], [own[i] + d if d > -1e29 else d for d in durations[i]]), *meanings[i]]
            found = [p[b] - p[a] + d[b - a] for p, d in said if b - a < len(d) and d[b - a] > -1e29]
            if not found:
                return float("-inf")
            total += max(found) if best else _log_sum(found)
            total += gain[a] + gain[b] + time_prior(a, b, priors[i])
            i += 1
            continue
        rows = pair_durations(durations[i], durations[i + 1]) if is_pair else durations[i]
        if b - a >= len(rows) or rows[b - a] < -1e29:
            return float("-inf")
        which = range(i, i + 1 + is_pair)
        total += sum(prefix[k][b] - prefix[k][a] for k in which) / len(which)
        total += rows[b - a] + gain[a] + gain[b] + (share[i] if is_pair else 0.0)
        total += sum(time_prior(a, b, priors[k]) for k in which)
        i += len(which)
    return total


def longest_gap(observed, span):
    """Frames without data one after the other within a span; infinite where it begins or ends without data."""
    inside = list(observed[span[0] : span[1]])
    if not (inside[0] and inside[-1]):
        return math.inf
    return max(len(list(same)) * (not seen) for seen, same in itertools.groupby(inside))


def placement_posterior(prefix, durations, priors, skip, share, gain, others, observed, usual):
    """Every possible placement with its log weight, and the log of the sum of the weights.

    A span has data at both ends, and no gap that is longer than its note ``usual``-ly lasts, in frames.
    """
    import numpy as np

    n = len(observed)
    spans = [s for s in spans_of(n, [(0, n)]) if longest_gap(observed, s) < math.inf]
    scored = [
        (placement, placement_score(placement, prefix, durations, priors, skip, share, gain, others))
        for placement in every_placement(len(prefix), spans, share)
        if all(s is None or longest_gap(observed, s) <= u for s, u in zip(placement, usual, strict=True))
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


# --- metrics (align/metrics/states.py, align/metrics/segmentation.py) -----------------------------------


def pair_by_pair_rand(truth, predicted, weight):
    """The weighted adjusted Rand index by a loop over all pairs of samples."""
    total = same_true = same_found = both = 0.0
    for s in range(len(truth)):
        for t in range(s + 1, len(truth)):
            w = weight[s] * weight[t]
            a, b = truth[s] == truth[t], predicted[s] == predicted[t]
            total += w
            same_true += w * a
            same_found += w * b
            both += w * (a and b)
    chance = same_true * same_found / total if total else 0.0
    most = (same_true + same_found) / 2
    return 1.0 if abs(most - chance) < 1e-9 * max(total, 1e-300) else (both - chance) / (most - chance)


def depth_weights(truth):
    """Distance of each sample's middle to the nearest true change, over its mean in the true segment."""
    n = len(truth)
    changes = [t for t in range(1, n) if truth[t] != truth[t - 1]]
    if not changes:
        return [1.0] * n
    depth = [min(abs(t + 0.5 - c) for c in changes) for t in range(n)]
    out = []
    for begin, end in zip([0, *changes], [*changes, n], strict=True):
        mean = sum(depth[begin:end]) / (end - begin)
        out += [d / mean for d in depth[begin:end]]
    return out


def most_agreeing_samples(truth, predicted):
    """Largest number of samples that agree under any one-to-one matching of states, by trying all."""
    from itertools import permutations

    true, found = sorted(set(truth)), sorted(set(predicted))
    found += [None] * max(0, len(true) - len(found))
    best = 0
    for chosen in permutations(found, len(true)):
        partner = dict(zip(chosen, true, strict=True))
        best = max(best, sum(partner.get(p) == t for t, p in zip(truth, predicted, strict=True)))
    return best


def tcpd_f1(annotators, predicted, margin):
    """F1 as van den Burg and Williams define it: every true point in turn takes its closest free prediction."""

    def found_of(points):
        free, count = {0, *predicted}, 0
        for point in sorted(points):
            near = min((abs(point - x), x) for x in free) if free else (margin + 1, 0)
            if near[0] <= margin:
                free.remove(near[1])
                count += 1
        return count

    marked = [{0, *a} for a in annotators]
    precision = found_of(set().union(*marked)) / len({0, *predicted})
    recall = sum(found_of(a) / len(a) for a in marked) / len(marked)
    return 2 * precision * recall / (precision + recall)


# --- functional pruning and robust losses (align/kernels/functional.py, robust.py, robust_sums.py) -------


def robust_losses(residuals, threshold, biweight):
    """min(r^2, K^2), or r^2 up to K and 2 K |r| - K^2 beyond: the definitions."""
    import numpy as np

    far = np.abs(residuals)
    if biweight:
        return np.minimum(far, threshold) ** 2
    return np.where(far <= threshold, far**2, 2 * threshold * far - threshold**2)


def least_robust_cost(segment, threshold, biweight):
    """Least sum of losses over all levels at which the sum's slope can be 0, by trying each; O(l^3).

    Between the places where a sample comes within reach or leaves it the sum is a parabola of the samples
    i..j-1 (in order) within reach; its lowest point is their mean, under Huber's loss shifted by the pull of the
    others.
    """
    import numpy as np

    y = np.sort(np.asarray(segment, np.longdouble))
    n = len(y)
    levels = [*y, *(y - threshold), *(y + threshold)]
    for i in range(n):
        for j in range(i + 1, n + 1):
            pull = 0 if biweight else threshold * ((n - j) - i)
            levels.append((y[i:j].sum() + pull) / (j - i))
    residuals = y[None, :] - np.array(levels)[:, None]
    return float(robust_losses(residuals, threshold, biweight).sum(axis=1).min())


def least_total(cost, n, penalty, min_size):
    """The optimum over all segmentations under any ``cost(s, t)``, by dynamic programming without pruning."""
    total = [-penalty] + [float("inf")] * n
    for t in range(min_size, n + 1):
        parts = [total[s] + cost(s, t) for s in range(t - min_size + 1) if total[s] < float("inf")]
        total[t] = min(parts) + penalty
    return total[n]


# --- costs of segments (align/segmentation/costs.py, align/kernels/segment_costs.py) --------------------


def segment_misfit(name, values, begin, end):
    """Cost of samples begin..end of a run (n, d), straight from its definition: what "costs.COSTS" promises."""
    import numpy as np

    values = np.asarray(values, float)
    if name in ("rank", "kernel"):
        return {"rank": _rank_misfit, "kernel": _kernel_misfit}[name](values, begin, end)
    single = {
        "l2": lambda run: ((run[begin:end] - run[begin:end].mean()) ** 2).sum(),
        "l1": lambda run: np.abs(run[begin:end] - np.median(run[begin:end])).sum(),
        "meanvar": lambda run: _floored_misfit(run, begin, end),
        "huber": lambda run: _robust_misfit(run, begin, end, 1.345, True),
        "biweight": lambda run: _robust_misfit(run, begin, end, 3.0, False),
        "poisson": lambda run: _poisson_misfit(run[begin:end]),
        "trend": lambda run: _residual(run[begin:end], [np.arange(end - begin)]),
        "ar": lambda run: _residual(run[begin:end], _lags(run, begin, end)),
        "categorical": lambda run: sum(
            k * np.log((end - begin) / k) for k in np.unique(run[begin:end], return_counts=True)[1]
        ),
    }[name]
    return float(sum(single(run) for run in values.T))


def _floored_misfit(run, begin, end):
    import numpy as np

    gaps = np.diff(np.unique(run))
    v = run[begin:end].var() / (gaps.min() ** 2 / 12) if gaps.size else 0.0
    return (end - begin) * (np.log(max(v, 1.0)) + min(v, 1.0) - 1.0)


def _robust_misfit(run, begin, end, threshold, is_huber):
    """The least loss over the levels that can have it: each balances a run of neighbours in order of size."""
    import numpy as np

    steps = np.abs(np.diff(run))
    noise = (np.median(steps) or steps.mean()) / 0.9538725524
    limit = threshold * noise if noise else 1.0
    x = np.sort(run[begin:end])
    losses = []
    for i in range(len(x)):
        for j in range(i + 1, len(x) + 1):
            pull = limit * ((len(x) - j) - i) if is_huber else 0.0
            r = np.abs(x - (x[i:j].sum() + pull) / (j - i))
            outside = 2 * limit * r - limit**2 if is_huber else limit**2
            losses.append(np.where(r <= limit, r**2, outside).sum())
    return min(losses)


def _poisson_misfit(x):
    import numpy as np

    rate = x.mean()
    return (rate - x * np.log(rate)).sum() if rate > 0 else 0.0


def _residual(x, columns):
    import numpy as np

    design = np.stack([np.ones(len(x)), *columns], axis=1)
    return ((x - design @ np.linalg.lstsq(design, x, rcond=1e-10)[0]) ** 2).sum()


def _lags(run, begin, end):
    import numpy as np

    index = np.arange(begin, end)
    return [run[np.maximum(index - lag, 0)] - run.mean() for lag in (1, 2)]


def _rank_misfit(values, begin, end):
    """n - N m' C^-1 m for the mean m of N centred ranks and the covariance C of all n."""
    import numpy as np

    ranks = np.array([[(x < v).sum() + ((x == v).sum() + 1) / 2 for v in x] for x in values.T]).T
    ranks -= ranks.mean(axis=0)
    inverse = np.linalg.pinv(ranks.T @ ranks / len(ranks), rcond=1e-9, hermitian=True)
    mean = ranks[begin:end].mean(axis=0)
    return -(end - begin) * float(mean @ inverse @ mean)


def kernel_values(values):
    """exp(-g |x - y|^2) for all pairs of up to 512 samples, g one over the median squared distance."""
    import numpy as np

    values = np.asarray(values, float)
    squares = ((values[:, None, :] - values[None, :, :]) ** 2).sum(axis=2)
    pairs = squares[np.triu_indices(len(values), 1)]
    return np.exp(-squares / (np.median(pairs) or pairs.mean() or 1.0))


def _kernel_misfit(values, begin, end):
    return (end - begin) - float(kernel_values(values)[begin:end, begin:end].sum()) / (end - begin)


def least_total_cost(cost, n, penalty, min_size):
    """The optimum over all segmentations by dynamic programming without pruning; ``cost(starts, end)`` (m,)."""
    import numpy as np

    total = np.full(n + 1, np.inf)
    total[0] = -penalty
    for t in range(min_size, n + 1):
        starts = np.arange(t - min_size + 1)
        total[t] = (total[starts] + cost(starts, t)).min() + penalty
    return float(total[n])


# --- inexact searches (align/segmentation/greedy.py, align/segmentation/moves.py) -----------------------
# ``cost(s, t)`` is the cost of samples s..t, t excluded; ``size`` the least samples of a segment.


def best_split(cost, s, t, size):
    """(gain, place) of the best split of s..t, or None where no two segments fit."""
    places = range(s + size, t - size + 1)
    return max(((cost(s, t) - cost(s, k) - cost(k, t), k) for k in places), default=None)


def split_best_first(cost, n, penalty, most, size):
    """Binary segmentation: of all segments split the one that gains most, at its best place."""
    from itertools import pairwise

    edges = [0, n]
    while len(edges) - 2 < most:
        splits = [best_split(cost, s, t, size) for s, t in pairwise(edges)]
        best = max((split for split in splits if split), default=(0.0, 0))
        if best[0] <= penalty:
            break
        edges = sorted([*edges, best[1]])
    return edges[1:-1]


def seeded_intervals(n):
    """Layers of seeded intervals, widest first, from the definition; decay 1 / sqrt(2), down to length 2."""
    import math

    layers, k = [], 1
    while (length := n * 2 ** (-(k - 1) / 2)) >= 2 - 1e-9:
        count = 2 * math.ceil(2 ** ((k - 1) / 2)) - 1
        shift = (n - length) / (count - 1) if count > 1 else 0.0
        begins = [i * shift for i in range(count)]
        layers.append([(math.floor(b + 1e-6), min(n, math.ceil(b + length - 1e-6))) for b in begins])
        k += 1
    return layers


def narrowest_over_threshold(cost, n, penalty, size):
    """From the narrowest layer on take the largest gain over the penalty whose interval holds nothing taken."""
    taken = []
    layers = seeded_intervals(n)
    layers = [layers[k] for k in range(len(layers)) if n * 2 ** (-k / 2) >= 2 * size]
    for layer in reversed(layers):
        splits = [(best_split(cost, s, t, size), s, t) for s, t in layer if t - s >= 2 * size]
        for (gain, k), s, t in sorted((x for x in splits if x[0]), key=lambda x: -x[0][0]):
            if gain > penalty and not any(s < c < t for c in taken):
                taken.append(k)
    return sorted(taken)


def window_peaks(cost, n, penalty, size):
    """Peaks of the gain of splitting a window in its middle, narrow windows first."""
    taken, half = [], size
    while 2 * half <= n:
        gain = {}
        for k in range(size, n - size + 1):
            s, t = max(0, k - half), min(n, k + half)
            gain[k] = cost(s, t) - cost(s, k) - cost(k, t)
        reach = max(half // 2, size - 1)
        peaks = [
            k
            for k in gain
            if gain[k] > penalty
            and all(gain[k] > gain[j] for j in range(k - reach, k) if j in gain)
            and all(gain[k] >= gain[j] for j in range(k + 1, k + reach + 1) if j in gain)
        ]
        taken += [k for k in peaks if not any(k - half < c < k + half for c in taken)]
        half *= 2
    return sorted(taken)


def join_cheapest_first(cost, n, changes):
    """Take the change point whose loss raises the cost least, until none is left: [(change point, rise)]."""
    edges, gone = [0, *changes, n], []
    while len(edges) > 2:
        rises = [
            (cost(a, c) - cost(a, b) - cost(b, c), b)
            for a, b, c in zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
        ]
        rise, change = min(rises)
        gone.append((change, rise))
        edges.remove(change)
    return gone


def improvements(cost, n, changes, penalty, size):
    """By how much each single shift, and each replacement of two neighbours by one, lowers the objective."""
    edges, found = [0, *changes, n], []
    for a, b, c in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        now = cost(a, b) + cost(b, c)
        found += [now - cost(a, k) - cost(k, c) for k in range(a + size, c - size + 1)]
        found.append(now + penalty - cost(a, c))
    for a, b, c, d in zip(edges[:-3], edges[1:-2], edges[2:-1], edges[3:], strict=True):
        now = cost(a, b) + cost(b, c) + cost(c, d) + penalty
        found += [now - cost(a, k) - cost(k, d) for k in range(a + size, d - size + 1)]
    return found


# --- CROPS (align/segmentation/crops.py) ----------------------------------------------------------------


def least_costs_by_count(cost, n, size):
    """(count, least cost) over all segmentations with that many change points, by dynamic programming."""
    total = {t: cost(0, t) for t in range(size, n + 1)}
    found, count = [(0, total[n])], 0
    while True:
        count += 1
        following = {}
        for t in range((count + 1) * size, n + 1):
            following[t] = min(total[s] + cost(s, t) for s in range(count * size, t - size + 1))
        if n not in following:
            return found
        total = following
        found.append((count, total[n]))


# --- patterns and boundaries: kernels/patterns.py, kernels/boundary.py


def convolution(values, dilation, triple):
    """One nine-tap convolution, the signal mirrored at both ends."""
    n = len(values)
    out = []
    for i in range(n):
        total = 0.0
        for k in range(9):
            j = i + (k - 4) * dilation
            j = -j if j < 0 else j
            j = 2 * n - 2 - j if j >= n else j
            total += (2.0 if k in triple else -1.0) * values[j]
        out.append(total)
    return np.array(out)


def best_partition(rows, min_size, n_changes):
    """Least squared misfit with so many change points, by trying all of them."""
    best = (np.inf, ())
    for changes in itertools.combinations(range(1, len(rows)), n_changes):
        edges = [0, *changes, len(rows)]
        if min(np.diff(edges)) < min_size:
            continue
        parts = [rows[a:b] for a, b in itertools.pairwise(edges)]
        best = min(best, (sum(float(((p - p.mean(axis=0)) ** 2).sum()) for p in parts), changes))
    return best


def nearest_rows(similarity, exclude, k):
    out = []
    for i, row in enumerate(similarity):
        others = [j for j in range(len(row)) if abs(i - j) > exclude]
        found = sorted(others, key=lambda j: (-row[j], j))[:k]
        out.append(found + [i] * (k - len(found)))
    return np.array(out)


def macro_f1(truth, said):
    scores = []
    for label in (0, 1):
        right = sum(t == s == label for t, s in zip(truth, said, strict=True))
        scores.append(2 * right / (list(truth).count(label) + list(said).count(label)))
    return sum(scores) / 2


def split_profile(near, low, high, margin):
    out = np.zeros(high - low)
    for split in range(max(1, margin), high - low - margin + 1):
        if split == high - low:
            continue
        said = []
        for i in range(low, high):
            inside = [j for j in near[i] if low <= j < high]
            said.append(int(2 * sum(j - low >= split for j in inside) > len(inside)))
        out[split] = macro_f1([int(i >= split) for i in range(high - low)], said)
    return out


def boundary_effect(rows, a, b, c):
    left, right = rows[a:b], rows[b:c]
    folds = min(4, len(left), len(right))
    effects = []
    for f in range(folds if folds > 1 else 0):
        held, kept = [], []
        for side in (left, right):
            m = len(side)
            begin, end = m * f // folds, m * (f + 1) // folds
            held.append(slice(begin, end))
            near = [i for i in range(m) if i < begin - 1 or i > end]
            kept.append(near or [i for i in range(m) if not begin <= i < end])
        direction = left[kept[0]].mean(axis=0) - right[kept[1]].mean(axis=0)
        scatter = sum(
            np.cov(side[k].T, bias=True).reshape(2 * side.shape[1:]) * len(k)
            for side, k in zip((left, right), kept, strict=True)
        )
        within = scatter / max(1, len(kept[0]) + len(kept[1]) - 2)
        d = len(direction)
        direction = np.linalg.solve(within * 2 / 3 + (np.trace(within) / 3 / d + 1e-9) * np.eye(d), direction)
        on_left, on_right = left @ direction, right @ direction
        squares = ((on_left - on_left.mean()) ** 2).sum() + ((on_right - on_right.mean()) ** 2).sum()
        sd = np.sqrt(max(squares / max(1, len(left) + len(right) - 2), 1e-12))
        effects.append((on_left[held[0]].mean() - on_right[held[1]].mean()) / sd)
    apart = float(((left.mean(axis=0) - right.mean(axis=0)) ** 2).sum())
    gain = apart * len(left) * len(right) / (len(left) + len(right))
    return (min(effects, default=0.0), float(np.mean(effects)) if effects else 0.0, gain, np.sqrt(apart))


def segment_scores(rows, bounds):
    parts = [rows[a:b] for a, b in itertools.pairwise(bounds)]
    k = len(parts)
    confusion = np.zeros((k, k))
    own = 0.0
    for s, part in enumerate(parts):
        folds = min(5, len(part))
        for f in range(folds):
            begin, end = len(part) * f // folds, len(part) * (f + 1) // folds
            rest = np.concatenate([part[:begin], part[end:]])
            means = [p.mean(axis=0) for p in parts]
            means[s] = rest.mean(axis=0) if len(rest) else rows.mean(axis=0)
            for row in part[begin:end]:
                squares = [float(((row - m) ** 2).sum()) for m in means]
                confusion[s, int(np.argmin(squares))] += 1
                own += squares[s]
    recall = np.diag(confusion) / confusion.sum(axis=1)
    worst = 0.0
    for s in range(k - 1):
        pair = confusion[s : s + 2, s : s + 2]
        worst = max(worst, (pair[0, 1] + pair[1, 0]) / (pair.sum() + 1e-9))
    total = float(((rows - rows.mean(axis=0)) ** 2).sum())
    return np.trace(confusion) / len(rows), recall.mean(), recall.min(), worst, own / max(total, 1e-12)


def neighbour_votes(near, bounds):
    segment = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    same = float(np.mean(segment[near] == segment[:, None]))
    chance = float(((np.diff(bounds) / len(near)) ** 2).sum())
    scores = []
    for s in range(len(bounds) - 2):
        truth, said = [], []
        for i in range(bounds[s], bounds[s + 2]):
            votes = [segment[j] - s for j in near[i] if s <= segment[j] <= s + 1]
            truth.append(int(segment[i] == s + 1))
            said.append(int(2 * sum(votes) > len(votes)) if votes else 1 - truth[-1])
        scores.append(macro_f1(truth, said))
    return same, same - chance, min(scores, default=1.0), float(np.mean(scores)) if scores else 0.0


# --- author clocks and orders (align/matching/pointing.py, author_clocks.py, orders.py, assignment.py) -----


def pointed_frames(odds, seen, duration, hop, reach):
    """Per frame the probability that a written time points to it: every stretch of four lengths, one by one."""
    import math

    n = len(odds)
    out = [0.0] * n
    for z in (-1.2, -0.4, 0.4, 1.2):
        log_length = min(duration[0] + z * duration[1] - math.log(hop), math.log(n))
        length = max(1, round(math.exp(max(log_length, 0.0))))
        share = max(1, round(reach * length))
        skipped = (length - share) // 2
        for a in range(n - length + 1):
            if all(seen[a : a + length]):
                weight = math.exp(sum(odds[a : a + length]))
                for t in range(a + skipped, a + skipped + share):
                    out[t] += weight / share
    total = sum(out)
    if total == 0.0:
        return [float(s) / max(1, sum(seen)) for s in seen]
    return [p / total for p in out]


def clock_log_likelihood(densities, times, shift, sd, misled):
    """Sum over notes of log(e + (1 - e) * (density blurred by a Gaussian at time + shift)), by a plain sum.

    ``densities``: per note a function of seconds, relative to chance.
    """
    import numpy as np

    step = sd / 20
    offsets = np.arange(-6 * sd, 6 * sd + step, step)
    weights = np.exp(-0.5 * (offsets / sd) ** 2)
    weights /= weights.sum()
    total = 0.0
    for density, time in zip(densities, times, strict=True):
        near = sum(w * density(time + shift + o) for o, w in zip(offsets, weights, strict=True))
        total += float(np.log(misled + (1 - misled) * near))
    return total


def allowed_orders(start, may_swap):
    """All orders in which every pair that may not be swapped stands as in ``start``."""
    import itertools

    place = {note: k for k, note in enumerate(start)}
    return [
        list(order)
        for order in itertools.permutations(start)
        if all(
            may_swap[order[i]][order[j]] or place[order[i]] < place[order[j]]
            for i in range(len(order))
            for j in range(i + 1, len(order))
        )
    ]


def most_worth(spans, scores, authors):
    """The highest total score of one candidate or none per note without conflict, over all choices."""
    import itertools

    best = 0.0
    for choice in itertools.product(*[range(-1, len(row)) for row in scores]):
        taken = [(*map(float, spans[i][c]), authors[i]) for i, c in enumerate(choice) if c >= 0]
        good = True
        for (a, b, one), (c, d, other) in itertools.combinations(taken, 2):
            shared = max(0.0, min(b, d) - max(a, c))
            agree = one != other and 2 * shared >= (b - a) + (d - c) - shared
            good &= agree or 2 * shared <= min(b - a, d - c)
        if good:
            best = max(best, sum(scores[i][c] for i, c in enumerate(choice) if c >= 0))
    return best


# --- many series (align/kernels/dtw_pairwise.py, dtw_search.py, dtw_average.py, dtw_open_ends.py) -----------


def band_total(a, b, ranges=None):
    """The DTW total of two series (n, d) and (m, d) with columns low <= j < high allowed in each row."""
    n, m = len(a), len(b)
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            if ranges is not None and not ranges[0][i] <= j < ranges[1][i]:
                continue
            cost = 0.0
            for c in range(a.shape[1]):
                cost += (a[i, c] - b[j, c]) * (a[i, c] - b[j, c])
            total[i + 1, j + 1] = cost + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[n, m]


def around(series, ranges):
    """Least and greatest value of each channel within each row's range: (2, rows, d)."""
    spans = [series[low:high] for low, high in zip(ranges[0], ranges[1], strict=True)]
    return np.array([[s.min(axis=0) for s in spans], [s.max(axis=0) for s in spans]])


def ways_into(series, envelope):
    """The sum of the squared ways of the rows of a series into its envelope."""
    return (np.maximum(np.maximum(series - envelope[1], envelope[0] - series), 0.0) ** 2).sum()


def normalised(window):
    """Mean 0 and population deviation 1; a constant one is 0."""
    if (window == window[0]).all():
        return np.zeros(len(window))
    return (window - window.mean()) / window.std()


def greedy_matches(totals, k, apart):
    """The best windows one after the other, each at least ``apart`` from those before: starts."""
    totals, starts = np.array(totals), []
    while len(starts) < k and np.isfinite(totals).any():
        starts.append(int(totals.argmin()))
        totals[max(0, starts[-1] - apart + 1) : starts[-1] + apart] = np.inf
    return starts


def averaged(series, weights, centre):
    """One round of barycentre averaging in which no two paths are equally cheap: the new centre and the cost."""
    sums, shares, cost = np.zeros(centre.shape), np.zeros(len(centre)), 0.0
    for one, weight in zip(series, weights, strict=True):
        squares = ((one[:, None] - centre[None]) ** 2).sum(axis=2)
        paths = every_warping_path(*squares.shape)
        totals = [sum(squares[pair] for pair in path) for path in paths]
        for i, j in paths[int(np.argmin(totals))]:
            sums[j] += weight * one[i]
            shares[j] += weight
        cost += weight * min(totals)
    return sums / shares[:, None], cost


# --- soft-DTW (align/kernels/soft_dtw.py, align/kernels/cuda_soft_dtw.py) --------------------------------


def soft_totals(cost, gamma):
    """Smooth minimum over the warping paths that end in each cell: cost + softmin of the three before it."""
    n, m = cost.shape
    totals = np.full((n + 1, m + 1), np.inf)
    totals[0, 0] = 0.0
    for d in range(n + m - 1):
        i = np.arange(max(0, d - m + 1), min(n - 1, d) + 1)
        j = d - i
        before = -np.stack([totals[i, j], totals[i, j + 1], totals[i + 1, j]]) / gamma
        most = before.max(axis=0)
        totals[i + 1, j + 1] = cost[i, j] - gamma * (most + np.log(np.exp(before - most).sum(axis=0)))
        totals[0, 0] = np.inf
    return totals[1:, 1:]


def soft_dtw(cost, gamma):
    """The smooth minimum over all paths, and each cell's share: of the paths through it, two halves that meet."""
    there = soft_totals(cost, gamma)
    back = soft_totals(cost[::-1, ::-1], gamma)[::-1, ::-1]
    return there[-1, -1], np.exp((there[-1, -1] - (there + back - cost)) / gamma)


def soft_dtw_of_paths(cost, gamma):
    """The definition: every warping path weighs exp(-its total / gamma)."""
    totals = np.array([sum(cost[i, j] for i, j in path) for path in every_warping_path(*cost.shape)])
    return -gamma * np.log(np.exp(-totals / gamma).sum())


# --- retrieval (align/metrics/retrieval.py) and occurrences (align/kernels/repeats.py) ---------------------


def rank_naive(scores, relevant):
    """Rank of the best right item; wrong ones with an equal score count half."""
    right = [s for s, r in zip(scores, relevant, strict=True) if r]
    if not right:
        return math.inf
    best = max(right)
    above = sum(1 for s in scores if s > best)
    return 1 + above + 0.5 * sum(1 for s, r in zip(scores, relevant, strict=True) if s == best and not r)


def average_precision_naive(scores, relevant):
    """Precision down to each right item and all that score as much, averaged over right items."""
    each = []
    for s, r in zip(scores, relevant, strict=True):
        if r:
            down = [other for value, other in zip(scores, relevant, strict=True) if value >= s]
            each.append(sum(down) / len(down))
    return sum(each) / len(each)


def macro_f1_naive(truth, answer):
    """F1 of each label that truth holds, averaged."""
    scores = []
    for label in set(truth):
        both = sum(1 for t, a in zip(truth, answer, strict=True) if t == label == a)
        precision = both / max(1, answer.count(label))
        recall = both / truth.count(label)
        scores.append(2 * precision * recall / (precision + recall) if both else 0.0)
    return sum(scores) / len(scores)


def repeats_naive(log_odds, durations, allowed, stay):
    """Every way to lay any number of spans side by side: (log sum, posterior of each span (a, b)).

    ``durations`` maps a length to its log weight; ``allowed(a, b)`` says whether a span may be there.
    """
    n = len(log_odds)

    def ways(edge):
        if edge == n:
            yield 0.0, ()
            return
        for weight, spans in ways(edge + 1):
            yield weight + stay, spans
        for length, log in durations.items():
            end = edge + length
            if end <= n and allowed(edge, end):
                for weight, spans in ways(end):
                    yield weight + log + sum(log_odds[edge:end]), ((edge, end), *spans)

    weights = list(ways(0))
    total = sum(math.exp(w) for w, _ in weights)
    posterior = {}
    for w, spans in weights:
        for span in spans:
            posterior[span] = posterior.get(span, 0.0) + math.exp(w) / total
    return math.log(total), posterior


# --- edit distances of series (align/kernels/edits.py) -----------------------------------------------------


def lcss_table(alike, allowed):
    """Longest common subsequences of all beginnings, from the textbook recursion."""
    import numpy as np

    n, m = alike.shape
    length = np.zeros((n + 1, m + 1), int)
    for i in range(n):
        for j in range(m):
            pair = length[i, j] + 1 if alike[i, j] and allowed[i, j] else 0
            length[i + 1, j + 1] = max(pair, length[i, j + 1], length[i + 1, j])
    return length[1:, 1:]


def edr_table(alike, allowed):
    """Edit distances of all beginnings: Chen, Özsu & Oria 2005, definition 2; barred pairs are never taken."""
    import numpy as np

    n, m = alike.shape
    total = np.add.outer(np.arange(n + 1), np.arange(m + 1))
    for i in range(n):
        for j in range(m):
            ways = [total[i, j + 1] + 1, total[i + 1, j] + 1]
            if allowed[i, j]:
                ways.append(total[i, j] + (not alike[i, j]))
            total[i + 1, j + 1] = min(ways)
    return total[1:, 1:]


# --- online detection (align/kernels/online.py, align/kernels/settled.py): helper M -------------------------


def greatest_saving(x, known):
    """What the best single change point of one channel saves, looked for at every place: (saving, place or -1)."""
    x = np.asarray([v for v in x if not np.isnan(v)], np.longdouble)
    best, where = 0.0, -1
    for s in range(0 if known else 1, len(x)):
        after = ((x[s:] - x[s:].mean()) ** 2).sum()
        if known:
            saving = (x[s:] ** 2).sum() - after
        else:
            saving = ((x - x.mean()) ** 2).sum() - ((x[:s] - x[:s].mean()) ** 2).sum() - after
        if saving > best:
            best, where = float(saving), s
    return best, where


# --- self-training


def chain_posteriors(log_odds, leave):
    """(n, k + 1) posterior of every state of a chain by the sum over all its paths; the last state has log odds 0."""
    n, k = len(log_odds), len(log_odds[0])
    leave = [min(0.5, p) for p in [*leave, sum(leave) / k]]
    total = np.zeros((n, k + 1))
    for path in itertools.product(range(k + 1), repeat=n):
        p = 1.0 / (k + 1)
        for t, state in enumerate(path):
            if t:
                p *= 1 - leave[path[t - 1]] if state == path[t - 1] else leave[path[t - 1]] / k
            p *= math.exp(log_odds[t][state]) if state < k else 1.0
        for t, state in enumerate(path):
            total[t, state] += p
    return total / total.sum(axis=1, keepdims=True)


def mahalanobis_by_column(rows, mean, axes, variances, there=None):
    """Root mean square deviation by column under N(mean, C), C having the variances along the axes and the last one
    along every other direction; of some columns alone: under their own part of C."""
    n = len(mean)
    c = float(variances[-1]) * np.eye(n)
    for axis, variance in zip(axes.astype(float), variances[:-1].astype(float), strict=True):
        c += (variance - float(variances[-1])) * np.outer(axis, axis)
    kept = np.arange(n) if there is None else np.flatnonzero(there)
    inverse = np.linalg.inv(c[np.ix_(kept, kept)])
    moved = (rows.astype(float) - mean)[:, kept]
    return np.array([math.sqrt(row @ inverse @ row / len(kept)) for row in moved])


def median_swing(rates, rate_sds, forces, hop):
    """Log of the median root mean square rate (rad/s) in the windows whose forces (standard deviations in g) exceed
    0.15 g together; NaN where these last less than 2 s."""
    turned = []
    for rate, sd, force in zip(rates, rate_sds, forces, strict=True):
        if math.sqrt(sum(f * f for f in force)) > 0.15:
            turned.append(math.sqrt(sum(r * r for r in rate) + sum(s * s for s in sd)))
    return math.log(statistics.median(turned)) if len(turned) * hop >= 2.0 else math.nan


def expected_edge(weights, edge, observed, most):
    """Mean of an edge and those a frame with data away from it, under weights by edge, at most so far from the edge."""
    known = {edge: weights.get(edge, 0.0)}
    if edge > 0 and observed[edge - 1]:
        known[edge - 1] = weights.get(edge - 1, 0.0)
    if edge < len(observed) and observed[edge]:
        known[edge + 1] = weights.get(edge + 1, 0.0)
    total = sum(known.values())
    mean = sum(k * w for k, w in known.items()) / total if total > 0 else edge
    return min(edge + most, max(edge - most, mean))


def quietened(mel, floor):
    """(n, 40) decibels below the loudest of their rows with steady noise brought down to a floor; the noise."""
    n, n_bands = len(mel), len(mel[0])
    power = [[10 ** (float(x) / 10) for x in row] for row in mel]
    loudness = [10 * math.log10(sum(row)) for row in power]
    noise = float(np.quantile(loudness, 0.05)) - max(loudness)
    totals = [sum(row) for row in power]
    levels = [sum(totals[min(max(j, 0), n - 1)] for j in range(i - 5, i + 6)) / 11 for i in range(n)]
    most = float(np.quantile(levels, 0.05))
    quiet = [row for row, level in zip(power, levels, strict=True) if level <= most]
    out = [[0.0] * n_bands for _ in range(n)]
    for b in range(n_bands):
        own = sum(row[b] for row in quiet) / len(quiet)
        for i in range(n):
            around = [power[min(max(j, 0), n - 1)][b] for j in range(i - 2, i + 3)]
            kept = max(1 - 2 * own / (sum(around) / 5), 10 ** ((floor - noise) / 10))
            out[i][b] = 10 * math.log10(power[i][b] * kept)
    loudest = max(10 * math.log10(sum(10 ** (x / 10) for x in row)) for row in out)
    return [[max(x - loudest, -80.0) for x in row] for row in out], noise


def foreground(spectra):
    """How far each spectrum is from a third of all others, beside how far the closest third is: 0 to 1."""
    n, n_bands = spectra.shape
    distances = []
    for i in range(n):
        apart = sorted(math.sqrt(sum((a - b) ** 2 for a, b in zip(spectra[i], other, strict=True)) / n_bands)
                       for other in spectra)  # fmt: skip
        distances.append(apart[int(n / 3)])
    usual = max(0.5, float(np.quantile(distances, 1 / 6)))
    return np.asarray([min(1.0, max(0.0, 2.0 * (d / usual - 1.0))) for d in distances])

"""How good states are: labels of samples against true labels, whatever the labels are called.

AMI asks how much one labelling says about the other; WARI asks it of pairs of samples, those near a true change
counting less; SMS matches the states one to one and prices each kind of error. All three are 1 for labels that
are equal up to renaming.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError

__all__ = [
    "PRICES",
    "StateMatch",
    "adjusted_mutual_information",
    "labels_of_samples",
    "state_match",
    "weighted_adjusted_rand",
]

Ints = npt.NDArray[np.int64]

#: What a wrong sample costs by the kind of its error: a change a little early or late is cheap, a spurious
#: state inside a segment is dear.
PRICES: Mapping[str, float] = MappingProxyType(
    {"delay": 0.1, "transition": 0.3, "missed": 0.5, "isolation": 0.8}
)


def labels_of_samples(boundaries: npt.ArrayLike, labels: npt.ArrayLike) -> npt.NDArray[Any]:
    """Each sample's label: the label of the segment it lies in.

    Args:
        boundaries: (n_segments + 1,) ascending sample indices, as ``Segmentation.boundaries``.
        labels: (n_segments,) one label per segment.

    Raises:
        ParameterError: boundaries that do not ascend, or another number of labels than segments.

    >>> labels_of_samples([0, 2, 5], [7, 1]).tolist()
    [7, 7, 1, 1, 1]
    """
    edges, names = np.asarray(boundaries, np.int64), np.asarray(labels)
    if edges.ndim != 1 or names.shape != (edges.size - 1,) or (np.diff(edges) < 0).any():
        got = (edges.shape, names.shape)
        raise ParameterError("boundaries, labels", got, "ascending (n + 1,) indices and (n,) labels")
    return np.repeat(names, np.diff(edges))


def adjusted_mutual_information(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Mutual information of two labellings, corrected for chance.

    ``(I - E[I]) / ((H(truth) + H(predicted)) / 2 - E[I])``, the expectation over all labellings with the same
    numbers of samples per label.

    Args:
        truth: (n,) one label per sample, of any type that sorts.
        predicted: (n,) likewise.

    Returns:
        at most 1, reached when equal up to renaming; 0 on average by chance, so it may be slightly negative.
        Symmetric. 0 where one of the two is a single label and the other is not.

    Raises:
        ParameterError: no sample, or different lengths.

    Reference: Vinh, Epps and Bailey 2010, JMLR 11, section 5 (AMI with the mean of the entropies); computed by
    scikit-learn. The score of the CLaP paper (Ermshaus, Schaefer and Leser 2025).
    """
    from sklearn.metrics import adjusted_mutual_info_score

    true, found = _codes(truth, predicted)
    return float(adjusted_mutual_info_score(true, found))


def weighted_adjusted_rand(truth: npt.ArrayLike, predicted: npt.ArrayLike, emphasis: float = 1.0) -> float:
    """WARI: the adjusted Rand index of samples that weigh the more the further they are from a true change.

    With w_t the weight of sample t, a pair of samples weighs w_s w_t. Let T be the weight of all pairs, A of
    those with one label in truth, B of those with one label in predicted, and C of those with both. The index
    is ``(C - A B / T) / ((A + B) / 2 - A B / T)``. Weights:
    ``w_t = 1 + emphasis * (d_t / mean of d over the true segment of t - 1)``, where d_t is the distance from the
    middle of sample t to the nearest true change (an edge of the series is none). Each true segment thus
    weighs as much as it is long, and with ``emphasis`` 0 this is the plain adjusted Rand index.

    Args:
        truth: (n,) one label per sample, of any type that sorts.
        predicted: (n,) likewise.
        emphasis: 0 to 1; how much position counts.

    Returns:
        at most 1, reached when equal up to renaming; about 0 by chance; 1 where no pair could differ.
        Not symmetric unless ``emphasis`` is 0: the weights come from truth.

    Raises:
        ParameterError: no sample, different lengths, or an emphasis outside 0 to 1.

    Reference: Chavelli, Boniol and Thomazo 2025, Toward interpretable evaluation measures for time series
    segmentation, arXiv:2510.23261, who define the index by weights that grow with the distance to a change.
    Departure: their weight function was not at hand. This one does not depend on the sampling rate and lets no
    long segment outweigh its length, so figures may differ from theirs; compare only figures made here.
    """
    if not 0.0 <= emphasis <= 1.0:
        raise ParameterError("emphasis", emphasis, "0 to 1")
    true, found = _codes(truth, predicted)
    weight = 1.0 + emphasis * (_depth(true) - 1.0)
    squares = weight * weight
    cell = true * (found.max() + 1) + found
    total = _pair_weight(np.zeros_like(true), weight, squares)
    same_true, same_found = _pair_weight(true, weight, squares), _pair_weight(found, weight, squares)
    both = _pair_weight(np.unique(cell, return_inverse=True)[1], weight, squares)
    if total <= 0.0:
        return 1.0
    chance = same_true * same_found / total
    most = (same_true + same_found) / 2
    if most - chance <= 1e-12 * total:  # both put all samples together, or both put all apart
        return 1.0
    return float((both - chance) / (most - chance))


def _pair_weight(group: Ints, weight: Floats, squares: Floats) -> float:
    """Sum of w_s w_t over the pairs s < t of one group; a group of one sample has none, to the last bit."""
    sums, own = np.bincount(group, weight), np.bincount(group, squares)
    return float(np.where(np.bincount(group) > 1, sums * sums - own, 0.0).sum() / 2)


def _depth(codes: Ints) -> Floats:
    """Distance of each sample's middle to the nearest change of code, over its mean in the segment."""
    changes = np.flatnonzero(np.diff(codes)) + 1
    if changes.size == 0:
        return np.ones(codes.size)
    middle = np.arange(codes.size) + 0.5
    segment = np.searchsorted(changes, middle)
    before = middle - changes[np.maximum(segment - 1, 0)]
    after = changes[np.minimum(segment, changes.size - 1)] - middle
    distance = np.where(
        segment == 0, after, np.where(segment == changes.size, before, np.minimum(before, after))
    )
    mean = np.bincount(segment, distance) / np.bincount(segment)
    return np.asarray(distance / mean[segment])


@dataclass(frozen=True, slots=True)
class StateMatch:
    """States matched one to one: the shares of samples by kind of error, and the score, 1 minus their price.

    Attributes:
        score: SMS, in [0, 1]; 1 without error.
        delay: share of samples that carry the state from across the nearest true change: it was cut early or late.
        transition: share next to a true change with a state that is on neither side of it.
        missed: share in true segments of which no sample is right.
        isolation: share of wrong samples inside a true segment, away from its changes.
    """

    score: float
    delay: float
    transition: float
    missed: float
    isolation: float


def state_match(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, prices: Mapping[str, float] = PRICES
) -> StateMatch:
    """SMS, the state matching score: ``1 - sum over wrong samples of the price of their error / n``.

    Predicted states are matched to true ones, each to at most one, so that most samples agree; a sample is
    wrong when its state's partner is not its true state. A stretch of wrong samples with one true and one
    predicted state is, the first that holds: "missed" when no sample of its true segment is right; "delay" when
    it touches a true change and its partner is the true state behind that change; "transition" when it touches
    a true change; "isolation" otherwise.

    Args:
        truth: (n,) one label per sample, of any type that sorts.
        predicted: (n,) likewise.
        prices: price in [0, 1] of a sample for each of the four kinds.

    Returns:
        the score and the shares of the four kinds. The score is 1 when equal up to renaming, in [0, 1], and not
        symmetric: changes are those of truth.

    Raises:
        ParameterError: no sample, different lengths, or prices without all four kinds in [0, 1].

    Reference: Chavelli, Boniol and Thomazo 2025, arXiv:2510.23261, who name the four kinds of error and price
    them. Departures: their text was not at hand for the corner cases (a segment that is wrong throughout but
    with several states; ties), which are settled as said above; the default prices are ours to the extent that
    theirs differ. Ties between matchings go to the states that appear first.
    """
    if set(prices) != set(PRICES) or any(not 0.0 <= p <= 1.0 for p in prices.values()):
        raise ParameterError("prices", dict(prices), f"{sorted(PRICES)}, each 0 to 1")
    true, found = _codes(truth, predicted)
    shape = (int(true.max()) + 1, int(found.max()) + 1)
    table = np.bincount(true * shape[1] + found, minlength=shape[0] * shape[1]).reshape(shape)
    partner = _partners(table)
    wrong = _wrong_samples(true, found, partner)
    shares = {kind: count / true.size for kind, count in wrong.items()}
    score = 1.0 - sum(prices[kind] * share for kind, share in shares.items())
    return StateMatch(score=min(1.0, max(0.0, score)), **shares)


def _partners(table: Ints) -> Ints:
    """(n_columns,) the row matched to each column, -1 for none: one to one, with the largest total.

    The Hungarian method (Kuhn 1955) by shortest augmenting paths, O(k^3): row after row looks for the cheapest
    chain of columns that change hands, at prices (``u`` of rows, ``v`` of columns) that make no pair a bargain.
    """
    n_rows, n_columns = table.shape
    size = max(n_rows, n_columns)
    cost = np.zeros((size, size))
    cost[:n_rows, :n_columns] = -table
    u, v = np.zeros(size), np.zeros(size + 1)
    owner = np.full(size + 1, -1, np.int64)  # the last column is where a new row starts from
    for row in range(size):
        owner[size], column = row, size
        least, before = np.full(size, np.inf), np.full(size, size, np.int64)
        done = np.zeros(size + 1, np.bool_)
        while owner[column] >= 0:
            done[column] = True
            slack = np.where(done[:size], np.inf, cost[owner[column]] - u[owner[column]] - v[:size])
            before[slack < least] = column
            least = np.minimum(least, slack)
            nearest = int(np.argmin(np.where(done[:size], np.inf, least)))
            step = least[nearest]
            u[owner[done]] += step
            v[done] -= step
            least[~done[:size]] -= step
            column = nearest
        while column != size:
            owner[column] = owner[before[column]]
            column = int(before[column])
    found = owner[:n_columns]
    return np.where(found < n_rows, found, -1)


def _wrong_samples(true: Ints, found: Ints, partner: Ints) -> dict[str, int]:
    """Wrong samples by kind of error, one stretch of constant (true, found) after the other."""
    n = true.size
    starts = np.flatnonzero(np.r_[True, (np.diff(true) != 0) | (np.diff(found) != 0)])
    ends = np.append(starts[1:], n)
    changes = np.r_[0, np.flatnonzero(np.diff(true)) + 1, n]
    segment = np.searchsorted(changes, starts, side="right") - 1
    right = partner[found[starts]] == true[starts]
    rights = np.bincount(segment, right, minlength=changes.size - 1)
    wrong = dict.fromkeys(PRICES, 0)
    for k in np.flatnonzero(~right):
        begin, end = changes[segment[k]], changes[segment[k] + 1]
        behind = [true[begin - 1]] if 0 < begin == starts[k] else []
        behind += [true[end]] if n > end == ends[k] else []
        if not rights[segment[k]]:
            kind = "missed"
        elif partner[found[starts[k]]] in behind:
            kind = "delay"
        else:
            kind = "transition" if behind else "isolation"
        wrong[kind] += int(ends[k] - starts[k])
    return wrong


def _codes(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[Ints, Ints]:
    """Both labellings as integers from 0 in order of first appearance, so that names decide nothing."""
    true, found = np.asarray(truth), np.asarray(predicted)
    if true.ndim != 1 or true.size == 0 or true.shape != found.shape:
        got = (true.shape, found.shape)
        raise ParameterError("truth, predicted", got, "one label per sample in both, at least one")
    return _by_appearance(true), _by_appearance(found)


def _by_appearance(labels: npt.NDArray[Any]) -> Ints:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(first.size)
    return rank[inverse]

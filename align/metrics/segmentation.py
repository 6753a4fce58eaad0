"""How good change points are against one or more annotators: covering and F1 with a margin.

Reference: van den Burg and Williams, An evaluation of change point detection algorithms, arXiv:2003.06222
(2020), section 4.2: covering (after Arbelaez et al. 2010) and the F-measure with a margin of error.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError

__all__ = ["change_point_f1", "covering"]

Indices = npt.NDArray[np.int64]


def covering(annotators: Sequence[npt.ArrayLike], predicted: npt.ArrayLike, n_samples: int) -> float:
    """Area-weighted best overlap: 1 when the segments are those of the annotators.

    For one annotator's segments G and predicted segments G': ``1 / n * sum over A in G of |A| * max over A'
    in G' of |A & A'| / |A | A'|``; averaged over annotators.

    Args:
        annotators: one array of change points per annotator (a single truth is a list of one array).
        predicted: change points: first samples of new segments, in any order.
        n_samples: length of the series; change points lie in 1 .. n_samples - 1.

    Returns:
        A number in (0, 1].

    Raises:
        ParameterError: no annotator, or a change point out of range.

    >>> covering([[50]], [], 100)
    0.5
    """
    _check_annotators(annotators)
    cut = _edges(predicted, n_samples, "predicted")
    return float(np.mean([_cover(_edges(a, n_samples, "annotators"), cut) for a in annotators]))


def _cover(truth: Indices, cut: Indices) -> float:
    """Cost: one row of overlaps per true segment, memory linear in the predicted ones."""
    begin, end = cut[:-1], cut[1:]
    total = 0.0
    for first, last in pairwise(truth):
        low, high = np.searchsorted(end, first, side="right"), np.searchsorted(begin, last, side="left")
        b, e = begin[low:high], end[low:high]  # the segments that touch [first, last)
        overlap = np.minimum(e, last) - np.maximum(b, first)
        union = (e - b) + (last - first) - overlap
        total += (last - first) * float((overlap / union).max())
    return total / float(truth[-1])


def change_point_f1(annotators: Sequence[npt.ArrayLike], predicted: npt.ArrayLike, margin: int = 5) -> float:
    """F1 of change points, counted as found within ``margin`` samples.

    A true and a predicted change point may pair up when they are at most ``margin`` apart, each at most
    once; TP is the largest number of such pairs. Precision = TP(union of annotators) / predicted; recall =
    mean over annotators of TP(annotator) / annotator's points; F1 their harmonic mean. As in the reference,
    index 0 counts as a change point of everyone, so that no division is by zero.

    Args:
        annotators: one array of change points per annotator.
        predicted: change points: first samples of new segments, in any order.
        margin: samples, >= 0.

    Raises:
        ParameterError: no annotator, a negative margin or a negative change point.

    Departure: the reference pairs each true point with its closest prediction, in order; the largest pairing
    used here never counts fewer.

    >>> change_point_f1([[50]], [52], margin=5), round(change_point_f1([[50]], [], margin=5), 3)
    (1.0, 0.667)
    """
    _check_annotators(annotators)
    if margin < 0:
        raise ParameterError("margin", margin, "samples >= 0")
    found = _with_zero(predicted, "predicted")
    marked = [_with_zero(a, "annotators") for a in annotators]
    precision = _pairs(np.unique(np.concatenate(marked)), found, margin) / found.size
    recall = float(np.mean([_pairs(a, found, margin) / a.size for a in marked]))
    return 2.0 * precision * recall / (precision + recall)


def _pairs(truth: Indices, found: Indices, margin: int) -> int:
    """Largest number of pairs within the margin: the earliest possible partner first is optimal here,
    because all intervals of allowed partners have the same width."""
    count = i = j = 0
    while i < truth.size and j < found.size:
        if found[j] < truth[i] - margin:
            j += 1
        elif found[j] > truth[i] + margin:
            i += 1
        else:
            count, i, j = count + 1, i + 1, j + 1
    return count


def _check_annotators(annotators: Sequence[npt.ArrayLike]) -> None:
    if not len(annotators) or any(np.ndim(a) != 1 for a in annotators):
        raise ParameterError("annotators", f"{len(annotators)} entries", "a list of one array per annotator")


def _edges(points: npt.ArrayLike, n_samples: int, name: str) -> Indices:
    inner = np.unique(np.asarray(points, dtype=np.int64))
    if n_samples < 1 or (inner.size and not 0 < inner[0] <= inner[-1] < n_samples):
        raise ParameterError(name, f"{inner.size} change points", f"indices in 1 .. {n_samples - 1}")
    return np.concatenate([[0], inner, [n_samples]])


def _with_zero(points: npt.ArrayLike, name: str) -> Indices:
    inner = np.unique(np.asarray(points, dtype=np.int64))
    if inner.size and inner[0] < 0:
        raise ParameterError(name, int(inner[0]), "indices >= 0")
    return np.union1d(np.zeros(1, np.int64), inner)

"""How good rankings and classifications are: recall at k, mean reciprocal rank, average precision, macro-F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.clock import span_iou
from align.datatypes import Floats
from align.errors import ParameterError

__all__ = [
    "RetrievalScores",
    "best_ranks",
    "found_spans",
    "macro_f1",
    "mean_reciprocal_rank",
    "recall_at",
    "score_retrieval",
]

AT = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """One way of retrieval, over the queries that have something to find; NaN without such a query.

    Attributes:
        n_queries: that have something to find.
        n_items: searched in.
        recall: share of the queries with a right item among the first k, for k of ``AT``.
        mrr: mean of 1 / rank of the first right item.
        mean_average_precision: mean over queries of the average precision of the whole ranking.
    """

    n_queries: int
    n_items: int
    recall: tuple[float, ...]
    mrr: float
    mean_average_precision: float

    def as_dict(self) -> dict[str, object]:
        """Plain JSON values, null for NaN."""
        shares = {f"recall_at_{k}": value for k, value in zip(AT, self.recall, strict=True)}
        shares |= {"mrr": self.mrr, "mean_average_precision": self.mean_average_precision}
        found = {key: value if np.isfinite(value) else None for key, value in shares.items()}
        return {"n_queries": self.n_queries, "n_items": self.n_items, **found}


def score_retrieval(scores: npt.ArrayLike, relevant: npt.ArrayLike) -> RetrievalScores:
    """All figures of one matrix of scores.

    Args:
        scores: (n_queries, n_items) higher is better, not NaN.
        relevant: (n_queries, n_items) booleans.

    Raises:
        ParameterError: shapes that differ, or NaN.
    """
    value, right = _checked(scores, relevant)
    asked = right.any(axis=1)
    value, right = value[asked], right[asked]
    ranks = best_ranks(value, right)
    precisions = [_average_precision(v, r) for v, r in zip(value, right, strict=True)]
    return RetrievalScores(
        n_queries=len(value),
        n_items=value.shape[1],
        recall=tuple(recall_at(ranks, k) for k in AT),
        mrr=mean_reciprocal_rank(ranks),
        mean_average_precision=float(np.mean(precisions)) if precisions else float("nan"),
    )


def best_ranks(scores: npt.ArrayLike, relevant: npt.ArrayLike) -> Floats:
    """(n_queries,) the rank of the best right item, from 1; inf for a query without one.

    Equal scores count half: an item ranks behind those with a higher score and half of those with its own that are
    wrong, so that a constant score gets the rank of chance.

    Args:
        scores: (n_queries, n_items) higher is better, not NaN.
        relevant: (n_queries, n_items) booleans.

    Raises:
        ParameterError: shapes that differ, or NaN.

    >>> best_ranks([[0.9, 0.5, 0.1]], [[False, True, True]]).tolist()
    [2.0]
    """
    value, right = _checked(scores, relevant)
    best = np.where(right, value, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    above = (value > best).sum(axis=1)
    equal = ((value == best) & ~right).sum(axis=1)
    return np.where(right.any(axis=1), 1.0 + above + 0.5 * equal, np.inf)


def recall_at(ranks: npt.ArrayLike, k: int) -> float:
    """Share of the queries with a right item among the first k; NaN without queries.

    Args:
        ranks: (n,) as ``best_ranks`` gives them.
        k: 1 or more.

    >>> recall_at([1.0, 3.0, 12.0], 5)
    0.6666666666666666
    """
    found = np.asarray(ranks, np.float64) <= k
    return float(found.mean()) if found.size else float("nan")


def mean_reciprocal_rank(ranks: npt.ArrayLike) -> float:
    """Mean of 1 / rank; a query that finds nothing counts 0; NaN without queries.

    Args:
        ranks: (n,) >= 1, as ``best_ranks`` gives them.

    References:
        Voorhees, TREC-8 question answering track report, 1999, section 3.

    >>> mean_reciprocal_rank([1.0, 2.0])
    0.75
    """
    given = np.asarray(ranks, np.float64)
    return float((1.0 / given).mean()) if given.size else float("nan")


def _average_precision(scores: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Mean over right items of the precision at their ranks; equal scores form one step.

    Every right item of a step gets the precision at the step's end, the least that any order within it could give.
    """
    order = np.argsort(-scores, kind="stable")
    value, hit = scores[order], right[order]
    ends = np.searchsorted(-value, -value, side="right")  # items down to the end of each one's step
    precision = np.cumsum(hit)[ends - 1] / ends
    return float(precision[hit].mean())


def macro_f1(truth: Sequence[object], answer: Sequence[object]) -> float:
    """Mean over the labels that occur in truth of their F1 = 2 TP / (2 TP + FP + FN); NaN without rows.

    Args:
        truth: (n,) labels.
        answer: (n,) labels; one that never occurs in truth is only ever wrong.

    Raises:
        ParameterError: lengths differ.

    >>> macro_f1(["a", "a", "b"], ["a", "b", "b"])
    0.6666666666666666
    """
    wanted, given = np.asarray(truth, object), np.asarray(answer, object)
    if wanted.shape != given.shape or wanted.ndim != 1:
        raise ParameterError("truth, answer", (wanted.shape, given.shape), "(n,) both")
    if not wanted.size:
        return float("nan")
    scores = []
    for label in sorted(set(wanted.tolist()), key=str):
        is_it, said = wanted == label, given == label
        scores.append(2.0 * float((is_it & said).sum()) / float(is_it.sum() + said.sum()))
    return float(np.mean(scores))


def found_spans(found: npt.ArrayLike, truth: npt.ArrayLike, least: float = 0.5) -> npt.NDArray[np.int64]:
    """(n_found,) which true span each one found is, by an intersection over union of at least ``least``; -1: none.

    Better ones choose first, and each true span is found once.

    Args:
        found: (n_found, 2) seconds, best first.
        truth: (n_true, 2) seconds.
        least: above 0.

    >>> found_spans([[0, 10], [1, 10], [40, 50]], [[0, 10], [30, 35]]).tolist()
    [0, -1, -1]
    """
    given = np.asarray(found, np.float64).reshape(-1, 2)
    wanted = np.asarray(truth, np.float64).reshape(-1, 2)
    out = np.full(len(given), -1, np.int64)
    free = np.ones(len(wanted), np.bool_)
    for i, span in enumerate(given):
        if not free.any():
            break
        iou = np.where(free, span_iou(np.broadcast_to(span, wanted.shape), wanted), 0.0)
        best = int(iou.argmax())
        if iou[best] >= least:
            out[i], free[best] = best, False
    return out


def _checked(scores: npt.ArrayLike, relevant: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    value, right = np.asarray(scores, np.float64), np.asarray(relevant, np.bool_)
    if value.ndim != 2 or value.shape != right.shape:
        raise ParameterError("scores, relevant", (value.shape, right.shape), "(n_queries, n_items) both")
    if np.isnan(value).any():
        raise ParameterError("scores", "NaN", "numbers")
    return value, right

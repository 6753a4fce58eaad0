"""Retrieval's figures against plain loops, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError
from align.metrics.retrieval import (
    best_ranks,
    found_spans,
    macro_f1,
    mean_reciprocal_rank,
    recall_at,
    score_retrieval,
)
from tests.naive import average_precision_naive, macro_f1_naive, rank_naive

matrices = st.integers(0, 10_000).map(np.random.default_rng)


def drawn(rng: np.random.Generator, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(rng.integers(1, 9, 2))
    scores = (
        rng.integers(0, 4, shape).astype(float)
        if ties
        else rng.permuted(np.arange(float(np.prod(shape)))).reshape(shape)
    )
    return scores, rng.random(shape) < 0.4


@given(rng=matrices, ties=st.booleans())
def test_ranks_and_precision_against_loops(rng: np.random.Generator, ties: bool) -> None:
    scores, relevant = drawn(rng, ties=ties)
    ranks = best_ranks(scores, relevant)
    wanted = [rank_naive(s.tolist(), r.tolist()) for s, r in zip(scores, relevant, strict=True)]
    assert ranks.tolist() == wanted
    found = score_retrieval(scores, relevant)
    asked = [w for w in wanted if w < math.inf]
    assert (found.n_queries, found.n_items) == (len(asked), scores.shape[1])
    if asked:
        assert found.mrr == pytest.approx(sum(1 / w for w in asked) / len(asked))
        assert found.recall == tuple(sum(w <= k for w in asked) / len(asked) for k in (1, 5, 10))
        each = [
            average_precision_naive(s.tolist(), r.tolist())
            for s, r in zip(scores, relevant, strict=True)
            if r.any()
        ]
        assert found.mean_average_precision == pytest.approx(np.mean(each))


def test_a_constant_score_has_the_rank_of_chance() -> None:
    relevant = np.zeros((1, 9), bool)
    relevant[0, 3] = True
    assert best_ranks(np.zeros((1, 9)), relevant).tolist() == [5.0]


def test_a_ranking_by_hand() -> None:
    found = score_retrieval([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]], [[0, 1, 0, 1], [0, 0, 0, 1]])
    assert (found.recall, found.mrr) == ((0.5, 1.0, 1.0), 0.75)
    assert found.mean_average_precision == pytest.approx((0.5 + 1.0) / 2)
    assert found.as_dict()["recall_at_5"] == 1.0


def test_nothing_to_find() -> None:
    found = score_retrieval(np.zeros((2, 3)), np.zeros((2, 3), bool))
    assert (found.n_queries, found.as_dict()["mrr"], found.as_dict()["recall_at_1"]) == (0, None, None)
    assert math.isnan(recall_at([], 1)) and math.isnan(mean_reciprocal_rank([]))
    assert best_ranks(np.zeros((2, 0)), np.zeros((2, 0), bool)).tolist() == [math.inf] * 2


@pytest.mark.parametrize(
    ("scores", "relevant"), [([1.0], [True]), ([[1.0, 2.0]], [[True]]), ([[float("nan")]], [[True]])]
)
def test_scores_that_cannot_be(scores: object, relevant: object) -> None:
    with pytest.raises(ParameterError):
        score_retrieval(scores, relevant)  # type: ignore[arg-type]


@given(rng=matrices)
def test_macro_f1_against_a_loop(rng: np.random.Generator) -> None:
    n = int(rng.integers(1, 30))
    truth, answer = (["abcd"[i] for i in rng.integers(0, most, n)] for most in (3, 4))
    assert macro_f1(truth, answer) == pytest.approx(macro_f1_naive(truth, answer))
    assert macro_f1(truth, truth) == 1.0


def test_macro_f1_of_nothing_and_of_unequal_lengths() -> None:
    assert math.isnan(macro_f1([], []))
    with pytest.raises(ParameterError):
        macro_f1(["a"], [])


def test_a_true_span_is_found_once_by_the_best_hit() -> None:
    truth = [[0.0, 10.0], [20.0, 30.0]]
    hits = [[19.0, 30.0], [1.0, 10.0], [0.0, 10.0], [24.0, 40.0]]
    assert found_spans(hits, truth).tolist() == [1, 0, -1, -1]
    assert found_spans(hits, []).tolist() == [-1] * 4 and found_spans([], truth).tolist() == []
    assert found_spans([[0.0, 20.0]], truth).tolist() == [0]  # exactly one half counts

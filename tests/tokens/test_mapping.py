"""align/tokens/mapping.py: the mapping of a permuted book is the permutation; kept ids give the same tokens."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import Codebook
from align.errors import ParameterError
from align.tokens import describe_segments, fit_codebook, tokenize
from align.tokens.codebook import code_rows
from align.tokens.mapping import keep_ids, map_by_distance, map_by_number, map_by_overlap
from tests.tokens.kinds import KINDS, recording

PAIR = recording([*KINDS] * 6, 3)
ROWS = describe_segments(*PAIR)[0]
BOOK = fit_codebook([PAIR], n_codes=6)


def permuted(book: Codebook, order: list[int]) -> Codebook:
    return dataclasses.replace(
        book, centroids=book.centroids[order], names=tuple(book.names[i] for i in order)
    )


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(BOOK.names))))
def test_the_mapping_of_a_permuted_book_is_the_permutation(order):
    other = permuted(BOOK, order)
    for mapping in (map_by_distance(BOOK, other), map_by_overlap(BOOK, other, ROWS)):
        assert mapping.pairs.tolist() == [[code, order.index(code)] for code in range(len(order))]
        assert mapping.gone.size == mapping.fresh.size == 0
        assert mapping.is_identity == (order == sorted(order))
    kept = keep_ids(BOOK, other, map_by_distance(BOOK, other))
    assert kept.hash == BOOK.hash and kept.names == BOOK.names


def test_of_a_book_with_itself_distances_are_0_and_overlaps_1():
    assert map_by_distance(BOOK, BOOK).measure.tolist() == [0.0] * 6
    assert map_by_overlap(BOOK, BOOK, ROWS).measure.tolist() == [1.0] * 6


def test_columns_may_stand_in_another_order_and_the_scale_may_differ():
    order = np.arange(len(BOOK.features))[::-1]
    scale = BOOK.scale[order] * np.float32(2.0)
    shift = BOOK.shift[order] - np.float32(1.0)
    natural = BOOK.centroids * BOOK.scale + BOOK.shift
    other = Codebook(
        (natural[:, order] - shift) / scale, shift, scale, tuple(BOOK.features[i] for i in order), BOOK.names
    )
    mapping = map_by_distance(BOOK, other)
    assert mapping.is_identity and mapping.measure.max() < 1e-4
    assert keep_ids(BOOK, other, mapping).features == BOOK.features


def test_tokens_stay_the_same_next_month():
    month, next_month = recording([*KINDS] * 6, 1), recording([*KINDS] * 6, 2)
    old, new = (fit_codebook([m], n_codes=3) for m in (month, next_month))
    shuffled = permuted(new, [2, 0, 1])
    kept = keep_ids(old, shuffled, map_by_distance(old, shuffled))
    ours, theirs = tokenize(*next_month, old), tokenize(*next_month, kept)
    assert (ours.codes == theirs.codes).mean() > 0.8
    assert (ours.codes == tokenize(*next_month, shuffled).codes).mean() < 0.5
    assert kept.names == old.names


def test_a_code_that_is_gone_keeps_its_place_and_a_fresh_one_gets_a_new_number():
    features = ("x.mean",)
    one, zero = np.ones(1), np.zeros(1)
    old = Codebook(np.array([[0.0], [10.0], [20.0]]), zero, one, features, ("a0 low", "a1 mid", "a2 high"))
    new = Codebook(np.array([[-5.0], [0.1], [5.05]]), zero + 10, one * 2, features, ("a0 p", "a1 q", "a2 r"))
    # in the old scale: 0, 10.2, 20.1; then a book in which 20 is gone and 100 fresh
    assert map_by_distance(old, new).is_identity
    lost = dataclasses.replace(new, centroids=np.array([[-5.0], [0.1], [45.0]]))
    mapping = map_by_distance(old, lost)
    assert mapping.pairs.tolist() == [[0, 0], [1, 1], [2, 2]]  # 100 is nearest to 20: the old book says a2
    extra = Codebook(np.array([[-5.0], [0.1], [0.4]]), zero + 10, one * 2, features, ("a0 p", "a1 q", "a2 r"))
    mapping = map_by_distance(old, extra)
    assert (mapping.pairs.tolist(), mapping.gone.tolist(), mapping.fresh.tolist()) == (
        [[0, 0], [1, 1]],
        [2],
        [2],
    )
    kept = keep_ids(old, extra, mapping)
    assert kept.names == ("a0 low", "a1 mid", "a2 high", "a3 r")
    natural = kept.centroids * kept.scale + kept.shift
    np.testing.assert_allclose(natural.ravel(), [0.0, 10.2, 20.0, 10.8], rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
def test_each_code_is_in_one_pair_or_left_over_and_kept_ids_serve_all(k, m, seed):
    old, new = fit_codebook([PAIR], n_codes=k), fit_codebook([recording([*KINDS] * 5, seed)], n_codes=m)
    for mapping in (map_by_distance(old, new), map_by_overlap(old, new, ROWS)):
        assert sorted([*mapping.pairs[:, 0], *mapping.gone]) == list(range(len(old.names)))
        assert sorted([*mapping.pairs[:, 1], *mapping.fresh]) == list(range(len(new.names)))
        kept = keep_ids(old, new, mapping)
        assert len(kept.names) == len(old.names) + mapping.fresh.size
        assert len(set(kept.names)) == len(kept.names)


def test_of_two_versions_codes_of_one_number_are_the_same():
    new = fit_codebook([recording([*KINDS] * 5, 8)], n_codes=8)
    kept = keep_ids(BOOK, new, map_by_overlap(BOOK, new, ROWS))
    mapping = map_by_number(BOOK, kept)
    assert mapping.pairs.tolist() == [[i, i] for i in range(6)] and mapping.gone.size == 0
    assert mapping.fresh.tolist() == list(range(6, len(kept.names)))
    assert map_by_number(BOOK, BOOK).measure.tolist() == [0.0] * 6
    with pytest.raises(ParameterError):
        map_by_number(BOOK, fit_codebook([PAIR], n_codes=2))


def test_overlap_counts_seconds_not_segments():
    features, one = ("x.mean",), np.ones(1)
    old = Codebook(np.array([[0.0], [10.0]]), 0 * one, one, features, ("a0 l", "a1 h"))
    new = Codebook(np.array([[0.0], [4.0]]), 0 * one, one, features, ("a0 l", "a1 h"))
    rows = np.array([[0.0], [4.0], [10.0]], np.float32)
    mapping = map_by_overlap(old, new, rows, [10.0, 70.0, 20.0])
    # old codes: 80 s, 20 s; new ones: 10 s, 90 s; shared: 10, 70 / 0, 20. Best sum: 10/80 + 20/90.
    assert mapping.pairs.tolist() == [] or mapping.measure.min() >= 0.25
    total = {(0, 1): 70 / 100, (1, 0): 0.0, (0, 0): 10 / 80, (1, 1): 20 / 90}
    assert mapping.pairs.tolist() == [[0, 1]] and mapping.measure.tolist() == [total[0, 1]]


def test_books_of_other_features_and_no_rows_are_refused():
    other = dataclasses.replace(BOOK, features=("q.mean", *BOOK.features[1:]))
    with pytest.raises(ParameterError, match="2 features that only one"):
        map_by_distance(BOOK, other)
    with pytest.raises(ParameterError):
        map_by_overlap(BOOK, BOOK, ROWS[:0])
    assert code_rows(ROWS[:0], BOOK)[0].shape == (0,)

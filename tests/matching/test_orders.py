"""align/matching/orders.py: which notes may change places, and the best order among those."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import Evidence
from align.datatypes import Note, NoteTime
from align.errors import ParameterError
from align.matching.author_clocks import AuthorClock
from align.matching.orders import best_order, start_order, swappable
from tests import naive


def evidence_of(lag_sd=10.0):
    nothing = np.zeros((4, 0), np.float32)
    return Evidence(nothing, 0.5, 0, np.ones(4, bool), np.zeros((0, 2)), "test", lag_sd=lag_sd)


def at(seconds, author="", half=0.0):
    time = None if seconds is None else NoteTime(seconds - half, seconds, seconds + half)
    return Note("x", time, author)


# --- which notes may change places


@pytest.mark.parametrize(
    ("first", "second", "may"),
    [
        (at(100.0), at(110.0), False),  # one author: the order written
        (at(110.0), at(100.0), False),  # a small inversion means nothing
        (at(400.0), at(100.0), True),  # a clash: one of the two is wrong
        (at(None), at(None), False),
        (at(100.0, "ann"), at(110.0, "ben"), True),
        (at(100.0, "ann"), at(160.0, "ben"), False),  # 4 deviations of a difference are 57 s
        (at(100.0, "ann"), at(155.0, "ben"), True),
        (at(100.0, "ann", half=30.0), at(160.0, "ben", half=30.0), True),  # intervals that touch
        (at(100.0, "ann", half=20.0), at(160.0, "ben", half=20.0), False),
        (at(100.0, "ann"), at(None, "ben"), True),
        (at(400.0, "ann"), at(100.0, "ben"), False),  # the times say who comes first
    ],
)
def test_pairs_that_may_change_places(first, second, may):
    assert swappable([first, second], evidence_of()).tolist() == [[False, may], [may, False]]


def test_clocks_bring_two_authors_together_or_apart():
    notes = [at(100.0, "ann"), at(520.0, "ben")]
    assert not swappable(notes, evidence_of())[0, 1]
    assert swappable(notes, evidence_of(), {"ben": AuthorClock(-420.0, 10.0)})[0, 1]


TIMES = st.none() | st.floats(0, 400)


@st.composite
def note_lists(draw):
    rows = draw(
        st.lists(
            st.tuples(TIMES, st.sampled_from(["", "ann", "ben"]), st.sampled_from([0.0, 20.0])), max_size=7
        )
    )
    return [at(*row) for row in rows]


@given(note_lists())
def test_the_relation_is_symmetric_and_nobody_swaps_with_himself(notes):
    may = swappable(notes, evidence_of())
    assert may.shape == (len(notes),) * 2 and (may == may.T).all() and not may.diagonal().any()


# --- where to begin


@given(note_lists())
def test_every_note_starts_once_and_times_in_place_change_no_authors_order(notes):
    start = start_order(notes, evidence_of())
    assert sorted(start) == list(range(len(notes)))
    may = swappable(notes, evidence_of())
    for author in {note.author for note in notes}:
        own = [i for i in start if notes[i].author == author]
        if not may[np.ix_(own, own)].any():
            assert own == sorted(own)


@pytest.mark.parametrize(
    ("notes", "start"),
    [
        ([], []),
        ([at(None), at(None)], [0, 1]),
        ([at(10.0, "ann"), at(200.0, "ann"), at(100.0, "ben")], [0, 2, 1]),
        ([at(200.0, "ann"), at(190.0, "ann"), at(195.0, "ben")], [2, 0, 1]),  # ann's order stands
        ([at(100.0, "ann"), at(None, "ann"), at(300.0, "ben")], [0, 1, 2]),
        ([at(100.0, "ben"), at(100.0, "ann"), at(100.0, "ben")], [0, 1, 2]),  # N04: equal times as written
        ([at(500.0), at(20.0)], [1, 0]),  # one author's clash goes by the times, as in decoding_order
    ],
)
def test_authors_are_merged_by_their_times(notes, start):
    assert start_order(notes, evidence_of()) == start


# --- the best order


@st.composite
def problems(draw, most=6):
    """A relation from authors' blocks or at random, and a score that depends on who follows whom."""
    n = draw(st.integers(0, most))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    may = np.triu(rng.random((n, n)) < draw(st.sampled_from([0.0, 0.3, 0.6, 1.0])), 1)
    if draw(st.booleans()):
        author = rng.integers(0, 3, n)
        may = np.triu(author[:, None] != author, 1)
    weights = rng.normal(size=(n, n, 2))
    start = rng.permutation(n).tolist()

    def score_of(order):
        near = sum(weights[a, b, 0] for a, b in pairwise(order))
        return near + sum(weights[a, k, 1] for k, a in enumerate(order))

    return start, may | may.T, score_of


@given(problems())
@settings(max_examples=60, deadline=None)
def test_up_to_six_notes_get_the_best_of_all_allowed_orders(problem):
    start, may, score_of = problem
    best = best_order(start, may, score_of)
    allowed = naive.allowed_orders(start, may)
    assert best in allowed
    assert score_of(best) == pytest.approx(max(map(score_of, allowed)))


@given(problems(most=9), st.sampled_from([1, 2, 10, 100]))
@settings(max_examples=60, deadline=None)
def test_a_limited_search_is_never_worse_than_the_start(problem, most):
    start, may, score_of = problem
    scored = []

    def counted(order):
        scored.append(tuple(order))
        return score_of(order)

    best = best_order(start, may, counted, most)
    assert len(scored) == len(set(scored)) <= most
    assert score_of(best) >= score_of(start) - 1e-9
    place = {note: k for k, note in enumerate(best)}
    for i, a in enumerate(start):
        for b in start[i + 1 :]:
            assert may[a, b] or place[a] < place[b]


@given(problems(most=7))
@settings(max_examples=30, deadline=None)
def test_no_better_order_is_one_note_away(problem):
    start, may, score_of = problem
    if len(naive.allowed_orders(start, may)) <= 400:  # the search is exhaustive there
        return
    best = best_order(start, may, score_of, 400)
    scored = {}
    best = best_order(best, may, lambda order: scored.setdefault(tuple(order), score_of(order)), 400)
    if len(scored) < 400:
        assert score_of(best) == max(scored.values())
        for k in range(len(best) - 1):
            if may[best[k], best[k + 1]]:
                swapped = [*best[:k], best[k + 1], best[k], *best[k + 2 :]]
                assert score_of(swapped) <= score_of(best) + 1e-9


def test_two_long_lists_are_merged_in_few_steps():
    """20 and 20 notes of two authors: the start is off by one note each, the score knows their true places."""
    true = np.random.default_rng(0).permutation(40)
    first, second = sorted(true[:20]), sorted(true[20:])
    author = np.isin(np.arange(40), second)
    may = author[:, None] != author
    start = list(range(40))
    for k in range(0, 39, 3):
        if may[k, k + 1]:
            start[k], start[k + 1] = k + 1, k
    assert start != list(range(40)) and len(first) == 20
    found = best_order(start, may, lambda order: -sum(abs(k - i) for k, i in enumerate(order)))
    assert found == list(range(40))


def test_nothing_is_scored_when_nothing_may_move():
    def fail(order):
        raise AssertionError("scored")

    assert best_order([2, 0, 1], np.zeros((3, 3), bool), fail) == [2, 0, 1]
    assert best_order([], np.zeros((0, 0), bool), fail) == []


def test_equals_stay_as_they_were():
    assert best_order([1, 0, 2], ~np.eye(3, dtype=bool), lambda order: 0.0) == [1, 0, 2]


@pytest.mark.parametrize(
    ("start", "may", "most"),
    [
        ([0, 0], np.zeros((2, 2), bool), 9),
        ([0, 5], np.zeros((2, 2), bool), 9),
        ([0, 1], np.zeros((2, 3), bool), 9),
        ([0, 1], np.array([[False, True], [False, False]]), 9),
        ([0, 1], np.zeros((2, 2), bool), 0),
    ],
)
def test_what_makes_no_sense_is_refused(start, may, most):
    with pytest.raises(ParameterError):
        best_order(start, may, lambda order: 0.0, most)

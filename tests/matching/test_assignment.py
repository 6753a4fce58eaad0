"""align/matching/assignment.py: one span for each note by itself, and no two in conflict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import Edge, Link
from align.clock import span_iou
from align.datatypes import Note
from align.errors import ParameterError
from align.matching.assignment import AGREE, CLAIM, assign_free, settle
from tests import naive


@st.composite
def candidates(draw, notes=5, each=3):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    length = draw(st.sampled_from([5.0, 20.0, 60.0]))
    spans, scores = [], []
    for _ in range(draw(st.integers(0, notes))):
        k = int(rng.integers(0, each + 1))
        begin = np.round(rng.uniform(0, length, k))
        spans.append(np.column_stack([begin, begin + rng.integers(1, 8, k)]).astype(float))
        scores.append(np.round(rng.normal(1.0, 1.5, k), 3))
    return spans, scores, [draw(st.sampled_from(["ann", "ben"])) for _ in spans]


def total_of(scores, chosen):
    return sum(float(s[c]) for s, c in zip(scores, chosen, strict=True) if c >= 0)


@given(candidates())
@settings(max_examples=150, deadline=None)
def test_few_notes_get_the_best_of_all_choices(problem):
    spans, scores, authors = problem
    chosen = assign_free(spans, scores, authors)
    assert total_of(scores, chosen) == pytest.approx(naive.most_worth(spans, scores, authors))


@given(candidates(notes=60, each=4))
@settings(max_examples=20, deadline=None)
def test_no_two_chosen_spans_are_in_conflict(problem):
    spans, scores, authors = problem
    chosen = assign_free(spans, scores, authors)
    assert chosen.shape == (len(spans),) and all(c < len(s) for c, s in zip(chosen, scores, strict=True))
    taken = [(*spans[i][c], authors[i]) for i, c in enumerate(chosen) if c >= 0]
    for i, (a, b, one) in enumerate(taken):
        for c, d, other in taken[:i]:
            shared = min(b, d) - max(a, c)
            agreed = one != other and span_iou([[a, b]], [[c, d]])[0] >= AGREE
            assert agreed or shared <= CLAIM * min(b - a, d - c)
    assert all(scores[i][c] > 0 for i, c in enumerate(chosen) if c >= 0)


def test_a_conflict_is_worth_giving_up_one_best_span():
    spans = [np.array([[0.0, 10.0], [20.0, 30.0]]), np.array([[4.0, 14.0]])]
    assert assign_free(spans, [np.array([3.0, 2.5]), np.array([1.0])]).tolist() == [1, 0]
    assert assign_free(spans, [np.array([3.0, 0.5]), np.array([1.0])]).tolist() == [0, -1]


def test_two_authors_may_mean_the_same_stretch_and_one_may_not():
    spans = [np.array([[0.0, 10.0]]), np.array([[1.0, 10.0]])]
    assert assign_free(spans, [np.ones(1)] * 2, ["ann", "ben"]).tolist() == [0, 0]
    assert assign_free(spans, [np.ones(1), 2 * np.ones(1)], ["ann", "ann"]).tolist() == [-1, 0]


def test_edges_may_overlap():
    spans = [np.array([[0.0, 10.0]]), np.array([[6.0, 14.0]])]
    assert assign_free(spans, [np.ones(1)] * 2).tolist() == [0, 0]


def test_a_hundred_notes_in_one_knot_are_settled():
    rng = np.random.default_rng(0)
    spans, scores = [], []
    for _ in range(100):
        begin = rng.uniform(0, 300, 4)
        spans.append(np.column_stack([begin, begin + rng.uniform(5, 30, 4)]))
        scores.append(rng.uniform(0.5, 4, 4))
    order = sorted(((scores[i][c], i, c) for i in range(100) for c in range(4)), reverse=True)
    taken: dict[int, np.ndarray] = {}
    for _, i, c in order:
        clash = any(
            min(s[1], spans[i][c, 1]) - max(s[0], spans[i][c, 0])
            > CLAIM * min(np.diff(s)[0], np.diff(spans[i][c])[0])
            for s in taken.values()
        )
        if i not in taken and not clash:
            taken[i] = spans[i][c]
    by_falling_score = sum(
        scores[i][int(np.flatnonzero((spans[i] == s).all(1))[0])] for i, s in taken.items()
    )
    assert total_of(scores, assign_free(spans, scores)) >= by_falling_score - 1e-9


@pytest.mark.parametrize("spans", [[np.zeros((2, 2))], [np.zeros((1, 2)), np.zeros((1, 2))], [np.zeros(2)]])
def test_spans_without_a_score_are_refused(spans):
    with pytest.raises(ParameterError):
        assign_free(spans, [np.zeros(1)])


# --- links


def link(begin, end, p, *others):
    return Link(
        "aligned" if p >= 0.5 else "ambiguous",
        (begin, end),
        p,
        others,
        ("wrist",),
        edges=(Edge(0, 1, 0.5),) * 2,
    )


def settled(links):
    return settle(links, [Note("x")] * len(links))


def test_links_without_conflict_stay_as_they_are():
    links = [link(0.0, 4.0, 0.9), link(4.0, 8.0, 0.3), Link("unmatched", None, 0.8), Link("empty", None, 0.0)]
    assert all(a is b for a, b in zip(settled(links), links, strict=True))
    assert settle([], []) == []


def test_the_loser_of_a_conflict_takes_its_next_best_span():
    links = [link(0.0, 10.0, 0.9), link(6.0, 12.0, 0.5, (30.0, 36.0, 0.3), (50.0, 55.0, 0.1))]
    first, second = settled(links)
    assert first is links[0]
    assert (second.status, second.span, second.probability) == ("ambiguous", (30.0, 36.0), 0.3)
    assert second.alternatives == ((6.0, 12.0, 0.5), (50.0, 55.0, 0.1)) and second.edges is None
    assert second.streams == ("wrist",)


def test_a_note_that_loses_every_span_keeps_its_answer():
    links = [link(0.0, 10.0, 0.9), link(6.0, 12.0, 0.6)]
    assert all(a is b for a, b in zip(settled(links), links, strict=True))


def test_two_authors_keep_the_stretch_that_they_share():
    links = [link(0.0, 10.0, 0.9), link(0.0, 11.0, 0.6, (30.0, 40.0, 0.3))]
    assert settled(links)[1].span == (30.0, 40.0)
    assert settle(links, [Note("a", author="ann"), Note("b", author="ben")])[1] is links[1]


@given(candidates(notes=8))
@settings(max_examples=40, deadline=None)
def test_one_link_out_per_link_in_and_no_conflict(problem):
    links = []
    for spans, scores in zip(*problem[:2], strict=True):
        rows = sorted(((float(p), *map(float, s)) for s, p in zip(spans, np.clip(scores / 9, 0, 0.33), strict=True)),
                      reverse=True)  # fmt: skip
        best = [link(*rows[0][1:], rows[0][0], *[(a, b, p) for p, a, b in rows[1:]])] if rows else []
        links.append(best[0] if best else Link("unmatched", None, 1.0))
    out = settled(links)
    assert len(out) == len(links)
    for before, after in zip(links, out, strict=True):
        known = {before.span, *(a[:2] for a in before.alternatives)}
        assert after.span in known and after.status in ("aligned", "ambiguous", "unmatched")
        assert known - {None} == {after.span, *(a[:2] for a in after.alternatives)} - {None}

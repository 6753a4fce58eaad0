"""Covering and F1: laws, slow twins, and the figures of hand-made cases."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.metrics import change_point_f1, covering
from tests.naive import tcpd_f1

N = 40
points = st.sets(st.integers(1, N - 1), max_size=6).map(sorted)


def slow_covering(truth, cut, n):
    def segments(changes):
        edges = [0, *changes, n]
        return [set(range(a, b)) for a, b in itertools.pairwise(edges)]

    best = [len(a) * max(len(a & b) / len(a | b) for b in segments(cut)) for a in segments(truth)]
    return sum(best) / n


def most_pairs(truth, found, margin):
    """Largest matching by augmenting paths."""
    partner = {}

    def place(i, tried):
        for j, x in enumerate(found):
            if abs(truth[i] - x) <= margin and j not in tried:
                tried.add(j)
                if j not in partner or place(partner[j], tried):
                    partner[j] = i
                    return True
        return False

    return sum(place(i, set()) for i in range(len(truth)))


@given(st.lists(points, min_size=1, max_size=3), points)
@settings(max_examples=80, deadline=None)
def test_covering_equals_the_sets(annotators, cut):
    slow = np.mean([slow_covering(a, cut, N) for a in annotators])
    assert covering(annotators, cut, N) == pytest.approx(slow)


@given(st.lists(points, min_size=1, max_size=3), points, st.integers(0, 6))
@settings(max_examples=80, deadline=None)
def test_f1_equals_the_largest_matching(annotators, cut, margin):
    found = sorted({0, *cut})
    everyone = sorted({0}.union(*annotators))
    precision = most_pairs(everyone, found, margin) / len(found)
    recall = np.mean([most_pairs(sorted({0, *a}), found, margin) / len({0, *a}) for a in annotators])
    slow = 2 * precision * recall / (precision + recall)
    assert change_point_f1(annotators, cut, margin) == pytest.approx(slow)


@given(points)
@settings(max_examples=30, deadline=None)
def test_the_truth_scores_one(truth):
    assert covering([truth], truth, N) == 1.0
    assert change_point_f1([truth], truth, 0) == 1.0


@given(points, points)
@settings(max_examples=30, deadline=None)
def test_covering_falls_when_mirrored_only_with_the_truth(truth, cut):
    mirrored = covering([[N - t for t in truth]], [N - c for c in cut], N)
    assert mirrored == pytest.approx(covering([truth], cut, N))


@given(st.lists(points, min_size=1, max_size=3), points, st.integers(0, 6))
@settings(max_examples=80, deadline=None)
def test_f1_is_that_of_the_publication_or_finds_more_pairs(annotators, cut, margin):
    published = tcpd_f1(annotators, cut, margin)
    assert change_point_f1(annotators, cut, margin) >= published - 1e-12
    apart = np.diff(sorted({0}.union(*annotators))).min(initial=N) > 2 * margin
    if apart and np.diff(sorted({0, *cut})).min(initial=N) > 2 * margin:  # then nobody has a choice
        assert change_point_f1(annotators, cut, margin) == pytest.approx(published)


def test_several_annotators():
    """Precision over the union of their points, recall and covering averaged over them."""
    annotators, cut = [[10], [30], []], [10, 20]
    precision, recall = 2 / 3, np.mean([2 / 2, 1 / 2, 1 / 1])
    assert change_point_f1(annotators, cut, 2) == pytest.approx(2 * precision * recall / (precision + recall))
    covers = [(10 * 1 + 30 * 20 / 30) / 40, (30 * 10 / 30 + 10 * 10 / 20) / 40, 20 / 40]
    assert covering(annotators, cut, 40) == pytest.approx(np.mean(covers))


def test_no_change_on_the_nile_series():
    """Three annotators of the Turing change point data set mark sample 28 of 100, two mark none."""
    annotators = [[28], [28], [28], [], []]
    assert covering(annotators, [], 100) == pytest.approx(0.758, abs=5e-4)
    assert change_point_f1(annotators, [], 5) == pytest.approx(0.824, abs=5e-4)


def test_no_change_predicted():
    assert covering([[10]], [], 40) == pytest.approx((10 * 10 / 40 + 30 * 30 / 40) / 40)
    assert change_point_f1([[10, 20]], [], 5) == pytest.approx(0.5)


def test_bad_arguments():
    with pytest.raises(ParameterError, match="annotators"):
        covering([], [], 10)
    with pytest.raises(ParameterError, match=r"1 \.\. 9"):
        covering([[3]], [10], 10)
    with pytest.raises(ParameterError, match="margin"):
        change_point_f1([[3]], [3], -1)
    with pytest.raises(ParameterError, match="annotators"):
        change_point_f1([3, 4], [3], 1)

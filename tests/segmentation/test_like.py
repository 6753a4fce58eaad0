"""``like``: a few marked segments choose the penalty."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.datatypes import Stream
from align.errors import ParameterError
from align.segmentation.like import likeness, penalty_like, spans_as_samples


def nested(n=4000, seed=0):
    """Large levels of 1,000 samples, and within them small ones of 100."""
    t = np.arange(n)
    levels = 20.0 * ((t // 1000) % 2) + 3.0 * ((t // 100) % 2)
    return Stream(levels[:, None] + np.random.default_rng(seed).normal(size=(n, 1)), rate=10.0)


def test_examples_choose_between_small_and_large_segments():
    stream = nested()
    small = align.segment(stream, method="l2", like=[[20.0, 30.0], [130.0, 140.0]])
    assert small.n_segments == pytest.approx(40, abs=3)
    large = align.segment(stream, method="l2", like=[[100.0, 200.0]])
    assert large.changes == pytest.approx([1000, 2000, 3000], abs=2)


def test_examples_need_not_be_exact():
    """Marked by hand, half a second off."""
    stream = nested()
    found = align.segment(stream, method="l2", like=[[20.5, 29.5], [60.4, 70.3]])
    assert found.n_segments == pytest.approx(40, abs=3)


def test_price_is_one_at_which_nothing_is_about_to_change():
    stream = nested()
    price = align.segment(stream, method="l2", like=[[100.0, 200.0]]).penalty
    scaled = align.segment(stream, method="l2").penalty
    assert scaled < price
    calls = []

    def changes_at(penalty):
        calls.append(penalty)
        if penalty <= 5:
            return np.arange(1, 40) * 100
        return np.array([1000, 2000, 3000]) if penalty < 5000 else np.empty(0, np.int64)

    best = penalty_like(stream, changes_at, [[100.0, 200.0]], 1.0)
    assert 20 < best < 1250 and len(calls) < 80


def test_likeness_is_one_for_equal_segments_and_falls_with_every_difference():
    stream = nested()
    examples = np.array([[1000, 2000]])
    exact = likeness(stream, np.array([1000, 2000]), examples)
    moved = likeness(stream, np.array([1010, 2000]), examples)
    split = likeness(stream, np.array([1000, 1500, 2000]), examples)
    whole = likeness(stream, np.empty(0, np.int64), examples)
    assert exact == 1.0 and exact > moved > split > whole > 0
    assert whole == pytest.approx(0.5 * 0.25)  # a quarter of the segment, both edges a length away or more


def test_a_span_counts_in_the_run_where_most_of_it_is():
    stream = Stream(
        np.zeros((200, 1)), rate=1.0, run_index=np.array([0, 100]), run_start=np.array([0.0, 500.0])
    )
    assert spans_as_samples(stream, [[90.0, 505.0]]).tolist() == [[90, 100]]
    assert spans_as_samples(stream, [[450.0, 520.0]]).tolist() == [[100, 120]]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [1.0, 2.0],
        [[1.0, 2.0, 3.0]],
        [[5.0, 5.0]],
        [[9.0, 3.0]],
        [[np.nan, 3.0]],
        [[9e5, 9e6]],
        [[0.01, 0.02]],
    ],
)
def test_S17_bad_examples_say_what_is_allowed(wrong):
    with pytest.raises(ParameterError, match="like is"):
        penalty_like(nested(), lambda p: np.empty(0, np.int64), wrong, 1.0)

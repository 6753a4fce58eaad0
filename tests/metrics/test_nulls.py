"""The null distribution: answers beat it only where the correspondence carries something."""

import math

import numpy as np
import pytest

from align.answers import Alignment, Link
from align.datatypes import Note, Span
from align.errors import ParameterError
from align.metrics import null_scores, score
from align.metrics.nulls import _turned_iou


def alignment(spans):
    links = tuple(Link("aligned" if s else "unmatched", s, 0.5) for s in spans)
    return Alignment(tuple(Note("x") for _ in spans), links, "test")


SPANS = [(float(a), float(a) + 3.0 + a % 7) for a in range(0, 200, 10)]
TRUTH = [Span(*s) for s in SPANS]


@pytest.mark.parametrize("how", ["permute", "shift"])
def test_right_answers_beat_their_null(how):
    null = null_scores(alignment(SPANS), TRUTH, shuffles=99, seed=1, how=how)
    assert null.observed == 1.0 == score(alignment(SPANS), TRUTH).mean_iou
    assert null.scores.shape == (99,) and null.scores.max() < 0.99
    assert null.p_value == pytest.approx(0.01)


def test_answers_that_are_all_alike_do_not():
    null = null_scores(alignment([(0.0, 200.0)] * len(SPANS)), TRUTH, shuffles=50)
    assert null.p_value == 1.0  # whoever gets whichever span, the mean is the same


@pytest.mark.parametrize("how", ["permute", "shift"])
def test_the_seed_decides(how):
    first, again, other = (
        null_scores(alignment(SPANS), TRUTH, shuffles=9, seed=seed, how=how).scores for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_turning_equals_painting_the_circle():
    rng = np.random.default_rng(5)
    given = np.sort(rng.integers(0, 100, (30, 2)), axis=1) + np.array([0.0, 1.0])
    wanted = np.sort(rng.integers(0, 100, (30, 2)), axis=1) + np.array([0.0, 1.0])
    for turn in (0, 1, 37, 100):
        fast = _turned_iou(given, wanted, float(turn), 0.0, 101.0)
        for row, (g, w) in enumerate(zip(given.astype(int), wanted.astype(int), strict=True)):
            painted = {(t + turn) % 101 for t in range(*w)}
            answer = set(range(*g))
            assert fast[row] == pytest.approx(len(painted & answer) / len(painted | answer))


def test_rows_without_a_span():
    null = null_scores(alignment([None, (0.0, 1.0)]), [Span(0.0, 1.0), Span(0.0, 1.0)], 5, how="shift")
    assert null.observed == 0.5
    with pytest.raises(ParameterError, match="rows with a span"):
        null_scores(alignment([(0.0, 1.0)]), [Span(math.nan, math.nan)])
    with pytest.raises(ParameterError, match="shuffles"):
        null_scores(alignment([(0.0, 1.0)]), [Span(0.0, 1.0)], shuffles=0)

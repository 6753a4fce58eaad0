"""Scores: laws, a slow twin, and the exact keys of the interface."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import Alignment, Link
from align.datatypes import Note, Span
from align.errors import ParameterError
from align.metrics import pool, score
from align.metrics.calibration import calibration_error

NOTHING = Span(math.nan, math.nan, "FOREIGN")


def alignment(spans, probabilities=None, status="aligned"):
    """An Alignment with the given spans (None: unmatched)."""
    probabilities = [0.9] * len(spans) if probabilities is None else probabilities
    links = [
        Link(status if span else "unmatched", span, p) for span, p in zip(spans, probabilities, strict=True)
    ]
    return Alignment(tuple(Note(str(i)) for i in range(len(spans))), tuple(links), "test")


spans = st.tuples(st.integers(-50, 50), st.integers(1, 40)).map(lambda s: (float(s[0]), float(s[0] + s[1])))
rows = st.lists(
    st.tuples(st.none() | spans, st.none() | spans, st.floats(0, 1), st.sampled_from("AB")),
    min_size=1,
    max_size=12,
)


def of_rows(table):
    truth = [Span(*wanted, label) if wanted else NOTHING for _, wanted, _, label in table]
    return alignment([g for g, _, _, _ in table], [p for _, _, p, _ in table]), truth


def iou_right(got, wanted):
    """1 where an answer is right: overlap of one half, or no span where there is none."""
    if not got or not wanted:
        return float(got is None and wanted is None)
    overlap = max(0.0, min(got[1], wanted[1]) - max(got[0], wanted[0]))
    return float(overlap / ((got[1] - got[0]) + (wanted[1] - wanted[0]) - overlap) >= 0.5)


def slow_scores(table):
    """Every figure by one loop over the rows."""
    ious, errors, rejected, bins = [], [], [], [[] for _ in range(10)]
    for got, wanted, p, _ in table:
        iou = 0.0
        if got and wanted:
            overlap = max(0.0, min(got[1], wanted[1]) - max(got[0], wanted[0]))
            iou = overlap / ((got[1] - got[0]) + (wanted[1] - wanted[0]) - overlap)
            errors.append(abs(got[0] - wanted[0]))
        if wanted:
            ious.append(iou)
        else:
            rejected.append(got is None)
        right = iou >= 0.5 if got else wanted is None
        bins[min(int(p * 10), 9)].append((p, right))
    ece = sum(abs(sum(r for _, r in b) - sum(p for p, _ in b)) for b in bins if b) / len(table)

    def mean(values):
        return sum(values) / len(values) if values else None

    looks = [(1 - p if got else p, wanted is None) for got, wanted, p, _ in table]
    pairs = [(a > b) + 0.5 * (a == b) for a, foreign in looks if foreign for b, other in looks if not other]
    return {
        "foreign_precision": mean([wanted is None for got, wanted, *_ in table if not got]),
        "foreign_recall": mean(rejected),
        "foreign_auc": mean(pairs),
        "brier": mean([(p - (iou_right(got, wanted))) ** 2 for got, wanted, p, _ in table]),
        "mean_iou": mean(ious),
        "recall_at_0.5": mean([i >= 0.5 for i in ious]),
        "recall_at_0.7": mean([i >= 0.7 for i in ious]),
        "mean_abs_start_error_s": mean(errors),
        "ece": ece,
        "unmatched": sum(got is None for got, *_ in table),
        "foreign_rejected": mean(rejected),
    }


@given(rows)
@settings(max_examples=60, deadline=None)
def test_equals_the_loop(table):
    fast = score(*of_rows(table)).as_dict()
    for key, slow in slow_scores(table).items():
        assert fast[key] == (None if slow is None else pytest.approx(slow, abs=1e-9)), key


@given(rows, st.integers(-1000, 1000))
@settings(max_examples=30, deadline=None)
def test_the_same_after_a_shift_in_time(table, by):
    def moved(span):
        return span and (span[0] + by, span[1] + by)

    shifted = [(moved(g), moved(w), p, label) for g, w, p, label in table]
    assert score(*of_rows(shifted)).as_dict() == score(*of_rows(table)).as_dict()


@given(st.lists(spans, min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_perfect_is_one_and_disjoint_is_zero(table):
    truth = [Span(*span) for span in table]
    perfect = score(alignment(table, [1.0] * len(table)), truth)
    assert (perfect.mean_iou, perfect.recall_70, perfect.mean_abs_start_error_s, perfect.ece) == (1, 1, 0, 0)
    apart = score(alignment([(a + 200.0, b + 200.0) for a, b in table]), truth)
    assert (apart.mean_iou, apart.recall_50) == (0, 0)
    assert apart.median_abs_start_error_s == 200.0


def test_pooling_weighs_notes_not_sessions():
    one = (alignment([(0.0, 1.0)]), [Span(0.0, 1.0, "A")])
    three = (alignment([(5.0, 6.0)] * 3), [Span(0.0, 1.0, "B")] * 3)
    pooled = pool([one, three])
    assert (pooled.n_sessions, pooled.n_notes, pooled.mean_iou) == (2, 4, 0.25)
    assert dict(pooled.per_label) == {"A": 1.0, "B": 0.0}


def test_foreign_rows_stay_out_of_the_iou():
    scores = score(
        alignment([(0.0, 2.0), (3.0, 4.0), None], [1.0, 0.0, 1.0]), [Span(0.0, 2.0, "A"), NOTHING, NOTHING]
    )
    assert (scores.mean_iou, scores.foreign_rejected, scores.unmatched) == (1.0, 0.5, 1)
    assert scores.ece == 0.0  # a span given to a foreign note is wrong, a rejection of one is right
    assert dict(scores.per_label) == {"A": 1.0}


def test_rows_decided_by_rule_stay_out_of_the_calibration():
    outside = Alignment((Note("a"),), (Link("outside", None, 1.0, distance=5.0),), "test")
    scores = score(outside, [Span(0.0, 1.0)])
    assert math.isnan(scores.ece) and scores.as_dict()["ece"] is None
    assert scores.unmatched == 1 and scores.mean_iou == 0.0


def test_keys_are_those_of_the_interface():
    keys = list(score(alignment([(0.0, 1.0)]), [Span(0.0, 1.0)]).as_dict())
    interface = ["n_sessions", "n_notes", "mean_iou", "recall_at_0.5", "recall_at_0.7"]
    interface += ["mean_abs_start_error_s", "ece", "unmatched", "per_label"]
    more = ["median_abs_start_error_s", "brier", "reliability"]
    more += [f"foreign_{name}" for name in ("rejected", "precision", "recall", "auc")]
    assert sorted(keys) == sorted([*interface, *more])


def test_other_number_of_rows_is_refused():
    with pytest.raises(ParameterError, match=r"E-PARAM truth is '2 rows'; allowed: 1 rows"):
        score(alignment([(0.0, 1.0)]), [Span(0.0, 1.0)] * 2)
    with pytest.raises(ParameterError, match="pairs"):
        pool([])


def test_calibration_of_a_calibrated_answer_is_small():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    assert calibration_error(p, rng.uniform(size=p.size) < p) < 0.02
    assert calibration_error(np.full(100, 0.9), np.zeros(100, bool)) == pytest.approx(0.9)


def test_foreign_figures_leave_out_what_rules_decide():
    """One note told apart, one taken in, one real note refused, and two that lie outside or in a gap."""
    links = (
        Link("unmatched", None, 0.9),
        Link("aligned", (0.0, 1.0), 0.6, ((5.0, 6.0, 0.3),)),
        Link("unmatched", None, 0.7),
        Link("outside", None, 0.0, distance=3.0),
        Link("unobservable", None, 1.0),
        Link("aligned", (10.0, 20.0), 0.95),
    )
    truth = [NOTHING, NOTHING, Span(1.0, 2.0), NOTHING, NOTHING, Span(10.0, 20.0)]
    found = score(Alignment(tuple(Note("x") for _ in links), links, "test"), truth)
    assert (found.foreign_precision, found.foreign_recall) == (0.5, 0.5)
    assert found.foreign_rejected == 0.75 and found.unmatched == 4
    assert found.foreign_auc == 0.75  # 0.9 and 0.1 against 0.7 and 0.05
    assert found.reliability[:, 2].sum() == 4
    assert found.brier == pytest.approx((0.1**2 + 0.6**2 + 0.7**2 + 0.05**2) / 4)

"""align/matching/calibration.py: maps that ascend, hold what was seen, and claim no more than that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import Alignment, Calibration, Evidence, Link
from align.datatypes import Note
from align.errors import ParameterError
from align.matching.calibration import IDENTITY, calibrated, fit_calibration, fit_map, reliability

HALVES = Calibration(
    spans=np.array([[0.0, 0.0], [1.0, 0.6]]), nothing=np.array([[0.0, 0.2], [1.0, 0.9]]), n_notes=100
)


def alignment(*links):
    return Alignment(tuple(Note(str(i)) for i in range(len(links))), tuple(links), "contrastive")


def placed(p, *others):
    return Link("aligned" if p >= 0.5 else "ambiguous", (1.0, 2.0), p, tuple((9.0, 9.5, q) for q in others))


def notes(n, worth, seed=0, people=None):
    """n posteriors, mostly high, that come true as often as ``worth`` of them says; one person each."""
    rng = np.random.default_rng(seed)
    p = rng.beta(3.0, 1.0, n)
    return p, rng.uniform(size=n) < worth(p), np.arange(n) if people is None else np.arange(n) % people


def at(points, p):
    return np.interp(p, points[:, 0], points[:, 1])


# --- calibrated


def test_no_calibration_changes_nothing():
    answer = alignment(placed(0.9), Link("unmatched", None, 0.7))
    assert calibrated(answer, None) is answer


def test_N13_placed_and_unmatched_have_maps_of_their_own_and_the_status_is_decided_anew():
    answer = calibrated(alignment(placed(0.9), placed(0.75), Link("unmatched", None, 1.0)), HALVES)
    assert [link.probability for link in answer.links] == pytest.approx([0.54, 0.45, 0.9])
    assert [link.status for link in answer.links] == ["aligned", "ambiguous", "unmatched"]
    raised = Calibration(np.array([[0.0, 0.5], [1.0, 1.0]]), IDENTITY, 100)
    (link,) = calibrated(alignment(placed(0.3)), raised).links
    assert (link.status, link.probability) == ("aligned", pytest.approx(0.65))


def test_what_is_decided_by_rule_or_by_a_person_is_left_alone():
    links = [
        Link("outside", None, 0.0, distance=5.0),
        Link("empty", None, 0.0),
        Link("unobservable", None, 0.8),
        placed(1.0),
        Link("unmatched", None, 1.0),
    ]
    answer = calibrated(alignment(*links), HALVES, anchored=[3, 4])
    assert answer.links == tuple(links)
    assert calibrated(alignment(*links), HALVES).links[3].probability == pytest.approx(0.6)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=5).filter(lambda x: sum(x) > 0), st.floats(0.01, 1.0), st.booleans()
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_alternatives_keep_their_order_and_share_what_is_left(weights, taken, is_placed):
    mass = np.sort(np.array(weights) / sum(weights))[::-1] * (1.0 - taken)
    others = tuple((float(i), i + 0.5, float(m)) for i, m in enumerate(mass))
    link = (
        Link("aligned", (50.0, 60.0), taken, others) if is_placed else Link("unmatched", None, taken, others)
    )
    if is_placed and taken < 0.5:
        link = Link("ambiguous", (50.0, 60.0), taken, others)
    (found,) = calibrated(alignment(link), HALVES).links
    after = [p for _, _, p in found.alternatives]
    assert after == sorted(after, reverse=True) and [a[:2] for a in found.alternatives] == [
        a[:2] for a in others
    ]
    assert found.probability + sum(after) == pytest.approx(1.0) or taken == 1.0


# --- the maps


@pytest.mark.parametrize("worth", [lambda p: p, lambda p: p**3, lambda p: 0.6 * p, lambda p: np.sqrt(p)])
def test_P17_enough_notes_show_what_posteriors_are_worth(worth):
    points = fit_map(*notes(4000, worth))
    q = np.linspace(0.4, 0.98, 40)  # where most notes lie
    assert np.abs(at(points, q) - worth(q)).max() < 0.08
    fresh, right, _ = notes(4000, worth, seed=1)
    table = reliability(at(points, fresh), right)
    assert np.average(np.abs(table[:, 0] - table[:, 1]), weights=table[:, 2]) < 0.05


@given(st.integers(0, 300), st.integers(0, 10_000), st.sampled_from([1, 7, 1000]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_map_ascends_from_0_to_1_and_is_never_certain(n, seed, people, coarse):
    rng = np.random.default_rng(seed)
    p = np.round(rng.uniform(size=n), 1) if coarse else rng.uniform(size=n) ** rng.uniform(0.1, 5)
    right = rng.uniform(size=n) < rng.uniform()
    points = fit_map(p, right, np.arange(n) % people)
    assert (np.diff(points, axis=0) >= 0).all() and points[0, 0] == 0.0 and points[-1, 0] == 1.0
    Calibration(points, points, n)
    if not np.array_equal(points, IDENTITY):
        assert points[:, 1].min() >= 1 / (n + 2) - 1e-12 and points[:, 1].max() <= 1 - 1 / (n + 2) + 1e-12


def test_few_notes_learn_nothing_some_learn_one_number():
    wrong = lambda p: 0.2 * p  # noqa: E731
    assert np.array_equal(fit_map(*notes(19, wrong)), IDENTITY)
    assert at(fit_map(*notes(40, wrong)), 0.9) < 0.75
    # one number keeps one half in its place
    assert at(fit_map(*notes(40, wrong)), 0.5) == pytest.approx(0.5, abs=0.01)
    assert at(fit_map(*notes(400, wrong)), 0.5) < 0.3


def test_many_notes_of_one_person_count_as_few():
    p, right, _ = notes(300, lambda p: 0.2 * p)
    assert np.array_equal(fit_map(p, right, np.zeros(300)), IDENTITY)
    assert at(fit_map(p, right, np.arange(300)), 0.9) < 0.4


def test_posteriors_that_are_right_as_they_are_stay_nearly_so():
    for seed in range(5):
        points = fit_map(*notes(120, lambda p: p, seed))
        q = np.linspace(0.3, 0.95, 20)
        assert np.abs(at(points, q) - q).max() < 0.2


def test_both_maps_are_fitted_and_what_was_seen_is_kept():
    one, other = notes(500, lambda p: 0.5 * p), notes(100, lambda p: p**4, seed=2)
    found = fit_calibration(one, other)
    assert found is not None and found.n_notes == 600
    assert np.array_equal(found.spans, fit_map(*one)) and np.array_equal(found.nothing, fit_map(*other))
    assert np.array_equal(found.spans_seen, reliability(*one[:2])) and found.nothing_seen[:, 2].sum() == 100
    assert fit_calibration(([], [], []), ([], [], [])) is None


def test_what_does_not_fit_together():
    for p, right in (([0.5], [True, False]), ([1.5], [True]), ([float("nan")], [True])):
        with pytest.raises(ParameterError):
            fit_map(p, right, [0] * len(p))
    with pytest.raises(ParameterError, match="nothing"):
        Evidence(np.zeros((3, 1)), 1.0, 0, np.ones(3, bool), np.ones((1, 2)), "test", nothing=0.0)
    with pytest.raises(ParameterError, match="spans_seen"):
        Calibration(IDENTITY, IDENTITY, 3, spans_seen=np.array([[0.5, 1.2, 3.0]]))

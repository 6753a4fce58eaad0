"""align/matching/search.py: looking at every g-th edge changes the answers by no more than it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align.answers import Evidence, Meanings
from align.datatypes import Note, NoteTime
from align.matching import place_notes, search
from align.matching.lattice import build_lattice
from align.matching.programme import log_normaliser, posteriors
from align.matching.search import planned, refined_spans, searched
from align.matching.tables import placed, summed_edges

HOP = 0.5
BUDGET_HERE = 1e6  # pairs of edges: an eighteenth of all


def session(n, n_notes, seed, *, is_timed, height=0.6, gap=None):
    """Notes in order on noisy blocks, some foreign, one with a grossly wrong time."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.choice(np.arange(1, n), 2 * n_notes, replace=False))
    odds = rng.normal(-0.1, 0.3, (n, n_notes))
    notes = []
    for i in range(n_notes):
        a, b = cuts[2 * i : 2 * i + 2]
        if i % 5 != 3:
            odds[a:b, i] += height * min(1.0, 20.0 / (b - a))
        time = (a + b) / 2 * HOP + rng.normal(0, 10) + (n * HOP / 3 if i == 1 else 0.0)
        notes.append(Note(f"note {i}", NoteTime(time, time, time) if is_timed else None))
    observed = np.ones(n, bool)
    if gap:
        observed[slice(*gap)] = False
    usual = np.log(n / n_notes / 2 * HOP)
    evidence = Evidence(
        odds.astype(np.float32), HOP, 0, observed, np.tile([usual, 0.8], (n_notes, 1)), "t", lag_sd=15.0
    )
    return evidence, tuple(notes)


CASES = [(seed, is_timed, gap) for seed in (1, 2) for is_timed in (False, True) for gap in (None, (700, 760))]


@pytest.mark.parametrize(("seed", "is_timed", "gap"), CASES)
def test_the_thinned_grid_and_windows_give_the_answers_of_all_edges(seed, is_timed, gap):
    evidence, notes = session(1500, 12, seed, is_timed=is_timed, gap=gap)
    lattice = build_lattice(evidence, notes)
    used, tables = searched(lattice, BUDGET_HERE)
    assert used.stride.max() == 8
    lattice = dataclasses.replace(lattice, skip=used.skip)  # what a place costs without those about nothing
    for own, reference in zip(tables, posteriors(lattice), strict=True):
        assert placed(own) == pytest.approx(placed(reference), abs=0.005)
        for one, other in zip(dense(own), dense(reference), strict=True):
            assert np.abs(np.cumsum(one - other)).max() < 0.03
    evidence, notes = session(1500, 12, seed, is_timed=is_timed, gap=gap, height=1.5)
    lattice = dataclasses.replace(build_lattice(evidence, notes), skip=np.full(12, -1e9))
    used, _ = searched(lattice, BUDGET_HERE)
    np.testing.assert_allclose(refined_spans(used), refined_spans(lattice), atol=2)


def test_meanings_that_hold_no_probability_are_looked_at_once():
    """Note 0 means what its words say, note 1 something else, note 2 nothing that is here."""
    n, rng = 1500, np.random.default_rng(3)
    odds, other = rng.normal(-0.5, 0.3, (2, n, 3)).astype(np.float32)
    odds[200:260, 0] += 1.5
    other[600:660, 1] += 1.5
    usual = np.tile([np.log(30.0), 0.5], (3, 1))
    shares = np.full((3, 3), 0.1)
    evidence = Evidence(odds, HOP, 0, np.ones(n, bool), usual, "t", meanings=Meanings(other, usual, shares))
    lattice = build_lattice(evidence, tuple(Note(f"note {i}") for i in range(3)))
    used, tables = searched(lattice, BUDGET_HERE)
    assert used.stride.min() > 0 and [lattice.n_meanings(i) for i in range(3)] == [4, 4, 4]
    assert used.n_meanings(0) == 1 and used.meanings.weights[1, 1] == lattice.meanings.weights[1, 1]
    lattice = dataclasses.replace(lattice, skip=used.skip)  # what a place costs without those about nothing
    for own, reference in zip(tables, posteriors(lattice), strict=True):
        assert placed(own) == pytest.approx(placed(reference), abs=0.005)
        for one, other in zip(dense(own), dense(reference), strict=True):
            assert np.abs(np.cumsum(one - other)).max() < 0.03


def dense(tables):
    """(2, 1501) p(starts at t) and p(ends at t)."""
    first, onset, offset = summed_edges(tables)
    out = np.zeros((2, 1501))
    out[:, first : first + len(onset)] = onset, offset
    return out


def test_without_windows_the_normaliser_is_off_by_little():
    evidence, notes = session(1500, 12, 1, is_timed=True)
    lattice = build_lattice(evidence, notes)
    assert log_normaliser(planned(lattice, BUDGET_HERE)) == pytest.approx(log_normaliser(lattice), abs=0.5)


def test_a_grossly_wrong_time_is_still_overruled_on_the_thinned_grid(monkeypatch):
    odds = np.full((1500, 1), -0.5, np.float32)
    odds[1000:1060] = 0.7
    evidence = Evidence(odds, HOP, 0, np.ones(1500, bool), np.array([[3.4, 0.8]]), "t", lag_sd=10.0)
    notes = (Note("far off", NoteTime(100.0, 100.0, 100.0)),)
    exact = place_notes(evidence, notes).links[0]
    monkeypatch.setattr(search.searched, "__defaults__", (1e4,))
    thinned = place_notes(evidence, notes).links[0]
    assert exact.status == thinned.status == "aligned"
    assert thinned.span == pytest.approx(exact.span, abs=1e-6)
    assert exact.span == pytest.approx((500.0, 530.0), abs=0.1)
    assert thinned.probability == pytest.approx(exact.probability, abs=0.01)


def test_a_span_that_no_window_holds_is_moved_to_its_best_edges():
    odds = np.full((1500, 1), -0.5, np.float32)
    odds[1003:1061] = 0.7
    evidence = Evidence(odds, HOP, 0, np.ones(1500, bool), np.array([[3.4, 0.8]]), "t")
    thin = planned(build_lattice(evidence, (Note("far off"),)), 1e4)
    assert thin.stride.tolist() == [8]
    assert refined_spans(thin).tolist() == [[1003, 1061]]


def test_little_work_is_done_exactly():
    evidence, notes = session(300, 5, 1, is_timed=False)
    used, _ = searched(build_lattice(evidence, notes))
    assert not used.stride.any()

"""align/matching/meanings.py: a note may mean something else than its words say, and then does so in all its frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.answers import Evidence, Meanings
from align.datatypes import Note
from align.matching import place_notes
from align.matching.duration_prior import NEVER, log_places
from align.matching.lattice import Lattice, build_lattice
from align.matching.meanings import Meant, by_column, meant_of
from align.matching.programme import best_spans, posteriors
from align.matching.search import planned, searched
from align.matching.tables import placed, summed_edges

HOP = 0.5


def evidence_of(odds, shares=None, other=None, *, seconds=5.0, observed=None):
    """Notes that last about so long, and things that they may mean, with log odds ``other``."""
    odds = np.asarray(odds, np.float32)
    n, n_notes = odds.shape
    durations = np.tile([np.log(seconds), 0.2], (n_notes, 1))
    seen = np.ones(n, bool) if observed is None else np.asarray(observed)
    meanings = None
    if shares is not None:
        meanings = Meanings(np.asarray(other, np.float32), durations[:1].repeat(len(shares[0]), 0), shares)
    return Evidence(odds, HOP, 0, seen, durations, "test", meanings=meanings)


def notes_of(n):
    return tuple(Note(f"note {i}") for i in range(n))


def bump(n, *spans, height=1.0):
    """(n, spans) log odds that speak for each span in turn and against all else."""
    out = np.full((n, len(spans)), -height)
    for k, (a, b) in enumerate(spans):
        out[a:b, k] = height
    return out


def test_words_that_fit_nowhere_are_placed_where_what_they_may_mean_fits():
    odds = np.full((60, 1), -1.0)
    alone = place_notes(evidence_of(odds), notes_of(1)).links[0]
    told = place_notes(evidence_of(odds, [[0.01, 0.01]], bump(60, (10, 21), (40, 51))), notes_of(1)).links[0]
    assert alone.status == "unmatched"
    assert told.status == "ambiguous" and told.probability < 0.6  # two things, two places
    one = place_notes(evidence_of(odds, [[0.01]], bump(60, (10, 21))), notes_of(1)).links[0]
    assert one.status == "aligned" and one.span == pytest.approx((5.0, 10.5), abs=0.1)


def test_one_meaning_for_all_frames_of_a_note():
    """Half of the span speaks for one thing, half for another: frame by frame either would do, span by span none."""
    other = np.column_stack([bump(60, (10, 15)), bump(60, (15, 20))])
    either = evidence_of(np.full((60, 1), -1.0), [[0.01, 0.01]], other)
    mixed = evidence_of(other.max(axis=1, keepdims=True))
    assert place_notes(mixed, notes_of(1)).links[0].status == "aligned"
    assert place_notes(either, notes_of(1)).links[0].status == "unmatched"


def test_the_other_notes_tell_what_is_meant():
    """What is misheard as the first event is taken by the note that says it, and the other one is left."""
    odds = bump(80, (10, 21), (10, 21))
    notes = notes_of(2)
    plain = place_notes(evidence_of(odds), notes).links
    told = place_notes(evidence_of(odds, [[0.0], [0.02]], bump(80, (50, 61))), notes).links
    assert max(link.probability for link in plain) < 0.6  # one of them, nobody knows which
    assert [link.status for link in told] == ["aligned", "aligned"]
    assert told[0].span == pytest.approx((5.0, 10.5), abs=0.1)
    assert told[1].span == pytest.approx((25.0, 30.5), abs=0.1)


@given(st.integers(0, 10_000), st.floats(0.001, 0.9), st.integers(1, 3))
def test_meaning_what_one_says_changes_nothing(seed, share, n_notes):
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1, (12, n_notes))
    same = evidence_of(odds, np.eye(n_notes) * share, odds, seconds=2.0)
    notes = notes_of(n_notes)
    with_meanings, without = build_lattice(same, notes), build_lattice(evidence_of(odds, seconds=2.0), notes)
    assert with_meanings.meanings is not None and without.meanings is None
    for one, other in zip(posteriors(with_meanings), posteriors(without), strict=True):
        assert placed(one) == pytest.approx(placed(other), abs=1e-9)
        for x, y in zip(summed_edges(one), summed_edges(other), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-9)


def test_a_coarse_grid_and_windows_give_the_answers_of_all_edges():
    rng = np.random.default_rng(3)
    n, cuts = 1500, [(100, 180), (400, 490), (800, 850), (1200, 1290)]
    noise = rng.normal(-0.1, 0.3, (n, 4))
    odds, other = noise.copy(), rng.normal(-0.1, 0.3, (n, 4))
    for i, (a, b) in enumerate(cuts):
        (odds if i % 2 else other)[a:b, i] += 0.6  # every second note means something else
    shares = np.where(np.eye(4, dtype=bool), 0.05, 0.01)
    evidence = evidence_of(odds, shares, other, seconds=40.0)
    lattice = build_lattice(evidence, notes_of(4))
    used, tables = searched(lattice, budget=3e5)
    assert used.stride.max() >= 4
    assert (
        used.stride.max()
        >= planned(build_lattice(evidence_of(odds, seconds=40.0), notes_of(4)), 3e5).stride.max()
    )
    for own, reference in zip(tables, posteriors(lattice), strict=True):
        assert placed(own) == pytest.approx(placed(reference), abs=0.005)
        first, onset, _ = summed_edges(own)
        at, wanted, _ = summed_edges(reference)
        assert first + onset.argmax() == pytest.approx(at + wanted.argmax(), abs=8)
    assert np.abs(best_spans(lattice) - cuts).max() <= 20


def lattice_with_meanings() -> Lattice:
    rng = np.random.default_rng(0)
    observed = np.arange(24) % 9 != 4
    shares = np.array([[0.1, 0.2], [0.0, 0.0], [0.0, 0.3]])
    evidence = evidence_of(rng.normal(size=(24, 3)), shares, rng.normal(size=(24, 2)), observed=observed)
    return build_lattice(evidence, notes_of(3))


def meant(lattice: Lattice) -> Meant:
    assert lattice.meanings is not None
    return lattice.meanings


def test_each_meaning_comes_with_its_share_of_the_note_and_the_price_of_its_place():
    lattice = lattice_with_meanings()
    own, price = meant(lattice), log_places(np.full(3, 5.0 / HOP), int(lattice.observed.sum()))
    np.testing.assert_allclose(own.own, np.log([0.7, 1.0, 0.7]))
    expected = [[0.1, 0.2], [0.0, 0.0], [0.0, 0.3]]
    np.testing.assert_allclose(np.where(own.weights > NEVER, np.exp(own.weights + price), 0.0), expected)
    assert not own.odds[:, ~lattice.observed].any()
    assert [lattice.n_meanings(i) for i in range(3)] == [3, 1, 2]
    ((k, durations),) = own.of(2)
    assert k == 1
    allowed = durations > NEVER
    assert np.exp(durations[allowed]).sum() == pytest.approx(0.3 * np.exp(-price))
    np.testing.assert_array_equal(allowed, own.durations[1] > NEVER)


def test_rows_frames_and_strides_of_it():
    lattice = lattice_with_meanings()
    some, part, thin = lattice.rows([2, 0]), lattice.frames(5, 12), lattice.thinned(4)
    np.testing.assert_array_equal(meant(some).weights, meant(lattice).weights[[2, 0]])
    np.testing.assert_array_equal(meant(some).own, meant(lattice).own[[2, 0]])
    np.testing.assert_array_equal(meant(part).odds, meant(lattice).odds[:, 5:12])
    assert meant(part).durations.shape[1] <= 8
    np.testing.assert_allclose(meant(thin).odds[:, 0], meant(lattice).odds[:, :4].sum(axis=1), atol=1e-5)
    assert meant(thin).odds.shape == (2, 6)


def test_no_share_is_no_meaning():
    none = evidence_of(np.zeros((8, 2)), np.zeros((2, 1)), np.zeros((8, 1)))
    assert meant_of(none, np.zeros(2)) is None
    assert build_lattice(dataclasses.replace(none, meanings=None), notes_of(2)).meanings is None


@pytest.mark.parametrize("n", [0, 1, 255, 256, 700])
def test_columns_become_rows_without_what_was_not_observed(n):
    rng = np.random.default_rng(n)
    odds, observed = rng.normal(size=(n, 3)).astype(np.float32), rng.random(n) < 0.8
    np.testing.assert_array_equal(by_column(odds, observed), (odds * observed[:, None]).T)

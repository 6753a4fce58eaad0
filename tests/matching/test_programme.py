"""align/matching/programme.py against the sum and the maximum over all placements, written out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.matching.duration_prior import NEVER
from align.matching.items import probability
from align.matching.lattice import Lattice
from align.matching.meanings import Meant
from align.matching.programme import best_spans, log_normaliser, posteriors
from align.matching.tables import mass_near, placed, summed_edges
from tests import naive


def lattice_of(odds, durations, priors, skip, share, gain, observed):
    """One row per note; every span is looked at."""
    n_notes, n = np.shape(odds)
    return Lattice(
        odds=np.where(observed, odds, 0.0).astype(np.float32),
        columns=np.arange(n_notes),
        observed=np.asarray(observed, bool),
        durations=np.asarray(durations, float),
        priors=np.asarray(priors, float).reshape(n_notes, 5),
        skip=np.asarray(skip, float),
        loose=np.zeros(n_notes),
        share=np.asarray(share, float),
        gain=np.asarray(gain, float),
        places=np.ones((n_notes, 3)),
        windows=np.tile(np.array([0, n, 0, n]), (n_notes, 1)),
        stride=np.zeros(n_notes, np.int64),
    )


def posterior_of(lattice):
    """Every placement with its log weight and the log of the sum, by enumeration."""
    rows = _sums(lattice.odds), lattice.durations, lattice.priors, lattice.skip, lattice.share, lattice.gain
    rows = *rows, others_of(lattice)
    return naive.placement_posterior(*rows, lattice.observed, lattice.places[:, 0]), rows


def _sums(odds):
    return np.column_stack([np.zeros(len(odds)), np.cumsum(odds, axis=1, dtype=float)])


def others_of(lattice):
    """What the notes may mean besides what their words say, as the twin reads it."""
    meant = lattice.meanings
    if meant is None:
        return None
    prefix, rows = _sums(meant.odds), []
    for weights in meant.weights:
        kept = [k for k, weight in enumerate(weights) if weight > NEVER]
        rows.append(
            [(prefix[k], [d + weights[k] if d > NEVER else d for d in meant.durations[k]]) for k in kept]
        )
    return meant.own, rows


def drawn_meanings(rng, n_notes, observed):
    """Up to three things, barred durations among them, which some notes may mean and some not."""
    k, n = int(rng.integers(1, 4)), len(observed)
    durations = rng.uniform(-3, 0, (k, int(rng.integers(2, n + 3))))
    durations[rng.random(durations.shape) < 0.3] = NEVER
    weights = np.where(rng.random((n_notes, k)) < 0.4, NEVER, rng.uniform(-4, 0, (n_notes, k)))
    odds = np.where(observed, rng.normal(0, 2, (k, n)), 0.0).astype(np.float32)
    return Meant(odds, durations, weights, rng.uniform(-2, 0, n_notes))


def lists(elements, size):
    return st.lists(elements, min_size=size, max_size=size)


@st.composite
def lattices(draw):
    """Small problems with holes, barred durations, time priors of every reach, gains, notes that may share, and notes
    that may mean several things."""
    n, n_notes = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    n = min(n, 5) if n_notes == 3 else n  # the twin lists every placement
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    durations = rng.uniform(-3, 0, (n_notes, draw(st.integers(2, n + 2))))
    durations[rng.random(durations.shape) < draw(st.sampled_from([0.0, 0.3]))] = NEVER
    sd, reach = st.sampled_from([0.0, 0.3, 1.0, 4.0]), st.sampled_from([0.0, 0.5, 1.0, 1.0])
    prior = st.tuples(st.floats(-2.0, n + 2.0), st.sampled_from([0.0, 2.0]), sd, st.just(8.0), reach)
    lattice = lattice_of(
        rng.normal(0, draw(st.sampled_from([0.0, 1.0, 20.0])), (n_notes, n)),
        durations,
        draw(lists(prior, n_notes)),
        draw(lists(st.floats(-6.0, 1.0), n_notes)),
        draw(lists(st.sampled_from([NEVER, -3.0, 0.5]), n_notes)),
        rng.normal(0, draw(st.sampled_from([0.0, 1.0])), n + 1),
        rng.random(n) < draw(st.sampled_from([0.4, 0.7, 1.0])),
    )
    usual = rng.choice([0.5, 1.0, 2.0, 9.0], (n_notes, 1))
    lattice = dataclasses.replace(lattice, places=np.hstack([usual, np.ones((n_notes, 2))]))
    if not draw(st.booleans()):
        return lattice
    return dataclasses.replace(lattice, meanings=drawn_meanings(rng, n_notes, lattice.observed))


@given(lattices(), st.sampled_from([None, 1, 2]))
def test_the_best_spans_are_the_best_of_all_placements(lattice, spacing):
    """Each note meaning what fits its span best."""
    (scored, _), rows = posterior_of(lattice)
    found = best_spans(lattice, spacing)
    chosen = tuple(None if a < 0 else (int(a), int(b)) for a, b in found)
    best = max(naive.placement_score(placement, *rows, best=True) for placement, _ in scored)
    assert naive.placement_score(chosen, *rows, best=True) == pytest.approx(best, abs=1e-6)
    assert any(
        chosen == placement for placement, _ in scored
    )  # possible: in order, in data, durations allowed


@given(lattices(), st.sampled_from([None, 1, 2]))
def test_posteriors_are_sums_over_all_placements(lattice, spacing):
    (scored, total), _ = posterior_of(lattice)
    n_notes, n = lattice.odds.shape
    onset, offset, nowhere = np.zeros((n_notes, n + 1)), np.zeros((n_notes, n + 1)), np.zeros(n_notes)
    for placement, score in scored:
        for i, span in enumerate(placement):
            if span is None:
                nowhere[i] += np.exp(score - total)
            else:
                onset[i, span[0]] += np.exp(score - total)
                offset[i, span[1]] += np.exp(score - total)
    assert log_normaliser(lattice) == pytest.approx(total, abs=1e-6)
    for i, tables in enumerate(posteriors(lattice, spacing)):
        found = np.zeros((2, n + 1))
        first, starts, ends = summed_edges(tables)
        found[:, first : first + len(starts)] = starts, ends
        np.testing.assert_allclose(found, [onset[i], offset[i]], atol=1e-6)
        assert placed(tables) + nowhere[i] == pytest.approx(1.0, abs=1e-6)  # placed + skipped = 1


@given(lattices())
def test_a_span_is_of_one_of_its_meanings(lattice):
    for own in posteriors(lattice):
        for table in own:
            found = [probability(*part) for part in table.parts]
            assert sum(found) == pytest.approx(table.probability, abs=1e-6)


@given(lattices(), st.floats(-1.0, 7.0), st.floats(0.25, 7.0))
def test_mass_near_sums_own_and_shared_spans(lattice, start, length):
    (scored, total), _ = posterior_of(lattice)
    expected, unsure = np.zeros((2, len(lattice.skip)))
    for placement, score in scored:
        for i, span in enumerate(placement):
            if span is not None:
                shared = max(0.0, min(span[1], start + length) - max(span[0], start))
                iou = shared / ((span[1] - span[0]) + length - shared)
                expected[i] += np.exp(score - total) * (iou >= 0.5)
                unsure[i] += np.exp(score - total) * (abs(iou - 0.5) < 1e-9)
    for i, tables in enumerate(posteriors(lattice)):
        found = mass_near(tables, (start, start + length))
        assert found == pytest.approx(expected[i], abs=1e-6 + unsure[i])


@given(lattices(), st.integers(0, 5))
@settings(max_examples=25)
def test_frames_without_data_before_the_recording_change_nothing(lattice, k):
    n_notes, n = lattice.odds.shape
    meant = lattice.meanings
    if meant is not None:
        none = np.zeros((len(meant.odds), k), np.float32)
        meant = dataclasses.replace(meant, odds=np.concatenate([none, meant.odds], axis=1))
    moved = dataclasses.replace(
        lattice,
        meanings=meant,
        odds=np.concatenate([np.zeros((n_notes, k), np.float32), lattice.odds], axis=1),
        observed=np.concatenate([np.zeros(k, bool), lattice.observed]),
        priors=lattice.priors + np.array([k, 0, 0, 0, 0]),
        gain=np.concatenate([np.full(k, 3.0), lattice.gain]),
        windows=np.tile(np.array([0, n + k, 0, n + k]), (n_notes, 1)),
    )
    assert log_normaliser(moved) == pytest.approx(log_normaliser(lattice), abs=1e-9)
    for one, other in zip(posteriors(lattice), posteriors(moved), strict=True):
        assert placed(one) == pytest.approx(placed(other), abs=1e-9)


@given(lattices(), st.data())
@settings(max_examples=25)
def test_a_window_without_stride_is_a_law(lattice, data):
    """What lies outside a hard window does not exist, for the posterior and for the best spans."""
    n = lattice.n_frames
    a = data.draw(st.integers(0, n - 1))
    b = data.draw(st.integers(a + 1, n))
    windows = lattice.windows.copy()
    windows[0] = a, a, b, b
    pinned = dataclasses.replace(lattice, windows=windows)
    (spans, tables) = best_spans(pinned), posteriors(pinned)
    assert spans[0].tolist() in ([a, b], [-1, -1])
    first, onset, _ = summed_edges(tables[0])
    assert onset.sum() == pytest.approx(onset[a - first] if 0 <= a - first < len(onset) else 0.0)


@pytest.mark.parametrize("spacing", [1, 2, 3, 5, 40])
def test_the_answers_do_not_depend_on_how_many_rows_are_kept(spacing):
    rng = np.random.default_rng(2)
    n_notes, n = 9, 80
    share = np.where(rng.random(n_notes) < 0.5, -2.0, NEVER)
    rows = (
        np.full((n_notes, 12), -2.5),
        np.zeros((n_notes, 5)),
        np.full(n_notes, -2.0),
        share,
        np.zeros(n + 1),
    )
    lattice = lattice_of(rng.normal(0, 1, (n_notes, n)), *rows, rng.random(n) < 0.95)
    np.testing.assert_array_equal(best_spans(lattice, spacing), best_spans(lattice, n_notes))
    for one, other in zip(posteriors(lattice, spacing), posteriors(lattice, n_notes), strict=True):
        for x, y in zip(one, other, strict=True):
            np.testing.assert_array_equal(x.onset, y.onset)
            np.testing.assert_array_equal(x.offset_at, y.offset_at)


def test_no_notes_and_no_frames():
    none = lattice_of(np.zeros((0, 5)), np.zeros((0, 3)), [], [], [], np.zeros(6), np.ones(5))
    assert best_spans(none).shape == (0, 2) and posteriors(none) == [] and log_normaliser(none) == 0.0
    void = lattice_of(np.zeros((1, 0)), [[NEVER, 0.0]], [[0.0] * 5], [-2.0], [NEVER], [0.0], [])
    assert best_spans(void).tolist() == [[-1, -1]]
    assert log_normaliser(void) == -2.0 and placed(posteriors(void)[0]) == 0.0


def test_certainty_over_hundreds_of_frames_loses_nothing():
    """Log sums keep their precision where the score of a span is in the thousands."""
    odds = np.full((1, 600), -20.0)
    odds[0, 270:330] = 20.0
    rows = np.full((1, 101), -np.log(100)), [[0.0] * 5], [-3.0], [NEVER], np.zeros(601), np.ones(600)
    lattice = lattice_of(odds, *rows)
    assert best_spans(lattice).tolist() == [[270, 330]]
    first, onset, offset = summed_edges(posteriors(lattice)[0])
    assert onset[270 - first] == pytest.approx(1.0, abs=1e-8)
    assert offset[330 - first] == pytest.approx(1.0, abs=1e-8)


def test_two_notes_on_one_event_share_it_and_two_events_are_not_merged():
    odds = np.full((2, 60), -1.0)
    odds[:, 20:32] = 1.0
    rows = np.full((2, 21), -3.0), np.zeros((2, 5)), [-4.0, -4.0]
    alone = np.zeros(61), np.ones(60)
    apart, allowed = (lattice_of(odds, *rows, [share, NEVER], *alone) for share in (NEVER, -2.0))
    assert len({tuple(s) for s in best_spans(apart).tolist()}) == 2
    assert best_spans(allowed).tolist() == [[20, 32], [20, 32]]
    odds[:, 40:50] = 1.0
    two = best_spans(lattice_of(odds, *rows, [-2.0, NEVER], *alone))
    assert two.tolist() == [[20, 32], [40, 50]]

"""align/matching/lattice.py: what the kernel reads, each array from its definition."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from align.answers import Evidence
from align.datatypes import Note, NoteTime
from align.matching.duration_prior import NEVER, log_places
from align.matching.lattice import P_EDGE, build_lattice, repriced
from tests import naive

HOP = 0.5


def evidence_of(n, durations, *, observed=None, first=0):
    log_odds = np.random.default_rng(n).normal(size=(n, len(durations))).astype(np.float32)
    observed = np.ones(n, bool) if observed is None else np.asarray(observed)
    return Evidence(log_odds, HOP, first, observed, np.asarray(durations, float).reshape(-1, 2), "test")


def notes_of(n, time=None):
    return [Note(f"note {i}", time) for i in range(n)]


def test_prefix_sums_leave_out_what_was_not_observed():
    observed = np.array([True, True, False, True])
    evidence = evidence_of(4, [[1.0, 0.5], [0.0, 0.5]], observed=observed)
    lattice = build_lattice(evidence, notes_of(2))
    kept = evidence.log_odds.astype(float) * observed[:, None]
    for which in (slice(0, 2), slice(1, 2)):
        expected = [[0.0, *np.cumsum(kept[:, i])] for i in range(2)[which]]
        np.testing.assert_allclose(lattice.prefixes(which), expected)


@given(st.lists(st.booleans(), max_size=12))
def test_stretches_are_unbroken(observed):
    runs = build_lattice(evidence_of(len(observed), [[1.0, 0.5]], observed=observed), notes_of(1)).stretches
    covered = np.zeros(len(observed), bool)
    for first, last in runs:
        assert first < last and not covered[max(0, first - 1) : last].any()
        covered[first:last] = True
    assert covered.tolist() == observed


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.floats(-2.0, 6.0), st.sampled_from([0.25, 0.6, 1.5])), min_size=1, max_size=3),
    st.sampled_from([0.0, 4.0]),
)
def test_durations_are_a_distribution_times_the_share_of_a_place(n, durations, tails):
    evidence = dataclasses.replace(evidence_of(n, durations), tails=tails)
    lattice = build_lattice(evidence, notes_of(len(durations)))
    allowed = lattice.durations > NEVER
    assert not allowed[:, 0].any() and allowed[:, 1:].any(axis=1).all()
    usual = np.exp([mean for mean, _ in durations]) / HOP
    width = max(1.0, np.exp(log_places(usual, n)))
    total = np.where(allowed, np.exp(np.where(allowed, lattice.durations, 0.0)), 0.0).sum(axis=1)
    np.testing.assert_allclose(total * width, 1.0, rtol=1e-9)
    frames = np.arange(lattice.durations.shape[1])
    for row, ok, (mean, sd) in zip(lattice.durations, allowed, durations, strict=True):
        z = np.abs(np.log(np.maximum(frames, 1) * HOP) - mean) / sd
        nearest = np.clip(np.rint(np.exp(mean) / HOP), 1, len(frames) - 1)
        reach = 5.0 if tails else 3.5  # the rest is too unlikely to look at
        assert (z[ok & (frames != nearest)] <= reach).all()
        if ok.sum() > 1:  # compare the ratio of two durations with the density's
            a, b = np.flatnonzero(ok)[[0, -1]]
            density = scipy.stats.t(tails) if tails else scipy.stats.norm()
            expected = density.logpdf(z[b]) - density.logpdf(z[a]) - np.log(b / a)
            assert row[b] - row[a] == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 6))
def test_a_note_multiplies_the_ways_in_which_spans_keep_their_order_by_its_places(durations, free):
    n = sum(durations) + free
    ways = naive.ordered_placements(durations, n)
    without = naive.ordered_placements(durations[:-1], n - durations[-1])  # as much is free
    if free >= 0.1 * n:
        assert log_places(np.array(durations, float), n) == pytest.approx(np.log(ways / without))
    else:  # durations are not known so well
        assert log_places(np.array(durations, float), n) >= np.log(ways / without)


@given(st.lists(st.tuples(st.floats(-1.0, 3.0), st.booleans()), min_size=1, max_size=6), st.booleans())
def test_what_is_about_nothing_takes_no_time_from_the_others(notes, is_timed):
    durations = np.array([[mean, 0.5] for mean, _ in notes])
    is_placed = np.array([here for _, here in notes])
    time = NoteTime(10.0, 10.0, 12.0) if is_timed else None
    lattice = build_lattice(evidence_of(60, durations), notes_of(len(notes), time))
    again = repriced(lattice, is_placed.astype(float))
    alone = build_lattice(evidence_of(60, durations[is_placed]), notes_of(int(is_placed.sum()), time))
    # the price may stand at the durations or, the other way round, at "nothing"
    price = [
        (row.skip - np.where(row.durations > NEVER, row.durations, NEVER).max(axis=1))
        for row in (again, alone, lattice)
    ]
    np.testing.assert_allclose(price[0][is_placed], price[1], atol=0.05)
    assert (price[0] >= price[2] - 1e-9).all()
    assert repriced(lattice, np.ones(len(notes))) is lattice
    assert again is lattice or not (repriced(again, is_placed.astype(float)).skip - again.skip).any()


def test_a_timed_note_pays_for_the_width_of_its_window():
    evidence = evidence_of(80, [[1.0, 0.5]] * 2)
    timed = build_lattice(evidence, notes_of(2, NoteTime(4.0, 6.0, 8.0)))
    untimed = build_lattice(evidence, notes_of(2))
    ok = untimed.durations > NEVER
    sd = 0.5 * 2.0 / HOP  # half of the half width, in frames
    # and what the span itself covers, as the time may point anywhere into it
    width = np.sqrt(2 * np.pi) * sd + 2 * 2.0 / HOP + np.e / HOP
    np.testing.assert_allclose(
        (untimed.durations - timed.durations)[ok], np.log(width) - log_places(np.full(2, np.e / HOP), 80)
    )


def test_a_loose_time_makes_a_place_no_dearer_than_none():
    evidence = dataclasses.replace(evidence_of(40, [[1.0, 0.5]] * 2), lag_sd=30.0)
    timed = build_lattice(evidence, notes_of(2, NoteTime(10.0, 10.0, 10.0)))
    untimed = build_lattice(evidence, notes_of(2))
    np.testing.assert_array_equal(timed.durations, untimed.durations)
    window = np.sqrt(2 * np.pi) * 30.0 / HOP + np.e / HOP
    np.testing.assert_allclose(
        timed.loose, np.log(window) - log_places(np.full(2, np.e / HOP), 40)
    )  # placed or not
    assert not untimed.loose.any()
    tight = dataclasses.replace(evidence, lag_sd=1.0)
    assert not build_lattice(tight, notes_of(2, NoteTime(10.0, 10.0, 10.0))).loose.any()


def test_leaving_out_costs_the_prior_odds():
    evidence = evidence_of(4, [[1.0, 0.5]])
    assert np.exp(build_lattice(evidence, notes_of(1)).skip) == pytest.approx(0.02 / 0.98)
    assert build_lattice(evidence, notes_of(1), 0.5).skip.tolist() == [0.0]
    other = dataclasses.replace(evidence, nothing=0.2)
    assert np.exp(build_lattice(other, notes_of(1)).skip) == pytest.approx(0.25)


def test_rows_take_notes_and_keep_the_frames():
    lattice = build_lattice(evidence_of(9, [[1.0, 0.5], [2.0, 0.5], [0.0, 0.5]]), notes_of(3))
    some = lattice.rows([2, 0])
    for name in ("durations", "priors", "skip", "loose", "places", "columns", "windows", "stride"):
        assert getattr(some, name).tolist() == getattr(lattice, name)[[2, 0]].tolist()
    np.testing.assert_array_equal(some.prefixes(slice(0, 2)), lattice.prefixes(slice(0, 3))[[2, 0]])
    assert some.odds is lattice.odds


def test_only_neighbours_may_still_share_a_span():
    lattice = build_lattice(evidence_of(9, [[1.0, 0.5]] * 4), notes_of(4))
    lattice = dataclasses.replace(lattice, share=np.full(4, -3.0))
    assert lattice.rows([0, 1, 3]).share.tolist() == [-3.0, NEVER, NEVER]


def test_frames_are_a_part_of_the_recording():
    observed = np.arange(20) != 8
    time = NoteTime(6.0, 6.0, 6.0)
    lattice = build_lattice(evidence_of(20, [[1.0, 0.5]], observed=observed), notes_of(1, time))
    part = lattice.frames(5, 12)
    assert (part.first, part.n_frames, part.frames(2, 4).first) == (5, 7, 7)
    assert part.stretches.tolist() == [[0, 3], [4, 7]]
    assert part.priors[0, 0] == lattice.priors[0, 0] - 5
    np.testing.assert_allclose(
        np.diff(part.prefixes(slice(0, 1))), np.diff(lattice.prefixes(slice(0, 1)))[:, 5:12]
    )
    assert part.durations.shape[1] <= 8 and part.gain.shape == (8,)


def test_change_points_take_their_share_of_all_edges():
    evidence = dataclasses.replace(evidence_of(100, [[1.0, 0.5]]), edges=np.array([20, 60]))
    weight = np.exp(build_lattice(evidence, notes_of(1)).gain)
    on = np.zeros(101, bool)
    on[[19, 20, 21, 59, 60, 61]] = True
    assert weight.mean() == pytest.approx(1.0)
    assert weight[on].sum() / weight.sum() == pytest.approx(P_EDGE + (1 - P_EDGE) * on.mean())
    assert not build_lattice(evidence_of(100, [[1.0, 0.5]]), notes_of(1)).gain.any()


@pytest.mark.parametrize("g", [2, 4])
def test_thinned_edges_stand_for_those_around_them(g):
    observed = np.arange(43) != 17
    lattice = build_lattice(evidence_of(43, [[1.5, 0.5]], observed=observed), notes_of(1))
    thin = lattice.thinned(g)
    np.testing.assert_allclose(
        thin.prefixes(slice(0, 1))[0], lattice.prefixes(slice(0, 1))[0, ::g][: thin.n_frames + 1], atol=1e-5
    )
    assert thin.places[0].tolist() == [lattice.places[0, 0] / g, *lattice.places[0, 1:]]
    assert thin.observed.tolist() == [bool(observed[k * g : k * g + g].any()) for k in range(43 // g)]
    # g starts for every coarse one, and the coarse durations hold all durations g times
    total = [np.exp(row[row > NEVER]).sum() for row in (thin.durations[0], lattice.durations[0])]
    assert total[0] == pytest.approx(g * total[1])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_N02_no_notes_and_T16_no_frames(n):
    lattice = build_lattice(evidence_of(n, np.zeros((0, 2))), [])
    assert lattice.prefixes(slice(0, 0)).shape == (0, n + 1) and lattice.gain.shape == (n + 1,)
    assert lattice.skip.shape == (0,) and lattice.durations.shape[0] == 0
    if n < 2:
        one = build_lattice(evidence_of(n, [[1.0, 0.5]]), notes_of(1))
        assert one.durations.shape == (1, n + 1)


@pytest.mark.parametrize("mean", [-800.0, 20.0, 800.0])
def test_durations_beyond_all_reason_allow_the_nearest_one(mean):
    lattice = build_lattice(evidence_of(6, [[mean, 0.25]]), notes_of(1))
    allowed = np.flatnonzero(lattice.durations[0] > NEVER)
    assert allowed.tolist() == ([1] if mean < 0 else [6])

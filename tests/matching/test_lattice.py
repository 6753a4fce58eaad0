"""align/matching/lattice.py: what the kernel reads, each array from its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.answers import Evidence
from align.datatypes import Note, NoteTime
from align.matching.lattice import NEVER, P_NOTHING, build_lattice

HOP = 0.5


def evidence_of(n, durations, *, observed=None, first=0):
    log_odds = np.random.default_rng(n).normal(size=(n, len(durations))).astype(np.float32)
    observed = np.ones(n, bool) if observed is None else np.asarray(observed)
    return Evidence(
        log_odds, HOP, first, observed, np.asarray(durations, float).reshape(-1, 2), log_odds, "test"
    )


def notes_of(n, time=None):
    return [Note(f"note {i}", time) for i in range(n)]


def test_prefix_sums_leave_out_what_was_not_observed():
    observed = np.array([True, True, False, True])
    evidence = evidence_of(4, [[1.0, 0.5]], observed=observed)
    lattice = build_lattice(evidence, notes_of(1))
    kept = evidence.log_odds[:, 0].astype(float) * observed
    np.testing.assert_allclose(lattice.prefix[0], [0.0, *np.cumsum(kept)])


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_earliest_start_is_the_first_frame_of_the_unbroken_data_before_an_edge(observed):
    evidence = evidence_of(len(observed), [[1.0, 0.5]], observed=observed)
    earliest = build_lattice(evidence, notes_of(1)).earliest
    for t in range(len(observed) + 1):
        whole = [a for a in range(t) if all(observed[a:t])]
        assert earliest[t] == min(whole, default=t)


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.floats(-2.0, 6.0), st.sampled_from([0.25, 0.6, 1.5])), min_size=1, max_size=3),
)
def test_durations_are_a_distribution_times_the_share_of_a_place(n, durations):
    lattice = build_lattice(evidence_of(n, durations), notes_of(len(durations)))
    allowed = lattice.durations > NEVER
    assert not allowed[:, 0].any() and allowed[:, 1:].any(axis=1).all()
    width = max(1.0, n / len(durations))
    total = np.where(allowed, np.exp(np.where(allowed, lattice.durations, 0.0)), 0.0).sum(axis=1)
    np.testing.assert_allclose(total * width, 1.0, rtol=1e-9)
    frames = np.arange(lattice.durations.shape[1])
    for row, ok, (mean, sd) in zip(lattice.durations, allowed, durations, strict=True):
        z = np.abs(np.log(np.maximum(frames, 1) * HOP) - mean) / sd
        nearest = np.clip(np.rint(np.exp(mean) / HOP), 1, len(frames) - 1)
        assert (z[ok & (frames != nearest)] <= 3.5).all()  # the rest is too unlikely to look at
        if ok.sum() > 1:  # log-normal: compare the ratio of two durations with the density's
            a, b = np.flatnonzero(ok)[[0, -1]]
            expected = -0.5 * (z[b] ** 2 - z[a] ** 2) - np.log(b / a)
            assert row[b] - row[a] == pytest.approx(expected, abs=1e-9)


def test_a_timed_note_pays_for_the_width_of_its_window():
    evidence = evidence_of(40, [[1.0, 0.5]] * 2)
    timed = build_lattice(evidence, notes_of(2, NoteTime(4.0, 6.0, 8.0)))
    untimed = build_lattice(evidence, notes_of(2))
    ok = untimed.durations > NEVER
    sd = 0.5 * 2.0 / HOP  # half of the half width, in frames
    # and what the span itself covers, as the time may point anywhere into it
    width = np.sqrt(2 * np.pi) * sd + 2 * 2.0 / HOP + np.e / HOP
    np.testing.assert_allclose((untimed.durations - timed.durations)[ok], np.log(width / 20))


def test_leaving_out_costs_the_prior_odds():
    evidence = evidence_of(4, [[1.0, 0.5]])
    assert np.exp(build_lattice(evidence, notes_of(1)).skip) == pytest.approx(P_NOTHING / (1 - P_NOTHING))
    assert build_lattice(evidence, notes_of(1), 0.5).skip.tolist() == [0.0]


def test_rows_take_notes_and_keep_the_frames():
    lattice = build_lattice(evidence_of(9, [[1.0, 0.5], [2.0, 0.5], [0.0, 0.5]]), notes_of(3))
    some = lattice.rows([2, 0])
    for name in ("prefix", "durations", "priors", "skip"):
        assert getattr(some, name).tolist() == getattr(lattice, name)[[2, 0]].tolist()
        assert getattr(some, name).flags.c_contiguous
    assert some.earliest is lattice.earliest


@pytest.mark.parametrize("n", [0, 1, 5])
def test_N02_no_notes_and_T16_no_frames(n):
    lattice = build_lattice(evidence_of(n, np.zeros((0, 2))), [])
    assert lattice.prefix.shape == (0, n + 1) and lattice.earliest.shape == (n + 1,)
    assert lattice.skip.shape == (0,) and lattice.durations.shape[0] == 0
    if n < 2:
        one = build_lattice(evidence_of(n, [[1.0, 0.5]]), notes_of(1))
        assert one.durations.shape == (1, n + 1)


@pytest.mark.parametrize("mean", [-800.0, 20.0, 800.0])
def test_durations_beyond_all_reason_allow_the_nearest_one(mean):
    lattice = build_lattice(evidence_of(6, [[mean, 0.25]]), notes_of(1))
    allowed = np.flatnonzero(lattice.durations[0] > NEVER)
    assert allowed.tolist() == ([1] if mean < 0 else [6])

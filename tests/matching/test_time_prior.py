"""align/matching/time_prior.py: windows of written times, and in which order notes are placed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.answers import Evidence
from align.datatypes import Note, NoteTime
from align.matching.author_clocks import AuthorClock
from align.matching.time_prior import FLOOR, Window, decoding_order, on_session_clock, ruled_out, time_windows


def evidence_of(*, hop=0.5, first=0, lag=0.0, lag_sd=10.0):
    nothing = np.zeros((4, 0), np.float32)
    observed = np.ones(4, bool)
    return Evidence(nothing, hop, first, observed, np.zeros((0, 2)), "test", lag, lag_sd)


def at(seconds):
    return Note("x", NoteTime(seconds, seconds, seconds))


def within(earliest, latest):
    return Note("x", NoteTime(earliest, earliest, latest))


def test_an_exact_time_is_shifted_by_the_learned_lag():
    windows = time_windows([at(100.0)], evidence_of(first=20, lag=-6.0, lag_sd=8.0))
    assert windows.tolist() == [[(100 - 6) / 0.5 - 20, 0.0, 8.0 / 0.5, FLOOR, 1.0]]


def test_an_interval_is_flat_between_its_ends_and_knows_no_lag():
    windows = time_windows([within(10.0, 30.0)], evidence_of(lag=-6.0))
    assert windows.tolist() == [[40.0, 20.0, 10.0, FLOOR, 1.0]]
    assert time_windows([within(10.0, 10.1)], evidence_of())[0, 2] == 1.0  # at least one frame


def test_the_reach_goes_to_every_timed_note():
    evidence = replace(evidence_of(), reach=0.25)
    assert time_windows([at(1.0), Note("x"), within(1.0, 2.0)], evidence)[:, 4].tolist() == [0.25, 0.0, 0.25]


def test_an_untimed_note_has_no_prior():
    assert time_windows([Note("x")], evidence_of()).tolist() == [[0.0] * 5]
    assert time_windows([], evidence_of()).shape == (0, 5)


# --- with authors' clocks


FAST = {"ann": AuthorClock(-420.0, 12.0, 60.0, 9)}


def by(author, note):
    return replace(note, author=author)


def test_an_authors_clock_replaces_the_lag_of_her_times_alone():
    notes = [by("ann", at(600.0)), by("ben", at(600.0)), at(600.0)]
    windows = time_windows(notes, evidence_of(first=20, lag=-6.0, lag_sd=8.0), FAST)
    assert windows[0].tolist() == [
        180 / 0.5 - 20,
        30 / 0.5,
        12.0 / 0.5,
        FLOOR,
        1.0,
    ]  # half a minute either way
    assert windows[1].tolist() == windows[2].tolist() == [594 / 0.5 - 20, 0.0, 8.0 / 0.5, FLOOR, 1.0]


def test_an_interval_moves_by_what_the_clock_differs_from_the_lag_and_a_phrase_stays():
    notes = [by("ann", within(1000.0, 1060.0)), by("ann", within(1000.0, 4601.0))]
    windows = time_windows(notes, evidence_of(lag=-20.0), FAST)
    assert windows[0].tolist() == [(1030 - 400) / 0.5, 60.0, 30.0, FLOOR, 1.0]
    assert windows[1].tolist() == time_windows(notes, evidence_of(lag=-20.0))[1].tolist()


@given(st.lists(st.tuples(st.floats(0, 1000), st.sampled_from(["", "ann"])), max_size=6))
def test_a_clock_that_says_the_usual_changes_nothing(rows):
    notes = [by(author, at(t)) for t, author in rows]
    evidence = evidence_of(lag=-6.0)
    usual = {"ann": AuthorClock(-6.0, 10.0)}
    np.testing.assert_array_equal(time_windows(notes, evidence, usual), time_windows(notes, evidence))
    assert decoding_order(notes, evidence, usual) == decoding_order(notes, evidence)


def test_notes_on_the_session_clock():
    notes = [by("ann", at(600.0)), at(600.0), Note("x", author="ann"), by("ann", within(500.0, 560.0))]
    moved = on_session_clock(notes, evidence_of(), FAST)
    assert moved[0].time == NoteTime(150.0, 180.0, 210.0)
    assert moved[1] is notes[1] and moved[2] is notes[2]
    assert moved[3].time == NoteTime(80.0, 80.0, 140.0)
    assert on_session_clock(notes, evidence_of()) == tuple(notes)


def test_two_watches_are_put_in_order_by_their_clocks():
    notes = [by("ann", at(620.0)), by("ben", at(100.0)), by("ann", at(820.0)), by("ben", at(300.0))]
    evidence = evidence_of(lag_sd=10.0)
    assert decoding_order(notes, evidence) == [1, 3, 0, 2]
    assert decoding_order(notes, evidence, FAST) == [1, 0, 3, 2]  # 200, 100, 400, 300
    closer = {"ann": AuthorClock(-500.0, 40.0)}
    assert decoding_order(notes, evidence, closer) == [0, 1, 2, 3]  # 120, 100, 320, 300: a small inversion


def test_ruled_out_needs_four_deviations_of_a_difference():
    early = Window(0.0, 0.0, 0.0, 3.0)
    assert ruled_out(Window(20.1, 21.0, 22.0, 4.0), early)
    assert not ruled_out(Window(19.9, 21.0, 22.0, 4.0), early)
    assert not ruled_out(early, Window(50.0, 50.0, 50.0, 3.0))


# --- orders


def test_the_order_written_survives_imprecise_times():
    assert decoding_order([at(50.0), at(20.0), at(60.0)], evidence_of(lag_sd=10.0)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("notes", "order"),
    [
        ([at(500.0), at(20.0)], [1, 0]),
        ([within(400.0, 500.0), within(10.0, 30.0)], [1, 0]),
        ([within(400.0, 500.0), within(10.0, 400.5)], [0, 1]),  # the intervals meet: nothing is ruled out
        ([at(500.0), Note("x"), at(20.0), Note("x")], [2, 3, 0, 1]),  # untimed ones follow their leaders
        ([Note("x"), at(500.0), at(20.0)], [0, 2, 1]),
        ([at(500.0), at(20.0), at(20.0), at(500.0)], [1, 2, 0, 3]),  # N04: equal times stay as written
    ],
)
def test_times_that_rule_the_order_out_decide(notes, order):
    assert decoding_order(notes, evidence_of(lag_sd=10.0)) == order


def test_an_exact_time_is_as_imprecise_beside_an_interval():
    """4 standard deviations of the one exact time, whichever of the two notes has it."""
    for off, inverted in ((35.0, False), (45.0, True)):
        for notes in ([at(100.0 + off), within(90.0, 100.0)], [within(100.0 + off, 200.0), at(100.0)]):
            assert (decoding_order(notes, evidence_of(lag_sd=10.0)) == [1, 0]) == inverted


TIMES = st.none() | st.tuples(st.floats(0, 1000), st.floats(0, 100) | st.just(0.0)).map(
    lambda pair: NoteTime(pair[0], pair[0], pair[0] + pair[1])
)


@given(st.lists(TIMES, max_size=8))
def test_every_note_once_and_equal_times_in_the_order_written(times):
    notes = [Note("x", time) for time in times]
    order = decoding_order(notes, evidence_of())
    assert sorted(order) == list(range(len(notes)))
    for a, b in pairwise(order):
        if times[a] == times[b]:
            assert a < b or times[a] is None


@given(st.lists(st.floats(0, 1000), max_size=8))
def test_sorted_times_are_never_reordered(times):
    notes = [at(t) for t in sorted(times)]
    assert decoding_order(notes, evidence_of(lag_sd=0.001)) == list(range(len(notes)))

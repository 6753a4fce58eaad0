"""align/matching/author_clocks.py: planted watches are found, and nothing is found where nothing was planted."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.answers import Evidence
from align.datatypes import Note, NoteTime
from align.matching import author_clocks
from align.matching.author_clocks import AuthorClock, fit_author_clocks, written_rounding
from align.matching.captioned import evidence_from_captions
from align.matching.pointing import pointing_density
from align.readers import read_session
from align.text import text_encoder
from tests import naive

HOP = 1.0
KINDS = 6


def planted(seed=0, *, n_notes=20, seconds=3600.0, lag=0.0, lag_sd=30.0, strength=0.1):
    """Evidence of a recording whose notes are of six kinds, each about 40 s long, and the true spans."""
    rng = np.random.default_rng(seed)
    n = int(seconds / HOP)
    share = seconds / n_notes
    starts = (np.arange(n_notes) + rng.uniform(0.05, 0.6, n_notes)) * share
    spans = np.column_stack(
        [starts, starts + np.minimum(40.0 * np.exp(rng.normal(0, 0.2, n_notes)), 0.3 * share)]
    )
    kinds = rng.integers(0, KINDS, n_notes)
    shown = np.full(n, -1)
    for (a, b), kind in zip(spans, kinds, strict=True):
        shown[int(a) : int(b)] = kind
    odds = np.where(shown[:, None] == kinds, strength, -strength) + rng.normal(0, 0.2, (n, n_notes))
    durations = np.tile([math.log(0.9 * np.diff(spans).mean()), 0.4], (n_notes, 1))
    about = {"lag": lag, "lag_sd": lag_sd}
    log_odds = odds.astype(np.float32)
    return Evidence(log_odds, HOP, 0, np.ones(n, bool), durations, "planted", **about), spans


def written(spans, *, offset=0.0, sd=10.0, delay=0.0, rounding=0.0, gross=0.0, seed=1):
    """Notes about the middles of spans, from a watch ``offset`` fast, written late, rounded, some plainly wrong."""
    rng = np.random.default_rng(seed)
    times = spans.mean(axis=1) + offset + rng.normal(0, sd, len(spans))
    times += delay * np.exp(rng.normal(0, 0.5, len(spans)))
    wrong = rng.permutation(len(spans)) < round(gross * len(spans))
    times = np.where(wrong, rng.uniform(0, spans.max(initial=0.0), len(spans)), times)
    times = rounding * np.rint(times / rounding) if rounding else times
    return tuple(Note(f"note {i}", NoteTime(t, t, t)) for i, t in enumerate(times.tolist()))


# --- planted clocks


@pytest.mark.parametrize("seed", range(4))
def test_a_watch_7_minutes_fast_written_40_s_late_in_whole_minutes(seed):
    evidence, spans = planted(seed)
    notes = written(spans, offset=420.0, delay=40.0, sd=0.0, rounding=60.0, seed=seed)
    clock = fit_author_clocks(evidence, notes)[""]
    assert clock.shift == pytest.approx(-460.0, abs=20.0)
    assert clock.rounding == 60.0 and clock.n_notes == 20
    assert clock.sd < 40.0


@pytest.mark.parametrize("offset", [-1500.0, -240.0, 200.0, 1100.0])
@pytest.mark.parametrize("gross", [0.0, 0.1])
def test_shifts_of_minutes_are_found_through_gross_errors(offset, gross):
    evidence, spans = planted(5)
    clock = fit_author_clocks(evidence, written(spans, offset=offset, gross=gross))[""]
    assert clock.shift == pytest.approx(-offset, abs=15.0)
    assert 3.0 < clock.sd < 30.0


def test_two_authors_with_different_watches_and_a_third_with_none():
    evidence, spans = planted(2, n_notes=36, seconds=7200.0)
    by = [written(spans, offset=offset) for offset in (300.0, -500.0, 0.0)]
    notes = [replace(by[i % 3][i], author=("ann", "ben", "cec")[i % 3]) for i in range(36)]
    clocks = fit_author_clocks(evidence, notes)
    assert sorted(clocks) == ["ann", "ben"]
    assert clocks["ann"].shift == pytest.approx(-300.0, abs=15.0)
    assert clocks["ben"].shift == pytest.approx(500.0, abs=15.0)
    assert clocks["ann"].n_notes == 12


def test_the_shift_is_counted_from_the_time_written_not_from_the_lag():
    evidence, spans = planted(3, lag=-60.0)
    assert fit_author_clocks(evidence, written(spans, offset=400.0))[""].shift == pytest.approx(
        -400.0, abs=15.0
    )


def test_a_loose_author_gets_a_loose_clock():
    evidence, spans = planted(4, n_notes=30, seconds=7200.0)
    tight, loose = (
        fit_author_clocks(evidence, written(spans, offset=300.0, sd=sd))[""].sd for sd in (5.0, 60.0)
    )
    assert tight < 15.0 and 35.0 < loose < 90.0


# --- nothing planted


@pytest.mark.parametrize("seed", range(12))
def test_no_shift_is_found_where_there_is_none(seed):
    evidence, spans = planted(seed, lag_sd=10.0)
    for notes in (written(spans, seed=seed), written(spans, gross=0.1, seed=seed)):
        assert fit_author_clocks(evidence, notes) == {}


def test_shifts_are_rarely_found_in_the_evidence_of_other_notes():
    """The null: columns and times that do not belong together. By chance 1 in e^4 = 55; here 20 are tried."""
    rng = np.random.default_rng(0)
    found = 0
    for seed in range(20):
        evidence, spans = planted(seed)
        columns = rng.permutation(len(spans))
        broken = replace(evidence, log_odds=evidence.log_odds[:, columns])
        found += len(fit_author_clocks(broken, written(spans, offset=float(rng.uniform(-900, 900)))))
    assert found <= 2


@given(st.integers(0, 1000), st.floats(-2000, 2000))
@settings(max_examples=8, deadline=None)
def test_no_shift_is_found_in_evidence_that_says_nothing(seed, offset):
    evidence, spans = planted(1)
    silent = replace(evidence, log_odds=np.zeros_like(evidence.log_odds))
    assert fit_author_clocks(silent, written(spans, offset=offset, seed=seed)) == {}
    drowned = np.random.default_rng(seed).normal(0, 1, evidence.log_odds.shape).astype(np.float32)
    assert fit_author_clocks(replace(evidence, log_odds=drowned), written(spans, offset=offset)) == {}


def test_a_day_of_notes_about_another_hour_shifts_nothing():
    evidence, spans = planted(1)
    inside = written(spans[:4])
    outside = tuple(Note("x", NoteTime(t, t, t)) for t in np.linspace(4000.0, 80_000.0, 30).tolist())
    silent = np.hstack([evidence.log_odds[:, :4], np.zeros((3600, 30), np.float32)])
    durations = np.vstack([evidence.durations[:4], np.tile([3.5, 0.5], (30, 1))])
    day = replace(evidence, log_odds=silent, durations=durations)
    assert fit_author_clocks(day, inside + outside) == {}


@pytest.mark.parametrize("n", [0, 1, 2])
def test_two_notes_are_too_few(n):
    evidence, spans = planted(0, strength=3.0)
    few = replace(evidence, log_odds=evidence.log_odds[:, :n], durations=evidence.durations[:n])
    assert fit_author_clocks(few, written(spans[:n], offset=300.0)) == {}


def test_five_sure_notes_are_enough():
    evidence, spans = planted(8, n_notes=5, strength=1.0, lag_sd=10.0)
    clock = fit_author_clocks(evidence, written(spans, offset=300.0, sd=3.0))[""]
    assert clock.shift == pytest.approx(-300.0, abs=15.0)


def test_untimed_vague_and_empty_notes_count_for_nothing():
    evidence, spans = planted(5)
    notes = list(written(spans, offset=300.0))
    vague = [replace(n, time=NoteTime(n.time.likely - 60, n.time.likely, n.time.likely + 60)) for n in notes]
    for others in ([replace(n, time=None) for n in notes], vague, [replace(n, text="") for n in notes]):
        assert fit_author_clocks(evidence, [*notes[:2], *others[2:]]) == {}


def test_times_hours_away_are_no_shift():
    evidence, spans = planted(5)
    assert fit_author_clocks(evidence, written(spans, offset=9000.0)) == {}


# --- the decoder's word


def test_the_decoder_decides_what_the_evidence_alone_leaves_open():
    evidence, spans = planted(1, strength=0.03)
    notes = written(spans, offset=35.0, sd=3.0)
    asked: list[tuple[tuple[int, ...], dict[str, AuthorClock]]] = []

    def score_of(gain):
        def score(which, clocks):
            asked.append((tuple(which), dict(clocks)))
            return gain if clocks and clocks[""].shift != evidence.lag else 0.0

        return score

    assert fit_author_clocks(evidence, notes) == {}
    assert fit_author_clocks(evidence, notes, score_of(5.0)) == {}  # less than the search costs
    asked.clear()
    found = fit_author_clocks(evidence, notes, score_of(30.0))
    assert found[""].shift == pytest.approx(-35.0, abs=10.0)
    # it is tighter than the usual lag: that has no looser rival
    assert [clocks for _, clocks in asked] == [{}, found]
    assert asked[0][0] == tuple(range(20))


def test_loose_times_are_no_shifted_clock():
    """Times that scatter more than is usual suit many shifts a little better: the usual lag, as loose, is the rival."""
    evidence, spans = planted(3, strength=0.03, lag_sd=4.0)
    notes = written(spans, sd=40.0)

    def score_of(looser, shifted):
        def score(which, clocks):
            if not clocks:
                return 0.0
            return shifted if clocks[""].shift != evidence.lag else looser

        return score

    assert fit_author_clocks(evidence, notes, score_of(0.0, 30.0))[""].shift != evidence.lag
    clock = fit_author_clocks(evidence, notes, score_of(25.0, 30.0))[""]
    assert (clock.shift, clock.sd > evidence.lag_sd) == (evidence.lag, True)
    assert fit_author_clocks(evidence, notes, score_of(2.0, 6.0)) == {}


def test_what_notes_say_one_by_one_is_no_clock_when_the_decoder_speaks_against_it():
    evidence, spans = planted(5)
    notes = written(spans, offset=240.0)

    def score_of(shifted):
        return lambda which, clocks: shifted if clocks and clocks[""].shift != evidence.lag else 0.0

    assert fit_author_clocks(evidence, notes)[""].shift == pytest.approx(-240.0, abs=15.0)
    assert fit_author_clocks(evidence, notes, score_of(0.0))[""].shift == pytest.approx(-240.0, abs=15.0)
    assert fit_author_clocks(evidence, notes, score_of(-0.1)) == {}


def test_the_less_of_the_posterior_a_shift_holds_the_more_the_decoder_must_say_for_it():
    evidence, spans = planted(1, strength=0.03)
    notes = written(spans, offset=35.0, sd=3.0)
    times = np.array([note.time.likely for note in notes])
    found = author_clocks._candidate(evidence, np.arange(len(notes)), times)
    needed = {}
    for share in (0.8, 0.08):
        held = replace(found, gain=0.0, share=share)
        for gained in np.arange(0.0, 40.0, 0.25):

            def said(which, clocks, gained=gained):
                return gained if clocks else 0.0

            arguments = (evidence, "", held, (range(len(notes)), times), said)
            if author_clocks._supported(*arguments) is not None:
                needed[share] = gained
                break
    assert needed[0.08] - needed[0.8] == pytest.approx(math.log(10.0), abs=0.3)


def test_notes_outside_the_recording_do_not_enter_the_decoders_word():
    evidence, spans = planted(1, strength=0.03)
    notes = list(written(spans, offset=35.0, sd=3.0))
    notes[4] = replace(notes[4], time=NoteTime(4000.0, 4000.0, 4000.0))
    entered: list[list[int]] = []
    fit_author_clocks(evidence, notes, lambda which, clocks: entered.append(list(which)) or 0.0)
    assert entered and all(4 not in which and len(which) == 19 for which in entered)


# --- definition


@given(st.integers(0, 50), st.floats(-20, 20), st.sampled_from([3.0, 8.0]))
@settings(max_examples=10, deadline=None)
def test_the_likelihood_is_what_a_plain_sum_says(seed, shift, sd):
    evidence, spans = planted(seed, n_notes=4, seconds=400.0)
    times = spans.mean(axis=1) + 20.0
    sds = np.array([sd, 15.0])
    grid = author_clocks._Grid(-60.0, HOP, 121, 60)
    which = np.arange(4)
    likelihood, _ = author_clocks._likelihoods(evidence, (which, times), grid, sds, 0.0)
    k = round(shift - grid.first)

    def density_of(column, time):
        moments = time + grid.padded
        values = pointing_density(evidence, column, moments)
        return lambda t: float(np.interp(t, moments, values, left=0.0, right=0.0))

    densities = [density_of(i, w) for i, w in enumerate(times)]
    for e, said in zip(author_clocks._MISLED, likelihood[0, :, k], strict=True):
        expected = naive.clock_log_likelihood(densities, times, grid.shifts[k], sd, e)
        assert said == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("times", "rounding"),
    [
        ([], 0.0),
        ([60.0], 0.0),
        ([60.0, 120.0], 0.0),  # 1 in 60 by chance
        ([60.0, 60.0, 120.0], 0.0),  # the same time again says nothing
        ([60.0, 120.0, 240.0], 60.0),
        ([17.25, 77.25, 1217.25], 60.0),  # the minute may begin anywhere on the session clock
        ([0.0, 300.0, 900.0], 60.0),  # minutes that happen to be multiples of five
        ([300.0 * k for k in range(6)], 300.0),
        ([300.0 * k for k in range(6)] + [1860.0], 60.0),
        ([60.0, 120.0, 240.5], 0.0),
        ([1.0, 2.0, 5.0, 9.0], 0.0),
    ],
)
def test_rounding_shows_in_the_times(times, rounding):
    assert written_rounding(np.array(times)) == rounding


def test_rounding_coarser_than_the_usual_deviation_is_kept_without_a_shift():
    evidence, spans = planted(7, lag_sd=5.0)
    notes = written(spans, sd=0.0, rounding=60.0)
    clock = fit_author_clocks(evidence, notes)[""]
    assert clock.rounding == 60.0 and abs(clock.shift) < 15.0
    assert fit_author_clocks(replace(evidence, lag_sd=30.0), notes) == {}


def test_hundreds_of_notes_are_thinned():
    evidence, spans = planted(9, n_notes=20)
    notes = written(spans, offset=300.0) * 40
    many = replace(
        evidence,
        log_odds=np.tile(evidence.log_odds, (1, 40)),
        durations=np.tile(evidence.durations, (40, 1)),
    )
    clock = fit_author_clocks(many, notes)[""]
    assert clock.n_notes == 800 and clock.shift == pytest.approx(-300.0, abs=15.0)


def test_T16_N02_nothing_to_go_by():
    evidence, _ = planted(0, n_notes=2)
    empty = replace(evidence, log_odds=np.zeros((3600, 0), np.float32), durations=np.zeros((0, 2)))
    assert fit_author_clocks(empty, ()) == {}
    tiny = Evidence(np.zeros((1, 4), np.float32), 1.0, 0, np.ones(1, bool), np.zeros((4, 2)), "t")
    assert fit_author_clocks(tiny, written(np.tile([0.0, 1.0], (4, 1)))) == {}
    none = replace(evidence, observed=np.zeros(3600, bool), log_odds=np.zeros((3600, 4), np.float32),
                   durations=np.zeros((4, 2)))  # fmt: skip
    assert fit_author_clocks(none, written(np.tile([0.0, 1.0], (4, 1)))) == {}


# --- real recordings


@pytest.mark.data
def test_hapt_with_every_watch_4_minutes_fast():
    """Captions, no training: the shift is found, and none where there is none."""
    folder = Path(os.environ.get("ALIGN_DATA", "../shared/data")) / "hapt"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent (ALIGN_DATA)")
    right, offsets = [], (0.0, 240.0)
    for path in sorted(folder.iterdir())[:2]:
        with (path / "notes_15s.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        session = read_session(path)
        texts = tuple(Note(row["text"]) for row in rows)
        whole = [[session.start, session.end]]  # frames are judged one by one: no need to segment
        evidence = evidence_from_captions(replace(session, notes=texts), text_encoder("auto"), whole, 0.5)
        for offset in offsets:
            times = [float(row["time"]) + offset for row in rows]
            notes = [replace(n, time=NoteTime(t, t, t)) for n, t in zip(texts, times, strict=True)]
            clock = fit_author_clocks(evidence, notes).get("")
            right.append(
                clock is None if offset == 0 else clock is not None and abs(clock.shift + 240.0) < 30.0
            )
    assert all(right[::2]) and any(right[1::2])

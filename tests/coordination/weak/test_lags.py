"""align/coordination/weak/lags.py: how written times lie against true spans."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination.weak.lags import likeliest_lag, note_lag
from align.datatypes import Note, NoteTime, Session, Span, Stream


def session_of(times, spans):
    stream = Stream(np.zeros(10), rate=1.0)
    notes = tuple(Note("x", None if t is None else NoteTime(t, t, t)) for t in times)
    return Session("s", (stream,), notes, truth=tuple(Span(*span) for span in spans))


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-60.0, 60.0), st.sampled_from([2.0, 5.0, 20.0, 100.0]), st.sampled_from([0.5, 3.0, 20.0, 60.0]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_deviation_is_found_whatever_the_length_of_spans(shift, sd, length, seed):
    """Few times lie outside long spans, however loose they are: the distance outside does not tell."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0.0, 1e4, 1000)
    lengths = length * np.exp(rng.normal(0.0, 0.3, 1000))
    times = start + rng.uniform(0.0, 1.0, 1000) * lengths + rng.normal(0.0, sd, 1000) + shift
    times[:5] += 3000.0  # gross errors
    lag, found = likeliest_lag(times, np.column_stack([start, start + lengths]))
    assert found == pytest.approx(sd, rel=0.25, abs=0.1 * length)
    assert lag == pytest.approx(-shift, abs=0.5 * sd + 0.3 * length)


def test_the_likelihood_is_that_of_its_integral():
    """The density of a time, summed over where in the span it was drawn; the best of all deviations is returned."""
    rng = np.random.default_rng(1)
    spans = np.column_stack([np.arange(9.0) * 50.0, np.arange(9.0) * 50.0 + rng.uniform(1.0, 30.0, 9)])
    times = spans.mean(axis=1) + rng.normal(0.0, 7.0, 9)

    def likelihood(sd):
        total = 0.0
        for t, (a, b) in zip(times, spans, strict=True):
            inside = a + (np.arange(4000) + 0.5) / 4000 * (b - a)
            density = np.exp(-0.5 * ((t - inside) / sd) ** 2).mean() / (sd * math.sqrt(2.0 * math.pi))
            total += math.log(density + 0.02 / 3600.0)
        return total

    lag, sd = likeliest_lag(times, spans)
    assert lag == 0.0
    assert likelihood(sd) >= max(likelihood(other) for other in np.geomspace(1.0, 60.0, 60)) - 1e-3


def test_people_who_write_five_seconds_after_the_event_are_understood():
    rng = np.random.default_rng(0)
    starts = np.arange(40) * 100.0
    times = starts + 10.0 + 5.0 + rng.normal(0.0, 0.5, 40)
    lag, sd = note_lag([session_of(times, np.column_stack([starts, starts + 10.0]))])
    assert ((starts < times + lag) & (times + lag < starts + 10.0)).all()
    assert sd == 1.0


def test_times_inside_their_spans_need_no_shift_and_gross_errors_do_not_widen_the_window():
    starts = np.arange(40) * 100.0
    times = starts + 5.0
    times[3] += 3000.0
    lag, sd = note_lag([session_of(times, np.column_stack([starts, starts + 10.0]))])
    assert (lag, sd) == (0.0, 1.0)


@pytest.mark.filterwarnings("error")
def test_moments_are_spans_too():
    times = np.arange(20) * 50.0 + np.tile([-3.0, 3.0], 10)
    moments = np.arange(20) * 50.0
    lag, sd = likeliest_lag(times, np.column_stack([moments, moments]))
    assert lag == 0.0
    assert sd == pytest.approx(3.0, rel=0.05)


def test_too_few_timed_notes_tell_nothing():
    times = [5.0] * 7 + [None] * 5
    spans = [(0.0, 10.0)] * 11 + [(float("nan"), float("nan"))]
    assert note_lag([session_of(times, spans)]) is None
    assert note_lag([]) is None

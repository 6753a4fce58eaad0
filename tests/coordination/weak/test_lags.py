"""align/coordination/weak/lags.py: how written times lie against true spans."""

from __future__ import annotations

import numpy as np
import pytest

from align.coordination.weak.lags import note_lag, signed_distance
from align.datatypes import Note, NoteTime, Session, Span, Stream


def session_of(times, spans):
    stream = Stream(np.zeros(10), rate=1.0)
    notes = tuple(Note("x", None if t is None else NoteTime(t, t, t)) for t in times)
    return Session("s", (stream,), notes, truth=tuple(Span(*span) for span in spans))


def test_the_distance_is_signed_and_zero_inside():
    spans = np.array([[10.0, 20.0]] * 4)
    assert signed_distance(np.array([7.0, 10.0, 20.0, 26.0]), spans).tolist() == [-3.0, 0.0, 0.0, 6.0]


def test_people_who_write_five_seconds_after_the_event_are_understood():
    rng = np.random.default_rng(0)
    starts = np.arange(40) * 100.0
    times = starts + 10.0 + 5.0 + rng.normal(0.0, 0.5, 40)
    lag, sd = note_lag([session_of(times, np.column_stack([starts, starts + 10.0]))])
    assert lag == pytest.approx(-5.0, abs=0.5)
    assert sd <= 1.5


def test_times_inside_their_spans_need_no_shift_and_gross_errors_do_not_widen_the_window():
    starts = np.arange(40) * 100.0
    times = starts + 5.0
    times[3] += 3000.0
    lag, sd = note_lag([session_of(times, np.column_stack([starts, starts + 10.0]))])
    assert (lag, sd) == (0.0, 1.0)


def test_too_few_timed_notes_tell_nothing():
    times = [5.0] * 7 + [None] * 5
    spans = [(0.0, 10.0)] * 11 + [(float("nan"), float("nan"))]
    assert note_lag([session_of(times, spans)]) is None
    assert note_lag([]) is None

"""align/matching/matcher.py: the door, with a model and without."""

from __future__ import annotations

import numpy as np
import pytest

import align
from align.answers import Evidence
from align.datatypes import Note, NoteTime, Session, Stream
from align.errors import ParameterError
from align.matching import evidence_of, match


class Planted:
    """A "model" that knows where the notes are: 10 s each, one after the other."""

    def evidence(self, session):
        n_notes = len(session.notes)
        log_odds = np.full((100, n_notes), -2.0, np.float32)
        for i in range(n_notes):
            log_odds[20 * i + 5 : 20 * i + 15, i] = 2.0
        durations = np.tile([np.log(10.0), 0.4], (n_notes, 1))
        return Evidence(log_odds, 1.0, 0, np.ones(100, bool), durations, "planted")


def session_of(*notes, **about):
    values = np.random.default_rng(0).normal(size=(500, 1))
    return Session("s", (Stream(values, 5.0, "wrist"),), tuple(notes), **about)


def test_a_model_brings_the_evidence():
    session = session_of(Note("sat"), Note("walked"), Note(""), epoch=10**18, timezone="+02:00")
    alignment = match(session, Planted())
    assert alignment.spans[:2] == pytest.approx(np.array([[5.0, 15.0], [25.0, 35.0]]), abs=0.1)
    assert [link.status for link in alignment.links] == ["aligned", "aligned", "empty"]
    assert (alignment.method, alignment.epoch, alignment.timezone) == ("planted", 10**18, "+02:00")
    assert alignment.notes == session.notes


def test_N03_outside_is_counted_from_the_recording_not_from_the_frames():
    values = np.random.default_rng(0).normal(size=(500, 1))
    stream = Stream(values, 5.0, "wrist", run_start=np.array([0.4]))
    notes = (Note("a", NoteTime(0.4, 0.4, 0.4)), Note("b", NoteTime(0.1, 0.1, 0.1)))
    links = match(Session("s", (stream,), notes), Planted()).links
    assert [link.distance for link in links] == [None, pytest.approx(-0.3)]


def test_order_goes_through():
    with pytest.raises(ParameterError, match="order"):
        match(session_of(Note("sat")), Planted(), order="sideways")  # type: ignore[arg-type]


def test_without_a_model_captions_are_the_evidence():
    session = session_of(Note("sat still"), Note("walked"))
    evidence = evidence_of(session, encoder="hashed")
    assert evidence.method == "captions" and evidence.log_odds.shape[1] == 2
    alignment = align.match(session, encoder="hashed")
    assert len(alignment.links) == 2 and alignment.method == "captions"
    with pytest.raises(ParameterError, match="encoder"):
        evidence_of(session, encoder="no such")


@pytest.mark.parametrize("model", [None, Planted()])
@pytest.mark.parametrize("order", ["monotone", "free"])
def test_N02_no_notes(model, order):
    assert match(session_of(), model, order=order, encoder="hashed").links == ()


@pytest.mark.parametrize("n_samples", [1, 2, 9])
def test_T16_tiny_recordings(n_samples):
    stream = Stream(np.arange(float(n_samples)), 1.0, "wrist")
    session = Session("s", (stream,), (Note("sat"), Note("walked")))
    alignment = match(session, encoder="hashed")
    assert len(alignment.links) == 2
    assert np.nanmin(alignment.spans, initial=0.0) >= 0.0
    assert np.nanmax(alignment.spans, initial=0.0) <= max(n_samples, 1)

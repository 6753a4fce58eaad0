"""What stands out of the background speaks for a note, and its edges for where a span begins and ends."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from align.datatypes import Note, Session, Span, Stream
from align.errors import ParameterError
from align.matching import match
from align.matching.captioned import evidence_from_captions
from align.matching.foreground import Foreground, noted_frames
from align.matching.gains import joint_gain, normalised
from align.metrics import pool
from align.text import text_encoder

RATE = 4000.0
gains_of = npst.arrays(np.float64, 9, elements=st.floats(-20.0, 20.0))


@given(gains_of, gains_of)
def test_gains_are_weights_of_mean_one_and_two_witnesses_multiply(one, other):
    both = joint_gain(one, other)
    assert np.exp(both).mean() == pytest.approx(1.0)
    assert (np.diff(both[np.argsort(one + other)]) >= 0.0).all()
    np.testing.assert_allclose(both, joint_gain(other, one))
    np.testing.assert_allclose(both, normalised(one + other))


def test_edges_are_likelier_where_foreground_begins_and_ends():
    share = np.array([0.0] * 10 + [1.0] * 10 + [0.0] * 10)
    gain = Foreground(2.0, -1.0).gain(share)
    assert gain.shape == (31,) and set(np.argsort(gain)[-2:].tolist()) == {10, 20}
    assert np.exp(gain).mean() == pytest.approx(1.0)
    assert not Foreground(2.0, -1.0, 0.0).gain(share).size
    none = np.zeros(0)
    assert joint_gain(none, gain) is gain and joint_gain(gain, none) is gain


def test_it_speaks_for_notes_as_far_as_they_can_be_about_all_that_is_heard():
    share, own = np.array([0.0] * 5 + [1.0] * 10), Foreground(2.0, -1.0)
    for noted in (0.0, 3.0, 5.0):
        assert own.log_odds(share, noted).tolist() == [-1.0] * 5 + [0.0] * 10
    assert own.log_odds(share, 7.5)[-1] == pytest.approx(np.log(3.0))
    assert own.log_odds(share, 20.0).tolist() == own.log_odds(share).tolist() == [-1.0] * 5 + [2.0] * 10
    assert Foreground(-1.0, -2.0).log_odds(share, 1.0)[-1] == -1.0


def test_where_no_sound_is_it_says_nothing():
    share = np.array([1.0, np.nan, 0.0])
    assert Foreground(2.0, -1.0, 0.5).log_odds(share).tolist() == [1.0, 0.0, -0.5]
    assert np.isfinite(Foreground(2.0, -1.0).gain(share)).all()


@pytest.mark.parametrize(
    "about", [(5.0, 0.0, 1.0), (0.0, -4.5, 1.0), (1.0, -1.0, float("nan")), (1.0, 1.0, 1.5)]
)
def test_numbers_out_of_their_ranges_are_refused(about):
    with pytest.raises(ParameterError):
        Foreground(*about)


def recorded(seed, *, with_wrist=False):
    """Six tones of 0.6 s in a hiss that is as loud as they are faint: nobody said what they sound like."""
    rng = np.random.default_rng(seed)
    pieces, spans, now = [], [], 0.0
    for _ in range(6):
        tone = 0.02 * np.sin(np.arange(int(0.6 * RATE)) * rng.uniform(0.3, 2.0)) + rng.normal(
            0, 0.003, int(0.6 * RATE)
        )
        pieces += [rng.normal(0, 0.01, int(rng.uniform(0.8, 2.0) * RATE)), tone]
        start = now + len(pieces[-2]) / RATE
        now = start + 0.6
        spans.append(Span(start, now, "zorp", "zorp"))
    pieces.append(rng.normal(0, 0.01, int(RATE)))
    streams = (Stream(np.concatenate(pieces), RATE, "mic", modality="audio"),)
    if with_wrist:
        still = np.tile([0.0, 0.0, 9.81], (int(50 * (now + 1.0)), 1)) + rng.normal(
            0, 0.01, (int(50 * (now + 1.0)), 3)
        )
        streams += (Stream(still, 50.0, "wrist", channels=("acc_x", "acc_y", "acc_z"), units=("m/s2",) * 3),)
    return Session("s", streams, tuple(Note(s.text) for s in spans), truth=tuple(spans))


def test_without_a_model_what_stands_out_is_found_whatever_it_is_called():
    sessions = [recorded(seed) for seed in range(4)]
    pairs = [(match(dataclasses.replace(s, truth=None), encoder="hashed"), s.truth) for s in sessions]
    assert pool(pairs).mean_iou > 0.8


def test_it_speaks_for_what_is_heard_and_not_for_quiet_nor_where_there_are_sensors():
    encoder = text_encoder("hashed")
    session = recorded(9)
    session = dataclasses.replace(session, notes=(Note("zorp"), Note("silence")))
    heard = evidence_from_captions(session, encoder, [(session.start, session.end)], 0.1)
    inside = (np.asarray([s.start for s in session.truth]) / 0.1 + 3).astype(int)
    assert heard.gain.size == len(heard.log_odds) + 1
    assert heard.log_odds[inside, 0].min() > 0.1 > 0.0 > heard.log_odds[inside, 1].max()
    assert heard.log_odds[:6, 0].mean() < -1.0  # before the first tone
    mixed = recorded(9, with_wrist=True)
    mixed = dataclasses.replace(mixed, notes=session.notes)
    both = evidence_from_captions(mixed, encoder, [(mixed.start, mixed.end)], 0.1)
    assert not both.gain.size and abs(both.log_odds[inside, 0]).max() < 0.2


def test_notes_may_take_half_a_deviation_more_than_expected():
    durations = np.array([[np.log(2.0), 0.0], [np.log(3.0), 0.6]])
    assert noted_frames(durations, 0.1) == pytest.approx(20.0 + 30.0 * np.exp(0.3))
    assert noted_frames(durations[:0], 0.1) == 0.0

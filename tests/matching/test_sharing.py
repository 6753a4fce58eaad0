"""align/matching/sharing.py: which neighbours may speak of one event."""

from __future__ import annotations

import numpy as np
import pytest

from align.answers import Evidence
from align.datatypes import Note, NoteTime
from align.matching.lattice import build_lattice
from align.matching.sharing import NEVER, P_SHARE, with_sharing


def shares(notes, odds=None):
    rng = np.random.default_rng(0)
    odds = rng.normal(size=(60, len(notes))) if odds is None else odds
    durations = np.tile([1.0, 0.5], (len(notes), 1))
    evidence = Evidence(odds.astype(np.float32), 0.5, 0, np.ones(len(odds), bool), durations, "test")
    return with_sharing(build_lattice(evidence, notes), notes).share


AT = NoteTime(4.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("notes", "can"),
    [
        ([Note("fell", author="a"), Note("Fell.", author="b")], True),
        ([Note("fell"), Note("Fell.")], False),
        ([Note("fell"), Note("stood up")], False),
        ([Note("fell", AT), Note("dizzy", AT)], True),
        ([Note("fell", AT), Note("dizzy", NoteTime(9.0, 9.0, 9.0))], False),
        ([Note("!", author="a"), Note("?", author="b")], False),
    ],
)
def test_same_words_or_the_same_moment(notes, can):
    expected = np.log(P_SHARE / (1 - P_SHARE)) if can else NEVER
    assert shares(notes).tolist() == [pytest.approx(expected), NEVER]


def test_odds_that_rise_and_fall_together():
    one = np.random.default_rng(1).normal(size=60)
    notes = [Note("a", author="x"), Note("b", author="y"), Note("c", author="z")]
    found = shares(notes, np.column_stack([one, 2 * one + 1, -one]))
    assert found[0] > -10 and found[1:].tolist() == [NEVER, NEVER]
    assert (shares([Note("a"), Note("b"), Note("c")], np.column_stack([one, one, one])) == NEVER).all()
    assert (shares(notes, np.zeros((60, 3))) == NEVER).all()


def test_one_note_or_none():
    assert shares([Note("a")]).tolist() == [NEVER]
    assert shares([]).shape == (0,)

"""align/matching/placeable.py: which notes are answered before anything is decoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.datatypes import Note, NoteTime
from align.matching.placeable import split_notes

TIMES = st.none() | st.tuples(st.floats(-50.0, 150.0), st.floats(0.0, 30.0)).map(
    lambda pair: NoteTime(pair[0], pair[0], pair[0] + pair[1])
)
NOTES = st.lists(st.builds(Note, text=st.sampled_from(["sat", "", " \u200b"]), time=TIMES), max_size=8)


@given(NOTES)
def test_every_note_is_placeable_or_answered(notes):
    placeable, answered = split_notes(tuple(notes), 0.0, 100.0)
    assert sorted([*placeable, *answered]) == list(range(len(notes)))
    assert placeable == sorted(placeable)
    for i in placeable:
        assert not notes[i].is_empty
    for link in answered.values():
        assert link.span is None and link.probability == 0.0 and not link.alternatives
        assert (link.distance is not None) == (link.status == "outside")


def test_N03_notes_of_another_time_keep_their_signed_distance():
    notes = (
        Note("before", NoteTime(1.0, 2.0, 4.0)),
        Note("reaches in", NoteTime(1.0, 2.0, 5.0)),
        Note("reaches out", NoteTime(14.0, 20.0, 30.0)),
        Note("at the end", NoteTime(15.0, 15.0, 15.0)),
        Note("after", NoteTime(25.0, 26.0, 30.0)),
        Note("untimed"),
    )
    placeable, answered = split_notes(notes, 5.0, 15.0)
    assert placeable == [1, 2, 5]
    assert {i: link.distance for i, link in answered.items()} == {0: -1.0, 3: 0.0, 4: 10.0}
    assert {link.status for link in answered.values()} == {"outside"}


@pytest.mark.parametrize("time", [None, NoteTime(0.5, 0.5, 0.5), NoteTime(99.0, 99.0, 99.0)])
def test_N01_an_empty_note_is_empty_wherever_its_time_lies(time):
    notes = (Note("\u200b \n", time),)
    assert split_notes(notes, 0.0, 1.0)[1][0].status == "empty"


def test_N02_no_notes():
    assert split_notes((), 0.0, 1.0) == ([], {})

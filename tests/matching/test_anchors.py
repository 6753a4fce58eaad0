"""Anchors: corrections add up, the same again changes nothing, and what was said comes out as it was said."""

from __future__ import annotations

import pytest

from align.answers import Alignment, Link
from align.datatypes import Note
from align.errors import InputError, ParameterError
from align.matching.anchors import Anchor, anchored, anchors_of
from align.readers.corrections import Correction
from align.writers import alignment_jsonl, read_alignment_jsonl


def test_corrections_add_to_earlier_ones_and_the_later_wins() -> None:
    first = anchors_of([Correction(4, (1.0, 2.0)), Correction(0, None)], (0.0, 10.0))
    assert first == (Anchor(0, None), Anchor(4, (1.0, 2.0)))
    second = anchors_of([Correction(4, (3.0, 4.0)), Correction(2, (2.0, 3.0))], (0.0, 10.0), first)
    assert second == (Anchor(0, None), Anchor(2, (2.0, 3.0)), Anchor(4, (3.0, 4.0)))
    again = anchors_of([Correction(4, (3.0, 4.0)), Correction(2, (2.0, 3.0))], (0.0, 10.0), second)
    assert again == second


@pytest.mark.parametrize("span", [(-3.0, 0.0), (10.0, 12.0), (50.0, 60.0)])
def test_a_span_outside_the_recording_is_refused(span: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="E-CORRECTION") as caught:
        anchors_of([Correction(1, span, 7)], (0.0, 10.0), file="c.jsonl")
    assert dict(caught.value.where) == {"file": "c.jsonl", "line": 7}
    assert anchors_of([Correction(1, (-1.0, 1.0))], (0.0, 10.0)) == (Anchor(1, (-1.0, 1.0)),)


def test_anchored_notes_are_as_said_and_marked() -> None:
    notes = tuple(Note(text) for text in ("a", "b", "c", " "))
    links = (
        Link("ambiguous", (0.0, 1.0), 0.3, ((5.0, 6.0, 0.2),), ("wrist",)),
        Link("aligned", (2.0, 3.0), 0.9, (), ("wrist",)),
        Link("outside", None, 0.0, distance=3.0),
        Link("empty", None, 0.0),
    )
    before = Alignment(notes, links, "captions")
    after = anchored(before, [Anchor(0, (0.123456789, 1.5)), Anchor(2, None)])
    assert after.links[0] == Link("aligned", (0.123456789, 1.5), 1.0, (), ("wrist",))
    assert after.links[2] == Link("unmatched", None, 1.0)
    assert after.links[1] is links[1] and after.links[3] is links[3]
    assert after.provenance["anchors"] == (0, 2)
    text = alignment_jsonl(after)
    assert [line.endswith('"anchor": true}') for line in text.splitlines()] == [True, False, True, False]
    assert alignment_jsonl(read_alignment_jsonl(text)) == text
    assert anchored(before, []) is before
    with pytest.raises(ParameterError, match="anchors"):
        anchored(before, [Anchor(4, None)])


def test_anchors_that_cannot_be() -> None:
    for note, span in ((-1, None), (0, (2.0, 2.0)), (0, (float("nan"), 1.0)), (0, (0.0, float("inf")))):
        with pytest.raises(ParameterError):
            Anchor(note, span)

"""Which notes can be placed at all; empty notes and notes about another time get their answer here."""

from __future__ import annotations

from align.answers import Link
from align.datatypes import Note

__all__ = ["split_notes"]


def split_notes(notes: tuple[Note, ...], start: float, end: float) -> tuple[list[int], dict[int, Link]]:
    """Tell the notes to place from those answered already.

    An empty note is answered "empty". A note whose whole time lies before ``start``, or at or after ``end``,
    is answered "outside" with its signed distance in seconds (negative: before), never moved to the edge.

    Args:
        notes: in the order written.
        start, end: half-open time of the recording, seconds on the session clock.

    Returns:
        ``(placeable, answered)``: indices of the notes to place, ascending, and the links of all others.
    """
    placeable: list[int] = []
    answered: dict[int, Link] = {}
    for index, note in enumerate(notes):
        if note.is_empty:
            answered[index] = Link("empty", None, 0.0)
        elif note.time is not None and note.time.latest < start:
            answered[index] = Link("outside", None, 0.0, distance=note.time.latest - start)
        elif note.time is not None and note.time.earliest >= end:
            answered[index] = Link("outside", None, 0.0, distance=note.time.earliest - end)
        else:
            placeable.append(index)
    return placeable, answered

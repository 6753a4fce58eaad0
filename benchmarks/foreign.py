"""Notes about something else, planted among the notes of a session; their truth has no span."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from align.datatypes import Note, Session, Span

__all__ = ["foreign_texts", "planted"]


def foreign_texts(session: Session, sessions: Sequence[Session], others: Sequence[Span]) -> list[Span]:
    """Truth rows whose label is absent here, one per text: of the same set where it has any, else of other sets."""
    here = {row.label for row in session.truth or ()}
    for pool in ([row for s in sessions for row in s.truth or ()], others):
        rows = {row.text: row for row in pool if row.label not in here and row.text}
        if rows:
            return [rows[text] for text in sorted(rows)]
    return []


def planted(
    session: Session, sessions: Sequence[Session], others: Sequence[Span], share: float, seed: int = 0
) -> Session:
    """The session with foreign notes at random places, so many that they are ``share`` of all its notes.

    Args:
        session: with truth, one row per note.
        sessions: of the same set.
        others: truth of other sets, asked where every label of the set occurs here.
        share: in (0, 1).
        seed: with the session's name, of texts and places.

    Raises:
        ValueError: no text is foreign here, or the share is out of range.
    """
    found = foreign_texts(session, sessions, others)
    if not found or not 0 < share < 1:
        raise ValueError(f"share {share}, {len(found)} foreign texts; allowed: a share in (0, 1), some texts")
    rng = np.random.default_rng([seed, zlib.crc32(session.name.encode())])
    count = max(1, round(len(session.notes) * share / (1 - share)))
    notes, truth = list(session.notes), list(session.truth or ())
    for k in rng.choice(len(found), count, replace=count > len(found)):
        at = int(rng.integers(0, len(notes) + 1))
        notes.insert(at, Note(found[k].text))
        truth.insert(at, Span(np.nan, np.nan, found[k].label, found[k].text))
    return dataclasses.replace(session, notes=tuple(notes), truth=tuple(truth))

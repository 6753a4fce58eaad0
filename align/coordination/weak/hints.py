"""What captions say of a session whose spans nobody told: where learning from notes alone starts.

Order alone is a weak hold: a note on a posture and one on the movement into it can trade places in every session, and
frames explain that no worse. The captions know in general what "sitting down" looks like (``features.phrases``);
that is enough to begin on the right side, and what the frames say then takes over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from align.coordination.inputs.examples import Example
from align.datatypes import Note, Session
from align.features.captions import describe
from align.matching.captioned import caption_odds
from align.text.protocol import TextEncoder

__all__ = ["with_hints"]


def with_hints(
    examples: Sequence[Example],
    sessions: Sequence[Session],
    notes: Sequence[Sequence[Note]],
    encoder: TextEncoder,
) -> list[Example]:
    """The examples, those without spans with the captions' ``hint``.

    Args:
        examples: one per session.
        sessions: with the streams that the examples were made of; their truth is not looked at.
        notes: per session the notes to learn from, in order, as many as ``Example.notes``.
        encoder: compares notes with captions.
    """
    out = []
    for example, session, own in zip(examples, sessions, notes, strict=True):
        is_weak = len(own) > 0 and not np.isfinite(example.spans).any()
        out.append(_hinted(example, session, own, encoder) if is_weak else example)
    return out


def _hinted(example: Example, session: Session, notes: Sequence[Note], encoder: TextEncoder) -> Example:
    table, vectors = example.table, encoder.encode([note.text for note in notes])
    hint = caption_odds(describe(session, table.hop), encoder, vectors, table.first, table.n_frames)
    return dataclasses.replace(example, hint=hint * table.observed[:, None])

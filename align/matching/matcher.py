"""The door of the stage: a session, with or without a model -> Alignment."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from align.answers import Alignment, Evidence
from align.datatypes import Session
from align.matching.decode import Order, place_notes

__all__ = ["EvidenceSource", "evidence_of", "match"]


class EvidenceSource(Protocol):
    """Anything that can say how well each frame of a session fits each of its notes, such as a trained model."""

    def evidence(self, session: Session) -> Evidence:
        """One column per note of ``session``, in the order written."""
        ...


def evidence_of(session: Session, model: EvidenceSource | None = None, encoder: str = "auto") -> Evidence:
    """The evidence of a model, or without one of captions in words compared with the notes.

    Args:
        session: streams and notes.
        model: a trained model (``align.load_coordination``), or None.
        encoder: text encoder of the captions; a model brings its own.
    """
    if model is not None:
        return model.evidence(session)
    from align.matching.captioned import caption_session
    from align.text import text_encoder

    return caption_session(session, text_encoder(encoder))


def match(
    session: Session,
    model: EvidenceSource | None = None,
    *,
    order: Order = "monotone",
    encoder: str = "auto",
) -> Alignment:
    """Say what each note of a session refers to: rows out = notes in, in the order written.

    Args:
        session: streams and notes on one clock.
        model: a trained model, or None: segments are described in words and compared with the notes.
        order: "monotone" or "free"; see ``place_notes``.
        encoder: text encoder when there is no model.

    Returns:
        One ``Link`` per note: span in seconds or none, probability, status, alternatives.
    """
    recorded = (session.start, session.end)
    alignment = place_notes(evidence_of(session, model, encoder), session.notes, order, recorded)
    return dataclasses.replace(alignment, epoch=session.epoch, timezone=session.timezone)

"""The door of the stage: a session, with or without a model -> Alignment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from align.answers import Alignment, Evidence
from align.datatypes import Note, Session
from align.matching.anchors import Anchor, anchored
from align.matching.author_clocks import AuthorClock, fit_author_clocks
from align.matching.calibration import calibrated
from align.matching.decode import Order, group_score, place_notes
from align.matching.lattice import build_lattice
from align.matching.time_prior import decoding_order

__all__ = ["EvidenceSource", "author_clocks", "evidence_of", "match"]


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
    anchors: Sequence[Anchor] = (),
    evidence: Evidence | None = None,
) -> Alignment:
    """Say what each note of a session refers to: rows out = notes in, in the order written.

    Args:
        session: streams and notes on one clock.
        model: a trained model, or None: segments are described in words and compared with the notes.
        order: "monotone", "partial" or "free"; see ``place_notes``.
        encoder: text encoder when there is no model.
        anchors: links that are known; the other notes are placed around them.
        evidence: what ``evidence_of`` gives for the same session, model and encoder, where it is at hand already.

    Returns:
        One ``Link`` per note: span in seconds or none, probability, status, alternatives.
    """
    evidence = evidence_of(session, model, encoder) if evidence is None else evidence
    clocks = author_clocks(evidence, session.notes)
    recorded = (session.start, session.end)
    alignment = place_notes(evidence, session.notes, order, recorded, clocks=clocks, anchors=anchors)
    alignment = calibrated(alignment, evidence.calibration, [anchor.note for anchor in anchors])
    found = {author: dataclasses.asdict(clock) for author, clock in clocks.items()}
    alignment = dataclasses.replace(
        alignment,
        epoch=session.epoch,
        timezone=session.timezone,
        provenance=MappingProxyType({**alignment.provenance, "author_clocks": found}),
    )
    return anchored(alignment, anchors)


def author_clocks(evidence: Evidence, notes: Sequence[Note]) -> dict[str, AuthorClock]:
    """The clocks of the authors whose written times are shifted, by what the decoder makes of them.

    Args:
        evidence: one column per note.
        notes: as written.
    """

    def score_of(which: Sequence[int], clocks: Mapping[str, AuthorClock]) -> float:
        turns = decoding_order([notes[i] for i in which], evidence, clocks)
        lattice = build_lattice(evidence, notes, clocks=clocks)
        return group_score(lattice.rows([which[k] for k in turns]))

    return fit_author_clocks(evidence, notes, score_of)

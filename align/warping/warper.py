"""The door of the stage: a session -> Alignment by dynamic time warping of its segments onto its notes."""

from __future__ import annotations

import dataclasses

from align.answers import Alignment, Evidence
from align.datatypes import Session
from align.matching.matcher import EvidenceSource, evidence_of
from align.segmentation.session import joint_spans, segment_session
from align.warping.baseline import warp_evidence

__all__ = ["warp"]


def warp(
    session: Session,
    model: EvidenceSource | None = None,
    *,
    encoder: str = "auto",
    evidence: Evidence | None = None,
) -> Alignment:
    """The baseline: warp the sequence of segments onto the sequence of notes, on the same evidence as ``match``.

    Args:
        session: streams and notes on one clock.
        model: a trained model, or None: segments are described in words and compared with the notes.
        encoder: text encoder when there is no model.
        evidence: what ``evidence_of`` gives for the same session, model and encoder, where it is at hand already.

    Returns:
        One ``Link`` per note, method "dtw"; probabilities rank links, they are not calibrated.
    """
    evidence = evidence_of(session, model, encoder) if evidence is None else evidence
    spans = joint_spans(segment_session(session, evidence.hop))
    alignment = warp_evidence(evidence, session.notes, spans)
    return dataclasses.replace(alignment, epoch=session.epoch, timezone=session.timezone)

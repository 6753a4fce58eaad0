"""Recordings on disk -> which label of a list each stretch is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from align.datatypes import Finding, Floats, Session
from align.errors import ParameterError
from align.readers import Policy
from pipelines.run import findings_of
from pipelines.search import iso_times, read_recordings

if TYPE_CHECKING:
    from align.coordination import Coordination
    from align.coordination.uses.embedded import EmbeddedSession
    from align.coordination.uses.zero_shot import Classification

__all__ = ["SCHEMA", "By", "classify_recordings", "labels_of"]

SCHEMA = "align.classify/1"
_TOUCHING = 1e-6  # seconds
By = Literal["segments", "frames", "recording"]


def labels_of(text: str) -> tuple[str, ...]:
    """The labels of "a, b, c".

    Args:
        text: labels with commas between them.

    Raises:
        ParameterError: an empty one.

    >>> labels_of("walking, lying in bed")
    ('walking', 'lying in bed')
    """
    labels = tuple(part.strip() for part in text.split(","))
    if not all(labels):
        raise ParameterError("labels", f"an empty one as number {labels.index('') + 1}", '"a, b, c"')
    return labels


def classify_recordings(
    paths: Sequence[Path],
    model: Coordination,
    labels: Sequence[str],
    by: By,
    policy: Policy,
    *,
    closed: bool = False,
    done: Callable[[int], None] | None = None,
) -> Iterator[tuple[list[dict[str, object]], list[Finding]]]:
    """The labels of one recording after the other.

    "frames" answers for every frame. "segments" cuts the recording where it changes, gives each piece its most
    probable label and joins neighbours of one label. "recording" says what share of the time each label takes.

    Args:
        paths: as for ``pipelines.search.recordings``.
        model: trained.
        labels: distinct texts.
        by: what a row is.
        policy: opt-in repairs.
        closed: one of the labels is always right.
        done: called with 1 after every recording.

    Yields:
        Rows of one recording, in order of time: session, start, end and their ISO times, label (None: none of these),
        probability, and those of all labels with "none" last; of a recording also its shares of the time in place of
        these. And what was noticed while reading it.
    """
    from align.coordination.trust.familiarity import strange_findings
    from align.coordination.uses.embedded import embed_session
    from align.coordination.uses.zero_shot import classify
    from align.features.frames import frames_made_once

    for session in read_recordings(paths, policy):
        with frames_made_once():
            embedded = embed_session(model, session)
            noticed = model.findings(session)
        found = classify(model, embedded, labels, none=not closed)
        if by == "recording":
            rows = [_row(session, found, embedded.seconds(0, embedded.n_frames), found.shares)]
        else:
            if by == "segments":
                spans = _joined(embedded, _pieces(session, embedded), model, labels, closed=closed)
                found = classify(model, embedded, labels, spans, none=not closed)
            known = np.isfinite(found.probabilities).all(axis=1)
            both = zip(found.spans[known].tolist(), found.probabilities[known], strict=True)
            rows = [_row(session, found, (start, end), np.asarray(p, np.float64)) for (start, end), p in both]
        yield rows, [*findings_of(session), *noticed, *strange_findings(embedded.strange)]
        if done is not None:
            done(1)


def _pieces(session: Session, embedded: EmbeddedSession) -> Floats:
    """(n, 2) the stretches of a recording in which nothing changes, on the model's frames."""
    from align.segmentation.session import joint_spans, segment_session

    spans = joint_spans(segment_session(session, embedded.hop))
    low, high = embedded.seconds(0, embedded.n_frames)
    spans = np.clip(spans, low, high)
    return np.asarray(spans[spans[:, 1] - spans[:, 0] > 0.5 * embedded.hop], np.float64)


def _joined(
    embedded: EmbeddedSession, spans: Floats, model: Coordination, labels: Sequence[str], *, closed: bool
) -> Floats:
    """(m, 2) neighbours that touch and have one most probable label are one span."""
    from align.coordination.uses.zero_shot import classify

    found = classify(model, embedded, labels, spans, none=not closed)
    unseen = np.isnan(found.probabilities).any(axis=1)
    label = np.where(unseen, -2, found.choices)
    gap = spans[1:, 0] - spans[:-1, 1] > _TOUCHING
    begins = np.flatnonzero(np.append(True, gap | (label[1:] != label[:-1])))[: len(spans)]
    ends = np.append(begins[1:], len(spans)) - 1
    return np.column_stack([spans[begins, 0], spans[ends, 1]])


def _row(
    session: Session, found: Classification, span: tuple[float, float], probabilities: Floats
) -> dict[str, object]:
    best = int(probabilities.argmax())
    names = (*found.labels, "none")
    return {
        "session": session.name,
        "start": round(span[0], 6),
        "end": round(span[1], 6),
        **iso_times(session.epoch, session.timezone, *span),
        "label": None if best == len(found.labels) else found.labels[best],
        "probability": float(probabilities[best]),
        "probabilities": {name: float(p) for name, p in zip(names[:-1], probabilities[:-1], strict=True)},
        "none": float(probabilities[-1]),
    }

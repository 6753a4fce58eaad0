"""Which spans a person should describe next: where the model knows least, and much else is like it.

Candidates are the spans that placed notes were given and the stretches that no note explains. Each has *doubt*:
the seconds of it that the model probably has wrong. Describing a span settles its own doubt and, as far as they
look alike, that of others; the chosen spans are those that together settle most, so they differ from each other.

Reference: facility location as in Wei, Iyer & Bilmes, ICML 2015, section 3 (submodular, so that choosing the best
next span each time is within 1 - 1/e of the best set).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.coordination.saved.bundle import Coordination
from align.coordination.uses.embedded import EmbeddedSession, agreement, embed_session
from align.datatypes import Floats, Session
from align.errors import InputError, ParameterError
from align.matching import place_notes

__all__ = ["Suggestion", "suggest"]

Why = Literal["doubtful note", "unmatched note", "unexplained stretch"]
F4 = npt.NDArray[np.float32]
_LIKE = 4  # power of the cosine: how quickly what a span tells of another wanes
_SURE = 0.5  # probability from which a note's span counts as explained
_LEAST = 0.5  # of a usual duration: shorter stretches are no event


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A span whose description would help.

    Attributes:
        session: name.
        span: seconds on the session's clock.
        why: "doubtful note", the model placed a note here but may be wrong; "unmatched note", it found no place for
            a note, and this is where it fits best; "unexplained stretch", no note speaks of this.
        gain: seconds, here and in what looks alike, that the description probably sets right beyond the suggestions
            before it; > 0.
        note: index of the note in the session, None for an unexplained stretch.
    """

    session: str
    span: tuple[float, float]
    why: Why
    gain: float
    note: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    session: str
    span: tuple[float, float]
    why: Why
    doubt: float
    vector: F4
    note: int | None = None


def suggest(model: Coordination, sessions: Sequence[Session], k: int = 10) -> tuple[Suggestion, ...]:
    """The ``k`` spans whose description would help most, the best first.

    ``gain = sum_j doubt_j (max_{i in S + s} like(i, j) - max_{i in S} like(i, j))`` with ``like`` the fourth power of
    the cosine of two spans' mean embeddings (0 where it is negative) and ``S`` the spans chosen before.

    Args:
        model: trained.
        sessions: with streams that the model knows, with notes or without; truth is not looked at.
        k: how many at most, >= 1; fewer come back where nothing is left in doubt.

    Raises:
        ParameterError: k < 1, or two sessions of one name.
        InputError: E-NO-SESSION, no session; E-MODEL-EMPTY, E-MODEL-STREAMS, E-MODEL-CHANNELS.
    """
    if k < 1:
        raise ParameterError("k", k, "at least 1")
    if not sessions:
        raise InputError("E-NO-SESSION", "no session to suggest notes for", hint="give at least one session")
    if len({s.name for s in sessions}) < len(sessions):
        raise ParameterError("sessions", "two of one name", "names that tell them apart")
    texts = sorted({note.text for s in sessions for note in s.notes if not note.is_empty})
    known = model.embed_texts(texts) if texts else None
    candidates = [c for s in sessions for c in _candidates(model, s, known)]
    return _chosen([c for c in candidates if c.doubt > 0], k)


def _candidates(model: Coordination, session: Session, texts: F4 | None) -> list[_Candidate]:
    embedded = embed_session(model, session, captions=False)
    if not embedded.observed.any():
        return []
    usual = float(np.exp(model.durations.mean))
    noted, covered = _of_notes(model, session, embedded)
    out = [(span, why, doubt, i) for span, why, doubt, i in noted]
    kind, sure = _explained(model, embedded, texts)
    is_free = embedded.observed & ~covered
    for a, b in _stretches(np.where(is_free, kind, -1), max(1, round(usual / embedded.hop))):
        if (b - a) * embedded.hop >= _LEAST * usual:
            doubt = float((1.0 - sure[a:b]).sum()) * embedded.hop
            out.append((embedded.seconds(a, b), "unexplained stretch", doubt, None))
    vectors = embedded.pooled([span for span, *_ in out])
    return [
        _Candidate(session.name, span, why, doubt, vector, i)
        for (span, why, doubt, i), vector in zip(out, vectors, strict=True)
    ]


def _of_notes(
    model: Coordination, session: Session, embedded: EmbeddedSession
) -> tuple[list[tuple[tuple[float, float], Why, float, int | None]], npt.NDArray[np.bool_]]:
    """Candidates of the session's notes, and which frames surely placed notes explain."""
    covered = np.zeros(embedded.n_frames, np.bool_)
    if not session.notes:
        return [], covered
    evidence = model.evidence(session)
    answer = place_notes(evidence, session.notes, recorded=(session.start, session.end))
    out: list[tuple[tuple[float, float], Why, float, int | None]] = []
    for i, link in enumerate(answer.links):
        if link.status in ("aligned", "ambiguous") and link.span is not None:
            start, end = link.span
            if link.probability >= _SURE:
                covered[embedded.frames_in(start, end)] = True
            out.append((link.span, "doubtful note", (end - start) * (1.0 - link.probability), i))
        elif link.status == "unmatched":
            span = _best_place(evidence.log_odds[:, i], evidence.durations[i, 0], embedded)
            out.append((span, "unmatched note", (span[1] - span[0]) * (1.0 - link.probability), i))
    return out, covered


def _best_place(log_odds: F4, log_seconds: float, embedded: EmbeddedSession) -> tuple[float, float]:
    """The stretch of usual length where a note fits best."""
    width = int(np.clip(round(float(np.exp(log_seconds)) / embedded.hop), 1, embedded.n_frames))
    sums = np.concatenate([[0.0], np.cumsum(log_odds * embedded.observed, dtype=np.float64)])
    start = int(np.argmax(sums[width:] - sums[:-width]))
    return embedded.seconds(start, start + width)


def _explained(
    model: Coordination, embedded: EmbeddedSession, texts: F4 | None
) -> tuple[npt.NDArray[np.int64], Floats]:
    """What each frame is most probably (a text, or last "nothing"), and how probable that is.

    Without texts all frames are alike, and all are in doubt.
    """
    if texts is None:
        return np.zeros(embedded.n_frames, np.int64), np.zeros(embedded.n_frames)
    scale = float(model.trained().scale.detach())
    logits = np.column_stack([scale * agreement(model, embedded.vectors, texts), embedded.nothing])
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return logits.argmax(axis=1).astype(np.int64), odds.max(axis=1) / odds.sum(axis=1)


def _stretches(kind: npt.NDArray[np.int64], longest: int) -> list[tuple[int, int]]:
    """Stretches of one kind (not -1), long ones in pieces of about equal length of at most ``longest``."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(kind)) + 1, [len(kind)]])
    out = []
    for a, b in pairwise(edges.tolist()):
        if kind[a] >= 0:
            cuts = np.linspace(a, b, -(-(b - a) // longest) + 1).round().astype(int)
            out += list(pairwise(cuts.tolist()))
    return out


def _chosen(candidates: Sequence[_Candidate], k: int) -> tuple[Suggestion, ...]:
    """Greedily those that settle most doubt; the first of equals."""
    if not candidates:
        return ()
    vectors = np.stack([c.vector for c in candidates]).astype(np.float64)
    doubt = np.asarray([c.doubt for c in candidates])
    settled = np.zeros(len(candidates))
    left = np.ones(len(candidates), np.bool_)
    out: list[Suggestion] = []
    while len(out) < k and left.any():
        gains = np.array([_gain(vectors, doubt, settled, i) if left[i] else -1.0 for i in range(len(left))])
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        left[best] = False
        settled = np.maximum(settled, _like(vectors, best))
        c = candidates[best]
        out.append(Suggestion(c.session, c.span, c.why, float(gains[best]), c.note))
    return tuple(out)


def _like(vectors: Floats, i: int) -> Floats:
    """(n,) how much a description of candidate i tells of each; 1 of itself."""
    like = np.clip(vectors @ vectors[i], 0.0, 1.0) ** _LIKE
    like[i] = 1.0
    return like


def _gain(vectors: Floats, doubt: Floats, settled: Floats, i: int) -> float:
    return float((doubt * np.maximum(0.0, _like(vectors, i) - settled)).sum())

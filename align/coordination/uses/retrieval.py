"""Looking things up: a text -> the spans that it describes, over hours; a span -> the texts that describe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from align.coordination.functions.hubness import csls_top
from align.coordination.saved.bundle import Coordination
from align.coordination.uses.embedded import EmbeddedSession, Query, as_embedded
from align.coordination.uses.index import F4, EmbeddingIndex, Rows, checked_queries
from align.coordination.uses.occurrences import occurrences
from align.coordination.uses.zero_shot import caption_part, classify, log_odds
from align.datatypes import Session
from align.errors import ParameterError

__all__ = ["Described", "Hit", "describe_span", "nearest", "search_spans"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A span that was found.

    Attributes:
        session: number of the session in the order given.
        start, end: seconds on its clock.
        probability: that the query holds about there, see ``search_spans``.
        log_odds: mean over the span's frames, of the query against anything else.
    """

    session: int
    start: float
    end: float
    probability: float
    log_odds: float


@dataclass(frozen=True, slots=True)
class Described:
    """A text that may describe a span.

    Attributes:
        candidate: number of the text in the order given.
        text: itself.
        probability: among the candidates and "none of these".
    """

    candidate: int
    text: str
    probability: float


def search_spans(
    model: Coordination,
    sessions: Session | EmbeddedSession | Sequence[Session | EmbeddedSession],
    query: str | Query,
    k: int = 10,
) -> tuple[Hit, ...]:
    """The k spans that a query describes most probably, best first; no two of a session overlap.

    Each recording is taken to be frames of something else with any number of spans of the query between them. A
    frame's log odds are those of ``zero_shot.log_odds`` times the model's ``sharpness``; a span lasts as long as the
    model expects of the query's words. ``probability`` is the posterior share of all ways to cut the recording in
    which the query holds about there: on a span that overlaps the one given with an intersection over union of at least
    0.5. A thing that does not occur gets low probabilities, not none: look at them. On people held out (fold 0 of hapt
    and sounds, 10 spans a query) their expected calibration error was 0.02 and 0.06; the model's calibration, which is
    of notes placed in order, is not applied.

    Args:
        model: trained.
        sessions: one or more; embed them once (``embed_session``) to ask several queries.
        query: a text, or what ``combine`` makes.
        k: how many, >= 1; fewer come back where no more fit side by side.

    Raises:
        ParameterError: k < 1, no session, or a query in which nothing is said.
        InputError: E-MODEL-EMPTY, E-MODEL-STREAMS, E-MODEL-CHANNELS.
    """
    given = [sessions] if isinstance(sessions, Session | EmbeddedSession) else list(sessions)
    if k < 1 or not given:
        raise ParameterError("k, sessions", (k, len(given)), "1 or more, at least one")
    asked = Query((query,)) if isinstance(query, str) else query
    vector = asked.vector(model)
    if not vector.any():
        raise ParameterError("query", "nothing that the text encoder can read", "a text with a word in it")
    mean, sd = asked.durations(model)
    hits: list[Hit] = []
    for number, session in enumerate(given):
        embedded = as_embedded(model, session)
        odds = log_odds(model, embedded, vector[None])[:, 0] + _said(model, embedded, asked)
        odds *= np.float32(model.sharpness)
        in_frames = mean - float(np.log(embedded.hop)), sd
        for place in occurrences(odds, embedded.observed, in_frames, k):
            start, end = embedded.seconds(place.start, place.end)
            hits.append(Hit(number, start, end, place.probability, place.log_odds / model.sharpness))
    hits.sort(key=lambda hit: (-round(hit.probability, 3), -hit.log_odds, hit.session, hit.start))
    return tuple(hits[:k])


def _said(model: Coordination, embedded: EmbeddedSession, asked: Query) -> F4:
    """(n_frames,) what captions add to the log odds of a query of texts; of sums with spans or less texts: nothing."""
    texts = [part for part in asked.plus if isinstance(part, str)]
    if asked.minus or len(texts) < len(asked.plus):
        return np.zeros(embedded.n_frames, np.float32)
    return np.asarray(caption_part(model, embedded, texts).mean(axis=1), np.float32)


def describe_span(
    model: Coordination,
    session: Session | EmbeddedSession,
    span: tuple[float, float],
    candidates: Sequence[str],
    k: int = 10,
) -> tuple[Described, ...]:
    """The k texts that describe a span best, best first.

    Args:
        model: trained.
        session: in which the span lies.
        span: start and end in seconds.
        candidates: texts to choose from, such as the notes of other sessions; one that is given twice counts once.
        k: how many, >= 1.

    Returns:
        At most k, each with its probability among all candidates and "none of these" (see ``classify``): what is
        missing to 1 in the whole list is that of none. Empty where nothing was observed.

    Raises:
        ParameterError: k < 1, no candidates, one without a word, or a span outside the recording.
    """
    if k < 1:
        raise ParameterError("k", k, "1 or more")
    texts = tuple(dict.fromkeys(candidates))
    there = as_embedded(model, session).cut(*span)
    found = classify(model, there, texts, [span]).probabilities[0, :-1]
    if not np.isfinite(found).all():
        return ()
    best = np.argsort(-found, kind="stable")[:k]
    number = {text: i for i, text in reversed(list(enumerate(candidates)))}
    return tuple(Described(number[texts[i]], texts[i], float(found[i])) for i in best.tolist())


def nearest(queries: F4, items: F4, k: int = 10, *, neighbours: int | None = None) -> tuple[F4, Rows]:
    """The k items nearest to each query, by cosine or freed of hubs.

    Args:
        queries: f4 (m, d) of unit length: spans' embeddings, or texts'.
        items: f4 (n, d) of the other kind, or the same.
        k: how many, >= 1.
        neighbours: None: cosines, see ``EmbeddingIndex.search``; a number: cross-domain similarity local scaling with
            so many neighbours (``csls_top``), which needs many queries at once: it is from them that it learns which
            items are near to everything.

    Returns:
        scores f4 (m, min(k, n)), best first, and rows int64.

    Raises:
        ParameterError: another dimension, not finite, k or neighbours < 1.
    """
    if neighbours is None or not len(items):
        return EmbeddingIndex(items).search(queries, k)
    rows, scores = csls_top(checked_queries(queries, items.shape[1], k), items, k, neighbours)
    return np.asarray(scores, np.float32), rows

"""Any list of labels: how probable each is of a frame, a span or a whole recording, or that it is none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.coordination.saved.bundle import Coordination
from align.coordination.trust.familiarity import trust_in
from align.coordination.uses.embedded import (
    EmbeddedSession,
    agreement,
    as_embedded,
    unit_rows,
)
from align.datatypes import Floats, Session, frozen_array, set_fields
from align.errors import ParameterError
from align.matching.captioned import caption_lifts

__all__ = ["ELSE", "TEMPLATES", "Classification", "caption_part", "classify", "label_vectors", "log_odds"]

F4 = npt.NDArray[np.float32]
#: Ways of saying a label whose mean direction may stand for it; the label alone is the first.
TEMPLATES = ("{}", "the person is {}", "a moment of {}", "note: {}")
#: "Something else" has this share of the logit that "nothing" has where nothing happens.
ELSE = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """Probabilities of labels, a row per frame or span.

    Attributes:
        session: name of the session.
        labels: as given.
        spans: (n, 2) seconds, ascending starts as given; of frames: the observed ones.
        probabilities: f4 (n, n_labels + 1), rows that sum to 1; the last column is "none of these", all 0 where
            that was not allowed. A row of a span in which nothing was observed is all NaN.
    """

    session: str
    labels: tuple[str, ...]
    spans: Floats
    probabilities: F4

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.spans), len(self.labels) + 1):
            raise ParameterError(
                "probabilities", self.probabilities.shape, f"({len(self.spans)}, {len(self.labels) + 1})"
            )
        set_fields(self, probabilities=frozen_array(self.probabilities, np.float32))
        set_fields(self, spans=frozen_array(self.spans, np.float64))

    @property
    def choices(self) -> npt.NDArray[np.int64]:
        """(n,) the most probable label's number, -1 for none of these and where nothing was observed."""
        filled = np.nan_to_num(self.probabilities, nan=0.0)
        best = filled.argmax(axis=1) if len(filled) else np.zeros(0, np.int64)
        best[(best == len(self.labels)) | ~np.isfinite(self.probabilities).all(axis=1)] = -1
        return best

    @property
    def shares(self) -> Floats:
        """(n_labels + 1,) expected share of the time of each label, last of none of these; NaN without rows."""
        known = np.isfinite(self.probabilities).all(axis=1)
        if not known.any():
            return np.full(len(self.labels) + 1, np.nan)
        seconds = np.diff(self.spans[known], axis=1)
        return np.asarray((self.probabilities[known] * seconds).sum(axis=0) / seconds.sum())


def classify(
    model: Coordination,
    session: Session | EmbeddedSession,
    labels: Sequence[str],
    spans: npt.ArrayLike | None = None,
    *,
    none: bool = True,
    templates: Sequence[str] = TEMPLATES[:1],
) -> Classification:
    """How probable each label is of every frame, or of every span; the labels need not occur in training.

    Of a frame with embedding e: ``softmax_j(scale f(e, t_j))``, with the model's own scale and function f. "None of
    these" joins with the logit ``log(exp(nothing(e)) + exp(0.45 calm))``: the frame is about nothing that anybody would
    note, or about something else. ``calm`` is the 95th percentile of nothing(e) over the recording, 0 at least: where
    nothing happens, "nothing" must outdo every text, so it says how strong an agreement of this model counts as good,
    and half of that is about where right texts part from wrong ones. With "nothing" alone any label would beat none at
    every frame on which something happens: in training a text is told apart from other texts there, not from nothing.
    To these log odds comes what captions say of the frame in general words: two witnesses who judge by different
    things, of whom the captions also know labels that training never heard of. Of a session that is strange to the
    model the network's count less.
    Of a span: the normalised geometric mean of its frames' probabilities; neighbouring frames say much the same, so a
    long span is no surer than its frames.

    What the probability means: in training the same softmax runs over the wordings of all notes and "nothing", so on
    people like those of training, with labels whose words were heard there, it is roughly calibrated (fold 0 of hapt
    and sounds: expected calibration error of frames 0.03 and 0.06, of spans 0.04 to 0.1). It is conditional on the
    list: of labels that all miss, without ``none``, one still gets most of it. Of words that training never heard it
    ranks more than it measures. The calibration that a model carries is of notes placed in order and is not applied.

    Args:
        model: trained.
        session: to classify; its notes are not looked at.
        labels: distinct texts, at least one (two without ``none``), each with a word in it.
        spans: (n, 2) seconds, or None for every observed frame.
        none: whether "none of these" is an answer.
        templates: each with one "{}" for the label; their mean direction stands for it. See ``TEMPLATES``.

    Raises:
        ParameterError: labels or templates not as above, or a span outside the recording.
        InputError: E-MODEL-EMPTY, E-MODEL-STREAMS, E-MODEL-CHANNELS.
    """
    _check_labels(labels, none=none)
    embedded = as_embedded(model, session)
    odds = log_odds(model, embedded, label_vectors(model, labels, templates))
    odds += caption_part(model, embedded, labels)
    logits = np.concatenate([odds, np.full((len(odds), 1), 0.0 if none else -np.inf, np.float32)], axis=1)
    log_p = logits - _log_sum(logits)
    if spans is None:
        at = np.flatnonzero(embedded.observed)
        rows = (embedded.first + np.column_stack([at, at + 1])) * embedded.hop
        return Classification(embedded.name, tuple(labels), np.asarray(rows, np.float64), np.exp(log_p[at]))
    rows = np.asarray(spans, np.float64).reshape(-1, 2)
    out = np.full((len(rows), len(labels) + 1), np.nan, np.float32)
    for row, (start, end) in zip(out, rows.tolist(), strict=True):
        part = embedded.frames_in(start, end)
        if embedded.observed[part].any():
            mean = log_p[part][embedded.observed[part]].mean(axis=0, keepdims=True)
            row[:] = np.exp(mean - _log_sum(mean))[0]
    return Classification(embedded.name, tuple(labels), rows, out)


def label_vectors(model: Coordination, labels: Sequence[str], templates: Sequence[str] = TEMPLATES[:1]) -> F4:
    """f4 (n_labels, d) of unit length: the mean direction of each label in all templates.

    Args:
        model: trained.
        labels: texts.
        templates: each with one "{}".

    Raises:
        ParameterError: a template without its one "{}", none at all, or a label in which nothing is said.
    """
    if not templates or any(t.count("{}") != 1 for t in templates):
        raise ParameterError("templates", len(templates), 'at least one, each with one "{}"')
    said = model.embed_texts([t.replace("{}", label) for label in labels for t in templates])
    bare = model.embed_texts(list(labels))
    if not bare.any(axis=1).all():
        number = int(np.flatnonzero(~bare.any(axis=1))[0]) + 1
        raise ParameterError("labels", f"nothing readable as number {number}", "texts with a word each")
    return unit_rows(said.reshape(len(labels), len(templates), -1).mean(axis=1))


def log_odds(model: Coordination, embedded: EmbeddedSession, vectors: F4) -> F4:
    """(n_frames, n_texts) f4 log odds of each text against "none of these", see ``classify``; 0 where unobserved.

    By the network alone, tempered where the session is strange to it.

    Args:
        model: trained.
        embedded: by the same model.
        vectors: f4 (n_texts, d) of unit length.
    """
    assert model.network is not None, "Coordination.embed has refused an empty model before"
    scale = float(model.network.scale.detach())
    other = np.logaddexp(embedded.nothing, np.float32(ELSE * max(0.0, embedded.calm)))
    odds = scale * agreement(model, embedded.vectors, vectors) - other[:, None]
    odds[~embedded.observed] = 0.0
    return np.asarray(np.float32(trust_in(embedded.strange)) * odds, np.float32)


def caption_part(model: Coordination, embedded: EmbeddedSession, texts: Sequence[str]) -> F4:
    """(n_frames, n_texts) f4: what captions add to ``log_odds``; 0 where the session was not described.

    Args:
        model: trained.
        embedded: by the same model.
        texts: as written.
    """
    if embedded.described is None:
        return np.zeros((embedded.n_frames, len(texts)), np.float32)
    vectors = model.encoder.encode(list(texts))
    lifts = caption_lifts(embedded.described, model.encoder, vectors, embedded.first, embedded.n_frames)
    lifts[~embedded.observed] = 0.0
    return lifts


def _log_sum(logits: F4) -> F4:
    top = logits.max(axis=1, keepdims=True)
    return np.asarray(top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True)), np.float32)


def _check_labels(labels: Sequence[str], *, none: bool) -> None:
    least = 1 if none else 2
    if isinstance(labels, str) or len(labels) < least:
        got = "one text" if isinstance(labels, str) else len(labels)
        raise ParameterError("labels", got, f"a list of at least {least}")
    if len(set(labels)) != len(labels):
        raise ParameterError("labels", "one of them twice", "distinct texts")

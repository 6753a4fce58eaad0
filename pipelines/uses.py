"""How good a model is at what it can be used for beside aligning: retrieval, search, zero-shot classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from align.clock import span_iou
from align.datatypes import Session
from align.metrics import calibration_error
from align.metrics.retrieval import found_spans, macro_f1, score_retrieval

if TYPE_CHECKING:
    from align.coordination import Coordination
    from align.coordination.uses.embedded import EmbeddedSession

__all__ = ["score_uses", "spoken"]

_FIRST = 10  # places that a search is asked for, more where more are true
NONE = -1


@dataclass(frozen=True, slots=True)
class _True:
    """A true span: number of its session, seconds, label and text."""

    session: int
    start: float
    end: float
    label: str
    text: str


def score_uses(model: Coordination, sessions: Sequence[Session]) -> dict[str, object]:
    """The parts "retrieval", "search" and "zero_shot" of the result of ``align eval --json``.

    - retrieval: every true span against every distinct text of the truth, by the agreement of the span's mean
      embedding with the text's; right are those of one label.
    - search: every distinct text of a session looked for in that session; right is a place that overlaps a true span
      of its label with an intersection over union of at least 0.5.
    - zero_shot: the frames of true spans classified by the labels' own words, all labels of the truth at choice; and
      under "with_none" all frames, those in no true span being "none of these".

    Args:
        model: trained.
        sessions: with truth; rows without a span are left out, a row without a text lends its note's.

    Returns:
        An empty dict where no row has both a span and a readable text.
    """
    from align.coordination.uses.embedded import embed_session

    rows = _true_rows(sessions)
    texts = sorted({row.text for row in rows})
    known = set(_readable(model, texts))
    rows = [row for row in rows if row.text in known]
    if not rows:
        return {}
    embedded = [embed_session(model, session) for session in sessions]
    parts: dict[str, object] = {
        "retrieval": _retrieval(model, embedded, rows),
        "search": _search(model, embedded, rows),
    }
    zero_shot = _zero_shot(model, embedded, rows)
    return parts | ({"zero_shot": zero_shot} if zero_shot else {})


def spoken(label: str) -> str:
    """A label as one would say it: WALKING_UPSTAIRS is "walking upstairs".

    Args:
        label: of a truth row.

    >>> spoken("WALKING_UPSTAIRS"), spoken("Atrial fibrillation")
    ('walking upstairs', 'Atrial fibrillation')
    """
    words = label.replace("_", " ").split()
    return " ".join(word.lower() if label.isupper() else word for word in words)


def _readable(model: Coordination, texts: Sequence[str]) -> list[str]:
    """The texts in which the model's encoder finds something to go by."""
    if not texts:
        return []
    sizes = np.abs(model.embed_texts(texts)).sum(axis=1)
    return [text for text, size in zip(texts, sizes.tolist(), strict=True) if size > 0]


def _true_rows(sessions: Sequence[Session]) -> list[_True]:
    rows = []
    for number, session in enumerate(sessions):
        for i, row in enumerate(session.truth or ()):
            text = row.text or (session.notes[i].text if i < len(session.notes) else "")
            if np.isfinite((row.start, row.end)).all() and row.end > row.start and text:
                inside = row.end > session.start and row.start < session.end
                rows += [_True(number, row.start, row.end, row.label or text, text)] if inside else []
    return rows


def _retrieval(
    model: Coordination, embedded: Sequence[EmbeddedSession], rows: Sequence[_True]
) -> dict[str, object]:
    from align.coordination.uses.embedded import agreement

    spans = np.stack([embedded[row.session].pooled([(row.start, row.end)])[0] for row in rows])
    texts = sorted({row.text for row in rows})
    carried = {text: {row.label for row in rows if row.text == text} for text in texts}
    scores = agreement(model, spans, model.embed_texts(texts))
    relevant = np.asarray([[row.label in carried[text] for text in texts] for row in rows])
    return {
        "text_to_span": score_retrieval(scores.T, relevant.T).as_dict(),
        "span_to_text": score_retrieval(scores, relevant).as_dict(),
    }


def _search(
    model: Coordination, embedded: Sequence[EmbeddedSession], rows: Sequence[_True]
) -> dict[str, object]:
    from align.coordination.uses.retrieval import search_spans

    first: list[bool] = []
    covered: list[float] = []
    claimed: list[float] = []
    came_true: list[bool] = []
    for number, session in enumerate(embedded):
        own = [row for row in rows if row.session == number]
        for text, label in sorted({(row.text, row.label) for row in own}):
            wanted = np.asarray([(row.start, row.end) for row in own if row.label == label])
            hits = search_spans(model, session, text, max(_FIRST, len(wanted)))
            spans = np.asarray([(hit.start, hit.end) for hit in hits]).reshape(-1, 2)
            right = found_spans(spans, wanted) >= 0
            first.append(bool(right[:1].any()))
            covered += [_best_iou(span, spans[: len(wanted)]) for span in wanted]
            claimed += [hit.probability for hit in hits]
            came_true += right.tolist()
    return {
        "n_queries": len(first),
        "first_right": float(np.mean(first)),
        "r_precision": float(np.mean(np.asarray(covered) >= 0.5)),
        "mean_iou": float(np.mean(covered)),
        "ece": _number(calibration_error(claimed, came_true)),
    }


def _best_iou(span: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> float:
    return float(span_iou(np.broadcast_to(span, others.shape), others).max(initial=0.0))


def _zero_shot(
    model: Coordination, embedded: Sequence[EmbeddedSession], rows: Sequence[_True]
) -> dict[str, object]:
    from align.coordination.uses.zero_shot import classify

    labels = _readable(model, sorted({spoken(row.label) for row in rows}))
    if len(labels) < 2:
        return {}
    truth, chosen, sure, chosen_or_none, sure_or_none = [], [], [], [], []
    for number, session in enumerate(embedded):
        open_list, closed = (classify(model, session, labels, none=none) for none in (True, False))
        truth.append(_labels_of(closed.spans.mean(axis=1), [r for r in rows if r.session == number], labels))
        chosen.append(closed.choices)
        sure.append(closed.probabilities.max(axis=1, initial=0.0))
        chosen_or_none.append(open_list.choices)
        sure_or_none.append(open_list.probabilities.max(axis=1, initial=0.0))
    wanted, closed_answer, open_answer = map(np.concatenate, (truth, chosen, chosen_or_none))
    named = wanted != NONE
    most = np.bincount(wanted[named]).max() / named.sum() if named.any() else float("nan")
    return {
        "n_labels": len(labels),
        "majority": _number(float(most)),
        **_scored(wanted[named], closed_answer[named], np.concatenate(sure)[named]),
        "with_none": _scored(wanted, open_answer, np.concatenate(sure_or_none)),
    }


def _labels_of(
    times: npt.NDArray[np.float64], rows: Sequence[_True], labels: Sequence[str]
) -> npt.NDArray[np.int64]:
    """The number of the label of the true span that holds each time (of several the last), NONE for none."""
    out = np.full(len(times), NONE, np.int64)
    for row in rows:
        if spoken(row.label) in labels:
            out[(times >= row.start) & (times < row.end)] = labels.index(spoken(row.label))
    return out


def _scored(wanted: Any, answer: Any, probability: Any) -> dict[str, object]:
    right = wanted == answer
    return {
        "n_frames": len(wanted),
        "accuracy": _number(float(right.mean()) if len(wanted) else float("nan")),
        "macro_f1": _number(macro_f1(wanted, answer)),
        "ece": _number(calibration_error(np.clip(probability, 0.0, 1.0), right)),
    }


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None

"""How good an alignment is: row by row against reference spans, and pooled over sessions.

A truth row whose ``start`` or ``end`` is NaN says that the note refers to nothing in the recording (a foreign
note). Such rows stay out of the IoU, recall and start error; how well they are told apart is said by the figures
that begin with ``foreign``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from align.answers import Alignment, Link
from align.clock import span_iou
from align.datatypes import Floats, Span
from align.errors import ParameterError
from align.metrics.calibration import brier_score, calibration_error, reliability

__all__ = ["Scores", "foreign_auc", "pool", "score", "truth_spans"]

_BY_RULE = ("outside", "empty", "unobservable")  # by the note's time or emptiness: no model probability


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one or many alignments; NaN where there is no row to average over.

    Attributes:
        n_sessions: alignments pooled.
        n_notes: rows, all of them.
        mean_iou: mean intersection over union over the rows with a true span; a row without an answer is 0.
        recall_50: share of those rows with IoU >= 0.5.
        recall_70: share of those rows with IoU >= 0.7.
        mean_abs_start_error_s: mean |start - true start| over rows with both an answer and a true span.
        median_abs_start_error_s: the median of the same.
        ece: expected calibration error, see ``calibration_error`` and ``pool``.
        brier: Brier score of the same probabilities.
        reliability: (rows, 3) of the same: mean probability, share that came true, how many.
        unmatched: rows whose answer has no span, whatever the status.
        foreign_rejected: share of the rows without a true span whose answer has no span, whatever the status.
        foreign_precision: share of the answers "unmatched" that are right: the row has no true span.
        foreign_recall: share of the rows without a true span whose answer is "unmatched"; as in the precision and
            the calibration, rows that were decided by rule ("outside", "empty", "unobservable") stay out.
        foreign_auc: probability that a row without a true span looks more foreign than one with, see
            ``foreign_auc``.
        per_label: mean IoU by the label of the truth row, in order of name.
    """

    n_sessions: int
    n_notes: int
    mean_iou: float
    recall_50: float
    recall_70: float
    mean_abs_start_error_s: float
    median_abs_start_error_s: float
    ece: float
    brier: float
    reliability: Floats
    unmatched: int
    foreign_rejected: float
    foreign_precision: float
    foreign_recall: float
    foreign_auc: float
    per_label: Mapping[str, float]

    def as_dict(self) -> dict[str, object]:
        """The result object of ``align eval --json``: plain JSON values, null for "no row to average"."""
        return {
            "n_sessions": self.n_sessions,
            "n_notes": self.n_notes,
            "mean_iou": _json(self.mean_iou),
            "recall_at_0.5": _json(self.recall_50),
            "recall_at_0.7": _json(self.recall_70),
            "mean_abs_start_error_s": _json(self.mean_abs_start_error_s),
            "median_abs_start_error_s": _json(self.median_abs_start_error_s),
            "ece": _json(self.ece),
            "brier": _json(self.brier),
            "reliability": [
                {"probability": float(p), "share": float(share), "n_notes": int(n)}
                for p, share, n in self.reliability
            ],
            "unmatched": self.unmatched,
            "foreign_rejected": _json(self.foreign_rejected),
            "foreign_precision": _json(self.foreign_precision),
            "foreign_recall": _json(self.foreign_recall),
            "foreign_auc": _json(self.foreign_auc),
            "per_label": dict(self.per_label),
        }


def _json(value: float) -> float | None:
    return value if np.isfinite(value) else None


def score(alignment: Alignment, truth: Sequence[Span]) -> Scores:
    """Score one alignment against truth, row by row.

    Args:
        alignment: one link per note.
        truth: one row per note in the same order; NaN start or end: the note refers to nothing.

    Raises:
        ParameterError: another number of rows than notes.
    """
    return pool([(alignment, truth)])


def pool(pairs: Sequence[tuple[Alignment, Sequence[Span]]]) -> Scores:
    """Score many alignments as if their rows were one table: every note weighs the same.

    Calibration: an answer with a span claims, with its probability, that its IoU is at least 0.5; an answer
    with status "unmatched" claims, with its probability, that the note refers to nothing. Rows "outside", "empty"
    and "unobservable" are decided by rule and stay out of the calibration.

    Args:
        pairs: alignments, each with its truth: one row per note, in the order of the notes.

    Raises:
        ParameterError: no pair, or a truth with another number of rows than its alignment has notes.
    """
    if not pairs:
        raise ParameterError("pairs", "none", "at least one (alignment, truth)")
    given = np.concatenate([a.spans for a, _ in pairs])
    wanted = np.concatenate([truth_spans(a, t) for a, t in pairs])
    probability = np.concatenate([a.probabilities for a, _ in pairs])
    status = np.array([link.status for a, _ in pairs for link in a.links], dtype=object)
    labels = np.array([row.label for _, t in pairs for row in t], dtype=object)
    answered, real = np.isfinite(given).all(axis=1), np.isfinite(wanted).all(axis=1)
    iou = span_iou(given, wanted)
    error = np.abs(given[:, 0] - wanted[:, 0])[answered & real]
    right = np.where(answered, iou >= 0.5, ~real)
    judged = ~np.isin(status, _BY_RULE)
    rejected = status == "unmatched"
    foreignness = np.array([_foreignness(link) for a, _ in pairs for link in a.links])
    return Scores(
        n_sessions=len(pairs),
        n_notes=len(iou),
        mean_iou=_mean(iou[real]),
        recall_50=_mean(iou[real] >= 0.5),
        recall_70=_mean(iou[real] >= 0.7),
        mean_abs_start_error_s=_mean(error),
        median_abs_start_error_s=float(np.median(error)) if error.size else float("nan"),
        ece=calibration_error(probability[judged], right[judged]),
        brier=brier_score(probability[judged], right[judged]),
        reliability=reliability(probability[judged], right[judged]),
        unmatched=int((~answered).sum()),
        foreign_rejected=_mean(~answered[~real]),
        foreign_precision=_mean(~real[rejected]),
        foreign_recall=_mean(rejected[~real & judged]),
        foreign_auc=foreign_auc(foreignness[judged], ~real[judged]),
        per_label=MappingProxyType(_by_label(labels[real], iou[real])),
    )


def truth_spans(alignment: Alignment, truth: Sequence[Span]) -> Floats:
    """(n_notes, 2) seconds of the truth rows, NaN in both columns where a row has no span.

    Raises:
        ParameterError: another number of rows than notes.
    """
    if len(truth) != len(alignment.links):
        allowed = f"{len(alignment.links)} rows: one per note, in the order of the notes"
        raise ParameterError("truth", f"{len(truth)} rows", allowed, hint="give the truth of these notes")
    spans = np.array([(row.start, row.end) for row in truth], dtype=np.float64).reshape(-1, 2)
    spans[~np.isfinite(spans).all(axis=1)] = np.nan
    return spans


def _foreignness(link: Link) -> float:
    """What is left for "nothing": the probability of "unmatched", or what span and alternatives leave over."""
    if link.status == "unmatched":
        return link.probability
    return max(0.0, 1.0 - link.probability - sum(p for _, _, p in link.alternatives))


def foreign_auc(foreignness: npt.ArrayLike, foreign: npt.ArrayLike) -> float:
    """Area under the receiver operating curve: how often a foreign note has the higher figure of two, ties half.

    Args:
        foreignness: (n,) higher for a note that looks more foreign.
        foreign: (n,) booleans: it is.

    Returns:
        0 to 1; NaN unless there are notes of both kinds.

    References:
        Hanley & McNeil, Radiology 143(1), 1982: the area is the statistic of Mann and Whitney.

    >>> foreign_auc([0.1, 0.4, 0.4, 0.9], [False, False, True, True])
    0.875
    """
    value, is_foreign = np.asarray(foreignness, np.float64), np.asarray(foreign, np.bool_)
    own, other = np.sort(value[~is_foreign]), value[is_foreign]
    if not own.size or not other.size:
        return float("nan")
    below = np.searchsorted(own, other, "left") + np.searchsorted(own, other, "right")
    return float(below.sum() / (2.0 * own.size * other.size))


def _mean(values: npt.ArrayLike) -> float:
    values = np.asarray(values, dtype=np.float64)
    return float(values.mean()) if values.size else float("nan")


def _by_label(labels: npt.NDArray[np.object_], iou: Floats) -> dict[str, float]:
    return {str(name): float(iou[labels == name].mean()) for name in sorted(set(labels.tolist()))}

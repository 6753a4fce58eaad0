"""How good an alignment is: row by row against reference spans, and pooled over sessions.

A truth row whose ``start`` or ``end`` is NaN says that the note refers to nothing in the recording (a foreign
note). Such rows stay out of the IoU, recall and start error and are reported as ``foreign_rejected``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from align.answers import Alignment
from align.clock import span_iou
from align.datatypes import Floats, Span
from align.errors import ParameterError

__all__ = ["N_BINS", "Scores", "calibration_error", "pool", "score", "truth_spans"]

N_BINS = 10
_BY_RULE = ("outside", "empty")  # decided by the note's time or emptiness: no model probability to calibrate


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
        unmatched: rows whose answer has no span, whatever the status.
        foreign_rejected: share of the rows without a true span whose answer has no span.
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
    unmatched: int
    foreign_rejected: float
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
            "unmatched": self.unmatched,
            "foreign_rejected": _json(self.foreign_rejected),
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
    with status "unmatched" claims, with its probability, that the note refers to nothing. Rows "outside" and
    "empty" are decided by rule and stay out of the calibration error.

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
    return Scores(
        n_sessions=len(pairs),
        n_notes=len(iou),
        mean_iou=_mean(iou[real]),
        recall_50=_mean(iou[real] >= 0.5),
        recall_70=_mean(iou[real] >= 0.7),
        mean_abs_start_error_s=_mean(error),
        median_abs_start_error_s=float(np.median(error)) if error.size else float("nan"),
        ece=calibration_error(probability[judged], right[judged]),
        unmatched=int((~answered).sum()),
        foreign_rejected=_mean(~answered[~real]),
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


def calibration_error(probability: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Expected calibration error: how far the stated probabilities are from the shares that came true.

    ``sum over bins b of n_b / n * |mean(right in b) - mean(probability in b)|`` over 10 bins of equal width,
    bin k holding probabilities in [k / 10, (k + 1) / 10), the last one 1 as well. NaN without rows.

    Args:
        probability: (n,) in [0, 1].
        right: (n,) booleans.

    References:
        Guo et al., On calibration of modern neural networks, ICML 2017, equation 3 (whose bins are open on
        the left instead).

    >>> calibration_error([1.0, 1.0, 0.0, 0.0], [True, True, False, True])
    0.25
    """
    p, hit = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if p.size == 0:
        return float("nan")
    bins = np.clip(np.floor(p * N_BINS).astype(np.int64), 0, N_BINS - 1)
    excess = np.bincount(bins, weights=hit - p, minlength=N_BINS)  # n_b times the gap of bin b
    return float(np.abs(excess).sum() / p.size)


def _mean(values: npt.ArrayLike) -> float:
    values = np.asarray(values, dtype=np.float64)
    return float(values.mean()) if values.size else float("nan")


def _by_label(labels: npt.NDArray[np.object_], iou: Floats) -> dict[str, float]:
    return {str(name): float(iou[labels == name].mean()) for name in sorted(set(labels.tolist()))}

"""What score chance gives: the same answers against truth whose correspondence with the notes is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from align.answers import Alignment
from align.clock import span_iou
from align.datatypes import Floats, Span, frozen_array, set_fields
from align.errors import ParameterError
from align.metrics.alignment import truth_spans

__all__ = ["NullScores", "null_scores"]


@dataclass(frozen=True, slots=True, eq=False)
class NullScores:
    """The observed mean IoU and its null distribution ``scores`` (shuffles,)."""

    observed: float
    scores: Floats

    def __post_init__(self) -> None:
        set_fields(self, scores=frozen_array(self.scores, np.float64))

    @property
    def p_value(self) -> float:
        """(1 + how many null scores reach the observed one) / (1 + shuffles); never 0."""
        reached = int((self.scores >= self.observed - 1e-12).sum())
        return (1 + reached) / (1 + self.scores.size)


def null_scores(
    alignment: Alignment,
    truth: Sequence[Span],
    shuffles: int = 200,
    seed: int = 0,
    how: Literal["permute", "shift"] = "permute",
) -> NullScores:
    """Mean IoU with the correspondence between notes and truth broken ``shuffles`` times.

    "permute" hands the true spans to the notes in a random order: it asks whether notes got *their* spans
    rather than anybody's. "shift" turns all true spans by one random time on the circle that reaches from the
    first to the last edge of answers and truth: it keeps order and durations, so it asks whether more than
    order and durations was found. A span turned over the end of the circle counts with both of its parts.

    Args:
        alignment: one link per note.
        truth: one row per note; rows with NaN are left out, as in ``score``.
        shuffles: how many, >= 1.
        seed: of the random draws.
        how: which correspondence is broken.

    Raises:
        ParameterError: wrong number of rows, no row with a span, shuffles < 1 or an unknown ``how``.
    """
    wanted = truth_spans(alignment, truth)
    real = np.isfinite(wanted).all(axis=1)
    if shuffles < 1 or how not in ("permute", "shift") or not real.any():
        got = (shuffles, how, int(real.sum()))
        raise ParameterError("shuffles, how, rows with a span", got, '>= 1, "permute" or "shift", >= 1')
    given, wanted = alignment.spans[real], wanted[real]
    rng = np.random.default_rng(seed)
    observed = float(span_iou(given, wanted).mean())
    if how == "permute":
        draws = [span_iou(given, rng.permutation(wanted)).mean() for _ in range(shuffles)]
        return NullScores(observed, np.array(draws))
    edges = np.concatenate([given, wanted])
    low, high = float(np.nanmin(edges)), float(np.nanmax(edges))
    turns = rng.uniform(0.0, high - low, size=shuffles)
    return NullScores(observed, np.array([_turned_iou(given, wanted, t, low, high).mean() for t in turns]))


def _turned_iou(given: Floats, wanted: Floats, turn: float, low: float, high: float) -> Floats:
    """IoU with the true spans turned by ``turn`` s on the circle [low, high); 0 for a missing answer."""
    length = wanted[:, 1] - wanted[:, 0]
    start = low + np.mod(wanted[:, 0] - low + turn, high - low)
    overlap = np.zeros(len(given))
    for begin in (start, start - (high - low)):
        end = np.minimum(begin + length, high)
        overlap += np.clip(np.minimum(given[:, 1], end) - np.maximum(given[:, 0], begin), 0.0, None)
    union = given[:, 1] - given[:, 0] + length - overlap
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.where(union > 0, overlap / union, 0.0))

"""Metrics: an Alignment against truth, change points and states against annotators, the null distribution."""

from align.metrics.alignment import Scores, pool, score
from align.metrics.calibration import brier_score, calibration_error, reliability
from align.metrics.nulls import NullScores, null_scores
from align.metrics.segmentation import change_point_f1, covering
from align.metrics.states import (
    StateMatch,
    adjusted_mutual_information,
    labels_of_samples,
    state_match,
    weighted_adjusted_rand,
)

__all__ = [
    "NullScores",
    "Scores",
    "StateMatch",
    "adjusted_mutual_information",
    "brier_score",
    "calibration_error",
    "change_point_f1",
    "covering",
    "labels_of_samples",
    "null_scores",
    "pool",
    "reliability",
    "score",
    "state_match",
    "weighted_adjusted_rand",
]

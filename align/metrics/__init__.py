"""Metrics: an Alignment against truth, a segmentation against annotators, and the null distribution."""

from align.metrics.alignment import Scores, pool, score
from align.metrics.nulls import NullScores, null_scores
from align.metrics.segmentation import change_point_f1, covering

__all__ = ["NullScores", "Scores", "change_point_f1", "covering", "null_scores", "pool", "score"]

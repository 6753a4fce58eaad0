"""The baselines: dynamic time warping of segments against notes, and cuts that never look at the signal."""

from align.warping.baseline import warp_evidence
from align.warping.dtw import dtw_distance, dtw_path
from align.warping.slices import duration_slices, equal_slices
from align.warping.warper import warp

__all__ = ["dtw_distance", "dtw_path", "duration_slices", "equal_slices", "warp", "warp_evidence"]

"""Stream -> change points: ``segment`` (cutting.py), exactly (exact.py), at a price (penalty.py)."""

from align.segmentation.cutting import METHODS, segment
from align.segmentation.penalty import PENALTIES
from align.segmentation.session import joint_spans, segment_frames, segment_session

__all__ = ["METHODS", "PENALTIES", "joint_spans", "segment", "segment_frames", "segment_session"]

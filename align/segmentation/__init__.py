"""Stream -> change points: ``segment`` (cutting.py), exactly (exact.py), at a price (penalty.py)."""

from align.segmentation.cutting import METHODS, segment
from align.segmentation.penalty import PENALTIES

__all__ = ["METHODS", "PENALTIES", "segment"]

"""Any stream -> regular frames (``frames.py``: windows for sensors, log-mel for audio), and segments in words."""

from align.features.frames import featurize, frame_table, natural_hop

__all__ = ["featurize", "frame_table", "natural_hop"]

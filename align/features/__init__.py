"""Any stream -> regular frames (``frames.py``: windows for sensors, log-mel for audio), and segments in words."""

from align.features.audio import sound_summary
from align.features.captions import caption, caption_segments
from align.features.frames import featurize, frame_table, natural_hop

__all__ = ["caption", "caption_segments", "featurize", "frame_table", "natural_hop", "sound_summary"]

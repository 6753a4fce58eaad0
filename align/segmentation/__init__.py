"""Stream -> change points: ``segment`` (cutting.py).

What a segment costs is in costs.py (``COSTS``), who searches in methods.py (``METHODS``), at what price in
penalty.py (``PENALTIES``); exact.py is the exact optimum, greedy.py the other searches, crops.py all penalties at
once, shape/ recurring patterns, choosing.py and weighing.py "auto", states.py which segments are of one kind,
interop.py ruptures.
"""

from align.segmentation.choosing import choose_method
from align.segmentation.costs import COSTS
from align.segmentation.cutting import segment
from align.segmentation.methods import METHODS
from align.segmentation.penalty import PENALTIES
from align.segmentation.session import frames_to_cut, joint_spans, segment_frames, segment_session
from align.segmentation.states import label_states

__all__ = [
    "COSTS",
    "METHODS",
    "PENALTIES",
    "choose_method",
    "frames_to_cut",
    "joint_spans",
    "label_states",
    "segment",
    "segment_frames",
    "segment_session",
]

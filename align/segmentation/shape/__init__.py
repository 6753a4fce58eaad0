"""Change points where a recurring pattern changes but no level does (gait, heart beats): ``changes_shape``.

A diverse pool of candidate segmentations (candidates.py) from several descriptions of the signal (embeddings.py)
at widths found from it (widths.py); what speaks for each (evidence.py); and a table trained on synthetic signals
alone that says which will cover the truth best (ranker.py, ranker.npz).
"""

from align.segmentation.shape.choice import changes_shape, proposals

__all__ = ["changes_shape", "proposals"]

"""Records -> text, frames and bytes, one small file per format; disk is ``pipelines.store``'s.

``alignment_jsonl`` is the truth, one line per note; the frames are the same and more for Parquet.
"""

from __future__ import annotations

from align.writers.frames import alignment_frame, segments_frame, tokens_frame
from align.writers.jsonl import alignment_jsonl, read_alignment_jsonl
from align.writers.parquet import parquet_bytes

__all__ = [
    "alignment_frame",
    "alignment_jsonl",
    "parquet_bytes",
    "read_alignment_jsonl",
    "segments_frame",
    "tokens_frame",
]

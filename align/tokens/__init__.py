"""Segments -> tokens: describe each segment by numbers, fit a codebook, give each segment a named code.

A codebook to keep is a ``Book`` (saved.py, tally.py); which code of one is which of another is in mapping.py, whether
one still fits in drift.py, several streams as one lane in lanes.py, finer codes in residual.py.
"""

from align.tokens.codebook import fit_and_tokenize, fit_codebook, tokenize
from align.tokens.describe import describe_segments
from align.tokens.drift import measure_drift
from align.tokens.lanes import joint_lane, run_lengths
from align.tokens.mapping import keep_ids, map_by_distance, map_by_overlap
from align.tokens.residual import fit_residual, residual_codes
from align.tokens.saved import Book, load_books
from align.tokens.tally import make_book

__all__ = [
    "Book",
    "describe_segments",
    "fit_and_tokenize",
    "fit_codebook",
    "fit_residual",
    "joint_lane",
    "keep_ids",
    "load_books",
    "make_book",
    "map_by_distance",
    "map_by_overlap",
    "measure_drift",
    "residual_codes",
    "run_lengths",
    "tokenize",
]

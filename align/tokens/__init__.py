"""Segments -> tokens: describe each segment by numbers, fit a codebook, give each segment a named code."""

from align.tokens.codebook import fit_and_tokenize, fit_codebook, tokenize
from align.tokens.describe import describe_segments

__all__ = ["describe_segments", "fit_and_tokenize", "fit_codebook", "tokenize"]

"""Similarity + time -> Alignment: the semi-Markov decoder (``decode.py``) and what it reads."""

from align.matching.decode import place_notes, posterior_cover, span_mass
from align.matching.matcher import evidence_of, match

__all__ = ["evidence_of", "match", "place_notes", "posterior_cover", "span_mass"]

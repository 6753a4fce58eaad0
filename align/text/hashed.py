"""A text encoder without a model: hashed words and character n-grams. Always works, knows no synonyms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError

__all__ = ["HashedEncoder", "content_words"]

# English words that carry grammar rather than content. Up, down, on, off, in, out, left, right, over, no and
# not are *not* among them: they tell opposite notes apart.
_STOP_TEXT = """
a an the and or but if then than so as of at by for from to with without into onto about this that these those
it its is are was were be been being am i me my we our us you your he him his she her they them their
there here who whom which what when where while has have had having do does did doing will would can
could shall should may might must very just also again still some any each s t
"""
STOP_WORDS = frozenset(_STOP_TEXT.split())
_STOP_WEIGHT = 0.15
_WORD_WEIGHT, _PAIR_WEIGHT, _GRAM_WEIGHT = 1.0, 0.5, 0.35
_WORDS = re.compile(r"\w+(?:['’]\w+)*")
_MAX_CHARACTERS = 20_000  # of a text; notes are short, and a huge one must not stall a run


def content_words(text: str) -> list[str]:
    """The words of a text that carry content: folded case, no marks, no stop words, in order.

    >>> content_words("He was walking UP the stairs.")
    ['walking', 'up', 'stairs']
    """
    return [word for word in _words(text) if word not in STOP_WORDS]


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]).casefold().replace("’", "'")
    return _WORDS.findall(plain)


class HashedEncoder:
    """Hashed bag of words, pairs of neighbouring content words, and character 3- and 4-grams.

    Each piece x adds ``sign(x) * weight`` in column ``h(x) mod dimension``; counts enter as their square
    root; the row is scaled to unit length. h and sign come from BLAKE2b, so vectors are the same in every
    process. Character n-grams let "walking" meet "walks". Zero row for a text without a letter or digit.

    Args:
        dimension: columns, >= 16.

    Raises:
        ParameterError: dimension < 16.

    References:
        Weinberger et al., Feature hashing for large scale multitask learning, ICML 2009, definition 1 (signed
        hashing); Joulin et al., Bag of tricks for efficient text classification, EACL 2017 (n-grams).
    """

    def __init__(self, dimension: int = 512) -> None:
        if dimension < 16:
            raise ParameterError("dimension", dimension, "an integer >= 16")
        self._dimension = int(dimension)

    @property
    def name(self) -> str:
        return f"hashed-{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, dimension) float32 rows of unit length, or of zeros for texts without a word."""
        rows = np.zeros((len(texts), self._dimension), dtype=np.float64)
        for row, text in zip(rows, texts, strict=True):
            counts: dict[tuple[str, float], int] = {}
            for piece in _pieces(text):
                counts[piece] = counts.get(piece, 0) + 1
            for (piece_text, weight), count in counts.items():
                column, sign = _hashed(piece_text, self._dimension)
                row[column] += sign * weight * np.sqrt(count)
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0).astype(np.float32)


def _pieces(text: str) -> Iterator[tuple[str, float]]:
    words = _words(text)
    content = [w for w in words if w not in STOP_WORDS]
    for word in words:
        share = 1.0 if word not in STOP_WORDS else _STOP_WEIGHT
        yield f"w:{word}", share * _WORD_WEIGHT
        if share == 1.0:
            marked = f"<{word}>"
            for size in (3, 4):
                for i in range(len(marked) - size + 1):
                    yield f"g:{marked[i : i + size]}", _GRAM_WEIGHT
    for first, second in pairwise(content):
        yield f"p:{first} {second}", _PAIR_WEIGHT


def _hashed(piece: str, dimension: int) -> tuple[int, float]:
    digest = int.from_bytes(blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    return (digest >> 1) % dimension, 1.0 if digest & 1 else -1.0

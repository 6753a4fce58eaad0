"""A cache of text embeddings: the same note is encoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError
from align.text.protocol import TextEncoder

__all__ = ["CachedEncoder"]

Key = tuple[str, str]


class CachedEncoder:
    """Any ``TextEncoder``, remembering what it encoded in this process; what was not asked for longest goes first.

    Rows are kept under the encoder's name, which changes with its weights and tables, and the text. Nothing is
    written to disk: a vector of a note tells much of what it said.

    Args:
        encoder: any.
        most: texts remembered, >= 1.

    Raises:
        ParameterError: most < 1.
    """

    def __init__(self, encoder: TextEncoder, most: int = 100_000) -> None:
        if most < 1:
            raise ParameterError("most", most, ">= 1")
        self._encoder = encoder
        self._most = most
        self._known: OrderedDict[Key, npt.NDArray[np.float32]] = OrderedDict()
        self.name = encoder.name
        self.dimension = encoder.dimension

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, dimension) unit-norm rows, one per text, in order."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        new = [t for t in dict.fromkeys(texts) if (self.name, t) not in self._known]
        rows = {t: self._known[self.name, t] for t in texts if (self.name, t) in self._known}
        if new:
            rows |= dict(zip(new, self._encoder.encode(new), strict=True))
        for text, row in rows.items():
            self._known[self.name, text] = row
            self._known.move_to_end((self.name, text))
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return np.stack([rows[t] for t in texts])

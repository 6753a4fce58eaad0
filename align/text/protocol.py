"""What any text encoder must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = ["TextEncoder"]


@runtime_checkable
class TextEncoder(Protocol):
    """Texts in, vectors of unit length out: the cosine of two texts is a dot product.

    ``name`` goes into every output, so that it is known which encoder was used; equal names give equal
    vectors. ``dimension`` is the number of columns.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, dimension) float32, one row per text in the order given.

        Rows have unit length. A text in which the encoder finds nothing (empty, only white space or marks it
        does not know) gives a row of zeros, whose cosine with everything is 0: encoding a text never fails.
        A row depends on its own text alone, not on the other texts of the call (up to float rounding).
        """
        ...

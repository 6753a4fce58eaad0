"""Which cells a warping path may visit: the bands of Sakoe & Chiba and of Itakura, for unequal lengths too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError

__all__ = ["Band", "column_ranges"]


class _NoPathError(ParameterError):
    """A band that no warping path fits into."""

    def __init__(self, band: Band, n: int, m: int) -> None:
        super().__init__("band", (band.kind, band.size), f"one that holds a path of {n} x {m} rows")
        self.code = "E-BAND"
        self.hint = "use a wider band or series of similar lengths"


@dataclass(frozen=True, slots=True)
class Band:
    """A constraint on warping paths: ``Band("sakoe-chiba", 0.1)`` or ``Band("itakura", 2.0)``.

    Series of n and m rows, cell (i, j).

    - "sakoe-chiba", radius r samples: with n >= m, ``-r <= i - j <= r + n - m``, and the two exchanged otherwise:
      at least r rows to both sides of both corners, so that a path always fits. Equal lengths: ``|i - j| <= r``,
      as in tslearn, dtaidistance and aeon. Unequal lengths: as tslearn; librosa scales the diagonal instead.
    - "itakura", slope s: the cells between lines of slope s and 1/s (in the units of ``m / n``) through the centres
      of both corners, as in tslearn for equal lengths. Short series of very unequal lengths may leave no path.

    Args:
        kind: "sakoe-chiba" or "itakura".
        size: for "sakoe-chiba" the radius: samples >= 0 (int), or a share of the longer series in [0, 1] (float),
            rounded down; for "itakura" the steepest slope, >= 1, finite.

    Raises:
        ParameterError: another kind, or a size out of range.

    Reference: Sakoe & Chiba 1978, section III; Itakura 1975, section III.
    """

    kind: Literal["sakoe-chiba", "itakura"]
    size: float

    def __post_init__(self) -> None:
        if self.kind not in ("sakoe-chiba", "itakura"):
            raise ParameterError("band kind", self.kind, '"sakoe-chiba" or "itakura"')
        size = self.size
        number = isinstance(size, int | float | np.integer | np.floating) and not isinstance(size, bool)
        if not number or not np.isfinite(size):
            raise ParameterError("band size", type(size).__name__, "a finite number")
        if self.kind == "itakura" and size < 1:
            raise ParameterError("band size", size, "a slope >= 1")
        whole = isinstance(size, int | np.integer)
        if self.kind == "sakoe-chiba" and (size < 0 or (not whole and size > 1)):
            raise ParameterError("band size", size, "samples (int >= 0) or a share in [0, 1] (float)")


def column_ranges(n: int, m: int, band: Band) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The columns that each row of an (n, m) table may visit: half-open ranges ``[low, high)``.

    Args:
        n, m: rows and columns, at least 1.
        band: the constraint; its docstring holds the definition.

    Returns:
        ``(low, high)``: int64 (n,), neither ever descending.

    Raises:
        ParameterError: E-BAND, no warping path from (0, 0) to (n - 1, m - 1) fits.

    >>> low, high = column_ranges(4, 4, Band("sakoe-chiba", 1))
    >>> low.tolist(), high.tolist()
    ([0, 0, 1, 2], [2, 3, 4, 4])
    """
    if n < 1 or m < 1:
        raise ParameterError("n, m", (n, m), "at least 1")
    rows = np.arange(n, dtype=np.float64)
    if band.kind == "sakoe-chiba":
        whole = isinstance(band.size, int | np.integer)
        radius = int(band.size) if whole else int(band.size * max(n, m) + 1e-9)
        low = rows - radius - max(n - m, 0)
        high = rows + radius + max(m - n, 0) + 1
    else:
        # widths in units of one row of n and one column of m, so that the parallelogram spans corner to corner
        steep, shallow = band.size * (m - 1) / max(n - 1, 1), (m - 1) / max(n - 1, 1) / band.size
        left, right = rows, n - 1 - rows
        low = np.ceil(np.maximum(shallow * left, m - 1 - steep * right) - 1e-9)
        high = np.floor(np.minimum(steep * left, m - 1 - shallow * right) + 1e-9) + 1
        if n == 1:
            low, high = np.zeros(1), np.full(1, m)
    first = np.clip(low, 0, m).astype(np.int64)
    end = np.clip(high, 0, m).astype(np.int64)
    if not _holds_a_path(first, end):
        raise _NoPathError(band, n, m)
    return np.maximum.accumulate(first), np.maximum.accumulate(end)


def _holds_a_path(low: npt.NDArray[np.int64], high: npt.NDArray[np.int64]) -> bool:
    """Every row has a cell, and the first of each is at most diagonally beyond the last of the row before."""
    joined = (low[1:] <= high[:-1]).all() and (high[1:] > low[:-1]).all()
    return bool((low < high).all() and low[0] == 0 and joined)

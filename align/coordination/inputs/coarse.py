"""A session on a coarser grid than the network's: about as many cells a note as it takes to place it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.coordination.inputs.examples import Example
from align.datatypes import Floats

__all__ = ["CoarseView"]


@dataclass(frozen=True, slots=True, eq=False)
class CoarseView:
    """A session on the coarse grid: which cell each fine frame is in, which cells hold data, the grid."""

    cell: npt.NDArray[np.int64]
    observed: npt.NDArray[np.bool_]
    first: int
    hop: float

    @classmethod
    def of(cls, example: Example, pool: int) -> CoarseView:
        """``pool`` frames a cell, cells on multiples of that on the session clock; >= 1."""
        table = example.table
        absolute = (table.first + np.arange(table.n_frames)) // pool
        cell = absolute - absolute[0]
        return cls(cell, np.bincount(cell, table.observed) > 0, int(absolute[0]), table.hop * pool)

    def pooled(self, rows: npt.NDArray[np.floating]) -> Floats:
        """(n_cells, m) means of the rows in each cell."""
        starts = np.flatnonzero(np.diff(self.cell, prepend=-1))
        return np.add.reduceat(rows.astype(np.float64), starts, axis=0) / np.bincount(self.cell)[:, None]

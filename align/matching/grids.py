"""Which edges a row of the programme holds: every g-th, and all of them where notes are looked at edge by edge.

Row i stands between note i - 1 and note i. Edge by edge it changes only where a note before it may end or one behind
it may start edge by edge; elsewhere it is constant between the coarse edges, so a few thousand numbers hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.matching.lattice import Lattice

__all__ = ["Grid", "grids_of"]

Indices = npt.NDArray[np.int64]
_STEP = 64  # where no note has a stride; any number does


@dataclass(frozen=True, slots=True)
class Grid:
    """Edges 0, step, 2 step, ..., last, and from ``low`` to ``high`` all; each of them a multiple of ``step``."""

    step: int
    low: int
    high: int
    last: int

    @property
    def _parts(self) -> tuple[int, int]:
        """Where in a row the edges low and high lie."""
        return self.low // self.step, self.low // self.step + self.high - self.low

    @property
    def size(self) -> int:
        return self._parts[1] + 1 + (self.last - self.high) // self.step

    def position(self, edge: int) -> int:
        """Where in a row an edge lies, or the last one before it."""
        if edge < self.low:
            return edge // self.step
        if edge <= self.high:
            return self._parts[0] + edge - self.low
        return self._parts[1] + (edge - self.high) // self.step

    def edge(self, position: int) -> int:
        """The edge at a place of a row."""
        low, high = self._parts
        if position < low:
            return position * self.step
        return self.low + position - low if position <= high else self.high + (position - high) * self.step

    def edges(self) -> Indices:
        """All of them, ascending."""
        before, behind = np.arange(0, self.low, self.step), np.arange(self.high, self.last, self.step)
        return np.concatenate([before, np.arange(self.low, self.high + 1), behind + self.step])

    def near(self, first: int, size: int) -> slice:
        """Where in a row ``size`` edges from ``first`` on lie, all between low and high."""
        return slice(self._parts[0] + first - self.low, self._parts[0] + first - self.low + size)

    def far(self, stride: int, size: int) -> slice | Indices:
        """Where in a row the first ``size`` multiples of ``stride`` lie; it is a multiple of ``step``."""
        if self.low == self.high:  # no edge lies between those of the step
            return slice(0, (size - 1) * (stride // self.step) + 1, stride // self.step)
        low, high = self._parts
        whole = (self.last - self.high) // self.step
        at = np.concatenate(
            [np.arange(low), np.arange(low, high, self.step), np.arange(high, high + whole + 1)]
        )
        return at[:: stride // self.step][:size]

    def moved(self, row: Floats, new: Grid, *, back: bool = False) -> Floats:
        """A row of this grid on another one, constant from each coarse edge on or, with ``back``, up to it."""
        if new == self:
            return row
        coarse = row[self.far(self.step, self.last // self.step + 1)]
        a, b = new.low // self.step, new.high // self.step
        inner = np.empty(new.high - new.low + 1)
        if back:
            inner[0], inner[1:] = coarse[a], np.repeat(coarse[a + 1 : b + 1], self.step)
        else:
            inner[:-1], inner[-1] = np.repeat(coarse[a:b], self.step), coarse[b]
        low, high = max(self.low, new.low), min(self.high, new.high)
        if low <= high:
            inner[low - new.low : high - new.low + 1] = row[self.near(low, high - low + 1)]
        return np.concatenate([coarse[:a], inner, coarse[b + 1 :]])


def grids_of(lattice: Lattice) -> Sequence[Grid]:
    """(n_notes + 1) the edges of each row.

    Args:
        lattice: as built.
    """
    strides = lattice.stride[lattice.stride > 0]
    step = int(np.gcd.reduce(strides)) if len(strides) else _STEP
    last = -(-lattice.n_frames // step) * step
    windows = lattice.windows
    has = (windows[:, 0] <= windows[:, 1]) & (windows[:, 2] <= windows[:, 3])
    low = np.where(has, np.minimum(windows[:, 0], windows[:, 2]), last)
    high = np.where(has, np.maximum(windows[:, 1], windows[:, 3]), 0)
    # row i: all that notes from i on may start at, all that notes before it may end at, its neighbours' windows
    least = np.append(np.minimum.accumulate(low[::-1])[::-1], last)
    least[1:] = np.minimum(least[1:], low)
    most = np.append(0, np.maximum.accumulate(high))
    most[:-1] = np.maximum(most[:-1], high)
    out = []
    for a, b in zip(least.tolist(), most.tolist(), strict=True):
        a = min(max(0, a), last) // step * step
        b = min(last, -(-b // step) * step)
        out.append(Grid(step, a, max(a, b), last))
    return out

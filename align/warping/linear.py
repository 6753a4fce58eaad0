"""The totals of a warping problem and its cheapest path, in memory that grows with the lengths, not their product.

The table is swept once, keeping the totals along some rows and columns. Then, from its last cell backwards, only the
blocks between them that the path crosses are computed again: small ones in the kernel; those of a table too large
for that, 32 by 32 of them, each like a problem of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.kernels.dtw_band import band_total
from align.kernels.dtw_linear import ROWS, STRIP, sweep

__all__ = ["Problem", "cheapest_path", "cheapest_total"]

Ints = npt.NDArray[np.int64]
_SPLITS = 32  # rows and columns of blocks of a large table
_MOST_CELLS = 1 << 27  # of a table that the kernel traces: the rows it needs for that are 8 MiB
_WIDTH = 256  # columns of a block in the kernel
_NARROW = 2_500  # columns of the widest row of a band whose diagonals, at most half as long, stay in the first cache


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is warped: ``a`` (n, d), ``b`` (m, d); ``limits`` (2, n) columns of each row or (2, 0);
    ``weights`` (n + m - 1,) of i - j + m - 1, or (0,)."""

    a: Floats
    b: Floats
    limits: Ints
    weights: Floats

    def part(self, rows: slice, columns: slice) -> Problem:
        """The problem inside a block; the slices have both ends."""
        width = columns.stop - columns.start
        limits = self.limits[:, rows] if self.limits.shape[1] else self.limits
        first = rows.start - (columns.stop - 1) + len(self.b) - 1
        weights = (
            self.weights[first : first + rows.stop - rows.start + width - 1]
            if len(self.weights)
            else self.weights
        )
        return Problem(
            self.a[rows],
            self.b[columns],
            np.ascontiguousarray(np.clip(limits - columns.start, 0, width)),
            weights,
        )

    def sweep(self, row: Floats, col: Floats, every: int, kept: tuple[Floats, Floats]) -> None:
        """Carry the totals ``row`` above to below this problem (kernels.dtw_linear.sweep)."""
        sweep(self.a, self.b, (row, col), self.limits, self.weights, every, kept, np.empty((0, 2), np.int64))

    def grid(self, height: int, width: int) -> tuple[Floats, Floats]:
        """Room for rows of totals every ``height`` rows, and columns every ``width``; none for 0."""
        n, m, kind = len(self.a), len(self.b), self.a.dtype
        rows = np.full((math.ceil(n / height) if height else 0, m + 1), np.inf, kind)
        return rows, np.full((math.ceil(m / width) if width else 0, n), np.inf, kind)


def cheapest_total(problem: Problem) -> float:
    """The smallest total of a warping path; infinite when the limits leave none. O(n + m) memory."""
    limits = problem.limits
    plain = problem.a.shape[1] == 1 and not len(problem.weights)
    if plain and limits.shape[1] and int((limits[1] - limits[0]).max()) <= _NARROW:
        return float(band_total(problem.a.ravel(), problem.b.ravel(), limits))
    row, col = _edges(problem)
    problem.sweep(row, col, 1, problem.grid(0, 0))
    return float(row[-1])


def cheapest_path(problem: Problem) -> tuple[Ints, float]:
    """The cheapest path, int64 (length, 2) from (0, 0) on, and its total.

    Backwards from the end, of equal totals the diagonal step is preferred, then the one in ``a``, then in ``b``.
    """
    pieces: list[Ints] = []
    row, col = _edges(problem)
    total = _trace(problem, row, col, (0, 0), pieces)[2]
    return np.concatenate(pieces)[::-1].copy(), total


def _edges(problem: Problem) -> tuple[Floats, Floats]:
    """The totals above and left of the table: infinite but for the corner."""
    kind = problem.a.dtype
    row, col = np.full(len(problem.b) + 1, np.inf, kind), np.full(len(problem.a), np.inf, kind)
    row[0] = 0.0
    return row, col


def _trace(
    problem: Problem, row: Floats, col: Floats, origin: tuple[int, int], pieces: list[Ints]
) -> tuple[int, int, float]:
    """Append the path from the last cell back to where it leaves; that place and the last cell's total."""
    n, m = len(problem.a), len(problem.b)
    below = row.copy()
    if n * m <= _MOST_CELLS:
        a, b, limits, weights = problem.a, problem.b, problem.limits, problem.weights
        path = np.empty((n + m, 2), np.int64)
        length, i, j = sweep(a, b, (below, col), limits, weights, _WIDTH, problem.grid(ROWS, _WIDTH), path)
        pieces.append(path[:length] + np.asarray(origin))
        return i, j, float(below[m])
    height, width = (math.ceil(k / _SPLITS / STRIP) * STRIP for k in (n, m))
    tops, lefts = problem.grid(height, width)
    for k, top in enumerate(range(0, n, height)):
        tops[k] = below
        rows = slice(top, min(top + height, n))
        part = problem.part(rows, slice(0, m))
        kept = part.grid(0, width)
        part.sweep(below, col[rows], width, kept)
        lefts[:, rows] = kept[1]
    i, j = n - 1, m - 1
    while i >= 0 and j >= 0:
        top, left = i // height * height, j // width * width
        rows, columns = slice(top, i + 1), slice(left, j + 1)
        beside = col if left == 0 else lefts[left // width - 1]
        above = tops[top // height][left : j + 2].copy()
        inside = problem.part(rows, columns)
        i, j, _ = _trace(inside, above, beside[rows].copy(), (origin[0] + top, origin[1] + left), pieces)
        i, j = i + top, j + left
    return i, j, float(below[m])

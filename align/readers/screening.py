"""What is wrong with the cells of a table: found and counted block by block, nothing of a block is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding
from align.errors import InputError
from align.readers.policy import Policy

__all__ = ["Mask", "Screen", "Values"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

_LARGEST = 1e18  # squares of larger values leave float32


@dataclass(slots=True, eq=False)
class Screen:
    """Cells of ``n_channels`` columns: ``screened`` block after block, then ``checked``.

    Cells that are declared missing, and those that are not finite, become NaN and are counted.

    Args:
        n_channels: columns.
        policy: ``sentinels`` and ``on_nan``.

    Attributes:
        n_rows: rows so far.
        large, wrong: (row of the table, channel) of the first cell that is too large, or no finite number.
    """

    n_channels: int
    policy: Policy
    n_rows: int = 0
    large: tuple[int, int] | None = None
    wrong: tuple[int, int] | None = None
    _declared: int = 0
    _sentinels: dict[float, int] = field(default_factory=dict)
    _n_wrong: int = 0
    _known: Mask = field(default_factory=lambda: np.zeros(0, np.bool_))

    def screened(self, block: Values, declared: Mask | None = None) -> tuple[Values, Mask | None]:
        """The next rows with NaN for what is missing, and which of them hold any number.

        Args:
            block: (m, n_channels) f4 or f8.
            declared: cells that are NaN because the caller knows them as missing.

        Returns:
            the block, itself where nothing is missing; (m,) rows with a number, None when all are.
        """
        if not self.n_rows:
            self._known = np.zeros(self.n_channels, np.bool_)
        first = self.n_rows
        self.n_rows += len(block)
        if block.size == 0:
            return block, None
        low, high = float(block.min()), float(block.max())  # NaN where a cell is
        if declared is None and not self.policy.sentinels and low >= -_LARGEST and high <= _LARGEST:
            self._known[:] = True
            return block, None
        missing = self._missing(block, declared, first)
        block = np.where(missing, np.asarray(np.nan, block.dtype), block)
        self._known |= ~missing.all(axis=0)
        some: Mask = np.asarray(~missing.all(axis=1))
        return (block, None) if some.all() else (block, some)

    def _missing(self, block: Values, declared: Mask | None, first: int) -> Mask:
        """The cells that are to become NaN; what is wrong with them is noted."""
        said = np.zeros(block.shape, np.bool_) if declared is None else declared
        self._declared += int(said.sum())
        for sentinel in self.policy.sentinels:
            hit = (block == sentinel) & ~said
            self._sentinels[sentinel] = self._sentinels.get(sentinel, 0) + int(hit.sum())
            said = said | hit
        finite = np.isfinite(block)
        large = finite & ~said & (np.abs(block) > _LARGEST)
        wrong = ~finite & ~said
        if self.large is None and large.any():
            self.large = _first_cell(large, first)
        if self.wrong is None and wrong.any():
            self.wrong = _first_cell(wrong, first)
        self._n_wrong += int(wrong.sum())
        return said | wrong

    def checked(
        self,
        channels: tuple[str, ...],
        seconds: Callable[[int], float],
        path: Path,
        lines: Callable[[int], int] | None,
    ) -> list[Finding]:
        """What was made missing, counted; everything that is not a usable number refused.

        Args:
            channels: names, for messages.
            seconds: row -> its time, asked for ``large`` and ``wrong`` only.
            path: for messages.
            lines: row -> line, for messages; None for a format without lines.

        Raises:
            InputError: E-RANGE, E-NONFINITE, E-NO-SAMPLES (a channel without any number).
        """
        found = []
        if self._declared:
            found.append(Finding("P-NA", "cells declared as missing (--na)", self._declared))
        for sentinel, count in self._sentinels.items():
            if count:
                said = f"cells equal to the sentinel {sentinel:g} made missing"
                found.append(Finding("P-SENTINEL", said, count))

        def at(cell: tuple[int, int]) -> dict[str, Any]:
            row, channel = cell
            line = None if lines is None else lines(row)
            place = {"file": path, "line": line, "channel": channels[channel], "sample": row}
            return place | {"time": seconds(row)}

        if self.large is not None:
            said, hint = f"a value beyond {_LARGEST:g}", "mend it or declare it as --sentinel"
            raise InputError("E-RANGE", said, hint=hint, **at(self.large))
        if self.wrong is not None:
            if self.policy.on_nan == "refuse":
                said = f"an empty, NaN or infinite cell ({self._n_wrong} in all); allowed: finite numbers"
                hint = "read such cells as missing with --on-nan gap"
                raise InputError("E-NONFINITE", said, hint=hint, **at(self.wrong))
            found.append(Finding("P-NAN", "empty, NaN or infinite cells made missing", self._n_wrong))
        if not self._known.all():
            said, channel = "the channel holds no number at all", channels[int(np.argmin(self._known))]
            raise InputError("E-NO-SAMPLES", said, hint="leave the column out", file=path, channel=channel)
        return found


def _first_cell(marked: Mask, first: int) -> tuple[int, int]:
    """(row of the table, channel) of the first marked cell, by row."""
    row = int(np.argmax(marked.any(axis=1)))
    return first + row, int(np.argmax(marked[row]))

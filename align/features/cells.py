"""Sliding windows centred on the cells of the frame grid, for the measurements behind captions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.clock import frame_cells, samples_in
from align.datatypes import Floats, Session, Stream

__all__ = ["Cells", "ramp", "sample_ranges", "session_cells", "span_cells", "window_mean"]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """``n`` cells of ``hop`` seconds; cell i covers ``[(first + i) hop, (first + i + 1) hop)``."""

    first: int
    n: int
    hop: float

    @property
    def centres(self) -> Floats:
        """(n,) seconds."""
        return (self.first + np.arange(self.n, dtype=np.float64) + 0.5) * self.hop


def session_cells(session: Session, hop: float) -> Cells:
    """The cells from the first to the last sample of a session, at least one."""
    first, last = frame_cells(session.start, session.end, hop)
    return Cells(first, max(1, last - first), hop)


def span_cells(cells: Cells, span: npt.ArrayLike) -> tuple[int, int]:
    """Half-open range of the cells whose centres lie in a span of seconds, clipped to the grid; for a span
    shorter than a cell the one cell that holds its middle."""
    begin, end = (float(v) for v in np.asarray(span, dtype=np.float64))
    low, high = frame_cells(begin, end, cells.hop)
    if high <= low:
        middle = (begin + end) / 2
        low, high = frame_cells(middle - cells.hop / 2, middle + cells.hop / 2, cells.hop)
    low, high = low - cells.first, high - cells.first
    return min(max(low, 0), cells.n - 1), max(min(high, cells.n), 1)


def sample_ranges(stream: Stream, cells: Cells, width: float) -> Indices:
    """(n, 2) half-open sample ranges of windows of ``width`` s centred on the cells.

    A window never leaves the run that holds its cell's centre; a cell in a gap gets an empty range.
    """
    out = np.zeros((cells.n, 2), dtype=np.int64)
    rows = zip(stream.run_spans, stream.run_index, stream.run_ends, strict=True)
    for (begin, end), run_first, run_end in rows:
        low, high = frame_cells(begin, end, cells.hop)
        for k in range(max(low - cells.first, 0), min(high - cells.first, cells.n)):
            centre = (cells.first + k + 0.5) * cells.hop
            a, b = samples_in(centre - width / 2, centre + width / 2, begin, stream.rate)
            out[k] = min(max(run_first + a, run_first), run_end), min(run_first + max(b, 0), run_end)
    return out


def window_mean(values: npt.NDArray[np.floating], ranges: Indices) -> Floats:
    """(n, n_columns) means of the finite values in each range; NaN where there is none.

    Args:
        values: (n_samples, n_columns).
        ranges: (n, 2) half-open sample ranges.
    """
    finite = np.isfinite(values)
    centre = np.array([np.median(v[f]) if f.any() else 0.0 for v, f in zip(values.T, finite.T, strict=True)])
    moved = np.where(finite, values - centre, 0.0).astype(np.float64)
    zero = np.zeros((1, values.shape[1]))
    total = np.concatenate([zero, np.cumsum(moved, axis=0)])
    count = np.concatenate([zero, np.cumsum(finite, axis=0)])
    low, high = ranges[:, 0], ranges[:, 1]
    n = count[high] - count[low]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, (total[high] - total[low]) / n, np.nan) + centre


def ramp(x: npt.ArrayLike, low: float, high: float) -> Floats:
    """0 up to ``low``, 1 from ``high`` on, straight between (``low > high`` falls instead); NaN counts as 0.

    >>> ramp([0.0, 1.5, 3.0], 1.0, 2.0).tolist()
    [0.0, 0.5, 1.0]
    """
    share = (np.asarray(x, dtype=np.float64) - low) / (high - low)
    return np.nan_to_num(np.clip(share, 0.0, 1.0), nan=0.0)

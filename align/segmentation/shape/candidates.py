"""Candidate segmentations of a run: many ways of looking, every number of segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.shape.embeddings import (
    Rows,
    convolutions,
    grouped,
    level_rows,
    neighbours,
    unit,
    whitened,
)
from align.segmentation.shape.widths import Widths

__all__ = ["Candidate", "candidates", "optimal", "profile_splits"]

Ints = npt.NDArray[np.int64]

_MOST_CHANGES = 10
_LEAST_ROWS = 4  # of a segment
_SCORES = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Change points of a run and the ways of looking that proposed them."""

    changes: tuple[int, ...]
    sources: tuple[str, ...]


def candidates(values: Floats, widths: Widths) -> list[Candidate]:
    """All distinct candidates, the empty one among them.

    Exact optimal partitions into 1 to 11 segments of convolution rows at the narrow and the wide window
    (whitened and raw, rows of two and four windows) and of level rows; and splits of the profile of
    classification scores at several thresholds.

    Args:
        values: (n, d) standardised.
        widths: its widths.
    """
    found: dict[tuple[int, ...], list[str]] = {(): ["none"]}

    def add(source: str, proposed: list[Ints]) -> None:
        for changes in proposed:
            sources = found.setdefault(tuple(int(c) for c in changes), [])
            if source not in sources:
                sources.append(source)

    for name, width, offset in (("narrow", widths.window, 0.0), ("wide", widths.wide, 0.5)):
        signs = convolutions(values, width, offset)
        for hops in (4, 8):
            rows = grouped(signs, hops)
            add(f"{name}-{hops}", optimal(whitened(rows)))
            add(f"{name}-raw-{hops}", optimal(unit(rows)))
    add("level", optimal(level_rows(values, widths.window)))
    for width in dict.fromkeys((2 * widths.window, 2 * widths.wide)):
        add(f"profile-{width}", profile_splits(*neighbours(values, width), width))
    return [Candidate(changes, tuple(sources)) for changes, sources in found.items()]


def optimal(rows: Rows, most: int = _MOST_CHANGES) -> list[Ints]:
    """The exact optimal partition for each number of change points from 0 to ``most``, in samples.

    Args:
        rows: features.
        most: change points at most; fewer where segments of four rows do not fit.
    """
    from align.kernels.patterns import partitions

    n = len(rows.values)
    most = min(most, n // _LEAST_ROWS - 1)
    if most < 1:
        return []
    centred = rows.values - rows.values.mean(axis=0)
    sums = np.concatenate([np.zeros((1, centred.shape[1])), np.cumsum(centred, axis=0)])
    _, last = partitions(sums, _LEAST_ROWS, most)
    found = []
    for k in range(1, most + 1):
        changes, t = [], n
        for j in range(k, 0, -1):
            t = int(last[j, t])
            changes.append(t)
        found.append(np.array(changes[::-1], np.int64) * rows.size)
    return found


def profile_splits(near: Ints, middles: Ints, width: int) -> list[Ints]:
    """Recursive splits where neighbours tell left from right better than a threshold, for several thresholds.

    Args:
        near, middles: from ``embeddings.neighbours``.
        width: samples of a window.

    Reference: Ermshaus, Schaefer & Leser 2023, DMKD 37, section 4.3, with thresholds on the score.
    """
    from align.kernels.patterns import split_profile

    stride = int(middles[1] - middles[0]) if len(middles) > 1 else 1
    margin = max(3, 2 * width // stride)
    seen: dict[tuple[int, int], tuple[float, int]] = {}

    def best(low: int, high: int) -> tuple[float, int]:
        if (low, high) not in seen:
            seen[low, high] = (0.0, low)
            if high - low >= 2 * margin + 2:
                scores = split_profile(near, low, high, margin)
                seen[low, high] = float(scores.max()), low + int(scores.argmax())
        return seen[low, high]

    found = []
    for wanted in _SCORES:
        splits: list[int] = []
        waiting = [(0, len(near))]
        while waiting and len(splits) < 2 * _MOST_CHANGES:
            low, high = waiting.pop()
            score, at = best(low, high)
            if score > wanted:
                splits.append(at)
                waiting += [(low, at), (at, high)]
        found.append(middles[np.sort(np.array(splits, np.int64))])
    return found

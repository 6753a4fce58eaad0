"""The best candidate of a run; long runs piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.segmentation.shape.candidates import Candidate, candidates
from align.segmentation.shape.evidence import NAMES, evidence, looks, pruned
from align.segmentation.shape.ranker import load_trees, predict
from align.segmentation.shape.widths import Widths, find_widths

__all__ = ["changes_shape", "proposals", "standardised"]

Ints = npt.NDArray[np.int64]

_SHORTEST = 200  # samples in which patterns can be told apart
_LEAST_EFFECT = 0.25  # of each boundary on stretches left out, in noise; chosen on synthetic signals held out
_PIECE = 40_000  # samples looked at together


def changes_shape(values: npt.NDArray[np.floating[Any]], min_size: int = 1, count: int | None = None) -> Ints:
    """Change points of one run where its pattern changes.

    Deterministic. The number of segments and all widths are found from the signal; of the candidates whose
    boundaries hold on stretches left out, the one is taken that a table trained on synthetic signals expects to
    cover the truth best. Runs of more than 40,000 samples are cut in
    pieces that overlap by half; of each the change points in its middle half count.

    Args:
        values: (n, d) finite.
        min_size: fewest samples of a segment; candidates with a shorter one are left out.
        count: wanted number of change points: the best of the candidates that come nearest to it.

    Returns:
        (n_changes,) i8 ascending; none in a run of fewer than 200 samples or one that never moves. O(n).
    """
    n = len(values)
    if n <= _PIECE:
        return _best(values, min_size, count)
    step = _PIECE // 2
    found = []
    for begin in range(0, n - step, step):
        last = begin + _PIECE >= n
        end = n if last else begin + _PIECE
        share = None if count is None else round(count * (end - begin) / n)
        changes = begin + _best(values[begin:end], min_size, share)
        low = 0 if begin == 0 else begin + step // 2
        high = n if last else begin + step + step // 2
        found.append(changes[(changes >= low) & (changes < high)])
        if last:
            break
    changes = np.concatenate(found)
    return changes[np.diff(changes, prepend=-min_size) >= min_size]


def _best(values: npt.NDArray[np.floating[Any]], min_size: int, count: int | None) -> Ints:
    standard = standardised(values)
    if standard is None:
        return np.empty(0, np.int64)
    found, numbers = proposals(standard, find_widths(standard))
    scores = predict(load_trees(), numbers)
    n = len(values)
    holds = numbers[:, NAMES.index("together: least effect")] >= _LEAST_EFFECT
    allowed = [
        i
        for i, c in enumerate(found)
        if np.diff([0, *c.changes, n]).min() >= min(min_size, n) and (holds[i] or not c.changes or count)
    ]
    if count is not None:
        apart = {i: abs(len(found[i].changes) - count) for i in allowed}
        allowed = [i for i in allowed if apart[i] == min(apart.values())]
    return np.array(found[max(allowed, key=lambda i: (scores[i], -i))].changes, np.int64)


def proposals(values: Floats, widths: Widths) -> tuple[list[Candidate], Floats]:
    """All candidates and what speaks for each.

    Args:
        values: (n, d) of zero mean and unit variance per channel, n >= 200.
        widths: from ``find_widths``.

    Returns:
        the candidates; (n_candidates, len(evidence.NAMES)) f8.
    """
    rows = looks(values, widths)
    found = pruned(candidates(values, widths), rows)
    return found, evidence(values, widths, found, rows)


def standardised(values: npt.NDArray[np.floating[Any]]) -> Floats | None:
    """Channels that move, at zero mean and unit variance; None where there is nothing to look at.

    Args:
        values: (n, d) finite.
    """
    if len(values) < _SHORTEST:
        return None
    centred = values - values.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    moving = spread > 1e-9 * np.maximum(np.abs(values).max(axis=0), 1e-300)
    if not moving.any():
        return None
    return np.ascontiguousarray(centred[:, moving] / spread[moving])

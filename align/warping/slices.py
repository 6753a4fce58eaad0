"""Two baselines that never look at the signal: time cut in note order, evenly or by expected durations.

What a method adds to the order of the notes is the difference to these.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.answers import Alignment, Link
from align.datatypes import Floats, Note
from align.errors import ParameterError
from align.matching.placeable import split_notes

__all__ = ["duration_slices", "equal_slices"]


def equal_slices(start: float, end: float, notes: tuple[Note, ...]) -> Alignment:
    """Cut ``[start, end)`` into equal parts, one per placeable note, in the order written.

    Empty and outside notes get no part (``split_notes``). The probability of a link is the share of the time
    that a part covers: what a span drawn blindly would deserve, not calibrated.

    Args:
        start, end: seconds on the session clock, finite, start < end.
        notes: in the order written; their times are used only to tell outside notes.

    Raises:
        ParameterError: start and end are not finite and ascending.

    >>> equal_slices(0.0, 10.0, (Note("sat"), Note("walked"))).spans.tolist()
    [[0.0, 5.0], [5.0, 10.0]]
    """
    return _slices(start, end, notes, np.ones(len(notes)), "equal-slices")


def duration_slices(start: float, end: float, notes: tuple[Note, ...], durations: npt.ArrayLike) -> Alignment:
    """Cut ``[start, end)`` in note order into parts proportional to each note's expected duration.

    Everything else as ``equal_slices``, which this is when all durations are equal.

    Args:
        start, end: seconds on the session clock, finite, start < end.
        notes: in the order written.
        durations: (n_notes,) expected seconds of each note, finite and > 0; only their ratios matter.

    Raises:
        ParameterError: start and end, or a duration, out of range.

    >>> duration_slices(0.0, 10.0, (Note("sat"), Note("walked")), [3.0, 1.0]).spans.tolist()
    [[0.0, 7.5], [7.5, 10.0]]
    """
    weights = np.asarray(durations, dtype=np.float64)
    if weights.shape != (len(notes),):
        raise ParameterError("durations", f"shape {weights.shape}", f"({len(notes)},): one per note")
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ParameterError("durations", "zero, negative, NaN or infinite seconds", "finite seconds > 0")
    return _slices(start, end, notes, weights, "duration-slices")


def _slices(start: float, end: float, notes: tuple[Note, ...], weights: Floats, method: str) -> Alignment:
    if not (np.isfinite(start) and np.isfinite(end) and start < end):
        raise ParameterError("start, end", (start, end), "finite seconds, start < end")
    placeable, links = split_notes(notes, start, end)
    if placeable:
        # Divided by the largest first, so that no sum of durations can overflow.
        shares = weights[placeable] / weights[placeable].max()
        shares /= shares.sum()
        edges = start + (end - start) * np.concatenate([[0.0], np.cumsum(shares)])
        edges[-1] = end
        for i in range(len(placeable)):
            span = (float(edges[i]), float(edges[i + 1]))
            links[placeable[i]] = Link("aligned", span, float(shares[i]))
    return Alignment(notes=notes, links=tuple(links[i] for i in range(len(notes))), method=method)

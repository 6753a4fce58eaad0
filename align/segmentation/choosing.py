"""``method="auto"``: which kind of change a stream shows, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from align.datatypes import Stream
from align.segmentation.methods import FRAMES
from align.segmentation.weighing import choose_cost

__all__ = ["Chosen", "choose_method"]

_FEWEST_FOR_PATTERNS = 500  # samples
_MOST_FOR_PATTERNS = 200_000
_MOST_MISSING = 0.01  # share of the cells
_FAST_HZ, _LONG_S = 8.0, 60.0
_CLEAR = 0.3  # autocorrelation of a period that is taken for a recurring pattern


@dataclass(frozen=True, slots=True)
class Chosen:
    """A method for ``segment``, and in words why."""

    method: str
    why: str


def choose_method(stream: Stream, penalty: float | str = "auto", min_size: int = 1) -> Chosen:
    """Choose a method for a stream.

    The kind of change with most evidence against noise that drifts and swings by itself is taken
    (``weighing.choose_cost``: level, level and spread, or straight lines). Where none has any, or that of the
    spread, and a pattern recurs, "shape" is: the swings of a pattern are no noise. Several channels of a fast and
    long sensor that do not simply change level are cut on their "frames": that is how movement is recorded. A
    number as penalty is one under "l2", and so is cut what misses more than one cell in a hundred.

    Args:
        stream: any stream.
        penalty: as given to ``segment``.
        min_size: fewest samples of a segment, >= 1.
    """
    if not isinstance(penalty, str):
        return Chosen("l2", "a penalty in numbers is one of squared misfit")
    missing = float(np.isnan(stream.values).mean())
    if missing > _MOST_MISSING:
        return Chosen("l2", f"{missing:.0%} of the cells are missing, and what fills them has a level only")
    choice = choose_cost(stream, min_size)
    no_level = choice.verdicts[0].evidence <= 0 or choice.cost != "l2"
    if no_level and _has_frames(stream):
        return Chosen(
            FRAMES, f"{stream.n_channels} channels at {stream.rate:g} Hz change otherwise than in level"
        )
    if choice.verdicts[0].evidence <= 0 or choice.cost == "meanvar":
        strength = _period_strength(stream)
        if strength >= _CLEAR:
            return Chosen("shape", f"a pattern recurs (correlation {strength:.2f}) and no level stands out")
    return Chosen(choice.cost, choice.why)


def _has_frames(stream: Stream) -> bool:
    """Whether the stream is one of several channels whose frames hold many samples, and has many frames."""
    longest = float((stream.run_ends - stream.run_index).max()) / stream.rate
    fast = stream.modality != "audio" and stream.n_channels > 1 and stream.rate >= _FAST_HZ
    return fast and longest >= _LONG_S


def _period_strength(stream: Stream) -> float:
    """How clearly a pattern recurs in the longest run, 0 for a stream too short or too long to look."""
    from align.segmentation.exact import filled
    from align.segmentation.shape.choice import standardised
    from align.segmentation.shape.widths import find_widths

    if not _FEWEST_FOR_PATTERNS <= stream.n_samples <= _MOST_FOR_PATTERNS:
        return 0.0
    longest = int((stream.run_ends - stream.run_index).argmax())
    values = filled(stream.values[stream.run_index[longest] : stream.run_ends[longest]])
    standard = standardised(values)
    if standard is None:
        return 0.0
    widths = find_widths(standard)
    return max(widths.period_strength, widths.cycle_strength)

"""Notes about a time at which nothing was recorded: "unobservable", which is not "unmatched"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["UNOBSERVED", "gap_mass"]

UNOBSERVED = 0.9  # share of a note's time in gaps from which it cannot be answered


def gap_mass(priors: Floats, observed: npt.NDArray[np.bool_]) -> Floats:
    """(n_notes,) the share of each note's time window that lies in frames without data; 0 when untimed.

    The window is flat within its half width and falls off like a Gaussian outside; only the part of it within the
    recording counts, and a gross error of the time does not.

    Args:
        priors: (n_notes, 5) as ``time_windows`` gives them: centre, half width, deviation, floor, reach in frames.
        observed: (n_frames,) where there is data.
    """
    out = np.zeros(len(priors))
    middles = np.arange(len(observed)) + 0.5
    for i, (centre, half, sd, _, _) in enumerate(priors):
        if sd <= 0.0 or observed.all():
            continue
        off = np.maximum(0.0, np.abs(middles - centre) - half - 0.5) / sd
        weight = np.where(off < 8.0, np.exp(-0.5 * off * off), 0.0)
        total = float(weight.sum())
        if total > 0.0:
            out[i] = min(1.0, float(weight[~observed].sum()) / total)
    return out

"""High, low, rising, falling: any channel that is neither motion nor sound, relative to its own session."""

from __future__ import annotations

import numpy as np

from align.datatypes import Floats, Stream
from align.features.cells import Cells, ramp, sample_ranges, window_mean
from align.features.kinds import groups

__all__ = ["STATES", "level_strengths"]

#: What a level can be said to be. The last two are for channels fast enough to be waves (20 Hz and more).
STATES = ("high", "low", "rising", "falling", "varying strongly", "calm")
_WAVE_HZ = 20.0


def level_strengths(stream: Stream, cells: Cells) -> dict[tuple[str, str], Floats]:
    """How strongly each cell shows each state of each channel: (n,) in [0, 1] by (channel in words, state).

    "high" and "low" are ranks among the cells of this session: nothing here knows what is normal. "rising"
    and "falling" compare the means after and before the cell, near and far, with the session's own spread.
    Motion channels are left to ``motion``; a channel that never changes has no state.
    """
    out: dict[tuple[str, str], Floats] = {}
    for group in groups(stream):
        if group.kind in ("acceleration", "gravity", "rotation"):
            continue
        name = f"{group.place} {group.kind}".strip()
        for column in group.columns:
            states = _states(stream, stream.values[:, column : column + 1].astype(np.float64), cells)
            for state, strength in states.items():
                held = out.get((name, state))
                out[name, state] = strength if held is None else np.maximum(held, strength)
    return out


def _states(stream: Stream, values: Floats, cells: Cells) -> dict[str, Floats]:
    width = max(3.0 / stream.rate, cells.hop, 1.0)
    ranges = sample_ranges(stream, cells, width)
    mean = window_mean(values, ranges)[:, 0]
    known = np.isfinite(mean)
    if not known.any() or np.ptp(mean[known]) <= 1e-9 * np.abs(mean[known]).max():
        return {}
    rank = _ranks(mean)
    low, high = np.percentile(mean[known], (10, 90))
    out = {"high": ramp(rank, 0.65, 0.9), "low": ramp(rank, 0.35, 0.1)}
    out |= {"rising": np.zeros(cells.n), "falling": np.zeros(cells.n)}
    for reach in _reaches(width, cells):
        slope = (_ahead(mean, reach) - _ahead(mean, -reach)) / max(float(high - low), 1e-300)
        out["rising"] = np.maximum(out["rising"], ramp(slope, 0.3, 0.7))
        out["falling"] = np.maximum(out["falling"], ramp(-slope, 0.3, 0.7))
    if stream.rate >= _WAVE_HZ:
        variance = window_mean((values - np.nanmedian(values)) ** 2, ranges)[:, 0]
        spread = _ranks(variance - (mean - np.nanmedian(values)) ** 2)
        out |= {"varying strongly": ramp(spread, 0.65, 0.9), "calm": ramp(spread, 0.35, 0.1)}
    return out


def _reaches(width: float, cells: Cells) -> list[int]:
    """Cells to look ahead and back for a trend: from three widths on, threefold up to a fifth of the session."""
    out: list[int] = []
    reach = 3.0 * width
    while not out or reach <= cells.n * cells.hop / 5:
        out.append(max(1, round(reach / cells.hop)))
        reach *= 3.0
    return out


def _ranks(values: Floats) -> Floats:
    """Share of the known values below each one, ties at their middle; NaN stays NaN."""
    known = np.sort(values[np.isfinite(values)])
    below, up_to = np.searchsorted(known, values, "left"), np.searchsorted(known, values, "right")
    return np.where(np.isfinite(values), (below + up_to) / (2.0 * known.size), np.nan)


def _ahead(mean: Floats, by: int) -> Floats:
    """Mean of the known values among the ``|by|`` cells after (before, when negative) each cell."""
    known = np.isfinite(mean)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, mean, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    here = np.arange(mean.size)
    first, last = (here + 1, here + 1 + by) if by > 0 else (here + by, here)
    first, last = np.clip(first, 0, mean.size), np.clip(last, 0, mean.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (total[last] - total[first]) / (count[last] - count[first])

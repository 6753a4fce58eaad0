"""Where a note's written time may point to, from the evidence alone: no time, no order, nothing placed."""

from __future__ import annotations

import math

import numpy as np

from align.answers import Evidence
from align.datatypes import Floats

__all__ = ["pointing_density"]

_QUANTILES = (-1.2, -0.4, 0.4, 1.2)  # of the log duration, in deviations: centres of four equal shares


def pointing_density(evidence: Evidence, note: int, moments: Floats) -> Floats:
    """(n,) how much more likely than by chance a written time points to each moment.

    Every stretch [a, b) of observed frames weighs ``exp(sum of its log odds)``, for durations spread as the note's
    is, and the time points anywhere into its central ``reach``. Frames are pooled to the spacing of ``moments``;
    chance is uniform over the observed ones between the first and the last. 0 where nothing was observed.

    Args:
        evidence: one column per note.
        note: its column.
        moments: (n,) seconds, n >= 2, ascending in steps of a multiple of ``evidence.hop``; may lie outside the
            recording.
    """
    step = moments[1] - moments[0]
    pool = max(1, round(step / evidence.hop))
    begin = max(0, math.floor(moments[0] / evidence.hop) - evidence.first)
    end = max(begin, math.ceil(moments[-1] / evidence.hop) - evidence.first + 1)
    seen = evidence.observed[begin:end]
    if not seen.any():
        return np.zeros(moments.size)
    odds = np.where(seen, evidence.log_odds[begin:end, note].astype(np.float64), 0.0)
    edges = np.append(np.arange(0, seen.size, pool), seen.size)
    score = np.append(0.0, np.cumsum(odds))[edges]
    missing = np.append(0, np.cumsum(~seen))[edges]
    mass = _covered(score, missing, evidence.durations[note], (evidence.hop * pool, evidence.reach))
    frames = np.append(0.0, np.cumsum(mass))
    place = moments / evidence.hop - evidence.first - begin
    half = 0.5 * pool
    within = np.interp(place + half, edges, frames) - np.interp(place - half, edges, frames)
    return within / pool * float(seen.sum())


def _covered(score: Floats, missing: Floats, duration: Floats, grid: tuple[float, float]) -> Floats:
    """(n_cells,) the probability that the moment meant lies in each cell; uniform where no stretch fits.

    Args:
        score: (n_cells + 1,) prefix sums of the log odds.
        missing: (n_cells + 1,) prefix counts of frames without data: no stretch holds one.
        duration: (2,) mean and deviation of the log duration in seconds.
        grid: width of a cell in seconds, and the central share of the stretch into which times point.
    """
    n = score.size - 1
    width, reach = grid
    lengths, weights = [], []
    for z in _QUANTILES:
        log_cells = min(duration[0] + z * duration[1] - math.log(width), math.log(n))
        length = max(1, round(math.exp(max(log_cells, 0.0))))
        whole = missing[length:] == missing[:-length]
        lengths.append(length)
        weights.append(np.where(whole, score[length:] - score[:-length], -np.inf))
    top = max(float(w.max()) for w in weights)
    if not math.isfinite(top):
        seen = (np.diff(missing) == 0).astype(np.float64)
        return seen / max(1.0, seen.sum())
    change = np.zeros(n + 1)
    for length, weight in zip(lengths, weights, strict=True):
        share = max(1, round(reach * length))
        skipped = (length - share) // 2
        mass = np.exp(weight - top) / share
        change[skipped : skipped + mass.size] += mass
        change[skipped + share : skipped + share + mass.size] -= mass
    cover = np.maximum(np.cumsum(change[:-1]), 0.0)
    return cover / cover.sum()

"""How long what a note refers to lasts: log-normal or with heavier tails, as log weights of whole frames or of strides
of them; and how many places that leaves."""

from __future__ import annotations

import math

import numpy as np

from align.datatypes import Floats

__all__ = ["LARGEST", "NEVER", "log_durations", "log_places", "thin_durations", "weighted"]

NEVER = -1e30
_HARDLY = -1e29
_TAIL = 3.5  # standard deviations of the log duration that count
_HEAVY_TAIL = 5.0  # the same of Student's t
LARGEST = 700.0  # log of a number that float64 still holds
_LEAST_FREE = 0.1  # of the frames: the sum of usual durations is not known better than that


def log_durations(durations: Floats, hop: float, n_frames: int, tails: float = 0.0) -> Floats:
    """(n, longest + 1) log probability of each duration in frames; NEVER beyond 3.5 deviations (heavy tails: 5).

    Args:
        durations: (n, 2) mean and standard deviation of the log seconds.
        hop: seconds a frame.
        n_frames: of the recording: nothing is longer.
        tails: degrees of freedom of Student's t, which the log seconds then follow about that mean; 0: normal.
    """
    mean, sd, reach = durations[:, :1], durations[:, 1:], _HEAVY_TAIL if tails else _TAIL
    upper = float(np.exp(min(LARGEST, (mean + reach * sd).max(initial=0.0))) / hop)
    longest = int(min(n_frames, max(2.0, upper + 1.0)))
    frames = np.arange(longest + 1, dtype=np.float64)
    frames[0] = 1.0
    z = (np.log(frames * hop)[None, :] - mean) / sd
    log = -0.5 * (tails + 1.0) * np.log1p(z * z / tails) if tails else -0.5 * z * z
    log = log - np.log(frames)[None, :]
    # the shortest allowed duration is at least one frame, even when the grid is coarse
    nearest = np.clip(np.rint(np.exp(np.minimum(LARGEST, mean)) / hop), 1.0, longest)
    allowed = (np.abs(z) <= reach) | (frames[None, :] == nearest)
    allowed[:, 0] = False
    log = np.where(allowed, log, NEVER)
    top = log.max(axis=1, keepdims=True)
    return np.where(allowed, log - top - np.log(np.exp(log - top).sum(axis=1, keepdims=True)), NEVER)


def thin_durations(durations: Floats, g: int) -> Floats:
    """Log weights of durations in strides of g: one pair of coarse edges stands for g^2 pairs.

    They share the g durations around it, so each of those counts g times.
    """
    cell = np.maximum(1, (np.arange(len(durations)) + g // 2) // g)
    weight = np.append(np.bincount(cell, np.exp(np.maximum(durations, NEVER))), 0.0) * g
    return np.where(weight > 0, np.log(np.maximum(weight, 1e-300)), NEVER)


def weighted(durations: Floats, log_weight: float) -> Floats:
    """The same log weights plus one; what is barred stays barred.

    Args:
        durations: log weights.
        log_weight: added to all.
    """
    return np.where(durations > _HARDLY, durations + log_weight, NEVER)


def log_places(usual: Floats, n_frames: int, is_placed: Floats | None = None) -> float:
    """Log of how many places one note has among the others, all in order.

    Spans of these durations that keep their order can lie in C(F + k, k) ways in n frames, where k is their number and
    F the frames that they leave free, at least a tenth of all. So the last of them multiplies the ways by (F + k) / k.
    One note may be anywhere; where all that happens has its note there is hardly a choice.

    Args:
        usual: (k,) frames that each tends to last.
        n_frames: with data.
        is_placed: (k,) probability that each is placed; default: all are. Expected number and frames count then.

    >>> round(math.exp(log_places(np.array([30.0]), 100)), 6)
    71.0
    """
    share = np.ones(len(usual)) if is_placed is None else is_placed
    k = max(1.0, float(share.sum()))
    free = max(n_frames - float(share @ usual), _LEAST_FREE * n_frames)
    return math.log((free + k) / k)

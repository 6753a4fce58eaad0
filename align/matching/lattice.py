"""Evidence and notes -> the arrays that the semi-Markov kernel reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.datatypes import Floats, Note
from align.matching.time_prior import time_windows

__all__ = ["Lattice", "build_lattice"]

NEVER = -1e30
_TAIL = 3.5  # standard deviations of the log duration that count
_LARGEST = 700.0  # log of a number that float64 still holds
P_NOTHING = 0.02  # prior probability that a note refers to nothing in the recording


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Input of ``align.kernels.decode``, one row per note; see there for the scores' meaning."""

    prefix: Floats
    durations: Floats
    priors: Floats
    skip: Floats
    earliest: npt.NDArray[np.int64]

    def rows(self, which: Sequence[int]) -> Lattice:
        """The same for some notes, in the given order."""
        index = np.asarray(which, np.int64)
        return Lattice(
            self.prefix[index], self.durations[index], self.priors[index], self.skip[index], self.earliest
        )

    def arrays(self) -> tuple[Floats, Floats, Floats, Floats, npt.NDArray[np.int64]]:
        """Prefix sums, durations, priors, skip, earliest starts: the kernels' arguments in order."""
        return self.prefix, self.durations, self.priors, self.skip, self.earliest


def build_lattice(evidence: Evidence, notes: Sequence[Note], p_nothing: float = P_NOTHING) -> Lattice:
    """Prefix sums, duration and time priors and the price of leaving a note out.

    A placed note pays the log probability of its duration (log-normal, per text) and of its place: 1 / (frames
    per note) when untimed, the height of its time window when timed. A skipped one pays
    ``log(p_nothing / (1 - p_nothing))``.

    Args:
        evidence: one column per note.
        notes: one per column.
        p_nothing: prior probability of "refers to nothing here", in (0, 1).
    """
    n_frames, n_notes = evidence.log_odds.shape
    odds = np.where(evidence.observed[:, None], evidence.log_odds.astype(np.float64), 0.0)
    prefix = np.zeros((n_notes, n_frames + 1))
    prefix[:, 1:] = np.cumsum(odds.T, axis=1)
    priors = time_windows(notes, evidence)
    timed = priors[:, 2] > 0
    usual = np.exp(np.minimum(_LARGEST, evidence.durations[:, 0])) / evidence.hop
    window = np.sqrt(2 * np.pi) * priors[:, 2] + 2 * priors[:, 1] + priors[:, 4] * usual
    width = np.where(timed, window, n_frames / max(1, n_notes))
    # the price of a place goes with the duration, which every placement pays once
    durations = _log_durations(evidence, n_frames) - np.log(np.maximum(width, 1.0))[:, None]
    durations[durations < 0.5 * NEVER] = NEVER
    skip = np.full(n_notes, np.log(p_nothing / (1.0 - p_nothing)))
    return Lattice(prefix, durations, priors, skip, _earliest_starts(evidence.observed))


def _earliest_starts(observed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(n_frames + 1,) where the unbroken data that ends before frame t begins; t itself when there is none."""
    edges = np.arange(1, observed.size + 1)
    return np.append(0, np.maximum.accumulate(np.where(observed, 0, edges)))


def _log_durations(evidence: Evidence, n_frames: int) -> Floats:
    """(n_notes, longest + 1) log probability of each duration in frames; NEVER beyond 3.5 deviations."""
    mean, sd = evidence.durations[:, :1], evidence.durations[:, 1:]
    upper = float(np.exp(min(_LARGEST, (mean + _TAIL * sd).max(initial=0.0))) / evidence.hop)
    longest = int(min(n_frames, max(2.0, upper + 1.0)))
    frames = np.arange(longest + 1, dtype=np.float64)
    frames[0] = 1.0
    z = (np.log(frames * evidence.hop)[None, :] - mean) / sd
    log = -0.5 * z * z - np.log(frames)[None, :]
    # the shortest allowed duration is at least one frame, even when the grid is coarse
    nearest = np.clip(np.rint(np.exp(np.minimum(_LARGEST, mean)) / evidence.hop), 1.0, longest)
    allowed = (np.abs(z) <= _TAIL) | (frames[None, :] == nearest)
    allowed[:, 0] = False
    log = np.where(allowed, log, NEVER)
    top = log.max(axis=1, keepdims=True)
    return np.where(allowed, log - top - np.log(np.exp(log - top).sum(axis=1, keepdims=True)), NEVER)

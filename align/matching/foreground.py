"""What stands out of a sound's background belongs to some note, and begins and ends where its span does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.matching.gains import normalised

__all__ = ["MOST", "Foreground", "noted_frames"]

MOST = 4.0  # log odds: what is always so in some recordings may not be elsewhere
_BESIDE = 2  # frames on each side of an edge that are compared
_SURE = 0.99  # share of the foreground that notes are about at most
_SLOWER = (
    0.5  # deviations of the log duration by which everything may last longer: one speaks slower than another
)
_HARDLY = 1e-3  # probability of an edge where nothing changes


@dataclass(frozen=True, slots=True)
class Foreground:
    """Log odds that a frame is within some note's span: ``seen`` from one of the foreground, ``unseen`` from one of the
    background, both within 4 of 0; ``weight`` in [0, 1]: how much a frame counts, as neighbours say the same.

    Raises:
        ParameterError: a number out of its range.
    """

    seen: float
    unseen: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name, least, most in (("seen", -MOST, MOST), ("unseen", -MOST, MOST), ("weight", 0.0, 1.0)):
            if not least <= getattr(self, name) <= most:
                raise ParameterError(name, getattr(self, name), f"{least:g} to {most:g}")

    def weighted(self, weight: float) -> Foreground:
        """The same with another weight.

        Args:
            weight: in [0, 1].
        """
        return replace(self, weight=weight)

    def log_odds(self, share: Floats, noted: float = math.inf) -> npt.NDArray[np.float32]:
        """(n_frames,) what the foreground of a session says for any note; 0 where there is no sound.

        It speaks for notes no more than the log odds that a frame of it is about one of them, as they can be about so
        many frames: where half of what is heard has no note, a frame of it says nothing.

        Args:
            share: (n_frames,) as ``foreground_of`` gives it.
            noted: frames that all notes together are expected to take.
        """
        part = min(noted / max(float(np.nansum(share)), 1.0), _SURE)
        seen = min(self.seen, math.log(part / (1.0 - part)) if part > 0.5 else 0.0)
        said = share * seen + (1.0 - share) * self.unseen
        return np.nan_to_num(self.weight * said).astype(np.float32)

    def gain(self, share: Floats) -> Floats:
        """(n_frames + 1,) how much likelier spans begin or end at an edge than at any (``gains``); none with weight 0.

        An edge is as probable as the two frames before it and the two behind it differ.

        Args:
            share: as for ``log_odds``.
        """
        if not self.weight:
            return np.zeros(0)
        padded = np.pad(np.nan_to_num(share), _BESIDE, mode="edge")
        means = np.convolve(padded, np.full(_BESIDE, 1.0 / _BESIDE), mode="valid")
        changed = np.maximum(np.abs(means[_BESIDE:] - means[:-_BESIDE]), _HARDLY)
        return normalised(np.log(changed / changed.mean()))


def noted_frames(durations: Floats, hop: float) -> float:
    """Frames that notes may take together, half a deviation of their log durations more than expected.

    Args:
        durations: (n_notes, 2) mean and standard deviation of the log seconds.
        hop: seconds a frame.

    >>> round(noted_frames(np.log([[2.0, 1.0], [3.0, 1.0]]), 0.5), 6)
    10.0
    """
    return float(np.exp(durations[:, 0] + _SLOWER * durations[:, 1]).sum() / hop)

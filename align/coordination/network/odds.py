"""Frames and texts in the shared space -> how well each frame fits each text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from align.coordination.network.encoders import Coordinator
from align.coordination.network.encoding import Encoded

__all__ = ["FrameOdds"]

F4 = npt.NDArray[np.float32]
_ROWS = 32_768  # frames compared with all texts at once


@dataclass(frozen=True, slots=True, eq=False)
class FrameOdds:
    """Log odds of texts against "nothing", frame by frame: ``counts * (scale * agreement - nothing) + shown``.

    ``made``: the session's frames as ``network`` reads them; ``counts``: how much a frame counts; ``shown`` f4
    (n_frames,): what speaks for every text alike.
    """

    network: Coordinator
    made: Encoded
    counts: float
    shown: F4

    @torch.inference_mode()
    def of(self, texts: F4) -> F4:
        """(n_frames, n) f4 log odds.

        Args:
            texts: (n, d) f4 of unit norm.
        """
        log_odds = np.empty((len(self.shown), len(texts)), np.float32)
        scale, asked = float(self.network.scale), torch.from_numpy(texts)
        for low in range(0, len(log_odds), _ROWS):
            some = slice(low, low + _ROWS)
            agreement = self.network.function(torch.from_numpy(self.made.vectors[some]), asked).numpy()
            against = self.made.nothing[some, None]
            log_odds[some] = self.counts * (scale * agreement - against) + self.shown[some, None]
        return log_odds

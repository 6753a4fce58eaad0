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
    def of(self, texts: F4) -> tuple[F4, F4]:
        """(n_frames, n) f4 agreements, and log odds.

        Args:
            texts: (n, d) f4 of unit norm.
        """
        similarity = np.empty((len(self.shown), len(texts)), np.float32)
        log_odds, scale, asked = np.empty_like(similarity), float(self.network.scale), torch.from_numpy(texts)
        for low in range(0, len(similarity), _ROWS):
            some = slice(low, low + _ROWS)
            frames = torch.from_numpy(self.made.vectors[some])
            similarity[some] = self.network.function(frames, asked).numpy()
            against = self.made.nothing[some, None]
            log_odds[some] = self.counts * (scale * similarity[some] - against) + self.shown[some, None]
        return similarity, log_odds

"""Dropout whose masks are cheap on a processor, where drawing them otherwise takes longer than the layers between."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["Dropout"]

_LEVELS = 256  # of a random byte


class Dropout(nn.Module):
    """Zero every value with probability ``p`` in training and scale the others so that the mean stays.

    On a processor one random byte decides on a value, so that ``p`` is rounded to 1/256 (0.2 becomes 0.199); the bytes
    are drawn by SFC64 from a seed that torch's generator gives, so that its state still decides on everything. torch
    draws 32 bits a value by a Mersenne twister and multiplies by booleans: 4 times as long. Other devices use torch's.

    Args:
        p: 0 up to but not 1.

    Reference: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15 (2014).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape."""
        kept = round((1.0 - self.p) * _LEVELS)
        if not self.training or kept == _LEVELS:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        return x * _mask(x.numel(), kept).reshape(x.shape).to(x.dtype)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _mask(n: int, kept: int) -> torch.Tensor:
    """(n,) float32: 0, or 256 / kept with probability kept / 256."""
    rng = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, ()))))
    words = rng.integers(0, 2**64 - 1, -(-n // 8), dtype=np.uint64, endpoint=True)
    below = words.view(np.uint8)[:n] < kept
    return torch.from_numpy(np.multiply(below, np.float32(_LEVELS / kept), dtype=np.float32))

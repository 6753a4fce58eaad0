"""Where frames and raw patches enter an encoder, and the convolution block that its trunk or stem is made of."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from align.coordination.network.dropout import Dropout

__all__ = ["ConvolutionBlock", "Entry"]


class ConvolutionBlock(nn.Module):
    """Depthwise dilated convolution over time, then a pointwise network, with a residual path.

    Args:
        width: channels.
        kernel: odd number of frames.
        dilation: frames from one tap to the next.
        dropout: of the pointwise network.
    """

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.shrink = nn.Linear(2 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, time, width) -> the same shape."""
        h = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        h = self.shrink(self.dropout(F.gelu(self.expand(self.norm(h)))))
        return x + self.dropout(h)


class Entry(nn.Module):
    """The frame path, linear in the columns, plus the raw path: a small network on the patch coefficients.

    Args:
        n_features: columns of the inputs.
        raw: (first, last) of each stretch of columns that hold raw patches; none: the frame path alone.
        width: of what comes out.
    """

    def __init__(self, n_features: int, raw: tuple[tuple[int, int], ...], width: int) -> None:
        super().__init__()
        edges = [0, *(edge for stretch in raw for edge in stretch), n_features]
        self._raw = raw
        self._frames = tuple(pair for pair in list(pairwise(edges))[::2] if pair[0] < pair[1])
        n_raw = sum(b - a for a, b in raw)
        self.enter = nn.Linear(n_features - n_raw, width)
        self.patch = (
            nn.Sequential(nn.Linear(n_raw, width), nn.GELU(), nn.Linear(width, width)) if raw else None
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(..., n_features) -> (..., width)."""
        h: torch.Tensor = self.enter(_columns(inputs, self._frames))
        return h if self.patch is None else h + self.patch(_columns(inputs, self._raw))


def _columns(inputs: torch.Tensor, stretches: tuple[tuple[int, int], ...]) -> torch.Tensor:
    return torch.cat([inputs[..., a:b] for a, b in stretches], dim=-1)

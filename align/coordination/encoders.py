"""The two encoders: frames -> embeddings and a "nothing" logit; text vectors -> the same space."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["Coordinator", "StreamEncoder", "TextProjection"]


class _Block(nn.Module):
    """Depthwise dilated convolution over time, then a pointwise network, with a residual path."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.shrink = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (batch, time, width)
        h = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        h = self.shrink(self.dropout(F.gelu(self.expand(self.norm(h)))))
        return x + self.dropout(h)


class StreamEncoder(nn.Module):
    """Small temporal convolution over frames: one unit-norm embedding and one "nothing" logit per frame.

    Args:
        n_features: columns of a frame.
        width: channels of the hidden layers.
        dimension: of the shared space.
        dilations: one block each; with kernel 5 the receptive field is 1 + 4 sum(dilations) frames.
        dropout: of the hidden layers.
    """

    def __init__(
        self, n_features: int, width: int, dimension: int, dilations: tuple[int, ...], dropout: float
    ) -> None:
        super().__init__()
        self.feature_dropout = nn.Dropout(0.1)
        self.enter = nn.Linear(n_features, width)
        self.enter_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(_Block(width, 5, d, dropout) for d in dilations)
        self.leave_norm = nn.LayerNorm(width)
        self.embed = nn.Linear(width, dimension)
        self.nothing = nn.Linear(width, 1)

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, time, n_features) -> embeddings (batch, time, dimension), nothing (batch, time)."""
        h = self.enter_norm(self.enter(self.feature_dropout(frames)))
        for block in self.blocks:
            h = block(h)
        h = self.leave_norm(h)
        return F.normalize(self.embed(h), dim=-1), self.nothing(h)[..., 0]


class TextProjection(nn.Module):
    """Linear projection of frozen text vectors into the shared space."""

    def __init__(self, text_dimension: int, dimension: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(text_dimension, dimension, bias=False)

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        """(n, text_dimension) -> (n, dimension), unit norm."""
        return F.normalize(self.project(self.dropout(texts)), dim=-1)


class Coordinator(nn.Module):
    """Both encoders and the coordination function: cosine over a learned temperature, against "nothing"."""

    def __init__(self, stream: StreamEncoder, text: TextProjection, scale: float = 10.0) -> None:
        super().__init__()
        self.stream = stream
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def scale(self) -> torch.Tensor:
        """Inverse temperature, at most 100."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def forward(self, frames: torch.Tensor, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames (batch, time, n_features) and texts (m, text_dimension) -> logits and embeddings.

        Returns:
            logits (batch, time, m + 1), the last column "nothing"; embeddings (batch, time, dimension).
        """
        embedded, nothing = self.stream(frames)
        similarity = self.scale * (embedded @ self.text(texts).T)
        return torch.cat([similarity, nothing[..., None]], dim=-1), embedded

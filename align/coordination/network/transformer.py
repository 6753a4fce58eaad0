"""The large stream encoder: a convolution stem and a transformer whose positions are seconds.

For a GPU and many hours of recordings. A long recording is read in overlapping windows, so that memory and time grow
with its length and not with its square.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from align.coordination.inputs.layout import Layout
from align.coordination.network.dropout import Dropout
from align.coordination.network.edges import EdgeHead
from align.coordination.network.entry import ConvolutionBlock, Entry
from align.coordination.plan import TrainingPlan

__all__ = ["TransformerEncoder", "rotated_by_seconds"]

_SHORTEST, _LONGEST = 0.25, 4096.0  # seconds: periods of the rotary positions
_STEM = (1, 2)  # dilations
_GROWTH = 4  # of the pointwise network


class TransformerEncoder(nn.Module):
    """Frames and raw patches -> stem -> transformer layers -> one unit-norm embedding and "nothing" per frame.

    A frame attends to all frames of its window in which some stream was observed (what the presence columns say):
    padding and gaps are looked at by nobody.

    Args:
        entry: of ``plan.width``.
        layout: of the model; gives the hop and the presence columns.
        plan: width, layers, heads, dimension, dropout; ``longest`` frames make a window.
    """

    def __init__(self, entry: Entry, layout: Layout, plan: TrainingPlan) -> None:
        super().__init__()
        self._hop, self._n_flags, self._window = layout.hop, len(layout.streams), plan.longest
        self.feature_dropout = Dropout(0.1)
        self.enter = entry
        self.enter_norm = nn.LayerNorm(plan.width)
        self.stem = nn.ModuleList(ConvolutionBlock(plan.width, 5, d, plan.dropout) for d in _STEM)
        self.layers = nn.ModuleList(_Layer(plan.width, plan.heads, plan.dropout) for _ in range(plan.layers))
        self.leave_norm = nn.LayerNorm(plan.width)
        self.embed = nn.Linear(plan.width, plan.dimension)
        self.nothing = nn.Linear(plan.width, 1)
        self.edges = EdgeHead(plan.width) if plan.edges else None

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """(batch, time, n_features) -> as ``StreamEncoder.forward``: embeddings, "nothing", edges or None."""
        n, size = frames.shape[1], self._window
        if n <= size:
            return self._heads(self._of_window(frames))
        margin = size // 4
        parts = []
        for start in range(0, n - 2 * margin, size - 2 * margin):
            low = max(0, min(start, n - size))
            keep_from = 0 if start == 0 else start + margin - low
            last = start + size >= n
            keep_to = n - low if last else size - margin
            parts.append(self._of_window(frames[:, low : low + size])[:, keep_from:keep_to])
            if last:
                break
        return self._heads(torch.cat(parts, dim=1))

    def _heads(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        edges = None if self.edges is None else self.edges(h)
        return F.normalize(self.embed(h), dim=-1), self.nothing(h)[..., 0], edges

    def _of_window(self, frames: torch.Tensor) -> torch.Tensor:
        """The last hidden layer (batch, time, width)."""
        seen = (frames[..., -self._n_flags :] > 0).any(dim=-1)  # (batch, time)
        seen = seen | ~seen.any(dim=1, keepdim=True)  # of a window without data every frame sees all: no NaN
        seconds = self._hop * torch.arange(frames.shape[1], device=frames.device, dtype=torch.float32)
        h = self.enter_norm(self.enter(self.feature_dropout(frames)))
        for block in self.stem:
            h = block(h)
        for layer in self.layers:
            h = layer(h, seen[:, None, None, :], seconds)
        out: torch.Tensor = self.leave_norm(h)
        return out


class _Layer(nn.Module):
    """Attention over time with rotary positions in seconds, then a pointwise network; norms come first."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self.attend_norm = nn.LayerNorm(width)
        self.triple = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, _GROWTH * width)
        self.shrink = nn.Linear(_GROWTH * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: torch.Tensor, seen: torch.Tensor, seconds: torch.Tensor) -> torch.Tensor:
        """(batch, time, width) -> the same shape; ``seen`` (batch, 1, 1, time), ``seconds`` (time,)."""
        batch, n, width = x.shape
        triple = self.triple(self.attend_norm(x)).reshape(batch, n, 3, self._heads, width // self._heads)
        query, key, value = triple.permute(2, 0, 3, 1, 4)  # each (batch, heads, time, width / heads)
        query, key = rotated_by_seconds(query, seconds), rotated_by_seconds(key, seconds)
        h = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        x = x + self.dropout(self.join(h.transpose(1, 2).reshape(batch, n, width)))
        return x + self.dropout(self.shrink(self.dropout(F.gelu(self.expand(self.norm(x))))))


def rotated_by_seconds(x: torch.Tensor, seconds: torch.Tensor) -> torch.Tensor:
    """Pairs of columns turned by an angle that grows with time, so that products see time differences alone.

    Pair k turns once every ``P_k`` seconds; the periods are spaced evenly in their logarithm from 0.25 to 4,096 s.

    Args:
        x: (..., time, d), d even.
        seconds: (time,).

    References:
        Su et al., RoFormer, arXiv 2104.09864, equation 34; here positions are seconds, so that the hop is free.
    """
    half = x.shape[-1] // 2
    steps = torch.arange(half, device=x.device, dtype=torch.float32) / max(1, half - 1)
    periods = _SHORTEST * (_LONGEST / _SHORTEST) ** steps
    angle = 2.0 * math.pi * seconds[:, None] / periods
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)

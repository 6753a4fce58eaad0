"""The network: frames in, masked ones replaced by a learned blank, context over time, a guess at each frame's token."""

from __future__ import annotations

import torch
from torch import nn

from align.tokens.units.plan import UnitPlan

__all__ = ["MaskedNetwork", "UnitTransformer", "unit_network"]

_NEAR = 31  # frames of the convolution that tells frames their place; odd
_BLANK = 0.1  # standard deviation of the blank before training


class MaskedNetwork(nn.Module):
    """What is trained: any ``enter`` and ``context``, a blank for masked frames, and the guess.

    Args:
        enter: frames (batch, time, d) -> (batch, time, width).
        context: (hidden (batch, time, width), seen (batch, time) bool) -> hidden of the same shape.
        width: of the hidden frames.
        n_codes: tokens to choose from.
    """

    def __init__(self, enter: nn.Module, context: nn.Module, width: int, n_codes: int) -> None:
        super().__init__()
        self.enter = enter
        self.context = context
        self.blank = nn.Parameter(_BLANK * torch.randn(width))
        self.guess = nn.Linear(width, n_codes)

    def forward(self, frames: torch.Tensor, masked: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Logits (batch, time, n_codes).

        Args:
            frames: (batch, time, d).
            masked: (batch, time) bool, frames that are hidden.
            seen: (batch, time) bool, False in gaps and padding.
        """
        entered = self.enter(frames)
        entered = torch.where(masked[..., None], self.blank.to(entered.dtype), entered)
        logits: torch.Tensor = self.guess(self.context(entered, seen))
        return logits


class UnitTransformer(nn.Module):
    """Context by a transformer: a convolution tells frames their place, then layers of attention; norms come first.

    Args:
        plan: width, layers, heads and dropout.

    Reference: Hsu et al. 2021, HuBERT, section II-A (BERT encoder behind a convolution for positions).
    """

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        self.place = nn.Conv1d(plan.width, plan.width, _NEAR, padding=_NEAR // 2, groups=plan.width)
        self.enter_norm = nn.LayerNorm(plan.width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                plan.width,
                plan.heads,
                4 * plan.width,
                plan.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(plan.layers)
        )
        self.leave_norm = nn.LayerNorm(plan.width)

    def forward(self, hidden: torch.Tensor, seen: torch.Tensor, depth: int | None = None) -> torch.Tensor:
        """(batch, time, width) -> the same shape; frames not seen are looked at by nobody.

        Args:
            hidden: what entered.
            seen: (batch, time) bool.
            depth: layers to go through; None: all, and the last norm.
        """
        seen = seen | ~seen.any(dim=1, keepdim=True)  # of a window without data every frame sees all: no NaN
        hidden = torch.where(seen[..., None], hidden, 0.0)
        hidden = hidden + nn.functional.gelu(self.place(hidden.transpose(1, 2)).transpose(1, 2))
        hidden = self.enter_norm(hidden)
        for layer in self.layers[: len(self.layers) if depth is None else depth]:
            hidden = layer(hidden, src_key_padding_mask=~seen)
        out: torch.Tensor = self.leave_norm(hidden) if depth is None else hidden
        return out


def unit_network(n_features: int, n_codes: int, plan: UnitPlan) -> MaskedNetwork:
    """The network that ``fit_units`` trains, with random weights.

    Args:
        n_features: columns of a frame.
        n_codes: tokens to choose from.
        plan: its size.
    """
    enter = nn.Linear(n_features, plan.width)
    return MaskedNetwork(enter, UnitTransformer(plan), plan.width, n_codes)

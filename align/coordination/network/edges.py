"""Where things begin and end: a head that says, at every edge between two frames, how likely a span has an edge there.

What fits a text best says roughly where a span lies; it does not say that one bout is one bout. This head sees the
change itself, whatever it is called, and the decoder takes what it says as its prior of where spans start and end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from align.coordination.inputs.examples import NOTHING
from align.datatypes import Floats
from align.matching.gains import normalised

__all__ = ["EdgeHead", "edge_gain", "edge_loss", "soft_edge_loss"]

_AROUND = 4  # frames that an edge is seen from, half of them before it
_RARE = -3.0  # log odds to start from


class EdgeHead(nn.Module):
    """Hidden layer -> log odds of an edge before every frame and behind the last.

    Args:
        width: of the hidden layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv1d(width, width, _AROUND)
        self.judge = nn.Linear(width, 1)
        with torch.no_grad():
            self.judge.bias.fill_(_RARE)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(batch, time, width) -> (batch, time + 1)."""
        padded = F.pad(hidden.transpose(1, 2), (_AROUND // 2, _AROUND // 2), mode="replicate")
        out: torch.Tensor = self.judge(F.gelu(self.around(padded).transpose(1, 2)))
        return out[..., 0]


def edge_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the edges between frames that are both known; 0 where there are none.

    An edge is where the frames' targets differ: between two texts, or a text and "nothing".

    Args:
        logits: (batch, time + 1) as the head gives them.
        target: (batch, time) int64, as ``Example.target``.
    """
    known = (target[:, 1:] >= NOTHING) & (target[:, :-1] >= NOTHING)
    if not bool(known.any()):
        return logits.sum() * 0.0
    wanted = (target[:, 1:] != target[:, :-1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits[:, 1:-1][known], wanted[known])


def soft_edge_loss(logits: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the edges between observed frames where it is only probable what a frame belongs to.

    An edge is as probable as the change is large: half of what all notes and "nothing" gain and lose there (the total
    variation distance of the two frames). Where every frame is certain that is ``edge_loss`` of the same spans.

    Args:
        logits: (time + 1,) as the head gives them.
        soft: (time, n_notes + 1) as ``Example.soft``; rows of zeros do not count.
    """
    seen = soft.sum(dim=1) > 0
    known = seen[1:] & seen[:-1]
    if not bool(known.any()):
        return logits.sum() * 0.0
    wanted = 0.5 * (soft[1:] - soft[:-1]).abs().sum(dim=1)
    return F.binary_cross_entropy_with_logits(
        logits[1:-1][known], wanted[known].to(logits.dtype).clamp(0.0, 1.0)
    )


def edge_gain(logits: npt.NDArray[np.floating]) -> Floats:
    """(n + 1,) log of how much likelier a span starts, or ends, at each edge than at any: the mean of its exp is 1.

    ``max(log p - log mean p, -4)``, normalised.

    Args:
        logits: (n + 1,) log odds, as the head gives them.
    """
    log_p = -np.logaddexp(0.0, -logits.astype(np.float64))
    return normalised(log_p - np.log(np.exp(log_p).mean()))

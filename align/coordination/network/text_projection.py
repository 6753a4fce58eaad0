"""Frozen text vectors -> the space shared with frames: a projection that is made for wordings it never saw.

A few dozen training texts span far fewer directions than a text vector has. What a plain linear layer does in the
others is left from its random start, and turns the vector of an unseen wording away from where its meaning lies. Two
remedies: the layer starts small, so that unused directions add little, and in training every vector carries
noise, which for a linear layer is ridge regression: what is learned must hold around each text, not at it alone.

Reference: Bishop, Training with noise is equivalent to Tikhonov regularization, Neural Computation 7, 1995, eq. 19.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from align.coordination.network.dropout import Dropout

__all__ = ["TextProjection"]

_START = 0.1  # of the usual size of the weights


class TextProjection(nn.Module):
    """Linear projection of frozen text vectors, unit norm after it; optionally with a small adapter before it.

    The adapter is a residual network of one hidden layer, ``v + up(gelu(down(v)))``, that begins as the identity.

    Args:
        text_dimension: columns of a text vector.
        dimension: of the shared space.
        dropout: of the vectors' components in training.
        noise: length of the Gaussian noise added to a vector (of length 1) in training, >= 0.
        adapter: width of the adapter's hidden layer; 0: no adapter.
    """

    def __init__(
        self, text_dimension: int, dimension: int, dropout: float = 0.1, noise: float = 2.0, adapter: int = 0
    ) -> None:
        super().__init__()
        self.noise = noise / math.sqrt(text_dimension)
        self.dropout = Dropout(dropout)
        self.project = nn.Linear(text_dimension, dimension, bias=False)
        with torch.no_grad():
            self.project.weight.mul_(_START)
        self.adapter: nn.Sequential | None = None
        if adapter:
            up = nn.Linear(adapter, text_dimension)
            nn.init.zeros_(up.weight)
            nn.init.zeros_(up.bias)
            self.adapter = nn.Sequential(nn.Linear(text_dimension, adapter), nn.GELU(), up)

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        """(n, text_dimension) -> (n, dimension), unit norm."""
        return F.normalize(self._projected(texts), dim=-1)

    @torch.inference_mode()
    def projected(self, texts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, text_dimension) -> (n, dimension) before its length is made one: the shorter, the less was heard in
        training."""
        return cast(npt.NDArray[np.float32], self._projected(torch.from_numpy(texts)).numpy())

    def _projected(self, texts: torch.Tensor) -> torch.Tensor:
        x = self.dropout(texts)
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        if self.adapter is not None:
            x = x + self.adapter(x)
        return cast(torch.Tensor, self.project(x))

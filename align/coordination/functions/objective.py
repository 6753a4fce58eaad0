"""What a training objective over paired embeddings is: the base of deep CCA, DCCAE and the relational ones."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

__all__ = ["Objective"]


class Objective(nn.Module, ABC):
    """A scalar to make small, over pairs: row i of one modality belongs to row i of the other.

    Unlike a coordination function it looks at all pairs at once, so it has a place in training alone.

    Args:
        dimension: of the shared space.
        views: columns of what each encoder was given: (a frame's features, a text vector).
    """

    def __init__(self, dimension: int, views: tuple[int, int]) -> None:
        super().__init__()
        self.dimension = dimension
        self.views = views

    @abstractmethod
    def forward(
        self, a: torch.Tensor, b: torch.Tensor, x: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embeddings of pairs -> scalar; 0, with gradients of 0, where there are too few pairs to say.

        Args:
            a: (n, d) embeddings of one modality (of spans, pooled).
            b: (n, d) of the other (of their texts).
            x: (n, views[0]) what a was encoded from (the mean of a span's frames), or None: not known.
            y: (n, views[1]) what b was encoded from (text vectors), or None.
        """

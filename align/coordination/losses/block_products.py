"""Similarities of two sets of embeddings block by block, and their gradients summed up block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from align.coordination.losses.same_pairs import Block, SamePairs

__all__ = ["Gradients", "Products"]

_TAME = 0.45  # of the dtype's largest exponent: exp of a logit and its inverse can both be summed


class Products:
    """Logits ``scale * a @ b.T`` of one block at a time, in float32 or wider whatever the embeddings' dtype.

    Args:
        a, b: (n, d) and (m, d) embeddings.
        scale: () inverse temperature.

    Attributes:
        dtype: of logits and sums.
        tame: no logit can be so large that its exponential must be shifted (Cauchy and Schwarz).
    """

    def __init__(self, a: Tensor, b: Tensor, scale: Tensor) -> None:
        self.dtype = torch.promote_types(a.dtype, torch.float32)
        self._narrow = (
            a.is_cuda and a.dtype == torch.bfloat16
        )  # a card's units multiply these, sums in float32
        self.a, self.b = (x if self._narrow else x.to(self.dtype) for x in (a, b))
        self.scale = scale.to(self.dtype)
        largest = math.log(torch.finfo(self.dtype).max)
        longest = [float(torch.linalg.vector_norm(x, dim=1, dtype=self.dtype).max()) for x in (a, b)]
        self.tame = abs(float(scale)) * longest[0] * longest[1] < _TAME * largest

    def logits(self, part: Block) -> Tensor:
        """(rows, columns) of a block."""
        return self._product(self.a[part.rows], self.b[part.columns].T).mul_(self.scale)

    def add_to(self, total: Tensor, slope: Tensor, embeddings: Tensor) -> None:
        """Add ``slope @ embeddings`` to a view of the gradients."""
        if self._narrow:
            total += self._product(slope.to(embeddings.dtype), embeddings)
        else:
            total.addmm_(slope, embeddings)

    def _product(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.mm(x, y, out_dtype=self.dtype) if self._narrow else x @ y


class Gradients:
    """Gradients of a loss in both embeddings and in the scale, from its slopes in the logits of each block.

    Args:
        products: what the logits were made of.
        wanted: whether a gradient is wanted in the embeddings ``a``, in ``b``, and in the scale.
    """

    def __init__(self, products: Products, wanted: Sequence[bool]) -> None:
        self._products, self._wanted = products, wanted
        of_a, of_b = wanted[0] or (wanted[2] and not wanted[1]), wanted[1]
        self._of_a = torch.zeros_like(products.a, dtype=products.dtype) if of_a else None
        self._of_b = torch.zeros_like(products.b, dtype=products.dtype) if of_b else None

    def add(self, part: Block, slope: Tensor) -> None:
        """Add one block's: ``slope`` (rows, columns) is the loss's derivative in its logits."""
        rows, columns = part.rows, part.columns
        if self._of_a is not None:
            self._products.add_to(self._of_a[rows], slope, self._products.b[columns])
        if self._of_b is not None:
            self._products.add_to(self._of_b[columns], slope.T, self._products.a[rows])

    def finished(self, same: SamePairs) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients in ``a`` and ``b``, rows back in the batch's own order, and in the scale."""
        found: list[Tensor | None] = []
        of_scale = None
        for total, x, wanted in zip(
            (self._of_a, self._of_b), (self._products.a, self._products.b), self._wanted, strict=False
        ):
            if total is not None and self._wanted[2]:  # d/ds of s a.b, from either side
                of_scale = (total * x).sum()  # pairwise, where a dot product would add up in one line
            found.append(
                same.unsorted(total * self._products.scale) if total is not None and wanted else None
            )
        return found[0], found[1], of_scale

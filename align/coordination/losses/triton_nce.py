"""Contrastive losses of large batches on a CUDA card, in kernels that fuse products and exponentials.

Triton comes with torch's CUDA builds. Where it, or a card, is not there, ``chunked.py`` computes the same.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from align.coordination.losses.chunked import chunked_nce, chunked_siglip
from align.coordination.losses.pair_arguments import (
    check_pairs,
    refuse_second_derivative,
    right_odds,
    scalar_beside,
    scaled,
)
from align.coordination.losses.same_pairs import SamePairs, same_pairs

__all__ = ["can_fuse", "fused_nce", "fused_siglip"]

_WIDEST = 512  # d: a block of rows and its gradient stay in one processor
_BLOCK = 4096  # of the count of pairs that mean the same
_SHARE = 0.75  # of a processor's shared memory that tiles may take
_BUILD = {"num_warps": 8, "num_stages": 2}  # the next block of columns is on its way while this one is used
_SIMULATED = 1 << 17  # bytes of it where there is no card


def can_fuse(a: Tensor) -> bool:
    """Whether the kernels can be used: Triton and a card are there, d is at most 512, and the dtype not float64.

    With ``TRITON_INTERPRET=1``, set before Triton is loaded, they run on the CPU, slowly: for tests.

    Args:
        a: (n, d) embeddings.
    """
    if find_spec("triton") is None or a.dtype == torch.float64 or a.ndim != 2 or a.shape[1] > _WIDEST:
        return False
    return a.is_cuda or os.environ.get("TRITON_INTERPRET") == "1"


def fused_nce(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    *,
    texts: Tensor | None = None,
    related: Tensor | None = None,
) -> Tensor:
    """``chunked_nce`` in fused kernels where ``can_fuse``, else ``chunked_nce`` itself.

    Args:
        a, b, scale, texts, related: as in ``chunked_nce``.

    Returns:
        Scalar, float32 where fused. Products of half-precision embeddings are summed in float32; on the way back
        slopes are rounded to the embeddings' dtype before they are multiplied with embeddings.

    Raises:
        ParameterError: as ``chunked_nce``.

    Time O(n^2 d): six matrix products, two there and four back. Memory O(n d).

    References: as ``chunked_nce``; the kernels' online log-sum-exp is Milakov & Gimelshein, arXiv 1805.02867.
    """
    if not can_fuse(a):
        return chunked_nce(a, b, scale, texts=texts, related=related)
    check_pairs(a, b)
    same = same_pairs(len(a), texts, related, a.device)
    loss: Tensor = _FusedNce.apply(a, b, scalar_beside("scale", scale, a), same)  # type: ignore[no-untyped-call]
    return loss


def fused_siglip(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    bias: Tensor | float | None = None,
    *,
    texts: Tensor | None = None,
    related: Tensor | None = None,
) -> Tensor:
    """``chunked_siglip`` in fused kernels where ``can_fuse``, else ``chunked_siglip`` itself.

    Args:
        a, b, scale, bias, texts, related: as in ``chunked_siglip``.

    Returns:
        Scalar, as ``fused_nce``.

    Raises:
        ParameterError: as ``chunked_siglip``.

    Time O(n^2 d): four matrix products; gradients come with the loss. Memory O(n d).
    """
    if not can_fuse(a):
        return chunked_siglip(a, b, scale, bias, texts=texts, related=related)
    check_pairs(a, b)
    same = same_pairs(len(a), texts, related, a.device)
    numbers = (
        scalar_beside("scale", scale, a),
        scalar_beside("bias", right_odds(same, _BLOCK) if bias is None else bias, a),
    )
    loss: Tensor = _FusedSiglip.apply(a, b, *numbers, same)  # type: ignore[no-untyped-call]
    return loss


@dataclass(frozen=True, slots=True, eq=False)
class _Launch:
    """What every kernel is given, for the rows of ``a`` and, the other way round, for those of ``b``."""

    a: Tensor
    b: Tensor
    scale: Tensor
    meanings: tuple[Tensor, ...]
    sizes: tuple[int, int, int]
    tile: tuple[int, int, int, bool]

    @classmethod
    def of(cls, a: Tensor, b: Tensor, scale: Tensor, same: SamePairs) -> _Launch:
        n, d = a.shape
        wide = max(16, 1 << (d - 1).bit_length())
        rows, columns = _tile(wide * a.element_size(), a.device)
        edges = torch.arange(0, n, rows, device=a.device)
        first = torch.searchsorted(same.groups, same.groups[edges])
        last = torch.searchsorted(same.groups, same.groups[(edges + rows - 1).clamp(max=n - 1)], right=True)
        texts = same.groups if same.texts is None else same.texts
        related = texts if same.related is None else same.related.to(torch.int8)
        whole = (texts.int(), related.contiguous(), first.int(), last.int())
        sizes = (n, d, 0 if same.related is None else len(same.related))
        tile = (rows, columns, wide, same.related is not None)
        a, b = (same.sorted(x.detach()).contiguous() for x in (a, b))
        return cls(a, b, scale.detach().float(), whole, sizes, tile)

    def run(self, name: str, side: int, *more: Any) -> None:
        """Run a kernel of ``triton_kernels`` for one side's rows."""
        from align.coordination.losses import triton_kernels

        kernel = getattr(triton_kernels, name)
        own, other = (self.a, self.b) if side == 0 else (self.b, self.a)
        programs = len(self.meanings[2])
        with _on(self.a.device):
            given = (own, other, self.scale), self.meanings, self.sizes
            kernel[(programs,)](*given, *more, TILE=self.tile, **_BUILD)

    def rows(self, *shape: int) -> Tensor:
        """Room for float32 numbers of every row."""
        return torch.empty(shape, dtype=torch.float32, device=self.a.device)

    def finished(self, same: SamePairs, gradients: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients in both embeddings, in the batch's own order, and in the scale (d/ds of s a.b)."""
        of_scale = (gradients[0] * self.a.float()).sum()
        of_a, of_b = (same.unsorted(g * self.scale) for g in gradients)
        return of_a, of_b, of_scale


class _FusedNce(torch.autograd.Function):
    """As ``chunked._Nce``."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor, same: SamePairs) -> Tensor:
        launch = _Launch.of(a, b, scale, same)
        wrong, found = launch.rows(2, len(a)), launch.rows(2, 3, len(a))
        for side in range(2):
            launch.run("wrong_kernel", side, wrong[side])
            launch.run("right_kernel", side, wrong[side], found[side])
        count, loss, pull = found.unbind(1)
        weight = 0.5 / count  # divided by n at the end: slopes would be too small for float16
        ctx.save_for_backward(a, b, scale, wrong, pull * weight, weight)
        ctx.same = same
        return (loss * weight).sum() / len(a)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        a, b, scale, *sides = ctx.saved_tensors
        launch = _Launch.of(a, b, scale, ctx.same)
        gradients = [launch.rows(*a.shape) for _ in range(2)]
        for side, gradient in enumerate(gradients):
            of_rows, of_columns = ([x[k] for x in sides] for k in (side, 1 - side))
            launch.run("slope_kernel", side, (*of_rows, *of_columns), gradient)
        found = launch.finished(ctx.same, gradients)
        return *scaled(found, upstream / len(a), (a.dtype, b.dtype, scale.dtype)), None


class _FusedSiglip(torch.autograd.Function):
    """As ``chunked._Siglip``: there and back at once."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, same: SamePairs) -> Tensor:
        launch = _Launch.of(a, b, scale, same)
        found = launch.rows(2, 2, len(a))
        gradients = [launch.rows(*a.shape) for _ in range(2)]
        for side, gradient in enumerate(gradients):
            launch.run("sigmoid_kernel", side, bias.detach().float(), found[side], gradient)
        loss, of_bias = found[0].sum(1)
        ctx.dtypes = [x.dtype for x in (a, b, scale, bias)]
        ctx.save_for_backward(*(g / len(a) for g in (*launch.finished(same, gradients), of_bias)))
        return loss / len(a)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        return *scaled(ctx.saved_tensors, upstream, ctx.dtypes), None


def _tile(bytes_of_row: int, device: torch.device) -> tuple[int, int]:
    """Rows and columns of a tile: a block of rows and two of columns (one on its way) share a processor's memory."""
    memory = _SIMULATED
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        memory = getattr(card, "shared_memory_per_block_optin", card.shared_memory_per_block)
    rows = max(1, int(_SHARE * memory) // (2 * bytes_of_row))
    rows = min(128, max(16, 1 << (rows.bit_length() - 1)))
    return rows, max(16, rows // 2)


def _on(device: torch.device) -> AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()

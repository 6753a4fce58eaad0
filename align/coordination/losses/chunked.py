"""Contrastive losses of large batches, block by block: the matrix of all pairs is never held, there or back."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from align.coordination.losses.block_products import Gradients, Products
from align.coordination.losses.pair_arguments import (
    check_pairs,
    refuse_second_derivative,
    right_odds,
    scalar_beside,
    scaled,
)
from align.coordination.losses.same_pairs import Block, SamePairs, same_pairs
from align.errors import ParameterError

__all__ = ["chunked_nce", "chunked_siglip"]

_LEAST = -1e30  # below every logit; exp of it is 0
_BLOCK, _BLOCK_OF_CARDS = (
    512,
    4096,
)  # 1 MiB of float32 stays in a core's second cache; a card wants large products


def chunked_nce(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    *,
    texts: Tensor | None = None,
    related: Tensor | None = None,
    block: int | None = None,
) -> Tensor:
    """Symmetric InfoNCE of paired embeddings: ``losses.symmetric_nce`` without its n x n matrices.

    Equal to ``symmetric_nce(a, b, same, scale)`` with ``same[i, j]`` where texts i and j are equal or related.

    Args:
        a: (n, d) embeddings of one modality; float32, float64, bfloat16 or float16.
        b: (n, d) of the other, same dtype and device; row i belongs to row i.
        scale: inverse temperature, a scalar; a tensor gets a gradient.
        texts: (n,) integers, the text of each pair: equal ones are never negatives of each other. None: all differ.
        related: (n_texts, n_texts) bool, symmetric: texts that mean the same (paraphrases). None: only equal ones.
        block: rows and columns computed at a time, >= 1; None: what suits the caches.

    Returns:
        Scalar, float32 or float64. Half-precision embeddings are multiplied with sums in float32.

    Raises:
        ParameterError: shapes, dtypes or numbers do not fit, or a second derivative is asked for (``create_graph``).

    Time O(n^2 d): four matrix products, where eager has three and writes each matrix to memory several times. Memory
    O(n d + block^2).

    References: Radford et al., arXiv 2103.00020, figure 3; the tiling after Cheng et al., arXiv 2410.17243, section 3.

    >>> a = torch.eye(2)
    >>> round(float(chunked_nce(a, a, 1.0)), 4)
    0.3133
    """
    size = _size(a, b, block)
    same = same_pairs(len(a), texts, related, a.device)
    loss: Tensor = _Nce.apply(a, b, scalar_beside("scale", scale, a), same, size)  # type: ignore[no-untyped-call]
    return loss


def chunked_siglip(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    bias: Tensor | float | None = None,
    *,
    texts: Tensor | None = None,
    related: Tensor | None = None,
    block: int | None = None,
) -> Tensor:
    """SigLIP of paired embeddings: ``losses.pairwise_sigmoid`` of ``scale * a @ b.T`` without the n x n matrices.

    Args:
        a, b, scale, texts, related, block: as in ``chunked_nce``.
        bias: log odds of a pair that says nothing; a tensor gets a gradient. None: those of the pairs that mean the
            same among all.

    Returns:
        Scalar, float32 or float64.

    Raises:
        ParameterError: as ``chunked_nce``.

    Time O(n^2 d): three matrix products, as eager, for the gradients come with the loss. Memory O(n d + block^2).

    Reference: Zhai et al., arXiv 2303.15343, algorithm 1 and section 3.3 (where the blocks lie on several devices).
    """
    size = _size(a, b, block)
    same = same_pairs(len(a), texts, related, a.device)
    if bias is None:
        bias = right_odds(same, size)
    numbers = scalar_beside("scale", scale, a), scalar_beside("bias", bias, a)
    loss: Tensor = _Siglip.apply(a, b, *numbers, same, size, torch.is_grad_enabled())  # type: ignore[no-untyped-call]
    return loss


class _Nce(torch.autograd.Function):
    """There: the wrong ones' log-sum-exp of every row and column, then the right ones. Back: the blocks once more."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor, same: SamePairs, size: int) -> Tensor:
        with _exactly(a):
            products = Products(same.sorted(a), same.sorted(b), scale)
            wrong = _wrong(products, same, size)
            count, loss, pull = (torch.zeros_like(wrong[0]) for _ in range(3))
            for part in same.blocks(size, near=True):
                if part.same is None:
                    continue
                for side, worse in enumerate(_worse(wrong, products.logits(part), part)):
                    at = (part.rows, part.columns)[side]
                    count[side, at] += part.same.sum(1 - side)
                    loss[side, at] += (F.softplus(worse) * part.same).sum(1 - side)
                    pull[side, at] += (torch.sigmoid(worse) * part.same).sum(1 - side)
        weight = 0.5 / (len(a) * count)
        ctx.save_for_backward(a, b, scale, wrong, pull * weight, weight)
        ctx.same, ctx.size = same, size
        return (loss * weight).sum()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        a, b, scale, wrong, pull, weight = ctx.saved_tensors
        same: SamePairs = ctx.same
        with _exactly(a):
            products = Products(same.sorted(a), same.sorted(b), scale)
            gradients = Gradients(products, ctx.needs_input_grad)
            peak, rest = wrong
            shares = pull * torch.exp(-rest)
            for part in same.blocks(ctx.size):
                logits, rows, columns = products.logits(part), part.rows, part.columns
                right = None
                if part.same is not None:
                    by_row, by_column = (torch.sigmoid(w) for w in _worse(wrong, logits, part))
                    right = by_row.mul_(weight[0, rows, None]).add_(by_column.mul_(weight[1, columns]))
                if products.tame:
                    slope = logits.exp_().mul_(shares[0, rows, None] + shares[1, columns])
                else:
                    slope = shares[0, rows, None] * torch.exp(logits - peak[0, rows, None])
                    slope += shares[1, columns] * torch.exp(logits - peak[1, columns])
                if part.same is not None and right is not None:
                    slope = torch.where(part.same, -right, slope)
                gradients.add(part, slope)
            found = gradients.finished(same)
        return *scaled(found, upstream, (a.dtype, b.dtype, scale.dtype)), None, None


def _wrong(products: Products, same: SamePairs, size: int) -> Tensor:
    """(2, 2, n) log-sum-exp of the logits that do not belong: a shift and the rest, of each row and each column.

    Their sum would round away digits of the rest where logits are large. The rest is -inf where all belong.
    """
    start = 0.0 if products.tame else _LEAST
    peak = products.a.new_full((2, len(products.a)), start, dtype=products.dtype)
    total = torch.zeros_like(peak)
    for part in same.blocks(size):
        logits = products.logits(part)
        if part.same is not None:
            logits = logits.masked_fill_(part.same, -math.inf)
        if products.tame:
            logits = logits.exp_()
        for side, at in enumerate((part.rows, part.columns)):
            if products.tame:
                total[side, at] += logits.sum(1 - side)
                continue
            before = peak[side, at].clone()
            peak[side, at] = torch.maximum(before, logits.amax(1 - side))
            total[side, at] *= torch.exp(before - peak[side, at])
            total[side, at] += torch.exp(logits - _beside(peak[side, at], side)).sum(1 - side)
    return torch.stack([peak, total.log_()])


def _worse(wrong: Tensor, logits: Tensor, part: Block) -> tuple[Tensor, Tensor]:
    """By how much the wrong ones of the row, and of the column, weigh more than each logit."""
    peak, rest = wrong
    by_row = (peak[0, part.rows, None] - logits).add_(rest[0, part.rows, None])
    return by_row, (peak[1, part.columns] - logits).add_(rest[1, part.columns])


def _beside(numbers: Tensor, side: int) -> Tensor:
    """Numbers of rows (side 0) as a column, those of columns as they are."""
    return numbers[:, None] if side == 0 else numbers


class _Siglip(torch.autograd.Function):
    """There and back at once: a slope needs no other pair, so no block is computed twice."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        a, b, scale, bias, same, size, wanted = given
        ctx.dtypes = [x.dtype for x in (a, b, scale, bias)]
        with _exactly(a):
            products = Products(same.sorted(a), same.sorted(b), scale)
            gradients = Gradients(products, ctx.needs_input_grad) if wanted else None
            loss, of_bias = (torch.zeros((), dtype=products.dtype, device=a.device) for _ in range(2))
            bias = bias.to(products.dtype)
            for part in same.blocks(size):
                z = products.logits(part).add_(bias)
                loss += F.softplus(z).sum()
                if part.same is not None:
                    loss -= (z * part.same).sum()
                if gradients is not None:
                    slope = z.sigmoid_()
                    if part.same is not None:
                        slope -= part.same.to(slope.dtype)
                    of_bias += slope.sum()
                    gradients.add(part, slope)
            if gradients is not None:
                found = (*gradients.finished(same), of_bias)
                ctx.save_for_backward(*(g if g is None else g / len(a) for g in found))
        return loss / len(a)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        return *scaled(ctx.saved_tensors, upstream, ctx.dtypes), None, None, None


def _exactly(x: Tensor) -> AbstractContextManager[None]:
    """Without autocast, which would narrow the sums."""
    return torch.autocast(x.device.type, enabled=False)


def _size(a: Tensor, b: Tensor, block: int | None) -> int:
    """Rows and columns of a block."""
    check_pairs(a, b)
    if block is not None and block < 1:
        raise ParameterError("block", block, ">= 1, or None")
    return block or (_BLOCK if a.device.type == "cpu" else _BLOCK_OF_CARDS)

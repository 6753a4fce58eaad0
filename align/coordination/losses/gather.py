"""Embeddings of all processes in each of them, with gradients back to where they came from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

__all__ = ["gathered"]


def gathered(x: Tensor) -> Tensor:
    """Rows of all processes, in the order of their ranks; ``x`` itself where ``torch.distributed`` is not started.

    Every process then computes the loss of the whole batch, and its rows get the sum of all processes' gradients:
    averaged over processes, as data-parallel training does, parameters get the gradient of the whole batch.

    Args:
        x: (n, ...) floating; n may differ between processes, also 0, the rest may not.

    Returns:
        (sum of n, ...) on x's device. Every process must call it, and go back through it, the same number of times.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return x
    counts, learning = _asked(x)
    if learning and not x.requires_grad:  # no rows here, but others wait for this process on the way back
        x = x.detach().requires_grad_()
    together: Tensor = _Gathered.apply(x, counts)  # type: ignore[no-untyped-call]
    return together


class _Gathered(torch.autograd.Function):
    """There: rows padded to the most that a process has, since all must send equally many. Back: a sum, then a cut."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: list[int]) -> Tensor:
        padded = x.new_zeros((max(counts), *x.shape[1:]))
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(parts, padded)
        before = sum(counts[: distributed.get_rank()])
        ctx.rows = slice(before, before + len(x))
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        total = upstream.contiguous().clone()
        distributed.all_reduce(total)
        return total[ctx.rows], None


def _asked(x: Tensor) -> tuple[list[int], bool]:
    """Rows of every process, and whether any of them wants gradients of its own."""
    wanted = torch.is_grad_enabled() and x.requires_grad
    own = torch.tensor([len(x), wanted], dtype=torch.int64, device=x.device)
    found = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(found, own)
    counts, asking = torch.stack(found).T.tolist()
    return counts, any(asking)

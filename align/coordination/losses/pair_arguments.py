"""What the losses of large batches are given: checked, and brought to one form."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from align.coordination.losses.same_pairs import SamePairs
from align.errors import ParameterError

__all__ = ["check_pairs", "refuse_second_derivative", "right_odds", "scalar_beside", "scaled"]

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_RAREST = 1e-6  # share of pairs that mean the same, at the least


def check_pairs(a: Tensor, b: Tensor) -> None:
    """Refuse embeddings that are not (n, d) of one floating dtype on one device."""
    if a.ndim != 2 or a.shape != b.shape or not len(a):
        raise ParameterError("a and b", f"{tuple(a.shape)} and {tuple(b.shape)}", "both (n, d), n >= 1")
    if a.dtype not in _DTYPES or a.dtype != b.dtype or a.device != b.device:
        found = f"{a.dtype} on {a.device}, {b.dtype} on {b.device}"
        raise ParameterError("a and b", found, "one floating dtype on one device")


def scalar_beside(name: str, value: Tensor | float, like: Tensor) -> Tensor:
    """A () tensor on the embeddings' device, in the dtype in which sums are made unless it has its own."""
    if isinstance(value, Tensor):
        if value.numel() != 1 or not value.is_floating_point():
            raise ParameterError(name, f"{value.dtype} {tuple(value.shape)}", "one floating number")
        return value.to(like.device).reshape(())
    if not math.isfinite(value):
        raise ParameterError(name, value, "a finite number")
    return torch.tensor(value, dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)


def right_odds(same: SamePairs, block: int) -> float:
    """Log odds of a pair's meaning the same, among all of the batch."""
    right = sum(int(part.same.sum()) for part in same.blocks(block, near=True) if part.same is not None)
    share = min(max(right / len(same.groups) ** 2, _RAREST), 1.0 - _RAREST)
    return math.log(share / (1.0 - share))


def scaled(
    found: Iterable[Tensor | None], upstream: Tensor, dtypes: Iterable[torch.dtype]
) -> list[Tensor | None]:
    """Gradients times what comes from above, in the dtypes of their inputs."""
    return [g if g is None else (g * upstream).to(d) for g, d in zip(found, dtypes, strict=True)]


def refuse_second_derivative() -> None:
    """Within a backward pass gradients are on only to build a graph of it, in which this would be a constant."""
    if torch.is_grad_enabled():
        raise ParameterError("create_graph", True, "False: the losses in blocks have no second derivative")

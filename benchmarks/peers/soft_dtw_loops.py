"""Soft-DTW as the public CUDA ports have it, on the CPU: numba loops, a pair at a time, diagonal by diagonal.

Written from the paper (Cuturi & Blondel, Soft-DTW, ICML 2017: equation 1 and algorithms 1 and 2): local costs by
torch, one table of totals a pair, and the gradient in a second pass over the same diagonals, as those ports do.
Needs torch, so it runs under align's interpreter.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit

__all__ = ["soft_dtw"]

Array = np.ndarray[Any, Any]


@njit
def totals_of(cost: Array, gamma: float) -> Array:
    """(batch, n + 2, m + 2) soft totals, a border of infinities around them."""
    batch, n, m = cost.shape
    totals = np.full((batch, n + 2, m + 2), np.inf)
    for b in range(batch):
        totals[b, 0, 0] = 0.0
        for diagonal in range(n + m - 1):
            for i in range(max(1, diagonal - m + 2), min(n, diagonal + 1) + 1):
                j = diagonal - i + 2
                r0 = -totals[b, i - 1, j - 1] / gamma
                r1 = -totals[b, i - 1, j] / gamma
                r2 = -totals[b, i, j - 1] / gamma
                top = max(r0, r1, r2)
                odds = math.exp(r0 - top) + math.exp(r1 - top) + math.exp(r2 - top)
                totals[b, i, j] = cost[b, i - 1, j - 1] - gamma * (math.log(odds) + top)
    return totals


@njit
def gradient_of(cost: Array, totals: Array, gamma: float) -> Array:
    """(batch, n, m) derivative of each pair's soft total by its local costs."""
    batch, n, m = cost.shape
    local = np.zeros((batch, n + 2, m + 2))
    local[:, 1 : n + 1, 1 : m + 1] = cost
    share = np.zeros((batch, n + 2, m + 2))
    for b in range(batch):
        for i in range(1, n + 1):
            totals[b, i, m + 1] = -np.inf
        for j in range(1, m + 1):
            totals[b, n + 1, j] = -np.inf
        totals[b, n + 1, m + 1] = totals[b, n, m]
        share[b, n + 1, m + 1] = 1.0
        for diagonal in range(n + m - 2, -1, -1):
            for i in range(max(1, diagonal - m + 2), min(n, diagonal + 1) + 1):
                j = diagonal - i + 2
                here = totals[b, i, j]
                down = math.exp((totals[b, i + 1, j] - here - local[b, i + 1, j]) / gamma)
                right = math.exp((totals[b, i, j + 1] - here - local[b, i, j + 1]) / gamma)
                both = math.exp((totals[b, i + 1, j + 1] - here - local[b, i + 1, j + 1]) / gamma)
                share[b, i, j] = (
                    down * share[b, i + 1, j] + right * share[b, i, j + 1] + both * share[b, i + 1, j + 1]
                )
    return share[:, 1 : n + 1, 1 : m + 1]


class _SoftTotal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cost: torch.Tensor, gamma: float) -> torch.Tensor:
        totals = totals_of(cost.detach().numpy().astype(np.float64), gamma)
        ctx.gamma = gamma
        ctx.save_for_backward(cost, torch.from_numpy(totals))
        return torch.from_numpy(np.ascontiguousarray(totals[:, -2, -2])).to(cost.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
        cost, totals = ctx.saved_tensors
        local = cost.detach().numpy().astype(np.float64)
        share = torch.from_numpy(gradient_of(local, totals.numpy().copy(), ctx.gamma)).to(cost.dtype)
        return upstream[0][:, None, None] * share, None


def soft_dtw(a: torch.Tensor, b: torch.Tensor, gamma: float = 1.0) -> torch.Tensor:
    """(batch,) soft-DTW of ``a`` (batch, n, d) and ``b`` (batch, m, d) under squared Euclidean local costs."""
    cost = (a[:, :, None, :] - b[:, None, :, :]).pow(2).sum(dim=3)
    total: torch.Tensor = _SoftTotal.apply(cost, gamma)  # type: ignore[no-untyped-call]
    return total

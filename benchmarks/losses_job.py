"""A job of ``benchmarks.losses``: a contrastive loss and its gradients, ours or as torch's own operations write it.

A *job* names its ``task`` (nce, siglip), the ``side`` (align; eager; eager, masked), ``batch``, ``dimension``,
``scale`` and the file for the ``result``; its answer is one line of JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measure import Job, answer, timed, work_mb

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BIAS", "embeddings", "loss_of", "work"]

SMALL = 64  # pairs of the call that loads all code before memory is weighed
BIAS = -10.0


def loss_of(task: str, side: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """``loss(a, b, scale)`` of paired embeddings."""
    import torch
    from torch.nn import functional as F

    from align.coordination.losses.chunked import chunked_nce, chunked_siglip
    from align.coordination.losses.table import symmetric_nce

    def cross_entropies(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
        logits, own = scale * (a @ b.T), torch.arange(len(a), device=a.device)
        return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))

    def sigmoids(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
        signs = 2.0 * torch.eye(len(a), device=a.device, dtype=a.dtype) - 1.0
        return -F.logsigmoid(signs * (scale * (a @ b.T) + BIAS)).sum() / len(a)

    def masked(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
        return symmetric_nce(a, b, torch.eye(len(a), dtype=torch.bool), scale)

    losses = {
        ("nce", "align"): chunked_nce,
        ("nce", "eager"): cross_entropies,
        ("nce", "eager, masked"): masked,
        ("siglip", "align"): lambda a, b, scale: chunked_siglip(a, b, scale, BIAS),
        ("siglip", "eager"): sigmoids,
    }
    return losses[task, side]


def work(job: Job) -> Job:
    """Time there and back; with ``job["memory"]`` instead weigh what a warm call holds at most, MiB."""
    import torch

    torch.set_num_threads(job["threads"])
    loss = loss_of(job["task"], job["side"])

    def call(n: int) -> Callable[[], list[Tensor]]:
        inputs = embeddings(n, job["dimension"], job["scale"])
        return lambda: [*torch.autograd.grad(loss(*inputs), inputs)]

    if job.get("memory"):
        return {"work_mb": work_mb(call(SMALL), call(job["batch"]))}
    found, gradients = timed(call(job["batch"]), job)
    np.savez(job["result"], *(g.numpy() for g in gradients))
    return found


def embeddings(n: int, d: int, scale: float) -> list[Tensor]:
    """Pairs that agree somewhat, of unit norm, and the inverse temperature; all want gradients."""
    import torch
    from torch.nn import functional as F

    generator = torch.Generator().manual_seed(7)
    a, noise = (torch.randn(n, d, generator=generator) for _ in range(2))
    sides = [F.normalize(x, dim=1) for x in (a, 0.3 * a + noise)]
    return [x.requires_grad_() for x in (*sides, torch.tensor(scale))]


if __name__ == "__main__":
    answer(work, ("numpy", "numba", "torch"))

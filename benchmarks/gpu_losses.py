"""Contrastive losses of a large batch on a CUDA card (goals.md L2): ``python -m benchmarks.gpu_losses``.

Needs a card and torch built for CUDA, which brings Triton; says so otherwise. Times are medians on the card's own
clock, compilation and first touch left out. Peers: the loss as one writes it in torch, and that compiled by
``torch.compile``. Gradients are compared with eager's in float64 on a smaller batch in the same run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.gpu_warping import milliseconds_of
from benchmarks.losses_job import BIAS, loss_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["difference", "gradients", "main", "ways"]

Loss = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
SMALL = 2048  # pairs whose gradients are compared


def main(arguments: list[str] | None = None) -> int:
    """Print a line per loss and way of computing it, or one that says what is missing; returns the exit code."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=65_536)
    parser.add_argument("--dimension", type=int, default=512)
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(f"no CUDA card: torch sees {torch.cuda.device_count()}")
        return 0
    print(f"card: {torch.cuda.get_device_name()}; torch {torch.__version__}; CUDA {torch.version.cuda}")
    for task in ("nce", "siglip"):
        for name, loss in ways(task).items():
            off = difference(
                loss, loss_of(task, "eager"), min(SMALL, options.batch), options.dimension, "cuda"
            )
            print(f"{task}, {name}, {options.batch} x {options.dimension} bf16: ", end="", flush=True)
            try:
                print(f"{_measured(loss, options.batch, options.dimension)}, gradients off by {off:.1e}")
            except torch.OutOfMemoryError:
                print("out of memory")
    return 0


def ways(task: str) -> dict[str, Loss]:
    """Name -> loss: ours fused, ours in blocks, eager, compiled."""
    import torch

    from align.coordination.losses.triton_nce import fused_nce, fused_siglip

    eager = loss_of(task, "eager")
    fused: Loss = fused_nce if task == "nce" else lambda a, b, scale: fused_siglip(a, b, scale, BIAS)
    return {"align, fused": fused, "align, in blocks": loss_of(task, "align"), "eager": eager} | {
        "torch.compile": torch.compile(eager)
    }


def gradients(loss: Loss, inputs: list[Tensor]) -> list[Tensor]:
    """Of both embeddings and of the scale."""
    import torch

    return [*torch.autograd.grad(loss(*inputs), inputs)]


def difference(loss: Loss, eager: Loss, n: int, d: int, device: str) -> float:
    """Greatest relative difference of a gradient from eager's in float64, of the same bfloat16 embeddings."""
    inputs = _pairs(n, d, device)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    found, wanted = gradients(loss, inputs), gradients(eager, exact)
    return max(float((x.double() - y).norm() / y.norm()) for x, y in zip(found, wanted, strict=True))


def _pairs(n: int, d: int, device: str) -> list[Tensor]:
    import torch

    from benchmarks.losses_job import embeddings

    a, b, scale = embeddings(n, d, 1.0 / 0.07)
    halves = [x.detach().to(device, torch.bfloat16).requires_grad_() for x in (a, b)]
    return [*halves, scale.detach().to(device).requires_grad_()]


def _measured(loss: Loss, n: int, d: int) -> str:
    import torch

    inputs = _pairs(n, d, "cuda")
    took = milliseconds_of(lambda: gradients(loss, inputs), times=11)
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    gradients(loss, inputs)
    torch.cuda.synchronize()
    peak = (torch.cuda.max_memory_allocated() - held) / 2**20
    return f"{took:.1f} ms, {peak:.0f} MiB"


if __name__ == "__main__":
    sys.exit(main())

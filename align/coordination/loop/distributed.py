"""Several processes that train one network: ``torchrun`` starts them, each takes its share of every batch.

The gradient that all of them step along is that of the whole batch: shares are weighted by what they hold, and
spans are compared with the spans of all processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

__all__ = ["World", "joined"]


@dataclass(frozen=True, slots=True)
class World:
    """Who trains beside this process: ``rank`` in [0, ``size``); (0, 1) is alone."""

    rank: int = 0
    size: int = 1

    def weight(self, count: int) -> float:
        """What a mean over ``count`` things of this process counts, so that the mean over processes is that of all.

        Args:
            count: things here; all processes call this together.
        """
        if self.size == 1:
            return 1.0
        total = torch.tensor([float(count)], dtype=torch.float64, device=_device())
        dist.all_reduce(total)
        return self.size * count / max(1.0, float(total))

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """The mean of all processes' numbers, the same everywhere.

        Args:
            numbers: as many in every process.
        """
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64, device=_device())
        dist.all_reduce(total)
        return [float(x) / self.size for x in total]

    def gathered(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows of all processes, in the order of their ranks; gradients find their way back.

        Args:
            rows: (n, ...), n may differ between processes, 0 included.
        """
        if self.size == 1:
            return rows
        from align.coordination.losses.gather import gathered

        return gathered(rows)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of all processes' gradients; a parameter without one counts as zeros.

        Args:
            parameters: the same ones in the same order everywhere.
        """
        if self.size == 1:
            return
        every = list(parameters)
        for p in every:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        flat = torch.cat([p.grad.reshape(-1) for p in every if p.grad is not None])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for p in every:
            p.grad = flat[start : start + p.numel()].reshape(p.shape)
            start += p.numel()


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The processes that a launcher (``torchrun``) started beside this one; alone without a launcher.

    NCCL connects CUDA devices, gloo processors. A process group that is there already is used and left alone.

    Args:
        device: of this process.
    """
    if dist.is_available() and dist.is_initialized():
        yield World(dist.get_rank(), dist.get_world_size())
        return
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1 or "RANK" not in os.environ:
        yield World()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def _device() -> torch.device:
    """Where the process group can read: NCCL only on this process's card."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")

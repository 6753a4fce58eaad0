"""Soft-DTW and batched DTW on a CUDA card (goals.md W9 and W10): ``python -m benchmarks.gpu_warping``.

Needs a card, torch built for CUDA and numba's CUDA target (``pip install "numba-cuda[cu13]"``); says so otherwise.
Times are medians on the card's own clock, compilation and first touch left out; answers are compared with the
CPU's in the same run.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["main"]

PUBLISHED_MS = 20.0  # the faster of the two public CUDA ports at W9 (goals.md)
OPERATIONS = 5  # per cell and channel at the least: a difference, a product added, two minima, a sum


def main() -> int:
    """Print W9 and W10, or one line that says what is missing; returns the exit code."""
    import torch

    from align.kernels.cuda_dtw import card_name, has_card

    if not torch.cuda.is_available() or not has_card():
        print(
            f"no CUDA card: torch sees {torch.cuda.device_count()}, numba {'one' if has_card() else 'none'}"
        )
        return 0
    print(f"card: {card_name()}; torch {torch.__version__}; CUDA {torch.version.cuda}")
    for dtype in (torch.float32, torch.float64):
        soft_dtw_there_and_back(dtype)
    for pairs, length in ((100_000, 128), (10_000, 512), (1_000, 2_048)):
        for dtype in (np.float32, np.float64):
            many_distances(pairs, length, dtype)
    return 0


def milliseconds_of(call: Callable[[], Any], times: int = 21) -> float:
    """Median of ``times`` calls by events on torch's stream, after three that do not count."""
    import torch

    found = []
    for k in range(times + 3):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        if k >= 3:
            found.append(begin.elapsed_time(end))
    return statistics.median(found)


def soft_dtw_there_and_back(dtype: Any) -> None:
    """W9: loss and both gradients of 32 pairs of 512 rows in 64 dimensions."""
    import torch

    from align.warping.soft import soft_dtw

    generator = torch.Generator().manual_seed(1)
    series = [torch.randn(32, 512, 64, generator=generator, dtype=dtype) / 8.0 for _ in range(2)]
    x, y = (s.cuda().requires_grad_() for s in series)

    def call() -> tuple[Any, ...]:
        losses = soft_dtw(x, y)
        return losses.detach(), *torch.autograd.grad(losses.sum(), (x, y))

    took = milliseconds_of(call)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    found = call()
    peak = (torch.cuda.max_memory_allocated() - held) / 2**20
    few = [s[:2].clone().requires_grad_() for s in series]
    losses = soft_dtw(*few)
    wanted = (losses.detach(), *torch.autograd.grad(losses.sum(), few))
    off = max(float((f[:2].cpu() - w).abs().max()) for f, w in zip(found, wanted, strict=True))
    print(
        f"W9  soft-DTW there and back, 32 x 512 x 512 x 64, {str(dtype).removeprefix('torch.')}: {took:.2f} ms, "
        f"{PUBLISHED_MS / took:.1f}x the public ports' {PUBLISHED_MS:g} ms (another card), "
        f"{peak:.0f} MiB; largest difference from the CPU {off:.1e}"
    )


def many_distances(pairs: int, length: int, dtype: Any) -> None:
    """W10: DTW distances of many pairs, on the card alone and with what it takes to get there."""
    from numba import cuda

    from align.kernels.cuda_dtw import MOST_THREADS, ROWS, totals_kernel
    from align.warping.batched import dtw_batch

    generator = np.random.default_rng(2)
    a, b = (generator.standard_normal((pairs, 1, length)).astype(dtype) for _ in range(2))
    threads = min(MOST_THREADS, 32 * -(-length // (32 * ROWS)))
    sizes = cuda.to_device(np.full((pairs, 2), length))
    on_card = [cuda.to_device(values) for values in (a, b)]
    edge, totals = cuda.device_array((pairs, length), dtype), cuda.device_array(pairs, dtype)
    alone = milliseconds_of(lambda: totals_kernel(dtype)[pairs, threads](*on_card, sizes, edge, totals))
    begin = time.perf_counter()
    distances = dtw_batch(a[:, 0], b[:, 0], device="cuda", dtype=dtype)
    whole = 1e3 * (time.perf_counter() - begin)
    some = min(pairs, 200)
    begin = time.process_time()
    wanted = dtw_batch(a[:some, 0], b[:some, 0], device="cpu", dtype=dtype)
    cpu = 1e3 * (time.process_time() - begin) * pairs / some
    off = float(np.abs(distances[:some] / wanted - 1.0).max())
    cells = pairs * length * length
    rate = cells / alone * 1e3
    print(
        f"W10 DTW of {pairs} pairs of {length}, {np.dtype(dtype).name}: {rate / 1e9:.0f} G cells/s on the card"
        f"{_share(rate, dtype)}, {cells / whole / 1e6:.0f} with the way there; one CPU thread "
        f"{cells / cpu / 1e6:.1f}; largest relative difference {off:.1e}"
    )


def _share(rate: float, dtype: Any) -> str:
    """The rate as a share of what the card's float32 lanes could do with OPERATIONS per cell."""
    from numba import cuda

    card = cuda.gpus[0]
    clock, processors = getattr(card, "CLOCK_RATE", 0), getattr(card, "MULTIPROCESSOR_COUNT", 0)
    if not clock or not processors or dtype != np.float32:
        return ""
    floor = processors * 128 * clock * 1e3 / OPERATIONS
    return f" ({rate / floor:.0%} of {processors} x 128 lanes at {clock / 1e6:.2f} GHz, {OPERATIONS} operations a cell)"


if __name__ == "__main__":
    sys.exit(main())

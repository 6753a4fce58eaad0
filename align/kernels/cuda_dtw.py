"""DTW of many pairs on a CUDA card: a block of threads per pair, walking along anti-diagonals.

A thread owns ``ROWS`` rows; at step k thread t visits column k - t of all of them. Their values stay in
registers; the last row's goes to the next thread through one of two lines of shared memory, one barrier a step
(nothing to wait for in a block of one warp). A longer side is cut into strips; ``edge`` carries the last row of one to
the next.

This file is imported only once a card is asked for; each type compiles its kernel when first used. With
``NUMBA_ENABLE_CUDASIM=1`` it runs as Python, which is how it is tested where there is no card.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import cuda

__all__ = ["MOST_THREADS", "ROWS", "card_name", "has_card", "pair_totals_on_card", "totals_kernel"]

MOST_THREADS = 256
ROWS = 4  # of a thread: the kernel spells them out

_BUILT: dict[Any, Any] = {}


def has_card(number: int = 0) -> bool:
    """Whether numba sees CUDA card ``number`` and a driver."""
    return bool(cuda.is_available()) and number < len(cuda.gpus)


def card_name(number: int = 0) -> str:
    """The name that card ``number`` gives itself."""
    name = getattr(cuda.gpus[number], "name", "the simulator")
    return name.decode() if isinstance(name, bytes) else str(name)


def totals_kernel(real: Any) -> Any:
    """The kernel for ``real``, np.float32 or np.float64: ``kernel[pairs, threads](a, b, sizes, edge, totals)``.

    Built once. a (pairs, d, n), b (pairs, d, m), sizes (pairs, 2), edge (pairs, m) scratch, totals (pairs,) filled
    with the least sum of squares along a warping path.
    """

    if real not in _BUILT:
        _BUILT[real] = _build(real)
    return _BUILT[real]


def _build(real: Any) -> Any:
    @cuda.jit
    def totals_of(a, b, sizes, edge, totals):  # type: ignore[no-untyped-def]
        line = cuda.shared.array((2, MOST_THREADS), real)
        pair, t, threads = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
        n, m = sizes[pair, 0], sizes[pair, 1]
        endless = real(math.inf)
        height = ROWS * threads
        for strip in range((n + height - 1) // height):
            i = strip * height + ROWS * t
            i0, i1, i2, i3 = min(i, n - 1), min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
            x0, x1, x2, x3 = a[pair, 0, i0], a[pair, 0, i1], a[pair, 0, i2], a[pair, 0, i3]
            left0 = left1 = left2 = left3 = corner = endless
            if i == 0:
                corner = real(0.0)  # every path begins before (0, 0)
            for k in range(m + threads - 1):
                j = k - t
                if i < n and 0 <= j < m:
                    y = b[pair, 0, j]
                    c0, c1, c2, c3 = (
                        (x0 - y) * (x0 - y),
                        (x1 - y) * (x1 - y),
                        (x2 - y) * (x2 - y),
                        (x3 - y) * (x3 - y),
                    )
                    for channel in range(1, a.shape[1]):
                        y = b[pair, channel, j]
                        d0, d1 = a[pair, channel, i0] - y, a[pair, channel, i1] - y
                        d2, d3 = a[pair, channel, i2] - y, a[pair, channel, i3] - y
                        c0 += d0 * d0
                        c1 += d1 * d1
                        c2 += d2 * d2
                        c3 += d3 * d3
                    up = endless
                    if t > 0:
                        up = line[(k + 1) & 1, t - 1]
                    elif strip > 0:
                        up = edge[pair, j]
                    new0 = c0 + min(min(corner, up), left0)
                    new1 = c1 + min(min(left0, new0), left1)
                    new2 = c2 + min(min(left1, new1), left2)
                    left3 = c3 + min(min(left2, new2), left3)
                    corner, left0, left1, left2 = up, new0, new1, new2
                    line[k & 1, t] = left3
                    if t == threads - 1:
                        edge[pair, j] = left3
                cuda.syncthreads()
            if i < n <= i + ROWS:
                last = n - 1 - i
                totals[pair] = left0 if last == 0 else left1 if last == 1 else left2 if last == 2 else left3

    return totals_of


def pair_totals_on_card(
    a: npt.NDArray[Any], b: npt.NDArray[Any], sizes: npt.NDArray[np.int64], number: int
) -> npt.NDArray[Any]:
    """The DTW totals of many pairs on card ``number``.

    Args:
        a: (pairs, d, n) float32 or float64, C-contiguous; of pair k the first ``sizes[k, 0]`` columns count.
        b: (pairs, d, m), likewise; give the shorter side as ``a``.
        sizes: (pairs, 2), at least 1.
        number: of the card.

    Returns:
        (pairs,) least sums of squares along a warping path, in the dtype of a.
    """
    threads = min(MOST_THREADS, 32 * -(-a.shape[2] // (32 * ROWS)))
    with cuda.gpus[number]:
        totals = cuda.device_array(len(a), a.dtype)
        edge = cuda.device_array((len(a), b.shape[2]), a.dtype)
        kernel = totals_kernel(np.float32 if a.dtype == np.float32 else np.float64)
        kernel[len(a), threads](cuda.to_device(a), cuda.to_device(b), cuda.to_device(sizes), edge, totals)
        return np.asarray(totals.copy_to_host())

"""Soft-DTW on a CUDA card: the recursions of ``soft_dtw`` with a block of threads per pair.

A thread owns a row of a strip; at step k thread t visits column k - t, so that the block walks along anti-diagonals.
What a thread needs from its own row it keeps in registers, what it needs from the row above it finds where its
neighbour put it one step before: two lines of shared memory in turn, one barrier a step. A longer side is cut into
strips of ``height`` rows (the threads of a block); ``edge`` carries the last row of one to the next.

``local``, ``lefts`` (batch, strips, steps, height) are laid out as they are visited, so that neighbouring threads touch
neighbouring numbers. Mantissas have the type ``real`` of the data; exponents are float64, as on the CPU.

This file is imported only once a card is asked for; each type compiles its kernels when first used. With
``NUMBA_ENABLE_CUDASIM=1`` they run as Python, which is how they are tested where there is no card.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

__all__ = ["MOST_THREADS", "SoftKernels", "external_stream", "soft_kernels"]

MOST_THREADS = 1024
RENEW = 16  # steps until mantissas return to [0.5, 1): each multiplies them by 2^-0.5 to 2^2.1
OUTSIDE = -1e200  # exponent of what is not in the matrix
LEAST = -1100.0  # 2^LEAST is 0 in every type


class SoftKernels(NamedTuple):
    """Kernels of one type: ``kernel[grid, threads, stream](...)``.

    ``local_series``, ``local_costs`` fill ``local`` with log2 of exp(-cost / gamma); ``there`` turns it into shares and
    gives each pair's log2 of the sum over paths; ``back`` turns shares into expected alignments.
    """

    local_series: Any
    local_costs: Any
    there: Any
    back: Any


def external_stream(pointer: int) -> Any:
    """Another library's stream as numba's; ``pointer`` is its address, 0 for the default stream."""
    return cuda.external_stream(pointer) if pointer else 0


_BUILT: dict[Any, SoftKernels] = {}


def soft_kernels(real: Any) -> SoftKernels:
    """The kernels for ``real``, np.float32 or np.float64; built once."""
    if real not in _BUILT:
        _BUILT[real] = _build(real)
    return _BUILT[real]


def _build(real: Any) -> SoftKernels:

    @cuda.jit
    def local_series(x, y, sizes, scale, local):  # type: ignore[no-untyped-def]
        """x (batch, d, n), y (batch, d, m): four steps of a row per thread, so that its x is read once."""
        pair, strip, t = cuda.blockIdx.z, cuda.blockIdx.y, cuda.threadIdx.x
        n, m = sizes[pair, 0], sizes[pair, 1]
        i = strip * local.shape[3] + t
        k = 4 * cuda.blockIdx.x
        j = k - t
        if i >= n or j + 3 < 0 or j >= m:
            return
        j0, j1 = min(max(j, 0), m - 1), min(max(j + 1, 0), m - 1)
        j2, j3 = min(max(j + 2, 0), m - 1), min(max(j + 3, 0), m - 1)
        s0 = s1 = s2 = s3 = real(0.0)
        for channel in range(x.shape[1]):
            here = x[pair, channel, i]
            d0, d1 = here - y[pair, channel, j0], here - y[pair, channel, j1]
            d2, d3 = here - y[pair, channel, j2], here - y[pair, channel, j3]
            s0 += d0 * d0
            s1 += d1 * d1
            s2 += d2 * d2
            s3 += d3 * d3
        factor = real(scale)
        if j >= 0:
            local[pair, strip, k, t] = factor * s0
        if 0 <= j + 1 < m:
            local[pair, strip, k + 1, t] = factor * s1
        if 0 <= j + 2 < m:
            local[pair, strip, k + 2, t] = factor * s2
        if j + 3 < m:
            local[pair, strip, k + 3, t] = factor * s3

    @cuda.jit
    def local_costs(costs, sizes, scale, local):  # type: ignore[no-untyped-def]
        """costs (batch, n, m): one step of a row per thread."""
        pair, strip, k, t = cuda.blockIdx.z, cuda.blockIdx.y, cuda.blockIdx.x, cuda.threadIdx.x
        i = strip * local.shape[3] + t
        j = k - t
        if i < sizes[pair, 0] and 0 <= j < sizes[pair, 1]:
            local[pair, strip, k, t] = real(scale) * costs[pair, i, j]

    @cuda.jit
    def there(local, lefts, sizes, edge, sums):  # type: ignore[no-untyped-def]
        """``local`` becomes the upper neighbours' shares, ``lefts`` the left ones'; edge (batch, 2, m) float64."""
        mantissas = cuda.shared.array((2, MOST_THREADS), real)
        exponents = cuda.shared.array((2, MOST_THREADS), np.float64)
        pair, t = cuda.blockIdx.x, cuda.threadIdx.x
        n, m, height = sizes[pair, 0], sizes[pair, 1], local.shape[3]
        for strip in range((n + height - 1) // height):
            i = strip * height + t
            left = corner = real(1.0)
            left_exponent = corner_exponent = OUTSIDE
            if i == 0:
                corner_exponent = 0.0  # every path begins before (0, 0)
            for k in range(m + height - 1):
                j = k - t
                if i < n and 0 <= j < m:
                    up, up_exponent = real(1.0), OUTSIDE
                    if t > 0:
                        up = mantissas[(k + 1) & 1, t - 1]
                        up_exponent = exponents[(k + 1) & 1, t - 1]
                    elif strip > 0:
                        up = real(edge[pair, 0, j])
                        up_exponent = edge[pair, 1, j]
                    top = max(max(up_exponent, left_exponent), corner_exponent)
                    from_up = real(math.ldexp(up, int(max(up_exponent - top, LEAST))))
                    from_left = real(math.ldexp(left, int(max(left_exponent - top, LEAST))))
                    from_corner = real(math.ldexp(corner, int(max(corner_exponent - top, LEAST))))
                    total = from_up + from_left + from_corner
                    share = real(1.0) / total
                    log_local = local[pair, strip, k, t]
                    local[pair, strip, k, t] = from_up * share
                    lefts[pair, strip, k, t] = from_left * share
                    corner, corner_exponent = up, up_exponent
                    whole = math.floor(log_local)
                    left = total * real(math.exp(real(log_local - whole) * real(0.6931471805599453)))
                    left_exponent = top + whole
                    if k % RENEW == RENEW - 1:
                        fraction, exponent = math.frexp(left)
                        left = real(fraction)
                        left_exponent += exponent
                    mantissas[k & 1, t] = left
                    exponents[k & 1, t] = left_exponent
                    if t == height - 1:
                        edge[pair, 0, j] = left
                        edge[pair, 1, j] = left_exponent
                cuda.syncthreads()
            if i == n - 1:
                sums[pair] = left_exponent + math.log(float(left)) / 0.6931471805599453

    @cuda.jit
    def back(uppers, lefts, sizes, edge, expected):  # type: ignore[no-untyped-def]
        """Expected alignments (batch, n, m) from the shares; ``edge`` now carries flows to the strip before."""
        upward = cuda.shared.array((2, MOST_THREADS), real)
        cornerward = cuda.shared.array((2, MOST_THREADS), real)
        pair, t = cuda.blockIdx.x, cuda.threadIdx.x
        n, m, height = sizes[pair, 0], sizes[pair, 1], uppers.shape[3]
        n_strips = (n + height - 1) // height
        for s in range(n_strips):
            strip = n_strips - 1 - s
            i = strip * height + t
            from_right = from_corner = real(0.0)
            for back_k in range(m + height - 1):
                k = m + height - 2 - back_k
                j = k - t
                if i < n and 0 <= j < m:
                    from_below = next_corner = real(0.0)
                    if i == n - 1:
                        if j == m - 1:
                            from_below = real(1.0)  # every path ends here
                    elif t == height - 1:
                        from_below = real(edge[pair, 0, j])
                        next_corner = real(edge[pair, 1, j])
                    else:
                        from_below = upward[(k + 1) & 1, t + 1]
                        next_corner = cornerward[(k + 1) & 1, t + 1]
                    here = from_below + from_right + from_corner
                    up = here * uppers[pair, strip, k, t]
                    from_right = here * lefts[pair, strip, k, t]
                    corner = here - up - from_right
                    from_corner = next_corner
                    expected[pair, i, j] = here
                    upward[k & 1, t] = up
                    cornerward[k & 1, t] = corner
                    if t == 0:
                        edge[pair, 0, j] = up
                        edge[pair, 1, j] = corner
                cuda.syncthreads()

    return SoftKernels(local_series, local_costs, there, back)

"""The signals of the segmentation benchmarks, by name; each float32, so that both sides read the same numbers.

``S:n:d`` is goals.md's S(n): ``ruptures.pw_constant(n, d, n // 500 - 1, noise_std=1, delta=(1, 10), seed=0)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["STRESS", "signal"]

Array = np.ndarray[Any, Any]


def signal(name: str) -> Array:
    """(n, d) float32 of ``KIND:n`` or ``KIND:n:d``, as "S:50000", "noise:1000000:8" or "ramp 20:50000"."""
    kind, *sizes = name.split(":")
    n, d = (int(sizes[0]), int(sizes[1]) if len(sizes) > 1 else 1)
    return np.ascontiguousarray(KINDS[kind](n, d), np.float32)


def piecewise(n: int, d: int) -> Array:
    """S(n): a change about every 500 samples, steps of 1 to 10, unit noise."""
    import ruptures

    return np.asarray(ruptures.pw_constant(n, d, n // 500 - 1, noise_std=1, delta=(1, 10), seed=0)[0])


def noise(n: int, d: int) -> Array:
    """Standard normal, seed 0."""
    return np.random.default_rng(0).standard_normal((n, d), dtype=np.float32)


def levels(every: int, height: float) -> Callable[[int, int], Array]:
    """Noise whose level is 0 and ``height`` in turn, ``every`` samples each."""

    def make(n: int, d: int) -> Array:
        return noise(n, d) + np.float32(height) * (np.arange(n) // every % 2).astype(np.float32)[:, None]

    return make


def one_change(n: int, d: int) -> Array:
    """Noise with one step of 1 in the middle."""
    return noise(n, d) + (np.arange(n) >= n // 2).astype(np.float32)[:, None]


def drift(height: float) -> Callable[[int, int], Array]:
    """Noise on a straight line from 0 to ``height``."""
    return lambda n, d: noise(n, d) + np.linspace(0, height, n)[:, None]


def sine(n: int, d: int) -> Array:
    """Noise on a sine of 10 periods, amplitude 3."""
    return noise(n, d) + 3 * np.sin(np.linspace(0, 20 * np.pi, n))[:, None]


def autoregressive(n: int, d: int) -> Array:
    """x[t] = 0.9 x[t - 1] + noise."""
    out = noise(n, d).astype(np.float64)
    for t in range(1, n):
        out[t] += 0.9 * out[t - 1]
    return out


def random_walk(n: int, d: int) -> Array:
    """Sums of noise."""
    return noise(n, d).cumsum(axis=0, dtype=np.float64) * 0.1


def heavy_tails(n: int, d: int) -> Array:
    """Student's t with 2 degrees of freedom."""
    return np.random.default_rng(0).standard_t(2, (n, d))


def integers(n: int, d: int) -> Array:
    """S(n) rounded: many ties."""
    return np.round(piecewise(n, d))


def spikes(n: int, d: int) -> Array:
    """Noise in which one sample in 500 is 30 higher."""
    out = noise(n, d)
    out[np.random.default_rng(1).random(n) < 0.002] += 30
    return out


def weak(n: int, d: int) -> Array:
    """Five steps of 0.3."""
    return noise(n, d) + 0.3 * (np.arange(n) * 6 // n % 2)[:, None]


def flat(n: int, d: int) -> Array:
    """All samples 1."""
    return np.ones((n, d))


def offset(n: int, d: int) -> Array:
    """S(n) on an offset of 10,000."""
    return piecewise(n, d) + 10_000


def loudness(n: int, d: int) -> Array:
    """Noise whose deviation is 1 and 3 in turn, 1,000 samples each."""
    return noise(n, d) * (1 + 2 * (np.arange(n) // 1000 % 2))[:, None]


STRESS: dict[str, Callable[[int, int], Array]] = {
    "every 50": levels(50, 3.0),
    "every 20": levels(20, 5.0),
    "sine": sine,
    "ramp 20": drift(20.0),
    "ramp 0.2": drift(0.2),
    "AR 0.9": autoregressive,
    "random walk": random_walk,
    "t2": heavy_tails,
    "integers": integers,
    "spikes": spikes,
    "flat": flat,
    "weak": weak,
    "offset": offset,
    "loudness": loudness,
}
KINDS: dict[str, Callable[[int, int], Array]] = STRESS | {
    "S": piecewise,
    "noise": noise,
    "one": one_change,
    "every 1000": levels(1000, 1.0),
    "every 500": levels(500, 3.0),
}

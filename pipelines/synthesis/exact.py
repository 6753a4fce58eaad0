"""Signals in arithmetic that gives the same bits on every machine.

IEEE 754 fixes the result of ``+ - * /`` and the square root, but not of sine, exponential, sums in blocks or
matrix products: those differ in the last bit between processors, and after rounding a file could differ.
Everything here uses only the former, element by element or in order, so that ``sample_data`` can promise the
same bytes. Randomness is numpy's PCG64 through ``random`` and ``integers``, which are exact as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "decay", "drift", "noise", "normal", "resonate", "sine", "smooth_step", "stream"]

Floats = npt.NDArray[np.float64]

PI = 3.141592653589793
# Taylor coefficients of the sine: (-1)^k / (2k + 1)!, highest first; on [-pi/2, pi/2] the error is below 1e-9
_SINE = (1 / 6227020800, -1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1.0)


def stream(seed: int, *path: int) -> np.random.Generator:
    """A random generator of its own for each purpose: adding one purpose never changes another."""
    return np.random.Generator(np.random.PCG64([seed, *path]))


def sine(cycles: npt.ArrayLike) -> Floats:
    """``sin(2 pi cycles)`` to 1e-9, element by element.

    >>> sine([0.0, 0.25, 0.5, 0.75]).round(6).tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    x = np.asarray(cycles, dtype=np.float64)
    x = x - np.floor(x + 0.5)
    half = np.where(x < 0, -0.5, 0.5)
    x = np.where(np.abs(x) > 0.25, half - x, x) * (2 * PI)
    square = x * x
    total = np.full_like(x, _SINE[0])
    for coefficient in _SINE[1:]:
        total = total * square + coefficient
    return total * x


def noise(rng: np.random.Generator, n: int) -> Floats:
    """(n,) white noise of mean 0 and variance 1: the sum of three uniform numbers, so within +-3."""
    return (rng.random(n) + rng.random(n) + rng.random(n) - 1.5) * 2.0


def normal(rng: np.random.Generator) -> float:
    """One such number."""
    return float(noise(rng, 1)[0])


def drift(rng: np.random.Generator, n: int, width: int) -> Floats:
    """(n,) slow noise of variance about 1: white noise averaged over ``width`` samples, twice."""
    padded = noise(rng, n + 2 * width)
    for _ in range(2):
        total = np.cumsum(padded)
        padded = (total[width:] - total[:-width]) / width
    # averaging over w leaves 1/w of the variance; a triangle of two such averages leaves about 2/(3w)
    return padded[:n] * math.sqrt(1.5 * width)


def smooth_step(x: npt.ArrayLike) -> Floats:
    """0 below 0, 1 above 1, ``3 x^2 - 2 x^3`` between."""
    ramp = np.clip(np.asarray(x, dtype=np.float64), 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def decay(n: int, samples: float) -> Floats:
    """(n,) exponential decay by 1/e in about ``samples`` samples, from 1."""
    steps = np.full(n, 1.0 - 1.0 / max(1.001, samples))
    steps[:1] = 1.0
    return np.cumprod(steps)


def resonate(
    signal: npt.ArrayLike,
    frequency: float | Sequence[float] | Floats,
    bandwidth: float,
    rate: float = 16_000.0,
) -> Floats:
    """Filter by one two-pole resonance (a formant): ``y[n] = b x[n] + 2 r cos(w) y[n-1] - r^2 y[n-2]``.

    Args:
        signal: (n,) input.
        frequency: centre in hertz, one number or one per sample.
        bandwidth: hertz.
        rate: samples per second.

    Returns:
        (n,) output, scaled so that the gain at the centre is about 1.
    """
    x = np.asarray(signal, dtype=np.float64)
    centre = np.broadcast_to(np.asarray(frequency, dtype=np.float64), x.shape)
    r = 1.0 - PI * bandwidth / rate
    first = 2.0 * r * sine(centre / rate + 0.25)
    gain = (1.0 - r) * 2.0 * np.abs(sine(centre / rate))
    back = r * r
    out = np.empty_like(x)
    y1 = y2 = 0.0
    # plain Python: a compiled loop may fuse the multiplication and the addition, which rounds differently
    for i, (driven, a) in enumerate(zip((x * gain).tolist(), first.tolist(), strict=True)):
        y1, y2 = driven + a * y1 - back * y2, y1
        out[i] = y1
    return out

"""The series of the warping benchmarks: z-normalised random walks, seeds 1 and 2, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SHAPES", "Shape", "walk", "walks"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shape:
    """``a`` and ``b`` series on the two sides, ``length`` samples each; ``alone``: one series, not a collection."""

    a: int
    b: int
    length: int
    alone: str = ""


SHAPES = {
    "pair of 5000": Shape(1, 1, 5_000, "ab"),
    "pair of 20000": Shape(1, 1, 20_000, "ab"),
    "200 x 200 of 128": Shape(200, 200, 128),
    "1 x 100000 of 128": Shape(1, 100_000, 128, "a"),
    "32 pairs of 128": Shape(32, 32, 128),
    "500 of 128, 8 centres": Shape(500, 8, 128),
}


def walk(count: int, length: int, seed: int) -> Array:
    """(count, length) float64 random walks of mean 0 and standard deviation 1 each."""
    made = np.random.default_rng(seed).standard_normal((count, length)).cumsum(axis=1)
    made -= made.mean(axis=1, keepdims=True)
    return np.asarray(made / made.std(axis=1, keepdims=True))


def walks(name: str) -> dict[str, Array]:
    """``a`` (seed 1) and ``b`` (seed 2) of a key of ``SHAPES``; the centres of k-means are the first of ``a``."""
    shape = SHAPES[name]
    a = walk(shape.a, shape.length, 1)
    b = a[: shape.b].copy() if "centres" in name else walk(shape.b, shape.length, 2)
    return {side: values[0] if side in shape.alone else values for side, values in (("a", a), ("b", b))}

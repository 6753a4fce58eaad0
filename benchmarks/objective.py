"""What the compared methods minimise, each straight from its definition, in two passes per segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["COSTS", "TOLERANCES", "objective", "typical_gamma"]

Array = np.ndarray[Any, Any]
_ROWS = 2_000  # rows of the kernel matrix held at a time


def objective(values: Array, changes: Sequence[int], penalty: float, cost: str, gamma: float = 1.0) -> float:
    """Sum over segments of the cost, plus ``penalty`` per change point.

    Args:
        values: (n, d) numbers.
        changes: ascending first samples of new segments.
        penalty: price of one change point.
        cost: a key of ``COSTS``.
        gamma: of the Gaussian kernel.
    """
    parts = np.split(np.asarray(values, np.float64), list(changes))
    return sum(COSTS[cost](part, gamma) for part in parts) + penalty * len(changes)


def l2(part: Array, gamma: float) -> float:
    """Squared deviations from the mean."""
    return float(((part - part.mean(axis=0)) ** 2).sum())


def meanvar(part: Array, gamma: float) -> float:
    """n log(variance), per channel: twice the negative Gaussian log-likelihood, less what all share."""
    return float(len(part) * np.log(part.var(axis=0)).sum())


def kernel(part: Array, gamma: float) -> float:
    """n - (sum over pairs of exp(-gamma |x - y|^2)) / n: squared deviations in the kernel's space."""
    squares = (part**2).sum(axis=1)
    total = 0.0
    for begin in range(0, len(part), _ROWS):
        rows = part[begin : begin + _ROWS]
        distance = squares[begin : begin + _ROWS, None] + squares[None, :] - 2 * rows @ part.T
        total += float(np.exp(-gamma * np.maximum(distance, 0)).sum())
    return len(part) - total / len(part)


def typical_gamma(values: Array) -> float:
    """One over the median squared distance of 512 samples evenly spread: the bandwidth that ours takes."""
    rows = np.unique(np.linspace(0, len(values) - 1, min(len(values), 512)).astype(np.int64))
    sample = np.asarray(values[rows], np.float64)
    squares = ((sample[:, None] - sample[None, :]) ** 2).sum(axis=2)
    return 1.0 / float(np.median(squares[np.triu_indices(len(sample), 1)]))


# relative difference of two costs that are called equal; ours takes the kernel from a series
TOLERANCES = {"l2": 1e-9, "meanvar": 1e-9, "kernel": 1e-5}
COSTS: dict[str, Callable[[Array, float], float]] = {"l2": l2, "meanvar": meanvar, "kernel": kernel}

"""How long what a text names tends to last: log-normal, its mean a ridge regression on the text's vector.

Lives beside the encoders because it is learned and stored with them; ``align.matching`` reads the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DurationModel", "fit_durations"]

_LEAST_SD = 0.25
_RIDGE = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class DurationModel:
    """log duration of a text with vector v ~ Normal(mean + weights . v, sd^2); seconds."""

    mean: float
    weights: npt.NDArray[np.float32]
    sd: float

    def of(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(n, 2) mean and standard deviation of the log duration of each text."""
        mean = self.mean + vectors.astype(np.float64) @ self.weights.astype(np.float64)
        return np.column_stack([mean, np.full(len(mean), self.sd)])


def fit_durations(
    vectors: npt.NDArray[np.float32],
    seconds: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64] | None = None,
) -> DurationModel:
    """Ridge regression of log seconds on text vectors; the deviation is that of the residuals, at least 0.25.

    Args:
        vectors: (n, d) one row per note.
        seconds: (n,) > 0.
        weight: (n,) how much each counts; default 1.
    """
    log = np.log(seconds)
    weight = np.ones_like(log) if weight is None else weight
    mean = float(np.average(log, weights=weight))
    x = vectors.astype(np.float64)
    gram = x.T @ (weight[:, None] * x) + _RIDGE * np.eye(x.shape[1])
    w = np.linalg.solve(gram, x.T @ (weight * (log - mean)))
    residual = log - mean - x @ w
    sd = float(np.sqrt(np.average(residual**2, weights=weight)))
    return DurationModel(mean, w.astype(np.float32), max(_LEAST_SD, sd))

"""How long what a text names tends to last: log-normal or with heavier tails, its mean and its spread ridge regressions
on the text's vector.

Lives beside the encoders because it is learned and stored with them; ``align.matching`` reads the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DurationModel", "fit_durations"]

_LEAST_SD = 0.25
_RIDGE = 1.0
_MOST_LOG = 20.0  # of how a text's spread compares with all texts'
_TAILS = 4.0  # people who are new are not spread as narrowly as those who were seen


@dataclass(frozen=True, slots=True, eq=False)
class DurationModel:
    """log duration of a text with vector v: mean + weights . v, deviation sd exp(spread . v / 2); seconds.

    ``tails``: degrees of freedom of Student's t, 0: normal. ``spread`` None: all texts vary alike.
    """

    mean: float
    weights: npt.NDArray[np.float32]
    sd: float
    spread: npt.NDArray[np.float32] | None = None
    tails: float = 0.0

    def of(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(n, 2) mean and standard deviation of the log duration of each text, the latter at least 0.25 where texts
        vary differently."""
        x = vectors.astype(np.float64)
        mean = self.mean + x @ self.weights.astype(np.float64)
        sd = np.full(len(mean), self.sd)
        if self.spread is not None:
            log = np.clip(0.5 * x @ self.spread.astype(np.float64), -_MOST_LOG, _MOST_LOG)
            sd = np.maximum(_LEAST_SD, self.sd * np.exp(log))
        return np.column_stack([mean, sd])


def fit_durations(
    vectors: npt.NDArray[np.float32],
    seconds: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64] | None = None,
) -> DurationModel:
    """Ridge regression of log seconds on text vectors, and of the log variance of what that leaves (multiplicative
    heteroscedasticity, Harvey 1976, Econometrica 44(3), with a ridge).

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
    squares = (log - mean - x @ w) ** 2
    sd = max(_LEAST_SD, float(np.sqrt(np.average(squares, weights=weight))))
    spread = _spread(x, squares / sd**2, weight)
    return DurationModel(mean, w.astype(np.float32), sd, spread.astype(np.float32), _TAILS)


def _spread(
    x: npt.NDArray[np.float64], squares: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(d,) b that makes squared residuals with variance exp(x . b) likeliest, less half its squared length; convex."""
    from scipy.optimize import minimize

    def cost(b: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        log = x @ b
        off = squares * np.exp(-log)
        value = 0.5 * float(weight @ (log + off) + _RIDGE * b @ b)
        return value, 0.5 * x.T @ (weight * (1.0 - off)) + _RIDGE * b

    return np.asarray(minimize(cost, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x)

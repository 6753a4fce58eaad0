"""How far stated probabilities are from what came true: the calibration error and the Brier score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from align.matching.calibration import N_BINS, checked_answers, reliability

__all__ = ["N_BINS", "brier_score", "calibration_error", "reliability"]


def calibration_error(probability: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Expected calibration error: how far the stated probabilities are from the shares that came true.

    ``sum over bins b of n_b / n * |mean(right in b) - mean(probability in b)|`` over the bins of ``reliability``.
    NaN without rows.

    Args:
        probability: (n,) in [0, 1].
        right: (n,) booleans.

    References:
        Guo et al., On calibration of modern neural networks, ICML 2017, equation 3 (whose bins are open on
        the left instead).

    >>> calibration_error([1.0, 1.0, 0.0, 0.0], [True, True, False, True])
    0.25
    """
    table = reliability(probability, right)
    if not len(table):
        return float("nan")
    mean, share, count = table.T
    return float((count * np.abs(share - mean)).sum() / count.sum())


def brier_score(probability: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Mean squared distance of the stated probability from what came true (1 or 0); NaN without rows.

    Unlike the calibration error it also rewards being sure: 0 is perfect, 0.25 is what "one half" always gets.

    Args:
        probability: (n,) in [0, 1].
        right: (n,) booleans.

    References:
        Brier, Monthly Weather Review 78(1), 1950, equation 2, for one of two outcomes (half of that sum).

    >>> brier_score([1.0, 0.5], [True, False])
    0.125
    """
    p, hit = checked_answers(probability, right)
    return float(np.mean((p - hit) ** 2)) if p.size else float("nan")

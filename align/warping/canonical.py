"""Canonical time warping: two series of different channels, laid over each other where they correlate most.

Dynamic time warping needs one space for both series. Canonical time warping (CTW) finds it: given a warping path,
canonical correlation analysis (CCA) projects both series so that matched samples agree; given the projections, dynamic
time warping finds a better path; and so on. With ``A`` (length, p) and ``B`` (length, q) the samples along
the path, centred, and b components, it looks for the path and ``P`` (p, b), ``Q`` (q, b) of least

    misfit = (|A P - B Q|^2 / length + r_a |P|^2 + r_b |Q|^2) / (2 b)
    subject to P'(A'A / length + r_a I) P = Q'(B'B / length + r_b I) Q = I,

which CCA solves for a given path: misfit = 1 - mean canonical correlation, from 0 (they agree) to 1 (unrelated).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.warping.dtw import dtw_path

__all__ = ["CanonicalWarp", "canonical_warp", "ctw_path"]

Indices = npt.NDArray[np.int64]
_LEAST_GAIN = 1e-9  # of the misfit: less is rounding


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalWarp:
    """A path, the misfits that led to it, and both series in the space in which they agree.

    ``path`` (length, 2); ``misfits`` (k,) descending, the last one the path's; ``a`` (n, b) and ``b`` (m, b) the
    projected series.
    """

    path: Indices
    misfits: Floats
    a: Floats
    b: Floats


def ctw_path(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    n_components: int | None = None,
    iterations: int = 50,
    regularisation: float = 1e-3,
) -> tuple[Indices, Floats]:
    """The canonical-time-warping path of two series whose channels need not be the same, nor as many.

    Starts from the straight path and alternates CCA and DTW (definition: this module) until the misfit stops
    falling. It finds a local optimum: the straight path should be a fair guess.

    Args:
        a: (n,) or (n, p) finite numbers, n >= 1.
        b: (m,) or (m, q).
        n_components: 1 to min(p, q); default all of them.
        iterations: most rounds of DTW and CCA, >= 0.
        regularisation: r_a and r_b, as a share of each series' mean variance per channel, > 0. Raise it where
            there are about as many channels as samples.

    Returns:
        ``(path, misfits)``: path int64 (length, 2) from (0, 0) to (n - 1, m - 1) with steps (1, 1), (1, 0),
        (0, 1); misfits float64, the straight path's first, then every round's: strictly falling.

    Raises:
        TypeError: boolean, complex, text or objects.
        ParameterError: NaN or infinite values, no rows, or a parameter out of range.
        ResourceError: E-MEMORY, as ``dtw_path``.

    Reference: Zhou & De la Torre, Canonical time warping for alignment of human behavior, NIPS 2009, section 4.
    Departures: ridge; the misfit is per step of the path, so a DTW step may fail to lower it, and the
    alternation ends there, with the path before.

    >>> t = np.linspace(0.0, 3.0, 40)
    >>> path, misfits = ctw_path(np.sin(t), 5.0 - 2.0 * np.sin(t))
    >>> bool((path[:, 0] == path[:, 1]).all()), bool(misfits[-1] < 0.01)
    (True, True)
    """
    first, second = _as_series(a, "a"), _as_series(b, "b")
    most = min(first.shape[1], second.shape[1])
    if n_components is None:
        n_components = most
    if not 1 <= n_components <= most:
        raise ParameterError("n_components", n_components, f"1 to {most}, the fewest channels")
    found = canonical_warp(first, second, n_components, iterations, regularisation)
    return found.path, found.misfits


def canonical_warp(
    a: Floats, b: Floats, n_components: int, iterations: int, regularisation: float
) -> CanonicalWarp:
    """``ctw_path`` with the projected series, on (n, p) and (m, q) float64 arrays that are finite.

    Raises:
        ParameterError: iterations < 0, or regularisation not > 0.
    """
    if iterations < 0:
        raise ParameterError("iterations", iterations, ">= 0")
    if not 0 < regularisation < np.inf:
        raise ParameterError("regularisation", regularisation, "a finite number > 0")
    ridges = regularisation * _mean_variance(a), regularisation * _mean_variance(b)
    best = _projected(a, b, _straight_path(len(a), len(b)), n_components, ridges)
    misfits = list(best.misfits)
    for _ in range(iterations):
        path, _distance = dtw_path(best.a, best.b)
        tried = _projected(a, b, path, n_components, ridges)
        if not tried.misfits[-1] < misfits[-1] - _LEAST_GAIN:
            break
        best = tried
        misfits.append(float(tried.misfits[-1]))
    return CanonicalWarp(best.path, np.array(misfits), best.a, best.b)


def _projected(
    a: Floats, b: Floats, path: Indices, n_components: int, ridges: tuple[float, float]
) -> CanonicalWarp:
    """CCA of the samples along the path; both whole series in its space."""
    left, right = a[path[:, 0]], b[path[:, 1]]
    middles = left.mean(axis=0), right.mean(axis=0)
    left, right = left - middles[0], right - middles[1]
    whiten_a, whiten_b = _whitening(left, ridges[0]), _whitening(right, ridges[1])
    u, correlations, v = np.linalg.svd(whiten_a.T @ (left.T @ right / len(path)) @ whiten_b)
    project_a, project_b = whiten_a @ u[:, :n_components], whiten_b @ v[:n_components].T
    misfit = 1.0 - float(correlations[:n_components].mean())
    return CanonicalWarp(path, np.array([misfit]), (a - middles[0]) @ project_a, (b - middles[1]) @ project_b)


def _whitening(rows: Floats, ridge: float) -> Floats:
    """W with W'(rows' rows / n + ridge I) W = I."""
    power, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    return np.asarray(axes / np.sqrt(np.maximum(power, 0.0) + ridge))


def _mean_variance(series: Floats) -> float:
    """Per channel; 1 for a series that never varies, whose correlations are 0 under any ridge."""
    return float(series.var(axis=0).mean()) or 1.0


def _straight_path(n: int, m: int) -> Indices:
    """From corner to corner, as near to the diagonal as whole samples allow; in whole numbers, so that no
    rounding can make a step of two."""
    longest = max(n, m) - 1
    at = np.arange(longest + 1, dtype=np.int64)
    sides = [(2 * at * (size - 1) + longest) // max(2 * longest, 1) for size in (n, m)]
    return np.column_stack(sides)


def _as_series(values: npt.ArrayLike, name: str) -> Floats:
    array: npt.NDArray[Any] = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}; allowed: integers or real floats")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise ParameterError(name, f"shape {array.shape}", "(n >= 1,) or (n >= 1, n_channels >= 1)")
    if not np.isfinite(array).all():
        raise ParameterError(name, "NaN or infinite values", "finite numbers", hint="cut the gaps out first")
    return np.asarray(array, dtype=np.float64)

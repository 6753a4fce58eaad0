"""Canonical correlation in the space of a kernel, on a few landmarks: curved relations, in closed form (numpy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.coordination.functions.correlation import CanonicalMaps, canonical_agreement, canonical_maps
from align.errors import ParameterError

__all__ = ["KernelMaps", "KernelView", "kernel_agreement", "kernel_maps", "kernel_view"]

Array = npt.NDArray[np.float64]
_SAMPLE = 500  # rows that the width of a kernel is taken from
_LEFT = 1e-10  # of a kernel's diagonal: what no landmark explains is not worth another


@dataclass(frozen=True, slots=True, eq=False)
class KernelView:
    """Coordinates of a Gaussian kernel ``exp(-|x - z|^2 / (2 width^2))`` on landmarks.

    ``landmarks`` (m, p) rows of the view; ``factor`` (m, m) lower triangle L with ``L L' = K(landmarks, landmarks)``.
    """

    landmarks: Array
    factor: Array
    width: float

    def of(self, x: npt.ArrayLike) -> Array:
        """Coordinates whose inner products are the kernel, as far as the landmarks tell.

        Args:
            x: (n, p).

        Returns:
            (n, m) f8: ``K(x, landmarks) L'^-1``.
        """
        kernel = _gaussian(np.asarray(x, np.float64), self.landmarks, self.width)
        return np.asarray(np.linalg.solve(self.factor, kernel.T).T, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class KernelMaps:
    """Two kernels' coordinates and the canonical maps of these."""

    view_x: KernelView
    view_y: KernelView
    maps: CanonicalMaps

    def of_x(self, x: npt.ArrayLike) -> Array:
        """Canonical coordinates of the first view.

        Args:
            x: (n, p).

        Returns:
            (n, k) f8.
        """
        return self.maps.of_x(self.view_x.of(x))

    def of_y(self, y: npt.ArrayLike) -> Array:
        """Canonical coordinates of the second view.

        Args:
            y: (n, q).

        Returns:
            (n, k) f8.
        """
        return self.maps.of_y(self.view_y.of(y))


def kernel_view(x: npt.ArrayLike, n_landmarks: int = 200, width: float | None = None) -> KernelView:
    """Incomplete Cholesky factor of a Gaussian kernel: each landmark is the row that those before explain worst.

    The trace of what is left unexplained never grows; with as many landmarks as distinct rows nothing is left.

    Args:
        x: (n, p) finite numbers.
        n_landmarks: at most, >= 1.
        width: of the kernel, > 0; None: the median distance between rows (of 500 spread over x).

    Raises:
        ParameterError: a number out of its range, or rows that are not finite.

    References:
        Fine & Scheinberg, JMLR 2 (2001), 243-264, figure 2; Bach & Jordan, JMLR 3 (2002), 1-48, section 4.
        O(n m (m + p)) time and O(n m) memory.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ParameterError("x", f"of shape {x.shape}", "(n, columns) of finite numbers, n >= 1")
    if n_landmarks < 1:
        raise ParameterError("n_landmarks", n_landmarks, "1 or more")
    if width is None:
        width = _median_distance(x)
    if not 0 < width < np.inf:
        raise ParameterError("width", width, "> 0 and finite, or None")
    columns = np.zeros((len(x), min(n_landmarks, len(x))))
    left, chosen = np.ones(len(x)), []
    for j in range(columns.shape[1]):
        worst = int(left.argmax())
        if left[worst] <= _LEFT:
            break
        chosen.append(worst)
        kernel = _gaussian(x, x[worst : worst + 1], width)[:, 0]
        columns[:, j] = (kernel - columns[:, :j] @ columns[worst, :j]) / np.sqrt(left[worst])
        columns[chosen[:-1], j] = 0.0  # exactly: the factor is a triangle
        left = np.maximum(left - np.square(columns[:, j]), 0.0)
        left[worst] = 0.0
    return KernelView(x[chosen], columns[chosen][:, : len(chosen)], width)


def kernel_maps(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    n_components: int | None = None,
    regularisation: float = 1e-2,
    n_landmarks: int = 200,
) -> KernelMaps:
    """Regularised kernel canonical correlation analysis of paired samples, with Gaussian kernels.

    Linear analysis of the kernels' coordinates, which is the dual problem ``max a' K_x K_y b`` under
    ``a' (K_x^2 + k K_x) a = b' (K_y^2 + k K_y) b = 1`` with centred kernels as far as the landmarks explain them.
    Without regularisation every pair of kernels correlates perfectly.

    Args:
        x: (n, p) finite numbers; row i belongs to row i of y.
        y: (n, q).
        n_components: canonical coordinates wanted, >= 1, or None: all.
        regularisation: ridge as a share of the mean variance of the coordinates, > 0.
        n_landmarks: of each kernel, at most, >= 1.

    Raises:
        ParameterError: as ``canonical_maps`` and ``kernel_view``.

    References:
        Hardoon, Szedmak & Shawe-Taylor, Neural Computation 16 (2004), 2639-2664, section 4.2 (regularised dual).
    """
    if regularisation <= 0:
        raise ParameterError("regularisation", regularisation, "> 0")
    view_x, view_y = kernel_view(x, n_landmarks), kernel_view(y, n_landmarks)
    maps = canonical_maps(view_x.of(x), view_y.of(y), n_components, regularisation)
    return KernelMaps(view_x, view_y, maps)


def kernel_agreement(maps: KernelMaps, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
    """Cosines in the canonical space, each coordinate weighted by its correlation.

    Args:
        maps: as fitted.
        x: (n, p).
        y: (m, q).

    Returns:
        (n, m) f8 in [-1, 1].
    """
    return canonical_agreement(maps.maps, maps.view_x.of(x), maps.view_y.of(y))


def _gaussian(x: Array, z: Array, width: float) -> Array:
    squares = np.square(x).sum(axis=1)[:, None] + np.square(z).sum(axis=1)
    return np.exp(-np.maximum(squares - 2.0 * x @ z.T, 0.0) / (2.0 * width**2))


def _median_distance(x: Array) -> float:
    """Of distinct rows; 1 where all rows are the same."""
    rows = np.unique(x[np.linspace(0, len(x) - 1, min(len(x), _SAMPLE)).astype(np.int64)], axis=0)
    if len(rows) < 2:
        return 1.0
    squares = np.square(rows).sum(axis=1)
    apart = (squares[:, None] + squares - 2.0 * rows @ rows.T)[np.triu_indices(len(rows), 1)]
    return float(np.sqrt(max(np.median(apart), np.finfo(np.float64).tiny)))

"""Canonical correlation in closed form: the linear maps of two views under which they agree most (numpy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError

__all__ = ["CanonicalMaps", "canonical_agreement", "canonical_maps"]

Array = npt.NDArray[np.float64]
_RANK = 1e-12  # share of the largest singular value under which a direction holds nothing but rounding


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalMaps:
    """Two linear maps into one space of k canonical coordinates, the most correlated first.

    ``mean_x`` (p,), ``maps_x`` (p, k), ``mean_y`` (q,), ``maps_y`` (q, k); ``correlations`` (k,) in [0, 1],
    descending: of the paired samples that it was fitted to, shrunk by the regularisation.
    """

    mean_x: Array
    maps_x: Array
    mean_y: Array
    maps_y: Array
    correlations: Array

    def of_x(self, x: npt.ArrayLike) -> Array:
        """Canonical coordinates of the first view.

        Args:
            x: (n, p).

        Returns:
            (n, k) f8.
        """
        return (np.asarray(x, np.float64) - self.mean_x) @ self.maps_x

    def of_y(self, y: npt.ArrayLike) -> Array:
        """Canonical coordinates of the second view.

        Args:
            y: (n, q).

        Returns:
            (n, k) f8.
        """
        return (np.asarray(y, np.float64) - self.mean_y) @ self.maps_y


def canonical_maps(
    x: npt.ArrayLike, y: npt.ArrayLike, n_components: int | None = None, regularisation: float = 1e-3
) -> CanonicalMaps:
    """Regularised linear canonical correlation analysis of paired samples.

    Column j of the maps makes ``u' C_xy v`` largest under ``u' (C_xx + r_x I) u = v' (C_yy + r_y I) v = 1`` and
    orthogonality to the columns before; ``r_x = regularisation * trace(C_xx) / p``, r_y likewise, C with n - 1.
    Solved by the singular values of the centred views, so that views with fewer samples than columns, constant
    or repeated columns are no trouble. Of a pair of maps and its negative, the one whose largest entry in x is
    positive.

    Args:
        x: (n, p) finite numbers; row i belongs to row i of y.
        y: (n, q).
        n_components: canonical coordinates wanted, >= 1; fewer where the views have fewer. None: all.
        regularisation: ridge as a share of the mean variance, >= 0; 0 is the textbook's.

    Raises:
        ParameterError: views that are no pairs, fewer than 2 pairs, numbers that are not finite, or a view that is
            constant.

    References:
        Hotelling, Biometrika 28 (1936), 321-377; ridge: Vinod, J. Econometrics 4 (1976), 147-166; by singular
        values: Bjorck & Golub, Math. Comp. 27 (1973), 579-594, section 3. O(n (p + q) min(n, p + q)).
    """
    x, y = _checked("x", x), _checked("y", y)
    if len(x) != len(y):
        raise ParameterError("y", f"{len(y)} rows", f"the {len(x)} rows of x")
    if not 0 <= regularisation < np.inf:
        raise ParameterError("regularisation", regularisation, ">= 0 and finite")
    if n_components is not None and n_components < 1:
        raise ParameterError("n_components", n_components, "1 or more, or None")
    mean_x, left, whiten_x = _whitened(x, regularisation, "x")
    mean_y, right, whiten_y = _whitened(y, regularisation, "y")
    u, correlations, v = np.linalg.svd(left.T @ right, full_matrices=False)
    maps_x, maps_y = whiten_x @ u[:, :n_components], whiten_y @ v.T[:, :n_components]
    signs = np.sign(maps_x[np.abs(maps_x).argmax(axis=0), np.arange(maps_x.shape[1])])
    correlations = np.clip(correlations[:n_components], 0.0, 1.0)
    return CanonicalMaps(mean_x, maps_x * signs, mean_y, maps_y * signs, correlations)


def _checked(name: str, view: npt.ArrayLike) -> Array:
    view = np.asarray(view, np.float64)
    if view.ndim != 2 or len(view) < 2 or not view.shape[1]:
        raise ParameterError(name, f"of shape {view.shape}", "(n, columns) with n >= 2 pairs")
    if not np.isfinite(view).all():
        raise ParameterError(name, "with NaN or infinite numbers", "finite numbers")
    return view


def _whitened(view: Array, regularisation: float, name: str) -> tuple[Array, Array, Array]:
    """Mean; an (n, r) view whose columns are orthogonal, each of length up to 1; the (p, r) map to it, over
    sqrt(n - 1).
    """
    mean = view.mean(axis=0)
    u, s, v = np.linalg.svd(view - mean, full_matrices=False)
    kept = s > _RANK * max(s[0], np.abs(mean).max() * np.sqrt(len(view)))
    if not kept.any():
        raise ParameterError(name, "constant", "a view that varies")
    u, s, v = u[:, kept], s[kept], v[kept]
    ridge = regularisation * np.square(s).sum() / view.shape[1]
    length = np.sqrt(np.square(s) + ridge)
    return mean, u * (s / length), v.T * (np.sqrt(len(view) - 1.0) / length)


def canonical_agreement(maps: CanonicalMaps, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
    """Cosines in the canonical space, each coordinate weighted by its correlation.

    ``sum_k rho_k x_k y_k / (|x| |y|)`` with norms weighted alike: directions that do not correlate do not count.

    Args:
        maps: as fitted.
        x: (n, p).
        y: (m, q).

    Returns:
        (n, m) f8 in [-1, 1]; 0 where a sample is at the mean.
    """
    weights = np.sqrt(maps.correlations)
    a, b = maps.of_x(x) * weights, maps.of_y(y) * weights
    return _unit(a) @ _unit(b).T


def _unit(rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)

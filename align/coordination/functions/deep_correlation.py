"""Deep canonical correlation: encoders are trained until what they say of pairs correlates most (torch)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from align.coordination.functions.objective import Objective
from align.errors import ParameterError

__all__ = ["CorrelatedAutoencoders", "DeepCorrelation", "total_correlation"]

_RIDGE = 1e-3  # added to variances: those of unit vectors in d dimensions are about 1 / d
_LEAST_PAIRS = 3
_RECONSTRUCTION = 1.0  # weight beside the mean correlation
_HIDDEN = 64


def total_correlation(a: torch.Tensor, b: torch.Tensor, ridge: float = _RIDGE) -> torch.Tensor:
    """Sum of the canonical correlations of paired rows: the trace norm of ``A^-1/2 C B^-1/2``.

    A and B are the covariances (n - 1) with ``ridge`` added to their diagonals, C the cross-covariance. The gradient
    is the closed form, which holds where eigenvalues repeat (fewer pairs than dimensions: always), where that of an
    eigendecomposition is not a number.

    Args:
        a: (n, d), n >= 2; row i belongs to row i of b.
        b: (n, e).
        ridge: > 0.

    Returns:
        Scalar in [0, min(d, e)], of the dtype of a; computed in float64.

    References:
        Andrew, Arora, Bilmes & Livescu, ICML 2013, section 3, equations 10 to 13.
    """
    total: torch.Tensor = _TotalCorrelation.apply(a, b, ridge)  # type: ignore[no-untyped-call]
    return total


class _TotalCorrelation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, a: torch.Tensor, b: torch.Tensor, ridge: float
    ) -> torch.Tensor:
        x, y = (v.double() - v.double().mean(dim=0) for v in (a, b))
        left, right = _inverse_root(x, ridge), _inverse_root(y, ridge)
        u, s, v = torch.linalg.svd(left @ (x.T @ y) @ right / (len(a) - 1), full_matrices=False)
        kept = s > 1e-12 * s.max().clamp(
            min=1e-300
        )  # beyond the rank any direction is as good: none is taken
        u, s, v = u[:, kept], s[kept], v[kept]
        across = left @ u @ v @ right
        to_x = y @ across.T - x @ (left @ (u * s) @ u.T @ left)
        to_y = x @ across - y @ (right @ (v.T * s) @ v @ right)
        ctx.save_for_backward(to_x.to(a) / (len(a) - 1), to_y.to(b) / (len(b) - 1))
        return s.sum().to(a)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *wanted: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        to_x, to_y = ctx.saved_tensors  # type: ignore[attr-defined]
        return wanted[0] * to_x, wanted[0] * to_y, None


def _inverse_root(centred: torch.Tensor, ridge: float) -> torch.Tensor:
    """``(X'X / (n - 1) + ridge I)^-1/2``, symmetric."""
    values, vectors = torch.linalg.eigh(centred.T @ centred / (len(centred) - 1))
    return (vectors / (values.clamp(min=0.0) + ridge).sqrt()) @ vectors.T


class DeepCorrelation(Objective):
    """Minus the mean canonical correlation of the embeddings of pairs (deep CCA).

    The mean is over as many as n pairs and d dimensions can have, so that its weight does not depend on either.
    With fewer than 3 pairs it is 0.
    """

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, x: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(n, d), (n, d) -> scalar in [-1, 0]; x and y do not matter."""
        if len(a) < _LEAST_PAIRS:
            return 0.0 * (a.sum() + b.sum())
        return -total_correlation(a, b) / min(a.shape[1], len(a) - 1)


class CorrelatedAutoencoders(DeepCorrelation):
    """Deep CCA from whose embeddings both views can be told again (DCCAE).

    ``-mean correlation + mean |x - d_x(a)|^2 / mean |x - mean x|^2``, likewise y, halved: what a decoder of one
    hidden layer does not tell of a view, as a share of how the view varies in the batch.

    Args:
        dimension: of the shared space.
        views: columns of x and of y.

    References:
        Wang, Arora, Livescu & Bilmes, arXiv 1602.01024, deep canonically correlated autoencoders (departure: errors
        as shares of the variance, so that the two terms are of one size whatever the views' units).
    """

    def __init__(self, dimension: int, views: tuple[int, int]) -> None:
        super().__init__(dimension, views)
        self.decoders = nn.ModuleList(
            nn.Sequential(nn.Linear(dimension, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, n)) for n in views
        )

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, x: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(n, d), (n, d) with (n, views[0]), (n, views[1]) -> scalar >= -1.

        Raises:
            ParameterError: without x or y there is nothing to tell again.
        """
        if x is None or y is None:
            raise ParameterError("x and y", "not given", "the views of every pair")
        correlation = super().forward(a, b)
        if len(a) < _LEAST_PAIRS:
            return correlation
        missed = [
            F.mse_loss(decode(seen), view) / view.var(dim=0, correction=0).mean().clamp(min=1e-6)
            for decode, seen, view in zip(self.decoders, (a, b), (x, y), strict=True)
        ]
        return correlation + _RECONSTRUCTION * 0.5 * (missed[0] + missed[1])

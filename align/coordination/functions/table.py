"""Coordination functions: how much an embedding of one modality agrees with one of the other.

Every function is finite, with finite gradients, everywhere, also at vectors of zeros. All but ``order`` are
symmetric: what ``f(a, b)`` says, ``f(b, a)`` says, too. The kernels are positive definite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from align.coordination.functions.deep_correlation import CorrelatedAutoencoders, DeepCorrelation
from align.coordination.functions.objective import Objective
from align.coordination.functions.relational import NeighbourMatch, SimilarityMatch
from align.errors import ParameterError

__all__ = [
    "FUNCTIONS",
    "OBJECTIVES",
    "CoordinationFunction",
    "Cosine",
    "Dot",
    "ExponentialKernel",
    "LinearKernel",
    "Order",
    "PolynomialKernel",
    "RadialKernel",
    "coordination_function",
    "training_objective",
]

_DEGREE = 3
_REACH = 2.0  # of "order": agreements of vectors of length 1 then span as much as cosines do
_NEAR = 1e-3  # a distance below which the exponential kernel is rounded off: its slope at 0 has a jump


class CoordinationFunction(nn.Module, ABC):
    """Agreement of every a with every b; larger means that they belong together more.

    The encoders give vectors of length 1 and temperature and "nothing" are not its business.

    Args:
        dimension: of the shared space, >= 1.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension

    @abstractmethod
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Agreements of all pairs, (..., n, m).

        Args:
            a: (..., n, d) unit-norm embeddings of the stream.
            b: (m, d) unit-norm embeddings of texts; a row of zeros where there is nothing to go by.
        """


class Cosine(CoordinationFunction):
    """The cosine of the angle, in [-1, 1]: the inner product of unit-norm embeddings. No parameters."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(..., n, d), (m, d) -> (..., n, m); 0 where a vector is 0."""
        return a @ b.T


class Dot(CoordinationFunction):
    """The inner product of vectors with lengths: ``<l(a) a, l(b) b>``, ``l(x) = exp(<w, x>)``.

    The encoders give directions alone, so the lengths that tell a sure vector from a vague one are learned here,
    as a function of direction; without training (w = 0) it is the inner product of what is given.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.lengths = nn.Parameter(torch.zeros(dimension))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(..., n, d), (m, d) -> (..., n, m); 0 where a vector is 0."""
        return _lengthened(a, self.lengths) @ _lengthened(b, self.lengths).T


class LinearKernel(CoordinationFunction):
    """``sum_k w_k a_k b_k`` with learned weights w > 0: how much each coordinate matters (1 before training)."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.log_weights = nn.Parameter(torch.zeros(dimension))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(..., n, d), (m, d) -> (..., n, m); 0 where a vector is 0."""
        return (a * self.log_weights.exp()) @ b.T


class PolynomialKernel(CoordinationFunction):
    """``((<a, b> + c) / (1 + c))^3`` with a learned c > 0 (1 before training): 1 for the same unit vector twice.

    Any turn of both vectors leaves it as it is.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.log_offset = nn.Parameter(torch.zeros(()))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(..., n, d), (m, d) -> (..., n, m); (c / (1 + c))^3 where a vector is 0."""
        offset = self.log_offset.exp()
        return ((a @ b.T + offset) / (1.0 + offset)) ** _DEGREE


class ExponentialKernel(CoordinationFunction):
    """``exp(-|a - b| / w)`` with a learned width w > 0 (1 before training), in (0, 1]; the Laplacian kernel.

    Any turn or shift of both vectors leaves it as it is. ``|a - b|`` is taken as ``sqrt(|a - b|^2 + 1e-6) - 1e-3``,
    which keeps it positive definite (a Bernstein function of the squared distance) and gives it a slope at 0.

    References:
        Schoenberg, Annals of Mathematics 39 (1938), 811-841, theorem 3.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.log_width = nn.Parameter(torch.zeros(()))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(..., n, d), (m, d) -> (..., n, m)."""
        distance = (_squared_distances(a, b) + _NEAR**2).sqrt() - _NEAR
        return torch.exp(-distance / self.log_width.exp())


class RadialKernel(CoordinationFunction):
    """``exp(-|a - b|^2 / (2 w^2))`` with a learned width w > 0 (1 before training), in (0, 1]; Gaussian, "RBF".

    Any turn or shift of both vectors leaves it as it is. On unit vectors it is ``exp((<a, b> - 1) / w^2)``.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.log_width = nn.Parameter(torch.zeros(()))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(..., n, d), (m, d) -> (..., n, m)."""
        return torch.exp(-0.5 * _squared_distances(a, b) * torch.exp(-2.0 * self.log_width))


class Order(CoordinationFunction):
    """Partial coordination: minus how far b is from being implied by a, ``-2 sum_k max(0, p(b)_k - p(a)_k)^2``.

    ``p(x) = exp(<w, x>) |x|`` has no negative coordinate. What a stream shows implies every text whose coordinates
    are at most its own: a text that says less lies nearer to 0, and a text of zeros is implied by everything. Not
    symmetric; the agreement is 0, its most, exactly where b is implied, which is a partial order of the p(x).

    References:
        Vendrov et al., arXiv 1511.06361, equation 2 (lengths are learned as in ``Dot``; theirs come with the encoder).
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.lengths = nn.Parameter(torch.zeros(dimension))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(..., n, d), (m, d) -> (..., n, m), at most 0."""
        flat = self.position(a).reshape(-1, a.shape[-1])
        violation: torch.Tensor = _Violation.apply(flat, self.position(b))  # type: ignore[no-untyped-call]
        return -_REACH * violation.reshape(*a.shape[:-1], len(b))

    def position(self, x: torch.Tensor) -> torch.Tensor:
        """Where a vector stands in the order.

        Args:
            x: (..., d).

        Returns:
            (..., d), no coordinate below 0.
        """
        return _lengthened(x, self.lengths).abs()


class _Violation(torch.autograd.Function):
    """``sum_k max(0, b_jk - a_ik)^2``, a coordinate at a time: (n, m, d) values are never held."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(a, b)
        found = a.new_zeros(len(a), len(b))
        for above, below in zip(b.T, a.T, strict=True):
            found += (above - below[:, None]).clamp_(min=0.0).square_()
        return found

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *wanted: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = ctx.saved_tensors  # type: ignore[attr-defined]
        to_a, to_b = torch.empty_like(a), torch.empty_like(b)
        for k, (above, below) in enumerate(zip(b.T, a.T, strict=True)):
            over = (above - below[:, None]).clamp_(min=0.0).mul_(2.0 * wanted[0])
            to_a[:, k], to_b[:, k] = -over.sum(dim=1), over.sum(dim=0)
        return to_a, to_b


def _lengthened(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return x * (x @ lengths).exp()[..., None]


def _squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(..., n, d), (m, d) -> (..., n, m), without holding (n, m, d) values."""
    squares = a.square().sum(-1)[..., None] + b.square().sum(-1)
    return (squares - 2.0 * (a @ b.T)).clamp(min=0.0)


#: Name -> class; the first is the default.
FUNCTIONS: dict[str, type[CoordinationFunction]] = {
    "cosine": Cosine,
    "dot": Dot,
    "linear": LinearKernel,
    "polynomial": PolynomialKernel,
    "exponential": ExponentialKernel,
    "rbf": RadialKernel,
    "order": Order,
}

#: Name -> class of objectives that are added to the loss of pairs.
OBJECTIVES: dict[str, type[Objective]] = {
    "deep-cca": DeepCorrelation,
    "dccae": CorrelatedAutoencoders,
    "relational": SimilarityMatch,
    "neighbours": NeighbourMatch,
}


def coordination_function(name: str, dimension: int) -> CoordinationFunction:
    """The coordination function of a name, as it is before training.

    Args:
        name: a key of ``FUNCTIONS``.
        dimension: of the shared space, >= 1.

    Raises:
        ParameterError: another name.
    """
    if name not in FUNCTIONS:
        raise ParameterError("function", name, f"one of {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name](dimension)


def training_objective(name: str, dimension: int, views: tuple[int, int]) -> Objective:
    """The objective of a name; its parameters are trained with the encoders and are not kept.

    Args:
        name: a key of ``OBJECTIVES``.
        dimension: of the shared space, >= 1.
        views: columns of a frame's features and of a text vector.

    Raises:
        ParameterError: another name.
    """
    if name not in OBJECTIVES:
        raise ParameterError("objective", name, f"one of {', '.join(OBJECTIVES)}, or None")
    return OBJECTIVES[name](dimension, views)

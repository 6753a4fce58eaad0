"""Relational objectives: two things that are alike in one modality shall be alike in the other (torch)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from align.coordination.functions.objective import Objective

__all__ = ["NeighbourMatch", "SimilarityMatch"]

_LEAST_PAIRS = 3
_TEMPERATURE = 0.1
_FLAT = 1e-8  # variance of similarities under which there is nothing to correlate


class SimilarityMatch(Objective):
    """One minus the Pearson correlation of similarities inside a with those inside b, over pairs of pairs i < j.

    Levels and spreads may differ: a modality in which everything is rather alike is not pulled apart. 0 with
    fewer than 3 pairs, and where all similarities of a modality are equal.

    References:
        Kriegeskorte, Mur & Bandettini, Front. Syst. Neurosci. 2:4 (2008); as a loss with squared differences instead
        of the correlation: Goel et al., arXiv 2205.14459, equation 3 (in-modal consistency).
    """

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, x: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(n, d), (n, d) -> scalar in [0, 2]; x and y do not matter."""
        if len(a) < _LEAST_PAIRS:
            return 0.0 * (a.sum() + b.sum())
        i, j = torch.triu_indices(len(a), len(a), 1, device=a.device)
        alike = torch.stack([(v @ v.T)[i, j] for v in (a, b)])
        alike = alike - alike.mean(dim=1, keepdim=True)
        variance = alike.square().mean(dim=1)
        if bool((variance < _FLAT).any()):
            return 0.0 * (a.sum() + b.sum())
        return 1.0 - (alike[0] * alike[1]).mean() / variance.prod().sqrt()


class NeighbourMatch(Objective):
    """How differently a and b choose the neighbours of every row: a symmetric Kullback-Leibler divergence.

    Row i of a modality gives a distribution over the other rows, ``softmax_j(<v_i, v_j> / 0.1)``; the objective is
    the mean over rows of ``(KL(p_a | p_b) + KL(p_b | p_a)) / 2``. It looks at the nearest, ``SimilarityMatch`` at all.

    References:
        Passalis & Tefas, arXiv 1803.10837, equations 3 to 6 (probabilities of neighbours, asymmetric divergence).
    """

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, x: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(n, d), (n, d) -> scalar >= 0; x and y do not matter."""
        if len(a) < _LEAST_PAIRS:
            return 0.0 * (a.sum() + b.sum())
        others = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
        rows = [(v @ v.T / _TEMPERATURE)[others].reshape(len(a), -1) for v in (a, b)]
        p, q = (F.log_softmax(r, dim=1) for r in rows)
        return 0.5 * ((p.exp() - q.exp()) * (p - q)).sum(dim=1).mean()

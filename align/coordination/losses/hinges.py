"""Losses that ask for a margin: every right pair must beat the wrong ones by so much, and no more."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["MARGIN", "hardest_hinge", "triplet_hinge"]

MARGIN = 2.0  # in logits: a cosine margin of 0.2 under the coordinator's first scale of 10


def triplet_hinge(logits: torch.Tensor, positive: torch.Tensor, margin: float = MARGIN) -> torch.Tensor:
    """Hinge over all triplets of a row, a right and a wrong column.

    ``mean_i mean_{j in P_i} mean_{k not in P_i} max(0, margin - l_ij + l_ik)`` over the rows that have both.

    Args:
        logits: (n, m) similarities over temperature.
        positive: (n, m) bool; rows without a positive do not count, rows without a negative cost 0.
        margin: in the unit of the logits, >= 0.

    Returns:
        Scalar, 0 when no row has a positive.

    Time O(n m log m), memory O(n m): negatives are sorted once, and each positive meets a prefix sum of them.

    Reference: Kiros, Salakhutdinov & Zemel, arXiv 1411.2539, equation 7. Departure: means instead of sums, so
    that the number of texts does not change the size of the loss.

    >>> float(triplet_hinge(torch.tensor([[3.0, 2.0, 0.0]]), torch.tensor([[True, False, False]])))
    0.5
    """
    positive = positive > 0
    logits, positive = _with_positive(logits, positive)
    if not len(logits):
        return logits.sum() * 0.0
    wrong = logits.masked_fill(positive, -torch.inf).sort(dim=1, descending=True).values
    n_wrong = (~positive).sum(1, keepdim=True)
    ascending = -wrong.detach().contiguous()
    worse = torch.searchsorted(ascending, margin - logits.detach())  # how many have l_ik > l_ij - margin
    total = F.pad(wrong.masked_fill(wrong == -torch.inf, 0.0).cumsum(1), (1, 0)).gather(1, worse)
    each = (worse * (margin - logits) + total) * positive / n_wrong.clamp(min=1)
    return (each.sum(1) / positive.sum(1)).mean()


def hardest_hinge(logits: torch.Tensor, positive: torch.Tensor, margin: float = MARGIN) -> torch.Tensor:
    """Hinge of each right column against the hardest wrong one of its row (VSE++).

    ``mean_i mean_{j in P_i} max(0, margin - l_ij + max_{k not in P_i} l_ik)``. Duplicates and paraphrases are
    positives, so that the hardest negative is never a true one in other words.

    Args:
        logits, positive, margin: as in ``triplet_hinge``.

    Returns:
        Scalar, 0 when no row has a positive.

    Reference: Faghri, Fleet, Kiros & Fidler, arXiv 1707.05612, equation 6.

    >>> float(hardest_hinge(torch.tensor([[3.0, 2.0, 0.0]]), torch.tensor([[True, False, False]])))
    1.0
    """
    positive = positive > 0
    logits, positive = _with_positive(logits, positive)
    if not len(logits):
        return logits.sum() * 0.0
    hardest = logits.masked_fill(positive, -torch.inf).max(1, keepdim=True).values
    each = (margin - logits + hardest).clamp(min=0.0) * positive
    return (each.sum(1) / positive.sum(1)).mean()


def _with_positive(logits: torch.Tensor, positive: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows = positive.any(1)
    return logits[rows], positive[rows]

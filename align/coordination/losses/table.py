"""Losses that hold the two encoders to agree: pure functions of similarities and of which pairs belong.

``LOSSES`` is the table by name. In all of them a duplicate or a paraphrase of the right text is a positive, never a
negative, and a row without a positive does not count. ``chunked.py`` has those for batches too large for a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F

from align.coordination.losses.hinges import hardest_hinge, triplet_hinge
from align.errors import ParameterError

__all__ = [
    "LOSSES",
    "PairLoss",
    "both_ways",
    "mil_nce",
    "multi_positive_nce",
    "pair_loss",
    "pairwise_sigmoid",
    "soft_frame_loss",
    "soft_targets",
    "symmetric_nce",
]

PairLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_OUT = -1e9


def pair_loss(name: str) -> PairLoss:
    """The loss of that name: ``loss(logits (n, m), positive (n, m)) -> scalar``.

    Args:
        name: a key of ``LOSSES``.

    Raises:
        ParameterError: another name.

    >>> pair_loss("nce") is multi_positive_nce
    True
    """
    if name not in LOSSES:
        raise ParameterError("loss", name, ", ".join(LOSSES))
    return LOSSES[name]


def both_ways(loss: PairLoss, logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Mean of a loss over rows and over columns: streams choose among texts, and texts among streams.

    Args:
        loss: of ``LOSSES``.
        logits: (n, m).
        positive: (n, m) bool, or weights where the loss takes them.
    """
    return 0.5 * (loss(logits, positive) + loss(logits.T, positive.T))


def multi_positive_nce(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """InfoNCE over rows in which several columns may be right, each against the wrong ones only.

    ``mean_i mean_{j in P_i} -log( exp(l_ij) / (exp(l_ij) + sum_{k not in P_i} exp(l_ik)) )``: a duplicate or a
    paraphrase of the right text is never a negative. With one positive a row this is InfoNCE.

    Args:
        logits: (n, m) similarities over temperature.
        positive: (n, m) bool; rows without a positive do not count.

    Returns:
        Scalar, 0 when no row has a positive.

    References:
        van den Oord et al., arXiv 1807.03748, eq. 4; Khosla et al., arXiv 2004.11362, eq. 2 (mean outside the log).
    """
    count = positive.sum(1)
    rows = count > 0
    if not bool(rows.any()):
        return logits.sum() * 0.0
    logits, positive, count = logits[rows], positive[rows], count[rows]
    wrong = torch.logsumexp(logits.masked_fill(positive, _OUT), dim=1, keepdim=True)
    each = F.softplus(wrong - logits) * positive
    return (each.sum(1) / count).mean()


def symmetric_nce(a: torch.Tensor, b: torch.Tensor, same: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE of paired embeddings (CLIP), pairs that mean the same masked as positives.

    Args:
        a: (n, d) unit-norm embeddings of one modality.
        b: (n, d) of the other; row i belongs to row i.
        same: (n, n) bool, True on the diagonal.
        scale: inverse temperature.

    References:
        Radford et al., arXiv 2103.00020, figure 3.
    """
    logits = scale * (a @ b.T)
    return 0.5 * (multi_positive_nce(logits, same) + multi_positive_nce(logits.T, same.T))


def mil_nce(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """InfoNCE of a bag: it is enough that one of a row's positives is right, whichever it is.

    ``mean_i -log( sum_{j in P_i} w_ij exp(l_ij) / (sum_{j in P_i} w_ij exp(l_ij) + sum_{k not in P_i} exp(l_ik)) )``
    with all w = 1 where ``positive`` is bool: for notes whose time is only roughly known, P_i the candidates.

    Args:
        logits: (n, m) similarities over temperature.
        positive: (n, m) bool, or weights >= 0 of the bag's members (a time prior), 0 for negatives.

    Returns:
        Scalar, 0 when no row has a positive.

    Reference: Miech et al., arXiv 1912.06430, equation 1; the weights are ours.

    >>> round(float(mil_nce(torch.zeros(1, 4), torch.tensor([[True, True, False, False]]))), 4)
    0.6931
    """
    logits, weight = _with_positive(logits, positive)
    if not len(logits):
        return logits.sum() * 0.0
    negative = weight == 0
    bag = torch.logsumexp((logits + weight.clamp(min=1e-30).log()).masked_fill(negative, _OUT), dim=1)
    wrong = torch.logsumexp(logits.masked_fill(~negative, _OUT), dim=1)
    return F.softplus(wrong - bag).mean()


def pairwise_sigmoid(
    logits: torch.Tensor, positive: torch.Tensor, bias: float | torch.Tensor | None = None
) -> torch.Tensor:
    """Each pair a yes-or-no question of its own, without a softmax (SigLIP).

    ``mean_i sum_j -w_ij log sigmoid(l_ij + bias) - (1 - w_ij) log sigmoid(-l_ij - bias)``.

    Args:
        logits: (n, m) similarities over temperature.
        positive: (n, m) bool, or weights w in [0, 1].
        bias: log odds of a pair that says nothing; None: those of the positives among the counted pairs, without
            gradient. A tensor may be learned.

    Returns:
        Scalar, 0 when no row has a positive.

    Reference: Zhai et al., arXiv 2303.15343, algorithm 1. Departure: the default bias; theirs is learned from -10,
    the log odds of one right text among 32,768.
    """
    logits, weight = _with_positive(logits, positive)
    if not len(logits):
        return logits.sum() * 0.0
    if bias is None:
        share = weight.mean().clamp(1e-6, 1.0 - 1e-6)
        bias = torch.logit(share)
    z = logits + bias
    return (F.softplus(z) - weight * z).sum(1).mean()


def soft_targets(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Cross entropy against weights: the variant for notes whose place is a distribution.

    ``mean_i -sum_j w_ij log softmax(l_i)_j`` with every row's weights scaled to sum 1.

    Args:
        logits: (n, m) similarities over temperature.
        positive: (n, m) weights >= 0, or bool: equal weights.

    Returns:
        Scalar, 0 when no row has a positive weight. Never below the mean entropy of the weights.
    """
    logits, weight = _with_positive(logits, positive)
    if not len(logits):
        return logits.sum() * 0.0
    return soft_frame_loss(logits, weight / weight.sum(1, keepdim=True))


def soft_frame_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy of frames against a distribution over columns (a posterior): ``mean -sum_j t_ij log p_ij``.

    Args:
        logits: (n, m).
        target: (n, m), rows that sum to 1.
    """
    return -(target * F.log_softmax(logits, dim=1)).sum(1).mean()


def _with_positive(logits: torch.Tensor, positive: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows that have a positive, with their weights as numbers."""
    rows = (positive > 0).any(1)
    return logits[rows], positive[rows].to(logits.dtype)


LOSSES: Mapping[str, PairLoss] = MappingProxyType(
    {
        "nce": multi_positive_nce,
        "siglip": pairwise_sigmoid,
        "triplet": triplet_hinge,
        "vse++": hardest_hinge,
        "mil-nce": mil_nce,
        "soft": soft_targets,
    }
)

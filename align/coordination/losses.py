"""Losses that hold the two encoders to agree: pure functions of similarities and of which pairs belong."""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["multi_positive_nce", "soft_frame_loss", "symmetric_nce"]

_OUT = -1e9


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


def soft_frame_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy of frames against a distribution over columns (a posterior): ``mean -sum_j t_ij log p_ij``.

    Args:
        logits: (n, m).
        target: (n, m), rows that sum to 1.
    """
    return -(target * F.log_softmax(logits, dim=1)).sum(1).mean()

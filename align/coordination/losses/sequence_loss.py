"""Learning from order alone: the notes in the order written must warp onto the stream better than shuffled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from align.errors import ParameterError
from align.warping.soft import soft_dtw_of_costs

__all__ = ["order_contrast", "order_costs", "order_hinge", "other_orders"]

_TRIES = 8  # draws per order wanted: with few notes there may be no more orders


def order_costs(
    costs: Tensor, orders: Tensor, *, nothing: Tensor | None = None, gamma: float = 0.1
) -> Tensor:
    """What each order of the notes costs a frame: soft-DTW of the frames with the notes in that order.

    ``soft_dtw(costs[:, order]) / n_frames``, every frame and every note visited, in order; with ``nothing`` that
    column before, between and after the notes.

    Args:
        costs: (n_frames, n_notes) float32 or float64, low where a frame fits a note; as
            ``-log_softmax(logits, dim=1)`` or one minus a similarity. n_frames >= 1, n_notes >= 1.
        orders: (n_orders, n_notes) int64, each a permutation of the notes.
        nothing: (n_frames,) cost of a frame of which no note speaks, dtype of the costs; each of the n_notes + 1
            places takes at least one frame, which it may share with a note. None: notes speak of every frame.
        gamma: softness in the unit of the costs, > 0.

    Returns:
        (n_orders,), differentiable in the costs.

    Raises:
        ParameterError: shapes, dtypes or gamma do not fit.

    Time O(n_orders n_frames n_notes); memory with gradients that many numbers.

    Reference: Chang et al., arXiv 1901.02598, section 3. Departures: soft-DTW's three steps, so that a frame
    may belong to two neighbouring notes; costs per frame, so that a margin means the same for all recordings.

    >>> costs = torch.tensor([[0.0, 9.0], [9.0, 0.0]])
    >>> [round(abs(float(c)), 1) for c in order_costs(costs, torch.tensor([[0, 1], [1, 0]]))]
    [0.0, 8.9]
    """
    if costs.ndim != 2 or 0 in costs.shape or costs.dtype not in (torch.float32, torch.float64):
        found = f"{costs.dtype} {tuple(costs.shape)}"
        raise ParameterError("costs", found, "(n_frames, n_notes) float32 or float64, both >= 1")
    if orders.ndim != 2 or orders.shape[1] != costs.shape[1] or orders.dtype != torch.int64:
        found = f"{orders.dtype} {tuple(orders.shape)}"
        raise ParameterError("orders", found, f"(n_orders, {costs.shape[1]}) int64")
    arranged = costs[:, orders].transpose(0, 1)  # (n_orders, n_frames, n_notes)
    if nothing is not None:
        if nothing.shape != costs.shape[:1] or nothing.dtype != costs.dtype:
            found = f"{nothing.dtype} {tuple(nothing.shape)}"
            raise ParameterError("nothing", found, f"{costs.dtype} ({len(costs)},)")
        between = nothing[None, :, None].expand_as(arranged)
        arranged = torch.stack([between, arranged], dim=3).flatten(2)
        arranged = torch.cat([arranged, between[:, :, :1]], dim=2)
    return soft_dtw_of_costs(arranged.contiguous(), gamma=gamma) / len(costs)


def order_hinge(
    costs: Tensor,
    orders: Tensor,
    *,
    nothing: Tensor | None = None,
    gamma: float = 0.1,
    margin: float = 0.1,
) -> Tensor:
    """Hinge: the order written must be cheaper than every other one, by a margin per frame.

    ``mean_k max(0, margin + c_written - c_k)``, c as in ``order_costs``.

    Args:
        costs, nothing, gamma: as in ``order_costs``; the columns in the order written.
        orders: (n_orders, n_notes) int64, wrong ones (``other_orders``); none at all cost 0.
        margin: per frame, in the unit of the costs, >= 0.

    Returns:
        Scalar.

    Reference: Chang et al., arXiv 1901.02598, section 3 (one shuffled order there).
    """
    if not math.isfinite(margin) or margin < 0:
        raise ParameterError("margin", margin, "a finite number >= 0")
    if not len(orders):
        return costs.sum() * 0.0
    written, others = _split(costs, orders, nothing, gamma)
    return (margin + written - others).clamp(min=0.0).mean()


def order_contrast(
    costs: Tensor,
    orders: Tensor,
    *,
    nothing: Tensor | None = None,
    gamma: float = 0.1,
    temperature: float = 0.1,
) -> Tensor:
    """Cross entropy: how improbable the order written is beside the others.

    ``-log( exp(-c_written / t) / (exp(-c_written / t) + sum_k exp(-c_k / t)) )``, c as in ``order_costs``.

    Args:
        costs, orders, nothing, gamma: as in ``order_hinge``.
        temperature: t, per frame, in the unit of the costs, > 0.

    Returns:
        Scalar.
    """
    if not math.isfinite(temperature) or temperature <= 0:
        raise ParameterError("temperature", temperature, "a finite number > 0")
    if not len(orders):
        return costs.sum() * 0.0
    written, others = _split(costs, orders, nothing, gamma)
    return F.softplus(torch.logsumexp((written - others) / temperature, 0))


def other_orders(texts: Sequence[int], number: int, generator: torch.Generator | None = None) -> Tensor:
    """Orders of the notes that read differently from the one written, drawn at random and all different.

    Args:
        texts: what each note says, as a number: notes that say the same (paraphrases) have the same, and an order
            that only swaps those is the one written, not a wrong one.
        number: how many, >= 0.
        generator: of random numbers; None: torch's own.

    Returns:
        (k, n_notes) int64 permutations, k <= number: fewer where there are no more, none where all notes say the
        same. No two read the same.
    """
    if number < 0:
        raise ParameterError("number", number, ">= 0")
    written = tuple(int(t) for t in texts)
    seen = {written}
    found: list[Tensor] = []
    for _ in range(_TRIES * number):
        if len(found) == number:
            break
        order = torch.randperm(len(written), generator=generator)
        reads = tuple(written[i] for i in order.tolist())
        if reads not in seen:
            seen.add(reads)
            found.append(order)
    return torch.stack(found) if found else torch.empty((0, len(written)), dtype=torch.int64)


def _split(costs: Tensor, orders: Tensor, nothing: Tensor | None, gamma: float) -> tuple[Tensor, Tensor]:
    """Costs of the order written and of the others."""
    as_written = torch.arange(costs.shape[1], device=orders.device)[None]
    found = order_costs(costs, torch.cat([as_written, orders]), nothing=nothing, gamma=gamma)
    return found[0], found[1:]

"""Soft-DTW for torch: a smooth warping loss, its divergence, the expected alignment; on the CPU or a CUDA card."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from align.errors import ParameterError, ResourceError

__all__ = ["soft_dtw", "soft_dtw_alignment", "soft_dtw_divergence", "soft_dtw_of_costs"]

_LARGEST = 1e60  # of values, costs and gamma, and the smallest gamma's inverse: exponents stay below 1e190
_MOST_CELLS = 1 << 28  # 16 bytes each for one pair's shares: 4 GiB
_BUDGET = 1 << 30  # bytes of a card for shares and expected alignments at a time
_GRID, _MOST_RATIO = 65_535, 1e15  # blocks along the last side of a grid; largest cost / gamma on a card
_SMALL = 1 << 22  # cells: fewer are done before a second thread has begun


def soft_dtw(
    x: Tensor,
    y: Tensor,
    *,
    gamma: float = 1.0,
    lengths_x: Tensor | None = None,
    lengths_y: Tensor | None = None,
) -> Tensor:
    """The soft-DTW of pairs of series, differentiable in both.

    With costs c(i, j) = |x_i - y_j|^2, ``-gamma log sum over warping paths of exp(-total cost / gamma)``:
    never above the square of ``dtw_distance``, which it tends to as gamma -> 0, and below 0 where many paths are
    nearly as good. tslearn's ``soft_dtw`` under squared Euclidean costs.

    Args:
        x: (batch, n, d) float32 or float64, or (n, d) for one pair; magnitudes up to 1e60.
        y: (batch, m, d), or (m, d); same dtype and device.
        gamma: softness, in the unit of the costs, 1e-60 to 1e60.
        lengths_x: (batch,) integers in 1..n: only so many rows of each x count; None: all.
        lengths_y: (batch,) integers in 1..m.

    Returns:
        (batch,) losses in the dtype of x. Computed in float64 on the CPU, in x's dtype on a card; both give the
        same bits on every run, however many threads there are. Padding gets gradient 0 and may hold anything.

    Raises:
        ParameterError: shapes, dtypes, devices, lengths or gamma do not fit, a row that counts is not finite, or a
            second derivative is asked for (``create_graph``): there is none.
        ResourceError: E-MEMORY, over 2^28 cells of (n + m) * min(n, m) in one pair; E-DEVICE, no CUDA compiler.

    Time O(batch n m d). Memory without gradients O(n + m) per pair; with them 16 bytes per cell of (n + m) *
    min(n, m) for one pair per thread on the CPU, and two numbers per such cell for all pairs on a card.

    Reference: Cuturi & Blondel 2017, algorithms 1 and 2. Departure: no logarithms (``kernels/soft_dtw.py``).

    >>> soft_dtw(torch.zeros(1, 1, 1), torch.full((1, 1, 1), 3.0)).tolist()
    [9.0]
    """
    x, y = _as_pairs(x, y)
    sizes = _sizes(x.shape[:2], y.shape[1], lengths_x, lengths_y)
    _check_gamma(gamma)
    _check_rows(x, sizes[:, 0], "x")
    _check_rows(y, sizes[:, 1], "y")
    _check_cells(sizes)
    losses: Tensor = _SeriesLoss.apply(x, y, sizes, float(gamma), torch.is_grad_enabled())  # type: ignore[no-untyped-call]
    return losses


def soft_dtw_divergence(
    x: Tensor,
    y: Tensor,
    *,
    gamma: float = 1.0,
    lengths_x: Tensor | None = None,
    lengths_y: Tensor | None = None,
) -> Tensor:
    """``soft_dtw(x, y) - (soft_dtw(x, x) + soft_dtw(y, y)) / 2``: at least 0, and 0 where x equals y.

    Unlike ``soft_dtw`` itself it is a loss whose least value is at x = y.

    Args:
        x, y, gamma, lengths_x, lengths_y: as in ``soft_dtw``.

    Returns:
        (batch,) in the dtype of x.

    Raises:
        ParameterError, ResourceError: as ``soft_dtw``.

    Reference: Blondel, Mensch & Vert 2021, equation 8.
    """
    own_x = soft_dtw(x, x, gamma=gamma, lengths_x=lengths_x, lengths_y=lengths_x)
    own_y = soft_dtw(y, y, gamma=gamma, lengths_x=lengths_y, lengths_y=lengths_y)
    return soft_dtw(x, y, gamma=gamma, lengths_x=lengths_x, lengths_y=lengths_y) - 0.5 * (own_x + own_y)


def soft_dtw_of_costs(costs: Tensor, *, gamma: float = 1.0, lengths: Tensor | None = None) -> Tensor:
    """The soft-DTW of given cost matrices, differentiable in the costs: a loss over any (dis)similarity.

    Every row and every column is visited, in order. Costs may be negative (similarities with the sign turned).

    Args:
        costs: (batch, n, m) float32 or float64, or (n, m) for one; magnitudes up to 1e60.
        gamma: softness, in the unit of the costs, 1e-60 to 1e60.
        lengths: (batch, 2) integers: the rows and columns of each that count; None: all.

    Returns:
        (batch,) losses in the dtype of costs; their gradient is ``soft_dtw_alignment``.

    Raises:
        ParameterError, ResourceError: as ``soft_dtw``.

    Reference: Cuturi & Blondel 2017, section 2.
    """
    costs, sizes = _as_costs(costs, gamma, lengths)
    losses: Tensor = _CostLoss.apply(costs, sizes, float(gamma), torch.is_grad_enabled())  # type: ignore[no-untyped-call]
    return losses


def soft_dtw_alignment(costs: Tensor, *, gamma: float = 1.0, lengths: Tensor | None = None) -> Tensor:
    """The expected alignment: how probable it is that a warping path visits each cell.

    A path's probability is proportional to exp(-total cost / gamma). The matrix is 1 at both corners of what
    counts and 0 beyond; as gamma -> 0 it becomes the best path. It carries no gradient itself.

    Args:
        costs, gamma, lengths: as in ``soft_dtw_of_costs``.

    Returns:
        (batch, n, m), or (n, m) for one matrix, in [0, 1], in the dtype of costs.

    Raises:
        ParameterError, ResourceError: as ``soft_dtw``.

    Reference: Cuturi & Blondel 2017, algorithm 2.
    """
    one = costs.ndim == 2
    costs, sizes = _as_costs(costs, gamma, lengths)
    expected = _cost_loss(costs.detach(), sizes, float(gamma), True)[1]
    return expected[0] if one else expected


class _SeriesLoss(torch.autograd.Function):
    """Goes there and back at once, so that only the gradients are kept: a loss per pair scales them later."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, sizes: Tensor, gamma: float, wanted: bool) -> Tensor:
        wanted = wanted and any(ctx.needs_input_grad)
        losses, grad_x, grad_y = _series_loss(x.detach(), y.detach(), sizes, gamma, wanted)
        ctx.save_for_backward(grad_x, grad_y)
        return losses

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivative()
        needs = zip(ctx.saved_tensors, ctx.needs_input_grad[:2], strict=True)
        return *(g * upstream[:, None, None] if needed else None for g, needed in needs), None, None, None


class _CostLoss(torch.autograd.Function):
    """The same over given costs: the gradient is the expected alignment."""

    @staticmethod
    def forward(ctx: Any, costs: Tensor, sizes: Tensor, gamma: float, wanted: bool) -> Tensor:
        losses, expected = _cost_loss(costs.detach(), sizes, gamma, wanted and any(ctx.needs_input_grad))
        ctx.save_for_backward(expected)
        return losses

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivative()
        (expected,) = ctx.saved_tensors
        return expected * upstream[:, None, None], None, None, None


def _refuse_second_derivative() -> None:
    """Within a backward pass gradients are on only to build a graph of it, in which this would be a constant."""
    if torch.is_grad_enabled():
        raise ParameterError("create_graph", True, "False: soft-DTW has no second derivative here")


def _series_loss(x: Tensor, y: Tensor, sizes: Tensor, gamma: float, wanted: bool) -> tuple[Tensor, ...]:
    if x.is_cuda:
        return _on_card(_series_on_card, (x, y), sizes, gamma, wanted)
    from align.kernels.soft_dtw import soft_dtw_series

    first, second = (_as_array(t) for t in (x, y))
    parts = [first, second, sizes.numpy(), np.zeros(len(first))]
    grads = [np.zeros(a.shape if wanted else (0, 0, 0)) for a in (first, second)]

    def work(part: slice) -> None:
        a, b, counts, losses = (array[part] for array in parts)
        soft_dtw_series(a, b, counts, gamma, losses, grads[0][part], grads[1][part])

    _in_threads(work, sizes)
    return tuple(torch.from_numpy(a).to(x.dtype) for a in (parts[3], *grads))


def _cost_loss(costs: Tensor, sizes: Tensor, gamma: float, wanted: bool) -> tuple[Tensor, ...]:
    if costs.is_cuda:
        return _on_card(_costs_on_card, (costs,), sizes, gamma, wanted)
    from align.kernels.soft_dtw import soft_dtw_costs

    array = _as_array(costs)
    losses, expected = np.zeros(len(array)), np.zeros(array.shape if wanted else (0, 0, 0))

    def work(part: slice) -> None:
        soft_dtw_costs(array[part], sizes.numpy()[part], gamma, losses[part], expected[part])

    _in_threads(work, sizes)
    return torch.from_numpy(losses).to(costs.dtype), torch.from_numpy(expected).to(costs.dtype)


def _on_card(
    work: Callable[..., tuple[Tensor, ...]],
    inputs: tuple[Tensor, ...],
    sizes: Tensor,
    gamma: float,
    wanted: bool,
) -> tuple[Tensor, ...]:
    """Do parts of the batch that fit the budget one after another, on torch's own stream."""
    from align.kernels.cuda_dtw import has_card

    device = inputs[0].device
    if not has_card(device.index):
        raise ResourceError(
            "E-DEVICE",
            f"torch has {device} and numba has no CUDA card",
            hint='pip install "numba-cuda[cu13]"',
        )
    largest = max(float(t.abs().nan_to_num(0.0, 0.0).max()) for t in inputs)
    ratio = (largest if len(inputs) == 1 else 4.0 * largest**2 * inputs[0].shape[2]) / gamma
    if ratio > _MOST_RATIO:
        raise ParameterError(
            "gamma", gamma, "at least 1e-15 of the largest cost on a card", hint="use the CPU"
        )
    n, m = inputs[0].shape[1], inputs[-1].shape[1 if len(inputs) == 2 else 2]
    bytes_of_pair = 2 * min(n, m) * (n + m) * 3 * inputs[0].element_size()
    size = max(1, min(_GRID, _BUDGET // bytes_of_pair))
    if len(inputs) == 2:  # padding may hold anything, and 0 * NaN is NaN
        inputs = tuple(_without_padding(t, sizes[:, side]) for side, t in enumerate(inputs))
    with torch.cuda.device(device):
        parts = [
            work(*(t[k : k + size] for t in inputs), sizes[k : k + size].to(device), gamma, wanted)
            for k in range(0, len(sizes), size)
        ]
    return tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))


def _series_on_card(x: Tensor, y: Tensor, sizes: Tensor, gamma: float, wanted: bool) -> tuple[Tensor, ...]:
    if x.shape[1] > y.shape[1]:  # the shorter side gives the rows
        losses, grad_y, grad_x = _series_on_card(y, x, sizes.flip(1), gamma, wanted)
        return losses, grad_x, grad_y
    turned = [t.transpose(1, 2).contiguous() for t in (x, y)]
    losses, expected = _recursion_on_card("local_series", turned, y.shape[1], sizes, gamma, wanted)
    if not wanted:
        return losses, x.new_empty(0), x.new_empty(0)
    centre = x.mean(dim=(0, 1))  # differences do not see it, sums of products would drown in it
    x, y = x - centre, y - centre
    grad_x = 2.0 * (expected.sum(2, keepdim=True) * x - expected @ y)
    grad_y = 2.0 * (expected.sum(1)[:, :, None] * y - expected.transpose(1, 2) @ x)
    return losses, grad_x, grad_y


def _costs_on_card(costs: Tensor, sizes: Tensor, gamma: float, wanted: bool) -> tuple[Tensor, ...]:
    if costs.shape[1] > costs.shape[2]:
        turned = costs.transpose(1, 2)
        losses, expected = _costs_on_card(turned, sizes.flip(1), gamma, wanted)
        return losses, expected.transpose(1, 2) if wanted else expected
    return _recursion_on_card("local_costs", [costs.contiguous()], costs.shape[2], sizes, gamma, wanted)


def _recursion_on_card(
    fill: str, inputs: list[Tensor], m: int, sizes: Tensor, gamma: float, wanted: bool
) -> tuple[Tensor, Tensor]:
    """Losses and expected alignments of a part of the batch; ``fill`` names the kernel that writes local costs."""
    from align.kernels.cuda_soft_dtw import MOST_THREADS, external_stream, soft_kernels

    like, batch = inputs[0], len(sizes)
    n = like.shape[2] if fill == "local_series" else like.shape[1]
    kernels = soft_kernels(np.float32 if like.dtype == torch.float32 else np.float64)
    stream = external_stream(torch.cuda.current_stream().cuda_stream)
    height = min(MOST_THREADS, 32 * -(-n // 32))
    local = like.new_empty((batch, -(-n // height), m + height - 1, height))
    lefts = torch.empty_like(local) if wanted else local  # unwanted shares may fall onto each other
    edge, sums = (
        sizes.new_empty((batch, 2, m), dtype=torch.float64),
        sizes.new_empty(batch, dtype=torch.float64),
    )
    steps = local.shape[2] if fill == "local_costs" else -(-local.shape[2] // 4)
    scale = -1.0 / (gamma * math.log(2.0))
    getattr(kernels, fill)[(steps, local.shape[1], batch), height, stream](*inputs, sizes, scale, local)
    kernels.there[batch, height, stream](local, lefts, sizes, edge, sums)
    expected = like.new_zeros((batch, n, m) if wanted else (0,))
    if wanted:
        kernels.back[batch, height, stream](local, lefts, sizes, edge, expected)
    return (sums / scale).to(like.dtype), expected


def _without_padding(values: Tensor, counts: Tensor) -> Tensor:
    if not bool((counts != values.shape[1]).any()):
        return values
    beyond = torch.arange(values.shape[1], device=values.device)[None] >= counts.to(values.device)[:, None]
    return values.masked_fill(beyond[:, :, None], 0.0)


def _as_array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.ascontiguousarray(tensor.to(torch.float64).numpy())


def _in_threads(work: Callable[[slice], None], sizes: Tensor) -> None:
    """Do slices of the batch side by side: kernels release the GIL, and no pair looks at another."""
    batch = len(sizes)
    n_threads = min(torch.get_num_threads(), batch)
    if n_threads <= 1 or int((sizes[:, 0] * sizes[:, 1]).sum()) < _SMALL:
        work(slice(0, batch))
        return
    edges = [batch * k // n_threads for k in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(work, slice(*edges[k : k + 2])) for k in range(n_threads)]:
            done.result()


def _as_pairs(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    for name, tensor in (("x", x), ("y", y)):
        _check_tensor(name, tensor, "(batch, rows, d) or (rows, d)")
    if x.dtype != y.dtype or x.device != y.device:
        raise ParameterError("y", f"{y.dtype} on {y.device}", f"{x.dtype} on {x.device}, like x")
    if x.ndim != y.ndim or x.shape[-1] != y.shape[-1] or (x.ndim == 3 and len(x) != len(y)):
        raise ParameterError("y", f"shape {tuple(y.shape)}", f"the batch and channels of x, {tuple(x.shape)}")
    return (x, y) if x.ndim == 3 else (x[None], y[None])


def _as_costs(costs: Tensor, gamma: float, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    _check_tensor("costs", costs, "(batch, n, m) or (n, m)")
    _check_gamma(gamma)
    if costs.ndim == 2:
        costs = costs[None]
    if lengths is not None and (lengths.ndim != 2 or lengths.shape[1] != 2):
        raise ParameterError("lengths", f"shape {tuple(lengths.shape)}", f"({len(costs)}, 2): rows, columns")
    rows, columns = (None, None) if lengths is None else (lengths[:, 0], lengths[:, 1])
    sizes = _sizes(costs.shape[:2], costs.shape[2], rows, columns)
    _check_rows(costs, sizes[:, 0], "costs", sizes[:, 1])
    _check_cells(sizes)
    return costs, sizes


def _check_tensor(name: str, tensor: Tensor, shapes: str) -> None:
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ParameterError(name, str(tensor.dtype), "torch.float32 or torch.float64")
    if tensor.ndim not in (2, 3) or 0 in tensor.shape:
        raise ParameterError(name, f"shape {tuple(tensor.shape)}", f"{shapes}, no side of 0")
    if tensor.device.type not in ("cpu", "cuda"):
        raise ParameterError(name, f"a tensor on {tensor.device}", "one on the CPU or a CUDA card")


def _check_gamma(gamma: float) -> None:
    if not (isinstance(gamma, int | float) and 1 / _LARGEST <= gamma <= _LARGEST):
        raise ParameterError("gamma", gamma, f"a number from {1 / _LARGEST:g} to {_LARGEST:g}")


def _sizes(x_shape: torch.Size, m: int, lengths_x: Tensor | None, lengths_y: Tensor | None) -> Tensor:
    """(batch, 2) int64 on the CPU: the rows of each pair that count."""
    batch, n = x_shape
    sizes = torch.empty((batch, 2), dtype=torch.int64)
    for column, (most, lengths) in enumerate(((n, lengths_x), (m, lengths_y))):
        if lengths is None:
            sizes[:, column] = most
            continue
        if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise ParameterError(
                "lengths", f"{lengths.dtype} of shape {tuple(lengths.shape)}", f"integers of shape ({batch},)"
            )
        sizes[:, column] = lengths.detach().cpu()
        if not ((sizes[:, column] >= 1) & (sizes[:, column] <= most)).all():
            raise ParameterError("lengths", "one below 1 or beyond the rows given", f"1 to {most}")
    return sizes


def _check_rows(values: Tensor, counts: Tensor, name: str, columns: Tensor | None = None) -> None:
    """Refuse what is not finite, or too large, in the rows and columns that count."""
    values = _without_padding(values.detach(), counts)
    if columns is not None:
        values = _without_padding(values.transpose(1, 2), columns)
    if not float(values.abs().max()) <= _LARGEST:  # so that NaN is refused too
        raise ParameterError(name, "NaN, infinite or huge values", f"finite numbers up to {_LARGEST:g}")


def _check_cells(sizes: Tensor) -> None:
    cells = int((sizes.sum(dim=1) * sizes.amin(dim=1)).max())
    if cells > _MOST_CELLS:
        raise ResourceError(
            "E-MEMORY",
            f"one pair takes {cells} cells of (n + m) * min(n, m); allowed: {_MOST_CELLS}",
            hint="shorten or average the series",
        )

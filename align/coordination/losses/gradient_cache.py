"""Gradients of a large batch in the memory of a small one: embeddings first, then their graph chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from align.errors import ParameterError

__all__ = ["cached_backward"]

Encoder = Callable[[Tensor], Tensor]


def cached_backward(
    encoders: Sequence[Encoder], inputs: Sequence[Tensor], loss: Callable[..., Tensor], chunk: int
) -> Tensor:
    """Backward of ``loss(encoder_1(x_1), encoder_2(x_2), ...)`` holding the graph of one chunk at a time.

    Every encoder runs over its input in chunks without a graph; the loss of all embeddings gives their gradients (and
    those of what the loss holds itself, such as a temperature); then each chunk is encoded once more, with the random
    state of the first time so that dropout falls on the same places, and its embeddings' gradients go down.
    Parameters get, added to what they have, the gradient of the whole batch: the same numbers up to rounding.

    Args:
        encoders: each (k, ...) -> (k, d), row by row: no row may see another one of its chunk (no batch norm).
        inputs: as many tensors (n, ...); n may differ between them.
        loss: of as many tensors (n, d) -> scalar.
        chunk: rows encoded at a time, >= 1.

    Returns:
        The loss, without a graph.

    Raises:
        ParameterError: ``chunk`` below 1, or not as many inputs as encoders.

    Time: one more forward pass. Reference: Gao et al., arXiv 2101.06983, section 3.2.
    """
    if chunk < 1:
        raise ParameterError("chunk", chunk, ">= 1")
    if len(encoders) != len(inputs):
        raise ParameterError("inputs", len(inputs), f"one per encoder, {len(encoders)}")
    first = [_without_graph(encode, x, chunk) for encode, x in zip(encoders, inputs, strict=True)]
    value = loss(*(whole for whole, _ in first))
    value.backward()  # type: ignore[no-untyped-call]
    for encode, x, (whole, states) in zip(encoders, inputs, first, strict=True):
        if whole.grad is None:  # the loss does not look at it
            continue
        for piece, gradient, state in zip(
            torch.split(x, chunk), torch.split(whole.grad, chunk), states, strict=True
        ):
            with _as_before(state, x.device):
                part = encode(piece)
            if part.requires_grad:
                part.backward(gradient)  # type: ignore[no-untyped-call]
    return value.detach()


def _without_graph(encode: Encoder, x: Tensor, chunk: int) -> tuple[Tensor, list[list[Tensor]]]:
    """Embeddings of all rows, ready for a gradient, and the random state before each chunk."""
    parts, states = [], []
    for piece in torch.split(x, chunk):
        states.append(_random_state(x.device))
        with torch.no_grad():
            parts.append(encode(piece))
    return torch.cat(parts).requires_grad_(), states


def _random_state(device: torch.device) -> list[Tensor]:
    state = [torch.get_rng_state()]
    return [*state, torch.cuda.get_rng_state(device)] if device.type == "cuda" else state


def _set_random_state(state: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if len(state) > 1:
        torch.cuda.set_rng_state(state[1], device)


@contextmanager
def _as_before(state: list[Tensor], device: torch.device) -> Iterator[None]:
    """With the random numbers of an earlier moment; those of now go on afterwards."""
    now = _random_state(device)
    _set_random_state(state, device)
    try:
        yield
    finally:
        _set_random_state(now, device)

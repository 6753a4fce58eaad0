"""A session's inputs through the stream encoder, a stretch at a time: a day needs no more memory than an hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from align.coordination.network.encoders import StreamEncoder

__all__ = ["Encoded", "encode_frames"]

F4 = npt.NDArray[np.float32]
_STRETCH = 32_768  # frames that go through at once: four and a half hours at half a second


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """``vectors`` f4 (n, d) of unit norm, ``nothing`` f4 (n,) logits, ``edges`` f4 (n + 1,) log odds or None."""

    vectors: F4
    nothing: F4
    edges: F4 | None


def encode_frames(encoder: nn.Module, inputs: F4, stretch: int = _STRETCH) -> Encoded:
    """What the stream encoder makes of every frame of one session.

    A recording of at most ``stretch`` frames goes through whole. A longer one goes through a convolutional encoder in
    stretches that overlap by all that a frame can see, so that the numbers are those of the whole but for rounding;
    a transformer has windows of its own.

    Args:
        encoder: as ``stream_encoder`` makes it, in evaluation mode, on the CPU.
        inputs: f4 (n, n_features) as ``model_inputs`` gives them.
        stretch: frames at once, >= 1.
    """
    n = len(inputs)
    if n <= stretch or not isinstance(encoder, StreamEncoder):
        return _whole(encoder, inputs)
    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv1d)]
    reach = sum((layer.kernel_size[0] - 1) * layer.dilation[0] for layer in layers)  # to both sides together
    vectors, nothing, edges = [], [], []
    for low in range(0, n, stretch):
        high, before = min(n, low + stretch), max(0, low - reach)
        made = _whole(encoder, inputs[before : high + reach])
        kept = slice(low - before, high - before)
        vectors.append(made.vectors[kept])
        nothing.append(made.nothing[kept])
        if made.edges is not None:
            edges.append(made.edges[low - before : high - before + (high == n)])
    joined = np.concatenate(edges) if edges else None
    return Encoded(np.concatenate(vectors), np.concatenate(nothing), joined)


@torch.inference_mode()
def _whole(encoder: nn.Module, inputs: F4) -> Encoded:
    embedded, nothing, edges = encoder(torch.from_numpy(inputs)[None])
    return Encoded(embedded[0].numpy(), nothing[0].numpy(), None if edges is None else edges[0].numpy())

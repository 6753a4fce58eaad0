"""The two encoders: frames -> embeddings and a "nothing" logit; text vectors -> the same space.

``stream_encoder`` is where the stream's encoder is chosen: a small temporal convolution, or for a GPU and many hours
a transformer. Both read the columns of ``layout.model_inputs``, in which any session's channels have found their
places, and both can take the raw patches of ``raw.py`` beside the frames.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from align.coordination.functions.table import CoordinationFunction, Cosine
from align.coordination.inputs.layout import Layout
from align.coordination.network.dropout import Dropout
from align.coordination.network.edges import EdgeHead
from align.coordination.network.entry import ConvolutionBlock, Entry
from align.coordination.network.text_projection import TextProjection
from align.coordination.network.transformer import TransformerEncoder
from align.coordination.plan import TrainingPlan
from align.errors import ParameterError

__all__ = ["Coordinator", "StreamEncoder", "TextProjection", "start_trunk", "stream_encoder", "trunk_state"]

_ENTRY = "enter."  # bound to the layout
_HEADS = ("embed.", "nothing.", "edges.")  # bound to the shared space


def stream_encoder(layout: Layout, plan: TrainingPlan) -> nn.Module:
    """The encoder of a model's streams: inputs (batch, time, ``layout.n_features``) -> embeddings, "nothing", edges.

    Args:
        layout: of the model.
        plan: ``encoder_kind``, ``edges``, width, depth and dropout; whether there are raw patches is the layout's.
    """
    raw = layout.raw_columns
    if plan.encoder_kind == "transformer":
        return TransformerEncoder(Entry(layout.n_features, raw, plan.width), layout, plan)
    entry = Entry(layout.n_features, raw, plan.width) if raw else None
    n_features = layout.n_features
    encoder = StreamEncoder(n_features, plan.width, plan.dimension, plan.dilations, plan.dropout, entry)
    encoder.edges = EdgeHead(plan.width) if plan.edges else None
    return encoder


class StreamEncoder(nn.Module):
    """Small temporal convolution over frames: one unit-norm embedding and one "nothing" logit per frame.

    ``edges``: the head that says where spans begin and end, or None.

    Args:
        n_features: columns of a frame.
        width: channels of the hidden layers.
        dimension: of the shared space.
        dilations: one block each; with kernel 5 the receptive field is 1 + 4 sum(dilations) frames.
        dropout: of the hidden layers.
        entry: what reads the columns, where some of them are raw patches; default a linear layer.
    """

    def __init__(
        self,
        n_features: int,
        width: int,
        dimension: int,
        dilations: tuple[int, ...],
        dropout: float,
        entry: Entry | None = None,
    ) -> None:
        super().__init__()
        self.feature_dropout = Dropout(0.1)
        self.enter = entry or nn.Linear(n_features, width)
        self.enter_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(ConvolutionBlock(width, 5, d, dropout) for d in dilations)
        self.leave_norm = nn.LayerNorm(width)
        self.embed = nn.Linear(width, dimension)
        self.nothing = nn.Linear(width, 1)
        self.edges: EdgeHead | None = None

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """(batch, time, n_features) -> what lies in time and what between.

        Returns:
            embeddings (batch, time, dimension), "nothing" (batch, time), and the log odds of an edge before every
            frame and behind the last (batch, time + 1), None without that head.
        """
        h = self.enter_norm(self.enter(self.feature_dropout(frames)))
        for block in self.blocks:
            h = block(h)
        h = self.leave_norm(h)
        edges = None if self.edges is None else self.edges(h)
        return F.normalize(self.embed(h), dim=-1), self.nothing(h)[..., 0], edges


def trunk_state(encoder: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a stream encoder between its entry and its heads: what another training may start from.

    Args:
        encoder: as ``stream_encoder`` makes it.
    """
    own = encoder.state_dict()
    return {k: v.detach().clone() for k, v in own.items() if not k.startswith((_ENTRY, *_HEADS))}


def start_trunk(encoder: nn.Module, trunk: Mapping[str, torch.Tensor]) -> None:
    """Let a stream encoder start from a trunk, as masked prediction on unlabelled streams makes one.

    Args:
        encoder: of the same kind, width and depth; changed in place.
        trunk: as ``trunk_state`` gives it; an entry in it must fit, too; heads are passed over.

    Raises:
        ParameterError: names or shapes that are not this encoder's.
    """
    own, wanted = encoder.state_dict(), trunk_state(encoder).keys()
    given = {k: v for k, v in trunk.items() if not k.startswith(_HEADS)}
    wrong = sorted((wanted - given.keys()) | (given.keys() - own.keys())) + sorted(
        k for k in own.keys() & given.keys() if own[k].shape != given[k].shape
    )
    if wrong:
        raise ParameterError(
            "trunk", f"{len(wrong)} tensors that do not fit, the first {wrong[0]!r}", "the same encoder"
        )
    encoder.load_state_dict(given, strict=False)


class Coordinator(nn.Module):
    """Both encoders and the coordination function, over a learned temperature, against "nothing".

    Args:
        stream: as ``stream_encoder`` makes it.
        text: projection into the same space.
        function: agreement of the two; default the cosine.
        scale: inverse temperature to start from, > 0.
    """

    def __init__(
        self,
        stream: nn.Module,
        text: TextProjection,
        function: CoordinationFunction | None = None,
        scale: float = 10.0,
    ) -> None:
        super().__init__()
        self.stream = stream
        self.text = text
        self.function = function or Cosine(text.project.out_features)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def scale(self) -> torch.Tensor:
        """Inverse temperature, at most 100."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def forward(
        self, frames: torch.Tensor, texts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Frames (batch, time, n_features) and texts (m, text_dimension) -> logits, embeddings and edges.

        Returns:
            logits (batch, time, m + 1), the last column "nothing"; embeddings (batch, time, dimension); log odds of
            an edge (batch, time + 1), None without that head.
        """
        embedded, nothing, edges = self.stream(frames)
        embedded, nothing = embedded.float(), nothing.float()
        with torch.autocast(frames.device.type, enabled=False):  # a logit of 100 times a cosine needs float32
            similarity = self.scale * self.function(embedded, self.text(texts))
        return (
            torch.cat([similarity, nothing[..., None]], dim=-1),
            embedded,
            None if edges is None else edges.float(),
        )

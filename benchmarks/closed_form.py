"""Linear and kernel canonical correlation in the place of trained encoders: a row of benchmarks.coordination.

Paired samples are the frames inside true spans with the vectors of their texts. What canonical correlation does not
say, how sure a frame is and what "nothing" looks like, is learned beside it: a temperature and a linear logit.
Durations and sharpness are those of the model in whose place it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from align.coordination import Coordination
from align.coordination.functions.correlation import CanonicalMaps, canonical_maps
from align.coordination.functions.kernel_correlation import KernelMaps, kernel_maps
from align.coordination.functions.table import Cosine
from align.coordination.inputs.examples import NOTHING, make_vocabulary, span_example, usable_notes
from align.coordination.inputs.layout import session_table
from align.coordination.losses.table import multi_positive_nce
from align.datatypes import Session

__all__ = ["ClosedForm", "closed_form_model"]

_MOST_FRAMES, _HEAD_FRAMES = 8000, 2000  # that the maps and the head are fitted to
_STEPS, _RATE = 300, 0.03
_COMPONENTS = 32


class ClosedForm(nn.Module):
    """Canonical maps as the two encoders of a model.

    Args:
        maps: fitted to frames and text vectors.
        n_features: columns of a frame.
    """

    def __init__(self, maps: CanonicalMaps | KernelMaps, n_features: int) -> None:
        super().__init__()
        self.maps = maps
        correlations = (maps.maps if isinstance(maps, KernelMaps) else maps).correlations
        self.weights = np.sqrt(correlations)
        self.function = Cosine(len(self.weights))
        self.nothing = nn.Linear(n_features, 1)
        self.log_scale = nn.Parameter(torch.tensor(np.log(5.0), dtype=torch.float32))

    @property
    def scale(self) -> torch.Tensor:
        """Inverse temperature."""
        return self.log_scale.exp()

    def stream(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """(batch, time, n_features) -> embeddings (batch, time, k) of unit norm, "nothing" (batch, time), no edges."""
        flat = self._unit(self.maps.of_x(frames.reshape(-1, frames.shape[-1]).numpy()))
        return flat.reshape(*frames.shape[:-1], -1), self.nothing(frames)[..., 0], None

    def text(self, vectors: torch.Tensor) -> torch.Tensor:
        """(n, text dimension) -> (n, k) of unit norm."""
        return self._unit(self.maps.of_y(vectors.numpy()))

    def _unit(self, rows: np.ndarray) -> torch.Tensor:
        return nn.functional.normalize(torch.from_numpy((rows * self.weights).astype(np.float32)), dim=-1)


def closed_form_model(name: str, model: Coordination, sessions: Sequence[Session], seed: int) -> Coordination:
    """A model whose encoders are "linear CCA" or "kernel CCA" of the training sessions' true spans.

    Args:
        name: of the two.
        model: trained on the same sessions; lends its layout, durations and sharpness.
        sessions: with truth.
        seed: which frames are taken where there are too many.
    """
    rows = [usable_notes(s) for s in sessions]
    vocabulary = make_vocabulary([row for r in rows for row in r], model.encoder)
    tables = [session_table(s, model.layout.hop, model.layout) for s in sessions]
    examples = [
        span_example(s, t, model.layout, vocabulary, r)
        for s, t, r in zip(sessions, tables, rows, strict=True)
    ]
    inputs = np.concatenate([e.inputs for e in examples])
    target = np.concatenate([e.target for e in examples])
    counted = np.flatnonzero(target >= NOTHING)
    counted = np.random.default_rng(seed).permutation(counted)[:_MOST_FRAMES]
    inputs, target = inputs[counted], target[counted]
    named = target >= 0
    x, y = inputs[named], vocabulary.vectors[target[named]]
    fit = {"linear CCA": canonical_maps, "kernel CCA": kernel_maps}[name]
    network = ClosedForm(fit(x, y, _COMPONENTS), inputs.shape[1])
    few = slice(_HEAD_FRAMES)  # they are in no order
    _fit_head(network, torch.from_numpy(inputs[few]), target[few], vocabulary.vectors, vocabulary.same)
    return model.with_network(network.eval(), model.sharpness)  # type: ignore[arg-type]


def _fit_head(
    network: ClosedForm, inputs: torch.Tensor, target: np.ndarray, vectors: np.ndarray, same: np.ndarray
) -> None:
    """Temperature and "nothing" under the default's loss of frames."""
    with torch.no_grad():
        similarity = network.stream(inputs)[0] @ network.text(torch.from_numpy(vectors)).T
    positive = np.zeros((len(target), len(vectors) + 1), bool)
    positive[target >= 0, :-1] = same[target[target >= 0]]
    positive[target < 0, -1] = True
    right = torch.from_numpy(positive)
    optimiser = torch.optim.Adam(network.parameters(), _RATE)
    for _ in range(_STEPS):
        logits = torch.cat([network.scale * similarity, network.nothing(inputs)], dim=1)
        loss = multi_positive_nce(logits, right)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

"""The loss of one batch of sessions: frames against texts and "nothing", spans against one another's texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from align.coordination.functions.table import training_objective
from align.coordination.inputs.examples import NOTHING, UNKNOWN, Example, Vocabulary, stretches
from align.coordination.loop.device import autocast
from align.coordination.loop.distributed import World
from align.coordination.losses.table import both_ways, pair_loss, soft_frame_loss
from align.coordination.network.edges import edge_loss, soft_edge_loss
from align.coordination.network.encoders import Coordinator
from align.coordination.plan import TrainingPlan

__all__ = ["BatchLoss", "Piece"]

_SPAN_WEIGHT = 0.5  # of the span-to-text loss beside the frame loss
_EDGE_WEIGHT = 2.0  # of the edges' loss beside it
_LEAST_SHARE = 1.0  # frames: no text is taken to be rarer
Parts = dict[str, torch.Tensor]
#: inputs (n, features), target (n,), soft target (n, n_notes + 1) or None, vocabulary index per note
Piece = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]


class BatchLoss(nn.Module):
    """Everything that is trained, and what it is trained to make small.

    Args:
        coordinator: the two encoders and their coordination function.
        vocabulary: the training texts.
        examples: all that will be learned from: they say how much of the time each text takes.
        plan: names the loss, the objective and the precision of the layers.
        world: the processes that share a batch.
    """

    texts: torch.Tensor
    same: torch.Tensor
    usual: torch.Tensor
    alike: torch.Tensor

    def __init__(
        self,
        coordinator: Coordinator,
        vocabulary: Vocabulary,
        examples: Sequence[Example],
        plan: TrainingPlan,
        world: World,
    ) -> None:
        super().__init__()
        self.coordinator = coordinator
        self.pair_loss = pair_loss(plan.loss)
        self.precision = plan.precision
        self.world = world
        views = (examples[0].inputs.shape[1], vocabulary.vectors.shape[1])
        named = plan.objective
        self.objective = None if named is None else training_objective(named, plan.dimension, views)
        usual = _log_shares(examples, len(vocabulary.texts))
        alike = _alike(vocabulary.same, usual)
        arrays = {"texts": vocabulary.vectors, "same": vocabulary.same, "usual": usual, "alike": alike}
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def forward(self, pieces: Sequence[Piece]) -> Parts:
        """Name -> what it adds to the loss: frames, edges, spans, soft and objective, where they apply.

        Args:
            pieces: this process's share of a batch; may be empty where there are several processes.
        """
        # every process takes part in what is asked of all, also one without a session of this batch
        known = [target >= NOTHING for _, target, _, _ in pieces]
        of_frames = self.world.weight(sum(int(k.sum()) for k in known))
        of_edges = self.world.weight(sum(int((k[1:] & k[:-1]).sum()) for k in known))
        of_pieces = self.world.weight(len(pieces))
        parts: Parts = {"frames": 0.0 * self.coordinator.log_scale}
        inputs = embedded = None
        if pieces:
            inputs, target = _padded(pieces, self.texts.device)
            with autocast(self.texts.device, self.precision):
                logits, embedded, edges = self.coordinator(inputs, self.texts)
            parts["frames"] = of_frames * self._frames(logits, target)
            if edges is not None:
                parts["edges"] = of_edges * _EDGE_WEIGHT * edge_loss(edges, target)
            if any(soft is not None for _, _, soft, _ in pieces):
                parts["soft"] = of_pieces * self._soft(logits, pieces)
                if edges is not None:
                    doubtful = of_pieces * _EDGE_WEIGHT * _soft_edges(edges, pieces)
                    parts["edges"] = parts["edges"] + doubtful
        return parts | self._spans(pieces, inputs, embedded)

    def _frames(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        counted = target >= NOTHING
        if not bool(counted.any()):
            return logits.sum() * 0.0
        flat, n_texts = target[counted], len(self.texts)
        positive = torch.zeros(len(flat), n_texts + 1, dtype=torch.bool, device=target.device)
        named = flat >= 0
        positive[named, :n_texts] = self.same[flat[named]]
        positive[~named, n_texts] = True
        return self.pair_loss(logits[counted], positive)

    def _soft(self, logits: torch.Tensor, pieces: Sequence[Piece]) -> torch.Tensor:
        loss = logits.new_zeros(())
        for i, (_, _, soft, notes) in enumerate(pieces):
            if soft is not None:
                wanted = (
                    _spread(torch.from_numpy(soft).to(logits.device), notes, len(self.texts)) @ self.alike
                )
                loss = loss + soft_frame_loss(logits[i, : len(soft)] + self.usual, wanted) / len(pieces)
        return loss

    def _spans(
        self, pieces: Sequence[Piece], inputs: torch.Tensor | None, embedded: torch.Tensor | None
    ) -> Parts:
        """Every span's mean embedding against the texts of all spans of the batch, whichever process holds them."""
        found = [
            (i, a, b, text)
            for i, (_, target, soft, _) in enumerate(pieces)
            if soft is None
            for a, b, text in stretches(target)
            if text >= 0
        ]
        index = torch.tensor([text for *_, text in found], dtype=torch.int64, device=self.texts.device)
        pooled = [
            F.normalize(embedded[i, a:b].mean(0), dim=0) for i, a, b, _ in found if embedded is not None
        ]
        entered = [inputs[i, a:b].mean(0) for i, a, b, _ in found if inputs is not None]
        width = self.coordinator.text.project.out_features
        stream = torch.stack(pooled) if pooled else self.texts.new_zeros(0, width)
        stream, index = self.world.gathered(stream), self.world.gathered(index)
        if len(index) < 2:
            return {}
        together = self.same[index][:, index]
        named = self.coordinator.text(self.texts)[index]
        logits = self.coordinator.scale * self.coordinator.function(stream, named)
        parts = {"spans": _SPAN_WEIGHT * both_ways(self.pair_loss, logits, together)}
        if self.objective is not None:
            features = torch.stack(entered) if entered else self.texts.new_zeros(0, self.objective.views[0])
            seen = self.world.gathered(features)
            parts["objective"] = self.objective(stream, named, seen, self.texts[index])
        return parts


def _soft_edges(edges: torch.Tensor, pieces: Sequence[Piece]) -> torch.Tensor:
    loss = edges.new_zeros(())
    for own, (_, _, soft, _) in zip(edges, pieces, strict=True):
        if soft is not None:
            wanted = torch.from_numpy(soft).to(edges.device)
            loss = loss + soft_edge_loss(own[: len(soft) + 1], wanted) / len(pieces)
    return loss


def _padded(pieces: Sequence[Piece], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (batch, longest, features) and targets (batch, longest); frames beyond a piece do not count."""
    length = max(len(p[0]) for p in pieces)
    inputs = torch.zeros(len(pieces), length, pieces[0][0].shape[1])
    target = torch.full((len(pieces), length), UNKNOWN)
    for i, (x, y, _, _) in enumerate(pieces):
        inputs[i, : len(x)] = torch.from_numpy(x)
        target[i, : len(y)] = torch.from_numpy(y)
    return inputs.to(device), target.to(device)


def _log_shares(examples: Sequence[Example], n_texts: int) -> np.ndarray:
    """(n_texts + 1,) log share of the time that each text and "nothing" takes in the soft targets.

    Added to the logits in training, so that these learn ``log p(frame | text)`` whatever the share of a text or
    the number of its paraphrases. Reference: logit adjustment, Menon et al., arXiv 2007.07314, equation 10.
    """
    shares = np.full(n_texts + 1, _LEAST_SHARE)
    for example in examples:
        if example.soft is not None:
            np.add.at(shares, np.append(example.notes, n_texts), example.soft.sum(axis=0, dtype=np.float64))
    return np.log(shares / shares.sum()).astype(np.float32)


def _alike(same: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """(n_texts + 1, n_texts + 1): how a text's share of a frame is divided among those that mean the same.

    In proportion to how usual each is: which wording was written there says nothing about the frame.
    """
    weight = np.zeros((len(usual), len(usual)), np.float32)
    weight[:-1, :-1] = same * np.exp(usual[:-1])
    weight[-1, -1] = 1.0
    return weight / weight.sum(axis=1, keepdims=True)


def _spread(soft: torch.Tensor, notes: np.ndarray, n_texts: int) -> torch.Tensor:
    """(n_frames, n_notes + 1) per note -> (n_frames, n_texts + 1) per text."""
    columns = torch.from_numpy(np.append(notes, n_texts)).to(soft.device)
    return torch.zeros(len(soft), n_texts + 1, device=soft.device).index_add_(1, columns, soft)

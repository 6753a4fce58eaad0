"""A training between two steps, as bytes: one safetensors file whose header holds JSON; never a pickle.

Everything random is drawn from the seed and the number of the step (``schedule.seed_of``), so weights, the
optimiser's moments, averages and counters are all there is: what is resumed is bit for bit what was not interrupted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from align.coordination.inputs.examples import Example, Vocabulary
from align.coordination.loop.journal import PARTS, Line
from align.coordination.losses.batch_loss import BatchLoss
from align.coordination.plan import TrainingPlan
from align.errors import InputError
from align.sealed import opened, sealed, under

__all__ = ["TrainingState", "identity"]

FORMAT = "align-checkpoint/1"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW
Weights = dict[str, torch.Tensor]


@dataclass(slots=True, eq=False)
class TrainingState:
    """All that a training is between two steps.

    Attributes:
        batch_loss: the networks; their parameters are trained.
        optimiser: AdamW over them.
        step: steps done.
        average: running average of the coordinator's weights, or None: not wanted.
        best: the coordinator's weights of the epoch with the least held-out loss, where that stops the training.
        best_epoch, best_score: that epoch, from 1, and its loss.
        sums: of each of ``PARTS`` over the epoch so far.
        counts: steps, sessions and frames of the epoch so far.
        seconds: of the epoch so far.
        lines: of the epochs done.
    """

    batch_loss: BatchLoss
    optimiser: torch.optim.AdamW
    step: int = 0
    average: Weights | None = None
    best: Weights | None = None
    best_epoch: int = 0
    best_score: float = float("inf")
    sums: list[float] = field(default_factory=lambda: [0.0] * len(PARTS))
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)

    def kept_weights(self) -> Weights:
        """The coordinator's weights that would be kept now: the average where there is one."""
        return self.average or self.batch_loss.coordinator.state_dict()

    def count(self, parts: Sequence[float], n_sessions: int, n_frames: int, seconds: float) -> None:
        """Add one step to what is known of the epoch.

        Args:
            parts: of the loss, in the order of ``PARTS``.
            n_sessions, n_frames: that this process saw.
            seconds: that it took.
        """
        self.sums = [a + b for a, b in zip(self.sums, parts, strict=True)]
        self.counts = [a + b for a, b in zip(self.counts, (1, n_sessions, n_frames), strict=True)]
        self.seconds += seconds

    def end_epoch(self) -> dict[str, object]:
        """What the epoch came to, as means over its steps; the next begins at 0."""
        n_steps, n_sessions, n_frames = self.counts
        parts = {name: total / n_steps for name, total in zip(PARTS, self.sums, strict=True)}
        line: dict[str, object] = {
            "loss": sum(parts.values()),
            "parts": parts,
            "seconds": self.seconds,
            "sessions_per_s": n_sessions / self.seconds,
            "frames_per_s": n_frames / self.seconds,
        }
        self.sums, self.counts, self.seconds = [0.0] * len(PARTS), [0, 0, 0], 0.0
        return line

    def as_bytes(self, training: str) -> bytes:
        """The checkpoint.

        Args:
            training: its identity, from ``identity``.
        """
        about = {name: getattr(self, name) for name in _COUNTERS} | {"format": FORMAT, "training": training}
        arrays = {k: v.detach().cpu().contiguous().numpy() for k, v in self._tensors().items()}
        return sealed(about, arrays)

    def resume(self, data: bytes, training: str) -> None:
        """Become what was saved.

        Args:
            data: from ``as_bytes``.
            training: the identity of this training.

        Raises:
            InputError: E-CHECKSUM, not the bytes that were saved; E-CHECKPOINT, of another training: other
                sessions, settings or another version.
        """
        about, arrays = opened(data, "the checkpoint", "start anew without --resume")
        tensors = {k: torch.from_numpy(v) for k, v in arrays.items()}
        if about.get("format") != FORMAT or about.get("training") != training:
            raise InputError(
                "E-CHECKPOINT",
                "the checkpoint is of another training: other sessions, notes, settings or version",
                hint="give what it was started with, or start anew without --resume",
            )
        for name in _COUNTERS:
            setattr(self, name, about[name])
        self.batch_loss.load_state_dict(under("weight.", tensors))
        parameters = list(self.batch_loss.parameters())
        for i, parameter in enumerate(parameters):
            moments = {name: tensors[f"{name}.{i}"] for name in _MOMENTS if f"{name}.{i}" in tensors}
            if moments:
                moments = {k: v if k == "step" else v.to(parameter.device) for k, v in moments.items()}
                self.optimiser.state[parameter] = moments
        device = parameters[0].device
        for name in ("average", "best"):
            found = {k: v.to(device) for k, v in under(f"{name}.", tensors).items()}
            setattr(self, name, found or None)

    def _tensors(self) -> Weights:
        found = {f"weight.{k}": v for k, v in self.batch_loss.state_dict().items()}
        for i, parameter in enumerate(self.batch_loss.parameters()):
            state = self.optimiser.state.get(parameter, {})
            found |= {f"{name}.{i}": state[name] for name in _MOMENTS if name in state}
        for name, weights in (("average", self.average), ("best", self.best)):
            found |= {f"{name}.{k}": v for k, v in (weights or {}).items()}
        return found


_COUNTERS = ("step", "best_epoch", "best_score", "sums", "counts", "seconds", "lines")


def identity(
    name: str,
    plan: TrainingPlan,
    seed: int,
    examples: Sequence[Example],
    vocabulary: Vocabulary,
    trunk: Mapping[str, torch.Tensor],
) -> str:
    """SHA-256 of everything that decides what a training does, but for the device and the number of processes.

    Args:
        name: of the training.
        plan: settings.
        seed: of this training.
        examples: to learn from, in order.
        vocabulary: the training texts, which enter as their vectors.
        trunk: weights that the encoder starts from; may be empty.
    """
    settings = dataclasses.asdict(plan) | {"device": ""}
    hashed = hashlib.sha256(json.dumps([FORMAT, name, seed, settings], sort_keys=True).encode())
    arrays = [vocabulary.vectors, vocabulary.same]
    for e in examples:
        arrays += [e.inputs, e.target, e.notes, e.spans, np.zeros(0) if e.soft is None else e.soft]
    arrays += [trunk[key].numpy() for key in sorted(trunk)]
    for array in arrays:
        hashed.update(f"{array.dtype} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()

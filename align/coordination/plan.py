"""How to train: a handful of numbers, kept in the model that they made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from align.errors import ParameterError

__all__ = ["TrainingPlan"]

_RANGES = {
    "epochs": (1, 100_000),
    "batch": (1, 100_000),
    "learning_rate": (1e-12, 1.0),
    "weight_decay": (0.0, 10.0),
    "width": (1, 8192),
    "dimension": (1, 8192),
    "dropout": (0.0, 0.9),
    "longest": (16, 10**7),
    "rounds": (1, 100),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Settings of ``fit_coordination``.

    Attributes:
        epochs: passes over the sessions, >= 1.
        batch: sessions per step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        width, dimension, dilations, dropout: of the stream encoder and the shared space.
        longest: frames of a session seen in one step; longer sessions are cut at random.
        rounds: of expectation-maximisation when only note times or their order are known.
        nothing_share: share of the time that no note speaks of, in (0, 1), for learning without spans; None: as in
            the labelled sessions, without any the share under which the notes are most surely placed.
        hop: seconds per frame, or None: chosen from the sessions' lengths and numbers of notes.
        encoder: text encoder, a name of ``align.text.text_encoder``.
        device: "auto", "cpu", "cuda" or "cuda:N".
        seed: of weights, order and dropout.

    Raises:
        ParameterError: a number out of its range.
    """

    epochs: int = 30
    batch: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    width: int = 96
    dimension: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.2
    longest: int = 4096
    rounds: int = 14
    nothing_share: float | None = None
    hop: float | None = None
    encoder: str = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise ParameterError(name, getattr(self, name), f"{least:g} to {most:g}")
        if self.nothing_share is not None and not 0 < self.nothing_share < 1:
            raise ParameterError("nothing_share", self.nothing_share, "between 0 and 1, or None")
        if self.hop is not None and not 0 < self.hop < math.inf:
            raise ParameterError("hop", self.hop, "seconds > 0, or None")
        if not 1 <= len(self.dilations) <= 64 or not all(1 <= d <= 4096 for d in self.dilations):
            raise ParameterError("dilations", self.dilations, "1 to 64 whole numbers from 1 to 4096")

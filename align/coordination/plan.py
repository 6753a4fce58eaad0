"""How to train: a handful of numbers, kept in the model that they made."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TrainingPlan"]


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
        rounds: of expectation-maximisation when only note times are known.
        hop: seconds per frame, or None: chosen from the sessions' lengths and numbers of notes.
        encoder: text encoder, a name of ``align.text.text_encoder``.
        device: "auto", "cpu", "cuda" or "cuda:N".
        seed: of weights, order and dropout.
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
    rounds: int = 4
    hop: float | None = None
    encoder: str = "auto"
    device: str = "auto"
    seed: int = 0

"""How to train: a handful of numbers, kept in the model that they made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from align.errors import ParameterError

__all__ = ["AUGMENTATIONS", "TrainingPlan"]

_RANGES = {
    "epochs": (1, 100_000),
    "batch": (1, 100_000),
    "learning_rate": (1e-12, 1.0),
    "weight_decay": (0.0, 10.0),
    "width": (1, 8192),
    "dimension": (1, 8192),
    "dropout": (0.0, 0.9),
    "layers": (1, 64),
    "heads": (1, 64),
    "longest": (16, 10**7),
    "rounds": (1, 100),
    "self_training": (0, 10),
    "average": (0.0, 0.99999),
    "text_noise": (0.0, 100.0),
    "text_adapter": (0, 8192),
    "seed": (0, 2**63 - 1),
}
_PRECISIONS = ("auto", "float32", "bfloat16")
_KINDS = ("convolution", "transformer")
#: names that ``augment`` takes
AUGMENTATIONS = (
    "jitter",
    "scale",
    "rotate",
    "time-warp",
    "drop-channels",
    "drop-streams",
    "drop-bands",
    "sensor-noise",
    "noise",
    "mask-times",
    "mask-bands",
)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Settings of ``fit_coordination``.

    Attributes:
        epochs: passes over the sessions, >= 1.
        batch: sessions per step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        average: decay a step of the running average of the weights, which is then what is kept, in [0, 1); 0: the
            last weights are kept.
        patience: epochs without a lower loss on people held out after which training ends, >= 1; None: it runs to
            its end. Needs eight labelled sessions of two people, or nobody is held out.
        precision: of the layers in training: "float32", "bfloat16", or "auto": bfloat16 on a card that has it.
        compiled: on a card, train through ``torch.compile``? For wide networks; the first steps take minutes.
        encoder_kind: of streams: "convolution", or "transformer" for a GPU and many hours of recordings.
        raw: raw patches of sensors beside their frames (``raw.py``)?
        edges: a head that learns where spans begin and end (``edges.py``)?
        width, dimension, dilations, dropout: of the stream encoder and the shared space.
        layers, heads: of the transformer; the width is divisible by twice the heads.
        augment: what is done to the inputs in training, names of ``AUGMENTATIONS`` (functions in ``augment.py``).
        longest: frames of a session seen in one step; longer sessions are cut at random.
        rounds: of expectation-maximisation when only note times or their order are known.
        nothing_share: share of the time that no note speaks of, in (0, 1), for learning without spans; None: as in
            five or more labelled sessions, else the share that leaves least open of durations and frames.
        self_training: times that the network, once trained, is trained anew with what it was sure of in sessions
            without notes (``weak/pseudo.py``); each costs as much as the first. 0: such sessions are not learned from.
        hop: seconds per frame, or None: chosen from the sessions' lengths and numbers of notes.
        encoder: text encoder, a name of ``align.text.text_encoder``.
        text_noise, text_adapter: of the projection of texts (``text_projection.py``): length of the noise on a text's
            vector in training; hidden width of the adapter before it, 0: none.
        function: coordination function, a name of ``FUNCTIONS`` (``functions.py``).
        loss: over pairs, a name of ``LOSSES`` (``losses.py``).
        objective: beside the loss, a name of ``OBJECTIVES`` (``functions.py``), or None.
        device: "auto", "cpu", "cuda" or "cuda:N".
        seed: of weights, order and dropout.

    Raises:
        ParameterError: a number out of its range.
    """

    epochs: int = 30
    batch: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    average: float = 0.0
    patience: int | None = None
    precision: str = "auto"
    compiled: bool = False
    encoder_kind: str = "convolution"
    raw: bool = False
    edges: bool = True
    width: int = 96
    dimension: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.2
    layers: int = 8
    heads: int = 6
    augment: tuple[str, ...] = ("rotate", "drop-channels", "drop-streams", "drop-bands")
    longest: int = 4096
    rounds: int = 14
    nothing_share: float | None = None
    self_training: int = 0
    hop: float | None = None
    encoder: str = "auto"
    text_noise: float = 2.0
    text_adapter: int = 0
    function: str = "cosine"
    loss: str = "nce"
    objective: str | None = None
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
        if self.patience is not None and not 1 <= self.patience <= 100_000:
            raise ParameterError("patience", self.patience, "a whole number >= 1, or None")
        if self.precision not in _PRECISIONS:
            raise ParameterError("precision", self.precision, ", ".join(_PRECISIONS))
        if self.encoder_kind not in _KINDS:
            raise ParameterError("encoder_kind", self.encoder_kind, ", ".join(_KINDS))
        if self.encoder_kind == "transformer" and self.width % (2 * self.heads):
            raise ParameterError("width", self.width, f"a multiple of {2 * self.heads}, twice the heads")
        self._check_names()
        object.__setattr__(self, "augment", tuple(self.augment))
        unknown = set(self.augment) - set(AUGMENTATIONS)
        if unknown:
            raise ParameterError("augment", sorted(unknown), ", ".join(AUGMENTATIONS))
        if not 1 <= len(self.dilations) <= 64 or not all(1 <= d <= 4096 for d in self.dilations):
            raise ParameterError("dilations", self.dilations, "1 to 64 whole numbers from 1 to 4096")

    def _check_names(self) -> None:
        from align.coordination.functions.table import FUNCTIONS, OBJECTIVES
        from align.coordination.losses.table import LOSSES

        for name, table in (("function", FUNCTIONS), ("loss", LOSSES), ("objective", OBJECTIVES)):
            value = getattr(self, name)
            if value not in table and not (name == "objective" and value is None):
                allowed = ", ".join(table) + (", or None" if name == "objective" else "")
                raise ParameterError(name, value, allowed)

"""How to learn units: a handful of numbers, kept in the model that they made, and two sets of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from align.errors import ParameterError

__all__ = ["PRESETS", "Alone", "Notes", "Processes", "UnitPlan"]

_RANGES = {
    "n_codes": (2, 4096),
    "rounds": (1, 8),
    "epochs": (1, 100_000),
    "batch": (1, 100_000),
    "window": (16, 10**6),
    "mask_share": (0.05, 0.9),
    "mask_length": (1, 10_000),
    "learning_rate": (1e-12, 1.0),
    "weight_decay": (0.0, 10.0),
    "width": (2, 8192),
    "layers": (1, 64),
    "heads": (1, 64),
    "dropout": (0.0, 0.9),
    "seed": (0, 2**63 - 1),
}
_PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """Settings of ``fit_units``.

    Attributes:
        n_codes: tokens that are predicted, of every round, >= 2; fewer where there are fewer different frames.
        rounds: trainings; the first predicts clusters of the frames, each later one clusters of what the one before
            it made of them.
        epochs: passes over the recordings, of every round.
        batch: windows of a step, over all processes.
        window: frames seen at once; longer recordings are cut at random.
        mask_share: of a window's frames that are hidden, about.
        mask_length: frames hidden in a row: longer than the window behind a frame, or neighbours give it away.
        learning_rate: at its peak, after a tenth of the steps; then it falls to 0.
        weight_decay: of AdamW.
        width, layers, heads, dropout: of the transformer; heads divide the width.
        precision: "float32", "bfloat16", or "auto": bfloat16 on a card that has it, else float32.
        compiled: on a card, train through ``torch.compile``? The first steps take minutes.
        seed: of clusters, weights, windows, masks and dropout.

    Raises:
        ParameterError: a number out of its range.
    """

    n_codes: int = 50
    rounds: int = 2
    epochs: int = 12
    batch: int = 8
    window: int = 256
    mask_share: float = 0.4
    mask_length: int = 10
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    width: int = 96
    layers: int = 3
    heads: int = 4
    dropout: float = 0.1
    precision: str = "auto"
    compiled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most or math.isnan(getattr(self, name)):
                raise ParameterError(name, getattr(self, name), f"{least:g} to {most:g}")
        if self.width % self.heads:
            raise ParameterError("heads", self.heads, f"a divisor of the width {self.width}")
        if self.precision not in _PRECISIONS:
            raise ParameterError("precision", self.precision, ", ".join(_PRECISIONS))


#: "cpu": minutes on one core for hours of recordings; "gpu": a card (or several, by torchrun) and thousands of hours.
PRESETS: Mapping[str, UnitPlan] = MappingProxyType(
    {
        "cpu": UnitPlan(),
        "gpu": UnitPlan(
            n_codes=500,
            epochs=100,
            batch=64,
            window=1500,
            learning_rate=5e-4,
            width=512,
            layers=12,
            heads=8,
            precision="bfloat16",
            compiled=True,
        ),
    }
)


class Processes(Protocol):
    """Who trains beside this process: ``align.coordination.loop.distributed.World`` is one."""

    @property
    def rank(self) -> int:
        """Of this process, from 0."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def weight(self, count: int) -> float:
        """What a mean over ``count`` things of this process counts beside those of the others."""

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """The mean of all processes' ``numbers``."""

    def average_gradients(self, parameters: Iterable[Any]) -> None:
        """Give every process the mean of all processes' gradients of ``parameters``."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1

    def weight(self, count: int) -> float:
        """1, whatever the ``count``."""
        return 1.0

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """The ``numbers``."""
        return list(numbers)

    def average_gradients(self, parameters: Iterable[Any]) -> None:
        """The gradients of ``parameters`` are those of all processes already."""


@dataclass(frozen=True, slots=True)
class Notes:
    """Where lines and checkpoints of a training go; the default keeps nothing. Another stage's journal will do too.

    Attributes:
        line: called once an epoch with ``training`` ("units 1", ...), ``epoch``, ``loss``, ``accuracy`` on masked
            frames and ``unigram``, what always saying the commonest token would reach.
        keep: called as ``keep(training, bytes)`` with a whole checkpoint, which replaces the one before.
        kept: training -> the last checkpoint kept of it, or None.
        every: steps from one checkpoint to the next; 0: none.
    """

    line: Callable[[Mapping[str, object]], None] = lambda line: None
    keep: Callable[[str, bytes], None] = lambda training, data: None
    kept: Callable[[str], bytes | None] = lambda training: None
    every: int = 0

"""Every setting: one frozen dataclass per stage, its default, range and meaning beside it.

A value comes from, in rising order: the default, a preset (``pipelines/presets/NAME.toml``), a TOML file
(``--config``), an option of the command. Where each value came from is kept, shown by ``align config show``
and written into every run's record. A new setting is one field here; ``pipelines.settings`` reads it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

__all__ = [
    "ClocksConfig",
    "FeaturesConfig",
    "MatchingConfig",
    "RunConfig",
    "SegmentationConfig",
    "Settings",
    "TextConfig",
    "TokensConfig",
    "TrainingConfig",
]

Auto = Literal["auto"]


def about(
    meaning: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    empty: bool = False,
) -> dict[str, object]:
    """What a setting's field says of itself.

    Args:
        meaning: one line for people, with the unit.
        above: the value must be greater.
        least: the value must not be smaller.
        most: the value must not be greater.
        empty: a list may be.
    """
    return {"meaning": meaning, "above": above, "least": least, "most": most, "empty": empty}


@dataclass(frozen=True, slots=True)
class ClocksConfig:
    """Devices' clocks -> one clock (``align run`` and ``align apply``)."""

    repair: Literal["off", "auto"] = field(
        default="off", metadata=about("repair devices' clocks from movements that two of them felt?")
    )
    reach: float = field(
        default=3.0, metadata=about("seconds by which a clock may be off to be repaired", above=0, most=600)
    )


@dataclass(frozen=True, slots=True)
class FeaturesConfig:
    """Streams -> frames."""

    hop: float | Auto = field(default="auto", metadata=about("seconds per frame", above=0, most=3600))


@dataclass(frozen=True, slots=True)
class SegmentationConfig:
    """Frames -> change points."""

    method: str = field(
        default="auto", metadata=about("segmentation method: auto, or a name of align.segmentation's METHODS")
    )
    penalty: float | Auto = field(
        default="auto", metadata=about("price of one more change point, in units of the cost", least=0)
    )
    per_hour: float | Auto = field(
        default="auto", metadata=about("wanted segments per hour, in place of a penalty", above=0, most=10**6)
    )
    min_duration: float | Auto = field(
        default="auto", metadata=about("seconds that a segment lasts at least", above=0, most=86400)
    )


@dataclass(frozen=True, slots=True)
class TokensConfig:
    """Segments -> tokens."""

    n_codes: int = field(default=64, metadata=about("codes in the codebook", least=1, most=65536))


@dataclass(frozen=True, slots=True)
class TextConfig:
    """Notes -> embeddings."""

    encoder: str = field(default="auto", metadata=about("text encoder: auto, minilm-l6-v2 or hashed"))


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Sessions -> model: the numbers of ``align.coordination.TrainingPlan``, with their ranges."""

    preset: str = field(
        default="default", metadata=about("default, or the name of a file in pipelines/presets")
    )
    seed: int = field(default=0, metadata=about("seed of everything random", least=0, most=2**63 - 1))
    device: str = field(default="auto", metadata=about("auto, cpu, cuda or cuda:N"))
    epochs: int = field(default=30, metadata=about("passes over the sessions", least=1, most=100_000))
    batch: int = field(default=4, metadata=about("sessions per step", least=1, most=100_000))
    learning_rate: float = field(
        default=2e-3, metadata=about("peak of the one-cycle schedule", above=0, most=1)
    )
    weight_decay: float = field(default=0.05, metadata=about("of AdamW", least=0, most=10))
    width: int = field(default=96, metadata=about("channels of the stream encoder", least=1, most=8192))
    dimension: int = field(
        default=64, metadata=about("of the space shared with the notes", least=1, most=8192)
    )
    dilations: tuple[int, ...] = field(
        default=(1, 2, 4, 8), metadata=about("of the encoder's convolutions, in frames", least=1, most=4096)
    )
    dropout: float = field(default=0.2, metadata=about("share of the encoder's channels", least=0, most=0.9))
    longest: int = field(
        default=4096, metadata=about("frames of a session seen in one step", least=16, most=10**7)
    )
    encoder_kind: Literal["convolution", "transformer"] = field(
        default="convolution", metadata=about("of the streams' encoder")
    )
    raw: bool = field(default=False, metadata=about("raw patches of sensors beside their frames?"))
    layers: int = field(default=8, metadata=about("of the transformer", least=1, most=64))
    heads: int = field(default=6, metadata=about("of the transformer", least=1, most=64))
    augment: tuple[str, ...] = field(
        default=("rotate", "drop-channels", "drop-streams", "drop-bands"),
        metadata=about("what is done to inputs in training: names of align.coordination.plan", empty=True),
    )
    edges: bool = field(default=True, metadata=about("learn where spans begin and end?"))
    text_noise: float = field(
        default=2.0, metadata=about("length of the noise on text vectors in training", least=0, most=100)
    )
    text_adapter: int = field(
        default=0, metadata=about("hidden width of an adapter of texts; 0: none", least=0, most=8192)
    )
    function: str = field(
        default="cosine",
        metadata=about("coordination function: a name of align.coordination.functions.table"),
    )
    loss: str = field(
        default="nce", metadata=about("loss of pairs: a name of align.coordination.losses.table")
    )
    objective: str = field(
        default="none",
        metadata=about("beside the loss: none, or a name of align.coordination.functions.table"),
    )
    average: float = field(
        default=0.0, metadata=about("decay of the weights' running average; 0: none", least=0, most=0.99999)
    )
    patience: int | Literal["off"] = field(
        default="off",
        metadata=about(
            "epochs without progress on people held out until training stops", least=1, most=100_000
        ),
    )
    precision: Literal["auto", "float32", "bfloat16"] = field(
        default="auto", metadata=about("of the layers in training; auto: bfloat16 on a GPU that has it")
    )
    compiled: bool = field(default=False, metadata=about("on a GPU, train through torch.compile?"))
    rounds: int = field(default=14, metadata=about("of learning from note times alone", least=1, most=100))
    nothing_share: float | Auto = field(
        default="auto",
        metadata=about("share of the time no note speaks of; auto: estimated", above=0, most=0.99),
    )
    self_training: int = field(
        default=0,
        metadata=about("trainings more, each with what the last was sure of without notes", least=0, most=10),
    )


@dataclass(frozen=True, slots=True)
class MatchingConfig:
    """Similarity and time -> alignment."""

    method: str = field(
        default="auto", metadata=about("auto, contrastive, captions, dtw, ctw or equal-slices")
    )
    order: Literal["monotone", "partial", "free"] = field(
        default="monotone",
        metadata=about("may a later note precede an earlier one? partial: another author's"),
    )


@dataclass(frozen=True, slots=True)
class RunConfig:
    """All settings of one run."""

    clocks: ClocksConfig = field(default_factory=ClocksConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    segmentation: SegmentationConfig = field(default_factory=SegmentationConfig)
    tokens: TokensConfig = field(default_factory=TokensConfig)
    text: TextConfig = field(default_factory=TextConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)

    def with_values(self, values: Mapping[str, object]) -> RunConfig:
        """A copy with checked values put in place.

        Args:
            values: "stage.name" -> value.
        """
        stages: dict[str, dict[str, object]] = {}
        for key, value in values.items():
            stage, name = key.split(".")
            stages.setdefault(stage, {})[name] = value
        changed = {s: dataclasses.replace(getattr(self, s), **v) for s, v in stages.items()}
        return dataclasses.replace(self, **changed)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run and where each came from: "default", "preset NAME", "file" or "option"."""

    config: RunConfig = field(default_factory=RunConfig)
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def as_dict(self) -> dict[str, dict[str, object]]:
        """``{"stage.name": {"value": ..., "source": ...}}`` of every setting, for the run's record."""
        return {
            f"{stage.name}.{f.name}": {
                "value": getattr(getattr(self.config, stage.name), f.name),
                "source": self.sources.get(f"{stage.name}.{f.name}", "default"),
            }
            for stage in dataclasses.fields(self.config)
            for f in dataclasses.fields(getattr(self.config, stage.name))
        }

    def as_toml(self) -> str:
        """All settings as a TOML file, each with its source and meaning in a comment."""
        lines: list[str] = []
        for stage in dataclasses.fields(self.config):
            values = getattr(self.config, stage.name)
            lines += ["", f"[{stage.name}]"]
            for f in dataclasses.fields(values):
                source = self.sources.get(f"{stage.name}.{f.name}", "default")
                text = f"{f.name} = {_toml(getattr(values, f.name))}"
                lines.append(f"{text:<28} # {source}: {f.metadata['meaning']}")
        return "\n".join(lines[1:])


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(v) for v in value)}]"
    # True, numbers and quoted text are written alike in JSON and TOML, but for the delete character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

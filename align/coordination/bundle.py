"""The trained model: what it needs to read any session, saved as safetensors + JSON, never as pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from align.answers import Evidence
from align.coordination.durations import DurationModel
from align.coordination.encoders import Coordinator, StreamEncoder, TextProjection
from align.coordination.layout import Layout, model_inputs, session_table
from align.coordination.plan import TrainingPlan
from align.datatypes import Session
from align.errors import InputError, UnsafeError
from align.features.frames import FrameTable
from align.text.choose import text_encoder
from align.text.protocol import TextEncoder

__all__ = ["FORMAT", "Coordination", "bundle_files", "load_coordination"]

FORMAT = "align-coordination/1"
_WEIGHTS, _ABOUT = "model.safetensors", "model.json"
_LARGEST_ABOUT = 16_000_000  # bytes


@dataclass(frozen=True, slots=True, eq=False)
class Coordination:
    """A trained pair of encoders with all that it takes to align a session.

    ``sharpness``: how much a frame's log odds count (neighbouring frames are not independent); ``lag`` and
    ``lag_sd`` seconds: where exactly timed notes lay against the middle of their spans.
    """

    layout: Layout
    plan: TrainingPlan
    encoder: TextEncoder
    durations: DurationModel
    network: Coordinator | None = None
    sharpness: float = 1.0
    lag: float = 0.0
    lag_sd: float = 30.0

    @classmethod
    def empty(cls, layout: Layout, plan: TrainingPlan, encoder: TextEncoder) -> Coordination:
        """Without a network yet; durations unknown."""
        none = DurationModel(0.0, np.zeros(encoder.dimension, np.float32), 1.0)
        return cls(layout, plan, encoder, none)

    def with_times(self, lag: float, lag_sd: float) -> Coordination:
        """A copy that knows how note times lie."""
        return dataclasses.replace(self, lag=lag, lag_sd=lag_sd)

    def with_durations(self, durations: DurationModel) -> Coordination:
        """A copy that knows how long things last."""
        return dataclasses.replace(self, durations=durations)

    def with_network(self, network: Coordinator, sharpness: float) -> Coordination:
        """A copy with trained encoders."""
        return dataclasses.replace(self, network=network, sharpness=sharpness)

    def evidence(self, session: Session) -> Evidence:
        """How well each frame of a session fits each of its notes; one column per note, empty ones zero.

        Raises:
            InputError: E-MODEL-STREAMS, E-MODEL-CHANNELS.
        """
        table = session_table(session, self.layout.hop, self.layout)
        texts = [note.text for note in session.notes]
        return self.evidence_of(table, model_inputs(table, self.layout), self.encoder.encode(texts))

    def evidence_of(self, table: FrameTable, inputs: np.ndarray, vectors: np.ndarray) -> Evidence:
        """The same from a frame table, its input columns and the notes' text vectors."""
        if self.network is None:
            log_odds = np.zeros((table.n_frames, len(vectors)), np.float32)
            similarity = log_odds
        else:
            with torch.inference_mode():
                embedded, nothing = self.network.stream(torch.from_numpy(inputs)[None])
                similarity = (embedded[0] @ self.network.text(torch.from_numpy(vectors)).T).numpy()
                log_odds = float(self.network.scale) * similarity - nothing[0].numpy()[:, None]
        return Evidence(
            log_odds=self.sharpness * log_odds,
            hop=table.hop,
            first=table.first,
            observed=table.observed,
            durations=self.durations.of(vectors),
            similarity=similarity,
            method="contrastive",
            lag=self.lag,
            lag_sd=self.lag_sd,
            streams=table.names,
        )

    @property
    def hash(self) -> str:
        """SHA-256 of the saved bytes."""
        files = bundle_files(self)
        return hashlib.sha256(files[_ABOUT]).hexdigest()


def bundle_files(model: Coordination) -> dict[str, bytes]:
    """File name -> bytes of a saved model; the JSON holds the SHA-256 of the tensors. No note text is in it."""
    from safetensors.torch import save

    if model.network is None:
        raise InputError("E-MODEL-EMPTY", "the model was never trained")
    tensors = {k: v.contiguous() for k, v in model.network.state_dict().items()}
    tensors["layout.shift"] = torch.from_numpy(model.layout.shift.copy())
    tensors["layout.scale"] = torch.from_numpy(model.layout.scale.copy())
    tensors["durations.weights"] = torch.from_numpy(model.durations.weights.copy())
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError("E-MODEL-NONFINITE", f"tensor {name!r} holds NaN or infinite values")
    weights = save(tensors)
    about = {
        "format": FORMAT,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "encoder": model.encoder.name,
        "text_dimension": model.encoder.dimension,
        "hop": model.layout.hop,
        "streams": list(model.layout.streams),
        "channels": [list(c) for c in model.layout.channels],
        "plan": dataclasses.asdict(model.plan),
        "sharpness": model.sharpness,
        "lag": model.lag,
        "lag_sd": model.lag_sd,
        "duration_mean": model.durations.mean,
        "duration_sd": model.durations.sd,
    }
    return {_WEIGHTS: weights, _ABOUT: (json.dumps(about, indent=1, sort_keys=True) + "\n").encode()}


def load_coordination(folder: str | Path) -> Coordination:
    """Read a saved model.

    Args:
        folder: as written by ``align train``: ``model.safetensors`` and ``model.json``.

    Raises:
        UnsafeError: E-UNSAFE-FORMAT, anything but such a folder.
        InputError: E-NO-FILE, E-CHECKSUM, E-MODEL-VERSION, E-MODEL-NONFINITE, E-JSON.
    """
    folder = Path(folder)
    if folder.is_file():
        raise UnsafeError(
            "E-UNSAFE-FORMAT",
            f"a model is a folder with {_WEIGHTS} and {_ABOUT}; other formats are never opened",
            file=folder.name,
        )
    for name in (_WEIGHTS, _ABOUT):
        if not (folder / name).is_file() or (folder / name).is_symlink():
            raise InputError(
                "E-NO-FILE",
                f"no plain file {name} in the model folder",
                file=folder.name,
                hint="run align train",
            )
    about = _read_about(folder / _ABOUT)
    weights = (folder / _WEIGHTS).read_bytes()
    if hashlib.sha256(weights).hexdigest() != about["sha256"]:
        raise InputError(
            "E-CHECKSUM", "the tensors are not those that the model was saved with", file=_WEIGHTS
        )
    return _assemble(about, weights)


def _read_about(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _LARGEST_ABOUT:
        raise InputError("E-LIMIT", f"more than {_LARGEST_ABOUT} bytes", file=path.name)
    try:
        about = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError("E-JSON", "not a JSON document", file=path.name) from error
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        raise InputError("E-MODEL-VERSION", f"the model has format {found!r}; this version reads {FORMAT!r}")
    return about


def _assemble(about: Mapping[str, Any], weights: bytes) -> Coordination:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(weights)
        settings = dict(about["plan"])
        plan = TrainingPlan(**{**settings, "dilations": tuple(settings["dilations"])})
        layout = Layout(
            float(about["hop"]),
            tuple(about["streams"]),
            tuple(tuple(c) for c in about["channels"]),
            tensors.pop("layout.shift").numpy(),
            tensors.pop("layout.scale").numpy(),
        )
        durations = DurationModel(
            float(about["duration_mean"]),
            tensors.pop("durations.weights").numpy(),
            float(about["duration_sd"]),
        )
        stream = StreamEncoder(layout.n_features, plan.width, plan.dimension, plan.dilations, plan.dropout)
        network = Coordinator(stream, TextProjection(int(about["text_dimension"]), plan.dimension))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(
            "E-MODEL-BROKEN", f"the model's parts do not fit together ({type(error).__name__})"
        ) from error
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError("E-MODEL-NONFINITE", f"tensor {name!r} holds NaN or infinite values")
    name = str(about["encoder"])
    encoder = text_encoder(name.removesuffix("+concepts"))
    if encoder.name != name or encoder.dimension != about["text_dimension"]:
        raise InputError("E-MODEL-VERSION", f"the model was trained with the text encoder {name!r}")
    return Coordination(
        layout,
        plan,
        encoder,
        durations,
        network.eval(),
        float(about["sharpness"]),
        float(about["lag"]),
        float(about["lag_sd"]),
    )

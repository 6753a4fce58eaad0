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

from align.answers import Calibration, Evidence
from align.coordination.durations import DurationModel
from align.coordination.encoders import Coordinator, StreamEncoder, TextProjection
from align.coordination.layout import Layout, model_inputs, session_table
from align.coordination.plan import TrainingPlan
from align.datatypes import Session
from align.errors import InputError, ParameterError, UnsafeError
from align.features.frames import FrameTable
from align.text.choose import text_encoder
from align.text.protocol import TextEncoder

__all__ = ["FORMAT", "Coordination", "bundle_files", "load_coordination"]

FORMAT = "align-coordination/1"
_WEIGHTS, _ABOUT = "model.safetensors", "model.json"
_LARGEST_ABOUT, _LARGEST_WEIGHTS = 16_000_000, 4_000_000_000  # bytes
_TINY, _HUGE = 1e-30, 1e30
_NUMBERS = {  # in the JSON: least and most
    "hop": (_TINY, _HUGE),
    "sharpness": (_TINY, _HUGE),
    "lag": (-_HUGE, _HUGE),
    "lag_sd": (_TINY, _HUGE),
    "reach": (0.0, 1.0),
    "duration_mean": (-_HUGE, _HUGE),
    "duration_sd": (_TINY, _HUGE),
    "nothing": (1e-9, 1.0 - 1e-9),
}
_NOTHING = 0.02  # of models that were saved without it


@dataclass(frozen=True, slots=True, eq=False)
class Coordination:
    """A trained pair of encoders with all that it takes to align a session.

    ``sharpness``: how much a frame's log odds count (neighbouring frames are not independent); ``lag`` and
    ``lag_sd``: how far, in seconds, an exactly written time must be moved to point into its span, and how loosely
    it does; ``reach``: 1 when it may point anywhere into the span, 0 at its middle alone. ``nothing``: prior
    probability that a note refers to nothing in its recording; ``calibration``: what posteriors were worth on
    people held out, where that was measured.
    """

    layout: Layout
    plan: TrainingPlan
    encoder: TextEncoder
    durations: DurationModel
    network: Coordinator | None = None
    sharpness: float = 1.0
    lag: float = 0.0
    lag_sd: float = 30.0
    reach: float = 1.0
    nothing: float = _NOTHING
    calibration: Calibration | None = None

    @classmethod
    def empty(cls, layout: Layout, plan: TrainingPlan, encoder: TextEncoder) -> Coordination:
        """Without a network yet; durations unknown.

        Args:
            layout, plan, encoder: as the fields of the same names.
        """
        none = DurationModel(0.0, np.zeros(encoder.dimension, np.float32), 1.0)
        return cls(layout, plan, encoder, none)

    def with_times(self, lag: float, lag_sd: float, reach: float) -> Coordination:
        """A copy that knows how note times lie.

        Args:
            lag: seconds to add to the time written.
            lag_sd: standard deviation of what is left, seconds, > 0.
            reach: 1 when a time may point anywhere into its span, 0 at its middle alone.
        """
        return dataclasses.replace(self, lag=lag, lag_sd=lag_sd, reach=reach)

    def with_durations(self, durations: DurationModel) -> Coordination:
        """A copy that knows how long things last.

        Args:
            durations: as fitted.
        """
        return dataclasses.replace(self, durations=durations)

    def with_network(self, network: Coordinator, sharpness: float) -> Coordination:
        """A copy with trained encoders.

        Args:
            network: on the CPU, in evaluation mode.
            sharpness: how much a frame's log odds count, > 0.
        """
        return dataclasses.replace(self, network=network, sharpness=sharpness)

    def with_confidence(self, nothing: float, calibration: Calibration | None) -> Coordination:
        """A copy that knows how sure it may be.

        Args:
            nothing: prior probability that a note refers to nothing, in (0, 1).
            calibration: measured with that prior and the network's sharpness, or None.
        """
        return dataclasses.replace(self, nothing=nothing, calibration=calibration)

    def evidence(self, session: Session) -> Evidence:
        """How well each frame of a session fits each of its notes; one column per note.

        A note in which the text encoder finds nothing (an empty one) has log odds 0.

        Args:
            session: with at least one stream that the model knows.

        Raises:
            InputError: E-MODEL-STREAMS, E-MODEL-CHANNELS.
        """
        table = session_table(session, self.layout.hop, self.layout)
        texts = [note.text for note in session.notes]
        return self.evidence_of(table, model_inputs(table, self.layout), self.encoder.encode(texts))

    def evidence_of(self, table: FrameTable, inputs: np.ndarray, vectors: np.ndarray) -> Evidence:
        """The same from what ``evidence`` computes first.

        Args:
            table: the session's frames.
            inputs: (n_frames, n_features) f4, from ``model_inputs``.
            vectors: (n_notes, text dimension) f4, one row per note; zeros where there is nothing to go by.
        """
        similarity = np.zeros((table.n_frames, len(vectors)), np.float32)
        log_odds = similarity
        if self.network is not None:
            with torch.inference_mode():
                embedded, nothing = self.network.stream(torch.from_numpy(inputs)[None])
                similarity = (embedded[0] @ self.network.text(torch.from_numpy(vectors)).T).numpy()
                log_odds = float(self.network.scale) * similarity - nothing[0].numpy()[:, None]
            log_odds[:, ~vectors.any(axis=1)] = 0.0
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
            reach=self.reach,
            streams=table.names,
            nothing=self.nothing,
            calibration=self.calibration,
        )

    @property
    def hash(self) -> str:
        """SHA-256 of the saved bytes."""
        files = bundle_files(self)
        return hashlib.sha256(files[_ABOUT]).hexdigest()


def bundle_files(model: Coordination) -> dict[str, bytes]:
    """File name -> bytes of a saved model. No note text is in them.

    The JSON holds the SHA-256 of the tensors' file and a seal, the SHA-256 of its own other content.

    Args:
        model: trained.

    Raises:
        InputError: E-MODEL-EMPTY, it has no network; E-MODEL-NONFINITE, a tensor or number that is not finite.
    """
    from safetensors.torch import save

    if model.network is None:
        raise InputError("E-MODEL-EMPTY", "the model was never trained")
    tensors = {k: v.contiguous() for k, v in model.network.state_dict().items()}
    tensors["layout.shift"] = torch.from_numpy(model.layout.shift.copy())
    tensors["layout.scale"] = torch.from_numpy(model.layout.scale.copy())
    tensors["durations.weights"] = torch.from_numpy(model.durations.weights.copy())
    _check_tensors(tensors)
    weights = save(tensors)
    about: dict[str, object] = {
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
        "reach": model.reach,
        "duration_mean": model.durations.mean,
        "duration_sd": model.durations.sd,
        "nothing": model.nothing,
        "calibration": None if model.calibration is None else _calibration_out(model.calibration),
    }
    _check_numbers(about)
    about["seal"] = _seal(about)
    return {_WEIGHTS: weights, _ABOUT: (json.dumps(about, indent=1, sort_keys=True) + "\n").encode()}


def _calibration_out(calibration: Calibration) -> dict[str, object]:
    fields = dataclasses.fields(calibration)
    values = {f.name: getattr(calibration, f.name) for f in fields}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def _calibration_in(about: object) -> Calibration | None:
    """ValueError, TypeError or KeyError when it is no calibration."""
    if about is None:
        return None
    if not isinstance(about, dict):
        raise TypeError("calibration is no object")
    n_notes = about["n_notes"]
    if not isinstance(n_notes, int) or n_notes < 0:
        raise ValueError("calibration.n_notes is no count")
    arrays = {k: np.asarray(about[k], np.float64) for k in ("spans", "nothing", "spans_seen", "nothing_seen")}
    seen = {k: a.reshape(-1, 3) for k, a in arrays.items() if k.endswith("_seen")}
    return Calibration(**{**arrays, **seen}, n_notes=n_notes)


def _seal(about: Mapping[str, Any]) -> str:
    """SHA-256 of everything in the JSON but the seal."""
    rest = {key: value for key, value in about.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _check_tensors(tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
            raise InputError(
                "E-MODEL-NONFINITE", f"tensor {name!r} holds NaN, infinite or other than float32 values"
            )


def _check_numbers(about: Mapping[str, Any]) -> None:
    for name, (least, most) in _NUMBERS.items():
        if not least <= float(about[name]) <= most:
            raise InputError(
                "E-MODEL-NONFINITE", f"{name} is {about[name]!r}; allowed: {least:g} to {most:g}"
            )


def load_coordination(folder: str | Path) -> Coordination:
    """Read a saved model.

    Args:
        folder: as written by ``align train``: ``model.safetensors`` and ``model.json``.

    Raises:
        UnsafeError: E-UNSAFE-FORMAT, anything but such a folder.
        InputError: E-NO-FILE; E-LIMIT, a file larger than any model; E-JSON; E-CHECKSUM, not the bytes that were
            saved; E-MODEL-VERSION, another format or text encoder; E-MODEL-NONFINITE; E-MODEL-BROKEN.
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
    weights = _read_bytes(folder / _WEIGHTS, _LARGEST_WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != about.get("sha256"):
        raise InputError(
            "E-CHECKSUM", "the tensors are not those that the model was saved with", file=_WEIGHTS
        )
    try:
        return _assemble(about, weights)
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise InputError(
            "E-MODEL-BROKEN", f"the model's parts do not fit together ({type(error).__name__})"
        ) from error


def _read_bytes(path: Path, most: int) -> bytes:
    if path.stat().st_size > most:
        raise InputError("E-LIMIT", f"more than {most} bytes", file=path.name)
    return path.read_bytes()


def _read_about(path: Path) -> Mapping[str, Any]:
    content = _read_bytes(path, _LARGEST_ABOUT)
    try:
        about = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError("E-JSON", "not a JSON document", file=path.name) from error
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        raise InputError(
            "E-MODEL-VERSION", f"the model has format {str(found)[:60]!r}; this version reads {FORMAT!r}"
        )
    if about.get("seal") != _seal(about):
        raise InputError("E-CHECKSUM", "the content is not what the model was saved with", file=path.name)
    return about


def _assemble(about: Mapping[str, Any], weights: bytes) -> Coordination:
    """The parts in their places; ValueError, RuntimeError and the like where they do not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    about = {"nothing": _NOTHING, **about}  # models of before it was learned
    _check_numbers(about)
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise ValueError("not a safetensors file") from error
    _check_tensors(tensors)
    settings = dict(about["plan"])
    plan = TrainingPlan(**{**settings, "dilations": tuple(settings["dilations"])})
    layout = Layout(
        float(about["hop"]),
        tuple(about["streams"]),
        tuple(tuple(c) for c in about["channels"]),
        tensors.pop("layout.shift").numpy(),
        tensors.pop("layout.scale").numpy(),
    )
    encoder = _known_encoder(about)
    durations = DurationModel(
        float(about["duration_mean"]), tensors.pop("durations.weights").numpy(), float(about["duration_sd"])
    )
    if durations.weights.shape != (encoder.dimension,):
        raise ValueError("durations.weights has another dimension than the texts")
    with torch.device("meta"):  # shapes only: what a file asks for is never allocated, only what it holds
        stream = StreamEncoder(layout.n_features, plan.width, plan.dimension, plan.dilations, plan.dropout)
        network = Coordinator(stream, TextProjection(encoder.dimension, plan.dimension))
    network.load_state_dict(tensors, assign=True)
    times = float(about["lag"]), float(about["lag_sd"]), float(about["reach"])
    model = Coordination(layout, plan, encoder, durations, network.eval(), float(about["sharpness"]), *times)
    return model.with_confidence(float(about["nothing"]), _calibration_in(about.get("calibration")))


def _known_encoder(about: Mapping[str, Any]) -> TextEncoder:
    name, dimension = str(about["encoder"]), about["text_dimension"]
    try:
        encoder = text_encoder(name)
    except ParameterError:
        encoder = None
    if encoder is None or encoder.name != name or encoder.dimension != dimension:
        raise InputError(
            "E-MODEL-VERSION",
            f"the model was trained with the text encoder {name[:60]!r} of dimension {str(dimension)[:20]}, which"
            " this version does not have",
            hint="train again, or use the version that made the model",
        )
    return encoder

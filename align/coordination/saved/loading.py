"""Reading a saved model back: from any older format, and nothing that is not one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from align.coordination.inputs.layout import Layout
from align.coordination.plan import TrainingPlan
from align.coordination.saved.bundle import Coordination, new_coordinator
from align.coordination.saved.model_format import (
    ABOUT,
    DURATIONS,
    FAMILIAR,
    FORMAT,
    HEARD,
    LAYOUT,
    MIGRATIONS,
    WEIGHTS,
    calibration_in,
    check_numbers,
    check_tensors,
    seal_of,
)
from align.coordination.saved.provenance import Provenance, check_text_identity
from align.coordination.trust.durations import DurationModel
from align.coordination.trust.familiarity import UNKNOWN_SWING, Familiar
from align.coordination.trust.heard import Heard
from align.coordination.trust.swings import swings
from align.errors import InputError, ParameterError, UnsafeError
from align.matching.foreground import Foreground
from align.text.choose import text_encoder
from align.text.protocol import TextEncoder

__all__ = ["load_coordination"]

_LARGEST_ABOUT, _LARGEST_WEIGHTS = 16_000_000, 4_000_000_000  # bytes
_LARGEST_HEADER = 1_000_000  # bytes: room for ten thousand tensors


def load_coordination(folder: str | Path) -> Coordination:
    """Read a saved model of this or any older version.

    Args:
        folder: as written by ``align train``: ``model.safetensors`` and ``model.json``.

    Raises:
        UnsafeError: E-UNSAFE-FORMAT, anything but such a folder; E-SYMLINK, a file in it is a link to another
            place; E-LIMIT, a file larger than any model.
        InputError: E-NO-FILE; E-JSON; E-CHECKSUM, not the bytes that were saved; E-MODEL-VERSION, a newer format
            or another text encoder; E-MODEL-NONFINITE; E-MODEL-BROKEN.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UnsafeError(
            "E-UNSAFE-FORMAT",
            f"a model is a folder with {WEIGHTS} and {ABOUT}; other formats are never opened",
            file=folder.name,
        )
    about = _read_about(_bytes_of(folder / ABOUT, _LARGEST_ABOUT))
    weights = _bytes_of(folder / WEIGHTS, _LARGEST_WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != about.get("sha256"):
        raise InputError(
            "E-CHECKSUM", "the tensors are not those that the model was saved with", file=WEIGHTS
        )
    try:
        return _assemble(about, weights)
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError) as error:
        raise InputError(
            "E-MODEL-BROKEN", f"the model's parts do not fit together ({type(error).__name__})"
        ) from error


def _bytes_of(path: Path, most: int) -> bytes:
    if path.is_symlink():
        raise UnsafeError("E-SYMLINK", "a file of a model is a link to another place", file=path.name)
    if not path.is_file():
        raise InputError(
            "E-NO-FILE",
            f"no plain file {path.name} in the model folder",
            file=path.parent.name,
            hint="run align train",
        )
    if path.stat().st_size > most:
        raise UnsafeError("E-LIMIT", f"more than {most} bytes: no model is as large", file=path.name)
    return path.read_bytes()


def _read_about(content: bytes) -> Mapping[str, Any]:
    """The JSON in today's format."""
    try:
        about = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError("E-JSON", "not a JSON document", file=ABOUT) from error
    found = about.get("format") if isinstance(about, dict) else None
    if not isinstance(found, str) or found not in {FORMAT, *MIGRATIONS}:
        raise InputError(
            "E-MODEL-VERSION",
            f"the model has format {str(found)[:60]!r}; this version reads {', '.join([*MIGRATIONS, FORMAT])}",
            hint="use the version that made the model, or a later one",
        )
    if about.get("seal") != seal_of(about):
        raise InputError("E-CHECKSUM", "the content is not what the model was saved with", file=ABOUT)
    try:
        return about if found == FORMAT else MIGRATIONS[found](about)
    except KeyError as error:
        raise InputError("E-MODEL-BROKEN", f"a model of format {found!r} without all its parts") from error


def _assemble(about: Mapping[str, Any], weights: bytes) -> Coordination:
    """The parts in their places; ValueError, RuntimeError and the like where they do not fit."""
    # the first models of format 2 had none of these
    about = {"captions": 0.0, "heard": 0.0, "foreground": None, "duration_tails": 0.0, **about}
    check_numbers(about)
    tensors = _tensors(weights)
    settings = dict(about["plan"])
    plan = TrainingPlan(**{**settings, "dilations": tuple(settings["dilations"])})
    layout = Layout(
        float(about["hop"]),
        _names(about["streams"]),
        tuple(_names(c) for c in about["channels"]),
        units=tuple(_names(u) for u in about.get("units", ())),
        floors=tuple(float(floor) for floor in about.get("floors", ())),
        per_hertz=bool(about.get("per_hertz", False)),  # the first models of format 2 had powers by sample
        **_popped(tensors, LAYOUT),  # and no falls
    )
    familiar = _popped(tensors, FAMILIAR)
    heard = _heard(float(about["heard"]), _popped(tensors, HEARD), plan.dimension)
    encoder = _known_encoder(about["text"])
    lasting = _popped(tensors, DURATIONS)
    tails = float(about["duration_tails"])
    durations = DurationModel(
        float(about["duration_mean"]), sd=float(about["duration_sd"]), tails=tails, **lasting
    )
    if any(part.shape != (encoder.dimension,) for part in lasting.values()):
        raise ValueError("durations have another dimension than the texts")
    with torch.device("meta"):  # shapes only: what a file asks for is never allocated, only what it holds
        network = new_coordinator(layout, plan, encoder.dimension)
    network.load_state_dict(tensors, assign=True)
    model = Coordination(
        layout,
        plan,
        encoder,
        durations,
        network.eval(),
        float(about["sharpness"]),
        heard=heard,
    )
    model = model.with_times(float(about["lag"]), float(about["lag_sd"]), float(about["reach"]))
    model = model.with_confidence(
        float(about["nothing"]),
        calibration_in(about["calibration"]),
        float(about["captions"]),
        None if about["foreground"] is None else Foreground(**about["foreground"]),
    )
    if familiar:
        n_devices = len(swings(np.zeros((0, layout.n_features), np.float32), layout))
        unknown = np.tile(UNKNOWN_SWING, (n_devices, 1))
        familiar.setdefault("swings", unknown)  # the first ones had none
        known = Familiar(**familiar)
        known.strangeness(np.ones((1, layout.n_features), np.float32), layout)  # ValueError: other columns
        model = model.with_familiar(known)
    made = about.get("provenance")
    return (
        model if made is None else model.with_provenance(Provenance(**{**made, "data": _names(made["data"])}))
    )


def _popped(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, np.ndarray]:
    """Taken out: those whose names begin with the prefix, by the rest of the name."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name).numpy() for name in names}


def _heard(length: float, parts: dict[str, np.ndarray], dimension: int) -> Heard | None:
    """The first models of format 2 had no length, later ones no texts."""
    if length <= 0.0:
        return None
    if not parts:
        parts = {name: np.zeros((0, dimension), np.float32) for name in ("texts", "meanings")}
        parts["durations"] = np.zeros((0, 2), np.float32)
    heard = Heard(length, **parts)
    if heard.texts.shape[1] != dimension:
        raise ValueError("heard.texts has another dimension than the shared space")
    return heard


def _tensors(weights: bytes) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    if int.from_bytes(weights[:8], "little") > _LARGEST_HEADER:
        raise ValueError("a header larger than any model's")
    try:
        tensors: dict[str, torch.Tensor] = load(weights)
    except SafetensorError as error:
        raise ValueError("not a safetensors file") from error
    check_tensors(tensors)
    return tensors


def _names(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise TypeError("not a list of names")
    return tuple(found)


def _known_encoder(identity: Mapping[str, Any]) -> TextEncoder:
    try:
        encoder = text_encoder(str(identity["name"]))
    except ParameterError:
        encoder = None
    check_text_identity(identity, encoder)
    assert encoder is not None
    return encoder

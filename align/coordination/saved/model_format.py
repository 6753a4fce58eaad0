"""What a saved model's two files may hold: names, versions, ranges, the seal."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from align.answers import Calibration
from align.errors import InputError

__all__ = [
    "ABOUT",
    "DURATIONS",
    "FAMILIAR",
    "FORMAT",
    "HEARD",
    "LAYOUT",
    "MIGRATIONS",
    "WEIGHTS",
    "calibration_in",
    "calibration_out",
    "check_numbers",
    "check_tensors",
    "parts_of",
    "seal_of",
]

FORMAT = "align-coordination/2"
WEIGHTS, ABOUT = "model.safetensors", "model.json"
FAMILIAR = "familiar."  # what its tensors' names begin with; the first models of format 2 had none
HEARD = "heard."  # the same
LAYOUT = "layout."  # of ``shift``, ``scale`` and ``falls``
DURATIONS = "durations."  # the same, of ``weights`` and ``spread``; the first ones had no ``spread``
_TINY, _HUGE = 1e-30, 1e30
_NUMBERS = {  # in the JSON: least and most
    "hop": (_TINY, _HUGE),
    "sharpness": (_TINY, _HUGE),
    "heard": (0.0, _HUGE),
    "lag": (-_HUGE, _HUGE),
    "lag_sd": (_TINY, _HUGE),
    "reach": (0.0, 1.0),
    "duration_mean": (-_HUGE, _HUGE),
    "duration_sd": (_TINY, _HUGE),
    "duration_tails": (0.0, _HUGE),
    "nothing": (1e-9, 1.0 - 1e-9),
    "captions": (0.0, 1.0),
}
# the table of align.text.concepts that went with format 1
_CONCEPTS_OF_1 = "10e05f649352207c5d628e29aecd8e49a74db6a08806a0384faa3f336b2707a2"


def _from_1(about: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 knew no units, no provenance, and one version of the text encoders, by name alone."""
    text = {"name": about["encoder"], "dimension": about["text_dimension"], "concepts": _CONCEPTS_OF_1}
    rest = {k: v for k, v in about.items() if k not in ("encoder", "text_dimension")}
    # the first models of format 1 had no calibration either
    plan = {**about["plan"], "edges": False}  # nor a head for edges
    return {"nothing": 0.02, "calibration": None, **rest, "format": FORMAT, "text": text, "plan": plan}


#: Format of an older version -> its JSON in today's format. Every version ever released has a line here and a
#: model in tests/coordination/models that loads and answers as it did.
MIGRATIONS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = MappingProxyType(
    {"align-coordination/1": _from_1}
)


def seal_of(about: Mapping[str, Any]) -> str:
    """SHA-256 of everything in the JSON but the seal.

    Args:
        about: the JSON.
    """
    rest = {key: value for key, value in about.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def check_tensors(tensors: Mapping[str, torch.Tensor]) -> None:
    """Only finite float32 numbers are kept.

    Args:
        tensors: by name.

    Raises:
        InputError: E-MODEL-NONFINITE, with the tensor's name.
    """
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
            raise InputError(
                "E-MODEL-NONFINITE", f"tensor {name[:60]!r} holds NaN, infinite or other than float32 values"
            )


def parts_of(prefix: str, record: object) -> dict[str, torch.Tensor]:
    """The arrays of a record as tensors, by name; numbers of it are for the JSON.

    Args:
        prefix: what the names begin with.
        record: a data class.
    """
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}  # type: ignore[arg-type]
    return {prefix + k: torch.from_numpy(v.copy()) for k, v in values.items() if isinstance(v, np.ndarray)}


def check_numbers(about: Mapping[str, Any]) -> None:
    """Numbers of the JSON in their ranges.

    Args:
        about: the JSON.

    Raises:
        InputError: E-MODEL-NONFINITE, with the number's name.
    """
    for name, (least, most) in _NUMBERS.items():
        if not least <= float(about[name]) <= most:
            raise InputError(
                "E-MODEL-NONFINITE", f"{name} is {about[name]!r}; allowed: {least:g} to {most:g}"
            )


def calibration_out(calibration: Calibration | None) -> dict[str, object] | None:
    """A calibration as plain JSON values.

    Args:
        calibration: of a model, or None.
    """
    if calibration is None:
        return None
    values = {f.name: getattr(calibration, f.name) for f in dataclasses.fields(calibration)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def calibration_in(about: object) -> Calibration | None:
    """The calibration that ``calibration_out`` wrote.

    Args:
        about: from the JSON.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
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

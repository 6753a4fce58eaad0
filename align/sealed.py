"""State as bytes: numbers and arrays in one safetensors file under one checksum, which the format has none of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from align.errors import InputError

__all__ = ["opened", "sealed", "under"]

Arrays = dict[str, npt.NDArray[Any]]


def sealed(about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The bytes of ``about`` and ``arrays``, with the SHA-256 of both.

    Args:
        about: JSON values; "seal" is taken.
        arrays: by name, C-contiguous.
    """
    from safetensors.numpy import save

    held = {**about, "seal": _seal(about, arrays)}
    return bytes(save(dict(arrays), {"about": json.dumps(held)}))


def opened(data: bytes, what: str, hint: str) -> tuple[dict[str, Any], Arrays]:
    """What ``sealed`` was given.

    Args:
        data: its bytes.
        what: they are, in words ("the checkpoint"), for the error.
        hint: what to do when they are not whole.

    Raises:
        InputError: E-CHECKSUM, not the bytes that were saved.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    broken = InputError("E-CHECKSUM", f"{what} is not what was saved", hint=hint)
    try:
        arrays = load(data)
        length = int.from_bytes(data[:8], "little")
        about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["about"])
        seal = about.pop("seal")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise broken from error
    if seal != _seal(about, arrays):
        raise broken
    return about, arrays


def under(prefix: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """What stands under a prefix, without it.

    Args:
        prefix: with its separator.
        named: by name.

    >>> under("a.", {"a.x": 1, "b.x": 2})
    {'x': 1}
    """
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}


def _seal(about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    hashed = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        hashed.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        hashed.update(np.ascontiguousarray(arrays[name]).data)
    return hashed.hexdigest()

"""Which device, and how many threads."""

from __future__ import annotations

import re

import torch

from align.errors import ParameterError, ResourceError

__all__ = ["choose_device", "describe_device"]


def choose_device(name: str) -> torch.device:
    """The device for a name; "auto" takes CUDA when there is one.

    Args:
        name: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ParameterError: another name.
        ResourceError: E-DEVICE, CUDA was asked for and is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if re.fullmatch(r"cuda(:\d+)?", name) is None:
        raise ParameterError("device", name, '"auto", "cpu", "cuda" or "cuda:N"')
    number = int(name.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise ResourceError(
            "E-DEVICE",
            f"{name} was asked for; CUDA devices here: {torch.cuda.device_count()}",
            hint="use --device auto or --device cpu",
        )
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """What a record says of a device: "cpu", or the card's name."""
    return device.type if device.type == "cpu" else f"{device} {torch.cuda.get_device_name(device)}"

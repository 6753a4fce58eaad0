"""Which device, and how many threads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from align.errors import ParameterError, ResourceError

__all__ = ["choose_device", "describe_device", "threads_for"]

_SMALL = 128  # width of a network that one thread trains as fast as several


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


@contextmanager
def threads_for(width: int) -> Iterator[None]:
    """Train a small network on one thread, a wide one on as many as torch likes.

    Small layers gain nothing from a second thread and, where the cores are busy, wait for it twenty times longer
    than they compute; and what one thread computes does not depend on the number of cores.

    Args:
        width: channels of the hidden layers.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if width <= _SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

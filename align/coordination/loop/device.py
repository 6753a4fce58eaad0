"""Which device, and how many threads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from align.errors import ParameterError, ResourceError

__all__ = ["autocast", "choose_device", "describe_device", "memory_counted", "reproducible", "threads_for"]

_SMALL = 128  # width of a network that one thread trains as fast as several


def choose_device(name: str) -> torch.device:
    """The device for a name; "auto" takes CUDA when there is one.

    Under ``torchrun`` every process takes the card of its own number (``LOCAL_RANK``).

    Args:
        name: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ParameterError: another name.
        ResourceError: E-DEVICE, CUDA was asked for and is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if re.fullmatch(r"cuda(:\d+)?", name) is None:
        raise ParameterError("device", name, '"auto", "cpu", "cuda" or "cuda:N"')
    own = os.environ.get("LOCAL_RANK", "")
    if name == "cuda" and own.isdigit():
        name = f"cuda:{own}"
    if int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
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


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Layers inside compute in this precision; weights, losses and the optimiser stay float32.

    Args:
        device: of the tensors.
        precision: "float32", "bfloat16", or "auto": bfloat16 on a card that has it, else float32.
    """
    can = device.type == "cuda" and torch.cuda.is_bf16_supported()
    half = precision == "bfloat16" or (precision == "auto" and can)
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


@contextmanager
def memory_counted() -> Iterator[None]:
    """Memory that runs out inside is an error of its own.

    Raises:
        ResourceError: E-DEVICE-MEMORY.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            "E-DEVICE-MEMORY", "the device ran out of memory", hint="use a smaller batch or --device cpu"
        ) from error


@contextmanager
def reproducible(device: torch.device, seed: int) -> Iterator[None]:
    """The same numbers every time on the same device and versions; the caller's random state is left alone.

    On a card, sums are taken in a fixed order, which costs a little speed.

    Args:
        device: that computes.
        seed: of what is drawn inside.
    """
    is_cuda = device.type == "cuda"
    if is_cuda:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    with torch.random.fork_rng([device] if is_cuda else []):
        torch.manual_seed(seed)
        if is_cuda:
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])

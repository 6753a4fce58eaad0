"""A training's lines as TensorBoard event files: the extra ``tensorboard``; without it nothing else changes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from align.errors import ResourceError

__all__ = ["tensorboard_lines"]

_SHOWN = ("loss", "held_out", "learning_rate", "sessions_per_s", "frames_per_s")


@contextmanager
def tensorboard_lines(folder: Path | None) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """A function that adds one line of a training to event files.

    Args:
        folder: of the event files, made where it is missing; None: nothing is written.

    Raises:
        ResourceError: E-EXTRA, the package is not installed.
    """
    if folder is None:
        yield lambda line: None
        return
    if importlib.util.find_spec("tensorboard") is None:
        raise ResourceError(
            "E-EXTRA", "the package tensorboard is not installed", hint="install it: pip install tensorboard"
        )
    from tensorboard.summary import Writer

    writer = Writer(str(folder))

    def add(line: Mapping[str, object]) -> None:
        for name, value in scalars(line).items():
            writer.add_scalar(name, value, line["step"])
        writer.flush()

    try:
        yield add
    finally:
        writer.close()


def scalars(line: Mapping[str, object]) -> dict[str, float]:
    """The numbers of a line under the names that TensorBoard shows, as "final/loss"; what is None is left out.

    Args:
        line: of ``align.coordination.loop.journal.Journal``.
    """
    parts = line["parts"]
    assert isinstance(parts, Mapping)
    found = {name: line[name] for name in _SHOWN} | {f"loss of {name}": x for name, x in parts.items()}
    return {f"{line['training']}/{k}": float(v) for k, v in found.items() if isinstance(v, int | float)}

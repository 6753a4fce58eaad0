"""What a training tells while it runs, and where its checkpoints go: the library makes bytes, the caller keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["PARTS", "Journal", "Line"]

#: One epoch as plain JSON values; see ``Journal.line``.
Line = Mapping[str, object]
#: The parts of a loss, in the order of the log.
PARTS = ("frames", "edges", "spans", "soft", "objective")


@dataclass(frozen=True, slots=True)
class Journal:
    """Where lines and checkpoints of a training go. The default keeps nothing.

    Attributes:
        line: called once an epoch: ``training`` ("held-out" or "final"), ``epoch`` from 1, ``epochs``, ``step``,
            ``loss`` and its ``parts``, ``learning_rate``, ``seconds``, ``sessions_per_s``, ``frames_per_s`` and
            ``held_out``, the loss on the people left out, or None. A resumed training tells its past again.
            No note text is in it.
        keep: called as ``keep(training, bytes)`` with a whole checkpoint, which replaces the one before.
        kept: training -> the last checkpoint kept of it, or None.
        every: steps from one checkpoint to the next; 0: none.
    """

    line: Callable[[Line], None] = lambda line: None
    keep: Callable[[str, bytes], None] = lambda training, data: None
    kept: Callable[[str], bytes | None] = lambda training: None
    every: int = 0

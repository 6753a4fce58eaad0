"""Links that a person has confirmed or corrected: the decoder keeps them and fits the other notes around them."""

from __future__ import annotations

from dataclasses import dataclass

from align.errors import ParameterError

__all__ = ["Anchor"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is known of one note: ``note`` its place in the order written, ``span`` seconds or None.

    None says that the note refers to nothing in the recording.
    """

    note: int
    span: tuple[float, float] | None

    def __post_init__(self) -> None:
        if self.note < 0:
            raise ParameterError("anchor.note", self.note, "0 for the first note, 1 for the second, ...")
        if self.span is not None and not float("-inf") < self.span[0] < self.span[1] < float("inf"):
            raise ParameterError("anchor.span", self.span, "finite seconds, start < end, or None")

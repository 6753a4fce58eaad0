"""Links that a person has confirmed or corrected: the decoder keeps them and fits the other notes around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from align.answers import Alignment, Link
from align.errors import InputError, ParameterError
from align.readers.corrections import Correction

__all__ = ["Anchor", "anchored", "anchors_of"]


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


def anchors_of(
    corrections: Iterable[Correction],
    recorded: tuple[float, float],
    earlier: Iterable[Anchor] = (),
    file: object = None,
) -> tuple[Anchor, ...]:
    """Corrections as anchors, together with those given earlier; a later one replaces an earlier of its note.

    Args:
        corrections: as read, any order, the later wins.
        recorded: start and end of the recording in seconds.
        earlier: anchors of a former round of corrections.
        file: where the corrections stand, for the error.

    Returns:
        One anchor per note, by note: the same corrections again change nothing.

    Raises:
        InputError: E-CORRECTION, a span that touches no part of the recording.
    """
    known: dict[int, Anchor] = {anchor.note: anchor for anchor in earlier}
    for one in corrections:
        if one.span is not None and not (one.span[0] < recorded[1] and one.span[1] > recorded[0]):
            raise InputError(
                "E-CORRECTION",
                f"note {one.note}: {one.span[0]:g} to {one.span[1]:g} s; the recording goes from "
                f"{recorded[0]:g} to {recorded[1]:g} s",
                hint="null in start and end says that a note refers to nothing recorded",
                file=file,
                line=one.line or None,
            )
        known[one.note] = Anchor(one.note, one.span)
    return tuple(known[note] for note in sorted(known))


def anchored(alignment: Alignment, anchors: Iterable[Anchor]) -> Alignment:
    """The alignment with every anchored note exactly as its anchor says: that is known, at probability 1.

    The last step, behind calibration: what a person said is not weighed. ``provenance["anchors"]`` names the notes.

    Args:
        alignment: of all notes.
        anchors: at most one per note.

    Raises:
        ParameterError: an anchor of a note that there is not.
    """
    of: Mapping[int, Anchor] = {anchor.note: anchor for anchor in anchors}
    if not of:
        return alignment
    if max(of) >= len(alignment.notes):
        raise ParameterError("anchors", max(of), f"notes from 0 to {len(alignment.notes) - 1}")
    links = [_kept(link, of[i]) if i in of else link for i, link in enumerate(alignment.links)]
    known = MappingProxyType({**alignment.provenance, "anchors": tuple(sorted(of))})
    return replace(alignment, links=tuple(links), provenance=known)


def _kept(link: Link, anchor: Anchor) -> Link:
    if anchor.span is None:
        return Link("unmatched", None, 1.0)
    return Link("aligned", anchor.span, 1.0, (), link.streams)

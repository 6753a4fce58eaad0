"""Which neighbouring notes may speak of one and the same event, and how probable that is beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from align.datatypes import Note
from align.matching.lattice import Lattice

__all__ = ["P_SHARE", "with_sharing"]

NEVER = -1e30
P_SHARE = 0.02  # prior probability that a note speaks of the same event as the next, where that can be
_ALIKE = 0.95  # correlation of the two notes' log odds over the recording
_SAMPLES = 4096  # frames that the correlation is taken over


def with_sharing(lattice: Lattice, notes: Sequence[Note]) -> Lattice:
    """The lattice with the log odds that each note shares its span with the next one; NEVER where it cannot.

    It can where both were written for the same moment; and where the same text (letters and digits compared), or
    one whose log odds correlate with it by 0.95 or more, was written by two authors or at a known time. One
    author who writes the same twice without a time most likely speaks of two events.

    A shared span is one event: its frames count once, with the mean of the two notes' log odds. (With the sum,
    two notes on the better of two events would beat one note on each.)

    Args:
        lattice: of notes that are placed in order.
        notes: one per row.
    """
    out = np.full(len(notes), NEVER)
    if len(notes) < 2:
        return replace(lattice, share=out)
    words = ["".join(filter(str.isalnum, note.text.casefold())) for note in notes]
    alike = _alike(lattice)
    for i in range(len(notes) - 1):
        same_text = words[i] == words[i + 1] != ""
        same_time = notes[i].time is not None and notes[i].time == notes[i + 1].time
        told = notes[i].author != notes[i + 1].author or None not in (notes[i].time, notes[i + 1].time)
        if same_time or ((same_text or alike[i]) and told):
            out[i] = np.log(P_SHARE / (1.0 - P_SHARE))
    return replace(lattice, share=out)


def _alike(lattice: Lattice) -> npt.NDArray[np.bool_]:
    """(n_notes - 1,) whether the log odds of each row and the next rise and fall together."""
    step = max(1, lattice.n_frames // _SAMPLES)
    odds = lattice.odds[lattice.columns, ::step][:, lattice.observed[::step]].astype(np.float64)
    odds -= odds.mean(axis=1, keepdims=True) if odds.size else 0.0
    spread = np.sqrt((odds**2).sum(axis=1))
    return (odds[1:] * odds[:-1]).sum(axis=1) > _ALIKE * spread[1:] * spread[:-1]

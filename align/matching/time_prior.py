"""What a note's written time says of where its span lies: a window, applied once per note."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from align.answers import Evidence
from align.datatypes import Floats, Note

__all__ = ["decoding_order", "time_windows"]

FLOOR = 8.0  # nats: however wrong a time is, it costs no more (gross errors happen)
_INVERSION = 4.0  # standard deviations of a difference of two times that imprecision explains


def time_windows(notes: Sequence[Note], evidence: Evidence) -> Floats:
    """(n_notes, 5) centre, half width, standard deviation, floor and reach of each note's time prior, in frames.

    With ``evidence.reach`` 1 a written time may point anywhere into its span and costs nothing while it lies
    inside; with 0 it points at the middle. An exact time is shifted by the lag that the model learned, with
    the deviation that it learned; an interval is flat between its ends and falls off outside with half its
    half width (at least one frame). Untimed: deviation 0, which means no prior.

    Args:
        notes: any number.
        evidence: the frame grid, and how exact times lie.
    """
    out = np.zeros((len(notes), 5))
    for i, note in enumerate(notes):
        if note.time is None:
            continue
        half = 0.5 * (note.time.latest - note.time.earliest)
        if note.time.is_exact:
            centre, sd = note.time.likely + evidence.lag, evidence.lag_sd
        else:
            centre, sd = note.time.earliest + half, max(0.5 * half, evidence.hop)
        out[i] = (
            centre / evidence.hop - evidence.first,
            half / evidence.hop,
            sd / evidence.hop,
            FLOOR,
            evidence.reach,
        )
    return out


def decoding_order(notes: Sequence[Note], evidence: Evidence) -> list[int]:
    """The order in which notes are placed: as written, unless their times rule that out.

    Written times may be imprecise, so small inversions mean nothing. When a note's time precedes an earlier
    note's by more than imprecise times explain (4 standard deviations of a difference, beyond both intervals),
    the notes are taken in the order of their times; an untimed note stays behind the one it follows. Notes of
    equal times stay as written.

    Args:
        notes: in the order written.
        evidence: how imprecise exact times are.

    Returns:
        Indices of all notes, each once.
    """
    highest = {False: -np.inf, True: -np.inf}  # of the times so far: intervals, exact times
    inverted = False
    sortable: list[tuple[float, int]] = []
    last_time = -np.inf
    for i, note in enumerate(notes):
        if note.time is not None:
            exact = note.time.is_exact
            for other, earliest in highest.items():
                slack = _INVERSION * evidence.lag_sd * np.sqrt(exact + other)
                inverted |= bool(note.time.latest < earliest - slack)
            highest[exact] = max(highest[exact], note.time.earliest)
            last_time = note.time.likely
        sortable.append((last_time, i))
    return [i for _, i in sorted(sortable)] if inverted else list(range(len(notes)))

"""What a note's written time says of where its span lies: a window, applied once per note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from align.answers import Evidence
from align.datatypes import Floats, Note, NoteTime
from align.matching.author_clocks import AuthorClock

__all__ = ["Window", "decoding_order", "note_window", "on_session_clock", "ruled_out", "time_windows"]

FLOOR = 8.0  # nats: however wrong a time is, it costs no more (gross errors happen)
CLOCK_TIME = 3600.0  # seconds: a wider interval was read off no clock ("after lunch")
_INVERSION = 4.0  # standard deviations of a difference of two times that imprecision explains


class Window(NamedTuple):
    """Seconds on the session clock: where a note's time points, give or take ``sd``.

    Anywhere from ``earliest`` to ``latest`` is as good; ``likely`` lies between. ``sd`` 0: an interval, taken
    at its word.
    """

    earliest: float
    likely: float
    latest: float
    sd: float


def note_window(
    note: Note, evidence: Evidence, clocks: Mapping[str, AuthorClock] | None = None
) -> Window | None:
    """Where a note's written time points on the session clock; None when it has none.

    An exact time is moved by its author's clock, else by the usual lag, with the deviation that belongs to
    that; a rounded one may point half the rounding to either side. An interval of up to an hour is moved by
    what its author's clock differs from the usual lag; a wider one is a phrase and stays.

    Args:
        note: any.
        evidence: its ``lag`` and ``lag_sd`` are the usual ones.
        clocks: from ``fit_author_clocks``.
    """
    if note.time is None:
        return None
    earliest, likely, latest = note.time.earliest, note.time.likely, note.time.latest
    clock = None if clocks is None else clocks.get(note.author)
    if note.time.is_exact:
        shift, sd = (evidence.lag, evidence.lag_sd) if clock is None else (clock.shift, clock.sd)
        half = 0.0 if clock is None else 0.5 * clock.rounding
        return Window(likely + shift - half, likely + shift, likely + shift + half, sd)
    moved = 0.0 if clock is None or latest - earliest > CLOCK_TIME else clock.shift - evidence.lag
    return Window(earliest + moved, likely + moved, latest + moved, 0.0)


def time_windows(
    notes: Sequence[Note], evidence: Evidence, clocks: Mapping[str, AuthorClock] | None = None
) -> Floats:
    """(n_notes, 5) centre, half width, standard deviation, floor and reach of each note's time prior, in frames.

    With ``evidence.reach`` 1 a written time may point anywhere into its span and costs nothing while it lies
    inside; with 0 it points at the middle. An exact time is shifted by its author's clock, or by the lag that
    the model learned, with the deviation that belongs to it (see ``note_window``); an interval is flat between
    its ends and falls off outside with half its half width (at least one frame). Untimed: deviation 0, which
    means no prior.

    Args:
        notes: any number.
        evidence: the frame grid, and how exact times usually lie.
        clocks: of the authors whose times lie otherwise.
    """
    out = np.zeros((len(notes), 5))
    for i, note in enumerate(notes):
        window = note_window(note, evidence, clocks)
        if window is None:
            continue
        half = 0.5 * (window.latest - window.earliest)
        sd = window.sd if window.sd > 0 else max(0.5 * half, evidence.hop)
        out[i] = (
            (window.earliest + half) / evidence.hop - evidence.first,
            half / evidence.hop,
            sd / evidence.hop,
            FLOOR,
            evidence.reach,
        )
    return out


def on_session_clock(
    notes: Sequence[Note], evidence: Evidence, clocks: Mapping[str, AuthorClock] | None = None
) -> tuple[Note, ...]:
    """The notes with their times moved from their authors' clocks to the session's.

    What decides whether a note lies outside the recording, and how far: a watch that is 7 minutes fast puts no
    note behind the end. Notes of authors without a clock stay as they are.

    Args:
        notes: as written.
        evidence, clocks: as for ``note_window``.
    """
    moved = []
    for note in notes:
        window = note_window(note, evidence, clocks)
        if window is not None and clocks and note.author in clocks:
            note = replace(note, time=NoteTime(window.earliest, window.likely, window.latest))
        moved.append(note)
    return tuple(moved)


def ruled_out(first: Window, second: Window) -> bool:
    """Whether ``first`` cannot come before ``second``: ``second`` lies earlier by more than imprecision explains.

    That is 4 standard deviations of a difference, beyond both intervals.

    >>> ruled_out(Window(90.0, 90.0, 90.0, 10.0), Window(20.0, 20.0, 20.0, 10.0))
    True
    """
    return bool(second.latest < first.earliest - _INVERSION * np.hypot(first.sd, second.sd))


def decoding_order(
    notes: Sequence[Note], evidence: Evidence, clocks: Mapping[str, AuthorClock] | None = None
) -> list[int]:
    """The order in which notes are placed: as written, unless their times rule that out.

    Written times may be imprecise, so small inversions mean nothing. When a note's time rules out (see
    ``ruled_out``) that it comes after an earlier note, the notes are taken in the order of their times; an
    untimed note stays behind the one it follows. Notes of equal times stay as written.

    Args:
        notes: in the order written.
        evidence: how imprecise exact times usually are.
        clocks: of the authors whose times lie otherwise.

    Returns:
        Indices of all notes, each once.
    """
    latest_start: dict[float, Window] = {}  # of the notes so far: the one that starts last, per deviation
    inverted = False
    sortable: list[tuple[float, int]] = []
    last_time = -np.inf
    for i, note in enumerate(notes):
        window = note_window(note, evidence, clocks)
        if window is not None:
            inverted |= any(ruled_out(other, window) for other in latest_start.values())
            other = latest_start.get(window.sd)
            if other is None or window.earliest > other.earliest:
                latest_start[window.sd] = window
            last_time = window.likely
        sortable.append((last_time, i))
    return [i for _, i in sorted(sortable)] if inverted else list(range(len(notes)))

"""A stretch of a session in words: what its named channels show, relative to the rest of the session.

Every cell of a fine grid is measured once (``motion``, ``sound``, ``levels``); a phrase holds on a stretch as
strongly as the mean over its cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Session, Stream, frozen_array, set_fields
from align.errors import ParameterError
from align.features.cells import Cells, session_cells, span_cells
from align.features.foreground import foreground_of
from align.features.frames import frame_table
from align.features.heart import heart_strengths, measure_heart
from align.features.heartbeats import BEAT_S
from align.features.levels import level_strengths
from align.features.motion import measure_motion, motion_strengths
from align.features.phrases import SOMETHING, TABLE, Phrase, level_phrase
from align.features.sound import measure_sound, sound_strengths

__all__ = ["Description", "caption", "caption_segments", "describe"]

_HOP_S = 0.25
_SAID_FROM = 0.5  # a phrase is said when it holds for at least this share of a stretch
_SAID_MOST = 4
_LEAST_HZ = 2000.0  # below it some mel bands are empty
_NOTHING = "nothing recorded"
_PLAIN = "nothing stands out"


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """What every cell of a session shows.

    ``strengths`` f4 (n_cells, n_phrases) in [0, 1]; ``observed`` (n_cells,) whether any stream has data;
    ``figures`` the number that goes into a phrase's text, (n_cells,) by index of the phrase. ``foreground`` (n_cells,)
    in [0, 1]: what stands out of the background of a session of sound alone, else NaN.
    """

    cells: Cells
    phrases: tuple[Phrase, ...]
    strengths: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    figures: Mapping[int, Floats]
    foreground: Floats

    def __post_init__(self) -> None:
        if self.strengths.shape != (self.cells.n, len(self.phrases)):
            raise ParameterError("strengths", self.strengths.shape, "one row per cell, one column per phrase")
        set_fields(self, strengths=frozen_array(self.strengths, np.float32))
        set_fields(self, observed=frozen_array(self.observed, np.bool_))

    def over(self, spans: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """(n_spans, n_phrases) mean strengths over the observed cells of each span; 0 where there is none."""
        rows = [span_cells(self.cells, span) for span in np.asarray(spans, dtype=np.float64).reshape(-1, 2)]
        total = np.concatenate(
            [np.zeros((1, len(self.phrases))), np.cumsum(self.strengths, axis=0, dtype="f8")]
        )
        count = np.concatenate([[0], np.cumsum(self.observed)])
        low, high = np.array(rows, dtype=np.int64).reshape(-1, 2).T
        held = (total[high] - total[low]) / np.maximum(count[high] - count[low], 1)[:, None]
        return held.astype(np.float32)


def describe(session: Session, hop: float = _HOP_S) -> Description:
    """Measure a session once, for any number of captions.

    Channels are recognised by name and unit (``kinds``); what several devices show is averaged over those
    that have data at that moment.

    Args:
        session: streams at their own rates; a gap stays a gap.
        hop: seconds per cell, > 0.

    Raises:
        ParameterError: hop not > 0.
    """
    if not (np.isfinite(hop) and hop > 0):
        raise ParameterError("hop", hop, "seconds > 0")
    cells = session_cells(session, hop)
    foreground = _foreground(session, cells)
    observed = np.zeros(cells.n, dtype=bool)
    found: dict[Phrase, list[tuple[Floats, npt.NDArray[np.bool_]]]] = {}
    figures: dict[Phrase, Floats] = {}
    for stream in session.streams:
        for strengths, known, figure in _shown(stream, cells, foreground):
            observed |= known
            for phrase, strength in strengths.items():
                found.setdefault(phrase, []).append((strength, known))
                if "{" in phrase.said:
                    figures[phrase] = figure
    phrases = tuple(found)
    table = np.zeros((cells.n, len(phrases)), dtype=np.float32)
    for column, phrase in enumerate(phrases):
        weight = sum(known.astype(np.float64) for _, known in found[phrase])
        total = sum(np.where(known, strength, 0.0) for strength, known in found[phrase])
        table[:, column] = total / np.maximum(weight, 1.0)
    numbers = {i: figures[phrase] for i, phrase in enumerate(phrases) if phrase in figures}
    return Description(cells, phrases, table, observed, numbers, foreground)


Shown = tuple[dict[Phrase, Floats], npt.NDArray[np.bool_], Floats]


def _shown(stream: Stream, cells: Cells, foreground: Floats) -> list[Shown]:
    """Per device of a stream: strengths by phrase, where it has data, and the figure of its phrases."""
    if stream.modality == "audio":
        sound = measure_sound(stream, cells)
        heard = {TABLE[key]: s for key, s in sound_strengths(sound).items()}
        known = np.isfinite(sound.level)
        heard[SOMETHING] = known * np.maximum(1.0 - heard[TABLE["quiet"]], np.nan_to_num(foreground))
        return [(heard, known, sound.pitch)]
    out: list[Shown] = []
    for motion in measure_motion(stream, cells):
        moved = {TABLE[key]: s for key, s in motion_strengths(motion, cells).items()}
        moved[SOMETHING] = motion.known.astype(np.float64)
        out.append((moved, motion.known, motion.rhythm_hz))
    out += _heard_beats(stream, cells)
    levels = {level_phrase(*key): s for key, s in level_strengths(stream, cells).items()}
    if levels or not out:
        known = _in_runs(stream, cells)
        levels[SOMETHING] = known.astype(np.float64)
        out.append((levels, known, np.full(cells.n, np.nan)))
    return out


def _foreground(session: Session, cells: Cells) -> Floats:
    """(n_cells,) what stands out of a session of sound alone; NaN where that is not known, or sensors are beside it."""
    out = np.full(cells.n, np.nan)
    lasts = any(end - start >= cells.hop for s in session.streams for start, end in s.run_spans)
    if lasts and all(s.modality == "audio" and s.rate >= _LEAST_HZ for s in session.streams):
        table = frame_table(session.streams, cells.hop)
        low, high = max(cells.first, table.first), min(cells.first + cells.n, table.first + table.n_frames)
        found = foreground_of(table)
        out[low - cells.first : high - cells.first] = found[low - table.first : high - table.first]
    return out


def _heard_beats(stream: Stream, cells: Cells) -> list[Shown]:
    """The heart's rhythm: a long cell gets the mean of parts about a beat long."""
    parts = max(1, round(cells.hop / BEAT_S))
    heart = measure_heart(stream, Cells(cells.first * parts, cells.n * parts, cells.hop / parts))
    if heart is None:
        return []
    beaten = {TABLE[key]: s.reshape(-1, parts).mean(axis=1) for key, s in heart_strengths(heart).items()}
    known = heart.known.reshape(-1, parts)
    beaten[SOMETHING] = known.mean(axis=1)
    rate = np.nan_to_num(heart.rate).reshape(-1, parts).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    seen = np.asarray(known.any(axis=1), np.bool_)
    return [(beaten, seen, np.where(seen, rate, np.nan))]


def _in_runs(stream: Stream, cells: Cells) -> npt.NDArray[np.bool_]:
    inside = np.zeros(cells.n, dtype=bool)
    for span in stream.run_spans:
        low, high = span_cells(cells, span)
        inside[low:high] = True
    return inside


def caption_segments(
    session: Session, spans: npt.ArrayLike, description: Description | None = None
) -> list[str]:
    """One caption per span, such as "no movement; leaning at rest; heart rate low".

    The phrases that hold for at least half of the span, the strongest first, at most four.

    Args:
        session: what to describe.
        spans: (n, 2) seconds.
        description: of this session, when it was made before.
    """
    made = describe(session) if description is None else description
    table = np.asarray(spans, dtype=np.float64).reshape(-1, 2)
    return [_said(made, span, held) for span, held in zip(table, made.over(table), strict=True)]


def caption(session: Session, span: Sequence[float]) -> str:
    """The caption of one span. For many spans ``caption_segments`` measures only once.

    Args:
        session: what to describe.
        span: start and end, seconds.
    """
    return caption_segments(session, [span])[0]


def _said(made: Description, span: Floats, held: npt.NDArray[np.float32]) -> str:
    low, high = span_cells(made.cells, span)
    if not made.observed[low:high].any():
        return _NOTHING
    order = [int(i) for i in np.argsort(-held, kind="stable") if made.phrases[i] is not SOMETHING]
    said = [_worded(made, i, low, high) for i in order[:_SAID_MOST] if held[i] >= _SAID_FROM]
    return "; ".join(said) or _PLAIN


def _worded(made: Description, i: int, low: int, high: int) -> str:
    if i not in made.figures:
        return made.phrases[i].said
    figure = made.figures[i][low:high]
    weight = made.strengths[low:high, i] * np.isfinite(figure)
    return made.phrases[i].said.format(float((np.nan_to_num(figure) * weight).sum() / weight.sum()))

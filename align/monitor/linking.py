"""Notes of a live stream -> links: placed among the last minutes, provisional at first, final once those are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from align.answers import Link
from align.datatypes import Note, NoteTime, Session
from align.monitor.voice import Voice
from align.segmentation.live_events import Event

if TYPE_CHECKING:
    from align.coordination import Coordination

__all__ = ["Linker"]

_MOST = 1_024  # notes at once


@dataclass(slots=True)
class _Waiting:
    """A note; ``words`` stand for its text, ``said`` is what was last said of it: status, start and end."""

    number: int
    time: float
    words: str
    seq: int | None = None
    said: tuple[str, float, float] | None = None
    final: bool = False


class Linker:
    """Place the notes of the last ``window`` seconds together, as ``align.match`` does.

    A note is looked at from the first tick behind its time. Its link is final at the first tick ``settle`` seconds
    behind it; until then it is said anew when its status changes or a boundary moves by half a frame. A note that
    comes when its time has left the window is "outside". Of a text only its vector is kept, while the note is in the
    window, and a hash of its letters.

    Args:
        model: trained.
        settle: seconds.
        window: seconds.
        voice: numbers the events.
    """

    def __init__(self, model: Coordination, settle: float, window: float, voice: Voice) -> None:
        self._model, self._settle, self._window, self._voice = model, settle, window, voice
        self._notes: list[_Waiting] = []
        self._vectors: npt.NDArray[np.float32] = np.zeros((0, model.encoder.dimension), np.float32)

    @property
    def waits(self) -> bool:
        """Whether some note has no final link."""
        return any(not note.final for note in self._notes)

    def add(self, number: int, text: str, time: float) -> Iterator[Event]:
        """Take a note; the oldest gives way where there are 1,024.

        Args:
            number: of the note.
            text: as written; only its vector and a hash are kept.
            time: seconds.
        """
        if len(self._notes) >= _MOST:
            yield from self._end(self._notes[0], Link("outside", None, 0.0), "buffer")
            self._keep(np.arange(1, len(self._notes)))
        letters = "".join(filter(str.isalnum, text.casefold()))  # what ``matching.sharing`` compares
        empty = Note(text).is_empty
        words = "" if empty else hashlib.sha256(letters.encode("utf-8", "surrogatepass")).hexdigest()
        self._notes.append(_Waiting(number, time, words))
        self._vectors = np.concatenate([self._vectors, self._model.encoder.encode([text])])

    def placed(self, tick: float, session: Session | None, last: bool) -> dict[int, Link]:
        """Where the notes of the window are, by their place in the list; changes nothing.

        Args:
            tick: seconds, behind the last row.
            session: the window's rows, None: there are none.
            last: nothing more will come.

        Raises:
            InputError: what comes is not what the model reads.
        """
        first = tick - self._window
        inside = [i for i, n in enumerate(self._notes) if first <= n.time and (last or n.time < tick)]
        if all(self._notes[i].final for i in inside):
            return {}
        return dict(zip(inside, self._placed(inside, session, tick), strict=True))

    def told(self, tick: float, links: Mapping[int, Link], last: bool) -> Iterator[Event]:
        """What there is to say of it.

        Args:
            tick: as of ``placed``.
            links: by ``placed``.
            last: nothing more will come: all are final.
        """
        for i, note in enumerate(self._notes):
            if note.final:
                continue
            if note.time < tick - self._window:
                yield from self._end(note, Link("outside", None, 0.0))
            elif i in links and (last or tick >= note.time + self._settle):
                yield from self._end(note, links[i])
            elif i in links:
                yield from self._provisional(note, links[i])
        gone = [n.final and n.time < tick - self._window + self._settle for n in self._notes]
        if any(gone):
            self._keep(np.flatnonzero(~np.array(gone)))

    def _placed(self, inside: Sequence[int], session: Session | None, tick: float) -> Sequence[Link]:
        if session is None:
            return [Link("unobservable", None, 1.0)] * len(inside)
        from align.matching.calibration import calibrated
        from align.matching.decode import place_notes

        evidence = self._model.evidence_for(session, self._vectors[list(inside)])
        notes = tuple(
            Note(n.words, NoteTime(n.time, n.time, n.time)) for n in (self._notes[i] for i in inside)
        )
        return calibrated(
            place_notes(evidence, notes, recorded=(session.start, tick)), evidence.calibration
        ).links

    def _end(self, note: _Waiting, link: Link, why: str = "") -> Iterator[Event]:
        start, end = link.span or (note.time, note.time)
        note.final = True
        yield self._voice.said("link", start, end, revises=note.seq, why=why, **self._about(note, link))

    def _provisional(self, note: _Waiting, link: Link) -> Iterator[Event]:
        start, end = link.span or (note.time, note.time)
        if self._is_news(note, link.status, start, end):
            event = self._voice.said(
                "link", start, end, final=False, revises=note.seq, **self._about(note, link)
            )
            note.seq, note.said = event.seq, (link.status, start, end)
            yield event

    def _is_news(self, note: _Waiting, status: str, start: float, end: float) -> bool:
        """Nothing said yet, another status, or a boundary half a frame from where it was: less is no news."""
        if note.said is None or note.said[0] != status:
            return True
        moved = max(abs(start - note.said[1]), abs(end - note.said[2]))
        return moved >= 0.5 * self._model.layout.hop

    def _about(self, note: _Waiting, link: Link) -> dict[str, Any]:
        return {"note": note.number, "status": link.status, "probability": round(float(link.probability), 4)}

    def _keep(self, which: npt.NDArray[np.int64]) -> None:
        self._notes, self._vectors = [self._notes[i] for i in which.tolist()], self._vectors[which]

    def state(self) -> tuple[list[dict[str, Any]], npt.NDArray[np.float32]]:
        """All that is known: a row per note, and their vectors."""
        fields = ("number", "time", "words", "seq", "said", "final")
        return [{name: getattr(n, name) for name in fields} for n in self._notes], self._vectors.copy()

    def restore(self, rows: Sequence[Mapping[str, Any]], vectors: npt.NDArray[np.float32]) -> None:
        """Become what ``state`` gave.

        Args:
            rows, vectors: from ``state``.
        """
        self._notes = [
            _Waiting(**{**row, "said": None if row["said"] is None else tuple(row["said"])}) for row in rows
        ]
        self._vectors = vectors.copy()

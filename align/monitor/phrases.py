"""Watched phrases -> matches: where a text that nobody trained on is seen in the stream."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from align.datatypes import Session
from align.errors import ParameterError
from align.monitor.voice import Voice
from align.rules import PhraseRule
from align.segmentation.live_events import Event

if TYPE_CHECKING:
    from align.coordination import Coordination
    from align.coordination.uses.embedded import EmbeddedSession

__all__ = ["PhraseWatch"]

_MOST = 16  # places of a phrase in a window


@dataclass(slots=True)
class _Place:
    start: float
    end: float
    probability: float
    seq: int | None = None
    cut: bool = False  # it may have begun before the window


class PhraseWatch:
    """Look for phrases in the last minutes, as ``coordination.retrieval.search_spans`` does.

    A place is said, provisional, once its probability reaches the phrase's ``on``; said anew when its edges move;
    withdrawn when it falls below ``off``; final when all of it lies before ``settled``. Places never overlap.

    Args:
        model: trained.
        phrases: of rules.
        voice: numbers the events.

    Raises:
        ParameterError: a text in which the model's encoder reads nothing.
    """

    def __init__(self, model: Coordination, phrases: Sequence[PhraseRule], voice: Voice) -> None:
        self._model, self._phrases, self._voice = model, tuple(phrases), voice
        self._asked = [_asked(model, p) for p in self._phrases]
        self._places: list[list[_Place]] = [[] for _ in self._phrases]
        self._done = [-math.inf] * len(self._phrases)  # end of the last final place

    @property
    def waits(self) -> bool:
        """Whether some match is provisional."""
        return any(self._places)

    def reset(self) -> None:
        """The clock was set back: nothing lies behind."""
        self._done = [-math.inf] * len(self._phrases)

    def found(self, session: Session | None) -> list[list[_Place]]:
        """Where each phrase is in the window; changes nothing.

        Args:
            session: the window's rows, None: there are none.

        Raises:
            InputError: what comes is not what the model reads.
        """
        if session is None or not self._phrases:
            return [[] for _ in self._phrases]
        from align.coordination.uses.embedded import embed_session

        embedded = embed_session(self._model, session, captions=False)
        return [self._found(k, embedded) for k in range(len(self._phrases))]

    def told(self, found: list[list[_Place]], settled: float) -> Iterator[Event]:
        """What there is to say of it.

        Args:
            found: by ``found``.
            settled: seconds before which places are final.
        """
        for k, phrase in enumerate(self._phrases):
            yield from self._told(k, phrase, found[k], settled)

    def _found(self, k: int, embedded: EmbeddedSession) -> list[_Place]:
        from align.coordination.uses.occurrences import occurrences
        from align.coordination.uses.zero_shot import log_odds

        vector, mean, sd = self._asked[k]
        odds = np.float32(self._model.sharpness) * log_odds(self._model, embedded, vector[None])[:, 0]
        duration = mean - float(np.log(embedded.hop)), sd
        places = [
            _Place(*embedded.seconds(o.start, o.end), o.probability, cut=o.start == 0)
            for o in occurrences(odds, embedded.observed, duration, _MOST)
        ]
        return sorted((p for p in places if p.start >= self._done[k]), key=lambda p: p.start)

    def _told(self, k: int, phrase: PhraseRule, found: list[_Place], settled: float) -> Iterator[Event]:
        before, now = self._places[k], []
        for place in found:
            same = next((b for b in before if b.start < place.end and place.start < b.end), None)
            if place.probability < (phrase.on if same is None else phrase.lower):
                continue
            if same is not None:
                before.remove(same)
                place.seq, place.start = same.seq, min(same.start, place.start) if place.cut else place.start
            moved = same is None or (same.start, same.end) != (place.start, place.end)
            if moved and place.end > settled:
                event = self._said(phrase, place, final=False)
                place.seq = event.seq
                yield event
            now.append(place)
        for gone in before:
            yield self._voice.said("withdrawn", gone.start, gone.end, revises=gone.seq, name=phrase.name)
        self._places[k] = [p for p in now if p.end > settled]
        for place in now:
            if place.end <= settled:
                self._done[k] = place.end
                yield self._said(phrase, place, final=True)

    def _said(self, phrase: PhraseRule, place: _Place, *, final: bool) -> Event:
        about = {"name": phrase.name, "probability": round(float(place.probability), 4)}
        return self._voice.said("match", place.start, place.end, final=final, revises=place.seq, **about)

    def state(self) -> list[dict[str, Any]]:
        """All that is known, per phrase."""
        fields = ("start", "end", "probability", "seq")
        return [
            {"done": done, "places": [[getattr(p, f) for f in fields] for p in places]}
            for done, places in zip(self._done, self._places, strict=True)
        ]

    def restore(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Become what ``state`` gave.

        Args:
            rows: from ``state``.
        """
        self._done = [float(row["done"]) for row in rows]
        self._places = [[_Place(*place) for place in row["places"]] for row in rows]


def _asked(model: Coordination, phrase: PhraseRule) -> tuple[np.ndarray[Any, Any], float, float]:
    """Direction and log duration of a phrase."""
    from align.coordination.uses.embedded import Query

    query = Query((phrase.text,))
    vector = query.vector(model)
    if not vector.any():
        raise ParameterError("text", "nothing that the text encoder can read", "a text with a word in it")
    return vector, *query.durations(model)

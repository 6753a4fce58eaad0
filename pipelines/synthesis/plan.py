"""Who the person is and what happens when: what motion, heart rate, sound and notes share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.synthesis.exact import Floats, normal, stream

__all__ = ["KINDS", "Event", "Kind", "Person", "Plan", "make_plan", "phase_of"]

TICK = 0.02  # seconds: every event begins and ends on a wrist sample


@dataclass(frozen=True, slots=True)
class Kind:
    """What an event of one kind is like: its length and how often something strikes in it.

    ``seconds`` shortest and longest; ``period`` seconds between two beats (steps, coughs, keys, strokes), its
    relative ``unevenness``, and ``lead`` seconds before the first and after the last beat.
    """

    seconds: tuple[float, float]
    period: float = 0.0
    unevenness: float = 0.0
    lead: tuple[float, float] = (0.0, 0.0)


KINDS = {
    "WALK": Kind((8.0, 11.0), period=0.53, unevenness=0.03, lead=(0.2, 0.1)),
    "STAIRS": Kind((7.0, 10.0), period=0.70, unevenness=0.05, lead=(0.2, 0.1)),
    "REST": Kind((7.0, 11.0)),
    "FALL": Kind((3.2, 4.2), period=0.30, unevenness=0.2, lead=(1.1, 1.6)),
    "WASH": Kind((6.0, 9.0), period=0.30, unevenness=0.12, lead=(0.7, 0.5)),
    "BRUSH": Kind((6.5, 9.5), period=0.205, unevenness=0.03, lead=(0.5, 0.4)),
    "TYPE": Kind((6.0, 9.0), period=0.19, unevenness=0.40, lead=(0.4, 0.2)),
    "LIE": Kind((8.0, 11.0)),
    "COUGH": Kind((3.5, 6.0), period=0.62, unevenness=0.22, lead=(0.3, 0.6)),
    "TALK": Kind((6.5, 10.0), period=0.21, unevenness=0.25, lead=(0.6, 0.3)),
    "DOOR": Kind((2.6, 3.4), period=1.3, unevenness=0.1, lead=(0.5, 0.5)),
    "DRINK": Kind((4.0, 6.0), period=1.1, unevenness=0.15, lead=(1.3, 1.0)),
}


@dataclass(frozen=True, slots=True)
class Person:
    """How one person and one watch differ from the next.

    ``pace`` and ``vigour`` scale tempo and strength; ``turn`` (3, 3) is how the watch sits on the wrist;
    ``gain`` and ``noise`` (m/s2) are the watch's; ``pitch`` (Hz) and ``loudness`` the voice's and the
    microphone's; ``pulse`` is the heart rate at rest; ``delay`` seconds is how late the notes are written.
    """

    number: int
    pace: float
    vigour: float
    turn: Floats
    gain: float
    noise: float
    pitch: float
    loudness: float
    pulse: float
    delay: float

    @property
    def name(self) -> str:
        return f"p{self.number}"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, from ``start`` to ``end`` seconds; ``beats``: when it strikes."""

    kind: str
    start: float
    end: float
    beats: Floats
    noted: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """One session: events in order with nothing in particular between them."""

    person: Person
    events: tuple[Event, ...]
    duration: float


def make_person(seed: int, number: int) -> Person:
    rng = stream(seed, number, 0)
    left = number % 3 == 0  # some wear it on the other wrist: two axes point the other way
    return Person(
        number=number,
        pace=0.90 + 0.20 * rng.random(),
        vigour=0.80 + 0.45 * rng.random(),
        turn=_turn(rng, 0.16) * np.array([-1.0, -1.0, 1.0] if left else [1.0, 1.0, 1.0])[:, None],
        gain=0.97 + 0.06 * rng.random(),
        noise=0.02 + 0.04 * rng.random(),
        pitch=(105.0 if rng.random() < 0.5 else 185.0) + 35.0 * rng.random(),
        loudness=0.65 + 0.5 * rng.random(),
        pulse=58.0 + 20.0 * rng.random(),
        delay=0.5 + 1.5 * rng.random(),
    )


def _turn(rng: np.random.Generator, size: float) -> Floats:
    """A rotation of about ``2 size`` radians per axis, from a quaternion: no sine, so exact."""
    x, y, z = (size * normal(rng) for _ in range(3))
    scale = 2.0 / (1.0 + x * x + y * y + z * z)
    return np.array(
        [
            [1 - scale * (y * y + z * z), scale * (x * y - z), scale * (x * z + y)],
            [scale * (x * y + z), 1 - scale * (x * x + z * z), scale * (y * z - x)],
            [scale * (x * z - y), scale * (y * z + x), 1 - scale * (x * x + y * y)],
        ]
    )


def make_plan(seed: int, number: int) -> Plan:
    """The session of person ``number``: ten of the twelve kinds, one twice, one without a note."""
    person = make_person(seed, number)
    rng = stream(seed, number, 1)
    kinds, silent = _cast(seed, number)
    events, clock = [], 1.5 + rng.random()
    for kind in _order(kinds, rng):
        shortest, longest = KINDS[kind].seconds
        start = _on_tick(clock)
        end = _on_tick(start + shortest + (longest - shortest) * rng.random())
        beats = _beats(kind, start, end, person, rng)
        events.append(Event(kind, start, end, beats, noted=kind != silent))
        clock = end + 1.4 + 1.8 * rng.random()
    return Plan(person, tuple(events), _on_tick(clock))


def _cast(seed: int, number: int) -> tuple[list[str], str]:
    """The kinds of one session and the one that gets no note, dealt so that six sessions are balanced.

    Over any six people in a row each kind is left out once, every second kind is there twice once, and the
    others go without a note once.
    """
    names = [list(KINDS)[int(i)] for i in stream(seed, 0, 0).permutation(len(KINDS))]
    first = 2 * (number - 1)
    left_out = {names[(first + i) % len(names)] for i in (0, 1)}
    again, silent = names[(first + 5) % len(names)], names[(first + 8) % len(names)]
    return [kind for kind in names if kind not in left_out] + [again], silent


def _order(kinds: list[str], rng: np.random.Generator) -> list[str]:
    """A random order in which the kind that comes twice does not follow itself."""
    while True:
        order = [kinds[int(i)] for i in rng.permutation(len(kinds))]
        if all(a != b for a, b in pairwise(order)):
            return order


def _on_tick(seconds: float) -> float:
    return round(round(seconds / TICK) * TICK, 2)


def _beats(kind: str, start: float, end: float, person: Person, rng: np.random.Generator) -> Floats:
    about = KINDS[kind]
    if not about.period:
        return np.empty(0)
    # what one does fast is also done fast by a brisk person; coughs, falls and doors keep their own time
    own_time = kind in ("COUGH", "FALL", "DOOR", "DRINK")
    period = about.period / (1.0 if own_time else person.pace)
    beats, clock = [], start + about.lead[0]
    while clock < end - about.lead[1]:
        beats.append(clock)
        clock += period * (1.0 + about.unevenness * max(-1.5, min(1.5, normal(rng))))
        if kind in ("TYPE", "TALK") and rng.random() < 0.10:
            clock += 0.3 + 0.4 * rng.random()  # a pause for thought, or for breath
    if kind in ("FALL", "DOOR"):
        beats = beats[:2]
    return np.asarray(beats)


def phase_of(times: Floats, beats: Floats) -> Floats:
    """How many beats have passed at each of ``times``: i at beat i, straight between and beyond."""
    if beats.size < 2:
        return np.zeros_like(times)
    before = np.clip(np.searchsorted(beats, times, side="right") - 1, 0, beats.size - 2)
    return before + (times - beats[before]) / (beats[before + 1] - beats[before])

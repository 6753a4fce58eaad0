"""What a person writes about a session: several wordings, vague times, one note about nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.synthesis.exact import normal, stream
from pipelines.synthesis.plan import Event, Plan

__all__ = ["FOREIGN", "NOTHING", "PHRASES", "Remark", "remarks"]

NOTHING = "NOTHING"

PHRASES = {
    "WALK": (
        "walked down the corridor",
        "went for a short walk",
        "walking to the kitchen and back",
        "on foot, at an easy pace",
        "strolled through the hall",
        "took a few turns up and down the room",
        "a walk round the house",
        "walked over to the letter box",
    ),
    "STAIRS": (
        "climbed the stairs",
        "went up two flights of stairs",
        "stairs again, out of breath at the top",
        "walking upstairs with the shopping",
        "up the steps to the second floor, heart pounding",
        "took the stairs because the lift is broken",
        "carried the laundry upstairs",
        "all the way up on foot, the steps are steep",
    ),
    "REST": (
        "sat down and rested",
        "just sitting in the armchair",
        "sat still for a moment",
        "took a break, doing nothing",
        "resting on the chair, hands in my lap",
        "sitting quietly",
        "a rest on the bench",
        "did nothing at all for a while, just sat",
    ),
    "FALL": (
        "tripped over the rug and fell",
        "fell down!",
        "lost my balance, landed on the floor",
        "stumbled and went down hard",
        "slipped, hit the floor with a bang",
        "had a fall, nothing broken",
        "legs gave way, ended up on the floor",
        "took a tumble, knee hurts",
    ),
    "WASH": (
        "washed my hands",
        "hands under the tap",
        "rinsed my hands with soap and water",
        "at the sink, washing hands",
        "scrubbed my hands, water running",
        "cleaned my hands at the basin",
        "washing up before the meal, hands only",
        "soap, water, clean hands",
    ),
    "BRUSH": (
        "brushed my teeth",
        "cleaning my teeth",
        "toothbrush, as the dentist told me",
        "brushing teeth",
        "teeth done",
        "scrubbed my teeth in the bathroom",
        "oral hygiene, two minutes by the clock",
        "gave my teeth a good brushing",
    ),
    "TYPE": (
        "typed an email",
        "typing on the laptop",
        "wrote a message on the keyboard",
        "working at the computer",
        "answered some mail at the desk",
        "keyboard work, a few lines of the report",
        "filled in the form on the computer",
        "typed up the shopping list",
    ),
    "LIE": (
        "lay down on the bed",
        "lying in bed for a bit",
        "stretched out on the sofa",
        "lay down, eyes closed",
        "in bed, calmer now",
        "had to lie down",
        "back to bed for a short while",
        "put my feet up and lay flat",
    ),
    "COUGH": (
        "coughing fit",
        "could not stop coughing",
        "coughed several times",
        "that dry cough again",
        "bad bout of coughing",
        "had to cough hard",
        "chest is bad today, cough cough",
        "another attack of coughing",
    ),
    "TALK": (
        "phone call with the clinic",
        "talked on the phone",
        "spoke to my neighbour on the telephone",
        "rang the pharmacy, they did the listening",
        "on the phone, chatting",
        "had a conversation on the mobile",
        "long chat, phone at my ear",
        "called the garage about the car",
    ),
    "DOOR": (
        "shut the front door",
        "the door slammed",
        "went through the door and closed it",
        "opened the door, it squeaks, and closed it again",
        "door closed behind me with a bang",
        "pulled the door shut",
        "came home, door shut behind me",
        "wind caught the door, it banged",
    ),
    "DRINK": (
        "drank a glass of water",
        "had some tea",
        "a few sips from the cup",
        "took the pills with water",
        "emptied my mug of coffee",
        "something to drink",
        "thirsty, drank some juice",
        "finished the cup of tea",
    ),
}

FOREIGN = (
    "must remember to renew the passport",
    "the tickets for Sunday are sold out",
    "my sister's birthday is next week",
    "the cat next door had kittens",
    "still waiting for the letter from the insurance",
    "the new curtains are too short",
    "the football club lost again",
    "rent goes up in June",
)


@dataclass(frozen=True, slots=True)
class Remark:
    """One note with its truth: ``time`` as written ("": not), ``span`` None when about nothing."""

    text: str
    time: str
    label: str
    span: tuple[float, float] | None


def remarks(seed: int, plan: Plan) -> list[Remark]:
    """The notes of one session in the order of what they are about, one note about nothing among them."""
    rng = stream(seed, plan.person.number, 5)
    late = plan.person.delay
    out: list[Remark] = []
    used: set[str] = set()
    for event in plan.events:
        if event.noted:
            text = _wording(event, used, rng)
            used.add(text)
            middle = (event.start + event.end) / 2 + late + 1.5 * normal(rng)
            out.append(Remark(text, _time(middle, rng), event.kind, (event.start, event.end)))
    place = int(rng.integers(1, len(out)))
    around = (_middle(out[place - 1]) + _middle(out[place])) / 2
    text = FOREIGN[(plan.person.number + int(stream(seed, 0, 1).integers(len(FOREIGN)))) % len(FOREIGN)]
    out.insert(place, Remark(text, _time(around, rng), NOTHING, None))
    return out


def _wording(event: Event, used: set[str], rng: np.random.Generator) -> str:
    free = [text for text in PHRASES[event.kind] if text not in used]
    return free[int(rng.integers(len(free)))]


def _middle(remark: Remark) -> float:
    assert remark.span is not None
    return (remark.span[0] + remark.span[1]) / 2


def _time(seconds: float, rng: np.random.Generator) -> str:
    """As people write it: mostly whole seconds, sometimes "around 0:30", sometimes nothing."""
    chance = rng.random()
    if chance < 0.2:
        return ""
    if chance < 0.4:
        rounded = 5 * round(seconds / 5)
        return f"around {rounded // 60}:{rounded % 60:02d}"
    return str(round(seconds))

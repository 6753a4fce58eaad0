"""Concepts that sentence encoders blur: directions, postures and changes of posture, opposites of everyday notes.

A sentence encoder trained on web text puts "walking downstairs" at cosine 0.87 from "walking upstairs" and
hardly tells "sits down" from "stands up". This branch looks words up in a small table of everyday English and
puts what it finds beside the encoder's vector, so that opposites lie apart whatever their wording.
The table is general; nothing in it is learned from recordings.

Models trained before ``meanings`` took its place say "+concepts" and still read texts through it: it is not changed any
more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError
from align.text.protocol import TextEncoder

__all__ = ["BRANCH", "CONCEPTS", "WithConcepts", "concept_vector"]

BRANCH = "+concepts"  # what the branch adds to the name of an encoder

#: concept -> the words that carry it
CONCEPTS: dict[str, str] = {
    "up": "up upstairs upward upwards climb climbs climbed climbing ascend ascends ascended ascending rise rises"
    " rose risen rising raise raises raised lift lifts lifted uphill higher increase increased increases",
    "down": "down downstairs downward downwards descend descends descended descending lower lowers lowered"
    " lowering drop drops dropped sink sinks downhill decrease decreased decreases",
    "fall": "fall falls fell fallen falling trip tripped trips stumble stumbled stumbles collapse collapsed",
    "sit": "sit sits sat sitting seat seats seated chair armchair sofa couch stool bench",
    "stand": "stand stands stood standing upright feet foot erect",
    "lie": "lie lies lay lain lays laying lying bed flat supine prone recline reclines reclined reclining mattress"
    " pillow horizontal",
    "sleep": "sleep sleeps slept sleeping asleep nap naps napped doze dozed dozing",
    "wake": "wake wakes woke woken awake waking",
    "walk": "walk walks walked walking stroll strolls strolled strolling stride strides striding pace paces paced"
    " pacing wander wandered wanders step steps stepped gait hike hikes hiked hiking ambulate ambulates corridor"
    " hallway metres meters",
    "run": "run runs ran running jog jogs jogged jogging sprint sprints sprinted sprinting treadmill",
    "cycle": "cycle cycles cycled cycling bike biked biking bicycle",
    "stairs": "stairs stair staircase stairway stairwell upstairs downstairs flight steps",
    "turn": "turn turns turned turning rotate rotates rotated rotating spin spins spun spinning pivot pivots pivoted"
    " swivel swivels around",
    "still": "still motionless stay stays stayed staying remain remains remained remaining wait waits waited waiting"
    " idle rest rests rested resting keep keeps kept calm unmoving without",
    "change": "get gets got getting go goes went going take takes took taking from to onto into rise rises rose lower"
    " lowers lowered change changes changed move moves moved out become becomes",
    "eat": "eat eats ate eating meal breakfast lunch dinner supper snack food chew chewing",
    "drink": "drink drinks drank drinking sip sips sipped coffee tea",
    "wash": "wash washes washed washing shower showered bath rinse rinsed brush brushed brushing teeth toothbrush",
    "type": "type types typed typing keyboard computer laptop desk",
    "speak": "speak speaks spoke speaking talk talks talked talking chat chats chatted conversation phone call voice",
    "cough": "cough coughs coughed coughing",
    "sneeze": "sneeze sneezes sneezed sneezing",
    "laugh": "laugh laughs laughed laughing",
    "cry": "cry cries cried crying weep weeps",
    "breath": "breath breathe breathes breathing breathless gasp gasped wheeze wheezing dyspnea sob",
    "heart": "heart heartbeat palpitation palpitations pulse tachycardia bradycardia arrhythmia afib hr",
    "dizzy": "dizzy dizziness lightheaded faint fainted vertigo giddy syncope",
    "pain": "pain painful ache aches ached aching hurt hurts sore cramp cramps",
    "door": "door doors doorbell knock knocks knocked gate",
    "open": "open opens opened opening",
    "close": "close closes closed closing shut shuts slam slams slammed",
    "begin": "begin begins began start starts started starting onset on",
    "end": "end ends ended stop stops stopped finish finishes finished off over",
    "left": "left leftwards",
    "right": "right rightwards",
    "fast": "fast faster quick quickly brisk briskly rapid rapidly hurry hurried",
    "slow": "slow slower slowly gentle gently leisurely",
    "loud": "loud louder loudly noise noisy bang",
    "quiet": "quiet quietly silent silence",
    "in": "in inside indoors enter enters entered arrive arrived home",
    "outside": "outside outdoors leave leaves exit exits exited away",
    "not": "not no never none nothing",
}
_POSTURES = ("sit", "stand", "lie")
_ROLES = ("from", "to", "state")
_AXES = (*CONCEPTS, *(f"{role} {p}" for role in _ROLES for p in _POSTURES))
_COLUMN = {axis: i for i, axis in enumerate(_AXES)}
_ROLE_WEIGHT = 1.5
_OF_WORD: dict[str, frozenset[str]] = {}
for _concept, _words in CONCEPTS.items():
    for _word in _words.split():
        _OF_WORD[_word] = _OF_WORD.get(_word, frozenset()) | {_concept}


def concept_vector(text: str) -> npt.NDArray[np.float32]:
    """(n_axes,) which concepts a text names, and postures as left ("from"), reached ("to") or kept ("state").

    Unit norm; zeros when it names none.

    Args:
        text: any text; English words in any case are looked up.

    >>> names = [axis for axis, on in zip(_AXES, concept_vector("sits down"), strict=True) if on]
    >>> names
    ['down', 'sit', 'to sit']
    """
    words = re.findall(r"[a-z]+", text.lower())
    concepts = [_OF_WORD.get(w, frozenset()) for w in words]
    named = frozenset().union(*concepts)
    out = np.zeros(len(_AXES), np.float32)
    for concept in named:
        out[_COLUMN[concept]] = 1.0
    if not named & {"stairs", "walk"}:
        for role, posture in _posture_roles(words, concepts, named):
            out[_COLUMN[f"{role} {posture}"]] = _ROLE_WEIGHT
    norm = float(np.linalg.norm(out))
    return out / norm if norm else out


def _posture_roles(
    words: list[str], concepts: list[frozenset[str]], named: frozenset[str]
) -> set[tuple[str, str]]:
    """How each posture is meant: "from sitting", "out of bed" leave it; a change reaches it; else it is kept."""
    left: set[str] = set()
    met: set[str] = set()
    for i, found in enumerate(concepts):
        postures = found & set(_POSTURES)
        before = words[max(0, i - 3) : i]
        is_source = ("from" in before and "to" not in before[before.index("from") :]) or (
            "out" in before and "of" in before
        )
        (left if is_source else met).update(postures)
    changing = bool(left) or (bool(named & {"change", "up", "down"}) and "still" not in named)
    if not changing:
        return {("state", p) for p in met}
    reached = met - left
    if left and not reached and "up" in named:
        reached = {"stand"}
    return {("from", p) for p in left} | {("to", p) for p in reached}


class WithConcepts:
    """A ``TextEncoder`` with the concept branch beside it: ``[vector, weight * concepts]``, unit norm.

    Args:
        encoder: the base encoder.
        weight: length of the concept part against the encoder's 1, >= 0.

    Raises:
        ParameterError: weight is negative or not finite.
    """

    def __init__(self, encoder: TextEncoder, weight: float = 1.0) -> None:
        if not 0.0 <= weight < math.inf:
            raise ParameterError("weight", weight, "a finite number >= 0")
        self._encoder = encoder
        self._weight = weight
        self.name = encoder.name + BRANCH
        self.dimension = encoder.dimension + len(_AXES)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, dimension) unit-norm rows, one per text; zeros where the base finds nothing and no concept is named."""
        concepts = np.stack([concept_vector(t) for t in texts]) if texts else np.zeros((0, len(_AXES)))
        both = np.hstack([self._encoder.encode(texts), self._weight * concepts])
        norm = np.sqrt((both**2).sum(axis=1, keepdims=True))
        return np.asarray(both / np.where(norm > 0, norm, 1.0), dtype=np.float32)

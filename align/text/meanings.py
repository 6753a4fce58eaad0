"""Meanings that sentence encoders blur: directions, postures and changes of posture, gaits, numbers, opposites.

A sentence encoder trained on web text puts "walking downstairs" at cosine 0.87 from "walking upstairs" and
hardly tells "sits down" from "stands up". This branch looks words up in a small table of everyday English, reads
who goes from which posture to which (``postures``), and puts what it finds beside the encoder's vector, so that
opposites lie apart whatever their wording. Table and rules are general; nothing in them is learned from recordings.
It took the place of ``concepts``, which models made before it still use.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError
from align.text.plain import mended, plain_name, plain_words, posture_words
from align.text.postures import POSTURES, ROLES, posture_roles
from align.text.protocol import TextEncoder
from align.text.wording import SHORT_FORMS, expanded, word_set, words_of

__all__ = ["MEANINGS", "WithMeanings", "branch_name", "meaning_vector"]

_RULES = 1  # to be raised with every change of what the same table makes of a text

#: meaning -> the words that carry it
MEANINGS: dict[str, str] = {
    "up": "up upstairs upward upwards climb climbs climbed climbing ascend ascends ascended ascending ascent rise"
    " rises rose risen rising raise raises raised raising lift lifts lifted uphill higher increase increased"
    " increases",
    "down": "down downstairs downward downwards descend descends descended descending descent lower lowers lowered"
    " lowering drop drops dropped sinks sank downhill decrease decreased decreases",
    "fall": "fall falls fell fallen falling trip tripped trips stumble stumbled stumbles collapse collapsed",
    "sit": "sit sits sat sitting seat seats seated chair armchair sofa couch stool bench wheelchair",
    "stand": "stand stands stood standing upright feet foot erect",
    "lie": "lie lies lay lain lays laying lying bed flat supine prone recumbent recline reclines reclined reclining"
    " mattress pillow horizontal",
    "sleep": "sleep sleeps slept sleeping asleep nap naps napped doze dozed dozing",
    "wake": "wake wakes woke woken awake waking",
    "walk": "walk walks walked walking stroll strolls strolled strolling stride strides striding pace paces paced"
    " pacing wander wandered wanders wandering gait hike hikes hiked hiking ambulate ambulates ambulated ambulating"
    " ambulation corridor hallway metres meters march marches marched marching amble ambles ambled",
    "run": "run runs ran running jog jogs jogged jogging sprint sprints sprinted sprinting treadmill",
    "cycle": "cycle cycles cycled cycling bike biked biking bicycle",
    "stairs": "stairs stair staircase stairway stairwell stairwells staircases upstairs downstairs flight flights",
    "turn": "turn turns turned turning rotate rotates rotated rotating rotation spin spins spun spinning pivot"
    " pivots pivoted pivoting swivel swivels swivelled around",
    "still": "still motionless stay stays stayed staying remain remains remained remaining wait waits waited waiting"
    " idle rest rests rested resting keep keeps kept calm calmly unmoving quietly",
    "change": "get gets got getting go goes went going take takes took taking change changes changed changing move"
    " moves moved become becomes transfer transfers transferred transition transitions",
    "eat": "eat eats ate eating meal breakfast lunch dinner supper snack food chew chewing",
    "drink": "drink drinks drank drinking sip sips sipped coffee tea",
    "wash": "wash washes washed washing shower showered showering bath rinse rinsed brush brushed brushing teeth"
    " toothbrush",
    "type": "type types typed typing keyboard computer laptop desk",
    "speak": "speak speaks spoke speaking talk talks talked talking chat chats chatted conversation phone call"
    " voice",
    "cough": "cough coughs coughed coughing",
    "sneeze": "sneeze sneezes sneezed sneezing",
    "laugh": "laugh laughs laughed laughing",
    "cry": "cry cries cried crying weep weeps weeping wail wails wailed wailing sobs sobbed sobbing",
    "breath": "breath breathe breathes breathing breathless gasp gasped wheeze wheezing dyspnea dyspnoea",
    "heart": "heart heartbeat palpitation palpitations pulse tachycardia bradycardia arrhythmia fibrillation",
    "dizzy": "dizzy dizziness lightheaded faint fainted vertigo giddy syncope",
    "pain": "pain painful ache aches ached aching hurt hurts sore cramp cramps",
    "door": "door doors doorbell knock knocks knocked gate",
    "open": "open opens opened opening",
    "close": "close closes closed closing shut shuts slam slams slammed",
    "begin": "begin begins began begun start starts started starting onset",
    "end": "end ends ended stop stops stopped finish finishes finished ceases ceased",
    "left": "left leftwards",
    "right": "right rightwards",
    "fast": "fast faster quick quickly brisk briskly rapid rapidly hurry hurried",
    "slow": "slow slower slowly gentle gently leisurely",
    "loud": "loud louder loudly noise noisy bang",
    "quiet": "quiet silent silence",
    "in": "inside indoors enter enters entered arrive arrived home",
    "outside": "outside outdoors leave leaves exit exits exited away",
    "not": "not no never none nothing without cannot",
}
#: particles that carry a meaning only at the end of a note or after such a verb ("turned on", but not "on the chair")
_PARTICLES = {"on": "begin", "off": "end", "over": "end", "in": "in", "out": "outside"}
_WITH_PARTICLE = word_set(
    "turn turns turned turning switch switches switched switching put puts come comes came coming go goes"
    " went going take takes took taking set sets"
)
_UNMOVED = word_set("move moves moved moving movement movements motion motions activity stirring")
_NUMBER_WORDS = "zero|nought|null one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: n for n, words in enumerate(_NUMBER_WORDS.split()) for word in words.split("|")}
#: words beside which a number is what a note is about, not how many of something
_SPOKEN = word_set(
    "the a an number numeral digit figure say says said saying speak speaks spoke spoken speaking read"
    " reads reading out aloud word count counts counted counting call calls called voice speaker patient"
    " participant person he she they i we someone subject is was it and now again clearly"
)
_CHANGES = tuple((a, b) for a in POSTURES for b in POSTURES if a != b)
_GAITS = ("walk level", "stairs up", "stairs down")
_SAID = tuple(f"says {n}" for n in range(max(_NUMBERS.values()) + 1))
_AXES = (
    *MEANINGS,
    *(f"{role} {p}" for role in ROLES for p in POSTURES),
    *(f"{a} to {b}" for a, b in _CHANGES),
    *_GAITS,
    *_SAID,
)
_COLUMN = {axis: i for i, axis in enumerate(_AXES)}
_PART_WEIGHT = 1.5  # of what the rules read, beside 1 for a word
_OF_WORD: dict[str, frozenset[str]] = {}
for _meaning, _words in MEANINGS.items():
    for _word in _words.split():
        _OF_WORD[_word] = _OF_WORD.get(_word, frozenset()) | {_meaning}
_KNOWN = frozenset(_OF_WORD)


def branch_name(*, plain: bool = True) -> str:
    """What the branch adds to an encoder's name: it changes with the tables, so equal names give equal vectors.

    Args:
        plain: of notes said plainly; without, as models made before read them.
    """
    content = json.dumps([_RULES, MEANINGS, SHORT_FORMS, _AXES, sorted(_NUMBERS)], sort_keys=True)
    return plain_name() * plain + "+meanings-" + hashlib.sha256(content.encode()).hexdigest()[:8]


def meaning_vector(text: str, *, plain: bool = True) -> npt.NDArray[np.float32]:
    """(n_axes,) which meanings a text names, and which posture it leaves, reaches or keeps.

    Unit norm; zeros when it names none.

    Args:
        text: any text; English words in any case are looked up.
        plain: read it as said plainly (``plain``).

    >>> [axis for axis, on in zip(_AXES, meaning_vector("takes a seat"), strict=True) if on]
    ['sit', 'change', 'from stand', 'to sit', 'stand to sit']
    """
    words = plain_words(mended(text, _KNOWN)) if plain else words_of(text)
    out = np.zeros(len(_AXES), np.float32)
    named = _named(words)
    for meaning in named:
        out[_COLUMN[meaning]] = 1.0
    for axis, weight in _read(posture_words(words) if plain else words, named).items():
        out[_COLUMN[axis]] = _PART_WEIGHT * weight
    norm = float(np.linalg.norm(out))
    return out / norm if norm else out


def _named(words: Sequence[str]) -> set[str]:
    """Meanings of single words, of particles where they stand for one, and of "not moving"."""
    named = set().union(*(_OF_WORD.get(w, frozenset()) for w in words))
    for i, word in enumerate(words):
        if word in _PARTICLES and (i == len(words) - 1 or (i and words[i - 1] in _WITH_PARTICLE)):
            named.add(_PARTICLES[word])
        if word == "left" and words[i + 1 : i + 2] in (["the"], ["a"], ["his"], ["her"], ["my"], ["their"]):
            named = (named - {"left"}) | {"outside"}
        if word.endswith("n't"):
            named.add("not")
    if "not" in named and _UNMOVED & set(words):
        named = (named - {"not", "change"}) | {"still"}
    return named


def _read(words: Sequence[str], named: set[str]) -> dict[str, float]:
    """Axis -> weight of what takes more than one word to say."""
    climbs = [way for way in ("up", "down") if way in named]
    if climbs and {"steps", "step"} & set(words):
        named = named | {"stairs"}
    if "stairs" in named:
        return {f"stairs {way}": 1.0 for way in climbs}
    if "walk" in named or {"steps", "step"} & set(words):
        return {"walk level": 1.0}
    numbers = {_NUMBERS.get(w, int(w) if w.isdigit() and len(w) < 3 else -1) for w in words}
    numbers &= set(_NUMBERS.values())
    if len(numbers) == 1 and all(w in _SPOKEN or w in _NUMBERS or w.isdigit() for w in words):
        return {f"says {numbers.pop()}": 1.0}
    roles = posture_roles(words)
    if "still" in named and not any(role == "from" for role, _ in roles):
        roles = {("state", posture): weight for (_, posture), weight in roles.items()}
    axes = {f"{role} {posture}": weight for (role, posture), weight in roles.items()}
    for a, b in _CHANGES:
        both = min(roles.get(("from", a), 0.0), roles.get(("to", b), 0.0))
        if both:
            axes[f"{a} to {b}"] = both
    return axes


class WithMeanings:
    """A ``TextEncoder`` with the branch beside it: ``[vector, weight * meanings]``, unit norm.

    Short forms are written out for both.

    Args:
        encoder: the base encoder.
        weight: length of the branch against the encoder's 1, >= 0.
        plain: mend the spelling for both, and read meanings of the note said plainly; models made before do not.

    Raises:
        ParameterError: weight is negative or not finite.
    """

    def __init__(self, encoder: TextEncoder, weight: float = 1.5, *, plain: bool = True) -> None:
        if not 0.0 <= weight < math.inf:
            raise ParameterError("weight", weight, "a finite number >= 0")
        self._encoder = encoder
        self._weight = weight
        self._plain = plain
        self.name = encoder.name + branch_name(plain=plain)
        self.dimension = encoder.dimension + len(_AXES)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, dimension) unit-norm rows, one per text; zeros where the base finds nothing and nothing is named."""
        rows = [meaning_vector(t, plain=self._plain) for t in texts]
        meanings = np.stack(rows) if rows else np.zeros((0, len(_AXES)))
        heard = [expanded(mended(t, _KNOWN) if self._plain else t) for t in texts]
        both = np.hstack([self._encoder.encode(heard), self._weight * meanings])
        norm = np.sqrt((both**2).sum(axis=1, keepdims=True))
        return np.asarray(both / np.where(norm > 0, norm, 1.0), dtype=np.float32)

"""Other ways to write a short note: a small grammar of English, without a model.

A note is read as [subject] verb phrase; what follows the verb is kept. Each rewording draws, independently: a verb
phrase of the same meaning (``SAME``), a tense and person ("sits down", "patient sat down", "I am sitting down"), with
or without articles, a register ("noted:", "pt"), capitals and a full stop. A note without a verb of the table keeps
its words and varies in the rest. What is drawn never changes who does what to what, nor any direction; the tables are
general and were not made from the notes of any recording.
"""

from __future__ import annotations

import re

import numpy as np

from align.text.verbs import Form, inflected, lemma_of
from align.text.wording import word_set

__all__ = ["SAME", "paraphrases"]

#: verb phrases that say the same, in base form
SAME: tuple[tuple[str, ...], ...] = (
    ("walk", "stroll", "pace"),
    ("run", "jog"),
    ("sit down", "take a seat", "lower to sit", "get seated"),
    ("stand up", "rise to stand", "get to standing"),
    ("lie down", "recline", "stretch out"),
    ("get up", "rise", "arise"),
    ("go up", "climb", "ascend", "come up"),
    ("go down", "descend", "come down"),
    ("climb", "go up", "ascend"),
    ("stay", "remain", "keep"),
    ("rest", "relax"),
    ("turn around", "turn round", "pivot", "rotate"),
    ("make a turn", "turn", "turn round"),
    ("sleep", "nap", "doze", "be asleep"),
    ("wake up", "wake", "awaken"),
    ("eat", "have a meal", "take food"),
    ("drink", "sip"),
    ("talk", "speak", "chat", "have a conversation"),
    ("cry", "weep", "wail", "sob"),
    ("leave", "exit", "go out"),
    ("come in", "enter", "arrive"),
    ("start", "begin"),
    ("stop", "end", "finish"),
    ("fall", "fall over", "take a tumble"),
    ("wash", "have a wash"),
    ("close", "shut"),
)
#: changes of posture: as "-ing" they may name the posture as well ("lying down"), so that form is not drawn for them
_MOMENTS = frozenset(phrase for group in SAME[2:5] for phrase in group)
_KEPT_BEFORE = word_set("in into onto out off")  # "climbs into bed" is no "ascends into bed"
_SUBJECTS = ("", "", "patient", "the patient", "participant", "he", "she", "I", "person", "subject")
_TELL: dict[Form, tuple[str, ...]] = {
    "third": ("",),
    "past": ("",),
    "ing": ("", "is", "was", "seen"),
    "base": ("",),
}
_NOTED = ("", "", "", "noted: ", "observed: ", "then ", "now ")
_ARTICLES = re.compile(r"\b(?:the|a|an)\s+", re.IGNORECASE)
_POSSESSIVE = re.compile(r"\b(?:their|his|her|my)\b", re.IGNORECASE)
_SHORTENED = {"patient": "pt", "without": "w/o", "with": "w/"}
_TRIES = 8  # draws for every rewording wanted; short notes have few


def paraphrases(text: str, n: int, rng: np.random.Generator) -> tuple[str, ...]:
    """At most ``n`` distinct rewordings of a note, none of them the note itself; empty for an empty note.

    Args:
        text: a short note, best in English.
        n: how many are wanted, >= 0.
        rng: draws them.

    >>> paraphrases("sits down on the chair", 3, np.random.default_rng(2))  # doctest: +SKIP
    ('patient took a seat on the chair', 'getting seated on chair', 'I sit down on the chair.')
    """
    plain = text.strip()
    if not any(c.isalnum() for c in plain):
        return ()
    found: dict[str, None] = {}
    for _ in range(_TRIES * n):
        if len(found) >= n:
            break
        said = _reworded(plain, rng)
        if said.casefold() != plain.casefold():
            found.setdefault(said)
    return tuple(found)


def _reworded(text: str, rng: np.random.Generator) -> str:
    words = text.rstrip(".").split()
    said = _with_verb(words, rng) or " ".join(words)
    if rng.random() < 0.3:
        said = _ARTICLES.sub("", said) or said
    if rng.random() < 0.2:
        said = " ".join(_SHORTENED.get(w, w) for w in said.split())
    said = _NOTED[int(rng.integers(len(_NOTED)))] + said
    if rng.random() < 0.2:
        said = said[0].upper() + said[1:]
    return said + ("." if rng.random() < 0.15 else "")


def _with_verb(words: list[str], rng: np.random.Generator) -> str:
    """The note with its first verb said otherwise; empty where it begins with no known verb."""
    lower = [w.lower().strip(",;:") for w in words]
    at = _verb_at(lower)
    if at is None:
        return ""
    known = lemma_of(lower[at])
    assert known is not None
    phrase, length = _phrase(known[0], lower[at + 1 :])
    after = lower[at + 1 + length : at + 2 + length]
    same = [group for group in SAME if phrase in group and not _KEPT_BEFORE & set(after)]
    if same and rng.random() < 0.6:
        group = same[int(rng.integers(len(same)))]
        phrase = group[int(rng.integers(len(group)))]
    form: Form = ("third", "past", "ing")[int(rng.integers(2 if phrase in _MOMENTS else 3))]
    subject = _SUBJECTS[int(rng.integers(len(_SUBJECTS)))]
    tell = _TELL[form][int(rng.integers(len(_TELL[form])))]
    if subject == "I":
        form, tell = ("base" if form == "third" else form), _of_first_person(tell)
    verb, _, rest = phrase.partition(" ")
    tail = " ".join(words[at + 1 + length :])
    if subject:
        tail = _POSSESSIVE.sub({"I": "my", "he": "his", "she": "her"}.get(subject, "their"), tail)
    said = f"{subject} {tell} {_said(verb, form)} {rest} {tail}"
    return " ".join(said.split())


def _verb_at(lower: list[str]) -> int | None:
    """Where the verb is: the first word, or the second or third after a subject and "is" or "was"."""
    subjects = {"patient", "participant", "person", "subject", "someone", "he", "she", "i", "they", "the"}
    auxiliary = {"is", "was", "am", "are", "were", "has", "been"}
    for i, word in enumerate(lower):
        if word in subjects or word in auxiliary:
            continue
        return i if lemma_of(word) is not None else None
    return None


def _phrase(lemma: str, following: list[str]) -> tuple[str, int]:
    """The longest phrase of ``SAME`` that the verb and what follows are, and how many words after the verb."""
    best, length = lemma, 0
    for group in SAME:
        for phrase in group:
            verb, *rest = phrase.split()
            if verb == lemma and len(rest) > length and following[: len(rest)] == rest:
                best, length = phrase, len(rest)
    return best, length


def _said(verb: str, form: Form) -> str:
    if verb == "be":
        return {"base": "am", "third": "is", "past": "was", "ing": "being"}[form]
    return inflected(verb, form)


def _of_first_person(tell: str) -> str:
    return {"is": "am", "seen": ""}.get(tell, tell)

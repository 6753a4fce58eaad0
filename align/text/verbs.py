"""Forms of everyday English verbs: enough to say a short note in another tense or person."""

from __future__ import annotations

from typing import Literal

__all__ = ["FORMS", "Form", "inflected", "lemma_of"]

Form = Literal["base", "third", "past", "ing"]
FORMS: tuple[Form, ...] = ("base", "third", "past", "ing")

#: lemma -> past; regular ones follow the rules
_PAST_TEXT = (
    "go:went come:came get:got take:took sit:sat stand:stood lie:lay rise:rose arise:arose run:ran eat:ate"
    " drink:drank sleep:slept wake:woke speak:spoke say:said begin:began leave:left keep:kept feel:felt"
    " fall:fell have:had hear:heard see:saw make:made put:put swing:swung spin:spun sink:sank shut:shut"
    " open:opened enter:entered rest:rested hold:held become:became ring:rang sing:sang blow:blew fly:flew"
    " ride:rode drive:drove"
)
_PAST = dict(pair.split(":") for pair in _PAST_TEXT.split())
_REGULAR = (
    "walk stroll stride pace wander ambulate climb ascend descend lower seat recline stretch stay remain"
    " wait turn rotate pivot jog talk chat call cough sneeze laugh cry weep wail bark crow tick crackle"
    " knock close slam start stop finish end return arrive exit move shift transfer change step raise lift"
    " drop relax doze nap wash shower brush rinse type count shout sob breathe gasp cycle bike march amble awaken sip"
)
_DOUBLED = frozenset(
    [
        "get",
        "sit",
        "run",
        "stop",
        "put",
        "begin",
        "spin",
        "shut",
        "nap",
        "drop",
        "jog",
        "chat",
        "sob",
        "step",
        "sip",
    ]
)
_IRREGULAR_ING = {"lie": "lying"}
_SIBILANT = ("s", "x", "z", "ch", "sh", "o")


def inflected(lemma: str, form: Form) -> str:
    """The verb in a form.

    Args:
        lemma: its base form.
        form: "base", "third" (person singular, present), "past" or "ing".

    >>> [inflected("sit", form) for form in FORMS]
    ['sit', 'sits', 'sat', 'sitting']
    """
    if form == "base":
        return lemma
    if form == "third":
        return _third(lemma)
    if form == "past" and lemma in _PAST:
        return _PAST[lemma]
    if form == "ing" and lemma in _IRREGULAR_ING:
        return _IRREGULAR_ING[lemma]
    stem = lemma + lemma[-1] if lemma in _DOUBLED else lemma
    if form == "ing":
        return (stem[:-1] if stem.endswith("e") and not stem.endswith("ee") else stem) + "ing"
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return stem[:-1] + "ied"
    return stem + ("d" if stem.endswith("e") else "ed")


def _third(lemma: str) -> str:
    if lemma == "have":
        return "has"
    if lemma.endswith("y") and lemma[-2] not in "aeiou":
        return lemma[:-1] + "ies"
    return lemma + ("es" if lemma.endswith(_SIBILANT) else "s")


_OF_FORM: dict[str, tuple[str, Form]] = {}
for _lemma in (*_PAST, *_REGULAR.split()):
    for _form in FORMS:
        _OF_FORM.setdefault(inflected(_lemma, _form), (_lemma, _form))


def lemma_of(word: str) -> tuple[str, Form] | None:
    """Base form and form of a verb in the table, or None.

    Args:
        word: lower case.

    >>> lemma_of("lay"), lemma_of("table")
    (('lie', 'past'), None)
    """
    return _OF_FORM.get(word)

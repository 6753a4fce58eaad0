"""How a note speaks of sitting, standing and lying: kept, left, or reached.

"sits down", "from lying to sitting" and "stays seated" name the same posture in three different parts. A few
rules of English tell them apart: prepositions ("from", "out of", "to", "into"), particles ("up", "down", "back"),
verbs of change ("gets", "takes") and of rest ("stays", "still"), and what a change usually starts from (nobody sits
*down* from lying, nobody sits *up* from standing).
"""

from __future__ import annotations

from collections.abc import Sequence

from align.text.wording import word_set

__all__ = ["POSTURES", "ROLES", "posture_roles"]

POSTURES = ("sit", "stand", "lie")
ROLES = ("from", "to", "state")
Roles = dict[tuple[str, str], float]

_VERBS = {
    "sit": "sit sits sat",
    "stand": "stand stands stood",
    "lie": "lie lies lay lays",
}
_HELD = {  # how one is
    "sit": "sitting seated",
    "stand": "standing upright feet foot erect",
    "lie": "lying laying lain recumbent supine prone flat horizontal",
}
_PLACES = {  # what one is on: says a posture only where no other word does ("lies on the couch")
    "sit": "seat seats chair chairs armchair sofa couch stool bench wheelchair",
    "lie": "bed mattress pillow",
}


def _inverted(table: dict[str, str]) -> dict[str, str]:
    return {word: posture for posture, words in table.items() for word in words.split()}


OF_VERB, OF_HELD, OF_PLACE = _inverted(_VERBS), _inverted(_HELD), _inverted(_PLACES)
_UP = word_set(
    "up upward rise rises rose risen rising raise raises raised raising arise arises arose arising"
)
_DOWN = word_set(
    "down lower lowers lowered lowering drop drops dropped dropping sinks sank sinking plop plops"
)
_BACK = word_set("back recline reclines reclined reclining")
_CHANGE = word_set(
    "get gets got getting go goes went going come comes came coming take takes took taking move moves"
    " moved moving change changes changed changing transfer transfers transferred transferring transition"
    " transitions climb climbs climbed climbing roll rolls rolled shift shifts shifted"
    " return returns returned has had push pushes pushed"
)
_REST = word_set(
    "still motionless stay stays stayed staying remain remains remained remaining wait waits waited"
    " waiting rest rests rested resting keep keeps kept keeping quiet quietly calm calmly idle without not"
    " no just while"
)
_RISE = word_set("rise rises rose risen rising arise arises arose arising")
_GET_UP = word_set("get gets got getting pull pulls pulled push pushes pushed pick picks picked")
_OF_A_THING = word_set("the a an his her my their to on in")  # "picks up the cup", "gets up to date"
_ASIDE = word_set("front next beside by near behind around past under toward towards edge")
_LEAVE = word_set("leave leaves left leaving off")
_GIVEN = 1.0
_SUPPOSED = 0.5  # of what is not said but usual


def posture_roles(words: Sequence[str]) -> Roles:
    """(role, posture) -> weight in (0, 1]: 1 where the words say it, 0.5 where it is only usual.

    Args:
        words: of one note, lower case, in order.

    >>> posture_roles("gets up from lying down".split())
    {('from', 'lie'): 1.0, ('to', 'stand'): 1.0}
    >>> posture_roles("sits still".split())
    {('state', 'sit'): 1.0}
    """
    named = _named(words)
    left = [(i, p) for k, (i, p) in enumerate(named) if _is_left(words, i, named[k + 1 : k + 5])]
    behind = {i for i, _ in left}
    kept = [(i, p) for i, p in named if i not in behind]
    if any(words[i] not in OF_PLACE for i, _ in kept):
        kept = [(i, p) for i, p in kept if words[i] not in OF_PLACE]
    origins = [p for _, p in left]
    loose = frozenset(words) - _absorbed(words, named)
    rising, sinking, leaning = bool(loose & _UP), bool(loose & _DOWN), bool(loose & _BACK)
    if not named:
        return {("to", "stand"): _GIVEN} if _stands_up(words) else {}
    changing = bool(left) or rising or sinking or leaning or _goes_to(words, kept, loose)
    if not changing or (not left and loose & _REST):
        return {("state", p): _GIVEN for _, p in kept} | _half_change(words, named)
    roles: Roles = {("from", p): _GIVEN for p in origins}
    reached = _reached(words, kept, rising)
    if not reached and left and (rising or {"out", "off"} & loose):
        reached = "stand"
    if reached:
        roles[("to", reached)] = _GIVEN
        if not left:
            roles[("from", _usual_origin(reached, [p for _, p in kept], rising, leaning))] = _SUPPOSED
    return roles


def _stands_up(words: Sequence[str]) -> bool:
    """ "gets up", "rose": standing up, where no posture is named."""
    if "up" not in words:
        return bool(_RISE & set(words))
    after = words[words.index("up") + 1 : words.index("up") + 2]
    return bool((_GET_UP | _RISE) & set(words)) and not _OF_A_THING & set(after)


def _named(words: Sequence[str]) -> list[tuple[int, str]]:
    """(index, posture) of every word that names one; a place that something is merely near does not."""
    of = OF_VERB | OF_HELD
    found = []
    for i, word in enumerate(words):
        if word in of:
            found.append((i, of[word]))
        elif word in OF_PLACE and not _ASIDE & set(words[max(0, i - 3) : i]):
            found.append((i, OF_PLACE[word]))
    return found


def _is_left(words: Sequence[str], i: int, later: Sequence[tuple[int, str]]) -> bool:
    """Is the posture word at i what is left: "from sitting", "out of bed", "left the chair", "sit to stand"?

    ``later``: the next four posture words; no other is as near as four words.
    """
    before = list(words[max(0, i - 3) : i])
    if "from" in before and not set(before[before.index("from") :]) & {"to", "into", "onto"}:
        return True
    if {"out", "of"} <= set(before) or _LEAVE & set(before[-2:]):
        return True
    return any(set(words[i + 1 : j]) & {"to", "into"} and j - i <= 4 for j, _ in later)


def _absorbed(words: Sequence[str], named: Sequence[tuple[int, str]]) -> frozenset[str]:
    """Particles that belong to how one is ("lying down", "standing up") and say nothing of a change."""
    return frozenset(
        words[i + 1]
        for i, _ in named
        if words[i].endswith("ing") and i + 1 < len(words) and words[i + 1] in ("down", "up", "back")
    )


def _goes_to(words: Sequence[str], kept: Sequence[tuple[int, str]], loose: frozenset[str]) -> bool:
    """A verb of change, unless in or on a place ("rolled over in bed"), or "into", "onto" before a posture."""
    into = any({"into", "onto"} & set(words[max(0, i - 2) : i]) for i, _ in kept)
    inside = any({"in", "on"} & set(words[max(0, i - 2) : i]) and words[i] in OF_PLACE for i, _ in kept)
    return into or (bool(loose & _CHANGE) and not inside)


def _half_change(words: Sequence[str], named: Sequence[tuple[int, str]]) -> Roles:
    """ "sitting down" and "standing up" may be a change as well; "lying down" hardly is."""
    pairs = {(words[i], words[i + 1]) for i, _ in named if i + 1 < len(words)}
    roles: Roles = {}
    if ("sitting", "down") in pairs:
        roles |= {("to", "sit"): _SUPPOSED, ("from", "stand"): _SUPPOSED}
    if ("sitting", "up") in pairs:
        roles |= {("to", "sit"): _SUPPOSED, ("from", "lie"): _SUPPOSED}
    if ("standing", "up") in pairs:
        roles |= {("to", "stand"): _SUPPOSED, ("from", "sit"): _SUPPOSED}
    return roles


def _reached(words: Sequence[str], kept: Sequence[tuple[int, str]], rising: bool) -> str:
    """The posture that is reached; of several the verb's ("sits upright") or the last ("down to lie flat")."""
    found = list(dict.fromkeys(p for _, p in kept))
    if len(found) < 2:
        return found[0] if found else ""
    verbs = [OF_VERB[words[i]] for i, _ in kept if words[i] in OF_VERB]
    if verbs:
        return verbs[-1]
    return "stand" if rising and "stand" in found else found[-1]


def _usual_origin(reached: str, named: Sequence[str], rising: bool, leaning: bool) -> str:
    """What a change to ``reached`` usually starts from, where the note does not say."""
    if reached == "sit":
        return "lie" if rising else "stand"
    if reached == "stand":
        return "lie" if "lie" in named else "sit"
    return "sit" if leaning or "sit" in named else "stand"

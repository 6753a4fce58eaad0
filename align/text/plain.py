"""A note said plainly: its spelling mended, its turns of phrase put into words that the tables of meanings know.

People who write notes spell as they speak ("sittin"), mistype ("armchiar"), say one thing in many ways ("plonked down",
"on foot", "nil sway") and tell a change of posture as a story ("was standing there and just threw himself flat on the
bed"). Here such a note becomes what ``meanings`` and ``postures`` can read. The rules are of everyday and clinical
English in general; nothing in them is learned from recordings. The sentence encoder hears the note itself, its spelling
mended.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from align.text.postures import OF_HELD, OF_PLACE, OF_VERB
from align.text.wording import MOST, word_set, words_of

__all__ = ["mended", "plain_name", "plain_words", "posture_words"]

_RULES = 1  # to be raised with every change of what the same tables make of a note

#: short form -> what it stands for; beside those of ``wording``, which older models were trained with
_SHORT = {
    "\u2191": "up",
    "\u2193": "down",
    "asc": "ascending",
    "desc": "descending",
    "dwn": "down",
    "eob": "edge of bed",
    "zf": "frame",
    "sba": "with somebody near",
    "cga": "with a hand on",
    "lob": "loss of balance",
    "indep": "independently",
    "nil": "no",
    "outta": "out of",
}
_THE = "(?:his|her|my|their|the|its|your|a|an|both|two)"
_WAY = "potter|toddl|shuffl|saunter|hobbl|cruis|mobili[sz]|trudg"
_FALL = "plonk|plop|flop|slump|eas"
_LEAP = "jump|haul|heav|scrambl|leap|bolt"
_UP = r"(?:\w+self |\w+ (?:butt|bum) |straight |right |back )?(?:up|upright|out|off|to|onto|from)\b"
_FLOOR = r"(?:\w+(?:st|nd|rd|th)|third|next|top|upper) (?:floor|storey)"
#: words -> plainer words, one line after the other, over lower-case words with blanks between
_PHRASES = (
    ("n", "and"),
    # what is not done, or was done before
    (
        "(?:no|not|zero|without|never|does not|doesn't|do not|don't|is not|isn't) (?:any )?"
        "(?:movements?|motion|mov(?:e|es|ing)|steps?|stirring)",
        "still",
    ),
    (r"(?:no|not|without) (?:\w+ )?(?:walk(?:ing)?|sit(?:ting)?|seated|stand(?:ing)?|lying)(?: \w+)?", ""),
    (r"after (?:the |a |his |her |my )?(?:walk|walking|stroll)", ""),
    ("timed up and go", "test"),
    # how long
    ("just", ""),
    (r"(?:had|\w+'d) been", "was"),
    (r"(?:has |have |\w+'(?:s|ve) )?been", "stays"),
    ("for (?:a |some )?(?:long |good )?(?:while|time|ages)|forever", "stays"),
    (r"all (?:day|morning|afternoon|evening|night|along)|since \w+", "stays"),
    # where one is
    ("settee|loveseat", "sofa"),
    ("(?:recliner|commode|pew|deckchair|rocker)s?", "chair"),
    ("(?:cot|bunk|plinth|stretcher)s?", "bed"),
    ("passageway|lobby|pavement|sidewalk", "corridor"),
    ("gait belt", "belt"),
    (
        rf"(from|to) (?:{_THE} )?(?:(?:edge|side|border) of (?:{_THE} )?bed|bed (?:edge|side|border)|bedside)",
        r"\1 sitting",
    ),
    (rf"(?:edge|side) of (?:{_THE} )?bed to", "sitting to"),
    (r"under (?:the |a )?(?:covers?|quilt|duvet|blankets?)", "in bed"),
    ("(?:out of bed|up) (?:in|on) (?:the |a )?chair", "sitting on chair"),
    ("back (?:supported|against|straight|pressed|rest(?:ed|ing)?)", ""),
    # feet are a posture only where one is on them
    ("(?:on|by|with) foot", "walking"),
    ("feets|foots", "feet"),
    (rf"(up|back) (?:on|onto) {_THE} legs", r"\1 on feet"),
    (rf"(on|onto|to|off|from|upon) (?:{_THE} )?(?:own )?feet", r"\1 feet"),
    (rf"(?<!on )(?<!onto )(?<!to )(?<!off )(?<!from )(?<!upon )(?:{_THE} )?feet", ""),
    ("on the flat|flat (?:ground|road|path|surface|terrain)|floor is flat", "level"),
    # ways of sitting, standing and lying
    (rf"perch(?:|es|ed|ing)|dangl(?:e|es|ed|ing)|on {_THE} (?:backside|bum|bottom|butt|behind)", "sitting"),
    ("settl(?:e|es|ed|ing) (?:down )?(into|onto|back)", r"lowers \1"),
    (rf"(?:{_FALL})ed|plopped|flopped", "lowered"),
    (rf"(?:{_FALL})ing|plopping|flopping", "lowering"),
    (rf"(?:{_FALL})e?s?", "lowers"),
    (
        "(?:put|puts|putting|let|lets|letting|park|parks|parked|parking) (?:him|her|my|it|them|your)(?:self|selves)",
        "lowers",
    ),
    ("grab(?:s|bed|bing)? (?:a |the )?(?:seat|chair)|(?:take|takes|took|taking) a pew", "sits down"),
    (rf"(?:take|takes|took|taken|taking) {_THE} (?:chair|stool)(?! (?:away|to|from|out|back))", "sits down"),
    (r"(?:descent|descend(?:s|ed|ing)?) (?:in)?to ((?:\w+ )?(?:chair|seat))", r"lowers to \1"),
    ("(?:left|right|l|r) lateral", "lying"),
    ("(tuck|prop)(?:s|ped|ed|ping|ing)? up", r"\1ed"),
    ("stances?", "standing"),
    ("laid", "lay"),
    ("(?:having |had |has |have )?a lie down|(?:at )?full length|down to sleep", "lying"),
    (r"sprawl(?:|s|ed|ing)(?: out)?|stretch(?:|es|ed|ing) (?:\w+self )?out|curl(?:|s|ed|ing) up", "lying"),
    (rf"(?:on|onto) {_THE} (?:back|side(?! of)|stomach|belly|tummy)", "lying"),
    # ways of getting up
    ("(?:bolt|bolts|bolted|shot|sprang) upright", "rose"),
    (rf"(?:(?:{_LEAP})ed|hopped|leapt|sprang|sprung|shot)(?= {_UP})", "rose"),
    (rf"(?:(?:{_LEAP})ing|hopping|springing)(?= {_UP})", "rising"),
    (rf"(?:(?:{_LEAP})e?s?|hops?|springs?)(?= {_UP})", "rises"),
    (rf"out (?:{_THE} )?(chair|seat|bed|sofa|couch)", r"out of \1"),
    ("(chair|seat|bed|sofa|couch) (?:rises?|rising|exit)", r"rises from \1"),
    ("seat off", "rises from seat"),
    # ways of going
    (rf"(?:{_WAY})ed|limped|trotted|strutted|plodded|trekked|hiked|trod", "walked"),
    (rf"(?:{_WAY})ing|limping|trotting|strutting|plodding|trekking|treading", "walking"),
    (rf"(?:{_WAY})es?|(?:potter|saunter|trot|strut|plod|trek|tread)s?|limps", "walks"),
    (
        "(?:go|goes|went|going|head|heads|headed|heading)(?: back| out| off| away)?"
        " (along|across|ahead|forwards?|towards?|over to)",
        r"walks \1",
    ),
    ("(?:come|comes|came|coming)(?: back| out)? (along|forwards?|towards?|over to)", r"walks \1"),
    (r"(lift|elevator|escalator)(?: up| down)? (?:to|from) (?:\w+ ){1,3}?(?:floor|storey)", r"\1"),
    (
        rf"laps|crossing {_THE}|locomotion|stepping|on the move|(?:make|makes|made|making) {_THE} way",
        "walking",
    ),
    ("upstair", "upstairs"),
    ("downstair", "downstairs"),
    ("(?:banister|bannister)s?", "stairs"),
    (
        rf"(?:to|into) {_THE} (?:{_FLOOR}|attic|loft)|from downstairs|from {_THE} (?:cellar|basement)",
        "up stairs",
    ),
    (rf"from (?:{_THE} )?ground (?:floor|level)", "up stairs"),
    (rf"to (?:{_THE} )?ground (?:floor|level)", "down stairs"),
    (rf"from {_THE} {_FLOOR}|from upstairs|(?:to|into) {_THE} (?:cellar|basement)", "down stairs"),
    # ways of turning
    (
        "(?:swing|swings|swung|swinging|twirl|twirls|twirled|twirling) (?:round|around)"
        "|(?:go|goes|went|going|walk|walks|walked|walking) (?:round|around) (?:the |a )?"
        "(?:cone|mark|marker|pole|chair)"
        "|(?:swivel|swivels|swivelled|swivelling)(?: round| around)?|rounds (?:the|a)",
        "turns around",
    ),
    (
        "(?:a|turns?|turned|turning)(?: lil| little)? 180|180 (?:degrees? )?turn|about turn|half circle"
        "|chang(?:e|es|ed|ing) (?:the )?direction|fac(?:e|es|ed|ing) the other way",
        "turn around",
    ),
)
_SHORT_FORM = re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)\.?" for form in _SHORT), re.IGNORECASE)
_PATTERNS = tuple((re.compile(rf"\b(?:{pattern})(?!\w|')"), plain) for pattern, plain in _PHRASES)
_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_]{4,24}(?![^\W\d_])")
_TURN = re.compile(r"\b(?:turn|rotat|pivot|spin|spun|swivel)")
_BESIDE_A_TURN = re.compile(  # how it was done and where it ended: neither a walk nor a seat
    r"\b(?:\w+ )?(?:little |small |multi )?steps?\b"
    r"|\b(?:to|towards?|before|in front of|faced|faces|facing) (?:the )?(?:chair|seat)\b"
)
_LEFT_BEHIND = re.compile(
    r"\b(?:(?<!and )after|done|finished|tired of|instead of|having)\b(?: \w+){0,2}$"
    r"|^(?!.*\b(?:then|now|and)\b).*\b(?:was|were)$"
)
_NOT = re.compile(r"\b(?:no|without) \w+")
_RISING = re.compile(r"\b(?:up|upwards?|rises?|rose|rising|arose)\b")
_WAS = re.compile(r"\b(?:was|were|stays)\b")
_IN = word_set("in on into onto")
_THEN = word_set("now then next")
_LOWER = word_set("lowers lowered lowering")
_BEFORE = word_set("was were stays")
_TAKE = word_set("take takes took taking")
_TO = word_set("to into onto")
_STAIRS = word_set("stairs upstairs downstairs steps")
_OF_WORD = OF_VERB | OF_HELD
_KEPT = {"sit": "sitting", "stand": "standing", "lie": "lying"}


def plain_name() -> str:
    """What the plain form adds to an encoder's name: it changes with the tables, so equal names give equal vectors."""
    content = json.dumps([_RULES, _SHORT, _PHRASES])
    return "+plain-" + hashlib.sha256(content.encode()).hexdigest()[:8]


def mended(text: str, known: frozenset[str]) -> str:
    """The note with its spelling mended where that hardly changes what it says.

    A "g" that was left out ("sittin"), two letters in each other's place ("armchiar"), a double letter written once or
    a single one twice ("matress") are put right where that makes a known word of one that is none. Of 22,501 English
    words that sentence encoders know whole this touches "goin", "nothin" and "Finnish".

    Args:
        text: any; at most 20,000 characters are looked at.
        known: words, lower case.

    >>> mended("Pt sittin in armchiar", frozenset(["sitting", "armchair"]))
    'Pt sitting in armchair'
    """
    text = _SHORT_FORM.sub(lambda found: _SHORT[found[0].lower().rstrip(".")], text[:MOST])
    return _WORD.sub(lambda found: _mended(found[0], known), text)


def _mended(word: str, known: frozenset[str]) -> str:
    low = word.lower()
    if low in known:
        return word
    if low.endswith("in") and low + "g" in known:
        return word + "g"
    for i in range(1, len(low) if len(low) > 5 else 0):
        swapped = low[:i] + low[i + 1 : i + 2] + low[i] + low[i + 2 :]
        twice = low[:i] + low[i] + low[i:]
        once = low[:i] + low[i + 1 :] if low[i] == low[i - 1] else low
        for other in (swapped, twice, once):
            if other in known:
                return other
    return word


def plain_words(text: str) -> list[str]:
    """The note's words, plainer ones in the place of those that the tables of meanings do not know.

    Args:
        text: its spelling mended.

    >>> plain_words("chair rise, nil help")
    ['rises', 'from', 'chair', 'nil', 'help']
    """
    said = " ".join(words_of(text))
    for pattern, plain in _PATTERNS:
        said = " ".join(pattern.sub(plain, said).split())
    if _TURN.search(said):
        said = _BESIDE_A_TURN.sub("", said)
    return said.split()


def posture_words(words: Sequence[str]) -> list[str]:
    """The words that tell a posture: without what is not there ("no arms"), which would tell of rest, and two postures
    told one after the other as the change from the first to the second, so as one that somebody rises from after having
    been in it.

    Args:
        words: plain ones.

    >>> posture_words("he was standing at the window and lay on the bed".split())
    ['from', 'standing', 'to', 'lying']
    >>> posture_words("sits down after standing so long".split())
    ['from', 'standing', 'to', 'sitting']
    """
    words = _NOT.sub("", " ".join(words)).split()
    told = _told(words)
    postures = [posture for k, (_, posture) in enumerate(told) if not k or told[k - 1][1] != posture]
    if _STAIRS & set(words) or not 0 < len(postures) < 3:
        return words
    begin = told[0][0]
    if len(postures) == 1:
        before, after = words[:begin], words[told[-1][0] + 1 :]
        if _WAS.search(" ".join(before)) and _RISING.search(" ".join(after)) and after[0] != "up":
            return ["from", _KEPT[postures[0]], *after]
        return words
    first, last = postures
    between = words[begin + 1 : next(i for i, posture in told if posture != first)]
    if {"from", "of"} & set(words[max(0, begin - 2) : begin]) or "from" in between:
        return words
    if len(between) < 4 and _TO & set(between):
        return words
    if _LEFT_BEHIND.search(" ".join(between)):
        first, last = last, first
    return ["from", _KEPT[first], "to", _KEPT[last]]


def _told(words: Sequence[str]) -> list[tuple[int, str]]:
    """(index, posture) of what somebody does or is; a place counts where one is, or was, in or on it."""
    found: list[tuple[int, str]] = []
    for i, word in enumerate(words):
        posture = _OF_WORD.get(word)
        near = {*words[max(0, i - 2) : i], *words[i + 1 : i + 3]}
        if word in ("upright", "erect") and any(_OF_WORD.get(other) == "sit" for other in near):
            continue  # "sits upright"
        before = set(words[max(0, i - 2) : i])
        if word == "seat" and _TAKE & before:
            posture = "sit"
        elif posture is None and word in OF_PLACE and _IN & before:
            since = set(words[found[-1][0] + 1 if found else 0 : i])
            if (_THEN | _LOWER) & since or (not found and _BEFORE & since):
                posture = OF_PLACE[word]
        if posture is not None:
            found.append((i, posture))
    return found

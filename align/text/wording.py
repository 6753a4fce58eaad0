"""What every reading of a note begins with: its words, short forms written out.

Clinical and everyday short forms are general knowledge (nursing and physiotherapy notes); a form that may mean
several things ("PT", "L", "SOB" as a word) is written out only where notes of observations hardly mean another.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["MOST", "SHORT_FORMS", "expanded", "word_set", "words_of"]

#: short form -> what it stands for; looked up as whole words, in any case
SHORT_FORMS: dict[str, str] = {
    "pt": "patient",
    "pts": "patients",
    "pat": "patient",
    "subj": "participant",
    "w/": "with",
    "w/o": "without",
    "s/p": "after",
    "c/o": "complains of",
    "h/o": "history of",
    "b/c": "because",
    "n/v": "nausea and vomiting",
    "w/c": "wheelchair",
    "amb": "walking",
    "ambul": "walking",
    "oob": "out of bed",
    "oobtc": "out of bed to chair",
    "sts": "sit to stand",
    "tug": "timed up and go",
    "upst": "upstairs",
    "dnst": "downstairs",
    "dn": "down",
    "flr": "floor",
    "fwd": "forward",
    "bkwd": "backward",
    "lt": "left",
    "rt": "right",
    "bilat": "on both sides",
    "min": "minutes",
    "mins": "minutes",
    "sec": "seconds",
    "secs": "seconds",
    "hrs": "hours",
    "approx": "about",
    "hr": "heart rate",
    "bp": "blood pressure",
    "rr": "breathing rate",
    "temp": "temperature",
    "spo2": "blood oxygen",
    "sob": "short of breath",
    "doe": "short of breath on exertion",
    "cp": "chest pain",
    "ha": "headache",
    "afib": "atrial fibrillation",
    "vtach": "ventricular tachycardia",
    "tachy": "fast heart rate",
    "brady": "slow heart rate",
    "sz": "seizure",
    "loc": "loss of consciousness",
    "abd": "abdominal",
    "bm": "bowel movement",
    "meds": "medication",
    "rx": "prescription",
    "tx": "treatment",
    "dx": "diagnosis",
    "sx": "symptoms",
    "prn": "when needed",
    "npo": "nothing by mouth",
    "brkfst": "breakfast",
    "bfast": "breakfast",
    "tv": "television",
    "bg": "blood sugar",
    "hypo": "low blood sugar",
    "hyper": "high blood sugar",
}
_SHORT = re.compile(
    r"(?<![\w/])(?:"
    + "|".join(sorted(map(re.escape, SHORT_FORMS), key=len, reverse=True))
    + r")(?![\w/])\.?",
    re.IGNORECASE,
)
_ARROW = re.compile(r"\s*(?:-+>|=+>|\u2192)\s*")
_WORDS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:\.\d+)?")
MOST = 20_000  # characters of a note that are looked at: a huge one must not stall a run


def expanded(text: str) -> str:
    """The text with its short forms written out and arrows read as "to"; the rest stays as it is.

    Args:
        text: any; at most 20,000 characters are looked at.

    >>> expanded("Pt amb w/ stick, sit->stand")
    'patient walking with stick, sit to stand'
    """
    return _SHORT.sub(
        lambda found: SHORT_FORMS[found[0].rstrip(".").lower()], _ARROW.sub(" to ", text[:MOST])
    )


def word_set(text: str) -> frozenset[str]:
    """The words of a table's line.

    Args:
        text: words with blanks between.
    """
    return frozenset(text.split())


def words_of(text: str) -> list[str]:
    """Words and numbers of a text in order: lower case, short forms written out, hyphens parted.

    Args:
        text: any.

    >>> words_of("Sit-to-stand, 3 times; doesn't move")
    ['sit', 'to', 'stand', '3', 'times', "doesn't", 'move']
    """
    plain = unicodedata.normalize("NFKC", expanded(text)).casefold().replace("\u2019", "'")
    return _WORDS.findall(plain)

"""A short name for each code: from captions of its segments ("a3 rhythmic steps near 1.8 Hz"), or off its centroid."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["Said", "code_id", "code_names"]

_TELLING = 0.75  # robust standard deviations from the median at which a feature is worth a word
_MOST_WORDS = 2  # deviating channels named, beside the rhythm
_LONGEST_CHANNEL = 24
_SAID_FROM = 0.5  # share of a code's time in which a caption must say a phrase
_MOST_PHRASES = 2
_FIGURE = re.compile(r"(?<= near )\d+(?:\.\d+)?")  # only there: channels have digits in their names, too
_PLACE = "\0"  # of the figure in a phrase
_RHYTHMIC = 0.5  # share of the power near the peak from which a segment is called rhythmic

_SAYS_NOTHING = ("nothing recorded", "nothing stands out", "something")

# statistic -> (word when above the median, word when below it)
_WORDS = {
    "mean": ("high", "low"),
    "sd": ("varied", "steady"),
    "change": ("restless", "calm"),
}
_FREQUENCY, _RHYTHM = "frequency", "rhythm"


def code_id(code: int) -> str:
    """The handle of a code: a letter and a digit for the first 260, more letters after that.

    >>> [code_id(c) for c in (0, 13, 259, 260)]
    ['a0', 'b3', 'z9', 'aa0']
    """
    letters, rest = "", code // 10
    while True:
        letters = chr(ord("a") + rest % 26) + letters
        rest = rest // 26 - 1
        if rest < 0:
            return f"{letters}{code % 10}"


def code_names(
    centroids: npt.NDArray[np.float32],
    shift: npt.NDArray[np.float32],
    scale: npt.NDArray[np.float32],
    features: tuple[str, ...],
) -> tuple[str, ...]:
    """Name every code by its handle, its two most unusual channels and its rhythm.

    Names are unique because handles are, and depend on nothing but the arguments.

    Args:
        centroids: (n_codes, n_features) float32, scaled.
        shift, scale: (n_features,) float32: ``centroids * scale + shift`` is in the features' own units.
        features: "<channel>.<statistic>" per column.
    """
    columns = [_split(name) for name in features]
    natural = centroids.astype(np.float64) * scale + shift
    return tuple(
        f"{code_id(code)} {_describe(centroids[code], natural[code], columns)}"
        for code in range(len(centroids))
    )


def _split(feature: str) -> tuple[str, str]:
    channel, _, statistic = feature.rpartition(".")
    return channel, statistic


def _describe(
    centroid: npt.NDArray[np.float32], natural: npt.NDArray[np.float64], columns: list[tuple[str, str]]
) -> str:
    words: list[str] = []
    named: set[str] = set()
    # Rounding keeps the order of near ties the same on every machine; then the earlier column comes first.
    unusual = np.argsort(-np.round(np.abs(centroid.astype(np.float64)), 3), kind="stable")
    for index in unusual:
        channel, statistic = columns[index]
        word = _word(statistic, float(centroid[index]), float(natural[index]))
        if word and channel not in named and abs(centroid[index]) >= _TELLING and len(named) < _MOST_WORDS:
            words.append(f"{word} {channel[:_LONGEST_CHANNEL]}")
            named.add(channel)
    rhythm = _strongest_rhythm(natural, columns)
    if rhythm > 0.0:
        words.append(f"rhythmic {rhythm:.1f} Hz")
    return ", ".join(words) or "typical"


def _word(statistic: str, scaled: float, natural: float) -> str:
    """The word for a deviating statistic, or "" for one that says nothing in words."""
    if statistic == "slope":
        # A slope above the median may still fall: the trend itself decides, and must be the unusual side.
        return ("rising" if natural > 0 else "falling") if scaled * natural > 0 else ""
    above, below = _WORDS.get(statistic, ("", ""))
    return above if scaled > 0 else below


def _strongest_rhythm(natural: npt.NDArray[np.float64], columns: list[tuple[str, str]]) -> float:
    """Frequency in Hz of the most rhythmic channel, 0 when none is rhythmic."""
    values = {columns[i]: float(natural[i]) for i in range(len(columns))}
    best, frequency = _RHYTHMIC, 0.0
    for (channel, statistic), share in values.items():
        if statistic == _RHYTHM and round(share, 3) > best:
            best, frequency = round(share, 3), values[(channel, _FREQUENCY)]
    return frequency


class Said:
    """What captions say of the segments of each code, added up over recordings.

    A name takes the phrases that hold in most of a code's time, first those that are said of it more than of the
    others; a figure in a phrase ("near 1.8 Hz") is the mean over that time.
    """

    def __init__(self, n_codes: int) -> None:
        self._seconds = np.zeros(n_codes)
        self._held: dict[
            str, npt.NDArray[np.float64]
        ] = {}  # phrase -> (n_codes, 2) seconds, figure x seconds

    def add(self, codes: npt.NDArray[np.int32], seconds: Floats, captions: Sequence[str]) -> None:
        """Count one recording.

        Args:
            codes: (n,) of its segments.
            seconds: (n,) how long each lasts.
            captions: (n,) of ``align.features.caption_segments``: phrases between "; ".
        """
        k = len(self._seconds)
        self._seconds += np.bincount(codes, seconds, minlength=k)
        for code, lasts, caption in zip(codes.tolist(), seconds.tolist(), captions, strict=True):
            for phrase in caption.split("; "):
                figure = _FIGURE.search(phrase)
                held = self._held.setdefault(_FIGURE.sub(_PLACE, phrase, count=1), np.zeros((k, 2)))
                held[code] += lasts, lasts * (float(figure[0]) if figure else 0.0)

    def names(self, otherwise: tuple[str, ...]) -> tuple[str, ...]:
        """One name per code, its handle first.

        Args:
            otherwise: of ``code_names``: the whole name where captions say nothing, and in brackets where several
                codes would have the same one.
        """
        said = [self._of(code) for code in range(len(self._seconds))]
        return tuple(
            name if not words else f"{code_id(code)} {words}" if said.count(words) == 1
            else f"{code_id(code)} {words} ({name.partition(' ')[2]})"
            for code, (words, name) in enumerate(zip(said, otherwise, strict=True))
        )  # fmt: skip

    def _of(self, code: int) -> str:
        total, everywhere = self._seconds[code], self._seconds.sum()
        if not total > 0:
            return ""
        found = []
        for phrase, held in self._held.items():
            share = held[code, 0] / total
            if share >= _SAID_FROM and phrase not in _SAYS_NOTHING:
                lift = round(float(share - held[:, 0].sum() / everywhere), 3)
                figure = held[code, 1] / held[code, 0]
                found.append((-lift, -round(float(share), 3), phrase, figure))
        words = [
            phrase.replace(_PLACE, f"{figure:.3g}") for _, _, phrase, figure in sorted(found)[:_MOST_PHRASES]
        ]
        return ", ".join(words)

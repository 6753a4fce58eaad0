"""A short name for each code, read off its centroid: "a3 high acc_mag, rhythmic 1.9 Hz"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["code_id", "code_names"]

_TELLING = 0.75  # robust standard deviations from the median at which a feature is worth a word
_MOST_WORDS = 2  # deviating channels named, beside the rhythm
_LONGEST_CHANNEL = 24
_RHYTHMIC = 0.5  # share of the power near the peak from which a segment is called rhythmic

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

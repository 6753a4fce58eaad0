"""How far the words of a recording's notes were heard in training, and what those may mean that were not.

The projection of texts learns under noise (``network/text_projection.py``), so a text vector is projected the shorter
the less it has to do with those of training: its length, which is then set to one, says how well a text is
understood. A model keeps the length from which on a text counts as heard and no text; of those that two or more people
wrote, it keeps where they were projected.

Of words that were not heard the network is as sure as of others, and wrong more often. Two remedies:

- All notes of a recording count less together, the more of them are said in words that were not heard. (Weighing the
  evidence less note by note does not help, as the surer notes then take their places.)
- A text that lies near none of training, but not nowhere, may have been misunderstood: it has a share of meaning one
  of the other things that the model knows. The decoder weighs these meanings span by span (``matching/meanings``),
  where the recording and the other notes tell. What has nothing to do with any of them is more likely about
  something else: it keeps to what little its words say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, frozen_array, set_fields
from align.errors import ParameterError

__all__ = ["Heard", "fit_heard"]

_RARE = 0.1  # of the training texts, those projected shortest: heard once or twice themselves
_SLACK = 0.97
_LOST = 0.75  # of the log odds, where no text was heard
_NEARER = 3.0  # log of how much likelier a meaning is for each 1 of cosine
_KNOWN = 0.01  # novelty below which a text was heard as it stands
_PEOPLE = 2  # who must have written what is kept
_ALIKE = 0.9  # cosine from which two texts mean the same
_MOST_TEXTS, _MOST_MEANINGS, _MOST_EACH = 4096, 64, 16  # kept; told apart; weighed for one note

F4 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What training heard.

    ``length``: that of a projected text from which on it counts as heard, 0: not known, and all count as heard.
    ``texts`` (n, d) f4: distinct training texts of several people as projected, before their length is made one.
    ``meanings`` (k, d) f4, of length 1: what the texts of several people mean, those that mean the same taken
    together; ``durations`` (k, 2) f4: mean and standard deviation of the log seconds that each tends to last.
    """

    length: float
    texts: F4
    meanings: F4
    durations: F4

    def __post_init__(self) -> None:
        for name in ("texts", "meanings", "durations"):
            set_fields(self, **{name: frozen_array(getattr(self, name), np.float32)})
        (_, d), (k, other) = self.texts.shape, self.meanings.shape
        if other != d or self.durations.shape != (k, 2):
            shapes = self.texts.shape, self.meanings.shape, self.durations.shape
            raise ParameterError("heard", shapes, "(n, d), (k, d) and (k, 2)")
        if not (np.isfinite(self.durations).all() and (self.durations[:, 1] > 0.0).all()):
            raise ParameterError("heard.durations", "NaN, infinite or <= 0", "finite, deviations > 0")

    def trust(self, projected: F4) -> float:
        """How much the network's log odds count of a recording whose notes are projected like this, in [0.25, 1].

        Args:
            projected: (n, d) of the notes' texts, those left out that say nothing.

        >>> heard = Heard(0.3, *(np.zeros((0, d), np.float32) for d in (2, 2, 2)))
        >>> heard.trust(np.array([[0.4, 0.0], [0.0, 0.1]], np.float32))
        0.625
        """
        if not len(projected) or self.length <= 0.0:
            return 1.0
        return 1.0 - _LOST * float(np.mean(np.linalg.norm(projected, axis=1) < self.length))

    def novelty(self, projected: F4) -> Floats:
        """(n,) how far each text lies from the nearest one of training, in lengths of one that was heard, at most 1.

        Args:
            projected: (n, d).
        """
        if not len(self.texts) or self.length <= 0.0:
            return np.ones(len(projected))
        away = np.asarray([np.linalg.norm(self.texts - row, axis=1).min() for row in projected])
        return np.minimum(1.0, away.astype(np.float64) / self.length)

    def shares(self, projected: F4) -> Floats:
        """(n, k) prior probability that a text means something else than its words say, by meaning; at most 0.25 a row.

        Of a text of novelty v it is v (1 - v) in all, shared among its 16 nearest meanings by the exp of 3
        times the cosine.

        Args:
            projected: (n, d).
        """
        novelty = self.novelty(projected)
        unit = projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-12)
        weights = np.exp(_NEARER * (unit @ self.meanings.T).astype(np.float64))
        if weights.shape[1] > _MOST_EACH:
            weights[weights < np.sort(weights, axis=1)[:, [-_MOST_EACH]]] = 0.0
        total = np.where(novelty < _KNOWN, 0.0, novelty * (1.0 - novelty))
        return np.asarray(total[:, None] * weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12))


def fit_heard(projected: F4, durations: Floats, wrote: npt.NDArray[np.bool_]) -> Heard:
    """What was heard.

    Texts are taken to mean the same where their cosine with the one in the middle of them is 0.9 or more: the most
    crowded first, 64 meanings at most. Texts that one person alone wrote are not kept, nor such meanings.

    Args:
        projected: (n, d) of the distinct training texts, n >= 1, before their length is made one.
        durations: (n, 2) mean and standard deviation of the log seconds that each tends to last.
        wrote: (n, n_people) who wrote which.
    """
    lengths = np.linalg.norm(projected, axis=1)
    unit = projected / np.maximum(lengths, 1e-12)[:, None]
    some = _evenly(np.arange(len(unit)))
    unit, lasts, by = unit[some], durations[some], wrote[some]
    alike = unit @ unit.T >= _ALIKE
    meanings: list[Floats] = []
    lasting: list[Floats] = []
    while alike.any() and len(meanings) < _MOST_MEANINGS:
        group = alike[int(np.argmax(alike.sum(axis=1)))].copy()
        alike[group] = False
        alike[:, group] = False
        if by[group].any(axis=0).sum() >= _PEOPLE:
            middle = unit[group].mean(axis=0)
            meanings.append(middle / np.linalg.norm(middle))
            lasting.append(lasts[group].mean(axis=0))
    shortest = float(np.quantile(lengths, _RARE, method="lower"))
    common, d = _evenly(np.flatnonzero(wrote.sum(axis=1) >= _PEOPLE)), projected.shape[1]
    return Heard(
        _SLACK * shortest, projected[common], np.reshape(meanings, (-1, d)), np.reshape(lasting, (-1, 2))
    )


def _evenly(which: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """As many of them as are kept."""
    return which[np.unique(np.linspace(0, len(which) - 1, min(len(which), _MOST_TEXTS)).astype(int))]

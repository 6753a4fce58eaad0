"""What notes may mean besides what their words say, as the decoder reads it (``answers.Meanings``).

Words that training never heard may have been misunderstood, and frames alone cannot mend that: whatever a note means,
it means the same in all of its frames. So every span of such a note counts once for each meaning, with that meaning's
frames and durations, weighed by the meaning's share: log p(span | note) = log sum over m of p(m | note) p(span | m),
exactly, as far as the decoder is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from align.answers import Evidence
from align.datatypes import Floats
from align.matching.duration_prior import NEVER, log_durations, thin_durations, weighted

__all__ = ["Meant", "by_column", "meant_of"]

HARDLY = -1e29
_PIECE = 256  # frames


@dataclass(frozen=True, slots=True, eq=False)
class Meant:
    """The meanings of a lattice's notes.

    ``odds`` f4 (k, n_frames) log odds, 0 without data; ``durations`` (k, longest + 1) log probability of each duration
    in frames, NEVER: barred. ``weights`` (n_notes, k) log share of each meaning, less the log width of the places that
    the note has, NEVER: not meant; ``own`` (n_notes,) log share of what the words say.
    """

    odds: npt.NDArray[np.float32]
    durations: Floats
    weights: Floats
    own: Floats

    def number(self, i: int) -> int:
        """How many there are of note i.

        Args:
            i: row of the note.
        """
        return int((self.weights[i] > HARDLY).sum())

    def of(self, i: int) -> Iterator[tuple[int, Floats]]:
        """Each meaning of note i, and its durations with its weight.

        Args:
            i: row of the note.
        """
        for k in np.flatnonzero(self.weights[i] > HARDLY).tolist():
            yield k, weighted(self.durations[k], float(self.weights[i, k]))

    def without(self, barred: npt.NDArray[np.bool_]) -> Meant:
        """The same without some meanings of some notes.

        Args:
            barred: (n_notes, k).
        """
        return replace(self, weights=np.where(barred, NEVER, self.weights))

    def rows(self, index: npt.NDArray[np.int64]) -> Meant:
        """The same for some notes.

        Args:
            index: their rows.
        """
        return replace(self, weights=self.weights[index], own=self.own[index])

    def frames(self, first: int, last: int) -> Meant:
        """The same for the frames from edge ``first`` to edge ``last`` alone.

        Args:
            first, last: edges.
        """
        longest = max(1, min(self.durations.shape[1] - 1, last - first))
        durations = np.ascontiguousarray(self.durations[:, : longest + 1])
        return replace(self, odds=self.odds[:, first:last], durations=durations)

    def thinned(self, g: int) -> Meant:
        """The same on every g-th edge.

        Args:
            g: frames that become one.
        """
        n = self.odds.shape[1] // g
        sums = self.odds[:, : n * g].reshape(len(self.odds), n, g).sum(axis=2)
        return replace(
            self, odds=sums, durations=np.stack([thin_durations(row, g) for row in self.durations])
        )


def meant_of(evidence: Evidence, price: Floats) -> Meant | None:
    """What the notes of an evidence may mean, None where they mean what they say.

    Args:
        evidence: with its ``meanings``, if any.
        price: (n_notes,) log width of the places that each note has.
    """
    found = evidence.meanings
    if found is None or not found.shares.any():
        return None
    shares = found.shares
    return Meant(
        odds=by_column(found.log_odds, evidence.observed),
        durations=log_durations(found.durations, evidence.hop, len(evidence.observed), evidence.tails),
        weights=np.where(shares > 0.0, np.log(np.maximum(shares, 1e-300)) - price[:, None], NEVER),
        own=np.log1p(-shares.sum(axis=1)),
    )


def by_column(log_odds: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """(columns, n_frames) the log odds, 0 without data; in pieces, as a column is far from the next in memory.

    Args:
        log_odds: (n_frames, columns).
        observed: (n_frames,).
    """
    n_frames, columns = log_odds.shape
    out = np.empty((columns, n_frames), np.float32)
    for k in range(0, n_frames, _PIECE):
        part = slice(k, k + _PIECE)
        np.multiply(log_odds[part].T, observed[part], out=out[:, part])
    return out

"""How the answer hangs on the penalty: number of segments, and which boundaries stay, over a range of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats, Stream
from align.errors import ParameterError
from align.segmentation.costs import COSTS
from align.segmentation.crops import Path, crops
from align.segmentation.exact import Run, changes_exact, prepared_runs
from align.segmentation.moves import total_cost
from align.segmentation.penalty import checked_penalty

__all__ = ["Stability", "stability"]

Ints = npt.NDArray[np.int64]

_TOLERANCE = 10  # a boundary stays while one is within this part of its shorter neighbour segment


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """Segmentations of one stream over a range of penalties.

    ``n_segments[i]`` (g,) is what comes out from ``penalties[i]`` to ``penalties[i + 1]`` (g + 1,), falling.
    ``penalty`` is the one chosen; ``boundaries`` (m,) seconds are its change points, and ``persistence`` (m,)
    is the share of the range (of its logarithm) over which each is there. ``span``: first and last second.
    """

    stream: str
    cost: str
    penalty: float
    penalties: Floats
    n_segments: Ints
    boundaries: Floats
    persistence: Floats
    span: tuple[float, float]

    @property
    def chosen(self) -> int:
        """Number of segments at the chosen penalty."""
        at = int(np.searchsorted(self.penalties[1:-1], self.penalty, "right"))
        return int(self.n_segments[at])

    @property
    def steady(self) -> float:
        """By what factor the penalty may change and leave the number of segments as it is."""
        at = int(np.searchsorted(self.penalties[1:-1], self.penalty, "right"))
        return float(self.penalties[at + 1] / self.penalties[at])


def stability(
    stream: Stream,
    cost: str = "l2",
    penalty: float | str = "auto",
    *,
    min_size: int = 1,
    factor: float = 8.0,
    most: int = 40,
) -> Stability:
    """Cut a stream at every penalty around the chosen one (CROPS).

    Args:
        stream: any stream.
        cost: a key of ``costs.COSTS``.
        penalty: "auto" (``penalty.checked_penalty``) or the number used, > 0, in units of scaled channels.
        min_size: fewest samples of a segment, >= 1.
        factor: the range is ``penalty / factor`` to ``penalty x factor``, > 1.
        most: solutions known at most; the search runs up to twice as often.

    Raises:
        ParameterError: an argument outside what is said above.
    """
    if cost not in COSTS:
        raise ParameterError("cost", cost, ", ".join(f'"{c}"' for c in COSTS))
    if not factor > 1:
        raise ParameterError("factor", factor, "a number > 1")
    scale, auto = checked_penalty(stream, cost, min_size)
    price = auto if isinstance(penalty, str) else float(penalty)
    if not price > 0:
        raise ParameterError("penalty", penalty, 'a number > 0, or "auto"')
    runs = prepared_runs(stream, cost, scale, min_size)
    path = _path(runs, price / factor, price * factor, most)
    changes = path.at(price)
    return Stability(
        stream.name,
        cost,
        price,
        path.penalties,
        path.n_changes + len(runs),
        stream.times(changes),
        _persistence(stream, path, changes),
        (float(stream.run_spans[0, 0]), float(stream.run_spans[-1, 1])),
    )


def _path(runs: Sequence[Run], low: float, high: float, most: int) -> Path:
    firsts = np.array([run.first for run in runs])

    def changes_at(penalty: float) -> Ints:
        found = [run.first + changes_exact(run.fitted, penalty, len(run.values)) for run in runs]
        return np.concatenate(found)

    def cost_of(changes: Ints) -> float:
        parts = np.split(changes, np.searchsorted(changes, firsts[1:]))
        return sum(total_cost(r.fitted, part - r.first) for r, part in zip(runs, parts, strict=True))

    return crops(changes_at, cost_of, low, high, most)


def _persistence(stream: Stream, path: Path, changes: Ints) -> Floats:
    edges = np.unique(np.concatenate([changes, stream.run_index, [stream.n_samples]]))
    at = np.searchsorted(edges, changes)
    shorter = np.minimum(changes - edges[at - 1], edges[at + 1] - changes) if len(changes) else changes
    near = np.maximum(1, shorter // _TOLERANCE)
    widths = np.diff(np.log(path.penalties))
    share = np.zeros(len(changes))
    for found, width in zip(path.changes, widths, strict=True):
        if not len(found):
            continue
        right = np.minimum(np.searchsorted(found, changes), len(found) - 1)
        distance = np.abs(found[right] - changes)
        distance = np.minimum(distance, np.abs(found[np.maximum(right - 1, 0)] - changes))
        share += width * (distance <= near)
    return np.asarray(share / widths.sum())

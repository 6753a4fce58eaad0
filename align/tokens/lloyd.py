"""Lloyd's iterations, whoever gives rows their labels: the kernels (clustering.py) or a card (torch_clustering.py)."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError

__all__ = ["Clustering", "Labelling", "checked", "frame_of", "in_order", "lloyd", "start_of", "table_of"]

Ints = npt.NDArray[np.int64]

_LARGEST = 1e140  # its square is finite


class Clustering(NamedTuple):
    """What was found: ``centroids`` f8 (k, d), ``labels`` i8 (n,), ``inertia``, and moves of the centroids.

    Every label is the nearest centroid (the lowest on a tie), every cluster owns a row, and ``inertia`` is the sum
    of the squared distances of the rows to their centroids.
    """

    centroids: Floats
    labels: Ints
    inertia: float
    iterations: int


class Labelling(Protocol):
    """Rows and the labels that they have while k-means goes on."""

    points: npt.NDArray[Any]
    origin: Floats

    def assign(self, centroids: Floats, before: Floats | None) -> int:
        """Label every row anew, for centroids that were ``before`` (None: nothing is known yet); how many changed."""
        ...

    def totals(self) -> tuple[Floats, Floats]:
        """(k, d) sum of ``points - origin`` and (k,) size of each cluster."""
        ...

    def fresh_totals(self) -> tuple[Floats, Floats]:
        """``totals`` added up anew, row by row."""
        ...

    def distances(self, centroids: Floats) -> tuple[Floats, float]:
        """(n,) squared distance of each row to its centroid, and their sum."""
        ...

    def labelled(self) -> Ints:
        """(n,) a copy of the labels."""
        ...

    def give(self, row: int, label: int) -> None:
        """Put one row into another cluster."""
        ...


def lloyd(rows: Labelling, start: Floats, limits: tuple[int, float], on_sphere: bool = False) -> Clustering:
    """Label and average in turn until no label changes.

    Args:
        rows: without labels yet.
        start: (k, d) centroids.
        limits: iterations at most, and the sum of squared moves at which to end (0: never).
        on_sphere: centroids are scaled to length 1.

    Raises:
        ParameterError: more centroids than rows.
    """
    if len(start) > len(rows.points):
        raise ParameterError("k", len(start), f"at most {len(rows.points)}, the number of rows")
    iterations, least_move = limits
    centroids, origin = start.copy(), rows.origin
    changed = rows.assign(centroids, None)
    used = 0
    while used < iterations and (changed or used == 0):
        _refill(rows, centroids)
        totals, sizes = rows.totals()
        moved = origin + totals / sizes[:, None]
        if on_sphere:
            length = np.linalg.norm(moved, axis=1)
            lost = length <= 1e-12
            moved = np.where(lost[:, None], centroids, moved / np.where(lost, 1.0, length)[:, None])
        before, centroids = centroids, np.ascontiguousarray(moved)
        changed = rows.assign(centroids, before)
        used += 1
        if least_move > 0.0 and float(((centroids - before) ** 2).sum()) <= least_move:
            break
    if used and not changed and not on_sphere:
        # Sums that rows came to and left are rounded otherwise than the plain sum, which any start would end at.
        totals, sizes = rows.fresh_totals()
        centroids = origin + totals / sizes[:, None]
    given = _refill(rows, centroids)  # where the iterations ran out: a centroid on its only row
    centroids[given >= 0] = rows.points[given[given >= 0]]
    return Clustering(centroids, rows.labelled(), rows.distances(centroids)[1], used)


def _refill(rows: Labelling, centroids: Floats) -> Ints:
    """Give every empty cluster a row (see ``kmeans``); which rows those are, -1 for clusters that had some."""
    given = np.full(len(centroids), -1, np.int64)
    sizes = rows.totals()[1].copy()
    if sizes.all():
        return given
    squares, labels = rows.distances(centroids)[0], rows.labelled()
    for j in np.flatnonzero(sizes == 0):
        i = int(np.argmax(np.where(sizes[labels] > 1, squares, -1.0)))
        rows.give(i, int(j))
        sizes[labels[i]] -= 1
        sizes[j] = 1
        labels[i], squares[i], given[j] = j, 0.0, i
    return given


def in_order(found: Clustering) -> Clustering:
    """The same clusters, ids in the lexical order of the centroids.

    Args:
        found: with ids in any order.
    """
    order = np.lexsort(found.centroids.T[::-1])
    ids = np.empty(len(order), np.int64)
    ids[order] = np.arange(len(order))
    return found._replace(centroids=found.centroids[order], labels=ids[found.labels])


def frame_of(least: Floats, most: Floats, mean: Floats) -> tuple[Floats, float]:
    """An origin (d,) near the mean and a power of two that bring all rows into [-1, 1]: what float32 computes in.

    Args:
        least, most, mean: (d,) of each column.

    Raises:
        ParameterError: NaN, infinite or huge numbers.
    """
    if not np.isfinite(mean).all() or max(most.max(), -least.min()) > _LARGEST:
        raise ParameterError("points", "NaN, infinite or beyond 1e140", "finite numbers")
    # An origin of 24 bits keeps differences of small whole numbers exact.
    mantissa, exponent = np.frexp(mean)
    origin = np.ldexp(np.round(np.ldexp(mantissa, 24)), exponent - 24)
    reach = float(max((most - origin).max(), (origin - least).max()))
    return origin, 2.0 ** -float(np.ceil(np.log2(reach))) if reach > 0.0 else 1.0


def table_of(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """A contiguous table: float32 stays, anything else becomes float64.

    Args:
        values: (n, d) numbers.
        name: of the argument, for the error.

    Raises:
        ParameterError: no rows, no columns, or another shape.
    """
    table = np.asarray(values)
    table = np.ascontiguousarray(table, np.float32 if table.dtype == np.float32 else np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise ParameterError(name, f"shape {table.shape}", "(n, d) with at least one row and one column")
    return table


def start_of(k: npt.ArrayLike, table: npt.NDArray[Any]) -> Floats:
    """Centroids to start from.

    Args:
        k: (k, d) finite numbers.
        table: (n, d) the rows.

    Raises:
        ParameterError: other columns than the rows', NaN or infinite.
    """
    start = table_of(np.asarray(k, np.float64), "k")
    if not np.isfinite(start).all():
        raise ParameterError("k", "NaN or infinite", "finite centroids")
    if start.shape[1] != table.shape[1]:
        raise ParameterError("k", start.shape, f"centroids of {table.shape[1]} numbers, one per column")
    return start


def checked(**numbers: tuple[int, int]) -> None:
    """Refuse integers below the least that is allowed.

    Args:
        numbers: name = (value, least).

    Raises:
        ParameterError: the first that is too small.
    """
    for name, (value, least) in numbers.items():
        if value < least:
            raise ParameterError(name, value, f"an integer >= {least}")

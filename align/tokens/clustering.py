"""k-means and its relatives on rows of numbers: by iterations, on the sphere, by batches, and as data streams in.

The same bits for any number of threads: rows are cut into the same parts whatever their number, and the parts'
sums are added in the same order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.tokens.lloyd import Clustering, checked, frame_of, in_order, lloyd, start_of, table_of

__all__ = ["Clustering", "Running", "kmeans", "kmeans_minibatch", "kmeans_spherical", "update"]

Ints = npt.NDArray[np.int64]

_MOST_PARTS = 16
_LEAST_ROWS = 4096  # of a part
_LANES_PER_LINE = 16  # float32 in a cache line, at which the tiles begin


class Running(NamedTuple):
    """Centroids f8 (k, d) that follow a stream, and the weight f8 (k,) of the rows behind each."""

    centroids: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows ready for the kernels, see ``align.kernels.tiles``."""

    points: npt.NDArray[Any]
    tiles: npt.NDArray[np.float32]
    frame: tuple[Floats, float]
    parts: list[Ints]
    variance: float  # mean over the columns


def kmeans(
    points: npt.ArrayLike,
    k: int | npt.ArrayLike,
    *,
    seed: int = 0,
    restarts: int = 1,
    iterations: int = 300,
    tolerance: float = 0.0,
    threads: int = 1,
) -> Clustering:
    """k-means by Lloyd's iterations: a local minimum of the inertia.

    An empty cluster takes the row that lies farthest from its own centroid, among clusters of two rows or more (the
    lowest row on a tie), empty clusters in ascending order. Iterations end when no label changes.

    Args:
        points: (n, d) finite numbers; float32 is used as it is, anything else as float64.
        k: the number of clusters, 1 to n; identical rows may reduce it. Then the start is greedy k-means++ and the
            ids are in the lexical order of the centroids. Or (k, d) centroids to start from, k <= n, which keep their
            ids.
        seed: of the seeding, >= 0.
        restarts: seedings tried, the one of least inertia stays (the first on a tie); >= 1.
        iterations: at most this many moves of the centroids, >= 0.
        tolerance: end also when the squared moves of a step sum to at most this times the mean variance of the
            columns (scikit-learn's ``tol``), >= 0.
        threads: processors to use; the result is the same to the last bit.

    Raises:
        ParameterError: an argument out of range, or NaN or infinite numbers.

    Reference: Lloyd 1982; Arthur & Vassilvitskii 2007; Hamerly 2010. Time O(n k d) an iteration at most, memory
    4 n (d + 3) bytes beside the data.

    >>> found = kmeans([[0.0], [1.0], [10.0], [11.0]], 2)
    >>> found.centroids.ravel().tolist(), found.labels.tolist(), found.inertia
    ([0.5, 10.5], [0, 0, 1, 1], 1.0)
    """
    checked(seed=(seed, 0), restarts=(restarts, 1), iterations=(iterations, 0), threads=(threads, 1))
    if not tolerance >= 0.0:
        raise ParameterError("tolerance", tolerance, "a number >= 0")
    table = table_of(points, "points")
    rows = _ready(table)
    least_move = tolerance * rows.variance
    if not isinstance(k, int | np.integer):
        start = start_of(k, table)
        return lloyd(_Labelled(rows, len(start), threads), start, (iterations, least_move))
    random = np.random.default_rng(seed)
    found = []
    for _ in range(restarts):
        start = _seeds(rows, int(k), random)
        found.append(lloyd(_Labelled(rows, len(start), threads), start, (iterations, least_move)))
    return in_order(min(found, key=lambda one: one.inertia))


def kmeans_spherical(
    points: npt.ArrayLike, k: int | npt.ArrayLike, *, seed: int = 0, iterations: int = 300, threads: int = 1
) -> Clustering:
    """k-means of directions: centroids of length 1 that maximise the sum of cosines.

    Rows are scaled to length 1. A cluster whose rows cancel out keeps its centroid. ``inertia`` is 2 (n - the sum of
    cosines).

    Args:
        points: (n, d) finite numbers, no row of zeros.
        k, seed, iterations, threads: as of ``kmeans``.

    Raises:
        ParameterError: as ``kmeans``; a row of zeros, which has no direction.

    Reference: Dhillon & Modha 2001, section 3.

    >>> found = kmeans_spherical([[1.0, 0.0], [9.0, 0.0], [0.0, 2.0]], 2)
    >>> found.labels.tolist(), found.inertia
    ([1, 1, 0], 0.0)
    """
    checked(seed=(seed, 0), iterations=(iterations, 0), threads=(threads, 1))
    unit = _directions(table_of(points, "points").astype(np.float64))
    rows = _ready(unit)
    is_given = not isinstance(k, int | np.integer)
    start = _directions(start_of(k, unit)) if is_given else _seeds(rows, int(k), np.random.default_rng(seed))  # type: ignore[arg-type]
    found = lloyd(_Labelled(rows, len(start), threads), start, (iterations, 0.0), on_sphere=True)
    return found if is_given else in_order(found)


def kmeans_minibatch(
    points: npt.ArrayLike, k: int, *, seed: int = 0, batch: int = 8192, passes: int = 3, threads: int = 1
) -> Clustering:
    """k-means by batches drawn without replacement: less work than ``kmeans``, and a larger inertia.

    Seeds come from the first batch, each further one moves the centroids (``update``), and a last pass labels all
    rows and moves each centroid to the mean of its own.

    Args:
        points: as of ``kmeans``.
        k: the number of clusters, 1 to n.
        seed: of the order of rows and of the seeding.
        batch: rows of a batch, >= k.
        passes: how often each row is used, >= 1.
        threads: as of ``kmeans``.

    Raises:
        ParameterError: an argument out of range, or NaN or infinite numbers.

    Reference: Sculley 2010, algorithm 1, with batches in place of single rows.
    """
    checked(seed=(seed, 0), passes=(passes, 1), threads=(threads, 1), batch=(batch, max(1, int(k))))
    table = table_of(points, "points")
    random = np.random.default_rng(seed)
    running: Running | None = None
    for _ in range(passes):
        order = random.permutation(len(table))
        for first in range(0, len(order), batch):
            some = table[np.sort(order[first : first + batch])]
            if running is None:
                centroids = kmeans(
                    some, min(k, len(some)), seed=seed, iterations=10, threads=threads
                ).centroids
                running = Running(centroids, np.zeros(len(centroids)))
            running = update(running, some, threads=threads)
    assert running is not None  # there is at least one row
    labelled = _Labelled(_ready(table), len(running.centroids), threads)
    return in_order(lloyd(labelled, running.centroids, (1, 0.0)))


def update(running: Running, points: npt.ArrayLike, *, forget: float = 1.0, threads: int = 1) -> Running:
    """Let centroids follow new rows: each becomes the weighted mean of where it was and of its new rows.

    Ids stay. A centroid without new rows stays where it is and only loses weight.

    Args:
        running: the centroids and their weights so far; weights of 0 forget the start at once.
        points: (n, d) finite numbers, n >= 1.
        forget: what is left of the old weights, in [0, 1]: 1 never forgets.
        threads: as of ``kmeans``.

    Raises:
        ParameterError: an argument out of range, or NaN or infinite numbers.

    Reference: Sculley 2010 (a rate of 1 / weight); the forgetting is exponential, per call.

    >>> before = Running(np.array([[0.0], [10.0]]), np.array([1.0, 1.0]))
    >>> after = update(before, [[2.0], [4.0]])
    >>> after.centroids.ravel().tolist(), after.weights.tolist()
    ([2.0, 10.0], [3.0, 1.0])
    """
    checked(threads=(threads, 1))
    if not 0.0 <= forget <= 1.0:
        raise ParameterError("forget", forget, "0 to 1")
    table = table_of(points, "points")
    centroids, old = start_of(running.centroids, table), np.asarray(running.weights, np.float64) * forget
    rows = _ready(table)
    labelled = _Labelled(rows, len(centroids), threads)
    labelled.assign(centroids, None)
    totals, sizes = labelled.totals()
    weights = old + sizes
    # The old centroid is moved, not averaged anew: what has no new rows keeps its bits.
    step = (totals - sizes[:, None] * (centroids - rows.frame[0])) / np.maximum(weights, 1e-300)[:, None]
    return Running(np.where(sizes[:, None] > 0, centroids + step, centroids), weights)


class _Labelled:
    """A ``Labelling`` by the kernels, with bounds that let rows sleep."""

    def __init__(self, rows: _Rows, k: int, threads: int) -> None:
        from align.kernels.kmeans import NONE

        lanes = rows.tiles.shape[0] * rows.tiles.shape[2]
        self.rows, self.threads = rows, threads
        self.points, self.origin = rows.points, rows.frame[0]
        self.labels = np.full(lanes, NONE, np.int32)
        self.bounds = np.zeros((2, lanes), np.float32)
        self.sums = np.zeros((len(rows.parts), k, rows.points.shape[1] + 1))

    def assign(self, centroids: Floats, before: Floats | None) -> int:
        from align.kernels.centroids import centroid_moves
        from align.kernels.kmeans import assign_rows

        rows, state = self.rows, (self.labels, self.bounds)
        moves = np.zeros((3, 0), np.float32)
        if before is not None:
            moves = centroid_moves(before, centroids, rows.frame[1])

        def one(p: int) -> int:
            part, sums = rows.parts[p], self.sums[p]
            return int(assign_rows(rows.points, rows.tiles, part, rows.frame, centroids, moves, state, sums))

        return sum(self._map(one))

    def totals(self) -> tuple[Floats, Floats]:
        whole = self.sums.sum(axis=0)
        return whole[:, :-1], whole[:, -1]

    def fresh_totals(self) -> tuple[Floats, Floats]:
        from align.kernels.tiles import sum_rows

        rows = self.rows
        self.sums[:] = 0.0
        self._map(lambda p: sum_rows(rows.points, rows.parts[p], rows.frame[0], self.labels, self.sums[p]))
        return self.totals()

    def distances(self, centroids: Floats) -> tuple[Floats, float]:
        from align.kernels.centroids import own_distances

        rows, squares = self.rows, np.empty(len(self.rows.points))
        return squares, sum(
            self._map(lambda p: own_distances(rows.points, rows.parts[p], centroids, self.labels, squares))
        )

    def labelled(self) -> Ints:
        return self.labels[: len(self.points)].astype(np.int64)

    def give(self, row: int, label: int) -> None:
        p = next(p for p, part in enumerate(self.rows.parts) if row < part[1])
        moving = np.append(self.points[row] - self.origin, 1.0)
        self.sums[p, self.labels[row]] -= moving
        self.sums[p, label] += moving
        self.labels[row] = label
        self.bounds[:, row] = (1e30, 0.0)  # nothing is known of it

    def _map(self, work: Any) -> list[Any]:
        parts = range(len(self.rows.parts))
        if self.threads == 1 or len(parts) == 1:
            return [work(p) for p in parts]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(work, parts))


def _seeds(rows: _Rows, k: int, random: np.random.Generator) -> Floats:
    from align.kernels.seeding import seed_rows

    n = len(rows.points)
    if not 1 <= k <= n:
        raise ParameterError("k", k, f"1 to {n}, the number of rows")
    chosen = seed_rows(rows.tiles, n, k, random.random((k, 2 + int(np.log(k)))))
    return rows.points[chosen].astype(np.float64)


def _ready(points: npt.NDArray[Any]) -> _Rows:
    from align.kernels.tiles import TILE, column_ranges, make_tiles

    n, d = points.shape
    least, most, mean = column_ranges(points)
    origin, scale = frame_of(least, most, mean)
    shape = (-(-n // TILE), -(-d // 4) * 4, TILE)
    room = np.zeros(int(np.prod(shape)) + _LANES_PER_LINE, np.float32)
    skip = (-(room.ctypes.data // 4)) % _LANES_PER_LINE
    tiles = room[skip : skip + int(np.prod(shape))].reshape(shape)
    variance = float((make_tiles(points, origin, scale, tiles) / scale**2 - (mean - origin) ** 2).mean())
    size = max(_LEAST_ROWS, -(-n // _MOST_PARTS))
    size = -(-size // TILE) * TILE
    parts = [np.array([first, min(n, first + size)]) for first in range(0, n, size)]
    return _Rows(points, tiles, (origin, scale), parts, variance)


def _directions(table: Floats) -> Floats:
    length = np.linalg.norm(table, axis=1)
    if not ((length > 0.0) & np.isfinite(length)).all():
        raise ParameterError("points", "a row of zeros, NaN or infinite", "finite rows with a direction")
    return np.ascontiguousarray(table / length[:, None])

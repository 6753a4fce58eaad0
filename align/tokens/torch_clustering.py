"""k-means in torch, for a card: the contract of ``clustering.kmeans``, blocks of products in place of sleeping rows.

Importing this module loads torch; the rest of ``align.tokens`` does without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from align.datatypes import Floats
from align.errors import ParameterError
from align.tokens.lloyd import Clustering, checked, frame_of, in_order, lloyd, start_of, table_of

__all__ = ["kmeans_torch"]

Ints = npt.NDArray[np.int64]

# cells of a block's table of rows and centroids: what a cache or a card likes
_CELLS = {"cpu": 1 << 18, "cuda": 1 << 24}
_UNIT = 2.0**-24  # relative rounding of float32
_TINY = 1e-30  # below it float32 products are rounded absolutely
_TILE = 256  # rows whose weights are added up before one of them is drawn


def kmeans_torch(
    points: npt.ArrayLike,
    k: int | npt.ArrayLike,
    *,
    seed: int = 0,
    restarts: int = 1,
    iterations: int = 300,
    tolerance: float = 0.0,
    device: torch.device | None = None,
) -> Clustering:
    """``clustering.kmeans`` on a card.

    From the same start the labels are the same but where rows lie between two centroids to the last bits of
    float64, for centroids are summed in another order; so is the inertia, but for rounding. The seeding draws by the
    same numbers. The same device and versions give the same bits.

    Args:
        points, k, seed, restarts, iterations, tolerance: as of ``kmeans``.
        device: where to compute; default the processor, where the kernels of ``kmeans`` are faster.

    Raises:
        ParameterError: as ``kmeans``.

    Reference: as ``kmeans``. An assignment is a product of each block of rows with all centroids in float32; rows
    whose two nearest centroids float32 cannot tell apart are compared anew in float64. On the device: the rows, a
    float32 copy, 16 bytes a row (8 more while seeding) and one block of 16,777,216 distances.

    >>> kmeans_torch([[0.0], [1.0], [10.0], [11.0]], 2).centroids.ravel().tolist()
    [0.5, 10.5]
    """
    checked(seed=(seed, 0), restarts=(restarts, 1), iterations=(iterations, 0))
    if not tolerance >= 0.0:
        raise ParameterError("tolerance", tolerance, "a number >= 0")
    table = table_of(points, "points")
    with _whole_float32(), torch.no_grad():
        rows = _TorchRows(table, device or torch.device("cpu"))
        limits = (iterations, tolerance * rows.variance() if tolerance > 0.0 else 0.0)
        if not isinstance(k, int | np.integer):
            return lloyd(rows, start_of(k, table), limits)
        if not 1 <= k <= len(table):
            raise ParameterError("k", k, f"1 to {len(table)}, the number of rows")
        random, found = np.random.default_rng(seed), []
        for _ in range(restarts):
            chosen = _seeds(rows, random.random((int(k), 2 + int(np.log(k)))))
            found.append(lloyd(rows, table[chosen].astype(np.float64), limits))
        return in_order(min(found, key=lambda one: one.inertia))


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Products of float32 keep 24 bits inside, whatever the caller allows: bounds of rounding rest on it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class _TorchRows:
    """A ``Labelling`` on a device. ``scaled`` are the rows in the frame of ``frame_of``, in float32."""

    def __init__(self, points: npt.NDArray[Any], device: torch.device) -> None:
        with np.errstate(invalid="ignore", over="ignore"):  # then the mean is not finite, which is refused
            mean = points.mean(axis=0, dtype=np.float64)
        least, most = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
        self.points, self.device = points, device
        self.origin, self.scale = frame_of(least, most, mean)
        self._mean = mean
        self._rows = torch.from_numpy(points if points.flags.writeable else points.copy()).to(device)
        self._at = self._to(self.origin)
        self.scaled = torch.empty(points.shape, dtype=torch.float32, device=device)
        for some in self._blocks(points.shape[1]):
            self.scaled[some] = (self._centred(some) * self.scale).float()
        self._labels = torch.full((len(points),), -1, dtype=torch.int64, device=device)
        self._n_clusters, self._is_summed, self._sums = 0, False, torch.empty(0)

    def variance(self) -> float:
        """Mean over the columns."""
        squares = sum((self._centred(some) ** 2).sum(dim=0) for some in self._blocks(self.points.shape[1]))
        assert isinstance(squares, torch.Tensor)  # there is at least one row
        return float((squares.cpu().numpy() / len(self.points) - (self._mean - self.origin) ** 2).mean())

    def assign(self, centroids: Floats, before: Floats | None) -> int:
        if before is None:
            self._labels.fill_(-1)
        table = self._to(centroids - self.origin) * self.scale
        norms = (table**2).sum(dim=1)
        factors, squares, longest = (-2.0 * table).float().T, norms.float(), float(norms.max())
        exact, self._n_clusters, self._is_summed = self._to(centroids), len(centroids), False
        changed = torch.zeros((), dtype=torch.int64, device=self.device)
        for some in self._blocks(len(centroids)):
            scaled = self.scaled[some]
            products = torch.addmm(squares, scaled, factors)
            least, codes = products.min(dim=1)
            # Inputs and d + 2 steps are rounded, on either distance by at most (d + 6) u (|x| + |m|)^2.
            own = (scaled**2).sum(dim=1)
            error = 4.0 * (scaled.shape[1] + 6) * _UNIT * (own + longest) + _TINY
            if len(centroids) > 1:
                products.scatter_(1, codes[:, None], torch.inf)
                unsure = (products.amin(dim=1) - least <= error).nonzero()[:, 0]
                for part in torch.split(unsure, max(1, _CELLS[self.device.type] // len(centroids))):
                    codes[part] = self._compared(some.start + part, exact)
            changed += (codes != self._labels[some]).sum()
            self._labels[some] = codes
        return int(changed)

    def _compared(self, rows: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
        """The nearest centroid by true differences in float64, the lowest on a tie."""
        points = self._rows[rows].double()
        squares = torch.zeros(len(rows), len(centroids), dtype=torch.float64, device=self.device)
        for c in range(points.shape[1]):
            squares += (points[:, c, None] - centroids[:, c]) ** 2
        return squares.argmin(dim=1)

    def totals(self) -> tuple[Floats, Floats]:
        if not self._is_summed:
            k, d = self._n_clusters, self.points.shape[1]
            self._sums = torch.zeros(k, d + 1, dtype=torch.float64, device=self.device)
            for some in self._blocks(2 * k):
                # A product with zeros and ones adds in a fixed order, which adding row by row on a card does not.
                own = torch.zeros(some.stop - some.start, k, dtype=torch.float64, device=self.device)
                own.scatter_(1, self._labels[some, None], 1.0)
                self._sums[:, :d].addmm_(own.T, self._centred(some))
                self._sums[:, d] += own.sum(dim=0)
            self._is_summed = True
        whole = self._sums.cpu().numpy()
        return whole[:, :-1], whole[:, -1]

    def fresh_totals(self) -> tuple[Floats, Floats]:
        return self.totals()  # they always are

    def distances(self, centroids: Floats) -> tuple[Floats, float]:
        squares, exact = np.empty(len(self.points)), self._to(centroids)
        for some in self._blocks(self.points.shape[1]):
            away = self._rows[some].double() - exact[self._labels[some]]
            squares[some] = (away**2).sum(dim=1).cpu().numpy()
        return squares, float(squares.sum())

    def labelled(self) -> Ints:
        return np.array(self._labels.cpu().numpy())

    def give(self, row: int, label: int) -> None:
        self._labels[row] = label
        self._is_summed = False

    def _centred(self, some: slice) -> torch.Tensor:
        return self._rows[some].double() - self._at

    def _to(self, values: Floats) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(self.device)

    def _blocks(self, width: int) -> Iterator[slice]:
        """Consecutive rows whose table of so many columns is one block."""
        n, size = len(self.points), max(1, _CELLS[self.device.type] // width)
        for first in range(0, n, size):
            yield slice(first, min(n, first + size))


def _seeds(rows: _TorchRows, uniforms: Floats) -> Ints:
    """Greedy k-means++ as in ``align.kernels.seeding``: the numbers of the rows to start from."""
    (k, n_trials), n = uniforms.shape, len(rows.points)
    chosen = [int(min(np.floor(uniforms[0, 0] * n), n - 1.0))]
    near = torch.full((-(-n // _TILE), _TILE), torch.inf, device=rows.device)
    near.view(-1)[n:] = 0.0
    near, totals = _nearer(rows, chosen[0], near)
    while len(chosen) < k:
        if totals.sum() <= 0.0:
            break
        drawn = [_draw(near, totals, uniforms[len(chosen), trial]) for trial in range(n_trials)]
        best = None
        for row in dict.fromkeys(drawn):
            after = _nearer(rows, row, near)
            if best is None or after[1].sum() < best[0][1].sum():
                best = after, row
        assert best is not None  # there is at least one trial
        (near, totals), row = best
        chosen.append(row)
    return np.array(chosen, np.int64)


def _nearer(rows: _TorchRows, row: int, near: torch.Tensor) -> tuple[torch.Tensor, Floats]:
    """Squared distances to the nearest row chosen, once ``row`` is one too; and their sums by tile."""
    after = near.clone()
    flat, centre = after.view(-1), rows.scaled[row]
    for some in rows._blocks(rows.points.shape[1]):
        flat[some].clamp_(max=((rows.scaled[some] - centre) ** 2).sum(dim=1))
    return after, after.double().sum(dim=1).cpu().numpy()


def _draw(near: torch.Tensor, totals: Floats, uniform: float) -> int:
    """The first row whose cumulated weight exceeds ``uniform`` of all: never one of weight 0."""
    cumulated = np.cumsum(totals)
    threshold = uniform * cumulated[-1]
    tile = int(min(np.searchsorted(cumulated, threshold, side="right"), np.flatnonzero(totals > 0.0)[-1]))
    weights = near[tile].cpu().numpy().astype(np.float64)
    inside = np.cumsum(weights) + (cumulated[tile - 1] if tile else 0.0)
    reached = np.flatnonzero((inside > threshold) & (weights > 0.0))
    return tile * _TILE + int(reached[0] if reached.size else np.flatnonzero(weights > 0.0)[-1])

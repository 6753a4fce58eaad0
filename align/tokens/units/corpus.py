"""Unlabelled recordings as tables on one scale, cut into windows in which stretches are masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import ParameterError
from align.features.scaling import robust_location_scale
from align.tokens.clustering import kmeans
from align.tokens.units.plan import UnitPlan

__all__ = ["Scale", "Table", "Window", "centroids_of", "codes_of", "fit_scale", "scaled_table", "windows"]

Ints = npt.NDArray[np.int64]

_LIMIT = 6.0  # robust standard deviations kept of a column
_FITTED_ROWS = 100_000  # rows that clusters and scales are fitted on


class Scale(NamedTuple):
    """Median and robust standard deviation of every column, f8 (d,)."""

    shift: Floats
    scale: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A recording's frames on the common scale: ``rows`` f4 (n, d) without NaN, ``seen`` (n,) False in gaps."""

    rows: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]


class Window(NamedTuple):
    """A stretch of a recording: which one, its frames, and which of them are masked."""

    recording: int
    first: int
    last: int
    masked: npt.NDArray[np.bool_]


def fit_scale(recordings: Sequence[npt.ArrayLike]) -> Scale:
    """The scale of the columns of all recordings together.

    Args:
        recordings: (n, d) numbers each, NaN where missing, at least one with a row.

    Raises:
        ParameterError: no recording, or tables of different widths.
    """
    tables = [np.asarray(r, np.float64) for r in recordings]
    shapes = {t.shape[1:] for t in tables}
    if len(shapes) != 1 or any(t.ndim != 2 or 0 in t.shape for t in tables):
        raise ParameterError(
            "recordings", sorted({t.shape for t in tables})[:3], "at least one table (n, d), all of one width"
        )
    rows = np.concatenate(tables)
    return Scale(*robust_location_scale(rows[:: 1 + len(rows) // _FITTED_ROWS]))


def scaled_table(recording: npt.ArrayLike, scale: Scale) -> Table:
    """A recording on the common scale; missing cells become 0, the typical value.

    Args:
        recording: (n, d) numbers; a row of NaN is a gap.
        scale: from ``fit_scale``.

    Raises:
        ParameterError: another number of columns.
    """
    rows = np.asarray(recording, np.float64)
    if rows.ndim != 2 or rows.shape[1] != scale.shift.size:
        raise ParameterError("recording", rows.shape, f"(n, {scale.shift.size})")
    known = np.isfinite(rows)
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.clip((rows - scale.shift) / scale.scale, -_LIMIT, _LIMIT)
    return Table(np.where(known, values, 0.0).astype(np.float32), np.asarray(known.any(axis=1), np.bool_))


def centroids_of(rows: Sequence[npt.NDArray[np.float32]], n_codes: int, seed: int) -> Floats:
    """Centroids of the rows of all tables by k-means, (k, d) with k <= ``n_codes``.

    Args:
        rows: (n, d) finite numbers each; of more than 100,000 every so-manieth counts.
        n_codes: wanted; fewer where fewer rows differ.
        seed: of the seeding.
    """
    all_rows = np.concatenate(list(rows)).astype(np.float64)
    some = all_rows[:: 1 + len(all_rows) // _FITTED_ROWS]
    return kmeans(some, min(n_codes, len(some)), seed=seed, iterations=50).centroids


def codes_of(rows: npt.NDArray[np.float32], centroids: Floats) -> Ints:
    """The nearest centroid of every row, the lowest on a tie.

    Args:
        rows: (n, d) finite numbers.
        centroids: (k, d).
    """
    from align.kernels.kmeans import nearest_centroids

    labels: Ints = nearest_centroids(np.ascontiguousarray(rows, np.float64), centroids)[0]
    return labels


def windows(tables: Sequence[Table], plan: UnitPlan, turn: tuple[int, ...]) -> list[Window]:
    """The windows of one pass in the order in which they are learned from.

    Every recording is cut into stretches of ``plan.window`` frames from a random beginning on, the first and last
    may be shorter; stretches without data are left out. In each, every frame begins a masked stretch of
    ``plan.mask_length`` frames with the probability that hides ``plan.mask_share`` of all frames; a window in which
    that hides nothing that was seen gets one masked stretch.

    Args:
        tables: all recordings.
        plan: window, mask and seed.
        turn: numbers that tell this pass from others: what is drawn follows from them and the seed.

    Reference: Hsu et al. 2021, HuBERT, IEEE/ACM TASLP 29, section II-B (masks as in wav2vec 2.0 and SpanBERT).
    """
    random = np.random.default_rng((plan.seed, *turn))
    found = []
    for r, table in enumerate(tables):
        n = len(table.rows)
        begin = int(random.integers(plan.window)) if n > plan.window else 0
        edges = sorted({0, *range(begin, n, plan.window), n})
        for first, last in pairwise(edges):
            seen = table.seen[first:last]
            if seen.any():
                found.append(Window(r, first, last, _mask(seen, plan, random)))
    return [found[i] for i in random.permutation(len(found))]


def _mask(seen: npt.NDArray[np.bool_], plan: UnitPlan, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which frames are hidden; some that was seen always is."""
    length = min(plan.mask_length, max(1, seen.size // 2))
    begins = random.random(seen.size) < 1.0 - (1.0 - plan.mask_share) ** (1.0 / length)
    spare = int(random.choice(np.flatnonzero(seen)))
    masked = np.convolve(begins, np.ones(length))[: seen.size] > 0
    if not (masked & seen).any():
        masked[spare : spare + length] = True
    return masked

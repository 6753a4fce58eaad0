"""Which code of one codebook is which of another, and a new codebook whose codes keep the old ids."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from align.answers import Codebook
from align.datatypes import Floats, frozen_array, set_fields
from align.errors import ParameterError
from align.tokens.codebook import code_rows
from align.tokens.naming import code_id

__all__ = ["CodeMapping", "keep_ids", "map_by_distance", "map_by_number", "map_by_overlap"]

_LEAST_OVERLAP = 0.25  # of the time that either code has: less is another code

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CodeMapping:
    """Which codes of two codebooks are the same.

    ``pairs`` i8 (n, 2): code of the old and of the new codebook, by old code, each code once at most. ``measure``
    f8 (n,): of each pair, the overlap (1: the same time, 0: none) or the distance of the centroids in the old
    codebook's scaled features, as ``by`` says. ``gone`` and ``fresh``: old and new codes without a counterpart.
    """

    pairs: Ints
    measure: Floats
    gone: Ints
    fresh: Ints
    by: Literal["overlap", "distance"]

    def __post_init__(self) -> None:
        set_fields(self, measure=frozen_array(self.measure, np.float64))
        set_fields(self, **{k: frozen_array(getattr(self, k), np.int64) for k in ("pairs", "gone", "fresh")})

    @property
    def is_identity(self) -> bool:
        """Every code is the same code in both."""
        same = (self.pairs[:, 0] == self.pairs[:, 1]).all()
        return bool(same) and not (self.gone.size or self.fresh.size)


def map_by_distance(old: Codebook, new: Codebook) -> CodeMapping:
    """Pair the codes whose centroids are nearest: the pairing with the least sum of distances (Hungarian method).

    A pair stays where the old codebook gives the new centroid the old code: then what was typical of the new code
    would have had that id. The measure is the distance in the old codebook's scaled features.

    Args:
        old: whose ids are to be kept.
        new: of the same features, in any order.

    Raises:
        ParameterError: other features.

    Reference: Kuhn 1955, as ``scipy.optimize.linear_sum_assignment`` solves it; O(n^3).
    """
    from scipy.optimize import linear_sum_assignment

    moved = _in_scale_of(old, _in_order_of(old, new))
    ours = old.centroids.astype(np.float64)
    squares = ((ours[:, None] - moved[None]) ** 2).sum(axis=2) if ours.size < 2**20 else _squares(ours, moved)
    distance = np.sqrt(squares)
    rows, columns = linear_sum_assignment(distance)
    held = distance[rows, columns] <= distance[:, columns].min(axis=0)
    return _mapping(distance, (rows[held], columns[held]), "distance")


def _squares(a: Floats, b: Floats) -> Floats:
    return np.stack([((b - row) ** 2).sum(axis=1) for row in a])


def map_by_number(old: Codebook, new: Codebook) -> CodeMapping:
    """Codes of one number are the same, as in a codebook that ``keep_ids`` made; the measure is how far each moved.

    Args:
        old: of which the new one is a later version.
        new: of the same features, in any order, with at least as many codes.

    Returns:
        distances of the centroids in the old codebook's scaled features.

    Raises:
        ParameterError: other features, or fewer codes.
    """
    k, m = len(old.names), len(new.names)
    if m < k:
        raise ParameterError("new", f"{m} codes", f"at least {k}, as many as the old codebook")
    moved = _in_scale_of(old, _in_order_of(old, new))[:k] - old.centroids
    number = np.arange(k)
    distance = np.sqrt((moved**2).sum(axis=1))
    return CodeMapping(np.column_stack([number, number]), distance, number[:0], np.arange(k, m), "distance")


def map_by_overlap(
    old: Codebook, new: Codebook, rows: npt.NDArray[np.float32], seconds: npt.ArrayLike | None = None
) -> CodeMapping:
    """Pair the codes that the same segments get: the pairing with the greatest sum of overlaps (Hungarian method).

    The overlap of two codes is the time that has both, divided by the time that has either (Jaccard). A pair stays
    where it is at least 0.25.

    Args:
        old, new: of the same features, in any order.
        rows: (n, n_features) f4, segments as ``describe_segments`` gives them, columns as ``old.features``.
        seconds: (n,) how long each segment lasts; None: all count alike.

    Raises:
        ParameterError: other features, no segments, or durations of another number.
    """
    from scipy.optimize import linear_sum_assignment

    weight = np.ones(len(rows)) if seconds is None else np.asarray(seconds, np.float64)
    if len(rows) == 0 or weight.shape != (len(rows),):
        raise ParameterError("rows, seconds", (len(rows), weight.shape), "one duration per segment, n >= 1")
    ordered = _in_order_of(old, new)
    codes, others = code_rows(rows, old)[0], code_rows(rows, ordered)[0]
    k, m = len(old.names), len(new.names)
    shared = np.bincount(codes * m + others, weight, minlength=k * m).reshape(k, m)
    either = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    overlap = np.where(either > 0, shared / np.where(either > 0, either, 1.0), 0.0)
    left, right = linear_sum_assignment(overlap, maximize=True)
    held = overlap[left, right] >= _LEAST_OVERLAP
    return _mapping(overlap, (left[held], right[held]), "overlap")


def _mapping(table: Floats, pairs: tuple[Ints, Ints], by: Literal["overlap", "distance"]) -> CodeMapping:
    left, right = pairs
    gone, fresh = (
        np.setdiff1d(np.arange(n), seen) for n, seen in zip(table.shape, (left, right), strict=True)
    )
    return CodeMapping(np.column_stack([left, right]), table[left, right], gone, fresh, by)


def keep_ids(old: Codebook, new: Codebook, mapping: CodeMapping) -> Codebook:
    """The new codebook with the old ids: a token that means the same keeps its number and its name.

    Row i is the new centroid that maps to the old code i. An old code without counterpart keeps its centroid, for
    what was not seen this month may come back. New codes without counterpart follow, in their order, under numbers
    that were never used.

    Args:
        old: whose ids and names are kept.
        new: whose centroids, shift and scale are taken.
        mapping: of ``map_by_overlap`` or ``map_by_distance`` of these two.

    Raises:
        ParameterError: other features.
    """
    ordered = _in_order_of(old, new)
    # What the old centroids are in the new codebook's scale.
    centroids = _in_scale_of(ordered, old)
    centroids[mapping.pairs[:, 0]] = ordered.centroids[mapping.pairs[:, 1]]
    names = list(old.names)
    for number, code in enumerate(mapping.fresh.tolist(), len(names)):
        names.append(f"{code_id(number)} {new.names[code].partition(' ')[2]}")
    return dataclasses.replace(
        ordered,
        centroids=np.concatenate([centroids, ordered.centroids[mapping.fresh]]).astype(np.float32),
        names=tuple(names),
    )


def _in_order_of(first: Codebook, second: Codebook) -> Codebook:
    """The second with its columns in the first's order."""
    if first.features == second.features:
        return second
    if set(first.features) != set(second.features):
        raise ParameterError(
            "codebooks",
            f"{len(set(first.features) ^ set(second.features))} features that only one of them has",
            "two codebooks of the same features",
            hint="compare codebooks of the same kind of stream",
        )
    order = [second.features.index(name) for name in first.features]
    return dataclasses.replace(
        second,
        centroids=second.centroids[:, order],
        shift=second.shift[order],
        scale=second.scale[order],
        features=first.features,
    )


def _in_scale_of(one: Codebook, other: Codebook) -> Floats:
    """The other's centroids in the scaled features of the one; unchanged, to the bit, where both scale alike."""
    ours = other.centroids.astype(np.float64)
    if np.array_equal(one.shift, other.shift) and np.array_equal(one.scale, other.scale):
        return ours
    natural = ours * other.scale.astype(np.float64) + other.shift.astype(np.float64)
    return np.asarray((natural - one.shift.astype(np.float64)) / one.scale.astype(np.float64))

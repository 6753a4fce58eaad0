"""What a segment costs: the table ``COSTS``, and one run prepared under one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats

__all__ = ["COSTS", "Cost", "Fitted", "costs_between", "fit_cost"]

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Cost:
    """One way to say how badly a segment is described by one model.

    ``tables`` turns (values (n, d), scale (d,), front) into the arrays from which any segment is priced;
    ``between`` prices segments from them; ``changes`` finds the exact optimum. ``least`` is the smallest
    number of samples on which the cost is defined.
    """

    tables: Callable[[Values, Floats, int], tuple[npt.NDArray[Any], ...]]
    between: Callable[[Fitted, Ints, Ints], Floats]
    changes: Callable[[Fitted, float], Ints]
    least: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One run under one cost: all that a search needs. Positions are samples of the run, 0..n_samples.

    ``tables`` are the cost's own; position p of the run is at ``front + p`` in them where the cost needs room
    before the first sample (``front`` is 0 for most).
    """

    cost: Cost
    tables: tuple[npt.NDArray[Any], ...]
    front: int
    n_samples: int
    min_size: int


def fit_cost(name: str, values: Values, scale: Floats, min_size: int) -> Fitted:
    """Prepare one run to be cut under a cost.

    Args:
        name: a key of ``COSTS``.
        values: (n, d) f4 or f8, finite (``exact.filled``).
        scale: (d,) what each channel is multiplied by, 0 to ignore it.
        min_size: fewest samples of a segment, >= 1; raised to the cost's own least.

    Returns:
        a ``Fitted``; nothing is computed yet where no two segments fit.
    """
    from align.kernels.lazy_bounds import front_for

    cost = COSTS[name]
    size = max(min_size, cost.least)
    front = front_for(size)
    tables = cost.tables(values, scale, front) if len(values) >= 2 * size else ()
    return Fitted(cost, tables, front, len(values), size)


def costs_between(fitted: Fitted, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Floats:
    """Cost of each segment [start, end).

    Equal to the cost's definition up to a function f with ``f(end) - f(start)``, which is the same for all
    segmentations of a run and so decides nothing (the sum of squares under "l2").

    Args:
        fitted: from ``fit_cost``.
        starts, ends: (m,) samples, ``ends - starts >= cost.least``.
    """
    starts, ends = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
    return fitted.cost.between(fitted, starts, ends)


def _sums(values: Values, scale: Floats, front: int) -> tuple[npt.NDArray[Any], ...]:
    from align.kernels.lazy_bounds import BACK
    from align.kernels.pelt import prefix_sums

    return (prefix_sums(values, values.mean(axis=0, dtype=np.float64), scale, front, BACK),)


def _l2_between(fitted: Fitted, starts: Ints, ends: Ints) -> Floats:
    (sums,) = fitted.tables
    step = sums[:, fitted.front + ends] - sums[:, fitted.front + starts]
    return np.asarray(-(step * step).sum(axis=0) / (ends - starts))


def _l2_changes(fitted: Fitted, penalty: float) -> Ints:
    from align.kernels.lazy_bounds import lazy_bounds
    from align.kernels.pelt import backtrack

    (sums,) = fitted.tables
    price = lazy_bounds(sums, fitted.front, fitted.n_samples, penalty, fitted.min_size)
    return np.asarray(backtrack(sums, price, fitted.front, fitted.n_samples, penalty, fitted.min_size))


COSTS: Mapping[str, Cost] = MappingProxyType({"l2": Cost(_sums, _l2_between, _l2_changes)})

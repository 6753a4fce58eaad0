"""What a segment costs: the table ``COSTS``, and one run prepared under one of them.

Every cost is the least misfit of a model over its parameters, so no cost falls when a segment is split: the
ground on which the exact searches stand. A cost's definition is in the docstring of what makes its tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Floats
from align.errors import InputError
from align.segmentation.cost_features import kernel_features, rank_features
from align.segmentation.cost_tables import (
    autoregressive_table,
    categorical_table,
    median_table,
    poisson_table,
    robust_table,
    trend_table,
    variance_table,
)

__all__ = ["COSTS", "Cost", "Fitted", "costs_between", "fit_cost"]

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating[Any]]
Tables = tuple[Any, ...]  # arrays, or what makes them when they are needed

_AT_ONCE = 1 << 24  # cells of a run up to which prefix sums of all of it are held: 134 MB
_PART = 1 << 22  # cells of a longer run that are solved together


@dataclass(frozen=True, slots=True, eq=False)
class Cost:
    """One way to say how badly a segment is described by one model.

    ``tables`` turns (values (n, d), scale (d,), front) into the arrays from which any segment is priced;
    ``between`` prices segments from them; ``changes`` finds the exact optimum. ``least`` is the smallest
    number of samples on which the cost is defined. ``front`` says how many positions the tables leave before
    the first sample, from the least samples of a segment. ``wrong`` marks the cells that the cost cannot
    take, and ``allowed`` says which it can.
    """

    tables: Callable[[Values, Floats, int], Tables]
    between: Callable[[Fitted, Ints, Ints], Floats]
    changes: Callable[[Fitted, float], Ints]
    least: int = 1
    front: Callable[[int], int] = lambda min_size: 0
    wrong: Callable[[Values], npt.NDArray[np.bool_]] | None = None
    allowed: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One run under one cost: all that a search needs. Positions are samples of the run, 0..n_samples.

    ``tables`` are the cost's own; position p of the run is at ``front + p`` in them where the cost needs room
    before the first sample (``front`` is 0 for most).
    """

    cost: Cost
    tables: Tables
    front: int
    n_samples: int
    min_size: int


def fit_cost(
    name: str,
    values: Values,
    scale: Floats,
    min_size: int,
    *,
    channels: Sequence[str] = (),
    first: int = 0,
) -> Fitted:
    """Prepare one run to be cut under a cost.

    Args:
        name: a key of ``COSTS``.
        values: (n, d) f4 or f8, finite (``exact.filled``).
        scale: (d,) what each channel is multiplied by, 0 to ignore it.
        min_size: fewest samples of a segment, >= 1; raised to the cost's own least.
        channels: (d,) names, to say where a value cannot be used.
        first: the run's first sample in its stream, likewise.

    Returns:
        a ``Fitted``; nothing is computed yet where no two segments fit.

    Raises:
        InputError: E-RANGE, a value that the cost cannot take (a negative count, a code that is no whole
            number).
    """
    cost = COSTS[name]
    if cost.wrong is not None:
        _check(name, values[:, scale != 0], [n for n, s in zip(channels, scale, strict=False) if s], first)
    size = max(min_size, cost.least)
    front = cost.front(size)
    tables = cost.tables(values, scale, front) if len(values) >= 2 * size else ()
    return Fitted(cost, tables, front, len(values), size)


def _check(name: str, values: Values, channels: Sequence[str], first: int) -> None:
    cost = COSTS[name]
    assert cost.wrong is not None
    wrong = np.argwhere(cost.wrong(values))
    if len(wrong):
        sample, channel = (int(i) for i in wrong[0])
        raise InputError(
            "E-RANGE",
            f'{values[sample, channel]:g} under cost "{name}"; allowed: {cost.allowed}',
            hint='choose another cost, such as "l2", or mend the values',
            channel=channels[channel] if channels else channel,
            sample=first + sample,
        )


def costs_between(fitted: Fitted, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Floats:
    """Cost of each segment [start, end).

    Equal to the cost's definition up to a function f with ``f(end) - f(start)``, which is the same for all
    segmentations of a run and so decides nothing (the sum of squares under "l2").

    Args:
        fitted: from ``fit_cost``.
        starts, ends: (m,) samples, ``ends - starts >= cost.least``.

    Returns:
        (m,) f8; zeros for a run in which no two segments fit, as nothing is to be decided there.
    """
    starts, ends = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
    if not fitted.tables:
        return np.zeros(len(starts))
    return fitted.cost.between(fitted, starts, ends)


def _squares_front(min_size: int) -> int:
    from align.kernels.lazy_bounds import front_for

    return front_for(min_size)


@dataclass(slots=True, eq=False)
class _Sums:
    """Prefix sums of values, made when they are first asked for: they are twice as large as float32 values."""

    values: Values
    scale: Floats
    front: int
    made: Floats | None = None

    def whole(self) -> Floats:
        """(d, positions) as ``pelt.prefix_sums``."""
        if self.made is None:
            from align.kernels.lazy_bounds import BACK
            from align.kernels.pelt import prefix_sums

            mean = self.values.mean(axis=0, dtype=np.float64)
            self.made = prefix_sums(self.values, mean, self.scale, self.front, BACK)
        return self.made


def _sums(values: Values, scale: Floats, front: int) -> Tables:
    return (_Sums(values, scale, front),)


def _sums_of(
    features: Callable[[Values, Floats], Values], values: Values, scale: Floats, front: int
) -> Tables:
    made = features(values, scale)
    if made.shape[1] == 0:  # nothing moves
        made = np.zeros((len(values), 1))
    return _sums(made, np.ones(made.shape[1]), front)


def _l2_between(fitted: Fitted, starts: Ints, ends: Ints) -> Floats:
    sums = fitted.tables[0].whole()
    step = sums[:, fitted.front + ends] - sums[:, fitted.front + starts]
    return np.asarray(-(step * step).sum(axis=0) / (ends - starts))


def _l2_changes(fitted: Fitted, penalty: float) -> Ints:
    from align.segmentation.long_runs import changes_by_parts, changes_of_sums, is_beyond_sums

    (held,) = fitted.tables
    n, size = fitted.n_samples, fitted.min_size
    if held.values.size > _AT_ONCE:
        part = _PART // held.values.shape[1]
        return changes_by_parts(held.values, held.scale, penalty, size, part)
    sums = held.whole()
    if is_beyond_sums(sums, fitted.front, n, penalty):
        return changes_by_parts(held.values, held.scale, penalty, size)
    return changes_of_sums(sums, fitted.front, n, penalty, size)


def _squares(features: Callable[[Values, Floats], Values] | None = None) -> Cost:
    """Squared deviations from the segment's mean, of the values or of their features."""
    tables = _sums if features is None else partial(_sums_of, features)
    return Cost(tables, _l2_between, _l2_changes, front=_squares_front)


def _variance_front(min_size: int) -> int:
    from align.kernels.lazy_variance import FRONT

    return FRONT


def _variance_between(fitted: Fitted, starts: Ints, ends: Ints) -> Floats:
    from align.kernels.variance import variance_costs

    return np.asarray(variance_costs(fitted.tables[0], fitted.front + starts, fitted.front + ends))


def _variance_changes(fitted: Fitted, penalty: float) -> Ints:
    from align.kernels.lazy_variance import lazy_variance
    from align.kernels.variance import variance_changes

    (table,), front, n, size = fitted.tables, fitted.front, fitted.n_samples, fitted.min_size
    price = lazy_variance(table, front, n, penalty, size)
    return np.asarray(variance_changes(table, price, front, n, penalty, size))


def _robust(kind: str) -> Cost:
    """Losses that outliers hardly move; several channels that move are an error of the exact search only."""

    def tables(values: Values, scale: Floats, front: int) -> Tables:
        from align.segmentation.functional import THRESHOLDS

        return robust_table(values, scale, THRESHOLDS[kind])

    def between(fitted: Fitted, starts: Ints, ends: Ints) -> Floats:
        from align.segmentation.functional import robust_costs

        values, thresholds = fitted.tables
        costs = np.zeros(len(starts))
        for c, threshold in enumerate(thresholds):
            costs += robust_costs(values[:, c], starts, ends, kind, float(threshold))
        return costs

    def changes(fitted: Fitted, penalty: float) -> Ints:
        from align.segmentation.functional import robust_changes

        values, thresholds = fitted.tables
        moving = int(np.argmax((values != values[0]).any(axis=0)))  # the only one, or an error
        return robust_changes(values, penalty, fitted.min_size, kind, float(thresholds[moving]))

    return Cost(tables, between, changes)


def _priced(kind: str, tables: Callable[[Values, Floats], Tables], least: int = 1, **more: Any) -> Cost:
    """A cost that ``kernels.segment_costs`` prices one segment at a time; ``kind`` is its name there."""

    def between(fitted: Fitted, starts: Ints, ends: Ints) -> Floats:
        from align.kernels import segment_costs

        return np.asarray(
            segment_costs.segment_costs(getattr(segment_costs, kind), *fitted.tables, starts, ends)
        )

    def changes(fitted: Fitted, penalty: float) -> Ints:
        from align.kernels import segment_costs

        n, size = fitted.n_samples, fitted.min_size
        code = getattr(segment_costs, kind)
        return np.asarray(segment_costs.lazy_changes(code, *fitted.tables, n, penalty, size))

    return Cost(lambda values, scale, front: tables(values, scale), between, changes, least, **more)


def _negative(values: Values) -> npt.NDArray[np.bool_]:
    return values < 0


def _broken(values: Values) -> npt.NDArray[np.bool_]:
    return values != np.floor(values)


COSTS: Mapping[str, Cost] = MappingProxyType(
    {
        "l2": _squares(),
        "meanvar": Cost(variance_table, _variance_between, _variance_changes, 2, _variance_front),
        "l1": _priced("MEDIAN", median_table),
        "huber": _robust("huber"),
        "biweight": _robust("biweight"),
        "rank": _squares(rank_features),
        "kernel": _squares(kernel_features),
        "poisson": _priced("POISSON", poisson_table, wrong=_negative, allowed="counts >= 0"),
        "trend": _priced("TREND", trend_table, least=2),
        "ar": _priced("AUTOREGRESSIVE", autoregressive_table, least=3),
        "categorical": _priced("CATEGORICAL", categorical_table, wrong=_broken, allowed="whole numbers"),
    }
)

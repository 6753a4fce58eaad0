"""What ``method`` may be: a cost searched exactly, another search on a cost, patterns, a search of ruptures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from align.errors import ParameterError
from align.segmentation.costs import COSTS, costs_between
from align.segmentation.exact import changes_exact, changes_with_count, misfit_l2
from align.segmentation.greedy import SEARCHES

if TYPE_CHECKING:
    from align.segmentation.exact import Run

__all__ = ["FRAMES", "METHODS", "Method", "named", "unknown_name"]

Ints = npt.NDArray[np.int64]

FRAMES = "frames"  # not one way to cut a run: another view of the stream, cut by one of these


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One way to cut a run.

    ``at_penalty`` and ``with_count`` give change points as samples of the run, for a price per change point
    and for a number of them; a method without ``at_penalty`` finds their number itself (``with_count`` of
    None). ``misfit`` is what the segments between boundaries cost.
    """

    cost: str
    with_count: Callable[[Run, int | None], Ints]
    at_penalty: Callable[[Run, float], Ints] | None
    misfit: Callable[[Run, Ints], float]


def named(method: str) -> Method:
    """The method of a name.

    Args:
        method: a key of ``METHODS``; "binary:COST", "bottom-up:COST", "seeded:COST" or "window:COST" with a key
            of ``COSTS``; or "ruptures:NAME" with a key of ``interop.RUPTURES``.

    Raises:
        ParameterError: an unknown name, with the nearest known one.
    """
    if method in METHODS:
        return METHODS[method]
    search, colon, rest = method.partition(":")
    if search == "ruptures" and colon:
        return _peer(rest)
    if search in SEARCHES and (rest in COSTS or not colon):
        return _searched(search, rest or "l2")
    known = [*METHODS, *(f"{s}:{c}" for s in SEARCHES for c in COSTS), "ruptures:KernelCPD"]
    allowed = ", ".join(f'"{m}"' for m in ("auto", FRAMES, *METHODS))
    searches = " or ".join(f'"{s}:COST"' for s in SEARCHES)
    raise unknown_name("method", method, ["auto", FRAMES, *known], f'{allowed}; {searches}; "ruptures:NAME"')


def unknown_name(name: str, given: str, known: list[str], allowed: str) -> ParameterError:
    """The error for a word that is none of the known ones, with the nearest.

    Args:
        name: the parameter.
        given: what was given.
        known: all words.
        allowed: how to say which are allowed.
    """
    near = get_close_matches(given.lower(), known, n=1, cutoff=0.4)
    return ParameterError(name, given, allowed, hint=f'did you mean "{near[0]}"?' if near else "")


def _exact(cost: str) -> Method:
    def at_penalty(run: Run, penalty: float) -> Ints:
        return changes_exact(run.fitted, penalty, len(run.values))

    def with_count(run: Run, count: int | None) -> Ints:
        return changes_with_count(run.fitted, count or 0)

    return Method(cost, with_count, at_penalty, _misfit(cost))


def _searched(search: str, cost: str) -> Method:
    def at_penalty(run: Run, penalty: float) -> Ints:
        return SEARCHES[search](run.fitted, penalty, len(run.values))

    def with_count(run: Run, count: int | None) -> Ints:
        return SEARCHES[search](run.fitted, 0.0, count or 0)

    return Method(cost, with_count, at_penalty, _misfit(cost))


def _peer(name: str) -> Method:
    def at_penalty(run: Run, penalty: float) -> Ints:
        return _peer_changes(name, run, penalty, len(run.values))

    def with_count(run: Run, count: int | None) -> Ints:
        return _peer_changes(name, run, 0.0, count or 0)

    return Method("l2", with_count, at_penalty, misfit_l2)


def _peer_changes(name: str, run: Run, penalty: float, most: int) -> Ints:
    from align.segmentation.interop import ruptures_changes

    values = run.values * run.scale
    return ruptures_changes(name, values, penalty, run.fitted.min_size, most)


def _patterns(run: Run, count: int | None) -> Ints:
    from align.segmentation.shape import changes_shape

    return changes_shape(run.values[:, run.scale > 0], run.fitted.min_size, count)


def _misfit(cost: str) -> Callable[[Run, Ints], float]:
    def misfit(run: Run, boundaries: Ints) -> float:
        return float(costs_between(run.fitted, boundaries[:-1], boundaries[1:]).sum())

    return misfit_l2 if cost == "l2" else misfit


METHODS: Mapping[str, Method] = MappingProxyType(
    {**{cost: _exact(cost) for cost in COSTS}, "shape": Method("l2", _patterns, None, misfit_l2)}
)

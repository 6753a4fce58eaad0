"""Detectors that begin anew after each alarm: run lengths, and the setting at which a run length is as wanted.

Numpy and the standard library only: ours and the peers' processes share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Alarms", "calibrated", "seen", "with_restarts"]

Array = np.ndarray[Any, Any]
Alarms = Callable[[float, Sequence[Array]], list[list[int]]]  # a setting, series (n, d) -> alarms of each


def with_restarts(make: Callable[[], Callable[[float], bool]], series: Array) -> list[int]:
    """Alarms of one detector per channel, all made anew after any of them.

    Args:
        make: a fresh detector of one channel: takes a value, says whether there is an alarm.
        series: (n, d).
    """
    found, steps = [], [make() for _ in range(series.shape[1])]
    for i, row in enumerate(series.tolist()):
        told = [step(x) for step, x in zip(steps, row, strict=True)]
        if any(told):
            found.append(i)
            steps = [make() for _ in steps]
    return found


def seen(found: Sequence[int], changes: Sequence[int], within: int) -> tuple[list[int], int]:
    """Delays of the changes that were seen, and how many alarms were false.

    A change is seen by the first alarm at it or up to ``within`` samples behind, and before the next change; all other
    alarms are false.

    Args:
        found, changes: ascending samples.
        within: samples.
    """
    delays = []
    for change, following in zip(changes, [*changes[1:], math.inf], strict=False):
        first = next((a - change for a in found if change <= a < min(change + within, following)), None)
        if first is not None:
            delays.append(first)
    return delays, len(found) - len(delays)


def calibrated(
    alarms: Alarms,
    between: tuple[float, float],
    series: Sequence[Array],
    changes: Sequence[Sequence[int]],
    within: int,
    target: float,
) -> tuple[float, float]:
    """The setting at which there is one false alarm in so many samples, and how many it is there.

    Args:
        alarms: of a setting; fewer the larger it is.
        between: settings to look between, > 0; in twelve halvings of their ratio.
        series, changes: with their true changes.
        within: as of ``seen``.
        target: samples from one false alarm to the next.
    """
    low, high = (math.log(x) for x in between)
    samples = sum(len(x) for x in series)
    reached = math.inf
    for _ in range(12):
        middle = (low + high) / 2
        found = alarms(math.exp(middle), series)
        false = sum(seen(a, c, within)[1] for a, c in zip(found, changes, strict=True))
        reached = samples / max(false, 0.5)
        low, high = (middle, high) if reached < target else (low, middle)
    return math.exp(middle), reached

"""Random pairs of series: our distances and paths against plain loops and tslearn, with and without bands.

A pair *differs* when two distances are further apart than ``TOLERANCE`` of the larger, when a path is none (or
leaves its band), or when its cost is not the distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.interleaved import machine
from benchmarks.warping_results import cost_of, is_path
from tests.naive import dtw_totals

__all__ = ["Pair", "Tally", "agreement", "campaign", "pairs"]

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-9
KINDS = ("integers", "noise", "walk", "few levels", "constant", "offset")
LONGEST = 60
TOGETHER = 16  # pairs of one call of the pairwise distances


@dataclass(frozen=True)
class Pair:
    """Two series of shapes (n, d) and (m, d), and a radius to try as a band."""

    a: Array
    b: Array
    radius: int


@dataclass
class Tally:
    """How one comparison went: pairs, those that differ, and the largest relative difference."""

    name: str
    pairs: int = 0
    differ: int = 0
    largest: float = 0.0
    examples: list[str] = field(default_factory=list)

    def add(self, pair: Pair, ours: float, other: float, valid: bool = True) -> None:
        """Count one comparison; ``valid``: whether the path, if there is one, is a path."""
        excess = abs(ours - other) / max(abs(ours), abs(other)) if ours != other else 0.0
        self.pairs += 1
        self.largest = max(self.largest, excess)
        if not (excess <= TOLERANCE and valid):
            self.differ += 1
            self.examples.append(f"{pair.a.shape} x {pair.b.shape}, radius {pair.radius}")

    def line(self) -> str:
        """A row of the table."""
        return f"| {self.name} | {self.pairs} | **{self.differ}** | {self.largest:.2g} |"


def pairs(count: int, seed: int = 0) -> Iterator[Pair]:
    """``count`` random pairs: 1 to 60 samples on each side, 1 to 3 channels, every kind in turn."""
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        channels, kind = 1 + i % 3, KINDS[i // 3 % len(KINDS)]
        n = int(rng.integers(1, LONGEST + 1))
        m = n if i % 2 else int(rng.integers(1, LONGEST + 1))
        a, b = (_series(kind, rng, length, channels) for length in (n, m))
        yield Pair(a, b, int(rng.integers(0, LONGEST // 2)))


def _series(kind: str, rng: np.random.Generator, n: int, channels: int) -> Array:
    noise = rng.standard_normal((n, channels))
    return {
        "integers": lambda: np.round(3 * noise),
        "noise": lambda: noise,
        "walk": lambda: noise.cumsum(axis=0),
        "few levels": lambda: rng.integers(0, 3, (n, channels)).astype(np.float64),
        "constant": lambda: np.full((n, channels), np.round(rng.normal())),
        "offset": lambda: noise + 1e4,
    }[kind]()


def naive_distance(pair: Pair, ranges: tuple[Array, Array] | None = None) -> float:
    """By loops over the table of local costs; cells outside ``ranges`` cost infinity."""
    cost = ((pair.a[:, None, :] - pair.b[None, :, :]) ** 2).sum(axis=2)
    if ranges is not None:
        column = np.arange(len(pair.b))
        cost[(column < ranges[0][:, None]) | (column >= ranges[1][:, None])] = np.inf
    return math.sqrt(dtw_totals(cost)[-1, -1])


def agreement(count: int, seed: int = 0) -> list[Tally]:
    """Ours against loops and tslearn, on the same pairs.

    tslearn's band is ours where the series are equally long; elsewhere loops over our documented cells judge.
    """
    chosen = list(pairs(count, seed))
    plain = [naive_distance(pair) for pair in chosen]
    return [
        *_without_bands(chosen, plain),
        *_with_bands(chosen),
        _pairwise(chosen, plain),
    ]


def _without_bands(chosen: list[Pair], plain: list[float]) -> list[Tally]:
    from tslearn.metrics import dtw

    from align.warping.dtw import dtw_distance, dtw_path

    names = ("dtw_distance, loops", "dtw_distance, tslearn", "dtw_path, loops", "dtw_path, cost of its path")
    loops, tslearn, distance, cost = (Tally(name) for name in names)
    for pair, expected in zip(chosen, plain, strict=True):
        found = dtw_distance(pair.a, pair.b)
        loops.add(pair, found, expected)
        tslearn.add(pair, found, float(dtw(pair.a, pair.b)))
        path, length = dtw_path(pair.a, pair.b)
        distance.add(pair, length, expected)
        valid = is_path(path, len(pair.a), len(pair.b))
        cost.add(pair, cost_of(path, pair.a, pair.b), length, valid)
    return [loops, tslearn, distance, cost]


def _with_bands(chosen: list[Pair]) -> list[Tally]:
    """Radii that leave no path must be refused, and count as a difference when they are not."""
    from tslearn.metrics import dtw

    from align.errors import ParameterError
    from align.warping.bands import Band, column_ranges
    from align.warping.dtw import dtw_distance, dtw_path

    names = ("band, loops", "band, tslearn (equal lengths)", "band, cost of its path, inside it")
    loops, tslearn, cost = (Tally(name) for name in names)
    for pair in chosen:
        n, m, band = len(pair.a), len(pair.b), Band("sakoe-chiba", pair.radius)
        try:
            low, high = column_ranges(n, m, band)
        except ParameterError:
            loops.add(pair, 0.0, float(not _refused(lambda p=pair, b=band: dtw_distance(p.a, p.b, band=b))))
            continue
        found = dtw_distance(pair.a, pair.b, band=band)
        loops.add(pair, found, naive_distance(pair, (low, high)))
        path, length = dtw_path(pair.a, pair.b, band=band)
        inside = (path[:, 1] >= low[path[:, 0]]) & (path[:, 1] < high[path[:, 0]])
        cost.add(pair, cost_of(path, pair.a, pair.b), length, is_path(path, n, m) and bool(inside.all()))
        if n == m:
            options = {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": pair.radius}
            tslearn.add(pair, found, float(dtw(pair.a, pair.b, **options)))
    return [loops, tslearn, cost]


def _refused(call: Callable[[], object]) -> bool:
    from align.errors import ParameterError

    try:
        call()
    except ParameterError:
        return True
    return False


def _pairwise(chosen: list[Pair], plain: list[float]) -> Tally:
    """The pairwise distances of collections of unequal lengths; their diagonal is compared."""
    from align.warping.pairwise import dtw_pairwise

    tally = Tally("dtw_pairwise, loops")
    for channels in (1, 2, 3):
        same = [i for i, pair in enumerate(chosen) if pair.a.shape[1] == channels]
        for begin in range(0, len(same), TOGETHER):
            group = same[begin : begin + TOGETHER]
            found = dtw_pairwise([chosen[i].a for i in group], [chosen[i].b for i in group])
            for row, i in enumerate(group):
                tally.add(chosen[i], float(found[row, row]), plain[i])
    return tally


def campaign(count: int) -> int:
    """Print the table; returns how many comparisons differed."""
    tallies = agreement(count)
    print("| ours, beside | pairs | differ | largest relative difference |\n|---|---|---|---|")
    print("\n".join(tally.line() for tally in tallies))
    for tally in tallies:
        for example in tally.examples[:3]:
            print(f"{tally.name} differs on {example}")
    print(f"\nlengths 1 to {LONGEST}, channels 1 to 3, {', '.join(KINDS)}; {machine()}\n", flush=True)
    return sum(tally.differ for tally in tallies)

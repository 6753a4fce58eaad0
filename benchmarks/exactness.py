"""Random cases against brute force: dynamic programming over every segmentation, without pruning.

A case is *worse* when the answer's objective exceeds the least by more than ``TOLERANCE`` of the dearest segment's
cost (or of the penalty, if that is more), or when a segment is shorter than asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.interleaved import PEERS, machine, peers_python, run_job

if TYPE_CHECKING:
    from align.segmentation.costs import Fitted

__all__ = ["Case", "Tally", "campaign", "cases", "excess", "l2_matrix", "least_objective"]

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-9
CHANNELS = (1, 2, 3, 8)
KINDS = ("noise", "steps", "integers", "flat pieces", "drift", "heavy tails", "alternating", "offset")
PEER_NAMES = ("ruptures.Pelt", "ruptures.KernelCPD")


@dataclass(frozen=True)
class Case:
    """One random case: (n, d) values, a penalty and a least segment length."""

    values: Array
    penalty: float
    min_size: int


@dataclass
class Tally:
    """How one method did: cases, those with change points in the answer, those worse than brute force."""

    name: str
    cases: int = 0
    changed: int = 0
    worse: int = 0
    largest: float = 0.0
    worse_at_one: int = 0

    def add(self, case: Case, changes: Sequence[int], over: float) -> None:
        """Count one answer; ``over`` from ``excess``."""
        self.cases += 1
        self.changed += bool(len(changes))
        self.largest = max(self.largest, over)
        if over > TOLERANCE:
            self.worse += 1
            self.worse_at_one += case.min_size == 1

    def line(self) -> str:
        """A row of the table."""
        share = f"{100 * self.worse / self.cases:.2g} %" if self.worse else "0"
        return (
            f"| {self.name} | {self.cases} | {self.changed} | **{self.worse}** ({share}) | {self.worse_at_one} "
            f"| {self.largest:.2g} |"
        )


def cases(count: int, seed: int = 0) -> Iterator[Case]:
    """``count`` random cases: 1 to 140 samples, 1 to 8 channels, least lengths 1 to 20, every kind in turn."""
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        n, d = int(rng.integers(1, 141)), CHANNELS[i % len(CHANNELS)]
        values = _values(KINDS[i // len(CHANNELS) % len(KINDS)], rng, n, d)
        scale = max(float(np.var(values, axis=0).sum()), 1e-3)
        penalty = scale * float(rng.choice([0.0, 0.1, 0.5, 1.0, 2.0, 5.0]) * rng.random() * np.log(n + 1))
        yield Case(values, penalty, int(rng.integers(1, 21)))


def _values(kind: str, rng: np.random.Generator, n: int, d: int) -> Array:
    noise = rng.standard_normal((n, d))
    pieces = np.repeat(rng.normal(0, 3, (n // 8 + 1, d)), 8, axis=0)[:n]
    made = {
        "noise": noise,
        "steps": noise + pieces,
        "integers": np.round(noise + pieces),
        "flat pieces": pieces,
        "drift": noise * 0.1 + np.linspace(0, rng.random() * 5, n)[:, None],
        "heavy tails": rng.standard_t(1.5, (n, d)),
        "alternating": noise * 0.01 + (np.arange(n) % 2)[:, None],
        "offset": np.round(16 * (noise + pieces)) / 16 + 1e8,
    }[kind]
    return made if kind == "offset" else made.astype(np.float32).astype(np.float64)


def l2_matrix(values: Array) -> Array:
    """(n + 1, n + 1) squared deviations of samples s..t from their mean, in extended precision."""
    wide = np.asarray(values, np.longdouble)
    wide = wide - wide.mean(axis=0)
    none = np.zeros((1, wide.shape[1]), np.longdouble)
    sums, squares = (
        np.concatenate([none, wide.cumsum(axis=0)]),
        np.concatenate([none, (wide**2).cumsum(axis=0)]),
    )
    length = np.arange(len(sums))[None, :] - np.arange(len(sums))[:, None]
    step = ((sums[None] - sums[:, None]) ** 2).sum(axis=2)
    return np.asarray((squares[None] - squares[:, None]).sum(axis=2) - step / np.maximum(length, 1))


def least_objective(matrix: Array, penalty: float, min_size: int) -> float:
    """The optimum over all segmentations: ``total[t] = min over s of total[s] + matrix[s, t] + penalty``.

    A run shorter than two segments is one segment whatever its length, as ``align.segment`` has it.
    """
    n = len(matrix) - 1
    if n < 2 * min_size:
        return float(matrix[0, n])
    total = np.full(n + 1, np.inf, matrix.dtype)
    total[0] = -penalty
    for t in range(min_size, n + 1):
        total[t] = (total[: t - min_size + 1] + matrix[: t - min_size + 1, t]).min() + penalty
    return float(total[n])


def excess(matrix: Array, case: Case, changes: Sequence[int]) -> float:
    """How much an answer exceeds the least objective, relative to the dearest segment; inf if invalid."""
    n = len(matrix) - 1
    edges = np.array([0, *changes, n])
    if (np.diff(edges) < (case.min_size if len(changes) else 1)).any():
        return np.inf
    reached = float(matrix[edges[:-1], edges[1:]].sum() + case.penalty * len(changes))
    least = least_objective(matrix, case.penalty, case.min_size)
    largest = float(np.abs(matrix, where=np.isfinite(matrix), out=np.zeros(matrix.shape)).max())
    return (reached - least) / max(largest, case.penalty, 1e-300)


def our_tallies(count: int) -> list[Tally]:
    """``align.segment``, functional pruning, and the exact search under every cost, on the same cases.

    Costs other than l2 are priced by themselves: what is tested of them here is the search.
    """
    from align import Stream, segment
    from align.segmentation.costs import COSTS, fit_cost
    from align.segmentation.exact import changes_exact
    from align.segmentation.functional import mean_changes

    whole, functional = Tally("align.segment, l2"), Tally("functional pruning, l2, one channel")
    tallies = {name: Tally(f"exact search, {name}") for name in COSTS}
    for case in cases(count):
        matrix = l2_matrix(case.values)
        cut = segment(
            Stream(case.values, rate=1.0),
            method="l2",
            penalty=case.penalty,
            min_duration=float(case.min_size),
        ).changes.tolist()
        whole.add(case, cut, excess(matrix, case, cut))
        if case.values.shape[1] == 1:
            found = mean_changes(case.values, case.penalty, case.min_size).tolist()
            functional.add(case, found, excess(matrix, case, found))
        for name, tally in tallies.items():
            values = _suited(name, case.values)
            fitted = fit_cost(name, values, np.ones(values.shape[1]), case.min_size)
            asked = Case(values, case.penalty, fitted.min_size)
            found = changes_exact(fitted, case.penalty, len(values)).tolist()
            tally.add(asked, found, excess(matrix if name == "l2" else _priced(fitted), asked, found))
    return [whole, functional, *tallies.values()]


def _suited(name: str, values: Array) -> Array:
    """Values that the cost is defined on: counts, codes, one channel, else any."""
    if name == "poisson":
        return np.minimum(np.abs(np.round(values - values.min())), 50.0)
    if name == "categorical":
        return np.abs(np.round(values - values.min())) % 5
    return np.ascontiguousarray(values[:, :1]) if name in ("huber", "biweight") else values


def _priced(fitted: Fitted) -> Array:
    """The cost of every segment, infinite where shorter than the least, from the project's own cost."""
    from align.segmentation.costs import costs_between

    n = fitted.n_samples
    matrix = np.full((n + 1, n + 1), np.inf)
    matrix[0, n] = 0.0
    if fitted.tables:
        starts, ends = np.triu_indices(n + 1, fitted.min_size)
        matrix[starts, ends] = costs_between(fitted, starts, ends)
    return matrix


def peer_tallies(folder: Path, count: int) -> list[Tally]:
    """ruptures on the first ``count`` cases that have room for two segments and a penalty above 0."""
    tallies = {name: Tally(f"{name}{' (jump=1)' if name.endswith('Pelt') else ''}") for name in PEER_NAMES}
    chosen = [c for c in cases(count) if len(c.values) >= 2 * c.min_size and c.penalty > 0]
    for d in CHANNELS:
        group = [c for c in chosen if c.values.shape[1] == d]
        if not group:
            continue
        file = folder / f"cases_{d}.npz"
        np.savez(
            file,
            values=np.concatenate([c.values for c in group]),
            lengths=[len(c.values) for c in group],
            penalty=[c.penalty for c in group],
            min_size=[c.min_size for c in group],
        )
        matrices = [l2_matrix(c.values) for c in group]
        for name, tally in tallies.items():
            answers = run_job(PEERS, {"library": name, "cost": "l2", "signals": str(file)})["changes"]
            for case, matrix, changes in zip(group, matrices, answers, strict=True):
                tally.add(case, changes, excess(matrix, case, changes))
    return list(tallies.values())


def campaign(folder: Path, count: int, peer_count: int) -> int:
    """Print the table; returns how many of our answers were worse than brute force."""
    ours = our_tallies(count)
    print(
        "| method | cases | with changes | worse than brute force | of these at min_size 1 | largest excess |"
    )
    print("|---|---|---|---|---|---|")
    print("\n".join(t.line() for t in ours), flush=True)
    if peers_python() is not None:
        print("\n".join(t.line() for t in peer_tallies(folder, min(count, peer_count))), flush=True)
    print(f"\nn 1 to 140, channels 1 to 8, min_size 1 to 20; {machine()}\n")
    return sum(t.worse for t in ours)

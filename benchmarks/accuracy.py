"""How near the change points of several methods come to the truth: Covering and F1, with intervals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from align.metrics import change_point_f1, covering
from benchmarks.interleaved import run_job
from benchmarks.measure import Job

__all__ = ["MARGIN", "Answers", "Series", "ask", "bootstrap", "data_folder", "no_change", "table"]

Array = np.ndarray[Any, Any]
MARGIN = 5  # samples, as in the reference of change_point_f1


@dataclass(frozen=True)
class Series:
    """One series with its truth: the change points of each annotator."""

    name: str
    values: Array
    truth: tuple[Array, ...]
    margin: int = MARGIN


@dataclass
class Answers:
    """One method's change points for some series, CPU seconds of each, or why there are none."""

    name: str
    changes: list[list[int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    missing: str = ""

    def coverings(self, series: Sequence[Series]) -> Array:
        """Covering of each series."""
        pairs = zip(series, self.changes, strict=True)
        return np.array([covering(s.truth, found, len(s.values)) for s, found in pairs])

    def f1(self, series: Sequence[Series]) -> Array:
        """F1 of each series."""
        pairs = zip(series, self.changes, strict=True)
        return np.array([change_point_f1(s.truth, found, s.margin) for s, found in pairs])


def data_folder() -> Path:
    """``ALIGN_DATA``."""
    return Path(os.environ.get("ALIGN_DATA", "../shared/data"))


def ask(name: str, module: str, job: Job, series: Sequence[Series], folder: Path) -> Answers:
    """One method on all series, in a process of its own for each number of channels."""
    answers: list[list[int]] = [[] for _ in series]
    seconds = [0.0] * len(series)
    for d in sorted({s.values.shape[1] for s in series}):
        chosen = [i for i, s in enumerate(series) if s.values.shape[1] == d]
        file = folder / f"series_{d}.npz"
        parts = [series[i].values for i in chosen]
        np.savez(file, values=np.concatenate(parts), lengths=[len(p) for p in parts])
        found = run_job(module, job | {"signals": str(file)})
        if "missing" in found:
            return Answers(name, missing=found["missing"])
        for i, changes, used in zip(chosen, found["changes"], found["seconds"], strict=True):
            answers[i], seconds[i] = changes, used
    return Answers(name, answers, seconds)


def bootstrap(scores: Array, rounds: int = 10_000) -> tuple[float, float]:
    """95 % interval of the mean over series drawn with replacement, seed 0."""
    rng = np.random.default_rng(0)
    means = scores[rng.integers(0, len(scores), (rounds, len(scores)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def table(series: Sequence[Series], methods: Sequence[Answers], reference: str, each: bool) -> None:
    """Mean Covering with its interval, F1, change points and CPU seconds; the first method's lead over each."""
    print(
        "| method | Covering | 95 % interval | first less this, 95 % | F1 | change points | CPU s a series |"
    )
    print("|---|---|---|---|---|---|---|")
    first: Array | None = None
    for m in methods:
        if m.missing:
            print(f"| {m.name} | {m.missing} | | | | | |")
            continue
        scores = m.coverings(series)
        low, high = bootstrap(scores)
        lead = ""
        if first is None:
            first = scores
        else:
            ends = bootstrap(first - scores)
            lead = f"{(first - scores).mean():+.3f} ({ends[0]:+.3f} to {ends[1]:+.3f})"
        cells = [m.name, f"**{scores.mean():.3f}**", f"{low:.3f} to {high:.3f}", lead]
        cells += [f"{m.f1(series).mean():.3f}", str(sum(map(len, m.changes)))]
        print(f"| {' | '.join([*cells, f'{np.mean(m.seconds):.3f}' if m.seconds else ''])} |")
    print(f"\n{len(series)} series; {reference}.\n")
    scored = [m for m in methods if not m.missing]
    if each:
        print(f"| series | true | {' | '.join(m.name for m in scored)} |\n|{'---|' * (len(scored) + 2)}")
        columns = [m.coverings(series) for m in scored]
        for i, s in enumerate(series):
            cells = [f"{c[i]:.2f} ({len(m.changes[i])})" for c, m in zip(columns, scored, strict=True)]
            print(f"| {s.name} | {len(s.truth[0])} | {' | '.join(cells)} |")
        print()


def no_change(series: Sequence[Series]) -> Answers:
    """The answer that every method must beat."""
    return Answers("no change", [[] for _ in series])

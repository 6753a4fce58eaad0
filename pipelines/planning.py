"""What a batch will take: sizes of all inputs, a few of them tried, and a line through what these took.

Inputs of one kind (suffix) are taken to cost ``base + rate x bytes``; a few of each kind are done by a worker in a
private folder that is removed, from small to large, the first twice: what it took longer is the start of a worker.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from align.errors import ParameterError
from align.readers import session_files
from pipelines.children import Limits
from pipelines.engines import LocalEngine, Outcome, Task
from pipelines.jobs import JobSettings
from pipelines.manifest import Input
from pipelines.store import private_folder

__all__ = ["Cost", "Plan", "fitted_line", "plan_batch", "size_of"]

_PER_KIND = 6  # inputs that are tried
_JOURNAL_LINE = 420  # bytes of an item that went well, beside its name twice: journal and items.jsonl


@dataclass(frozen=True, slots=True)
class Cost:
    """What inputs of one kind take.

    Attributes:
        items: how many there are.
        size: bytes of all.
        tried: how many were done.
        failed: of those tried.
        seconds: (base, per byte) of one input on one core.
        memory: (base, per byte) bytes of its worker.
        results: (base, per byte) bytes of its results.
        largest: bytes of the largest input.
    """

    items: int
    size: int
    tried: int
    failed: int
    seconds: tuple[float, float]
    memory: tuple[float, float]
    results: tuple[float, float]
    largest: int

    def total(self, line: tuple[float, float]) -> float:
        """Of all inputs.

        Args:
            line: ``seconds`` or ``results``.
        """
        return line[0] * self.items + line[1] * self.size

    def peak(self) -> float:
        """Bytes of a worker at the largest input."""
        return self.memory[0] + self.memory[1] * self.largest


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch will take.

    Attributes:
        kinds: suffix ("session" for folders) -> cost.
        jobs: workers.
        start: seconds until a worker has done its first input, beyond what the input takes.
    """

    kinds: Mapping[str, Cost]
    jobs: int
    start: float

    def as_dict(self) -> dict[str, object]:
        """JSON values: totals, and the kinds with what they hang on."""
        costs = self.kinds.values()
        names = _JOURNAL_LINE * sum(cost.items for cost in costs)
        work = sum(cost.total(cost.seconds) for cost in costs)
        return {
            "items": sum(cost.items for cost in costs),
            "bytes": sum(cost.size for cost in costs),
            "tried": sum(cost.tried for cost in costs),
            "failed_of_tried": sum(cost.failed for cost in costs),
            "jobs": self.jobs,
            "core_seconds": work,
            "seconds": self.start + work / self.jobs,
            "start_seconds": self.start,
            "memory_per_worker": max(cost.peak() for cost in costs),
            "memory": self.jobs * max(cost.peak() for cost in costs),
            "result_bytes": sum(cost.total(cost.results) for cost in costs) + names,
            "kinds": {name: asdict(cost) for name, cost in self.kinds.items()},
        }


def plan_batch(
    inputs: Sequence[Input], job: str, how: JobSettings, jobs: int, limits: Limits, *, budget: float = 30.0
) -> Plan:
    """Estimate a batch from its inputs' sizes and from a few that are done. Writes nothing that stays.

    Args:
        inputs: of ``inputs_of``, at least one.
        job: a name of ``JOBS``.
        how: the settings.
        jobs: workers.
        limits: of every input.
        budget: seconds after which no further input is tried; the one being done is ended.

    Returns:
        The plan. A kind of which none was done within the budget is taken to cost as the others.

    Raises:
        ParameterError: inputs of an object store.
        ResourceError: workers do not start; the temporary folder cannot be written.
    """
    sizes: dict[str, list[tuple[int, Input]]] = {}
    for item in inputs:
        if isinstance(item.path, str):
            raise ParameterError("plan", "inputs of an object store", "inputs on this machine: copy a few")
        size, kind = size_of(item.path)
        sizes.setdefault(kind, []).append((size, item))
    chosen = [(kind, *one) for kind, all_ in sorted(sizes.items()) for one in _spread(all_)]
    chosen = sorted(chosen, key=lambda one: one[1])  # the small ones first: peaks of memory only grow
    tried = _tried([item for _, _, item in chosen], job, how, limits, budget)
    start = max(0.0, tried[0][0].seconds - tried[1][0].seconds) if len(tried) > 1 else 0.0
    points: dict[str, list[tuple[int, Outcome, int]]] = {kind: [] for kind in sizes}
    for (kind, size, _), (outcome, made) in zip(chosen, tried[1:], strict=False):
        points[kind].append((size, outcome, made))
    everything = [point for kind in points.values() for point in kind] or [
        (chosen[0][1], outcome, made) for outcome, made in tried
    ]
    kinds = {kind: _cost([s for s, _ in all_], points[kind] or everything) for kind, all_ in sizes.items()}
    return Plan(kinds, jobs, start)


def size_of(path: Path) -> tuple[int, str]:
    """Bytes and kind of an input.

    Args:
        path: a file, or a session folder.

    Returns:
        Its bytes (of a session: of its streams and notes), and its suffix or "session".
    """
    if path.is_dir():
        streams, notes = session_files(path)
        return sum(file.stat().st_size for file in [*streams, *([notes] if notes else [])]), "session"
    size = path.stat().st_size
    if path.suffix.lower() == ".hea":
        size += sum(p.stat().st_size for p in path.parent.glob(f"{path.stem}.*") if p != path)
    return size, path.suffix.lower()


def _spread(sized: list[tuple[int, Input]]) -> list[tuple[int, Input]]:
    """A few of the inputs, from the smallest to the largest."""
    ordered = sorted(sized, key=lambda one: (one[0], one[1].name))
    at = np.unique(np.linspace(0, len(ordered) - 1, min(_PER_KIND, len(ordered))).round().astype(int))
    return [ordered[i] for i in at]


def _tried(
    items: Sequence[Input], job: str, how: JobSettings, limits: Limits, budget: float
) -> list[tuple[Outcome, int]]:
    """Do the first item twice and the others once: outcome and bytes of results of each, in order."""
    end = time.monotonic() + budget
    found: list[tuple[Outcome, int]] = []
    tasks = [Task(item.name, item.path) for item in (items[0], *items)]
    with private_folder() as folder:
        order = {"job": job, "how": how.as_json(), "out": str(folder)}
        engine = LocalEngine(1, limits)
        with closing(
            engine.outcomes(order, tasks, lambda: bool(found) and time.monotonic() > end)
        ) as outcomes:
            for outcome in outcomes:
                if outcome.kind == "died":  # comes again at the end, out of turn
                    break
                made = sum((folder / name).stat().st_size for name in outcome.outputs)
                found.append((outcome, made))
    return found


def _cost(sizes: list[int], points: list[tuple[int, Outcome, int]]) -> Cost:
    x = [size for size, _, _ in points]
    return Cost(
        items=len(sizes),
        size=sum(sizes),
        tried=len(points),
        failed=sum(outcome.kind != "ok" for _, outcome, _ in points),
        seconds=fitted_line(x, [outcome.seconds for _, outcome, _ in points]),
        memory=fitted_line(x, [outcome.peak for _, outcome, _ in points]),
        results=fitted_line(x, [made for _, _, made in points]),
        largest=max(sizes),
    )


def fitted_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The line ``base + rate x`` of least squares with neither below 0.

    Args:
        x: (n,) at least 0.
        y: (n,) at least 0.

    Returns:
        (base, rate); (0, 0) without points.

    >>> fitted_line([0, 1, 2], [1, 3, 5])
    (1.0, 2.0)
    >>> fitted_line([1, 1], [3, 5])
    (4.0, 0.0)
    """
    if not x:
        return 0.0, 0.0
    at, values = np.asarray(x, float), np.asarray(y, float)
    spread = at - at.mean()
    if not spread.any():
        return float(values.mean()), 0.0
    rate = float(spread @ values / (spread @ spread))
    base = float(values.mean() - rate * at.mean())
    if rate < 0:
        return float(values.mean()), 0.0
    if base < 0:
        return 0.0, float(at @ values / (at @ at))
    return base, rate

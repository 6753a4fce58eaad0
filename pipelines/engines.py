"""Who does a batch's items: ``local`` keeps a few worker processes, ``dask`` has a cluster; ``ENGINES`` names all.

An engine takes tasks as it has room for them and gives outcomes as they come, in any order; that a task is done
twice does no harm, because results are put under their names in one step and their bytes hang on nothing else.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from align.errors import AlignError, ParameterError, ResourceError
from pipelines.children import Child, Limits, ending, is_spent, start_child
from pipelines.identity import code_hash
from pipelines.worker import told

__all__ = ["ENGINES", "MAX_DEATHS", "Asked", "Engine", "LocalEngine", "Outcome", "Task", "failed", "killed"]

MAX_DEATHS = 2  # of processes on one item: after the second the item is quarantined
_POLL = 0.1  # seconds between looks at time and memory
_STARTS = 3  # workers that may die one after the other before they are ready
_START_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Task:
    """One input to be done.

    Attributes:
        name: of the input.
        path: of the input, or its URL.
        before: what the journal says of it, if its result may still hold.
        deaths: of workers on it so far.
    """

    name: str
    path: Path | str
    before: Mapping[str, Any] | None = None
    deaths: int = 0

    def place(self) -> str:
        """Where a worker finds the input, whatever its working folder."""
        return self.path if isinstance(self.path, str) else os.path.abspath(self.path)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    Attributes:
        task: which.
        kind: "ok", "kept", "failed", "quarantined"; "died" (it is tried again) or "fatal" (nothing can be
            written any more).
        sha256: of the input, None when its bytes could not be read.
        outputs: result -> SHA-256.
        error: as ``AlignError.as_dict``, or None.
        exit_code: of a fatal error.
        seconds: that the item took; 0 where it is not known.
        peak: most bytes of memory that its process has held so far; 0 where it is not known.
    """

    task: Task
    kind: str
    sha256: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    exit_code: int = 0
    seconds: float = 0.0
    peak: int = 0


class Engine(Protocol):
    """Does tasks."""

    def outcomes(
        self, order: Mapping[str, Any], tasks: Iterable[Task], stop: Callable[[], bool]
    ) -> Generator[Outcome, None, None]:
        """The outcomes of all tasks, as they come; fewer when ``stop`` says so.

        Args:
            order: ``job``, ``how`` and ``out``, as ``pipelines.worker`` takes them.
            tasks: taken one by one.
            stop: asked several times a second.
        """


def failed(task: Task, error: AlignError, sha256: str | None) -> Outcome:
    """The outcome of a task whose item was ended from outside.

    Args:
        task: which.
        error: why.
        sha256: of the input, if it is known.
    """
    return Outcome(task, "failed", sha256, error=told(error, task.path, task.name))


def killed(task: Task, how: str, sha256: str | None) -> Outcome:
    """The outcome of a task on which a process died: "died", to be tried again, or "quarantined".

    Args:
        task: which; its ``deaths`` do not count this one yet.
        how: it ended, in words.
        sha256: of the input, if it is known.
    """
    task = replace(task, deaths=task.deaths + 1)
    if task.deaths < MAX_DEATHS:
        return Outcome(task, "died", sha256)
    error = ResourceError("E-WORKER-DIED", f"{task.deaths} worker processes {how} on it",
                          hint="--retry-failed tries it again", file=task.path)  # fmt: skip
    return replace(failed(task, error, sha256), kind="quarantined")


@dataclass(slots=True, eq=False)
class _Worker:
    """A child and the task that it is at."""

    child: Child
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Worker processes on this machine, each doing one item at a time.

    Attributes:
        jobs: how many.
        limits: of every item.
    """

    jobs: int = 1
    limits: Limits = field(default_factory=Limits)

    def outcomes(
        self, order: Mapping[str, Any], tasks: Iterable[Task], stop: Callable[[], bool]
    ) -> Generator[Outcome, None, None]:
        """As ``Engine``. A worker that dies harms its item only, which is tried once more.

        Args:
            order, tasks, stop: as ``Engine``.

        Raises:
            ResourceError: E-WORKER-START, workers do not come up; E-VERSION, they run other code; E-MEMORY, as
                ``start_child``.
        """
        crew = _Crew(self, order, iter(tasks))
        try:
            while not stop():
                crew.fill()
                if not crew.workers:
                    return
                yield from crew.listen()
                yield from crew.check()
        finally:
            crew.leave()


@dataclass(slots=True, eq=False)
class _Crew:
    """The workers of one batch."""

    engine: LocalEngine
    order: Mapping[str, Any]
    source: Iterator[Task]
    next_up: deque[Task] = field(default_factory=deque)
    later: deque[Task] = field(default_factory=deque)
    workers: list[_Worker] = field(default_factory=list)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    failed_starts: int = 0

    def fill(self) -> None:
        """Give every free worker a task or let it go; start workers while there are tasks for them."""
        for worker in [w for w in self.workers if w.child.is_ready and w.task is None]:
            if not self._has(1):
                self._dismiss(worker, now=False)
                continue
            task = self.next_up.popleft()
            if worker.child.begin(task.name, task.place(), task.before):
                worker.task = task
            else:  # it died while it was idle: no item's fault
                self.next_up.appendleft(task)
                self._dismiss(worker, now=True)
        while len(self.workers) < self.engine.jobs:
            if not self._has(1 + sum(not worker.child.is_ready for worker in self.workers)):
                return
            self._start()

    def _has(self, n: int) -> bool:
        """Are ``n`` tasks still to be given out?"""
        while len(self.next_up) < n:
            task = next(self.source, None)
            if task is None:
                if not self.later:
                    return False
                task = self.later.popleft()
            self.next_up.append(task)
        return True

    def listen(self) -> Iterator[Outcome]:
        """What workers say within a moment."""
        for key, _ in self.selector.select(_POLL):
            worker = key.data
            said = worker.child.hear()
            if said is None:
                yield from self._buried(worker)
                continue
            for reply in said:
                if "hello" in reply:
                    if reply["hello"] != code_hash():
                        raise ResourceError("E-VERSION", "a worker runs another version of align")
                    worker.child.is_ready, self.failed_starts = True, 0
                elif "hashed" in reply:
                    worker.child.sha256 = reply["hashed"]
                else:
                    task, worker.task = worker.task, None
                    if is_spent(reply):
                        self._dismiss(worker, now=True)
                    yield Outcome(task, **reply)

    def check(self) -> Iterator[Outcome]:
        """End workers that take too long or too much."""
        for worker in list(self.workers):
            child, seconds = worker.child, time.monotonic() - worker.child.since
            if not child.is_ready and seconds > _START_SECONDS:
                raise ResourceError("E-WORKER-START", f"a worker is not ready after {_START_SECONDS:.0f} s")
            if worker.task is None:
                continue
            error = self.engine.limits.exceeded(seconds, child, worker.task.path)
            if error is not None:
                self._dismiss(worker, now=True)
                yield failed(worker.task, error, child.sha256)

    def _buried(self, worker: _Worker) -> Iterator[Outcome]:
        """A worker has died: its item is tried again, or has killed often enough."""
        status = self._dismiss(worker, now=True)
        if not worker.child.is_ready:
            self.failed_starts += 1
            if self.failed_starts >= _STARTS:
                hint = "Try the command on one of the files; ALIGN_DEBUG=1 shows what the workers print"
                raise ResourceError("E-WORKER-START", f"{_STARTS} workers {ending(status)} before their first"
                                    " item", hint=hint)  # fmt: skip
        if worker.task is None:
            return
        outcome = killed(worker.task, ending(status), worker.child.sha256)
        if outcome.kind == "died":
            self.later.append(outcome.task)  # when all else is done: what killed it may be over by then
        yield outcome

    def _start(self) -> None:
        worker = _Worker(start_child(self.order, self.engine.jobs))
        assert worker.child.process.stdout is not None
        self.selector.register(worker.child.process.stdout, selectors.EVENT_READ, worker)
        self.workers.append(worker)

    def _dismiss(self, worker: _Worker, *, now: bool) -> int:
        assert worker.child.process.stdout is not None
        self.selector.unregister(worker.child.process.stdout)
        self.workers.remove(worker)
        return worker.child.end(now=now)

    def leave(self) -> None:
        """End all workers at once: who is still busy is not waited for."""
        for worker in list(self.workers):
            self._dismiss(worker, now=worker.task is not None or not worker.child.is_ready)
        self.selector.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """What an engine is made of.

    Attributes:
        jobs: workers on this machine.
        limits: of every item.
        scheduler: address of a Dask scheduler that runs already, or None.
        resources: what a worker of that cluster must have for one item, as {"GPU": 1}.
    """

    jobs: int = 1
    limits: Limits = field(default_factory=Limits)
    scheduler: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


def _local(asked: Asked) -> Engine:
    if asked.scheduler is not None or asked.resources:
        name = "scheduler" if asked.scheduler is not None else "resource"
        raise ParameterError(name, "given", "with the engine dask only", hint="add --engine dask")
    return LocalEngine(asked.jobs, asked.limits)


def _dask(asked: Asked) -> Engine:
    from pipelines.dask_engine import DaskEngine

    if asked.resources and asked.scheduler is None:
        allowed = "with --scheduler only: workers of an own cluster have no resources"
        raise ParameterError("resource", ", ".join(asked.resources), allowed)
    return DaskEngine(asked.jobs, asked.limits, asked.scheduler, asked.resources)


ENGINES: Mapping[str, Callable[[Asked], Engine]] = MappingProxyType({"local": _local, "dask": _dask})

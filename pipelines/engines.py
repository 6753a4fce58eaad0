"""Who does a batch's items: ``local`` keeps a few worker processes. Another engine is a row of ``ENGINES``.

An engine takes tasks as it has room for them and gives outcomes as they come, in any order; that a task is done
twice does no harm, because results are put under their names in one step and their bytes hang on nothing else.
"""

from __future__ import annotations

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from align.errors import AlignError, ResourceError
from pipelines.identity import code_hash
from pipelines.worker import told

__all__ = ["ENGINES", "Engine", "Limits", "LocalEngine", "Outcome", "Task", "usable_cores"]

_DEATHS = 2  # of a worker on one item: after the second the item is quarantined
_POLL = 0.1  # seconds between looks at time and memory
_STARTS = 3  # workers that may die one after the other before they are ready
_START_SECONDS = 300.0
_LEAVE_SECONDS = 10.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ROOT = Path(__file__).parent.parent
# Sums over threads of BLAS hang on their number: one thread, so that bytes do not hang on --jobs.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_SHARED = ("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
_START = "import sys; sys.path.insert(0, sys.argv[1]); from pipelines.worker import main; main()"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one item may take: ``seconds``, and ``memory`` (bytes resident in its process; None: no limit)."""

    seconds: float = 3600.0
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One input to be done.

    Attributes:
        name: of the input.
        path: of the input.
        before: what the journal says of it, if its result may still hold.
        deaths: of workers on it so far.
    """

    name: str
    path: Path
    before: Mapping[str, Any] | None = None
    deaths: int = 0


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
    """

    task: Task
    kind: str
    sha256: str | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    exit_code: int = 0


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


def usable_cores() -> int:
    """Cores that this process may use: of its affinity, and of its control group's share of time."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = cores if quota == "max" else min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no control groups here: affinity alone counts
        return max(1, cores)
    return max(1, cores)


@dataclass(slots=True, eq=False)
class _Worker:
    """One child process and what it is at."""

    process: subprocess.Popen[bytes]
    since: float
    task: Task | None = None
    sha256: str | None = None
    is_ready: bool = False
    heard: bytes = b""

    def send(self, message: Mapping[str, Any]) -> bool:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def hear(self) -> list[dict[str, Any]] | None:
        """What it has said by now; None when it is gone."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        if not data:
            return None
        *lines, self.heard = (self.heard + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def resident(self) -> int:
        """Bytes of memory that it holds."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError):  # it has just ended
            return 0

    def end(self, *, now: bool) -> int:
        """Let it leave, or kill it; its exit status."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if now:
            self.process.kill()
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # what it was to be told, it does not hear any more
            now = True
        try:
            status = self.process.wait(None if now else _LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        return status


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
            order: as ``Engine``.
            tasks: as ``Engine``.
            stop: as ``Engine``.

        Raises:
            ResourceError: E-WORKER-START, workers do not come up; E-VERSION, they run other code.
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
        for worker in [w for w in self.workers if w.is_ready and w.task is None]:
            if not self._has(1):
                self._dismiss(worker, now=False)
                continue
            task = self.next_up.popleft()
            message = {"name": task.name, "path": os.path.abspath(task.path), "before": task.before}
            if worker.send(message):
                worker.task, worker.sha256, worker.since = task, None, time.monotonic()
            else:  # it died while it was idle: no item's fault
                self.next_up.appendleft(task)
                self._dismiss(worker, now=True)
        while len(self.workers) < self.engine.jobs:
            if not self._has(1 + sum(not worker.is_ready for worker in self.workers)):
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
            said = worker.hear()
            if said is None:
                yield from self._buried(worker)
                continue
            for reply in said:
                if "hello" in reply:
                    if reply["hello"] != code_hash():
                        raise ResourceError("E-VERSION", "a worker runs another version of align")
                    worker.is_ready, self.failed_starts = True, 0
                elif "hashed" in reply:
                    worker.sha256 = reply["hashed"]
                else:
                    task, worker.task = worker.task, None
                    yield Outcome(task, **reply)

    def check(self) -> Iterator[Outcome]:
        """End workers that take too long or too much."""
        limits, now = self.engine.limits, time.monotonic()
        for worker in list(self.workers):
            if not worker.is_ready and now - worker.since > _START_SECONDS:
                raise ResourceError("E-WORKER-START", f"a worker is not ready after {_START_SECONDS:.0f} s")
            if worker.task is None:
                continue
            error = None
            if now - worker.since > limits.seconds:
                error = ResourceError("E-TIME-LIMIT", f"not done after {limits.seconds:g} s",
                                      hint="--time-limit allows more", file=worker.task.path)  # fmt: skip
            elif limits.memory is not None and worker.resident() > limits.memory:
                error = ResourceError("E-MEMORY-LIMIT", f"takes more than {limits.memory / 2**20:.0f} MiB",
                                      hint="--memory-limit allows more", file=worker.task.path)  # fmt: skip
            if error is not None:
                self._dismiss(worker, now=True)
                yield _failed(worker.task, error, worker.sha256)

    def _buried(self, worker: _Worker) -> Iterator[Outcome]:
        """A worker has died: its item is tried again, or has killed often enough."""
        status = self._dismiss(worker, now=True)
        if not worker.is_ready:
            self.failed_starts += 1
            if self.failed_starts >= _STARTS:
                hint = "Try the command on one of the files; ALIGN_DEBUG=1 shows what the workers print"
                raise ResourceError("E-WORKER-START", f"{_STARTS} workers {_ending(status)} before their first"
                                    " item", hint=hint)  # fmt: skip
        if worker.task is None:
            return
        task = replace(worker.task, deaths=worker.task.deaths + 1)
        if task.deaths < _DEATHS:
            self.later.append(task)  # when all else is done: what killed the worker may be over by then
            yield Outcome(task, "died", worker.sha256)
            return
        error = ResourceError("E-WORKER-DIED", f"{_DEATHS} worker processes {_ending(status)} on it",
                              hint="--retry-failed tries it again", file=task.path)  # fmt: skip
        yield _failed(task, error, worker.sha256, "quarantined")

    def _start(self) -> None:
        environment = dict(os.environ)
        environment.update(dict.fromkeys(_ONE_THREAD, "1"))
        environment.update(dict.fromkeys(_SHARED, str(max(1, usable_cores() // self.engine.jobs))))
        shown = os.environ.get("ALIGN_DEBUG", "") not in ("", "0")
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if shown else subprocess.DEVNULL,  # what libraries print may hold data
            env=environment,
            start_new_session=True,  # a Ctrl-C of the terminal is the parent's
        )
        worker = _Worker(process, time.monotonic())
        assert process.stdout is not None
        self.selector.register(process.stdout, selectors.EVENT_READ, worker)
        self.workers.append(worker)
        worker.send(self.order)

    def _dismiss(self, worker: _Worker, *, now: bool) -> int:
        assert worker.process.stdout is not None
        self.selector.unregister(worker.process.stdout)
        self.workers.remove(worker)
        return worker.end(now=now)

    def leave(self) -> None:
        """End all workers at once: who is still busy is not waited for."""
        for worker in list(self.workers):
            self._dismiss(worker, now=worker.task is not None or not worker.is_ready)
        self.selector.close()


def _failed(task: Task, error: AlignError, sha256: str | None, kind: str = "failed") -> Outcome:
    return Outcome(task, kind, sha256, error=told(error, task.path, task.name))


def _ending(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with exit code {status}"
    why = " (from outside, or by the kernel for lack of memory)" if status == -signal.SIGKILL else ""
    return f"were killed by {signal.Signals(-status).name}{why}"


ENGINES: Mapping[str, Callable[[int, Limits], Engine]] = MappingProxyType({"local": LocalEngine})

"""The engine ``dask``: a batch's items on the workers of a Dask cluster, an own one on this machine or any other.

Dask places the items; each is done by a child process of the Dask worker (``pipelines.dask_items``), so limits,
deaths and bytes are those of ``local``. A Dask worker that is lost gives its items to another one: ``allowed
failures`` of the scheduler bounds how often (one retry in an own cluster, three by default in others).

A worker that lost touch with its batch may still be at an item when another batch has begun. The file ``fence``
among the results stands for one run of the batch: each run has its own, and who does not find it writes nothing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import logging
import math
import os
import queue
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align.errors import ParameterError, ResourceError
from pipelines.children import Limits
from pipelines.dask_items import do_tasks, end_batch
from pipelines.engines import MAX_DEATHS, Outcome, Task, failed, killed
from pipelines.identity import code_hash
from pipelines.store import named_errors

if TYPE_CHECKING:
    from dask.distributed import Client, Future

__all__ = ["DaskEngine"]

_POLL = 0.1
_ROUND = 1.0  # seconds between looks at who is there
_WAIT_SECONDS = 60.0  # for a worker
_LOST_SECONDS = 300.0  # without any, once there were some
_FETCH_SECONDS = 5.0  # for an answer from the worker that has it
_END_SECONDS = 1.5  # for workers to hear that the batch has ended
_IDLE_SECONDS = 60.0  # a child without an item leaves: its batch may have died without a word
_AHEAD = 2  # Dask tasks given out per place, so that a worker need not wait for the next one
_GIVE_SECONDS, _MOST = 0.25, 64  # a Dask task is so many seconds of items, and so many items at most


@dataclass(frozen=True, slots=True)
class DaskEngine:
    """Workers of a Dask cluster.

    Attributes:
        jobs: one-thread worker processes of an own cluster on this machine, which listens on the loopback only.
        limits: of every item.
        scheduler: address of a scheduler that runs already ("tcp://host:8786", "tls://..."), or None.
        resources: what a worker of that cluster must have for one item, as {"GPU": 1}.
    """

    jobs: int = 1
    limits: Limits = field(default_factory=Limits)
    scheduler: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)

    def outcomes(
        self, order: Mapping[str, Any], tasks: Iterable[Task], stop: Callable[[], bool]
    ) -> Generator[Outcome, None, None]:
        """As ``Engine``.

        Args:
            order, tasks, stop: as ``Engine``.

        Raises:
            ResourceError: E-SCHEDULER, it cannot be reached or is gone; E-WORKER-START, no workers, or none any
                more; E-VERSION, one runs other code; E-NOT-SHARED, one does not see the folder of the results.
            ParameterError: Dask is not installed.
        """
        if importlib.util.find_spec("distributed") is None:
            hint = 'pip install "streamnotes[dask]"'
            raise ParameterError("engine", "dask", "local, as Dask is not installed here", hint=hint)
        with _quiet(), _client(self) as client, _fence(order["out"]) as fence:
            crew = _Crew(self, client, iter(tasks))
            crew.begin({**order, "fence": fence})
            try:
                while not stop():
                    crew.fill()
                    if not crew.at and crew.places:  # without a place, what is left has to wait
                        return
                    yield from crew.listen()
            finally:
                crew.leave()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Dask has to say is shown with ALIGN_DEBUG=1 only: it may name files."""
    loggers = [logging.getLogger(name) for name in ("distributed", "asyncio", "tornado")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    if os.environ.get("ALIGN_DEBUG", "") in ("", "0"):
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.propagate = propagate


@contextlib.contextmanager
def _client(engine: DaskEngine) -> Iterator[Client]:
    """A client of the cluster that was named, or of an own one that ends with it."""
    import dask
    from dask.distributed import Client, LocalCluster

    if engine.scheduler is not None:
        try:
            client = Client(engine.scheduler, timeout=_WAIT_SECONDS / 4, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            hint = "give an address as tcp://host:8786"
            raise ResourceError("E-SCHEDULER", "no Dask scheduler answers there", hint=hint) from error
        try:
            yield client
        finally:
            client.close(timeout=_END_SECONDS)
        return
    scratch = tempfile.mkdtemp(prefix="align-dask-")  # private: mode 0700
    settings = {
        "distributed.scheduler.allowed-failures": MAX_DEATHS - 1,
        "distributed.scheduler.worker-saturation": 1.0,  # nothing waits at a worker that may die
        "distributed.scheduler.http.routes": [],  # no page tells others what is being done
        "distributed.worker.http.routes": [],
    }
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        stack.enter_context(dask.config.set(settings))
        is_safe = importlib.util.find_spec("cryptography") is not None
        with _deaf_children():
            cluster = LocalCluster(
                n_workers=engine.jobs, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                memory_limit=0, local_directory=scratch, silence_logs=logging.CRITICAL,
                security=True if is_safe else None,  # other users of this machine reach the loopback, too
            )  # fmt: skip
        stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster, set_as_default=False))


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Threads that begin here start processes that never hear of Ctrl-C: the batch alone decides how it ends.

    A terminal sends it to Dask's processes as well, and they would answer with a traceback. What a thread blocks,
    the threads and processes that it starts block too.
    """
    resource_tracker.ensure_running()  # or the thread that first needs it would listen again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _fence(out: str) -> Iterator[str]:
    """The file that stands for this run; swept like any temporary if it is left."""
    path = Path(out, f".align-{secrets.token_hex(16)}.tmp")
    with named_errors(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        yield str(path)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


@dataclass(slots=True, eq=False)
class _Crew:
    """The items that a cluster is at."""

    engine: DaskEngine
    client: Client
    source: Iterator[Task]
    order: str = ""
    batch: str = field(default_factory=lambda: secrets.token_hex(8))
    at: dict[str, tuple[Future, list[Task]]] = field(default_factory=dict)
    alone: deque[Task] = field(default_factory=deque)
    later: deque[Task] = field(default_factory=deque)
    done: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    n_given: int = 0
    n_done: int = 0
    seconds: float = 0.0  # of all that are done
    places: int = 0
    looked: float = -_ROUND
    seen: float = 0.0  # when there was a worker

    def begin(self, order: Mapping[str, Any]) -> None:
        """Wait for workers; what all of them are told."""
        begin = time.monotonic()
        while not self._look():
            if time.monotonic() - begin > _WAIT_SECONDS:
                asked = "".join(f" with {name}" for name in self.engine.resources)
                raise ResourceError("E-WORKER-START", f"no Dask worker{asked} after {_WAIT_SECONDS:.0f} s")
            time.sleep(_POLL)
        hosts: defaultdict[str, int] = defaultdict(int)
        for worker in self._workers().values():
            hosts[worker["host"]] += worker["nthreads"]
        limits = self.engine.limits
        more = {"seconds": limits.seconds, "memory": limits.memory, "n_beside": max(hosts.values())}
        idle = {"idle": _IDLE_SECONDS, "batch": self.batch, "version": code_hash()}
        self.order = json.dumps({**order, **more, **idle})

    def _workers(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.client.scheduler_info(n_workers=-1)["workers"]
        return found

    def _look(self) -> int:
        """How many items can be done at the same time."""
        self.looked, needed = time.monotonic(), self.engine.resources
        self.places = 0
        for worker in self._workers().values():
            rooms = [worker["resources"].get(name, 0.0) // amount for name, amount in needed.items()]
            self.places += int(min([worker["nthreads"], *rooms]))
        if self.places:
            self.seen = self.looked
        return self.places

    def _mend(self) -> None:
        """Have what was lost of an own cluster started anew: Dask gives up a worker that is slow to come back."""
        if self.looked - self.seen > _LOST_SECONDS:
            said = f"no Dask worker for {_LOST_SECONDS:.0f} s"
            raise ResourceError("E-WORKER-START", said, hint="the same command goes on when there is one")
        if self.client.cluster is not None and self.places < self.engine.jobs:
            self.client.cluster.scale(self.engine.jobs)

    def fill(self) -> None:
        """Give out items while there is room for them."""
        if time.monotonic() - self.looked > _ROUND:
            try:
                self._look()
            except OSError as error:
                raise ResourceError("E-SCHEDULER", "the Dask scheduler has gone") from error
            self._mend()
        while len(self.at) < _AHEAD * self.places:
            tasks = self._next()
            if not tasks:
                return
            self.n_given += 1
            key = f"align-{self.batch}-{self.n_given}"  # no file's name: a dashboard shows keys
            said = [{"name": task.name, "path": task.place(), "before": task.before} for task in tasks]
            resources = dict(self.engine.resources) or None
            given = (self.order, json.dumps(said))
            self._await(self.client.submit(do_tasks, *given, key=key, resources=resources, pure=False), tasks)

    def _next(self) -> list[Task]:
        """So many small items that Dask's own work for them is small beside theirs; or one to be done alone."""
        if self.alone:
            return [self.alone.popleft()]
        mean = self.seconds / self.n_done if self.n_done else math.inf
        tasks = list(itertools.islice(self.source, max(1, min(_MOST, int(_GIVE_SECONDS / max(mean, 1e-6))))))
        if not tasks and self.later:
            return [self.later.popleft()]
        return tasks

    def _await(self, future: Future, tasks: list[Task]) -> None:
        self.at[future.key] = (future, tasks)
        future.add_done_callback(lambda future: self.done.put(future.key))

    def listen(self) -> Iterator[Outcome]:
        """What has become of items within a moment."""
        try:
            key = self.done.get(timeout=_POLL)
        except queue.Empty:
            return
        future, tasks = self.at.pop(key)
        outcomes = self._outcomes(future, tasks)
        if outcomes is None:
            self._await(future, tasks)
            return
        future.release()
        for outcome in outcomes:
            self.seconds, self.n_done = self.seconds + outcome.seconds, self.n_done + 1
            if outcome.kind == "died":
                self.later.append(outcome.task)  # when all else is done: what killed it may be over by then
            yield outcome

    def _outcomes(self, future: Future, tasks: list[Task]) -> list[Outcome] | None:
        """What became of items; None when the worker that had the answer was lost: they are being done again."""
        from dask.distributed import KilledWorker

        if future.status in ("pending", "lost"):
            return None
        if future.status == "finished":
            try:
                replies = json.loads(future.result(timeout=_FETCH_SECONDS))
            except TimeoutError:
                return None
            return [_outcome(task, reply) for task, reply in zip(tasks, replies, strict=False)]
        error = future.exception(timeout=_FETCH_SECONDS) if future.status == "error" else None
        if isinstance(error, KilledWorker):
            if len(tasks) > 1:  # which of them it was is not known
                self.alone.extend(tasks)
                return []
            said = f"{error.allowed_failures + 1} Dask workers were lost on it"
            hint = "--retry-failed tries it again"
            died = ResourceError("E-WORKER-DIED", said, hint=hint, file=tasks[0].path)
            return [replace(failed(tasks[0], died, None), kind="quarantined")]
        why = "the scheduler has gone" if error is None else f"a worker cannot: {type(error).__name__}"
        hint = "align is to be installed on every worker; ALIGN_DEBUG=1 shows more"
        raise ResourceError("E-SCHEDULER", why, hint=hint)

    def leave(self) -> None:
        """Have all children of the batch ended, those busy too."""
        telling = threading.Thread(target=self._tell_end, daemon=True)
        telling.start()
        telling.join(_END_SECONDS)  # who does not hear it is fenced off, and leaves when it has no item

    def _tell_end(self) -> None:
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # the scheduler, or the client, has gone
            self.client.cancel([future for future, _ in self.at.values()])
            self.client.run(end_batch, self.batch, on_error="ignore")


def _outcome(task: Task, reply: dict[str, Any]) -> Outcome:
    if "refused" in reply:
        raise ResourceError(reply["refused"], reply["message"])
    if reply["kind"] == "died":
        return killed(task, reply["how"], reply["sha256"])
    return Outcome(task, **reply)

"""What a Dask worker does: items, one at a time, in a child process of its own, as ``local`` does them.

Dask calls the functions here by their import path, with JSON as their only arguments and results. The child keeps
what Dask cannot: an item that crashes, hangs or eats memory ends its child, and never the Dask worker with the
other items on it. Children stay warm for the next item of the batch and leave by themselves when none comes.
"""

from __future__ import annotations

import json
import os
import selectors
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from align.errors import ResourceError
from pipelines.children import Child, Limits, ending, is_spent, start_child
from pipelines.engines import Outcome, Task, failed

__all__ = ["do_tasks", "end_batch"]

_POLL = 0.1
_START_SECONDS = 300.0
_STARTS = 3
_lock = threading.Lock()
_idle: dict[str, list[Child]] = defaultdict(list)  # batch -> children that wait for an item
_all: dict[str, set[Child]] = defaultdict(set)
_ended: set[str] = set()


def do_tasks(order_text: str, tasks_text: str) -> str:
    """Do some items, one after the other, in a child process.

    Args:
        order_text: JSON of ``job``, ``how``, ``out`` and ``fence`` as ``pipelines.worker`` takes them, and of
            ``batch`` (its name), ``version`` (hash of the code), ``seconds``, ``memory`` and ``n_beside``.
        tasks_text: JSON list of ``name``, ``path`` and ``before`` of each.

    Returns:
        JSON list: the fields of an ``Outcome`` of each, without its task; of kind "died" with ``how`` in words.
        ``{"refused": code, "message": ...}`` ends it, when no item can be done here.
    """
    order, replies = json.loads(order_text), list[dict[str, Any]]()
    for task in json.loads(tasks_text):
        try:
            replies.append(_done(order, task))
        except ResourceError as error:
            replies.append({"refused": error.code, "message": error.message})
            break
    return json.dumps(replies)


def end_batch(batch: str) -> None:
    """End the children of a batch, busy or not, and start none any more.

    Args:
        batch: its name.
    """
    with _lock:
        _ended.add(batch)
        idle = _idle.pop(batch, [])
        busy = _all.pop(batch, set()) - set(idle)
    for child in idle:
        child.end(now=True)
    for child in busy:  # who listens to it sees it end
        child.process.kill()


def _done(order: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    for _ in range(_STARTS):
        child = _ready_child(order)
        if child.begin(task["name"], task["path"], task["before"]):
            reply = _answer(child, order, Task(task["name"], task["path"]))
            if reply is not None:
                return reply
        else:
            _forget(child, order["batch"])
    raise ResourceError("E-WORKER-START", f"{_STARTS} children left before their first item")


def _answer(child: Child, order: Mapping[str, Any], task: Task) -> dict[str, Any] | None:
    """What became of the item; None when the child had left before it heard of it."""
    limits = Limits(order["seconds"], order["memory"])
    with _listening(child) as selector:
        while True:
            said = child.hear() if selector.select(_POLL) else []
            if said is None:
                status = _forget(child, order["batch"])
                if status == 0 and child.sha256 is None:  # it had been idle for too long
                    return None
                return {"kind": "died", "sha256": child.sha256, "how": ending(status)}
            for reply in said:
                if "hashed" in reply:
                    child.sha256 = reply["hashed"]
                elif is_spent(reply):
                    _forget(child, order["batch"], now=True)
                    return reply
                else:
                    _give_back(child, order["batch"])
                    return reply
            error = limits.exceeded(time.monotonic() - child.since, child, task.path)
            if error is not None:
                _forget(child, order["batch"], now=True)
                return _fields(failed(task, error, child.sha256))


def _ready_child(order: Mapping[str, Any]) -> Child:
    """A child that has said hello and has nothing to do."""
    with _lock:
        if order["batch"] in _ended:
            raise ResourceError("E-BATCH-ENDED", "the batch has ended")
        while _idle[order["batch"]]:
            child = _idle[order["batch"]].pop()
            if child.process.poll() is None:
                return child
            _all[order["batch"]].discard(child)
        child = start_child(order, order["n_beside"])
        _all[order["batch"]].add(child)
    with _listening(child) as selector:
        while not child.is_ready:
            said = child.hear() if selector.select(_POLL) else []
            late = time.monotonic() - child.since > _START_SECONDS
            if said is None or late:
                status = _forget(child, order["batch"], now=late)
                how = "not ready in time" if late else ending(status)
                raise ResourceError("E-WORKER-START", f"child processes on {os.uname().nodename}: {how}")
            for reply in said:
                refusal = _refusal(reply, order)
                if refusal is not None:
                    _forget(child, order["batch"], now=True)
                    raise refusal
                child.is_ready = True
    return child


def _refusal(hello: Mapping[str, Any], order: Mapping[str, Any]) -> ResourceError | None:
    """Why a child must not be given items."""
    here = os.uname().nodename
    if hello["hello"] != order["version"]:
        return ResourceError("E-VERSION", f"{here} has another version of align or of a library")
    if not hello["sees"]:
        return ResourceError("E-NOT-SHARED", f"{here} does not see the folder of the results")
    return None


def _listening(child: Child) -> selectors.BaseSelector:
    assert child.process.stdout is not None
    selector = selectors.DefaultSelector()
    selector.register(child.process.stdout, selectors.EVENT_READ)
    return selector


def _give_back(child: Child, batch: str) -> None:
    with _lock:
        if batch not in _ended:
            _idle[batch].append(child)


def _forget(child: Child, batch: str, *, now: bool = False) -> int:
    with _lock:
        _all[batch].discard(child)
    return child.end(now=now)


def _fields(outcome: Outcome) -> dict[str, Any]:
    plain = replace(outcome, outputs=dict(outcome.outputs))
    return {name: getattr(plain, name) for name in ("kind", "sha256", "outputs", "error")}

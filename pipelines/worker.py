"""The process that does a batch's items, one after the other; started anew, never forked.

It reads JSON lines on stdin and answers on stdout. First comes the job; the worker says hello with the hash of its
code, and whether it sees the file that stands for the batch (``fence``, if there is one). Then each task is
answered by ``{"hashed": ...}``, when the input's bytes are known, and a reply whose ``kind`` is "ok", "failed",
"kept" (done before and still valid) or "fatal" (the disk refuses the results). When stdin ends, the parent is gone
or done: the worker ends, in the middle of an item if need be. So it does when it has had nothing to do for
``idle`` seconds, if the job says so.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from align.errors import AlignError, ResourceError, UnsafeError
from pipelines.cloud import fetched, is_url, put_results, results_are
from pipelines.failures import as_align_error
from pipelines.identity import code_hash
from pipelines.jobs import JOBS, Job, JobSettings, Write, result_names
from pipelines.store import sha256_of

__all__ = ["do_item", "main", "told"]

_DISK = ("E-NO-SPACE", "E-READ-ONLY", "E-PERMISSION", "E-WRITE", "E-CLOUD")
_KILL_ME_FIRST = "500"  # of 1000: the kernel, out of memory, ends a worker and not the parent


def main() -> None:
    """Do what stdin asks for until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what a library prints must not get between the replies
    try:
        Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST)
    except OSError:  # not Linux's /proc, or not allowed: only the order of killing is lost
        print("the kernel's memory score cannot be set", file=sys.stderr)

    def say(reply: Mapping[str, Any]) -> None:
        print(json.dumps(reply), file=replies, flush=True)

    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(lines, busy), daemon=True).start()
    first = lines.get()
    if first is None:
        return
    order = json.loads(first)
    job, how, out = JOBS[order["job"]], JobSettings.from_json(order["how"]), Path(order["out"])
    fence = order.get("fence")
    if fence is not None:
        job = _fenced(job, fence)
    say({"hello": code_hash(), "sees": fence is None or os.path.lexists(fence)})
    while (line := _next(lines, order.get("idle"))) is not None:
        busy.set()
        begin = time.monotonic()
        reply = do_item(json.loads(line), job, how, out, lambda sha: say({"hashed": sha}))
        say({**reply, "seconds": time.monotonic() - begin, "peak": _peak()})
        busy.clear()


def _peak() -> int:
    """Most bytes that this process has held. (Linux counts what the parent held before exec in ru_maxrss.)"""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # no such file here
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _next(lines: queue.SimpleQueue[str | None], idle: float | None) -> str | None:
    try:
        return lines.get(timeout=idle)
    except queue.Empty:
        return None


def _fenced(job: Job, fence: str) -> Job:
    """The job, but nothing is written once the file that stands for the batch has gone: another may have begun."""

    def work(path: Path, name: str, how: JobSettings) -> Write:
        write = job.work(path, name, how)

        def checked(folder: Path) -> None:
            if not os.path.lexists(fence):
                raise UnsafeError("E-BATCH-ENDED", "the batch that asked for this has ended")
            write(folder)

        return checked

    return replace(job, work=work)


def _listen(lines: queue.SimpleQueue[str | None], busy: threading.Event) -> None:
    for line in sys.stdin:
        lines.put(line)
    if busy.is_set():  # nobody waits for what is being done; it is not under its final name yet, or complete
        os._exit(1)
    lines.put(None)


def do_item(
    task: Mapping[str, Any], job: Job, how: JobSettings, out: Path, hashed: Callable[[str], None]
) -> dict[str, Any]:
    """Do one item, or say why not. Whatever a reader or a stage raises fails the item and nothing else.

    Args:
        task: ``name``, ``path`` (or a URL) and ``before``: the journal's line of the item, or None.
        job: what to do.
        how: the settings.
        out: the folder of results, where ``how`` does not name a URL for them.
        hashed: told the input's hash before the work begins.

    Returns:
        ``kind``, ``sha256`` of the input or None, ``outputs`` (name -> SHA-256), ``error`` or None.
    """
    source, name = task["path"], task["name"]
    reply: dict[str, Any] = {"kind": "failed", "sha256": None, "outputs": {}, "error": None}
    if not is_url(source):
        return _do_here(Path(source), task, (job, how, out), hashed, reply)
    with ExitStack() as stack:
        try:
            path = stack.enter_context(fetched(source))
        except BaseException as error:  # noqa: BLE001 - as below
            return {**reply, "error": told(as_align_error(error), source, name)}
        return _do_here(path, task, (job, how, out), hashed, reply)


def _do_here(
    path: Path,
    task: Mapping[str, Any],
    what: tuple[Job, JobSettings, Path],
    hashed: Callable[[str], None],
    reply: dict[str, Any],
) -> dict[str, Any]:
    """Do an item that is on this machine's disk."""
    name, before, (job, how, out) = task["name"], task["before"], what
    try:
        reply["sha256"] = job.content(path, how)
        hashed(reply["sha256"])
        is_same = before is not None and before["sha256"] == reply["sha256"]
        if is_same and _is_valid(before["outputs"], how.results or out):
            return {**reply, "kind": "kept"}
        write = job.work(path, name, how)
    except BaseException as error:  # noqa: BLE001 - the item's boundary; a panic of polars is a BaseException
        return {**reply, "error": told(as_align_error(error), path, name)}
    try:
        outputs = _put(write, result_names(job, name), how.results or out)
    except BaseException as error:  # noqa: BLE001
        known = as_align_error(error)
        fatal = isinstance(known, UnsafeError) or (isinstance(known, ResourceError) and known.code in _DISK)
        if fatal:
            return {**reply, "kind": "fatal", "error": known.as_dict(), "exit_code": known.exit_code}
        return {**reply, "error": told(known, path, name)}
    return {**reply, "kind": "ok", "outputs": outputs}


def _put(write: Write, names: tuple[str, ...], top: Path | str) -> dict[str, str]:
    """Have results written under a folder or put below a URL; result -> SHA-256."""
    if isinstance(top, str):
        return put_results(write, names, top)
    write(top)
    return {result: sha256_of(top / result) for result in names}


def _is_valid(outputs: Mapping[str, str], top: Path | str) -> bool:
    """Are the results still what was written?"""
    if isinstance(top, str):
        return results_are(outputs, top)
    return all((top / name).is_file() and sha256_of(top / name) == digest for name, digest in outputs.items())


def told(error: AlignError, path: Path | str, name: str) -> dict[str, object]:
    """An error as JSON values, with the input's name in place of where it lies.

    Args:
        error: of the item.
        path: of the input.
        name: of the input.
    """
    said = error.as_dict()
    file = said.get("file")
    if isinstance(file, str) and (file == str(path) or file.startswith(f"{path}{os.sep}")):
        said["file"] = name + file[len(str(path)) :].replace(os.sep, "/")
    return said

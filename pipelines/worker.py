"""The process that does a batch's items, one after the other; started anew, never forked.

It reads JSON lines on stdin and answers on stdout. First comes the job; the worker says hello with the hash of its
code. Then each task is answered by ``{"hashed": ...}``, when the input's bytes are known, and a reply whose
``kind`` is "ok", "failed", "kept" (done before and still valid) or "fatal" (the disk refuses the results). When
stdin ends, the parent is gone or done: the worker ends, in the middle of an item if need be.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from align.errors import AlignError, ResourceError, UnsafeError
from pipelines.failures import as_align_error
from pipelines.identity import code_hash, content_hash
from pipelines.jobs import JOBS, Job, JobSettings, result_names
from pipelines.store import sha256_of

__all__ = ["do_item", "main", "told"]

_DISK = ("E-NO-SPACE", "E-READ-ONLY", "E-PERMISSION", "E-WRITE")
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
    say({"hello": code_hash()})
    while (line := lines.get()) is not None:
        busy.set()
        say(do_item(json.loads(line), job, how, out, lambda sha: say({"hashed": sha})))
        busy.clear()


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
        task: ``name``, ``path`` and ``before``: the journal's line of the item, or None.
        job: what to do.
        how: the settings.
        out: the folder of results.
        hashed: told the input's hash before the work begins.

    Returns:
        ``kind``, ``sha256`` of the input or None, ``outputs`` (name -> SHA-256), ``error`` or None.
    """
    path, name, before = Path(task["path"]), task["name"], task["before"]
    reply: dict[str, Any] = {"kind": "failed", "sha256": None, "outputs": {}, "error": None}
    try:
        reply["sha256"] = content_hash(path)
        hashed(reply["sha256"])
        if before is not None and before["sha256"] == reply["sha256"] and _is_valid(before["outputs"], out):
            return {**reply, "kind": "kept"}
        write = job.work(path, name, how)
    except BaseException as error:  # noqa: BLE001 - the item's boundary; a panic of polars is a BaseException
        return {**reply, "error": told(as_align_error(error), path, name)}
    try:
        write(out)
        outputs = {result: sha256_of(out / result) for result in result_names(job, name)}
    except BaseException as error:  # noqa: BLE001
        known = as_align_error(error)
        fatal = isinstance(known, UnsafeError) or (isinstance(known, ResourceError) and known.code in _DISK)
        if fatal:
            return {**reply, "kind": "fatal", "error": known.as_dict(), "exit_code": known.exit_code}
        return {**reply, "error": told(known, path, name)}
    return {**reply, "kind": "ok", "outputs": outputs}


def _is_valid(outputs: Mapping[str, str], out: Path) -> bool:
    """Are the results still what was written?"""
    return all((out / name).is_file() and sha256_of(out / name) == digest for name, digest in outputs.items())


def told(error: AlignError, path: Path, name: str) -> dict[str, object]:
    """An error as JSON values, with the input's name in place of where it lies on this machine.

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

"""A batch that is killed, or whose disk refuses, at any of its calls or times: it goes on to the same bytes.

``kill_at_each`` and ``refuse_at_each`` do whole batches in this process, where a shim counts the calls that Python's
``os`` makes to change the disk. What an item is computed to (no such call) is remembered between these batches.
"""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from align.errors import AlignError
from benchmarks.batch_files import make_files
from benchmarks.interleaved import ROOT, machine
from pipelines.batch import run_batch
from pipelines.failures import as_align_error
from pipelines.jobs import JOBS, Job, JobSettings, Write
from pipelines.journal import read_journal
from pipelines.manifest import Input, inputs_of
from tests.pipelines.batches import Inline, left

__all__ = [
    "READS",
    "REFUSALS",
    "WRITES",
    "Survived",
    "calls",
    "kill_at_each",
    "refuse_at_each",
    "short_writes",
    "times",
]

Calls = Sequence[tuple[ModuleType, str]]
Strike = Callable[[int, Callable[[], object] | None], None]  # (which call, what does half of it)
WRITES: Calls = [(os, name) for name in ("open", "write", "pwrite", "fsync", "rename", "link", "unlink", "mkdir",
                                         "ftruncate", "fchmod", "chmod")]  # fmt: skip
READS: Calls = [(io, "open"), (os, "listdir"), (os, "scandir"), (os, "statvfs")]
REFUSALS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Survived:
    """What a batch went through: its ``calls``, how often it was ``struck``, how many of these ended it, and how many
    items that the journal told of were done again."""

    calls: int
    struck: int
    ended: int
    redone: int


@contextmanager
def _shim(calls: Calls, strike: Strike) -> Iterator[list[str]]:
    """``strike`` is asked before each of the calls; their names."""
    made: list[str] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            made.append(name)
            halves = name in ("write", "pwrite")
            strike(
                len(made),
                (lambda: real(given[0], given[1][: len(given[1]) // 2], *given[2:])) if halves else None,
            )
            return real(*given, **options)

        return call

    with ExitStack() as stack:
        for where, name in calls:
            stack.enter_context(mock.patch.object(where, name, watched(name, getattr(where, name))))
        yield made


@contextmanager
def short_writes() -> Iterator[None]:
    """Every write puts a third of what it is given, or a byte."""

    def short(real: Callable[..., int]) -> Callable[..., int]:
        return lambda descriptor, data, *at: real(descriptor, data[: max(1, len(data) // 3)], *at)

    with mock.patch.object(os, "write", short(os.write)), mock.patch.object(os, "pwrite", short(os.pwrite)):
        yield


def _remembering(job: Job) -> Job:
    """The job, but what is computed of an input is computed once."""
    known: dict[str, Write | BaseException] = {}

    def work(path: Path, name: str, how: JobSettings) -> Write:
        if name not in known:
            try:
                known[name] = job.work(path, name, how)
            except BaseException as error:  # noqa: BLE001 - raised again, now and every time
                known[name] = error
        found = known[name]
        if isinstance(found, BaseException):
            raise found.with_traceback(None)
        return found

    return replace(job, work=work)


def _batch(inputs: tuple[Input, ...], out: Path, job: Job) -> set[str]:
    """Do a batch here; the inputs that were done."""
    engine = Inline(job=job)
    run_batch(inputs, out, "inspect", JobSettings(), engine)
    return set(engine.done)


def _prepared(
    manifest: Path, out: Path, calls: Calls = WRITES
) -> tuple[tuple[Input, ...], Job, dict[str, bytes], list[str]]:
    """The inputs, a job (that knows them all, if it is about writing), what a batch leaves, and the calls it makes."""
    inputs, job = inputs_of([manifest], "streams"), JOBS["inspect"]
    if calls is WRITES:
        job = _remembering(job)
    _batch(inputs, out, job)
    shutil.rmtree(out)
    with _shim(calls, lambda n, half: None) as made:
        _batch(inputs, out, job)
    whole = left(out)
    shutil.rmtree(out)
    return inputs, job, whole, made


def kill_at_each(manifest: Path, out: Path) -> Survived:
    """SIGKILL a batch before each call that changes the disk, and amid each write; it must go on to the same bytes.

    Each time a forked child begins the batch and sends itself SIGKILL at the call; the batch is then gone on with
    here. Calls that only read come between these and leave the disk as it is: a kill there is one of those here.

    Args:
        manifest: of the inputs.
        out: a folder to use, over and over.

    Raises:
        RuntimeError: other bytes, or the child was not killed.
    """
    inputs, job, whole, made = _prepared(manifest, out)
    moments = [
        (n, amid)
        for n, name in enumerate(made, 1)
        for amid in (False, True)[: 1 + (name in ("write", "pwrite"))]
    ]
    redone = 0
    for n, amid in moments:
        _die(inputs, out, job, (n, amid))
        told = _told(out)
        redone += len(told & _batch(inputs, out, job))
        _same(out, whole, f"killed {'amid' if amid else 'before'} call {n}")
    return Survived(len(made), len(moments), len(moments), redone)


def _die(inputs: tuple[Input, ...], out: Path, job: Job, moment: tuple[int, bool]) -> None:
    def strike(n: int, half: Callable[[], object] | None) -> None:
        if n == moment[0]:
            if half is not None and moment[1]:
                half()
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            with _shim(WRITES, strike):
                _batch(inputs, out, job)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"not killed at call {moment[0]}")


def refuse_at_each(
    manifest: Path, out: Path, calls: Calls = WRITES, numbers: Sequence[int] = REFUSALS
) -> Survived:
    """Have each call refused once, with each error number; a batch that ended is gone on with, to the same bytes.

    A write is refused after half of it. What is refused while an item is read fails the item, and is tried again.

    Args:
        manifest: of the inputs.
        out: a folder to use, over and over.
        calls: that are refused.
        numbers: of ``errno``.

    Raises:
        RuntimeError: other bytes.
    """
    inputs, job, whole, made = _prepared(manifest, out, calls)
    ended = redone = 0
    for number in numbers:
        for at in range(1, len(made) + 1):

            def strike(n: int, half: Callable[[], object] | None, at: int = at, number: int = number) -> None:
                if n == at:
                    if half is not None:
                        half()
                    raise OSError(number, "injected")

            try:
                with _shim(calls, strike):
                    _batch(inputs, out, job)
            except (AlignError, OSError) as error:
                ended, known = ended + 1, as_align_error(error)  # as the command tells it
                full = number in (errno.ENOSPC, errno.EDQUOT)
                if known.exit_code != 5 or full != (known.code == "E-NO-SPACE"):
                    raise RuntimeError(f"{known.code} for errno {number} at call {at}") from error
            told = _told(out)
            redone += len(told & _batch(inputs, out, job))
            _same(out, whole, f"errno {number} at call {at}, {made[at - 1]}")
    return Survived(len(made), len(made) * len(numbers), ended, redone)


def _told(out: Path) -> set[str]:
    """The inputs that a journal holds done, but for those that the machine has failed."""
    lines = {line["input"]: line for line in read_journal(out / "journal.jsonl").lines if "input" in line}
    return {name for name, line in lines.items() if not line["error"] or line["error"]["code"] != "E-IO"}


def _same(out: Path, whole: dict[str, bytes], when: str) -> None:
    if left(out) != whole:
        raise RuntimeError(f"{when}: other bytes")
    shutil.rmtree(out)


def calls(folder: Path, n_files: int) -> None:
    """Kill and refuse at every call of a batch.

    Args:
        folder: to work in.
        n_files: of the batch, one in ten poisoned.
    """
    manifest, _ = make_files(folder / "in", n_files, n_files // 10)
    inputs, job, whole, _ = _prepared(manifest, folder / "short")
    with short_writes():
        _batch(inputs, folder / "short", job)
    _same(folder / "short", whole, "short writes")
    print(
        "| what | calls | struck | ended the batch | gone on to other bytes | finished items done again | seconds |"
    )
    print("|---|---|---|---|---|---|---|")
    few, _ = make_files(folder / "few", 40, 30)
    parts: list[tuple[str, Callable[[], Survived]]] = [
        ("SIGKILL before each call, and amid each write", lambda: kill_at_each(manifest, folder / "out")),
        *(
            (f"{errno.errorcode[number]} at each call, after half of each write",
             lambda number=number: refuse_at_each(manifest, folder / "out", WRITES, [number]))
            for number in REFUSALS
        ),
        ("EIO at each opening or listing for reading, 40 files",
         lambda: refuse_at_each(few, folder / "out", READS, [errno.EIO])),
        ("EMFILE, the same", lambda: refuse_at_each(few, folder / "out", READS, [errno.EMFILE])),
    ]  # fmt: skip
    for title, part in parts:
        begin = time.perf_counter()
        found = part()
        print(f"| {title} | {found.calls:,} | {found.struck:,} | {found.ended:,} | 0 | {found.redone} |"
              f" {time.perf_counter() - begin:.0f} |", flush=True)  # fmt: skip
        if found.redone:
            raise RuntimeError("finished items were done again")
    print(f"\n{n_files} files, one in ten poisoned; all writes short: the same bytes\n\n{machine()}\n")


def times(folder: Path, n_files: int, n_kills: int) -> None:
    """SIGKILL ``align batch`` (two workers) at random times, over and over, until it was killed often enough.

    Whatever a kill leaves is copied and gone on with here, to its end; the command goes on with what it left itself.

    Args:
        folder: to work in.
        n_files: of the batch, one in ten poisoned.
        n_kills: how often.
    """
    manifest, _ = make_files(folder / "in", n_files, n_files // 10)
    inputs, job, whole, _ = _prepared(manifest, folder / "out")
    code = "import sys; from cli.main import main; sys.exit(main())"
    out, copy, moments = folder / "out", folder / "copy", random.Random(11)
    asked = [
        sys.executable,
        "-c",
        code,
        "batch",
        str(manifest),
        "-o",
        str(out),
        "--job",
        "inspect",
        "--jobs",
        "2",
    ]
    killed = finished = redone = begun = 0
    while killed < n_kills:
        process = subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = _lines(out) + moments.choice((0, 1, 2, 5, 20))
        while process.poll() is None and _lines(out) < until:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        if process.returncode == 4:
            finished += 1
            redone += _twice(out)
            _same(out, whole, f"after {killed} kills")
        elif out.exists():
            begun += 1
            time.sleep(0.3)  # its workers end by themselves
            shutil.copytree(out, copy)
            told = _told(copy)
            redone += len(told & _batch(inputs, copy, job))
            _same(copy, whole, f"kill {killed}")
    print(f"{n_files} files, two workers: killed {killed} times at random times, {begun} of them with something on the"
          f" disk; {finished} times it came to the end, and each of the {begun} states gone on with here did, always"
          f" to the same bytes; {redone} finished items were done again\n\n{machine()}\n")  # fmt: skip
    if redone or not finished:
        raise RuntimeError("finished items were done again, or no batch came to its end")


def _lines(out: Path) -> int:
    journal = out / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _twice(out: Path) -> int:
    """Items that a journal tells of more than once."""
    named = [line["input"] for line in read_journal(out / "journal.jsonl").lines if "input" in line]
    return len(named) - len(set(named))

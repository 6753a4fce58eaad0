"""A batch that is killed, or whose disk refuses, at any of its calls or times: it goes on to the same bytes."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from align.errors import ResourceError
from benchmarks.batch_files import make_files
from benchmarks.interleaved import ROOT, machine
from pipelines.batch import run_batch
from pipelines.jobs import JobSettings
from pipelines.journal import read_journal
from pipelines.manifest import Input, inputs_of
from tests.pipelines.batches import Inline, left

__all__ = ["calls", "times"]

CALLS = (
    "open",
    "write",
    "pwrite",
    "fsync",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "ftruncate",
    "fchmod",
    "chmod",
)
REFUSALS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EDQUOT)


class _Killed(BaseException):
    """The process is gone: nothing that it does after this reaches the disk."""


@contextmanager
def _broken(n: int, error: Callable[[], BaseException] | None, *, for_good: bool) -> Iterator[list[str]]:
    """The ``n``-th call that changes the disk fails (a write after half of it), and with ``for_good`` all later ones.

    Without an error writes are short, each of them, and nothing fails.
    """
    made: list[str] = []
    real = {name: getattr(os, name) for name in CALLS}

    def broken(name: str) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            made.append(name)
            half = name in ("write", "pwrite") and len(given[1]) > 1
            if error is None and half:
                return real[name](given[0], given[1][: len(given[1]) // 2], *given[2:])
            if error is not None and len(made) == n and half:
                real[name](given[0], given[1][: len(given[1]) // 2], *given[2:])
            if error is not None and (len(made) == n or (for_good and len(made) > n)):
                raise error()
            return real[name](*given, **options)

        return call

    for name in CALLS:
        setattr(os, name, broken(name))
    try:
        yield made
    finally:
        for name in CALLS:
            setattr(os, name, real[name])


def _batch(inputs: tuple[Input, ...], out: Path, engine: Inline | None = None) -> Inline:
    engine = engine or Inline()
    run_batch(inputs, out, "inspect", JobSettings(), engine)
    return engine


def calls(folder: Path, n_files: int, stride: int) -> None:
    """Kill at every ``stride``-th call; refuse every ``stride``-th call once, the errors in turn; write short always.

    Args:
        folder: to work in.
        n_files: of the batch, one in ten poisoned.
        stride: 1 takes every call.
    """
    manifest, _ = make_files(folder / "in", n_files, n_files // 10)
    inputs = inputs_of([manifest], "streams")
    with _broken(0, None, for_good=False):
        _batch(inputs, folder / "short")
    with _broken(0, OSError, for_good=False) as made:
        _batch(inputs, folder / "whole")
    whole = left(folder / "whole")
    if left(folder / "short") != whole:
        raise RuntimeError("short writes changed the bytes")
    redone = refused = n_kills = 0
    for n in range(1, len(made) + 1, stride):
        out = folder / "out"
        try:
            with _broken(n, _Killed, for_good=True):
                _batch(inputs, out)
        except _Killed:
            n_kills += 1
        told = {line["input"] for line in read_journal(out / "journal.jsonl").lines if "input" in line}
        redone += len(told & set(_batch(inputs, out).done))
        _same(out, whole, f"killed at call {n}")
        number = REFUSALS[n // stride % len(REFUSALS)]
        try:
            with _broken(n, lambda number=number: OSError(number, "injected"), for_good=False):
                _batch(inputs, out)
        except ResourceError:
            refused += 1
        _batch(inputs, out)
        _same(out, whole, f"errno {number} at call {n}")
    print(f"{n_files} files: {len(made):,} calls that change the disk; killed at {n_kills:,} of them (every "
          f"{stride}-th), refused at as many ({refused:,} ended the batch with exit 5): resumed to the same bytes "
          f"each time; {redone} finished items were done again; all writes short: the same bytes\n")  # fmt: skip
    print(f"{machine()}\n")
    if redone:
        raise RuntimeError("finished items were done again")


def _same(out: Path, whole: dict[str, bytes], when: str) -> None:
    if left(out) != whole:
        raise RuntimeError(f"{when}: other bytes")
    shutil.rmtree(out)


def times(folder: Path, n_files: int, n_kills: int) -> None:
    """SIGKILL ``align batch`` (two workers) at random times, over and over, until it was killed often enough.

    Args:
        folder: to work in.
        n_files: of the batch, one in ten poisoned.
        n_kills: how often.
    """
    manifest, _ = make_files(folder / "in", n_files, n_files // 10)
    _batch(inputs_of([manifest], "streams"), folder / "whole")
    whole, moments = left(folder / "whole"), random.Random(11)
    code = "import sys; from cli.main import main; sys.exit(main())"
    out, killed, finished, twice = folder / "out", 0, 0, 0
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
    while killed < n_kills:
        process = subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun = _told(out)
        until = begun + moments.choice((0, 1, 2, 5, 20))
        while process.poll() is None and _told(out) < until:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        if process.returncode == 4:
            finished += 1
            named = [line["input"] for line in read_journal(out / "journal.jsonl").lines if "input" in line]
            twice += len(named) - len(set(named))
            _same(out, whole, f"after {killed} kills")
    print(f"{n_files} files, two workers: killed {killed} times at random; {finished} times it came to the end, "
          f"each time with the same bytes; {twice} finished items were done again\n\n{machine()}\n")  # fmt: skip
    if twice or not finished:
        raise RuntimeError("finished items were done again, or no batch came to its end")


def _told(out: Path) -> int:
    journal = out / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0

"""Child processes that do a batch's items: started anew, spoken to by JSON lines, ended when they take too much.

Every engine does items in such a child, so that one that crashes, hangs or eats memory harms its item only; what
it is told and what it answers is in ``pipelines.worker``.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align.errors import ResourceError

__all__ = ["Child", "Limits", "ending", "is_spent", "start_child", "usable_cores"]

_LEAVE_SECONDS = 10.0
_LEAST_SPACE = 1 << 30  # bytes of addresses: with fewer, libraries load by half, hang or die
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

    def exceeded(self, seconds: float, child: Child, path: Path | str) -> ResourceError | None:
        """The error of an item that takes too long or too much; None while it may go on.

        Args:
            seconds: that it has taken.
            child: that is at it.
            path: of the input.
        """
        if seconds > self.seconds:
            return ResourceError("E-TIME-LIMIT", f"not done after {self.seconds:g} s",
                                 hint="--time-limit allows more", file=path)  # fmt: skip
        if self.memory is not None and child.resident() > self.memory:
            return ResourceError("E-MEMORY-LIMIT", f"takes more than {self.memory / 2**20:.0f} MiB",
                                 hint="--memory-limit allows more", file=path)  # fmt: skip
        return None


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
class Child:
    """One child process.

    Attributes:
        process: itself.
        since: when it was started, or last given something to do (``time.monotonic``).
        is_ready: it has said hello.
        sha256: of the input that it is at, when it has told it.
        heard: the beginning of a line that it is still saying.
    """

    process: subprocess.Popen[bytes]
    since: float
    is_ready: bool = False
    sha256: str | None = None
    heard: bytes = b""

    def send(self, message: Mapping[str, Any]) -> bool:
        """Tell it something; false when it is gone.

        Args:
            message: JSON values.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def begin(self, name: str, path: Path | str, before: Mapping[str, Any] | None) -> bool:
        """Give it an item; false when it is gone.

        Args:
            name: of the input.
            path: of the input: absolute, or a URL.
            before: the journal's line of the item.
        """
        self.sha256, self.since = None, time.monotonic()
        return self.send({"name": name, "path": str(path), "before": before})

    def hear(self) -> list[dict[str, Any]] | None:
        """What it has said by now, after waiting for it to say something; None when it is gone."""
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
        """Let it leave, or kill it; its exit status.

        Args:
            now: kill it.
        """
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


def start_child(order: Mapping[str, Any], n_beside: int) -> Child:
    """Start a child; it says hello when it is ready.

    Args:
        order: ``job``, ``how`` and ``out``, as ``pipelines.worker`` takes them.
        n_beside: children that share this machine's cores, itself included.

    Raises:
        ResourceError: E-MEMORY, processes here may not have the addresses that the libraries take.
    """
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY and space < _LEAST_SPACE:
        said = f"a process may have {space >> 20} MiB of addresses; the libraries take {_LEAST_SPACE >> 20}"
        hint = "raise ulimit -v; --memory-limit bounds what an input really takes"
        raise ResourceError("E-MEMORY", said, hint=hint)
    environment = dict(os.environ)
    environment.update(dict.fromkeys(_ONE_THREAD, "1"))
    environment.update(dict.fromkeys(_SHARED, str(max(1, usable_cores() // n_beside))))
    shown = os.environ.get("ALIGN_DEBUG", "") not in ("", "0")
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _START, str(_ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if shown else subprocess.DEVNULL,  # what libraries print may hold data
        env=environment,
        start_new_session=True,  # a Ctrl-C of the terminal is the parent's
    )
    child = Child(process, time.monotonic())
    child.send(order)
    return child


def is_spent(reply: Mapping[str, Any]) -> bool:
    """Is a child no good any more after this reply? Without memory, a library may have been loaded by half.

    Args:
        reply: about an item, as ``pipelines.worker`` gives it.
    """
    return reply["error"] is not None and reply["error"]["code"] == "E-MEMORY"


def ending(status: int) -> str:
    """How processes ended, in words.

    Args:
        status: exit code, or minus the number of a signal.
    """
    if status >= 0:
        return f"ended with exit code {status}"
    why = " (from outside, or by the kernel for lack of memory)" if status == -signal.SIGKILL else ""
    return f"were killed by {signal.Signals(-status).name}{why}"

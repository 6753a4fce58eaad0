"""Worker processes: one that dies, hangs or takes too much harms its item only."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from align.errors import ResourceError, UnsafeError
from pipelines import children as child_processes
from pipelines import engines
from pipelines.batch import BatchResult, Done, run_batch
from pipelines.children import Limits, usable_cores
from pipelines.engines import LocalEngine
from pipelines.jobs import JobSettings
from pipelines.journal import read_journal
from pipelines.manifest import inputs_of
from tests.pipelines.batches import POISON, Inline, files, good, left, rows, silence


def children() -> set[int]:
    """Processes that this one started, but for multiprocessing's own, which stays once a Dask cluster was there."""
    found = {int(pid) for task in Path("/proc/self/task").iterdir() for pid in _children_of(task)}
    return {pid for pid in found if b"resource_tracker" not in _command_line(pid)}


def _children_of(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:  # the thread has just ended
        return []


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def has_open(pid: int, path: Path) -> bool:
    try:
        return any(os.readlink(link) == str(path) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it has just closed a file, or ended
        return False


@contextmanager
def killing(path: Path, times: int, number: int = signal.SIGKILL) -> Iterator[list[int]]:
    """Kill the first ``times`` workers that have ``path`` open."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and len(killed) < times:
            for pid in children() - set(killed):
                if has_open(pid, path):
                    os.kill(pid, number)
                    killed.append(pid)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        over.set()
        watcher.join()


def hang(path: Path) -> Path:
    """A file that takes a minute to be read, and no room on the disk."""
    path.touch()
    os.truncate(path, 100 << 30)
    return path


def run(folder: Path, out: Path, jobs: int = 1, limits: Limits | None = None) -> BatchResult:
    inputs = inputs_of([folder], "streams")
    return run_batch(inputs, out, "inspect", JobSettings(), LocalEngine(jobs, limits or Limits()))


def test_B07_one_two_and_seven_workers_and_none_leave_the_same_bytes(tmp_path: Path) -> None:
    night = files(tmp_path / "night", 12, POISON)
    run_batch(inputs_of([night], "streams"), tmp_path / "none", "inspect", JobSettings(), Inline())
    for jobs in (1, 2, 7):
        run(night, tmp_path / str(jobs), jobs)
        assert left(tmp_path / str(jobs)) == left(tmp_path / "none"), jobs
    assert sum(row["status"] == "ok" for row in rows(tmp_path / "7").values()) == 12
    assert not children(), "no worker stays behind"


def test_B02_an_item_whose_worker_is_killed_is_done_by_another(tmp_path: Path) -> None:
    night = files(tmp_path / "night", 4)
    slow = silence(night / "slow.wav", 60 << 20)
    with killing(slow, 1) as killed:
        result = run(night, tmp_path / "out")
    assert len(killed) == 1 and not result.failures
    told = [line for line in read_journal(tmp_path / "out" / "journal.jsonl").lines if "input" in line]
    assert [line["input"] for line in told if line["status"] == "died"] == ["slow.wav"]
    run_batch(inputs_of([night], "streams"), tmp_path / "clean", "inspect", JobSettings(), Inline())
    assert left(tmp_path / "out") == left(tmp_path / "clean")


def test_B02_an_item_that_kills_twice_is_quarantined_and_the_rest_is_done(tmp_path: Path) -> None:
    night = files(tmp_path / "night", 4)
    poison = hang(night / "d1" / "poison.csv")
    with killing(poison, 2, signal.SIGSEGV) as killed:
        result = run(night, tmp_path / "out", 2)
    assert len(killed) == 2
    (row,) = result.failures
    assert (row["input"], row["status"], row["error"]["code"]) == (
        "d1/poison.csv",
        "quarantined",
        "E-WORKER-DIED",
    )
    assert "SIGSEGV" in row["error"]["message"] and row["error"]["file"] == "d1/poison.csv"
    assert sum(row["status"] == "ok" for row in rows(tmp_path / "out").values()) == 4


def test_B04_X05_too_long_and_too_much_end_their_items(tmp_path: Path) -> None:
    (tmp_path / "stuck").mkdir()
    hang(tmp_path / "stuck" / "hang.csv")
    run(tmp_path / "stuck", tmp_path / "late", 1, Limits(seconds=1.0))
    assert rows(tmp_path / "late")["hang.csv"]["error"]["code"] == "E-TIME-LIMIT"
    night = files(tmp_path / "night", 4)
    silence(night / "hog.wav", 300 << 20)
    run(night, tmp_path / "out", 2, Limits(memory=250 << 20))
    found = rows(tmp_path / "out")
    assert found["hog.wav"]["error"]["code"] == "E-MEMORY-LIMIT"
    assert sum(row["status"] == "ok" for row in found.values()) == 4
    assert not list(tmp_path.rglob("*.tmp"))


def test_X05_out_of_memory_fails_its_item_and_the_next_has_a_fresh_process(tmp_path: Path) -> None:
    night = tmp_path / "night"
    good(night / "a.csv"), silence(night / "b.wav", 50 << 20), good(night / "c.csv")
    seen: list[set[int]] = []

    def watch(done: Done | None) -> bool:
        if done is not None:
            seen.append(children())
            for child in seen[-1] if len(seen) == 1 else ():
                space = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
                resource.prlimit(child, resource.RLIMIT_AS, (space + (60 << 20), resource.RLIM_INFINITY))
        return False

    inputs, out = inputs_of([night], "streams"), tmp_path / "out"
    run_batch(inputs, out, "inspect", JobSettings(), LocalEngine(1), watch=watch)
    codes = {name: (row["error"] or {}).get("code") for name, row in rows(out).items()}
    assert codes == {"a.csv": None, "b.wav": "E-MEMORY", "c.csv": None}
    assert len(seen[0]) == len(seen[2]) == 1 and not seen[1] and seen[0] != seen[2]
    assert run(night, out).kept == 2, "with memory it is done again"
    assert not [row for row in rows(out).values() if row["error"]]


def test_B13_a_stop_ends_workers_at_once(tmp_path: Path) -> None:
    night = files(tmp_path / "night", 2)
    hanging = hang(night / "hang.csv")
    asked: list[float] = []

    def watch(done: object) -> bool:
        if not asked and any(has_open(pid, hanging) for pid in children()):
            asked.append(time.monotonic())
        return bool(asked)

    inputs = inputs_of([night], "streams")
    result = run_batch(inputs, tmp_path / "out", "inspect", JobSettings(), LocalEngine(1), watch=watch)
    assert result.stopped and time.monotonic() - asked[0] < 2
    assert not children()


def test_B11_workers_of_another_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "code_hash", lambda: "another")
    with pytest.raises(ResourceError, match="E-VERSION"):
        run(files(tmp_path / "night", 1), tmp_path / "out")
    assert not children()


def test_workers_that_do_not_start_end_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_processes, "_START", "raise SystemExit(3)")
    with pytest.raises(ResourceError, match="ended with exit code 3"):
        run(files(tmp_path / "night", 2), tmp_path / "out", 2)
    assert not children()


def test_X01_a_worker_that_cannot_write_ends_the_batch(tmp_path: Path) -> None:
    night = files(tmp_path / "night", 3)
    run(night, tmp_path / "out")
    (tmp_path / "out" / "results" / "d1").rename(tmp_path / "moved")
    (tmp_path / "out" / "results" / "d1").write_text("a file where a folder should be")
    with pytest.raises(UnsafeError, match="E-EXISTS") as caught:
        run(night, tmp_path / "out")
    assert caught.value.exit_code == 7 and not children(), "no worker outlives an error"
    (tmp_path / "out" / "results" / "d1").unlink()
    assert run(night, tmp_path / "out").kept == 2


def test_X06_threads_are_divided_and_those_of_sums_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_processes, "usable_cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    said = tmp_path / "said"
    show = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"]
    code = f"""import os
mine = {str(said)!r} + str(os.getpid())
open(mine, "w").write(" ".join(os.environ[name] for name in {show}))
os.replace(mine, {str(said)!r})"""
    monkeypatch.setattr(child_processes, "_START", code)
    with pytest.raises(ResourceError, match="E-WORKER-START"):
        run(files(tmp_path / "night", 3), tmp_path / "out", 3)
    assert said.read_text() == "1 1 2 2"
    assert usable_cores() >= 1

"""The engine ``dask`` on real clusters of this machine: the same bytes as any other, whoever is killed."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from align.errors import ParameterError, ResourceError
from pipelines import dask_engine
from pipelines.batch import Again, BatchResult, run_batch
from pipelines.children import Limits
from pipelines.dask_engine import DaskEngine
from pipelines.engines import ENGINES, Asked
from pipelines.jobs import JobSettings
from pipelines.journal import read_journal
from pipelines.manifest import inputs_of
from tests.pipelines.batches import POISON, Inline, files, left, rows
from tests.pipelines.test_engines import hang, has_open

pytest.importorskip("dask.distributed", reason='needs pip install "streamnotes[dask]"')

import dask
from dask.distributed import LocalCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskEngine]:
    """A cluster that was there before, of one process with two threads and one GPU."""
    with LocalCluster(
        n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None, resources={"GPU": 1},
        memory_limit=0, local_directory=str(tmp_path_factory.mktemp("dask")), silence_logs=logging.CRITICAL,
    ) as made:  # fmt: skip
        yield DaskEngine(scheduler=made.scheduler_address)


def run(folder: Path, out: Path, engine: Any, **more: Any) -> BatchResult:
    return run_batch(inputs_of([folder], "streams"), out, "inspect", JobSettings(), engine, **more)


def below(pid: int | None = None) -> dict[int, int]:
    """Every process that this one has started, or those have: process -> parent."""
    found: dict[int, int] = {}
    parent = os.getpid() if pid is None else pid
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == parent:
            found[int(stat.parent.name)] = parent
            found |= below(int(stat.parent.name))
    return found


def at(path: Path) -> tuple[int, int] | None:
    """The process that reads a file, and its parent."""
    return next(((pid, parent) for pid, parent in below().items() if has_open(pid, path)), None)


def test_B07_B09_the_bytes_are_those_of_one_process(cluster: DaskEngine, tmp_path: Path) -> None:
    night = files(tmp_path / "night", 8, POISON)
    run(night, tmp_path / "dask", cluster)
    run(night, tmp_path / "none", Inline())
    assert left(tmp_path / "dask") == left(tmp_path / "none")
    assert sum(row["status"] == "ok" for row in rows(tmp_path / "dask").values()) == 8
    assert run(night, tmp_path / "dask", Inline()).kept == 8 + len(POISON), "one engine goes on for the other"


def test_B02_whoever_is_killed_the_item_is_done_again_and_the_second_time_named(tmp_path: Path) -> None:
    """In an own cluster: a child once, a Dask worker once, and what kills twice, child or worker."""
    night = files(tmp_path / "night", 4)
    victims = {name: hang(night / f"{name}.csv") for name in ("child", "worker")}
    killed: list[str] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            for name, path in victims.items():
                is_next = name == "child" or (killed.count("child") >= 2 and killed.count("worker") < 4)
                found = at(path) if is_next else None
                if found is not None:
                    os.kill(found[name == "worker"], signal.SIGKILL)
                    killed.append(name)
                    while at(path) == found and not over.is_set():
                        time.sleep(0.01)
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        result = run(night, tmp_path / "out", DaskEngine(2))
    finally:
        over.set()
        killer.join()
    assert killed.count("child") >= 2, "more where its answer was lost with a Dask worker"
    assert killed.count("worker") in (2, 4), "twice alone, and before that twice together with other items"
    found = rows(tmp_path / "out")
    assert {row["input"]: row["error"]["code"] for row in result.failures} == {
        "child.csv": "E-WORKER-DIED",
        "worker.csv": "E-WORKER-DIED",
    }
    assert {row["status"] for row in result.failures} == {"quarantined"}
    assert "were killed by SIGKILL" in found["child.csv"]["error"]["message"]
    assert found["worker.csv"]["error"]["message"] == "2 Dask workers were lost on it"
    assert sum(row["status"] == "ok" for row in found.values()) == 4
    deaths = [line for line in read_journal(tmp_path / "out" / "journal.jsonl").lines if "deaths" in line]
    assert {line["input"] for line in deaths} == {"child.csv"}
    assert not [
        pid
        for pid in below()
        if (Path("/proc") / str(pid) / "cmdline").read_bytes().find(b"pipelines.worker") > 0
    ]


def kill_each_worker_at(path: Path, killed: set[int], over: threading.Event) -> None:
    """Kill every Dask worker whose child has a file open."""
    while not over.wait(0.02):
        found = at(path)
        if found is not None and found[1] not in killed:
            os.kill(found[1], signal.SIGKILL)
            killed.add(found[1])


def test_B02_a_worker_that_dask_gives_up_is_started_anew(tmp_path: Path) -> None:
    """Dask forgets a worker that takes too long to come back, as on a loaded machine: here any time is too long."""
    night = files(tmp_path / "night", 4)
    slow = hang(night / "slow.csv")
    killed: set[int] = set()
    over = threading.Event()
    killer = threading.Thread(target=kill_each_worker_at, args=(slow, killed, over))
    killer.start()
    try:
        with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}):
            result = run(night, tmp_path / "out", DaskEngine(1))
    finally:
        over.set()
        killer.join()
    assert len(killed) in (2, 4), "twice alone, and before that twice if it went with other items"
    assert [row["input"] for row in result.failures] == ["slow.csv"]
    assert sum(row["status"] == "ok" for row in rows(tmp_path / "out").values()) == 4


def test_B02_items_that_wait_while_no_worker_is_left_are_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was lost together is done alone, and the worker may not be back when that begins."""
    monkeypatch.setattr(dask_engine, "_GIVE_SECONDS", 1e9)  # all that follow the first ones go together
    monkeypatch.setattr(dask_engine, "_ROUND", 0.0)  # who is there is asked every time
    night = files(tmp_path / "night", 5)
    slow = hang(night / "slow.csv")
    killed: set[int] = set()
    over = threading.Event()
    killer = threading.Thread(target=kill_each_worker_at, args=(slow, killed, over))
    killer.start()
    try:
        result = run(night, tmp_path / "out", DaskEngine(1))
    finally:
        over.set()
        killer.join()
    assert len(killed) == 4, "twice together with others, twice alone"
    assert [row["input"] for row in result.failures] == ["slow.csv"]
    assert not result.stopped and len(result.rows) == 6


def test_no_worker_any_more_ends_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = files(tmp_path / "night", 1)
    hang(night / "hang.csv")
    monkeypatch.setattr(dask_engine, "_LOST_SECONDS", 1.0)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=0,
        local_directory=str(tmp_path), silence_logs=logging.CRITICAL,
    ) as made:  # fmt: skip
        gone = threading.Timer(3.0, made.scale, [0])
        gone.start()
        with pytest.raises(ResourceError, match=r"E-WORKER-START no Dask worker for"):
            run(night, tmp_path / "out", DaskEngine(scheduler=made.scheduler_address))
        gone.join()


def test_B04_X05_too_long_and_too_much_end_their_items(cluster: DaskEngine, tmp_path: Path) -> None:
    night = files(tmp_path / "night", 2)
    hang(night / "hang.csv")
    run(night, tmp_path / "out", replace(cluster, limits=Limits(seconds=5.0)))
    found = rows(tmp_path / "out")
    assert found["hang.csv"]["error"]["code"] == "E-TIME-LIMIT"
    assert sum(row["status"] == "ok" for row in found.values()) == 2


def test_B11_workers_of_another_version_are_refused(
    cluster: DaskEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "code_hash", lambda: "another")
    with pytest.raises(ResourceError, match="E-VERSION"):
        run(files(tmp_path / "night", 1), tmp_path / "out", cluster)
    assert not list((tmp_path / "out" / "results").rglob("*.json"))


def test_B10_a_worker_that_does_not_see_the_results_is_refused(
    cluster: DaskEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "another-machine"
    elsewhere.mkdir()
    real = dask_engine._fence
    monkeypatch.setattr(dask_engine, "_fence", lambda out: real(str(elsewhere)))
    inputs = inputs_of([files(tmp_path / "night", 1)], "streams")

    def gone(done: object) -> bool:
        for path in elsewhere.iterdir():
            path.unlink()
        return False

    with pytest.raises(ResourceError, match="E-NOT-SHARED"):
        run_batch(inputs, tmp_path / "out", "inspect", JobSettings(), cluster, watch=gone)


def test_B13_a_stop_ends_children_at_once(cluster: DaskEngine, tmp_path: Path) -> None:
    night = files(tmp_path / "night", 2)
    hanging = hang(night / "hang.csv")
    asked: list[float] = []

    def watch(done: object) -> bool:
        if not asked and at(hanging):
            asked.append(time.monotonic())
        return bool(asked)

    result = run(night, tmp_path / "out", cluster, watch=watch)
    assert result.stopped and time.monotonic() - asked[0] < 2
    while at(hanging) and time.monotonic() - asked[0] < 5:
        time.sleep(0.05)
    assert not at(hanging)
    hanging.unlink()
    assert not run(night, tmp_path / "out", cluster).stopped


def test_workers_are_chosen_by_resources(
    cluster: DaskEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = files(tmp_path / "night", 3)
    result = run(night, tmp_path / "out", replace(cluster, resources={"GPU": 1.0}))
    assert not result.failures and result.total == 3
    monkeypatch.setattr(dask_engine, "_WAIT_SECONDS", 0.3)
    with pytest.raises(ResourceError, match="no Dask worker with TPU"):
        run(night, tmp_path / "out", replace(cluster, resources={"TPU": 1.0}), again=Again(force=True))


def test_an_own_cluster_listens_on_the_loopback_only(tmp_path: Path) -> None:
    seen: set[str] = set()

    def watch(done: object) -> bool:
        seen.update(listening({os.getpid(), *below()}))
        return False

    assert run(files(tmp_path / "night", 2), tmp_path / "out", DaskEngine(1), watch=watch).total == 2
    assert seen == {"127.0.0.1"}


def listening(processes: set[int]) -> set[str]:
    """The addresses that processes listen on."""
    inodes = set()
    for pid in processes:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
            except OSError:
                continue
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = [raw[i : i + 4][::-1] for i in range(0, len(raw), 4)]
                found.add(socket.inet_ntop(family, b"".join(words)))
    return found


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "_WAIT_SECONDS", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        for wrong in (address, "nonsense://x"):
            with pytest.raises(ResourceError, match="E-SCHEDULER"):
                run(files(tmp_path / "night", 1), tmp_path / "out", DaskEngine(scheduler=wrong))


def test_options_that_no_engine_has_are_refused() -> None:
    for name, asked in (("local", Asked(scheduler="tcp://x:1")), ("local", Asked(resources={"GPU": 1})),
                        ("dask", Asked(resources={"GPU": 1}))):  # fmt: skip
        with pytest.raises(ParameterError):
            ENGINES[name](asked)

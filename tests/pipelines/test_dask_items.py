"""What a Dask worker does with one item, without Dask: a child does it, and dies, leaves or is refused alone."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import dask_items
from pipelines.dask_items import do_tasks, end_batch
from pipelines.identity import code_hash
from pipelines.jobs import JobSettings
from pipelines.store import sha256_of
from tests.pipelines.batches import good, silence
from tests.pipelines.test_engines import children, hang, has_open

Do = Callable[..., dict[str, Any]]


@pytest.fixture
def do(tmp_path: Path) -> Iterator[Do]:
    (tmp_path / "out").mkdir()
    before = children()
    fence = tmp_path / "out" / ".align-0123456789abcdef0123456789abcdef.tmp"
    fence.touch()
    order = {
        "job": "inspect", "how": JobSettings().as_json(), "out": str(tmp_path / "out"), "fence": str(fence),
        "batch": str(tmp_path), "version": code_hash(), "seconds": 60.0, "memory": None, "n_beside": 1,
    }  # fmt: skip

    def call(path: Path, **more: Any) -> dict[str, Any]:
        task = {"name": path.name, "path": str(path), "before": None}
        return dict(json.loads(do_tasks(json.dumps({**order, **more}), json.dumps([task])))[0])

    yield call
    end_batch(str(tmp_path))
    assert children() == before, "none is left, not even as a zombie"


def test_B09_done_twice_it_is_the_same_and_the_child_is_kept(do: Do, tmp_path: Path) -> None:
    path = good(tmp_path / "a.csv")
    others, first = children(), do(path)
    before, again = children(), do(path)
    assert len(before - others) == 1 and children() == before
    for reply in (first, again):
        assert reply.pop("seconds") >= 0 and reply.pop("peak") > 1 << 20
    assert first == again == {
        "kind": "ok",
        "sha256": sha256_of(path),
        "outputs": {"a.csv.json": sha256_of(tmp_path / "out" / "a.csv.json")},
        "error": None,
    }  # fmt: skip


def test_B02_a_child_that_is_killed_is_told_and_followed_by_another(do: Do, tmp_path: Path) -> None:
    poison = hang(tmp_path / "poison.csv")

    def kill() -> None:
        while not (at := [pid for pid in children() if has_open(pid, poison)]):
            time.sleep(0.01)
        os.kill(at[0], signal.SIGSEGV)

    killer = threading.Thread(target=kill)
    killer.start()
    reply = do(poison)
    killer.join()
    assert (reply["kind"], reply["how"]) == ("died", "were killed by SIGSEGV")
    assert do(good(tmp_path / "a.csv"))["kind"] == "ok"


def test_B04_too_long_and_too_much_end_the_child(do: Do, tmp_path: Path) -> None:
    before = children()
    long = do(hang(tmp_path / "hang.csv"), seconds=0.5)
    much = do(hang(tmp_path / "hog.csv"), memory=1 << 20)
    assert [r["error"]["code"] for r in (long, much)] == ["E-TIME-LIMIT", "E-MEMORY-LIMIT"]
    assert (long["kind"], long["error"]["file"]) == ("failed", "hang.csv")
    assert children() == before


def test_X05_a_child_that_was_out_of_memory_is_followed_by_another(do: Do, tmp_path: Path) -> None:
    others = children()
    assert do(good(tmp_path / "a.csv"))["kind"] == "ok"
    (child,) = children() - others
    space = int(Path(f"/proc/{child}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(child, resource.RLIMIT_AS, (space + (60 << 20), resource.RLIM_INFINITY))
    reply = do(silence(tmp_path / "b.wav", 50 << 20))
    assert (reply["kind"], reply["error"]["code"]) == ("failed", "E-MEMORY")
    assert children() == others
    assert do(good(tmp_path / "c.csv"))["kind"] == "ok"


def test_B10_B11_a_child_of_another_version_or_another_disk_is_refused(do: Do, tmp_path: Path) -> None:
    path = good(tmp_path / "a.csv")
    assert do(path, version="another")["refused"] == "E-VERSION"
    assert do(path, fence=str(tmp_path / "no" / "such.tmp"))["refused"] == "E-NOT-SHARED"
    assert os.listdir(tmp_path / "out") == [".align-0123456789abcdef0123456789abcdef.tmp"]


def test_B10_who_lost_its_batch_writes_nothing_any_more(do: Do, tmp_path: Path) -> None:
    assert do(good(tmp_path / "a.csv"))["kind"] == "ok"
    for path in (tmp_path / "out").iterdir():  # another batch has begun: the child is still there
        path.unlink()
    reply = do(good(tmp_path / "b.csv"))
    assert (reply["kind"], reply["error"]["code"]) == ("fatal", "E-BATCH-ENDED")
    assert os.listdir(tmp_path / "out") == []


def test_a_child_that_has_left_for_lack_of_items_blames_none(do: Do, tmp_path: Path) -> None:
    path, others = good(tmp_path / "a.csv"), children()
    assert do(path, idle=0.05)["kind"] == "ok"
    first = children() - others
    time.sleep(0.3)
    assert do(path, idle=0.05)["kind"] == "ok"
    assert len(first) == 1 and not first & children()


def test_a_batch_that_has_ended_starts_no_child(do: Do, tmp_path: Path) -> None:
    end_batch(str(tmp_path))
    assert do(good(tmp_path / "a.csv"))["refused"] == "E-BATCH-ENDED"
    dask_items._ended.discard(str(tmp_path))

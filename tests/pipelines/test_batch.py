"""A batch names what fails, keeps what is done, and leaves the same bytes whatever happened on the way."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from align.errors import LockedError, ParameterError, ResourceError, UnsafeError
from align.readers.policy import Policy
from benchmarks.batch_crashes import READS, WRITES, kill_at_each, refuse_at_each, short_writes
from pipelines import batch
from pipelines.batch import Again, BatchResult, run_batch
from pipelines.jobs import JOBS, JobSettings
from pipelines.journal import read_journal
from pipelines.manifest import inputs_of
from pipelines.store import only_writer
from tests.pipelines.batches import POISON, Inline, files, good, left, rows

HOW = JobSettings()


def run(folder: Path, out: Path, engine: Inline | None = None, **more: Any) -> BatchResult:
    again = Again(**{k: more.pop(k) for k in ("force", "resume", "retry_failed") if k in more})
    inputs = more.pop("inputs", None) or inputs_of([folder], "streams", without=out)
    how = more.pop("how", HOW)
    return run_batch(inputs, out, "inspect", how, engine or Inline(), again=again, **more)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return files(tmp_path / "night", 5, POISON)


def test_B03_exactly_the_poisoned_are_named_and_the_others_as_if_alone(night: Path, tmp_path: Path) -> None:
    result = run(night, tmp_path / "out")
    found = rows(tmp_path / "out")
    assert {name for name, row in found.items() if row["status"] != "ok"} == {
        f"bad/{name}" for name in POISON
    }
    assert [row["input"] for row in result.rows] == sorted(found) and len(result.failures) == len(POISON)
    for name, (_, code) in POISON.items():
        error = found[f"bad/{name}"]["error"]
        assert error["file"] == f"bad/{name}", "the name, not where it lies"
        assert error["code"].startswith("E-") and code in (None, error["code"]), error
        assert found[f"bad/{name}"]["outputs"] == []
    for i in range(5):
        (night / "bad" / f"{i}").unlink(missing_ok=True)
    clean = files(tmp_path / "clean", 5)
    run(clean, tmp_path / "alone")
    alone = left(tmp_path / "alone" / "results")
    assert left(tmp_path / "out" / "results") == alone and len(alone) == 5
    assert found["d0/000.csv"] == rows(tmp_path / "alone")["d0/000.csv"]


def test_B07_the_order_of_work_changes_nothing(night: Path, tmp_path: Path) -> None:
    run(night, tmp_path / "a")
    run(night, tmp_path / "b", Inline(lambda tasks: tasks[::-1]))
    assert left(tmp_path / "a") == left(tmp_path / "b")


def test_what_is_done_and_valid_is_kept(night: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out", Inline()
    run(night, out)
    first = left(out)
    result = run(night, out, again)
    assert (again.done, result.kept, left(out)) == ([], 5 + len(POISON), first)
    (out / "results" / "d0" / "000.csv.json").write_text("damaged")
    (out / "results" / "d1" / "001.csv.json").unlink()
    good(night / "d2" / "002.csv", 99)
    (night / "bad" / "empty.csv").write_text((night / "d0" / "000.csv").read_text())
    good(night / "new.csv")
    run(night, out, again)
    assert sorted(again.done) == ["bad/empty.csv", "d0/000.csv", "d1/001.csv", "d2/002.csv", "new.csv"]
    run(night, tmp_path / "anew")
    assert left(out) == left(tmp_path / "anew")


def test_failures_are_done_again_when_asked(night: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out", Inline()
    run(night, out)
    run(night, out, again, retry_failed=True)
    assert sorted(again.done) == sorted(f"bad/{name}" for name in POISON)


def test_an_input_that_turns_bad_loses_its_result(night: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(night, out)
    (night / "d0" / "000.csv").write_bytes(b"")
    run(night, out)
    assert rows(out)["d0/000.csv"]["status"] == "failed"
    assert not (out / "results" / "d0" / "000.csv.json").exists()


def test_results_of_inputs_not_given_stay_and_are_counted(night: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(night, out)
    (night / "d0" / "000.csv").unlink()
    assert run(night, out).left_over == 1
    assert "d0/000.csv" not in rows(out) and (out / "results" / "d0" / "000.csv.json").exists()


def test_another_batch_is_refused_and_replaced_by_force(night: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", JobSettings(policy=Policy(sort=True))
    run(night, out)
    (out / "mine.txt").write_text("keep")
    before = left(out)
    with pytest.raises(UnsafeError, match="differs in settings"):
        run(night, out, how=other)
    assert left(out) == before
    (night / "d0" / "000.csv").unlink()
    run(night, out, how=other, force=True)
    (out / "mine.txt").unlink()
    run(night, tmp_path / "anew", how=other)
    assert left(out) == left(tmp_path / "anew"), "nothing of the earlier batch is left"


def test_a_folder_that_is_no_batch_is_refused(night: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ParameterError, match="no batch"):
        run(night, out, resume=True)
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(UnsafeError, match="E-EXISTS"):
        run(night, out)
    run(night, out, force=True)
    assert (out / "mine.txt").read_text() == "keep" and len(rows(out)) == 5 + len(POISON)
    run(night, out, resume=True)


def test_S05_force_removes_nothing_outside(night: Path, tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "precious.txt"
    outside.write_text("keep")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x").write_text("keep")
    run(night, out)
    (out / "results" / "link").symlink_to(tmp_path / "far")
    with batch.Journal(out / "journal.jsonl", (out / "journal.jsonl").stat().st_size) as log:
        for name in ("../../precious.txt", str(outside), "link/x"):
            log.add({"input": "evil", "status": "ok", "outputs": {name: "0"}, "sha256": "0"})
    run(night, out, force=True)
    assert outside.read_text() == (tmp_path / "far" / "x").read_text() == "keep"


def test_X08_two_batches_never_share_a_folder(night: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(night, out)
    with only_writer(out, "batch"), pytest.raises(LockedError, match="another batch") as caught:
        run(night, out)
    assert caught.value.exit_code == 6
    run(night, out)


def test_B05_results_that_would_lie_in_each_other_are_refused(tmp_path: Path) -> None:
    good(tmp_path / "in" / "a.csv")
    good(tmp_path / "in" / "a.csv.json" / "b.csv")
    with pytest.raises(UnsafeError, match="E-OUTPUT-COLLISION"):
        run(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_X10_results_are_private(night: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        run(night, tmp_path / "out")
    finally:
        os.umask(old)
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_B13_a_stop_leaves_what_is_done_and_the_rest_follows(night: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "out", []

    def watch(done: Any) -> bool:
        seen.extend([done] if done is not None else [])
        return len(seen) >= 3

    result = run(night, out, watch=watch)
    assert result.stopped and len(result.rows) == 3 and not (out / "items.jsonl").exists()
    assert [(d.done, d.total) for d in seen] == [(i, 5 + len(POISON)) for i in (1, 2, 3)]
    again = Inline()
    assert not run(night, out, again).stopped and len(again.done) == 2 + len(POISON)
    run(night, tmp_path / "anew")
    assert left(out) == left(tmp_path / "anew")


def test_B12_inputs_that_have_all_gone_end_the_batch(
    night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, away = tmp_path / "out", tmp_path / "away"
    inputs = inputs_of([night], "streams")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def watch(done: Any) -> bool:
        if done is not None and done.done == 2:
            night.rename(away)
        return False

    with pytest.raises(ResourceError, match="E-INPUT-GONE"):
        run(night, out, inputs=inputs, watch=watch)
    away.rename(night)
    again = Inline()
    run(night, out, again)
    assert len(again.done) == len(inputs) - 2 and len(rows(out)) == len(inputs)


def test_X01_a_disk_too_full_to_begin_is_named(
    night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs

    class Full:
        f_bavail, f_frsize, f_flag = 10, 4096, 0

    monkeypatch.setattr(os, "statvfs", lambda path: Full if isinstance(path, Path) else real(path))
    with pytest.raises(ResourceError, match="E-NO-SPACE"):
        run(night, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: hundreds of batches are synced, and killed processes lose nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder, "out")


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A manifest of a good file and a poisoned one."""
    night = files(tmp_path / "few", 1, ["ragged.csv"])
    manifest = night / "all.txt"
    manifest.write_text("d0/000.csv\nbad/ragged.csv\n")
    return manifest


def test_B01_X07_killed_at_any_call_it_goes_on_to_the_same_bytes(few: Path, out: Path) -> None:
    found = kill_at_each(few, out)
    assert found.struck > found.calls > 25 and found.ended == found.struck
    assert not found.redone, "what was done is not done again"


def test_X01_X02_a_disk_that_refuses_any_one_call(few: Path, out: Path) -> None:
    found = refuse_at_each(few, out, WRITES, [errno.ENOSPC, errno.EIO])
    assert found.struck == 2 * found.calls and found.ended > found.struck / 2 and not found.redone


def test_X02_X04_a_disk_that_refuses_to_be_read_once(few: Path, out: Path) -> None:
    found = refuse_at_each(few, out, READS, [errno.EMFILE])
    assert found.calls > 15 and 0 < found.ended < found.struck and not found.redone


def test_X02_writes_that_are_all_short_change_nothing(night: Path, tmp_path: Path) -> None:
    run(night, tmp_path / "whole")
    with short_writes():
        run(night, tmp_path / "short")
    assert left(tmp_path / "short") == left(tmp_path / "whole")


def test_X02_X05_what_the_machine_failed_is_tried_again(
    night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The input's bytes are the same and were hashed: only the kind of error tells."""
    out, job = tmp_path / "out", JOBS["inspect"]

    def work(path: Path, name: str, how: JobSettings) -> Any:
        if name == "d0/000.csv":
            raise MemoryError
        if name == "d1/001.csv":
            raise OSError(errno.EIO, "secret", str(path))
        return job.work(path, name, how)

    run(night, out, Inline(job=replace(job, work=work)))
    codes = {name: (row["error"] or {}).get("code") for name, row in rows(out).items()}
    assert (codes["d0/000.csv"], codes["d1/001.csv"]) == ("E-MEMORY", "E-IO")
    again = Inline()
    run(night, out, again)
    run(night, tmp_path / "whole")
    assert sorted(again.done) == ["d0/000.csv", "d1/001.csv"] and left(out) == left(tmp_path / "whole")


def test_B10_a_name_that_is_given_and_not_synced_is_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over NFS: the rename has happened, the sync of its folder fails."""
    night, out, real = files(tmp_path / "night", 2), tmp_path / "out", os.fsync
    run(night, tmp_path / "whole")

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and any(out.rglob("*.csv.json")):
            raise OSError(errno.EIO, "injected")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(ResourceError, match="E-WRITE"):
            run(night, out)
    assert len(left(out / "results")) == 1, "it has its name, but nobody says that it is done"
    assert not [line for line in read_journal(out / "journal.jsonl").lines if line.get("status") == "ok"]
    again = Inline()
    run(night, out, again)
    assert len(again.done) == 2 and left(out) == left(tmp_path / "whole")

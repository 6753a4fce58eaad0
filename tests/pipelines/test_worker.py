"""One item of a worker: nothing that it raises leaves it, and a disk that refuses is told apart from bad input."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from align.errors import InputError
from pipelines.jobs import JOBS, Job, JobSettings, Write
from pipelines.store import atomic_write, sha256_of
from pipelines.worker import do_item, told
from tests.pipelines.batches import good


class PanicException(BaseException):
    """As polars raises it: no Exception."""


def doing(work: Callable[[Path], Write]) -> Job:
    return Job("streams", (".json",), lambda path, name, how: work(path))


def item(tmp_path: Path, job: Job, before: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[str]]:
    path = good(tmp_path / "in" / "a.csv")
    (tmp_path / "out").mkdir(exist_ok=True)
    hashed: list[str] = []
    task = {"name": "a.csv", "path": str(path), "before": before}
    return do_item(task, job, JobSettings(), tmp_path / "out", hashed.append), hashed


def raising(error: BaseException) -> Callable[..., Any]:
    def work(*arguments: object) -> Any:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PanicException("secret"), "E-BUG"),
        (SystemExit(1), "E-BUG"),
        (MemoryError(), "E-MEMORY"),
        (RecursionError("secret"), "E-BUG"),
        (InputError("E-RAGGED", "said"), "E-RAGGED"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_X13_whatever_is_raised_fails_the_item(
    tmp_path: Path, error: BaseException, code: str, late: bool
) -> None:
    work = (lambda path: raising(error)) if late else raising(error)
    reply, hashed = item(tmp_path, doing(work))
    assert (reply["kind"], reply["error"]["code"], reply["outputs"]) == ("failed", code, {})
    assert hashed == [reply["sha256"]] == [sha256_of(tmp_path / "in" / "a.csv")]
    assert "secret" not in str(reply)


def test_X01_a_disk_that_refuses_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", raising(OSError(errno.ENOSPC, "full")))
    reply, _ = item(tmp_path, JOBS["inspect"])
    assert (reply["kind"], reply["error"]["code"], reply["exit_code"]) == ("fatal", "E-NO-SPACE", 5)
    assert os.listdir(tmp_path / "out") == []


def test_B09_an_item_done_twice_is_the_same_and_one_done_before_is_kept(tmp_path: Path) -> None:
    reply, _ = item(tmp_path, JOBS["inspect"])
    assert reply["kind"] == "ok" and list(reply["outputs"]) == ["a.csv.json"]
    assert item(tmp_path, JOBS["inspect"])[0] == reply
    before = {"sha256": reply["sha256"], "outputs": reply["outputs"]}
    never = doing(raising(AssertionError("done again")))
    assert item(tmp_path, never, before)[0]["kind"] == "kept"
    assert item(tmp_path, never, {**before, "sha256": "other"})[0]["kind"] == "failed"
    atomic_write(tmp_path / "out" / "a.csv.json", "damaged", force=True)
    assert item(tmp_path, JOBS["inspect"], before)[0] == reply


def test_an_error_names_the_input_and_not_where_it_lies() -> None:
    path = Path("/data/night/p1")
    for file, shown in (("/data/night/p1", "p1"), ("/data/night/p1/a.csv", "p1/a.csv"), ("else", "else")):
        said = told(InputError("E-X", "said", file=file, line=3), path, "p1")
        assert (said["file"], said["line"]) == (shown, 3)

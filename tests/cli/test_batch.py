"""``align batch`` from outside: exit codes, what it says, and that a killed one goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cli.batch import _said
from pipelines.batch import Done as OneDone
from pipelines.batch import run_batch
from pipelines.jobs import JobSettings
from pipelines.journal import read_journal
from pipelines.manifest import inputs_of
from pipelines.store import only_writer
from tests.cli.recordings import ROOT, Done
from tests.pipelines.batches import POISON, Inline, files, good, left, rows
from tests.pipelines.test_engines import hang


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return files(tmp_path / "night", 20, POISON)


def start(folder: Path, out: Path, *more: str, group: bool = False) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import sys; from cli.main import main; sys.exit(main())", "batch"]
    return subprocess.Popen(
        [*command, str(folder), "-o", str(out), "--job", "inspect", *more],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=group,
    )


def n_told(out: Path) -> int:
    return sum("input" in line for line in read_journal(out / "journal.jsonl").lines) if out.exists() else 0


def test_B01_killed_at_random_it_goes_on_and_does_nothing_twice(night: Path, tmp_path: Path) -> None:
    out, moments = tmp_path / "out", random.Random(5)
    for at in sorted(moments.sample(range(1, 26), 3)):
        batch = start(night, out, "--jobs", "2")
        while batch.poll() is None and n_told(out) < at:
            time.sleep(0.001)
        batch.kill()
        batch.communicate()
    last = start(night, out, "--jobs", "2")
    _, err = last.communicate(timeout=100)
    assert last.returncode == 4, err
    assert b"kept from before" in err
    told = [line["input"] for line in read_journal(out / "journal.jsonl").lines if "input" in line]
    assert len(told) == len(set(told)) == 26
    run_batch(inputs_of([night], "streams"), tmp_path / "clean", "inspect", JobSettings(), Inline())
    assert left(out) == left(tmp_path / "clean")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_B13_interrupted_it_says_how_far_it_came(tmp_path: Path, number: int) -> None:
    folder, out = files(tmp_path / "night", 3), tmp_path / "out"
    hang(folder / "hang.csv")
    batch = start(folder, out, "--jobs", "1")
    while batch.poll() is None and n_told(out) < 3:
        time.sleep(0.01)
    begin = time.monotonic()
    batch.send_signal(number)
    _, err = batch.communicate(timeout=30)
    assert (batch.returncode, time.monotonic() - begin < 2) == (130, True)
    assert b"3 of 4 done" in err and b"the same command goes on" in err and b"Traceback" not in err
    assert n_told(out) == 3 and not (out / "items.jsonl").exists()


def test_every_failure_is_named_and_why(align: Callable[..., Done], night: Path, tmp_path: Path) -> None:
    done = align("batch", night, "-o", tmp_path / "out", "--job", "inspect", "--jobs", 1)
    assert done.code == 4 and done.out == f"{tmp_path / 'out' / 'items.jsonl'}\n"
    lines = [line for line in done.err.splitlines() if line.startswith("failed  ")]
    assert len(lines) == len(POISON)
    for name, row in rows(tmp_path / "out").items():
        said = [line for line in lines if f" {name}" in line]
        assert len(said) == (row["status"] != "ok")
        assert not said or row["error"]["code"] in said[0]
    assert "20 of 26 done; 6 failed." in done.err
    assert "one" not in "".join(lines).replace("none", ""), "no cell of a file is shown"


def test_ndjson_is_one_line_per_item_and_the_result(align: Callable[..., Done], tmp_path: Path) -> None:
    night = files(tmp_path / "night", 2, ["ragged.csv"])
    done = align("batch", night, "-o", tmp_path / "out", "--job", "inspect", "--json", "--jobs", 1)
    *items, result = map(json.loads, done.out.splitlines())
    assert {item["input"]: item["status"] for item in items} == {
        name: row["status"] for name, row in rows(tmp_path / "out").items()
    }
    assert (result["event"], result["items"], result["failed"], result["kept"]) == ("result", 3, 1, 0)


def test_segments_of_all_inputs_are_one_table(align: Callable[..., Done], tmp_path: Path) -> None:
    for i in range(3):
        good(tmp_path / "night" / f"p{i}" / "flow.csv", n=400)
    manifest = tmp_path / "all.txt"
    manifest.write_text("".join(f"night/p{i}/flow.csv\n" for i in (2, 0, 1)))
    assert align("batch", manifest, "-o", tmp_path / "out", "--jobs", 2).code == 0
    inputs = inputs_of([manifest], "streams")
    run_batch(inputs, tmp_path / "here", "segment", JobSettings(), Inline())
    assert left(tmp_path / "out") == left(tmp_path / "here")
    table = pl.read_parquet(tmp_path / "out" / "results" / "**" / "*.parquet")
    assert sorted(set(table["input"])) == [f"night/p{i}/flow.csv" for i in range(3)]
    assert {"stream", "start", "end", "code", "method"} <= set(table.columns)
    alone = align("segment", tmp_path / "night" / "p0" / "flow.csv").out.splitlines()[1:]
    of_one = table.filter(input="night/p0/flow.csv")
    cells = [line.split(",") for line in alone]
    assert [float(c[1]) for c in cells] == of_one["start"].to_list()
    assert [int(c[3]) for c in cells] == of_one["code"].to_list()


def test_X08_a_locked_folder_is_exit_6(align: Callable[..., Done], night: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with only_writer(tmp_path / "out", "batch"):
        align("batch", night, "-o", tmp_path / "out", "--job", "inspect").refused("E-LOCKED", 6)


@pytest.mark.parametrize(
    ("more", "code", "exit_code"),
    [
        (["--job", "dance"], "E-PARAM", 2),
        (["--engine", "horses"], "E-PARAM", 2),
        (["--memory-limit", "much"], "E-USAGE", 2),
        (["--memory-limit", "0"], "E-USAGE", 2),
        (["--time-limit", "0"], "E-USAGE", 2),
        (["--resume"], "E-PARAM", 2),
        (["--scheduler", "tcp://127.0.0.1:1"], "E-PARAM", 2),
        (["--resource", "GPU=1"], "E-PARAM", 2),
        (["--resource", "GPU"], "E-USAGE", 2),
        (["--engine", "dask", "--resource", "GPU=1"], "E-PARAM", 2),
        (["--results", "folder"], "E-USAGE", 2),
        (["--results", "http://host/x"], "E-PARAM", 2),
        (["--results", "s3://key:secret@bucket/x"], "E-CREDENTIALS", 7),
        (["--root", "s3://bucket/x"], "E-PARAM", 2),
        (["--model", "none"], "E-PARAM", 2),
        (["--job", "run", "--model", "none"], "E-NO-FILE", 3),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    align: Callable[..., Done], tmp_path: Path, more: list[str], code: str, exit_code: int
) -> None:
    align("batch", files(tmp_path / "night", 1), "-o", tmp_path / "out", *more).refused(code, exit_code)
    assert not (tmp_path / "out").exists()


def test_a_plan_says_what_it_will_take_and_does_nothing(align: Callable[..., Done], tmp_path: Path) -> None:
    night = files(tmp_path / "night", 8, ["ragged.csv"])
    asked = ("batch", night, "-o", tmp_path / "out", "--job", "inspect", "--plan", "--jobs", 2)
    done = align(*asked)
    assert done.code == 0 and not (tmp_path / "out").exists()
    assert [line.split()[0] for line in done.out.splitlines()] == ["inputs", "time", "memory", "results"]
    assert "9, 0.0 MB; 6 tried, 1 of which failed" in done.out and "2 workers" in done.out
    plan = json.loads(align(*asked, "--json").out)
    assert (plan["event"], plan["schema"]) == ("result", "align.batch-plan/1")
    assert (plan["items"], plan["jobs"], plan["failed_of_tried"]) == (9, 2, 1)
    assert plan["seconds"] >= plan["core_seconds"] / 2 > 0 and plan["memory"] == 2 * plan["memory_per_worker"]


def test_an_object_store_is_read_and_written_as_folders_are(
    align: Callable[..., Done], tmp_path: Path
) -> None:
    pytest.importorskip("fsspec", reason='needs pip install "streamnotes[cloud]"')
    night = files(tmp_path / "night", 3, ["ragged.csv"])
    asked = ("--job", "inspect", "--jobs", 1)
    results = ("--results", f"file://{tmp_path}/results")
    done = align("batch", f"file://{night}", "-o", tmp_path / "there", *results, *asked)
    assert done.code == 4, done.err
    assert align("batch", night, "-o", tmp_path / "here", *asked).code == 4
    assert left(tmp_path / "results") == left(tmp_path / "here" / "results")
    assert rows(tmp_path / "there") == rows(tmp_path / "here")
    assert str(night) not in (tmp_path / "there" / "items.jsonl").read_text()
    (night.parent / "all.txt").write_text("d0/000.csv\n")
    done = align("batch", tmp_path / "all.txt", "--root", f"file://{night}", "-o", tmp_path / "one", *asked)
    assert done.code == 0 and list(rows(tmp_path / "one")) == ["d0/000.csv"]


def test_a_cluster_of_this_machine_does_it_too(align: Callable[..., Done], tmp_path: Path) -> None:
    pytest.importorskip("dask.distributed", reason='needs pip install "streamnotes[dask]"')
    night = files(tmp_path / "night", 3, ["ragged.csv"])
    done = align("batch", night, "-o", tmp_path / "out", "--job", "inspect", "--jobs", 1, "--engine", "dask")
    assert done.code == 4 and "3 of 4 done; 1 failed." in done.err
    assert "distributed" not in done.err and "Traceback" not in done.err
    align("batch", night, "-o", tmp_path / "here", "--job", "inspect", "--jobs", 1)
    assert left(tmp_path / "out") == left(tmp_path / "here")


def test_B13_interrupted_on_a_cluster_it_says_how_far_it_came(tmp_path: Path) -> None:
    pytest.importorskip("dask.distributed", reason='needs pip install "streamnotes[dask]"')
    psutil = pytest.importorskip("psutil")  # comes with it
    folder, out = files(tmp_path / "night", 3), tmp_path / "out"
    hang(folder / "hang.csv")
    batch = start(folder, out, "--jobs", "2", "--engine", "dask", group=True)
    while batch.poll() is None and n_told(out) < 3:
        time.sleep(0.01)
    started = psutil.Process(batch.pid).children(recursive=True)
    for process in started:
        process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert started and all(process.is_running() for process in started)  # the batch alone decides
    begin = time.monotonic()
    os.killpg(batch.pid, signal.SIGINT)  # as a terminal does: to Dask's processes, too
    _, err = batch.communicate(timeout=60)
    assert batch.returncode == 130, err
    assert b"3 of 4 done" in err and b"Traceback" not in err
    assert time.monotonic() - begin < 10
    assert n_told(out) == 3 and not (out / "items.jsonl").exists()


def test_progress_says_rate_and_time_left() -> None:
    said = _said(OneDone({}, 1200, 3, 200, 11_200), time.monotonic() - 100)
    assert said == "1,200 of 11,200, 3 failed, 10/s, 16:40 left"
    assert _said(OneDone({}, 1, 0, 0, 3601), time.monotonic() - 2).endswith("0.5/s, 2:00:00 left")

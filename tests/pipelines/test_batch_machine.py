"""Batches on odd machines: few descriptors, wrong clocks, no home, parents with threads, files that lie or unfold."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from align.readers.policy import Policy
from pipelines.batch import run_batch
from pipelines.children import Limits
from pipelines.engines import LocalEngine
from pipelines.jobs import JOBS, JobSettings
from pipelines.manifest import inputs_of
from pipelines.worker import do_item
from tests.cli.recordings import ROOT
from tests.pipelines.batches import POISON, Inline, files, good, left, rows

COMMAND = [sys.executable, "-c", "import sys; from cli.main import main; sys.exit(main())", "batch"]


def batch(
    folder: Path, out: Path, *more: str, env: dict[str, str] | None = None, **how: object
) -> tuple[int, str]:
    """``align batch --job inspect`` in a process of its own: exit code and what it said."""
    done = subprocess.run(
        [*COMMAND, str(folder), "-o", str(out), "--job", "inspect", "--jobs", "2", *more],
        env={**os.environ, "PYTHONPATH": str(ROOT)} if env is None else env,
        capture_output=True, text=True, timeout=120, check=False, **how,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def here(tmp_path: Path) -> Callable[[Path], dict[str, bytes]]:
    """What a batch over a folder leaves when all is well."""

    def run(folder: Path) -> dict[str, bytes]:
        run_batch(inputs_of([folder], "streams"), tmp_path / "here", "inspect", JobSettings(), Inline())
        return left(tmp_path / "here")

    return run


def test_X04_few_descriptors_are_enough_for_many_files(
    tmp_path: Path, here: Callable[[Path], dict[str, bytes]]
) -> None:
    night = files(tmp_path / "night", 150, POISON)

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    code, said = batch(night, tmp_path / "out", preexec_fn=few)
    assert code == 4, said
    assert left(tmp_path / "out") == here(night)


def test_X03_no_home_and_another_temporary_folder(
    tmp_path: Path, here: Callable[[Path], dict[str, bytes]]
) -> None:
    night = files(tmp_path / "night", 3)
    (tmp_path / "temporary").mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary"),
                   "LANG": "C"}  # fmt: skip
    code, said = batch(night, tmp_path / "out", env=environment)
    assert code == 0, said
    assert left(tmp_path / "out") == here(night)
    code, said = batch(night, tmp_path / "plan", "--plan", env=environment)
    assert code == 0 and not (tmp_path / "plan").exists(), said
    assert not list((tmp_path / "temporary").glob("align-*"))


def test_X05_too_few_addresses_end_it_before_the_first_item(tmp_path: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))

    code, said = batch(files(tmp_path / "night", 2), tmp_path / "out", preexec_fn=few)
    assert code == 5 and "E-MEMORY" in said and "512 MiB" in said
    assert not (tmp_path / "out" / "items.jsonl").exists()


READ_ONLY = """
set -e
for folder in "$HOME" "$TMPDIR" "$4"; do mount --bind "$folder" "$folder"; mount -o remount,bind,ro "$folder"; done
mount -t tmpfs -o ro none /dev/shm
exec "$1" -c "$2" batch "$3" -o "$4/out" --job inspect --jobs 1
"""


def test_X03_what_cannot_be_written_is_named_before_the_work(tmp_path: Path) -> None:
    """Home, temporary folder, /dev/shm and the output's folder, all on disks that are mounted read-only."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs unshare -rm (util-linux, and user namespaces)")
    names = {name: tmp_path / name for name in ("home", "temporary", "results", "writable")}
    for folder in names.values():
        folder.mkdir()
    night = files(tmp_path / "night", 2)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(names["home"]),
                   "TMPDIR": str(names["temporary"])}  # fmt: skip
    asked = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", sys.executable, COMMAND[2], str(night)]
    done = subprocess.run(
        [*asked, str(names["results"])],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 5 and "E-READ-ONLY" in done.stderr, done.stderr
    assert not list(names["results"].iterdir())
    asked[4] = READ_ONLY.replace("$4/out", str(names["writable"] / "out"))
    done = subprocess.run(
        [*asked, str(names["results"])],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(rows(names["writable"] / "out")) == 2


@pytest.mark.parametrize("seconds", [0.0, 4_102_444_800.0])
def test_X12_B10_no_result_hangs_on_a_clock(
    tmp_path: Path,
    here: Callable[[Path], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    night = files(tmp_path / "night", 3)
    whole = here(night)
    for i, path in enumerate(night.rglob("*.csv")):
        os.utime(path, (seconds + i, seconds - i if seconds else i))
    monkeypatch.setattr(time, "time", lambda: seconds)
    monkeypatch.setattr(time, "time_ns", lambda: int(seconds) * 10**9)
    inputs = inputs_of([night], "streams")
    run_batch(inputs, tmp_path / "out", "inspect", JobSettings(), Inline())
    assert left(tmp_path / "out") == whole
    for path in (tmp_path / "out").rglob("*.json"):
        os.utime(path, (seconds, seconds))
    assert run_batch(inputs, tmp_path / "out", "inspect", JobSettings(), Inline()).kept == 3


PARENT = """
import multiprocessing, sys, threading, time
from pathlib import Path
import numba, numpy

@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for i in numba.prange(x.size):
        s += x[i]
    return s

def work(folder, out):
    from pipelines.batch import run_batch
    from pipelines.engines import LocalEngine
    from pipelines.jobs import JobSettings
    from pipelines.manifest import inputs_of
    run_batch(inputs_of([Path(folder)], "streams"), Path(out), "inspect", JobSettings(), LocalEngine(1))

if __name__ == "__main__":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    assert total(numpy.ones(100_000)) == 100_000  # numba's threads are there
    for method in ("fork", "spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=work, args=(sys.argv[1], sys.argv[2] + method))
        process.start()
        process.join(60)
        assert process.exitcode == 0, (method, process.exitcode)
"""


def test_B08_workers_are_started_anew_however_their_parent_was(
    tmp_path: Path, here: Callable[[Path], dict[str, bytes]]
) -> None:
    night = files(tmp_path / "night", 2)
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    done = subprocess.run(
        [sys.executable, str(script), str(night), str(tmp_path / "out-")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    whole = here(night)
    for method in ("fork", "spawn", "forkserver"):
        assert left(tmp_path / f"out-{method}") == whole, method


def test_B05_the_same_file_under_two_names_is_two_inputs_and_named_twice_is_one(tmp_path: Path) -> None:
    night = tmp_path / "night"
    first = good(night / "a.csv")
    os.link(first, night / "b.csv")
    inputs = inputs_of([first, night / "a.csv", night / "b.csv"], "streams")
    assert [item.name for item in inputs] == ["a.csv", "b.csv"]
    run_batch(inputs, tmp_path / "out", "inspect", JobSettings(), Inline())
    found = rows(tmp_path / "out")
    assert found["a.csv"]["sha256"] == found["b.csv"]["sha256"]
    assert found["a.csv"]["outputs"] != found["b.csv"]["outputs"]


def test_S07_X05_a_file_that_may_unfold_ends_at_its_memory_limit(tmp_path: Path) -> None:
    night = files(tmp_path / "night", 2)
    soundfile.write(night / "bomb.flac", np.zeros(80_000_000, np.int16), 96_000)
    size = (night / "bomb.flac").stat().st_size
    assert size < 3e6 < 200 * size
    limits = Limits(seconds=60.0, memory=250 << 20)
    how = JobSettings(policy=Policy(max_ratio=1e9))
    run_batch(inputs_of([night], "streams"), tmp_path / "out", "inspect", how, LocalEngine(1, limits))
    found = rows(tmp_path / "out")
    assert found["bomb.flac"]["error"]["code"] == "E-MEMORY-LIMIT"
    assert [found[f"d{i}/00{i}.csv"]["status"] for i in range(2)] == ["ok", "ok"]


def riff(frames: int) -> bytes:
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2,
                       16, b"data", min(frames * 2, 0xFFFFFFFE))  # fmt: skip
    return head + bytes(1000)


def wave64(frames: int) -> bytes:
    riff_, wave, fmt, data = (bytes.fromhex(x) for x in (
        "726966662e91cf11a5d628db04c10000", "77617665f3acd3118cd100c04f8edb8a",
        "666d7420f3acd3118cd100c04f8edb8a", "64617461f3acd3118cd100c04f8edb8a"))  # fmt: skip
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    body = fmt + struct.pack("<Q", 24 + len(form)) + form + data + struct.pack("<Q", 24 + frames * 2)
    return riff_ + struct.pack("<Q", 2**63 - 1) + wave + body + bytes(1000)


def edf(records: int) -> bytes:
    def fields(*texts: tuple[object, int]) -> bytes:
        return b"".join(str(text).ljust(width).encode() for text, width in texts)

    head = fields(("0", 8), ("X", 80), ("X", 80), ("01.01.20", 8), ("00.00.00", 8), (512, 8), ("", 44),
                  (records, 8), (1, 8), (1, 4))  # fmt: skip
    signal = fields(("flow", 16), ("", 80), ("uV", 8), (-100, 8), (100, 8), (-32768, 8), (32767, 8), ("", 80),
                    (99_999_999, 8), ("", 32))  # fmt: skip
    return head + signal + bytes(1000)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.wav", riff(2**31 - 1)),
        ("a.w64", wave64(2**61)),
        ("a.wav", wave64(2**61)),
        ("a.edf", edf(99_999_999)),
    ],
    ids=["riff", "wave64", "wave64-as-wav", "edf"],
)
def test_S08_nothing_is_allocated_for_what_a_header_claims(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    task = {"name": name, "path": str(tmp_path / name), "before": None}
    tracemalloc.start()
    try:
        reply = do_item(task, JOBS["inspect"], JobSettings(), tmp_path / "out", lambda sha: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply["kind"] == "failed" and reply["error"]["code"] not in ("E-BUG", "E-MEMORY"), reply
    assert peak < 64 << 20

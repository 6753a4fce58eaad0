"""Small batches: files good and bad, an engine in this process, and what a batch leaves."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from pipelines.engines import Outcome, Task
from pipelines.jobs import JOBS, Job, JobSettings
from pipelines.worker import do_item

SCHEMA = json.loads(
    (Path(__file__).parent.parent.parent / "docs" / "schemas" / "batch-item.schema.json").read_text()
)
# what is wrong with a file, and the code that names it
POISON = {
    "ragged.csv": (b"time,v\n0,1\n1,2,3\n2,1\n", "E-RAGGED"),
    "empty.csv": (b"", "E-EMPTY"),
    "nul.wav": (bytes(100), "E-FORMAT"),
    "cut.flac": (b"fLaC\x00\x00", None),
    "text.csv": (b"time,v\n0,one\n1,two\n", None),
    "backwards.csv": (b"time,v\n0,1\n2,1\n1,1\n3,1\n", None),
}


def good(path: Path, seed: int = 0, n: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{i / 10:.1f},{(i * 7 + seed) % 5 + 30 * (i >= n // 2)}\n" for i in range(n))
    path.write_text(f"time,flow\n{rows}")
    return path


def files(folder: Path, n: int, poison: Iterable[str] = ()) -> Path:
    """A folder of ``n`` good files, and bad ones."""
    for i in range(n):
        good(folder / f"d{i % 3}" / f"{i:03}.csv", i)
    for name in poison:
        (folder / "bad").mkdir(exist_ok=True)
        (folder / "bad" / name).write_bytes(POISON[name][0])
    return folder


def silence(path: Path, n_bytes: int) -> Path:
    """Mono 16-bit sound at 8 kHz; its zeros take no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + n_bytes, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000,
                       2, 16, b"data", n_bytes)  # fmt: skip
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(len(head) + n_bytes)
    return path


class Inline:
    """Does the items in this process, one after the other, by ``job`` if it is given: another engine than ``local``."""

    def __init__(self, order: Callable[[list[Task]], list[Task]] = list, job: Job | None = None) -> None:
        self.order, self.job, self.done = order, job, list[str]()

    def outcomes(
        self, order: Mapping[str, Any], tasks: Iterable[Task], stop: Callable[[], bool]
    ) -> Generator[Outcome, None, None]:
        job, how = self.job or JOBS[order["job"]], JobSettings.from_json(json.loads(json.dumps(order["how"])))
        for task in self.order(list(tasks)):
            if stop():
                return
            said = {"name": task.name, "path": str(task.path), "before": task.before}
            reply = do_item(said, job, how, Path(order["out"]), lambda sha: None)
            if reply["kind"] != "kept":
                self.done.append(task.name)
            yield Outcome(task, **reply)


def left(out: Path, *, but: tuple[str, ...] = ("journal.jsonl",)) -> dict[str, bytes]:
    """Every file of a batch and its bytes, but for the journal."""
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    return {name: data for name, data in found.items() if name not in but}


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """Input -> its line of items.jsonl."""
    read = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    assert len({row["input"] for row in read}) == len(read)
    for row in read:
        jsonschema.validate(row, SCHEMA)
    return {row["input"]: row for row in read}

"""Small recordings to give to the command, and what it leaves, read back and checked against the schemas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "sample_data"


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    def refused(self, code: str, exit_code: int = 3) -> str:
        """The one line on stderr, after checking that it is one, names the code and is no traceback."""
        assert self.code == exit_code, self
        assert self.out == "", "data although the command failed"
        assert self.err.count("\n") == 1 and self.err.startswith(f"{code} "), self.err
        assert "Traceback" not in self.err
        return self.err


def table(path: Path, rows: list[str], header: str = "time,gas flow") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def note_file(path: Path, rows: list[tuple[str, str]]) -> Path:
    """A CSV of (time, text)."""
    quoted = [f'{time},"{text}"' for time, text in rows]
    return table(path, quoted, "time,text")


def answers(out: Path) -> list[dict[str, Any]]:
    """The rows of alignment.jsonl, each checked against its schema."""
    rows = [json.loads(line) for line in (out / "alignment.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        jsonschema.validate(row, schema("alignment-row"))
    return rows


def record(out: Path, name: str = "run.json") -> dict[str, Any]:
    """The record of a run or a training, checked against its schema."""
    found: dict[str, Any] = json.loads((out / name).read_text("utf-8"))
    jsonschema.validate(found, schema("run"))
    return found


@cache
def schema(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text("utf-8"))
    return read

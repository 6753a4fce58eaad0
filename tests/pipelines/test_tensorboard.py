"""pipelines/tensorboard.py: the extra, with a stand-in where it is not installed."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from align.errors import ResourceError
from pipelines import tensorboard
from pipelines.tensorboard import scalars, tensorboard_lines

LINE = {"training": "final", "step": 8, "epoch": 2, "loss": 1.5, "held_out": None, "learning_rate": 1e-3,
        "sessions_per_s": 3.0, "frames_per_s": 900.0, "parts": {"frames": 1.0, "spans": 0.5}}  # fmt: skip


def test_the_numbers_of_a_line() -> None:
    found = scalars(LINE)
    assert found["final/loss"] == 1.5 and found["final/loss of spans"] == 0.5
    assert "final/held_out" not in found and "final/training" not in found


def test_nothing_is_asked_for() -> None:
    with tensorboard_lines(None) as add:
        add(LINE)


def test_an_absent_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="E-EXTRA"), tensorboard_lines(tmp_path / "t"):
        pass
    assert not (tmp_path / "t").exists()


def test_lines_reach_the_writer_with_their_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            calls.append(("open", folder))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            calls.append((name, value, step))

        def flush(self) -> None:
            calls.append(("flush",))

        def close(self) -> None:
            calls.append(("close",))

    package, summary = types.ModuleType("tensorboard"), types.ModuleType("tensorboard.summary")
    package.__spec__, summary.Writer = ModuleSpec("tensorboard", None), Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorboard", package)
    monkeypatch.setitem(sys.modules, "tensorboard.summary", summary)
    with tensorboard_lines(tmp_path) as add:
        add(LINE)
    assert calls[0] == ("open", str(tmp_path)) and calls[-2:] == [("flush",), ("close",)]
    assert ("final/loss", 1.5, 8) in calls

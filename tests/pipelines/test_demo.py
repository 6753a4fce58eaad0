"""The demo's own parts; the whole of it is run by tests/cli/test_demo.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from align.errors import UnsafeError
from pipelines import demo
from pipelines.config import Settings


def test_nobody_is_both_taught_and_asked() -> None:
    assert not set(demo.TRAINED_ON) & set(demo.ALIGNED)


def test_the_samples_are_those_of_the_repository(tmp_path: Path) -> None:
    found = demo.sample_sessions(tmp_path)
    assert {*demo.TRAINED_ON, *demo.ALIGNED} <= {p.name for p in found.iterdir()}
    assert list(tmp_path.iterdir()) == []


def test_an_installed_wheel_makes_its_samples_in_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Path, bool]] = []
    monkeypatch.setattr("pipelines.synthetic.make_sessions", lambda out, force: made.append((out, force)))
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "site-packages" / "pipelines" / "demo.py"))
    assert demo.sample_sessions(tmp_path / "out") == tmp_path / "out" / "sample_data"
    assert made == [(tmp_path / "out" / "sample_data", True)]


def test_a_full_folder_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "read_sessions", lambda *a, **k: pytest.fail("work was done first"))
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(UnsafeError, match="E-EXISTS"):
        demo.run_demo(tmp_path, Settings())
    assert (tmp_path / "mine").read_text() == "kept"

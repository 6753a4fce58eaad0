"""Power that is cut at any moment of a batch: nothing is torn, nothing is lost that was said to be done."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from align.errors import UnsafeError
from benchmarks.power_cut import Disk, cut_at_each
from pipelines import journal, store
from pipelines.batch import run_batch
from pipelines.jobs import JobSettings
from pipelines.manifest import inputs_of
from tests.pipelines.batches import Inline, files, good


def batch(night: Path, top: Path) -> None:
    run_batch(inputs_of([night], "streams"), top / "out", "inspect", JobSettings(), Inline())


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return files(tmp_path / "night", 2, ["ragged.csv"])


def test_X07_whenever_power_is_cut_the_batch_goes_on_to_the_same_bytes(night: Path, tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    assert cut_at_each(tmp_path / "top", lambda top: batch(night, top)) > 15


def test_X07_what_was_taken_away_does_not_come_back(night: Path, tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    batch(night, tmp_path / "top")
    (night / "d0" / "000.csv").write_bytes(b"")  # its result goes
    good(night / "d1" / "001.csv", 99)  # its result is another one
    assert cut_at_each(tmp_path / "top", lambda top: batch(night, top)) > 10


def test_the_disk_keeps_what_was_synced_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    disk = Disk(tmp_path)
    with disk.watched():
        (tmp_path / "a").rename(tmp_path / "b")
        store.atomic_write(tmp_path / "c", "new")
    assert {"a": b"old"} in disk.states, "no name was synced yet"
    assert disk.left() == {"b": b"old", "c": b"new"}
    assert all(state.get("c") in (None, b"new") for state in disk.states), "whole, or not at all"


@pytest.mark.parametrize("module", [store, journal])
def test_a_batch_that_does_not_sync_its_folders_is_found_out(
    night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    monkeypatch.setattr(module, "sync_folder", lambda folder: None)
    (tmp_path / "top").mkdir()
    with pytest.raises((RuntimeError, UnsafeError), match=r"power cut|E-EXISTS"):
        cut_at_each(tmp_path / "top", lambda top: batch(night, top))

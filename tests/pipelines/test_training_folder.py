"""pipelines/training_folder.py: checkpoints are whole, the folder has one writer, and nothing foreign is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from align.errors import LockedError, ResourceError, UnsafeError
from pipelines import training_folder
from pipelines.training_folder import Keeping, check_training_folder, training_journal

KNOWN = ("model.json", "model.safetensors")
EVERY, RESUME = Keeping(every=1), Keeping(every=1, resume=True)


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_without_checkpoints_nothing_is_written(tmp_path: Path) -> None:
    heard: list[object] = []
    with training_journal(tmp_path / "m", Keeping(), KNOWN, [heard.append]) as (journal, lines):
        journal.line({"epoch": 1})
        assert journal.every == 0 and journal.kept("final") is None
    assert lines == heard == [{"epoch": 1}] and not (tmp_path / "m").exists()


def test_lines_and_checkpoints_are_there_at_once_and_come_back(tmp_path: Path) -> None:
    out = tmp_path / "m"
    with training_journal(out, EVERY, KNOWN) as (journal, _):
        assert journal.kept("final") is None
        journal.line({"epoch": 1})
        journal.keep("final", b"one")
        journal.keep("final", b"two")
        assert names(out) == {"training.jsonl", "final.checkpoint"}
        assert json.loads((out / "training.jsonl").read_text()) == {"epoch": 1}
    with training_journal(out, RESUME, KNOWN) as (journal, _):
        assert journal.kept("final") == b"two" and journal.kept("held-out") is None
    with pytest.raises(UnsafeError, match="E-EXISTS"), training_journal(out, EVERY, KNOWN):
        pass
    with training_journal(out, Keeping(every=1, force=True), KNOWN) as (journal, _):
        assert journal.kept("final") is None and names(out) == set()


def test_X08_M06_two_trainings_in_one_folder(tmp_path: Path) -> None:
    with training_journal(tmp_path / "m", EVERY, KNOWN) as (journal, _):
        journal.keep("final", b"mine")
        for keeping in (RESUME, Keeping(every=1, force=True)):
            other = training_journal(tmp_path / "m", keeping, KNOWN)
            with pytest.raises(LockedError, match="E-LOCKED") as caught, other:
                pass
            assert caught.value.exit_code == 6
        assert (tmp_path / "m" / "final.checkpoint").read_bytes() == b"mine"
    with training_journal(tmp_path / "m", RESUME, KNOWN):  # the lock ends with its holder
        pass


def test_M06_X01_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise ResourceError("E-NO-SPACE", "the disk is full")

    with (
        pytest.raises(ResourceError) as caught,
        training_journal(tmp_path / "m", EVERY, KNOWN) as (journal, _),
    ):
        journal.keep("final", b"good")
        monkeypatch.setattr(training_folder, "atomic_write", full)
        journal.keep("final", b"lost")
    assert caught.value.exit_code == 5
    monkeypatch.undo()
    with training_journal(tmp_path / "m", RESUME, KNOWN) as (journal, _):
        assert journal.kept("final") == b"good"


def test_what_is_refused_before_work(tmp_path: Path) -> None:
    finished, foreign = tmp_path / "finished", tmp_path / "foreign"
    for folder, name in ((finished, "model.json"), (foreign, "thesis.txt")):
        folder.mkdir()
        (folder / name).write_text("x")
    for folder in (finished, foreign):
        for keeping in (RESUME, EVERY, Keeping()):
            with pytest.raises(UnsafeError, match="E-EXISTS"):
                check_training_folder(folder, keeping, KNOWN)
    check_training_folder(finished, Keeping(force=True, resume=True), KNOWN)
    check_training_folder(tmp_path / "new", RESUME, KNOWN)


def test_S05_a_checkpoint_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "final.checkpoint").symlink_to(tmp_path / "elsewhere")
    with (
        training_journal(tmp_path / "m", RESUME, KNOWN) as (journal, _),
        pytest.raises(UnsafeError, match="E-SYMLINK"),
    ):
        journal.kept("final")


def test_only_the_first_of_several_processes_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with training_journal(tmp_path / "m", EVERY, KNOWN) as (journal, lines):
        journal.line({"epoch": 1})
        assert journal.every == 0 and lines == [{"epoch": 1}]
    assert not (tmp_path / "m").exists()

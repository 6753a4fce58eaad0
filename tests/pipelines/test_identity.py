"""Hashes change with what a result hangs on, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from align.errors import AlignError
from pipelines.identity import code_hash, content_hash, model_hash, settings_hash


def session(folder: Path) -> Path:
    folder.mkdir()
    for name in ("wrist.csv", "notes.csv", "read.me"):
        (folder / name).write_text(f"time,{name}\n0,1\n")
    return folder


def test_a_file_and_its_copy_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.csv").write_text("x")
    (tmp_path / "c.csv").write_text("y")
    a, b, c = (content_hash(tmp_path / name) for name in ("a.csv", "b.csv", "c.csv"))
    assert a == b != c


@pytest.mark.parametrize("name", ["wrist.csv", "notes.csv"])
def test_a_session_is_its_streams_and_notes(tmp_path: Path, name: str) -> None:
    one, two = session(tmp_path / "one"), session(tmp_path / "two")
    before = content_hash(one)
    assert before == content_hash(two)
    (one / "read.me").write_text("other")
    assert content_hash(one) == before
    (one / name).write_text("time,v\n0,2\n")
    assert content_hash(one) != before


def test_a_record_is_its_header_and_the_files_beside_it(tmp_path: Path) -> None:
    for name in ("r.hea", "r.dat", "q.dat"):
        (tmp_path / name).write_text(name)
    before = content_hash(tmp_path / "r.hea")
    (tmp_path / "q.dat").write_text("another record's")
    assert content_hash(tmp_path / "r.hea") == before
    (tmp_path / "r.dat").write_text("other")
    assert content_hash(tmp_path / "r.hea") != before


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for make, code in ((lambda p: None, "E-NO-FILE"), (lambda p: __import__("os").mkfifo(p), "E-NOT-A-FILE")):
        path = tmp_path / code
        make(path)
        with pytest.raises(AlignError) as caught:
            content_hash(path)
        assert caught.value.code == code


def test_settings_model_and_code(tmp_path: Path) -> None:
    assert settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1}) != settings_hash({"a": 1})
    assert model_hash(None) == "" and len(code_hash()) == 64
    with pytest.raises(AlignError, match="E-NO-FILE"):
        model_hash(tmp_path / "none")
    (tmp_path / "weights").write_text("1")
    before = model_hash(tmp_path)
    (tmp_path / "weights").write_text("2")
    assert model_hash(tmp_path) != before

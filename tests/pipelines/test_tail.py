"""A growing file: rotation, truncation, half lines, restarts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from align.errors import AlignError
from pipelines import tail
from pipelines.ndjson import MOST_LINE
from pipelines.sources import Lines
from pipelines.tail import FileSource


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "_PATIENCE", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "in.ndjson"


def opened(file: Path, position: dict[str, Any] | None = None) -> Iterator[FileSource]:
    source = FileSource(file)
    source.start(position or {})
    yield source
    source.close()


def came(source: FileSource, polls: int = 6) -> list[bytes]:
    return [taken.what for _ in range(polls) for taken in source.poll(0.0) if isinstance(taken.what, bytes)]


def add(file: Path, text: bytes) -> None:
    with file.open("ab") as end:
        end.write(text)


def test_lines_come_when_they_are_whole(file: Path) -> None:
    file.write_bytes(b"one\ntw")
    for source in opened(file):
        assert came(source) == [b"one"] and source.position()["offset"] == 4
        add(file, b"o\nthree\n")
        assert [(t.line, t.what) for t in source.poll(0.0)] == [(2, b"two"), (3, b"three")]
        assert source.behind == 0 and source.connected


def test_a_file_that_is_not_there_yet_is_waited_for(file: Path) -> None:
    for source in opened(file):
        assert came(source) == [] and not source.connected and source.position() == {}
        file.write_bytes(b"one\n")
        assert came(source) == [b"one"]


def test_rotation_is_followed_to_the_last_line_of_the_old_file(file: Path) -> None:
    file.write_bytes(b"one\n")
    for source in opened(file):
        assert came(source) == [b"one"]
        os.rename(file, file.with_name("in.ndjson.1"))
        add(file.with_name("in.ndjson.1"), b"two\n{half}")
        file.write_bytes(b"three\n")
        assert came(source) == [b"two", b"{half}", b"three"]


def test_truncation_begins_at_the_beginning_and_is_told(file: Path) -> None:
    file.write_bytes(b"one\ntwo\n")
    for source in opened(file):
        assert came(source) == [b"one", b"two"]
        file.write_bytes(b"3\n")
        assert came(source) == [b"3"]
        assert [code for code, _ in source.notices()] == ["W-SOURCE-TRUNCATED"]
        assert source.notices() == []


def test_a_restart_goes_on_behind_the_last_whole_line(file: Path) -> None:
    file.write_bytes(b"one\ntwo\nthr")
    for source in opened(file):
        came(source)
        position = source.position()
    add(file, b"ee\nfour\n")
    for source in opened(file, position):
        assert [(t.line, t.what) for t in source.poll(0.0)] == [(3, b"three"), (4, b"four")]
        assert source.position()["offset"] == file.stat().st_size


def test_a_restart_finds_a_file_that_was_rotated_twice_meanwhile(file: Path) -> None:
    file.write_bytes(b"one\n")
    for source in opened(file):
        came(source)
        position = source.position()
    add(file, b"two\n")
    os.rename(file, file.with_name("in.ndjson.2"))
    file.with_name("in.ndjson.1").write_bytes(b"three\n")
    file.write_bytes(b"four\n")
    for i, name in enumerate(("in.ndjson.2", "in.ndjson.1", "in.ndjson")):
        os.utime(file.with_name(name), (1_000 + i, 1_000 + i))
    for source in opened(file, position):
        assert came(source, 12) == [b"two", b"three", b"four"]


def test_a_restart_after_the_file_is_gone_says_so(file: Path) -> None:
    file.write_bytes(b"one\n")
    for source in opened(file):
        came(source)
        position = source.position()
    file.unlink()
    file.write_bytes(b"other and longer\n")
    for source in opened(file, position):
        assert [code for code, _ in source.notices()] == ["W-SOURCE-GONE"]
        assert came(source) == [b"other and longer"]


def test_without_following_the_end_of_the_file_is_the_end(file: Path) -> None:
    file.write_bytes(b"one\ntwo")
    source = FileSource(file, follow=False)
    source.start({})
    assert came(source) == [b"one", b"two"] and source.ended
    source.close()
    with pytest.raises(AlignError, match="E-MISSING"):
        FileSource(file.with_name("none"), follow=False).start({})


def test_F22_a_folder_or_fifo_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(AlignError, match="E-NOT-A-FILE"):
            FileSource(path).start({})


def test_a_line_over_the_limit_is_left_out_without_being_kept() -> None:
    lines = Lines()
    taken = lines.put(b"a\n" + b"x" * MOST_LINE)
    taken += lines.put(b"yz") + lines.put(b"z" * 100)
    assert lines.held == 0
    taken += lines.put(b"\nb\n")
    assert [(t.line, t.what) for t in taken] == [(1, b"a"), (2, None), (3, b"b")]
    assert Lines(4).put(b"x" * (MOST_LINE + 1) + b"\n")[0].what is None

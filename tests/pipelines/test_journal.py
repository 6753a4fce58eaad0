"""The journal: every whole line is kept, a torn one is cut off, a damaged one is left out and counted."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ResourceError, UnsafeError
from pipelines.journal import Journal, Lines, read_journal

LINES = [{"input": f"{i}.csv", "n": i, "text": "naïve ☃\udcff"} for i in range(5)]


def written(path: Path, lines: list[dict[str, object]]) -> bytes:
    with Journal(path) as journal:
        for line in lines:
            journal.add(line)
    return path.read_bytes()


def test_lines_come_back_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "j"
    assert read_journal(path) == Lines()
    raw = written(path, LINES[:3])
    found = read_journal(path)
    assert (list(found.lines), found.damaged, found.good_bytes) == (LINES[:3], 0, len(raw))
    with Journal(path, found.good_bytes) as journal:
        journal.add(LINES[3])
    assert list(read_journal(path).lines) == LINES[:4]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(set(json.loads(line)) == {"check", "input", "n", "text"} for line in path.open())


@given(cut=st.integers(0, 400))
def test_X07_a_torn_last_line_is_cut_off(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "j"
    raw = written(path, LINES)
    path.write_bytes(raw[: max(0, len(raw) - cut)])
    found = read_journal(path)
    whole = raw[: max(0, len(raw) - cut)].count(b"\n")
    assert (list(found.lines), found.damaged) == (LINES[:whole], 0)
    with Journal(path, found.good_bytes) as journal:
        journal.add({"input": "last"})
    assert list(read_journal(path).lines) == [*LINES[:whole], {"input": "last"}]


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_its_line_only(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "j"
    raw = bytearray(written(path, LINES))
    at %= len(raw) - 1  # the last line end gone is a torn line
    raw[at] ^= 1 << bit
    path.write_bytes(raw)
    found = read_journal(path)
    assert all(line in LINES for line in found.lines)
    assert len(found.lines) >= 3 and len(found.lines) + found.damaged in (4, 5, 6)
    assert found.damaged or found.lines == tuple(LINES)


def test_X01_a_line_that_the_disk_refuses_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, calls = tmp_path / "j", os.pwrite, []

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        calls.append(at)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, data[:20], at)  # X02: short writes

    with Journal(path) as journal:
        monkeypatch.setattr(os, "pwrite", pwrite)
        with pytest.raises(ResourceError, match="E-NO-SPACE"):
            journal.add(LINES[0])
        calls[:] = [0] * 10
        journal.add(LINES[1])
    assert list(read_journal(path).lines) == [LINES[1]]


def test_X02_a_disk_that_cannot_sync_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(ResourceError, match="E-WRITE"), Journal(tmp_path / "j") as journal:
        journal.add(LINES[0])
        monkeypatch.setattr(os, "fsync", fsync)


def test_S05_a_link_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "j").symlink_to(tmp_path / "real")
    with pytest.raises(UnsafeError, match="E-SYMLINK"):
        read_journal(tmp_path / "j")
    with pytest.raises(ResourceError):
        Journal(tmp_path / "j")

"""The state folder: one generation or the one before, never a mixture; one process; no litter."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from align.errors import InputError, LockedError, ResourceError
from pipelines.generations import Generation, StateFolder, held
from tests.source import ROOT


def made(number: int) -> Generation:
    return Generation(
        number=number,
        config={"rate": 50.0, "noise": None},
        parts={"monitor": bytes([number] * 40)},
        source={"kind": "file", "position": {"offset": number}},
        waiting=(b'{"seq": 1}\n',),
        next_line=2**53 + 1,
        newest={"a": 0.1},
        next_seq={"a": 2**53 + 1},
    )


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path)


def test_what_is_kept_comes_back(state: StateFolder) -> None:
    assert state.load() == (None, None)
    state.commit(made(1))
    assert state.load() == (made(1), None)
    state.commit(made(2))
    assert state.load() == (made(2), None)


def test_R02_cut_at_any_byte_or_with_any_bit_turned_the_one_before_is_used(
    state: StateFolder, tmp_path: Path
) -> None:
    state.commit(made(1))
    state.commit(made(2))
    path = tmp_path / "state"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        assert state.load() == (made(1), "E-CHECKSUM"), at
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        found, damage = state.load()
        assert (found, damage) == (made(1), "E-CHECKSUM") or (found, damage) == (made(2), None), at
    path.write_bytes(whole + b"x")
    assert state.load() == (made(1), "E-CHECKSUM")


def test_R02_with_both_damaged_nothing_is_guessed(state: StateFolder, tmp_path: Path) -> None:
    state.commit(made(1))
    state.commit(made(2))
    for name in ("state", "state.previous"):
        (tmp_path / name).write_bytes(b"half")
    with pytest.raises(InputError, match="E-CHECKSUM") as caught:
        state.load()
    assert caught.value.where["file"] == tmp_path / "state"


def test_dying_between_the_two_steps_leaves_the_last_one(state: StateFolder, tmp_path: Path) -> None:
    state.commit(made(1))
    os.replace(tmp_path / "state", tmp_path / "state.previous")
    assert state.load() == (made(1), None), "not damage: no warning"


def test_a_disk_that_refuses_leaves_the_last_one(
    state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.commit(made(1))

    def full(*args: object, **more: object) -> None:
        raise OSError(28, "full")

    for name in ("fsync", "write", "rename"):
        with monkeypatch.context() as broken:
            broken.setattr(os, name, full)
            with pytest.raises(ResourceError, match="E-NO-SPACE"):
                state.commit(made(2))
        assert state.load()[0] == made(1), name
    assert sorted(p.name for p in tmp_path.iterdir()) in (["state"], ["state.previous"])


def test_a_state_of_another_version_is_refused(state: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr("pipelines.generations.FORMAT", "align-live/0")
        state.commit(made(1))
    with pytest.raises(InputError, match="E-STATE-VERSION"):
        state.load()


def test_R13_the_second_process_is_told_who_the_first_is(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    code = (
        "import sys; from pathlib import Path; from pipelines.generations import held\n"
        "with held(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as first:
        assert first.stdout is not None and first.stdout.readline() == b"held\n"
        with pytest.raises(LockedError) as caught, held(folder):
            raise AssertionError("two processes hold one state")
        assert caught.value.exit_code == 6
        assert f"process {first.pid} on {socket.gethostname()}" in str(caught.value)
        first.kill()
        first.wait()
    with held(folder) as taken_over:  # the lock of a dead process is none
        assert taken_over.load() == (None, None)
    assert json.loads((folder / "holder.json").read_text())["pid"] == os.getpid()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_R16_restarts_leave_no_files_behind(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    for i in range(1, 60):
        with held(folder) as state:
            state.commit(made(i))
        (folder / f".align-{i:032x}.tmp").write_bytes(b"of a process that died")
    with held(folder):
        names = sorted(p.name for p in folder.iterdir())
    assert names == ["holder.json", "state", "state.previous"]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in folder.iterdir())

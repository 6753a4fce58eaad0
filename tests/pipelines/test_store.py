"""The one writer: whole or not at all, private, never over something without being told."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from align.errors import InputError, LockedError, ResourceError, UnsafeError
from pipelines import store
from pipelines.store import atomic_write, check_output, prepare_output, sha256_of, sweep_stale

TEMP = ".align-" + "0" * 32 + ".tmp"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("data", [b"", b"\x00\xff" * 70_000, "naïve ☃\n"])
def test_bytes_and_text_arrive_whole(tmp_path: Path, data: bytes | str) -> None:
    atomic_write(tmp_path / "a", data)
    assert (tmp_path / "a").read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert os.listdir(tmp_path) == ["a"]


def test_taken_name_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "a"
    atomic_write(path, "old")
    with pytest.raises(UnsafeError) as caught:
        atomic_write(path, "new")
    assert (caught.value.code, caught.value.exit_code) == ("E-EXISTS", 7)
    assert path.read_text() == "old"
    atomic_write(path, "new", force=True)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_name_taken_during_the_write_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        (tmp_path / "a").write_text("someone else's")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UnsafeError):
        atomic_write(tmp_path / "a", "mine")
    assert (tmp_path / "a").read_text() == "someone else's"
    assert os.listdir(tmp_path) == ["a"]


def test_where_links_cannot_be_made_a_rename_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links")

    monkeypatch.setattr(os, "link", link)
    atomic_write(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
    with pytest.raises(UnsafeError):
        atomic_write(tmp_path / "a", "y")
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "E-NO-SPACE"),
        (errno.EDQUOT, "E-NO-SPACE"),
        (errno.EROFS, "E-READ-ONLY"),
        (errno.EACCES, "E-PERMISSION"),
        (errno.EIO, "E-WRITE"),
    ],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_X01_X02_any_failing_call_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    path = tmp_path / "a"
    atomic_write(path, "old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "planted")

    monkeypatch.setattr(store.os, call, fail)
    with pytest.raises(ResourceError) as caught:
        atomic_write(path, "new", force=True)
    monkeypatch.undo()
    assert (caught.value.code, caught.value.exit_code) == (code, 5)
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_X02_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(store.os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    atomic_write(tmp_path / "a", "0123456789")
    monkeypatch.undo()
    assert (tmp_path / "a").read_text() == "0123456789"


def test_X07_folder_is_synced_after_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, (tmp_path / "a").exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(tmp_path / "a", "x")
    assert seen == [("file", False), ("folder", True)]


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_X10_files_and_folders_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    out = tmp_path / "deep" / "out"
    old = os.umask(umask)
    try:
        prepare_output(out)
        atomic_write(out / "a", "x")
    finally:
        os.umask(old)
    assert (_mode(out), _mode(out.parent), _mode(out / "a")) == (0o700, 0o700, 0o600)


def test_S06_a_planted_link_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").symlink_to(victim)
    with pytest.raises(UnsafeError):
        atomic_write(out / "run.json", "mine")
    atomic_write(out / "run.json", "mine", force=True)
    assert victim.read_text() == "safe"
    assert not (out / "run.json").is_symlink()


def test_S06_another_users_link_on_the_way_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    atomic_write(link / "own", "an own link is fine")
    monkeypatch.setattr(store.os, "geteuid", lambda: 4711)
    if os.lstat(link).st_uid == 0:
        os.chown(link, 4712, 4712, follow_symlinks=False)
    for write in (lambda: atomic_write(link / "a", "x"), lambda: prepare_output(link / "out")):
        with pytest.raises(UnsafeError) as caught:
            write()
        assert caught.value.code == "E-SYMLINK"
    assert os.listdir(tmp_path / "real") == ["own"]


def test_S06_temporary_names_cannot_be_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    real = os.rename

    def rename(source: str, target: str, **folders: int) -> None:
        names.append(source)
        assert _mode(tmp_path / source) == 0o600
        real(source, target, **folders)

    monkeypatch.setattr(store.os, "rename", rename)
    for _ in range(3):
        atomic_write(tmp_path / "a", "x", force=True)
    assert len(set(names)) == 3
    assert all(store._TEMP.fullmatch(name) for name in names)


def test_S14_stale_temporaries_go_and_living_ones_stay(tmp_path: Path) -> None:
    (tmp_path / TEMP).write_text("a note of a run that died")
    (tmp_path / ".align-mine.tmp").write_text("not ours")
    living = tmp_path / TEMP.replace("0", "1")
    (tmp_path / TEMP.replace("0", "2")).symlink_to(tmp_path / "elsewhere")
    with living.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert sweep_stale(tmp_path) == 1
        left = sorted(os.listdir(tmp_path))
    assert left == [TEMP.replace("0", "1"), TEMP.replace("0", "2"), ".align-mine.tmp"]


def test_S14_no_sweeper_takes_away_what_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, swept = fcntl.flock, []

    def flock(file: int, how: int) -> None:
        """A sweeper comes between making the first temporary and locking it, and while it is locked."""
        if how == fcntl.LOCK_EX and not swept:
            swept.append(sweep_stale(tmp_path))
        real(file, how)

    monkeypatch.setattr(store.fcntl, "flock", flock)
    commit = store._commit
    monkeypatch.setattr(
        store, "_commit", lambda *a, **k: swept.append(sweep_stale(tmp_path)) or commit(*a, **k)
    )
    atomic_write(tmp_path / "a", "x")
    assert swept == [1, 0]
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "x"


def test_S14_sweepers_and_writers_at_work_together(tmp_path: Path) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            sweep_stale(tmp_path)

    with ThreadPoolExecutor(3) as pool:
        sweepers = [pool.submit(sweep) for _ in range(2)]
        try:
            for i in range(300):
                atomic_write(tmp_path / str(i % 7), f"{i}", force=True)
        finally:
            done.set()
        assert all(sweeper.result() is None for sweeper in sweepers)
    assert sorted(os.listdir(tmp_path)) == [str(i) for i in range(7)]


def test_prepare_removes_only_what_a_run_writes(tmp_path: Path) -> None:
    out = prepare_output(tmp_path / "out")
    for name in ("alignment.jsonl", "report.html", "my thoughts.txt"):
        (out / name).write_text("x")
    for function in (check_output, prepare_output):
        with pytest.raises(UnsafeError) as caught:
            function(out)
        assert caught.value.code == "E-EXISTS"
    assert len(os.listdir(out)) == 3
    check_output(out, force=True)
    assert len(os.listdir(out)) == 3
    prepare_output(out, force=True)
    assert os.listdir(out) == ["my thoughts.txt"]


def test_prepare_takes_an_empty_folder_and_one_with_a_stale_temporary(tmp_path: Path) -> None:
    prepare_output(tmp_path)
    (tmp_path / TEMP).write_text("x")
    prepare_output(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("force", [False, True])
def test_a_file_in_the_way_is_refused_whatever_force_says(tmp_path: Path, force: bool) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises((UnsafeError, ResourceError)):
            prepare_output(out, force=force)
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_under_a_files_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(UnsafeError):
        prepare_output(tmp_path, force=True)
    with pytest.raises(UnsafeError):
        atomic_write(tmp_path / "run.json", "x", force=True)


def test_X03_a_folder_that_cannot_be_written_is_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.os, "access", lambda *_: False)  # the tests may run as root, whom no mode stops
    with pytest.raises(ResourceError) as caught:
        check_output(tmp_path / "new" / "out")
    assert caught.value.code == "E-PERMISSION"
    assert not (tmp_path / "new").exists()


def test_missing_folder_is_a_resource_error(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="E-WRITE"):
        atomic_write(tmp_path / "absent" / "a", "x")


def test_sha256_of_known_bytes_and_of_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="E-NOT-A-FILE"):
            sha256_of(path)
    with pytest.raises(ResourceError):
        sha256_of(tmp_path / "absent")


def test_a_pipe_or_device_is_never_replaced(tmp_path: Path) -> None:
    """As root, ``-o /dev/null --force`` would otherwise leave a file where the device was."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        before = os.lstat(path).st_mode
        with pytest.raises(UnsafeError, match=r"E-EXISTS.*device"):
            atomic_write(path, b"data", force=True)
        assert os.lstat(path).st_mode == before


def test_X08_a_folder_has_one_writer_at_a_time(tmp_path: Path) -> None:
    with store.only_writer(tmp_path, "batch"):
        with pytest.raises(LockedError, match="another batch"), store.only_writer(tmp_path, "batch"):
            raise AssertionError("two writers")
        assert os.listdir(tmp_path) == [], "the lock leaves no file that could be stale"
    with store.only_writer(tmp_path, "batch"):
        assert os.listdir(tmp_path) == []
    with pytest.raises(ResourceError), store.only_writer(tmp_path / "absent", "batch"):
        raise AssertionError("no folder")

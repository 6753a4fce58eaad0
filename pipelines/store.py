"""The one writer to disk: a file under its final name is always complete, private and never a surprise.

A file is written to a private temporary beside it (``.align-<random>.tmp``, mode 0600, O_EXCL), synced, put
under its final name in one step, and the folder is synced. A crash leaves the old file or the new one, and at
worst a temporary, which the next ``prepare_output`` removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from align.errors import InputError, LockedError, ResourceError, UnsafeError

__all__ = [
    "RUN_FILES",
    "atomic_write",
    "check_output",
    "named_errors",
    "only_writer",
    "prepare_output",
    "private_folder",
    "remove_files",
    "sha256_of",
    "sweep_stale",
    "sync_folder",
]

RUN_FILES = (
    "alignment.jsonl",
    "alignment.parquet",
    "segments.parquet",
    "tokens.parquet",
    "run.json",
    "report.html",
)
_PRIVATE = "align-private-"
_TEMP = re.compile(r"\.align-[0-9a-f]{32}\.tmp")
_ELSEWHERE = "choose another output folder"
_KINDS = {
    errno.ENOSPC: ("E-NO-SPACE", "the disk is full", f"free some space or {_ELSEWHERE}"),
    errno.EDQUOT: ("E-NO-SPACE", "the disk quota is used up", f"free some space or {_ELSEWHERE}"),
    errno.EROFS: ("E-READ-ONLY", "the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("E-PERMISSION", "permission denied", _ELSEWHERE),
    errno.EPERM: ("E-PERMISSION", "permission denied", _ELSEWHERE),
}
# where a hard link cannot be made, the final step is a rename after a check
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


def atomic_write(path: Path, data: bytes | str, *, force: bool = False) -> None:
    """Put ``data`` under ``path`` so that the file is there whole, or not at all.

    Args:
        path: the final name; its folder must exist. A symbolic link of that name is replaced, never followed.
        data: the bytes; text is written as UTF-8.
        force: replace a file that is already there.

    Raises:
        UnsafeError: E-EXISTS, the name is taken and ``force`` was not given, or by a folder or device; E-SYMLINK,
            the folder is reached through another user's symbolic link.
        ResourceError: E-NO-SPACE, E-READ-ONLY, E-PERMISSION or E-WRITE; nothing is left under either name.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    with named_errors(path), _open_folder(path.parent) as folder:
        _refuse_taken(path, folder, force=force)
        temp, descriptor = _new_temp(folder)
        try:
            _fill(descriptor, raw)
            _commit(temp, path, folder, force=force)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temp, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)  # and unlocked, when nothing is left under the temporary name
        os.fsync(folder)


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Any operating-system error inside becomes a ResourceError that names ``path``.

    Args:
        path: what is being read or written.

    Raises:
        ResourceError: E-NO-SPACE, E-READ-ONLY, E-PERMISSION or E-WRITE.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number else type(error).__name__
        code, message, hint = _KINDS.get(number, ("E-WRITE", f"could not be written: {reason}", ""))
        raise ResourceError(code, message, hint=hint, file=path) from error


@contextlib.contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    _refuse_foreign_links(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_foreign_links(folder: Path) -> None:
    """A link on the way that neither root nor this user made could lead the output anywhere."""
    absolute = Path(os.path.abspath(folder))
    for part in (absolute, *absolute.parents):
        try:
            found = os.lstat(part)
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid()):
            raise UnsafeError(
                "E-SYMLINK", "the output folder is reached through a symbolic link of another user", file=part
            )


def _refuse_taken(path: Path, folder: int, *, force: bool) -> None:
    try:
        found = os.lstat(path.name, dir_fd=folder)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise UnsafeError("E-EXISTS", "is a folder where a file should go", file=path)
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):  # --force must not replace /dev/null
        raise UnsafeError(
            "E-EXISTS",
            "is a device, pipe or socket where a file should go",
            hint="give a file's name",
            file=path,
        )
    if not force:
        raise _exists(path)


def _exists(path: Path) -> UnsafeError:
    return UnsafeError("E-EXISTS", "exists already", hint="--force replaces it", file=path)


def _new_temp(folder: int) -> tuple[str, int]:
    """Name and descriptor of a new temporary, locked: that tells a sweeper that its writer lives.

    A sweeper may come between making and locking it, hold the lock for a moment and take the file away: then another.
    Where a disk knows no locks, nothing is swept.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        name = f".align-{secrets.token_hex(16)}.tmp"
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.lstat(name, dir_fd=folder)
            return name, descriptor
        except FileNotFoundError:
            os.close(descriptor)


def _fill(descriptor: int, raw: bytes) -> None:
    os.fchmod(descriptor, 0o600)
    rest = memoryview(raw)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _commit(temp: str, path: Path, folder: int, *, force: bool) -> None:
    """The one step. A link, unlike a rename, fails when another process took the name meanwhile."""
    if not force:
        try:
            os.link(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError as error:
            raise _exists(path) from error
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _refuse_taken(path, folder, force=False)
        else:
            os.unlink(temp, dir_fd=folder)
            return
    os.rename(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def sweep_stale(folder: Path) -> int:
    """Remove the temporaries of writers that died and return how many; one being written (locked) stays."""
    with named_errors(folder), _open_folder(folder) as descriptor:
        names = [name for name in os.listdir(descriptor) if _TEMP.fullmatch(name)]
        return sum(_swept(name, descriptor) for name in names)


def _swept(name: str, folder: int) -> bool:
    """Whether it was abandoned and is gone now. Removed under the lock, so that its writer cannot come in between."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:  # gone meanwhile, a link, or not ours: leave it
        return False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # being written, or a disk without locks
            return False
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:  # put under its final name, or swept by another, since it was opened
            return False
        return True
    finally:
        os.close(descriptor)


def check_output(out: Path, *, force: bool = False, known: Collection[str] = RUN_FILES) -> None:
    """Say before work starts what ``prepare_output`` would refuse. Changes nothing.

    Raises:
        UnsafeError: E-EXISTS, ``out`` is a file; a folder that is not empty, without ``force``; or holds a
            folder under a ``known`` name. E-SYMLINK as ``atomic_write``.
        ResourceError: E-PERMISSION or E-READ-ONLY, the folder (or the nearest that exists) cannot be written.
    """
    with named_errors(out):
        _refuse_foreign_links(out)
        if os.path.lexists(out) and not out.is_dir():
            raise UnsafeError("E-EXISTS", "is a file where the output folder should go", file=out)
        here = out
        while not here.exists():
            here = here.parent
        if not here.is_dir():
            raise UnsafeError("E-EXISTS", "is a file where a folder should go", file=here)
        if not os.access(here, os.W_OK | os.X_OK):
            read_only = os.statvfs(here).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if read_only else errno.EACCES, "")
        if here != out:
            return
        names = [name for name in os.listdir(out) if not _TEMP.fullmatch(name)]
        if names and not force:
            raise UnsafeError(
                "E-EXISTS",
                f"the folder is not empty ({len(names)} entries)",
                hint="--force replaces",
                file=out,
            )
        for name in sorted(set(names) & set(known)):
            if stat.S_ISDIR(os.lstat(out / name).st_mode):
                raise UnsafeError("E-EXISTS", "is a folder where a file should go", file=out / name)


def prepare_output(out: Path, *, force: bool = False, known: Collection[str] = RUN_FILES) -> Path:
    """Make ``out`` ready: created (it and parents 0700), stale temporaries and old results gone.

    Call it when there is something to write: ``check_output`` finds the same faults before the work.

    Args:
        out: the output folder.
        force: allow a folder that is not empty; of its files only those in ``known`` are removed.
        known: the names that this run writes.

    Returns:
        ``out``.

    Raises:
        UnsafeError, ResourceError: as ``check_output``.
    """
    check_output(out, force=force, known=known)
    with named_errors(out):
        missing = [folder for folder in (out, *out.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)  # whatever the umask took away
            sync_folder(folder.parent)
        sweep_stale(out)
        for name in known:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(out / name)
    return out


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk: what was made, renamed or removed there survives a power cut.

    Args:
        folder: exists.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_files(paths: Iterable[Path]) -> None:
    """Take files away, those that are there, so that no power cut brings them back.

    Args:
        paths: of files.

    Raises:
        ResourceError: the disk refuses.
    """
    folders = set()
    for path in paths:
        with named_errors(path):
            try:
                path.unlink()
            except FileNotFoundError:
                continue
        folders.add(path.parent)
    for folder in folders:
        with named_errors(folder):
            sync_folder(folder)


@contextlib.contextmanager
def only_writer(folder: Path, who: str) -> Iterator[None]:
    """Keep every other process that asks out of ``folder`` while the block runs.

    The kernel's lock is on the folder itself: no file stays behind, and it ends with the process however that
    ends, so there is no stale lock to tell by a process number or a boot. Over NFS it needs version 4.

    Args:
        folder: exists.
        who: what holds it, in words ("training", "batch").

    Raises:
        LockedError: E-LOCKED, another process holds it.
        ResourceError: the folder cannot be opened, or its file system knows no locks.
    """
    with named_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            with named_errors(folder):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ResourceError as error:
            if not isinstance(error.__cause__, BlockingIOError):
                raise
            raise LockedError("E-LOCKED", f"another {who} writes into this folder", file=folder) from error
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder of mode 0700, locked while it is used; those of processes that were killed are removed."""
    top = Path(tempfile.gettempdir())
    for old in top.glob(f"{_PRIVATE}*"):
        _remove_abandoned(old)
    with tempfile.TemporaryDirectory(prefix=_PRIVATE) as folder:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(folder)
        finally:
            os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # gone meanwhile, or another user's
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid == os.geteuid() and os.listdir(descriptor):
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # somebody is at it
        return
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read by blocks.

    Raises:
        InputError: E-NOT-A-FILE, a folder, FIFO or device (never opened for reading).
        ResourceError: it cannot be read.
    """
    with named_errors(path):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError("E-NOT-A-FILE", "not a regular file", file=path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

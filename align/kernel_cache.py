"""Where numba keeps compiled kernels: a directory of the user alone, named after the kernels' content.

Cached machine code is executed and its index is unpickled, so nobody else may be able to write there; and numba
sees an edit only in the file it compiles, so the name follows the content of all kernel sources. A
``NUMBA_CACHE_DIR`` set by the user is left as it is. Without a safe place in the user's home the kernels are
compiled anew in each process. Machine code has no checksum of its own: the last process that ends leaves the SHA-256
of every file beside them, and where one does not fit when the next begins (a torn or a flipped byte) all of them are
compiled again. While several processes run, files change under way, so nothing is judged then.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import warnings
from pathlib import Path

__all__ = ["use_private_cache"]

_SEAL = "sealed.sha256"


def _source_key(folder: Path) -> str:
    """Hash of the names and contents of all kernel sources."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _is_private(folder: Path) -> bool:
    """A real directory of this user that nobody else can write to."""
    about = folder.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022


def _user_cache(key: str) -> Path | None:
    """``~/.cache/align/kernels-<key>``, made if need be; None when there is no writable or no safe home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        return None
    cache = Path(base) / "align" / f"kernels-{key}"
    try:
        Path(base).mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (cache.parent, cache):
            folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_private(folder):
                warnings.warn(
                    f"{folder} can be written by others; compiled kernels are not kept", stacklevel=2
                )
                return None
        tempfile.TemporaryFile(dir=cache).close()  # exists, but on a disk that cannot be written
    except OSError:
        return None
    return cache


def _hashes(cache: Path) -> dict[str, str]:
    """File name -> SHA-256 of numba's files."""
    found = {}
    for file in sorted(cache.rglob("*.nb?")):
        with contextlib.suppress(OSError):  # gone meanwhile: another process purged it
            found[str(file.relative_to(cache))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _seal(cache: Path) -> None:
    """Leave the hashes of what is there, whole or not at all. A disk that refuses costs only this check."""
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile("w", dir=cache, delete=False) as file:
        file.write("".join(f"{digest} {name}\n" for name, digest in _hashes(cache).items()))
        file.close()
        os.replace(file.name, cache / _SEAL)


def _purge_damaged(cache: Path) -> None:
    """Remove all kernels when a sealed one is not what it was; those that no process has sealed yet are let be."""
    try:
        rows = (cache / _SEAL).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    sealed = {name: digest for digest, _, name in (row.partition(" ") for row in rows)}
    now = _hashes(cache)
    if any(now.get(name, digest) != digest for name, digest in sealed.items()):
        warnings.warn(f"{cache} holds a damaged kernel; all are compiled again", stacklevel=3)
        (cache / _SEAL).unlink(missing_ok=True)
        for name in now:
            (cache / name).unlink(missing_ok=True)


def _join(cache: Path) -> None:
    """Hold a shared lock on the folder as long as this process lives; who is alone at either end may judge or seal."""
    try:
        descriptor = os.open(cache, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    if _is_alone(descriptor):
        _purge_damaged(cache)
    with contextlib.suppress(OSError):  # not all disks lock; there nothing is judged
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    atexit.register(_leave, cache, descriptor, os.getpid())


def _leave(cache: Path, descriptor: int, owner: int) -> None:
    """Seal what is there, if this is the last process; a forked child shares the lock and must not take it."""
    if os.getpid() == owner and _is_alone(descriptor):
        _seal(cache)


def _is_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def use_private_cache(sources: Path) -> None:
    """Point numba, imported or not, at a cache for the kernels in ``sources``.

    Args:
        sources: the folder of the kernels' modules.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    cache = _user_cache(_source_key(sources))
    if cache is None:  # numba insists on a place to write: one that ends with the process
        cache = Path(tempfile.mkdtemp(prefix="align-kernels-"))
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
    else:
        _join(cache)
    os.environ["NUMBA_CACHE_DIR"] = str(cache)
    numba = sys.modules.get("numba")
    if numba is not None:  # imported before us: it has read its environment already
        numba.config.CACHE_DIR = str(cache)

"""Where numba keeps compiled kernels: a directory of the user alone, named after the kernels' content.

Cached machine code is executed and its index is unpickled, so nobody else may be able to write there; and numba
sees an edit only in the file it compiles, so the name follows the content of all kernel sources. A
``NUMBA_CACHE_DIR`` set by the user is left as it is. Without a safe place in the user's home the kernels are
compiled anew in each process.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import warnings
from pathlib import Path

__all__ = ["use_private_cache"]


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
    os.environ["NUMBA_CACHE_DIR"] = str(cache)
    numba = sys.modules.get("numba")
    if numba is not None:  # imported before us: it has read its environment already
        numba.config.CACHE_DIR = str(cache)

"""Inputs and results in object stores (``s3://bucket/key``, ``gs://``, ``memory://``, ``file://``) through fsspec.

An input is copied to a private folder, one per item, and read there as any file. Results are made in such a folder
and put as whole objects. Nothing is fetched that was not asked for: a URL must lie below one that was written on
the command line. Credentials are what the store's own library finds (environment, files, roles); a URL that holds
some is refused, and what a store says about an error is never shown: it may hold a signed address.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from align.errors import InputError, ParameterError, ResourceError, UnsafeError
from pipelines.store import atomic_write, prepare_output, private_folder

__all__ = ["check_url", "fetched", "is_url", "listed", "put_results", "remove_results", "results_are"]

_STORES = ("s3", "gs", "gcs", "az", "abfs", "memory", "file", "local")
_ON_DISK = ("file", "local")
_BLOCK = 1 << 20


def is_url(text: object) -> bool:
    """Is it written as "scheme://..."?

    >>> is_url("s3://bucket/a.csv"), is_url("night/a.csv")
    (True, False)
    """
    return isinstance(text, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def check_url(url: str) -> str:
    """The URL without a slash at its end, if it may be used.

    Args:
        url: "scheme://..."

    Raises:
        ParameterError: a scheme that is no object store: nothing else is ever connected to.
        UnsafeError: E-CREDENTIALS, it holds some; E-OUTSIDE, it has "..", "." or empty parts.
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in _STORES or "::" in url:
        raise ParameterError("URL", f"{scheme}://", ", ".join(f"{one}://" for one in _STORES))
    if "@" in rest.split("/")[0]:
        hint = "take it out of the URL; the store's library reads its environment and its files"
        raise UnsafeError("E-CREDENTIALS", "a URL with credentials in it", hint=hint)
    parts = rest.strip("/").split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in rest:
        raise UnsafeError("E-OUTSIDE", "a URL with an empty part, with . or with ..")
    return url.rstrip("/")


@contextlib.contextmanager
def _named(url: str) -> Iterator[None]:
    """What a store's library raises -> an error that names the object, and tells nothing that the store said."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("E-NO-FILE", "no such object", file=url) from error
    except PermissionError as error:
        raise ResourceError("E-PERMISSION", "the store denies it", file=url) from error
    except ImportError as error:
        scheme = url.partition("://")[0]
        raise ParameterError("URL", f"{scheme}://", "what is installed here", hint='pip install "streamnotes[cloud]"'
                             " and the store's own library (s3fs, gcsfs, adlfs)") from error  # fmt: skip
    except (InputError, ParameterError, ResourceError, UnsafeError):
        raise
    except Exception as error:  # every store has exceptions of its own
        raise ResourceError("E-CLOUD", f"the store failed: {type(error).__name__}", file=url) from error


def _store(url: str) -> tuple[Any, str]:
    """The file system of a URL and the URL's key in it."""
    from fsspec.core import url_to_fs

    store, key = url_to_fs(check_url(url))
    return store, str(key)


def listed(source: str, wanted: Callable[[str], bool]) -> tuple[tuple[str, str], ...]:
    """The objects that a URL names: itself, those below it, or those that match it as a pattern.

    Args:
        source: a URL; with ``*``, ``?`` or ``[`` a pattern, in which ``*`` stays between two slashes.
        wanted: of an object's name, without what lies before it.

    Returns:
        (name relative to the source's fixed part, URL) sorted by name; empty when there are none.

    Raises:
        InputError: E-NO-FILE; ResourceError: E-CLOUD, E-PERMISSION; as ``check_url``.
    """
    source = check_url(source)
    with _named(source):
        store, key = _store(source)
        head = (
            source[: len(source) - len(key)] if source.endswith(key) else f"{source.partition('://')[0]}://"
        )
        magic = re.search(r"[*?\[]", key)
        fixed = key[: magic.start()].rpartition("/")[0] if magic else key
        if magic is None and store.isfile(key):
            return ((key.rpartition("/")[2], source),)
        found = store.find(fixed)
        if magic is not None:
            depth = key.count("/")
            found = [one for one in found if "**" in key or one.count("/") == depth]
            found = [one for one in found if fnmatch.fnmatchcase(one, key)]
        pairs = [(one[len(fixed) :].strip("/"), head + one) for one in found]
        return tuple(sorted((name, check_url(url)) for name, url in pairs if wanted(name.rpartition("/")[2])))


@contextlib.contextmanager
def fetched(url: str) -> Iterator[Path]:
    """A private copy of an object, or of the objects directly below a prefix, while the block runs.

    A header of a WFDB record comes with the objects beside it whose names begin as its own.

    Args:
        url: of ``listed``.

    Raises:
        InputError: E-NO-FILE; ResourceError: E-CLOUD, E-PERMISSION; E-NO-SPACE, it is larger than what is free.
    """
    with private_folder() as folder:
        with _named(url):
            store, key = _store(url)
            name = key.rpartition("/")[2]
            if store.isdir(key):
                keys = [one["name"] for one in store.ls(key, detail=True) if one["type"] == "file"]
                place = folder / name
                place.mkdir(mode=0o700)
            else:
                keys, place = [key], folder
                if key.lower().endswith(".hea"):
                    beside = store.ls(key.rpartition("/")[0], detail=False)
                    keys += [one for one in beside if one != key and one.startswith(key[:-3])]
            size = sum(store.size(one) or 0 for one in keys)
            disk = os.statvfs(folder)
            if size > disk.f_bavail * disk.f_frsize:
                raise ResourceError("E-NO-SPACE", f"{size:,} bytes do not fit the temporary folder",
                                    hint="TMPDIR names another one", file=url)  # fmt: skip
            for one in keys:
                copy = place / one.rpartition("/")[2]
                store.get_file(one, str(copy))
                copy.chmod(0o600)
        yield place if place != folder else folder / name


def put_results(write: Callable[[Path], None], names: Sequence[str], top: str) -> dict[str, str]:
    """Have results written to a private folder and put each as a whole object; result -> SHA-256.

    Args:
        write: writes them below a folder.
        names: of the results, relative to it.
        top: URL below which they go.

    Raises:
        ResourceError: E-CLOUD, E-PERMISSION: the store refuses; and whatever ``write`` raises.
    """
    digests = {}
    with private_folder() as folder:
        write(folder)
        for name in names:
            with (folder / name).open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        with _named(top):
            for name in names:
                store, key = _store(f"{top}/{name}")
                _put(store, folder / name, key)
    return digests


def _put(store: Any, file: Path, key: str) -> None:
    """An object store shows an object when it is whole; a disk does after a rename."""
    if _is_on_disk(store):
        prepare_output(Path(key).parent, force=True, known=())
        atomic_write(Path(key), file.read_bytes(), force=True)
    else:
        store.put_file(str(file), key)


def _is_on_disk(store: Any) -> bool:
    known = (store.protocol,) if isinstance(store.protocol, str) else store.protocol
    return any(one in _ON_DISK for one in known)


def results_are(outputs: Mapping[str, str], top: str) -> bool:
    """Are the objects still what was put?

    Args:
        outputs: result -> SHA-256.
        top: URL below which they are.

    Raises:
        ResourceError: E-CLOUD, E-PERMISSION.
    """
    for name, digest in outputs.items():
        with _named(top):
            store, key = _store(f"{top}/{name}")
            if not store.isfile(key):
                return False
            found = hashlib.sha256()
            with store.open(key, "rb") as file:
                while block := file.read(_BLOCK):
                    found.update(block)
        if found.hexdigest() != digest:
            return False
    return True


def remove_results(names: Sequence[str], top: str) -> None:
    """Take away results, those that are there.

    Args:
        names: relative to ``top``.
        top: URL below which they are; nothing else is touched.

    Raises:
        ResourceError: E-CLOUD, E-PERMISSION; UnsafeError: E-OUTSIDE, a name that leads out.
    """
    for name in names:
        with _named(top):
            store, key = _store(f"{top}/{name}")
            if store.isfile(key):
                store.rm_file(key)

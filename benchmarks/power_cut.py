"""A disk whose power is cut: what it holds then, and that a batch goes on from there to the same bytes.

The worst disk that POSIX allows is modelled: a file holds what it held when it was last synced, a folder the names that
it had then. Beside it the disk that has all names and only the synced bytes, as after a journal of metadata alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.pipelines.batches import left

__all__ = ["Disk", "cut_at_each"]

_CALLS = ("open", "write", "pwrite", "fsync", "rename", "link", "unlink", "mkdir", "ftruncate")
Tree = dict[str, bytes | None]  # path -> bytes, None for a folder


class Disk:
    """Follows the calls that change what is below a folder; what is there at the beginning is on the disk.

    Args:
        top: exists.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.data: dict[int, bytes] = {}  # number of an inode -> bytes
        self.names: dict[int, dict[str, tuple[int, bool]]] = {}  # name -> (inode, is it a folder?)
        self.states: list[Tree] = []
        for here, _, files in os.walk(top):
            self.names[os.stat(here).st_ino] = _names(here)
            self.data |= {os.stat(p).st_ino: p.read_bytes() for p in (Path(here, f) for f in files)}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """After each call inside the block, ``states`` holds what a power cut would leave, if that is new."""

        def watching(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **options: Any) -> Any:
                is_new = (
                    name == "open"
                    and given[1] & os.O_CREAT
                    and not _is_there(given[0], options.get("dir_fd"))
                )
                found = real(*given, **options)
                if name == "fsync":
                    self._synced(given[0])
                elif name == "mkdir":
                    self.names[os.stat(given[0]).st_ino] = {}
                elif is_new:
                    self.data[os.fstat(found).st_ino] = b""
                for state in (self.left(), self.left(all_names=True)):
                    if state not in self.states:
                        self.states.append(state)
                return found

            return call

        with ExitStack() as stack:
            for name in _CALLS:
                stack.enter_context(mock.patch.object(os, name, watching(name, getattr(os, name))))
            yield

    def _synced(self, descriptor: int) -> None:
        inode, path = os.fstat(descriptor).st_ino, f"/proc/self/fd/{descriptor}"
        if os.path.isdir(path):
            self.names[inode] = _names(path)
        else:
            self.data[inode] = Path(path).read_bytes()

    def left(self, *, all_names: bool = False) -> Tree:
        """What is there when the power is back.

        Args:
            all_names: folders hold the names that they have, and not those that were synced.
        """
        tree: Tree = {}
        todo = [("", os.stat(self.top).st_ino, str(self.top))]
        while todo:
            prefix, inode, here = todo.pop()
            for name, (other, is_folder) in (
                _names(here) if all_names else self.names.get(inode, {})
            ).items():
                tree[prefix + name] = None if is_folder else self.data.get(other, b"")
                if is_folder:
                    todo.append((f"{prefix}{name}/", other, f"{here}/{name}"))
        return tree


def _names(folder: str | Path) -> dict[str, tuple[int, bool]]:
    with os.scandir(folder) as found:
        return {one.name: (one.inode(), one.is_dir(follow_symlinks=False)) for one in found}


def _is_there(path: Any, folder: int | None) -> bool:
    try:
        os.stat(path, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _laid_out(tree: Tree, top: Path) -> None:
    top.mkdir()
    for name, data in sorted(tree.items()):
        if data is None:
            (top / name).mkdir()
        else:
            (top / name).write_bytes(data)


def cut_at_each(top: Path, work: Callable[[Path], object]) -> int:
    """Cut the power after each call of some work, do it again on what is left, and compare with what it leaves whole.

    Args:
        top: a folder, as it is before the work.
        work: writes below the folder that it is given; done again it goes on.

    Returns:
        How many different states were gone on from.

    Raises:
        RuntimeError: other bytes, or what was done is not all on the disk.
    """
    whole = top.with_name("whole")
    shutil.copytree(top, whole)
    work(whole)
    disk = Disk(top)
    with disk.watched():
        work(top)
    _laid_out(disk.left(), after := top.with_name("after"))
    if left(after) != left(whole):
        raise RuntimeError("a power cut after the end loses results")
    for n, state in enumerate(disk.states):
        _laid_out(state, again := top.with_name("again"))
        work(again)
        if left(again) != left(whole):
            raise RuntimeError(f"other bytes after a power cut, state {n}")
        shutil.rmtree(again)
    return len(disk.states)

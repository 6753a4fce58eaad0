"""Files that a log rotation made of one file."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

__all__ = ["rotations_of"]


def rotations_of(path: Path) -> list[Path]:
    """``NAME.1``, ``NAME-20260101`` and the like beside ``NAME``, the one last written last.

    Args:
        path: the file's name, whether or not it is there.
    """
    name = re.compile(re.escape(path.name) + r"[.-]\d[\d._-]*")
    with contextlib.suppress(OSError):
        found = [p for p in path.absolute().parent.iterdir() if name.fullmatch(p.name) and p.is_file()]
        return sorted(found, key=lambda p: p.stat().st_mtime_ns)
    return []

"""Any exception -> an AlignError that can be told, kept and sent to another process."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

from align.errors import AlignError, ResourceError

__all__ = ["as_align_error"]

_PACKAGES = ("align", "pipelines", "cli")
_ROOT = Path(__file__).parent.parent


def as_align_error(error: BaseException) -> AlignError:
    """The error as an AlignError. The text of a foreign exception is left out: it may hold patient data.

    Args:
        error: whatever was raised, ``BaseException`` included (a panic of polars is one).
    """
    if isinstance(error, AlignError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's own
        hint = "Give fewer or shorter recordings at a time, or a machine with more memory"
        return ResourceError("E-MEMORY", f"not enough memory, at {_place(error)}", hint=hint)
    if (
        isinstance(error, OSError)
        and error.errno is not None
        and error.errno not in (errno.EBADF, errno.EINVAL)
    ):
        return ResourceError("E-IO", os.strerror(error.errno), file=error.filename)
    hint = (
        "This is a fault in align, please report this line; --debug prints the traceback (it may show data)"
    )
    return AlignError("E-BUG", f"{type(error).__name__} at {_place(error)}", hint=hint)


def _place(error: BaseException) -> str:
    """File and line of our own innermost frame, relative to the packages: "align/clock.py:41"."""
    place = "a place outside align"
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(_ROOT) and file.relative_to(_ROOT).parts[0] in _PACKAGES:
            place = f"{file.relative_to(_ROOT).as_posix()}:{line}"
    return place

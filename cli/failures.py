"""Any exception -> one line on stderr and an exit code (the table is in docs/guide.md)."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import click

from align.errors import AlignError, ResourceError

__all__ = ["Reporting", "report", "report_one", "silence_stdout"]

_PACKAGES = ("align", "pipelines", "cli")
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Reporting:
    """How errors are shown: as text or JSON, with or without the traceback."""

    as_json: bool = False
    debug: bool = False


class _UsageError(AlignError):
    exit_code = 2


def report(error: BaseException, reporting: Reporting) -> int:
    """Print what a user can do about ``error`` and return the exit code.

    Args:
        error: whatever ended the command, BaseException included.
        reporting: text or JSON; with the traceback or without.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        silence_stdout()
        return 0
    if reporting.debug:
        _print("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, KeyboardInterrupt | click.Abort):
        _print("interrupted")
        return 130
    if isinstance(error, OSError):
        silence_stdout()  # what is still in its buffer could not be written and must not fail again at exit
    known = as_align_error(error)
    _print(_line(known, reporting))
    return known.exit_code


def report_one(error: AlignError) -> None:
    """Print what went wrong with one of several inputs, while the command goes on with the others.

    Args:
        error: of that input.
    """
    _print(_line(error, click.get_current_context().find_object(Reporting) or Reporting()))


def _line(error: AlignError, reporting: Reporting) -> str:
    return json.dumps(error.as_dict(), default=str) if reporting.as_json else str(error)


def as_align_error(error: BaseException) -> AlignError:
    """The error as an AlignError. The text of a foreign exception is left out: it may hold patient data."""
    if isinstance(error, AlignError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
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


def _usage(error: click.ClickException) -> AlignError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"Try '{context.command_path} --help'" if context is not None else "Try 'align --help'"
    return _UsageError("E-USAGE", " ".join(error.format_message().split()), hint=hint)


def _place(error: BaseException) -> str:
    """File and line of our own innermost frame, relative to the packages: "align/clock.py:41"."""
    place = "a place outside align"
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(_ROOT) and file.relative_to(_ROOT).parts[0] in _PACKAGES:
            place = f"{file.relative_to(_ROOT).as_posix()}:{line}"
    return place


def silence_stdout() -> None:
    """Send whatever is still to be printed on stdout nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # no descriptor behind it: nothing that could fail at exit
        return
    finally:
        os.close(nowhere)


def _print(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # stderr is closed or its disk is full: the exit code has to say it alone
        return

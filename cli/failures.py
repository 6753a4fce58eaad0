"""Any exception -> one line on stderr and an exit code (the table is in docs/guide.md)."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import dataclass

import click

from align.errors import AlignError
from pipelines.failures import as_align_error as known_error

__all__ = ["Reporting", "report", "report_one", "silence_stdout"]


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
    """The error as an AlignError: click's as a usage error, any other as ``pipelines.failures`` says."""
    if isinstance(error, click.ClickException):
        return _usage(error)
    return known_error(error)


def _usage(error: click.ClickException) -> AlignError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"Try '{context.command_path} --help'" if context is not None else "Try 'align --help'"
    return _UsageError("E-USAGE", " ".join(error.format_message().split()), hint=hint)


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

"""The console entry: one group, its commands by name, one exit code.

A command ``align NAME`` is the click command object called ``command`` in ``cli/NAME.py``; it is imported
when it is asked for, so ``align --help`` loads click alone. A command's function returns None (exit 0) or its
exit code. ``--errors`` and ``--debug`` belong to every command and may stand anywhere before a ``--``.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

from align import __version__
from cli.failures import Reporting, report

__all__ = ["COMMANDS", "Commands", "align", "main"]

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "Train on the sample sessions, align the rest, write a report to look at.",
        "inspect": "Say what was understood of files: channels, units, rates, gaps, clocks, notes.",
        "check": "Say whether files would run, from their headers and notes.",
        "run": "Align notes with streams: the span, probability and status of each note.",
        "apply": "Keep corrected links and place the other notes anew around them.",
        "segment": "Cut streams into segments and print them as a table.",
        "tokenize": "Name the segments of any number of recordings by the codes of one codebook.",
        "tokens": "Show, compare and export codebooks; measure whether they still fit.",
        "batch": "Do one job for thousands of files; name every failure, lose nothing.",
        "monitor": "Cut live streams for weeks; killed, it goes on and says nothing twice.",
        "train": "Learn from sessions what notes mean, into a model folder.",
        "eval": "Align sessions with known truth and score the answer.",
        "search": "Find the spans of recordings that a text describes.",
        "classify": "Say which of some labels each stretch of a recording is.",
        "suggest": "Say which spans a person should describe next.",
        "models": "Print a model's card: what it reads, was made from and is not for.",
        "config": "Show every setting, its value and where it came from.",
    }
)


class Commands(click.Group):
    """A group that knows its commands' names and one-line helps, and imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"cli.{cmd_name}").command
        assert isinstance(command, click.Command), f"cli.{cmd_name}.command is not a click command"
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"No such command {args[0]!r}.{_nearest(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), COMMANDS, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else f" Commands: {', '.join(COMMANDS)}."


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="align %(version)s")
@click.option("--errors", type=click.Choice(["text", "json"]), default="text", expose_value=False,
              help="How an error is printed on stderr: one line of text, or one line of JSON.")  # fmt: skip
@click.option("--debug", is_flag=True, expose_value=False,
              help="Also print the traceback of an error. It may show data from your files.")  # fmt: skip
def align() -> None:
    """Say what each free-text note refers to in continuous sensor and audio streams.

    Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 2 usage, 3 bad input, 4 some items
    failed, 5 disk, memory or permission, 6 locked, 7 refused for safety, 70 bug in align, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises.

    Args:
        arguments: what follows ``align``; None takes them from the process.
    """
    _open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    reporting = Reporting(debug=os.environ.get("ALIGN_DEBUG", "") not in ("", "0"))
    try:
        reporting, given = _global_options(given, reporting)
        if not (reporting.debug or sys.warnoptions):
            warnings.simplefilter("ignore")  # libraries' warnings are for developers; findings are for users
        code = _invoke(given, reporting)
        sys.stdout.flush()  # here, so that a full disk or a closed pipe is met like any other failure
    except BaseException as error:  # noqa: BLE001 - the process boundary; polars panics are BaseException
        code = report(error, reporting)
    return code


def _invoke(arguments: list[str], reporting: Reporting) -> int:
    instruction = os.environ.get("_ALIGN_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(align, {}, "align", "_ALIGN_COMPLETE", instruction)
    # Not Command.main(): it turns interrupts, EOFError and closed pipes into exits of its own.
    with align.make_context("align", arguments or ["--help"], obj=reporting) as context:
        result = align.invoke(context)
    return result if isinstance(result, int) else 0


def _global_options(arguments: list[str], reporting: Reporting) -> tuple[Reporting, list[str]]:
    """Take ``--debug`` and ``--errors KIND`` out of the arguments, wherever they stand."""
    rest, debug, errors = [], reporting.debug, "text"
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--debug":
            debug = True
        elif word == "--errors" or word.startswith("--errors="):
            errors = next(words, "") if word == "--errors" else word.partition("=")[2]
        else:
            rest.append(word)
    if errors not in ("text", "json"):
        raise click.UsageError(f"--errors is {errors!r}; allowed: text, json.")
    return Reporting(as_json=errors == "json", debug=debug), rest


def _open_standard_streams() -> None:
    """Make the three standard streams safe to use when closed, and printable in any locale.

    A closed descriptor 1 would otherwise be handed to the next file opened, which would receive the prints.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    if sys.stderr is None:  # print(file=None) would print on stdout
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

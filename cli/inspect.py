"""``align inspect``: what was understood of files, as a page to read or as NDJSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from align.errors import AlignError, InputError, escape_controls
from align.readers.policy import Policy
from cli.console import emit
from cli.failures import report_one
from cli.options import policy_options

__all__ = ["command"]

_CHANNELS = 6  # shown of each stream
_GAPS = 3
_PLAIN_WIDTH = 150  # columns when stdout is not a terminal


@click.command("inspect")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--notes-file", metavar="NAME", help="Notes in each session folder; the default is notes.*")
@click.option("--json", "as_json", is_flag=True, help="Print NDJSON: one line per item, then the result.")
@policy_options
def command(paths: tuple[Path, ...], notes_file: str | None, as_json: bool, policy: Policy) -> int:
    """Say what was understood of files: channels, units, rates, gaps, clocks, notes and their times.

    PATH is a session folder, a folder of session folders, a stream file or a file of notes.
    """
    from pipelines.inspecting import describe_item, items_of

    errors: list[AlignError] = []
    items = items_of(paths)
    page = None if as_json else _page()
    for item in items:
        about = describe_item(item, policy, notes_file)
        error = about.pop("error", None)
        if error is not None:
            if len(items) == 1:
                raise error
            errors.append(error)
        if page is None:
            emit({"event": "item", **about, **({} if error is None else {"error": error.as_dict()})})
        elif error is None:
            _show(page, about)
        if error is not None:
            report_one(error)
    if as_json:
        emit({"event": "result", "items": len(items), "failed": len(errors)})
    return InputError.exit_code if len(errors) == len(items) else 4 if errors else 0


def _page() -> Any:
    from rich.console import Console

    wide = None if sys.stdout.isatty() else _PLAIN_WIDTH
    return Console(file=sys.stdout, width=wide, highlight=False, emoji=False, markup=False)


def _show(page: Any, about: Mapping[str, Any]) -> None:
    """Print one block: a heading, a table of streams, the notes, what was noticed."""
    from rich.table import Table
    from rich.text import Text

    heading = Text(escape_controls(about["path"]), style="bold")
    if "streams" in about:
        heading.append(f"   {_clock(about)}", style="not bold dim")
    page.print(heading)
    if "streams" in about:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("  stream")
        for name in ("rate", "channels", "from", "to", "samples", "gaps", "lost"):
            table.add_column(name, justify="left" if name == "channels" else "right", overflow="fold")
        for stream in about["streams"]:
            table.add_row(*(Text(escape_controls(cell)) for cell in _row(stream)))
        page.print(table)
        if about["time_columns"]:
            named = ", ".join(f"{column} in {name}" for name, column in about["time_columns"].items())
            page.print(Text(f"  time   {escape_controls(named)}"))
        for stream in about["streams"]:
            if stream["gaps"]:
                page.print(Text(f"  gaps in {escape_controls(stream['name'])}: {_gaps(stream['gaps'])}"))
    if about["notes"]["count"] or "streams" in about:
        page.print(Text("  notes  " + escape_controls(_notes(about["notes"]))))
    if about.get("clocks"):
        page.print(Text(f"  clocks {escape_controls(about['clocks'])}"))
    for place, finding in _findings(about):
        mark = Text(f"  {finding['code']}", style="yellow")
        times = f" ({finding['count']:,})" if finding["count"] > 1 else ""
        page.print(mark.append(escape_controls(f"  {place}{finding['message']}{times}"), style="default"))
    page.print()


def _clock(about: Mapping[str, Any]) -> str:
    length = duration_text(about["end"] - about["start"])
    if about["clock"] == "relative":
        return f"{length}, clock relative to its start"
    return f"{length}, {about['start_time']} to {about['end_time']}"


def _row(stream: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {stream['name']}"
    yield f"{stream['rate']:.6g} Hz"
    yield _channels(stream["channels"], stream["units"])
    yield f"{stream['start']:.3f} s"
    yield f"{stream['end']:.3f} s"
    yield f"{stream['samples']:,}"
    yield str(len(stream["gaps"]))
    yield f"{100 * stream['lost'] / stream['samples']:.2f} %" if stream["lost"] else "0"


def _channels(names: list[str], units: list[str]) -> str:
    """ "acc_x, acc_y (g)": a unit is said once, behind the last of its channels."""
    parts = []
    for i, name in enumerate(names[:_CHANNELS]):
        last = i + 1 == min(len(names), _CHANNELS) or units[i + 1] != units[i]
        parts.append(f"{name} ({units[i]})" if units[i] and last else name)
    more = f" and {len(names) - _CHANNELS} more" if len(names) > _CHANNELS else ""
    return ", ".join(parts) + more


def _gaps(gaps: list[list[float]]) -> str:
    shown = ", ".join(f"{a:.3f} to {b:.3f} s ({duration_text(b - a)})" for a, b in gaps[:_GAPS])
    return shown + (f" and {len(gaps) - _GAPS} more" if len(gaps) > _GAPS else "")


def _notes(notes: Mapping[str, Any]) -> str:
    if not notes["count"]:
        return "none"
    kinds = ((notes["exact"], "timed"), (notes["interval"], "with an interval"), (notes["untimed"], "untimed"),
             (notes["empty"], "empty"), (notes["outside"], "outside the recording"))  # fmt: skip
    said = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    times = "" if notes["first"] is None else f", {notes['first']:.3f} to {notes['last']:.3f} s"
    return f"{notes['count']} in {', '.join(notes['files'])}: {said}{times}"


def _findings(about: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for stream in about.get("streams", ()):
        for finding in stream["findings"]:
            yield f"{stream['name']}: ", finding
    for finding in about["findings"]:
        yield "", finding


def duration_text(seconds: float) -> str:
    """Seconds as people say them: 4.2 s, 6 min 13 s, 8 h 02 min, 3 d 4 h.

    >>> duration_text(373.02)
    '6 min 13 s'
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"

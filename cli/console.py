"""What commands print beside their data: status lines, progress, tables and NDJSON events.

Progress and status go to stderr; progress only when stderr is a terminal. Tables and events are data: stdout.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align.errors import escape_controls

if TYPE_CHECKING:
    from align.datatypes import Finding

__all__ = ["SCHEMA", "emit", "print_table", "progress", "say", "say_findings", "staged_progress"]

SCHEMA = "align/1"


def say(line: str) -> None:
    """Print one status line on stderr, control characters escaped (names come from files).

    Args:
        line: what to say.
    """
    print(escape_controls(line), file=sys.stderr, flush=True)


def say_findings(findings: Iterable[Finding]) -> None:
    """Print what was noticed or repaired while reading, one status line each, with how often.

    Args:
        findings: of a session and its streams.
    """
    for found in findings:
        times = f" ({found.count:,})" if found.count > 1 else ""
        say(f"{found.code} {found.message}{times}")


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr while the block runs; nothing when stderr is not a terminal.

    Args:
        label: what is being done.
        total: how many steps there are; None when unknown.

    Yields:
        ``advance(steps)``: call it when steps are done.

    Example::

        with progress("training", total=epochs) as advance:
            for epoch in range(epochs):
                ...
                advance(1)
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(escape(escape_controls(label)), total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def staged_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show the progress of work in stages on stderr; nothing when stderr is not a terminal.

    Yields:
        ``tell(stage, done, total)``: a new stage, or a new start of one, sets the bar back.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda stage, done, total: bar.update(
            task, description=escape(escape_controls(stage)), completed=done, total=total
        )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their column names on stdout, aligned by spaces; numbers to the right.

    Floats are shown with three decimals, None as "-". Nothing is cut to a terminal's width.

    Args:
        columns: one name per column.
        rows: one sequence of cells per row.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numeric = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]
    for line in ([*columns], *cells):
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(padded).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else escape_controls(str(value))


def emit(event: Mapping[str, object]) -> None:
    """Print one NDJSON line on stdout and flush it: ``{"schema": "align/1", "event": ..., ...}``.

    Plain ASCII, so that it survives any locale; NaN and infinity become null; arrays become lists.

    Args:
        event: its kind under "event" (the last line of a command is the kind "result") and its fields.

    Raises:
        ValueError: the event names no kind.
    """
    if not event.get("event"):
        raise ValueError('an event needs its kind under "event"')
    line = {"schema": SCHEMA, "event": event["event"], **event}
    print(json.dumps(plain(line), allow_nan=False), flush=True)


def plain(value: Any) -> Any:
    """``value`` in JSON's own types: arrays as lists, paths as text, NaN and infinity as None.

    Args:
        value: numbers, text, mappings, sequences, numpy arrays and scalars, paths.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy, without importing it
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

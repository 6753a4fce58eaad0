"""How a training is shown on stderr: a table that grows on a terminal, a plain line an epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from align.errors import escape_controls
from cli.console import say

__all__ = ["training_display"]

_ROWS = 12  # epochs that the table shows at once
_COLUMNS = ("training", "epoch", "loss", "frames", "spans", "held out", "rate", "frames/s", "s")
Line = Mapping[str, Any]
Tell = Callable[[str, int, int], None]


@contextmanager
def training_display(*, is_shown: bool = True) -> Iterator[tuple[Tell, Callable[[Line], None]]]:
    """Show a training while the block runs.

    Args:
        is_shown: False: nothing is shown (of several processes one speaks).

    Yields:
        ``tell(stage, done, total)`` and ``show(line)``, a line of ``align.coordination.loop.journal.Journal``.
    """
    if not is_shown or sys.stderr is None:
        yield (lambda stage, done, total: None), (lambda line: None)
    elif not sys.stderr.isatty():
        yield (lambda stage, done, total: None), (lambda line: say(plain_line(line)))
    else:
        with _live_table() as both:
            yield both


def plain_line(line: Line) -> str:
    """One epoch in one line: ``final 3/30: loss 1.234, held out 1.3, 5,678 frames/s``.

    Args:
        line: of the journal.
    """
    held = "" if line["held_out"] is None else f", held out {line['held_out']:.3f}"
    done = f"{line['training']} {line['epoch']}/{line['epochs']}"
    return f"{done}: loss {line['loss']:.3f}{held}, {line['frames_per_s']:,.0f} frames/s"


def cells(line: Line) -> tuple[str, ...]:
    """One epoch as a row of the table; parts of the loss that are not there are left empty.

    Args:
        line: of the journal.
    """
    parts = line["parts"]
    frames = parts["frames"] + parts["soft"]
    return (
        str(line["training"]),
        f"{line['epoch']}/{line['epochs']}",
        f"{line['loss']:.3f}",
        f"{frames:.3f}",
        f"{parts['spans']:.3f}" if parts["spans"] else "",
        "" if line["held_out"] is None else f"{line['held_out']:.3f}",
        f"{line['learning_rate']:.1e}",
        f"{line['frames_per_s']:,.0f}",
        f"{line['seconds']:.1f}",
    )


@contextmanager
def _live_table() -> Iterator[tuple[Tell, Callable[[Line], None]]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import Progress
    from rich.table import Table

    console = Console(file=sys.stderr)
    bar = Progress(console=console)
    task = bar.add_task("", total=None)
    rows: list[tuple[str, ...]] = []

    def picture() -> Group | Progress:
        if not rows:
            return bar
        table = Table(box=None, pad_edge=False)
        for name in _COLUMNS:
            table.add_column(name, justify="left" if name == "training" else "right")
        for row in rows[-_ROWS:]:
            table.add_row(*row)
        return Group(table, bar)

    with Live(picture(), console=console, transient=True, refresh_per_second=4) as live:

        def tell(stage: str, done: int, total: int) -> None:
            bar.update(task, description=escape_controls(stage), completed=done, total=total)

        def show(line: Line) -> None:
            rows.append(cells(line))
            live.update(picture())

        yield tell, show

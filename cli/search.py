"""``align search``: the spans that a text describes, over hours of recordings."""

from __future__ import annotations

from pathlib import Path

import click

from align.readers.policy import Policy
from cli.console import emit, print_table, progress, say, say_findings
from cli.options import policy_options, recordings_argument

__all__ = ["command"]


def _span(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Seconds from "10-25.5"."""
    if value is None:
        return None
    start, _, end = value.partition("-")
    try:
        return float(start), float(end)
    except ValueError:
        raise click.BadParameter("allowed: START-END in seconds, as 10-25.5") from None


@click.command("search")
@recordings_argument
@click.argument("query")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Model folder of align train.")
@click.option("-k", "k", metavar="N", type=click.IntRange(1, 100_000), default=10, show_default=True,
              help="How many spans at most.")  # fmt: skip
@click.option("--plus", multiple=True, metavar="TEXT", help="A text to add to the query. May be repeated.")
@click.option("--minus", multiple=True, metavar="TEXT", help="A text to take away. May be repeated.")
@click.option("--like", metavar="START-END", callback=_span,
              help="A span of the first recording, in seconds, to add to the query.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per span, then the result.")
@policy_options
def command(
    sensors: tuple[Path, ...],
    query: str,
    model: Path,
    k: int,
    as_json: bool,
    policy: Policy,
    **changes: tuple[str, ...],
) -> int:
    """Find the spans that QUERY describes, the most probable first.

    Give session folders (or folders of them), or the stream files of one session. The probability is that the
    query holds about there. QUERY is any text; with --like, --plus and --minus it becomes arithmetic:
    "running" --like 10-25 --minus "walking" looks for what is to that span as running is to walking.
    """
    from align.coordination import load_coordination
    from pipelines.search import Asked, recordings, search

    if Path(query).exists():
        raise click.UsageError("The last argument is the query, in words; this is a file or folder.")
    asked = Asked(query, k=k, **changes)  # type: ignore[arg-type]
    trained = load_coordination(model)
    with progress("searching", total=len(recordings(sensors))) as advance:
        rows, result, found = search(sensors, trained, asked, policy, advance)
    say_findings(found)
    if as_json:
        for row in rows:
            emit({"event": "hit", **row})
        emit({"event": "result", **result})
        return 0
    hours = float(str(result["searched_s"])) / 3600.0
    count = f"{result['n_sessions']} recording" + "s" * (result["n_sessions"] != 1)
    say(f"{len(rows)} spans of {count}, {hours:.2f} h")
    _show(rows)
    return 0


def _show(rows: list[dict[str, object]]) -> None:
    if not rows:
        return
    absolute = any(row["start_time"] for row in rows)
    times = ("start_time", "end_time") if absolute else ("start", "end")
    columns = ("session", *times, "probability")
    print_table([name.replace("_", " ") for name in columns], [[row[c] for c in columns] for row in rows])

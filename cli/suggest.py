"""``align suggest``: which spans a person should describe next."""

from __future__ import annotations

from pathlib import Path

import click

from align.readers.policy import Policy
from cli.console import emit, print_table, progress, say, say_findings
from cli.options import policy_options

__all__ = ["command"]


@click.command("suggest")
@click.argument("sessions", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Model folder of align train.")
@click.option("-k", "k", metavar="N", type=click.IntRange(1, 100_000), default=10, show_default=True,
              help="How many spans at most.")  # fmt: skip
@click.option("--notes-file", metavar="NAME", help="Notes in each session folder; the default is notes.*")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per span, then the result.")
@policy_options
def command(
    sessions: tuple[Path, ...], model: Path, k: int, notes_file: str | None, as_json: bool, policy: Policy
) -> int:
    """Say which spans of session folders would teach the model most if a person described them.

    Gain is how many seconds, there and in what looks alike, the description would probably set right. Note numbers
    count from 1 in the order written.
    """
    from align.coordination import load_coordination
    from pipelines.suggest import suggestions

    trained = load_coordination(model)
    with progress("looking for doubt", total=None):
        rows, result, found = suggestions(sessions, trained, k, notes_file, policy)
    say_findings(found)
    if as_json:
        for row in rows:
            emit({"event": "suggestion", **row})
        emit({"event": "result", **result})
        return 0
    count = f"{result['n_sessions']} session" + "s" * (result["n_sessions"] != 1)
    say(f"{len(rows)} spans of {count} to describe next")
    if rows:
        absolute = any(row["start_time"] for row in rows)
        times = ("start_time", "end_time") if absolute else ("start", "end")
        columns = ("session", *times, "gain", "why")
        heads = [name.replace("_", " ") for name in columns[:-2]]
        print_table([*heads, "gain, s", "why"], [[_cell(row, c) for c in columns] for row in rows])
    return 0


def _cell(row: dict[str, object], column: str) -> object:
    if column == "why" and row["note"] is not None:
        return f"{row['why']} {int(str(row['note'])) + 1}"
    return row[column]

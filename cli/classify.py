"""``align classify``: which label of a list each stretch of a recording is, or none of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from align.readers.policy import Policy
from cli.console import emit, print_table, progress, say_findings
from cli.options import policy_options, recordings_argument

if TYPE_CHECKING:
    from pipelines.classify import By

__all__ = ["command"]

_NONE = "none of these"


@click.command("classify")
@recordings_argument
@click.option("--labels", required=True, metavar='"A, B, C"', help="Labels to choose from, in any words.")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Model folder of align train.")
@click.option("--by", type=click.Choice(["segments", "frames", "recording"]), default="segments",
              show_default=True, help="What gets a label.")  # fmt: skip
@click.option("--closed", is_flag=True, help=f'One of the labels is always right: no "{_NONE}".')
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per row, then the result.")
@policy_options
def command(
    sensors: tuple[Path, ...],
    labels: str,
    model: Path,
    by: str,
    closed: bool,
    as_json: bool,
    policy: Policy,
) -> int:
    """Say which of some labels each stretch of a recording is, and how probable that is.

    Give session folders (or folders of them), or the stream files of one session. The labels need not occur in
    training: they are understood as text. With --by recording: what share of the time each label takes.
    """
    from align.coordination import load_coordination
    from pipelines.classify import SCHEMA, classify_recordings, labels_of
    from pipelines.search import recordings

    names = labels_of(labels)
    trained = load_coordination(model)
    rows, findings, n_sessions = [], [], 0
    with progress("classifying", total=len(recordings(sensors))) as advance:
        kind = cast("By", by)
        answers = classify_recordings(sensors, trained, names, kind, policy, closed=closed, done=advance)
        for own, found in answers:
            say_findings(found)
            findings += [finding.as_dict() for finding in found]
            n_sessions += 1
            for row in own:
                if as_json:
                    emit({"event": "row", **row})
                else:
                    rows.append(row)
    if as_json:
        result = {"schema": SCHEMA, "labels": names, "by": by, "n_sessions": n_sessions, "findings": findings}
        emit({"event": "result", **result})
    elif by == "recording":
        _show_shares(rows, names, closed=closed)
    else:
        columns = ("session", "start", "end", "label", "probability")
        print_table(columns, [[_said(row[c], c) for c in columns] for row in rows])
    return 0


def _said(value: object, column: str) -> object:
    return _NONE if column == "label" and value is None else value


def _show_shares(rows: list[dict[str, object]], names: tuple[str, ...], *, closed: bool) -> None:
    """A row per label, a column per recording."""
    shares = [(*cast("dict[str, float]", row["probabilities"]).values(), row["none"]) for row in rows]
    said = [*names, *([] if closed else [_NONE])]
    table = [[label, *(own[i] for own in shares)] for i, label in enumerate(said)]
    print_table(["share of the time", *(str(row["session"]) for row in rows)], table)

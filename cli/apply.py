"""``align apply``: a few links corrected by a person, and the other notes placed anew around them."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import say, say_findings

__all__ = ["command"]


@click.command("apply")
@click.argument("run_folder", metavar="OUT", type=click.Path(path_type=Path))
@click.argument("corrections", metavar="CORRECTIONS.jsonl", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder to write; the default is OUT itself."
)
@click.option("--force", is_flag=True, help="Replace the earlier run in the folder.")
def command(run_folder: Path, corrections: Path, out: Path | None, force: bool) -> int:
    """Keep corrected links and place the other notes anew around them.

    OUT is what align run wrote. A line of CORRECTIONS.jsonl says where one note belongs:
    {"note": 3, "start": 12.0, "end": 15.5} in seconds, or null for both where it refers to nothing; lines may be
    copied from alignment.jsonl and changed. The inputs must be as they were. Write to another folder with -o, or
    over OUT with --force. Corrections add up: what was applied before stays.
    """
    from pipelines.apply import apply_corrections, read_run
    from pipelines.report import headline
    from pipelines.run import findings_of, write_run
    from pipelines.store import check_output

    target = run_folder if out is None else out
    earlier = read_run(run_folder)
    check_output(target, force=force)
    result, inputs, said = apply_corrections(earlier, corrections)
    write_run(
        result, target, earlier.settings,
        command=earlier.command, inputs=inputs, force=force, policy=earlier.policy,
    )  # fmt: skip
    say_findings(findings_of(result.session))
    say(f"{len(said)} corrections read; {len(result.anchors)} notes are as people said.")
    say(headline(result.alignment))
    click.echo(str(target / "alignment.jsonl"))
    click.echo(str(target / "report.html"))
    return 0

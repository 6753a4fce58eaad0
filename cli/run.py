"""``align run``: the notes of one session, placed in its streams, written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from align.readers.policy import Policy
from cli.console import say, say_findings
from cli.options import policy_options, settings_options

if TYPE_CHECKING:
    from pipelines.config import Settings

__all__ = ["command"]


@click.command("run")
@click.argument(
    "sensors", metavar="SESSION_FOLDER | SENSOR...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--notes", type=click.Path(path_type=Path), help="File of notes; in a folder the default is notes.*"
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--model", type=click.Path(path_type=Path), help="Model folder of align train.")
@click.option("--force", is_flag=True, help="Replace an earlier run in the folder.")
@settings_options("matching.method", "matching.order", "text.encoder", "training.seed", "clocks.repair")
@policy_options
def command(
    sensors: tuple[Path, ...],
    notes: Path | None,
    out: Path,
    model: Path | None,
    settings: Settings,
    policy: Policy,
    force: bool,
) -> int:
    """Say what each note refers to: from when to when, how sure, or that nothing fits.

    Give a session folder, or stream files with --notes. Without --model the streams are described in words and
    the words compared with the notes. OUT gets alignment.jsonl (one line per note), tables, run.json and
    report.html, a page to look at.
    """
    from pipelines.inputs import model_files, read_inputs
    from pipelines.report import headline
    from pipelines.run import findings_of, run_session, write_run
    from pipelines.store import check_output

    check_output(out, force=force)
    session, inputs = read_inputs(sensors, notes, policy)
    trained = None
    if model is not None:
        from align.coordination import load_coordination

        trained = load_coordination(model)
        inputs["model"] = model_files(model)
    result = run_session(session, settings, trained)
    asked = _asked(sensors, notes, out, model)
    write_run(result, out, settings, command=asked, inputs=inputs, force=force, policy=policy)
    say_findings(findings_of(result.session))
    say(headline(result.alignment))
    click.echo(str(out / "alignment.jsonl"))
    click.echo(str(out / "report.html"))
    return 0


def _asked(sensors: tuple[Path, ...], notes: Path | None, out: Path, model: Path | None) -> tuple[str, ...]:
    """The command again, for the record; settings and repairs are recorded with their own names."""
    options = {"--notes": notes, "-o": out, "--model": model}
    given = [word for name, path in options.items() if path is not None for word in (name, str(path))]
    return ("align", "run", *map(str, sensors), *given)

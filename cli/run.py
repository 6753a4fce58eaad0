"""``align run``: the notes of one session, placed in its streams, written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from align.readers.policy import Policy
from cli.console import say, say_findings
from cli.options import policy_options, settings_options

if TYPE_CHECKING:
    from align.datatypes import Session
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
@settings_options("matching.method", "matching.order", "text.encoder", "training.seed")
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
    from pipelines.report import headline
    from pipelines.run import findings_of, run_session, write_run
    from pipelines.store import check_output

    check_output(out, force=force)
    session, inputs = _read(sensors, notes, policy)
    trained = None
    if model is not None:
        from align.coordination import load_coordination

        trained = load_coordination(model)
        inputs["model"] = tuple(sorted(p for p in model.iterdir() if p.is_file()))
    result = run_session(session, settings, trained)
    write_run(result, out, settings, command=_asked(sensors, notes, out, model), inputs=inputs, force=force)
    say_findings(findings_of(session))
    say(headline(result.alignment))
    click.echo(str(out / "alignment.jsonl"))
    click.echo(str(out / "report.html"))
    return 0


def _asked(sensors: tuple[Path, ...], notes: Path | None, out: Path, model: Path | None) -> tuple[str, ...]:
    """The command again, for the record; settings and repairs are recorded with their own names."""
    options = {"--notes": notes, "-o": out, "--model": model}
    given = [word for name, path in options.items() if path is not None for word in (name, str(path))]
    return ("align", "run", *map(str, sensors), *given)


def _read(
    sensors: tuple[Path, ...], notes: Path | None, policy: Policy
) -> tuple[Session, dict[str, tuple[Path, ...]]]:
    """The session, and its files by role."""
    from align.errors import ParameterError
    from align.readers import read_session, session_files, session_of
    from pipelines.train import files_by_role

    if len(sensors) == 1 and sensors[0].is_dir():
        if notes is None or notes.parent == Path() or notes.resolve().parent == sensors[0].resolve():
            name = None if notes is None else notes.name
            session = read_session(sensors[0], notes_file=name, policy=policy)
            return session, files_by_role(*session_files(sensors[0], name))
        files = tuple(session_files(sensors[0])[0])
    elif any(p.is_dir() for p in sensors):
        raise ParameterError(
            "SENSOR", "several paths with a folder among them", "one session folder, or files"
        )
    else:
        files = sensors
    session = session_of(files, notes, policy)
    return session, files_by_role(files, notes)

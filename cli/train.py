"""``align train``: sessions in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from align.readers.policy import Policy
from cli.console import say, staged_progress
from cli.options import policy_options, settings_options

if TYPE_CHECKING:
    from pipelines.config import Settings

__all__ = ["command"]


@click.command("train")
@click.argument("sessions", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Model folder to write.")
@click.option("--notes-file", metavar="NAME", help="Notes in each session folder; the default is notes.*")
@click.option(
    "--truth-file", metavar="NAME", help="True spans in each folder; without it truth is never opened."
)
@click.option("--force", is_flag=True, help="Replace a model in the folder.")
@settings_options("training.preset", "training.epochs", "training.device", "training.seed", "text.encoder")
@policy_options
def command(
    sessions: tuple[Path, ...],
    out: Path,
    notes_file: str | None,
    truth_file: str | None,
    settings: Settings,
    policy: Policy,
    force: bool,
) -> int:
    """Learn what notes mean from session folders (or folders of them).

    With --truth-file from true spans; without, from the notes alone: from their times, or only their order.
    """
    from pipelines.run import findings_of
    from pipelines.store import check_output
    from pipelines.train import (
        MODEL_FILES,
        TrainingFacts,
        input_files,
        read_sessions,
        train_model,
        write_model,
    )

    check_output(out, force=force, known=MODEL_FILES)
    read = read_sessions(sessions, notes_file=notes_file, truth_file=truth_file, policy=policy)
    inputs = input_files(sessions, notes_file, truth_file)
    with staged_progress() as tell:
        model, seconds = train_model(read, settings, tell)
    names = {"--notes-file": notes_file, "--truth-file": truth_file}
    options = [word for name, value in names.items() if value is not None for word in (name, value)]
    asked = ("align", "train", *map(str, sessions), "-o", str(out), *options)
    found = [finding for session in read for finding in findings_of(session)]
    write_model(model, out, settings, TrainingFacts(asked, inputs, found, seconds), force=force)
    source = "true spans" if truth_file else "notes"
    count = f"{len(read)} session" + "s" * (len(read) > 1)
    say(f"learned from {source} of {count} in {seconds:.1f} s; text encoder {model.encoder.name}")
    click.echo(str(out))
    return 0

"""``align train``: sessions in, a model folder out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align.readers.policy import Policy
from cli.console import say
from cli.options import policy_options, settings_options
from cli.training_table import training_display

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
@click.option(
    "--checkpoint-every",
    "every",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Keep a checkpoint in the model folder every N steps.",
)
@click.option(
    "--resume", is_flag=True, help="Go on from the checkpoints in the model folder, if there are any."
)
@click.option(
    "--start-from",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Begin with the trunk of another model's encoder.",
)
@click.option(
    "--tensorboard", type=click.Path(path_type=Path), metavar="FOLDER", help="Also write TensorBoard events."
)
@settings_options("training.preset", "training.epochs", "training.device", "training.seed", "text.encoder")
@policy_options
def command(
    sessions: tuple[Path, ...],
    out: Path,
    notes_file: str | None,
    truth_file: str | None,
    settings: Settings,
    policy: Policy,
    **asked: Any,
) -> int:
    """Learn what notes mean from session folders (or folders of them), or from one folder of shards.

    With --truth-file from true spans; without, from the notes alone: from their times, or only their order. Shards
    (of align batch --job prepare) hold their true spans, and need not fit into memory.
    """
    from pipelines.run import findings_of
    from pipelines.shards import only_shards
    from pipelines.tensorboard import tensorboard_lines
    from pipelines.train import (
        MODEL_FILES,
        TrainingFacts,
        input_files,
        read_sessions,
        train_model,
        train_stored,
        trunk_of,
        write_model,
    )
    from pipelines.training_folder import Keeping, check_training_folder, leads, training_journal

    keeping = Keeping(asked["every"], asked["resume"], asked["force"])
    if leads():
        check_training_folder(out, keeping, MODEL_FILES)
    shards = only_shards(sessions, notes_file, truth_file)
    if shards is None:
        read = read_sessions(sessions, notes_file=notes_file, truth_file=truth_file, policy=policy)
        inputs = input_files(sessions, notes_file, truth_file)
    else:
        read, inputs = [], shards.inputs
    trunk = None if asked["start_from"] is None else trunk_of(asked["start_from"])
    with (
        tensorboard_lines(asked["tensorboard"] if leads() else None) as event,
        training_display(is_shown=leads()) as (tell, show),
        training_journal(out, keeping, MODEL_FILES, (event, show)) as (journal, lines),
    ):
        if shards is None:
            model, seconds = train_model(read, settings, tell, journal, trunk)
        else:
            model, seconds = train_stored(shards.stored, settings, tell, journal, trunk)
        names = {"--notes-file": notes_file, "--truth-file": truth_file}
        if asked["start_from"] is not None:
            names["--start-from"] = str(asked["start_from"])
        options = [word for name, value in names.items() if value is not None for word in (name, value)]
        words = ("align", "train", *map(str, sessions), "-o", str(out), *options)
        own = [finding for session in read for finding in model.findings(session)]
        found = [*(finding for session in read for finding in findings_of(session)), *own]
        facts = TrainingFacts(words, inputs, found, seconds, lines)
        write_model(model, out, settings, facts, force=keeping.force or keeping.is_wanted)
    if leads():
        source = "true spans" if truth_file or shards else "notes"
        number = len(read) if shards is None else len(shards.stored)
        count = f"{number} session" + "s" * (number > 1)
        if shards is not None and shards.n_failed:
            say(f"W-SHARDS {shards.n_failed} sessions failed when shards were made, and are left out")
        say(f"learned from {source} of {count} in {seconds:.1f} s; text encoder {model.encoder.name}")
        for line, times in Counter(f"{f.code} {f.message}" for f in own).items():
            say(f"{line} (in {times} of {len(read)} sessions)")
        click.echo(str(out))
    return 0

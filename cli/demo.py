"""``align demo``: the main job on the sample sessions, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import print_table, say, staged_progress
from cli.options import settings_options

if TYPE_CHECKING:
    from pipelines.config import Settings

__all__ = ["command"]


@click.command("demo")
@click.option("-o", "--out", default="demo_out", show_default=True, type=click.Path(path_type=Path),
              help="Folder to write.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an earlier demo in the folder.")
@settings_options("training.device", "training.seed", "text.encoder")
def command(out: Path, settings: Settings, force: bool) -> int:
    """Train on four sample sessions, align two others, and compare what was learned with the baselines.

    The two sessions are of people that were not trained on, their notes worded differently. The folder gets the
    model and, for both sessions, the alignment and report.html; nothing is opened.
    """
    from pipelines.demo import ALIGNED, TRAINED_ON, run_demo

    with staged_progress() as tell:
        result = run_demo(out, settings, force=force, tell=tell)
    first = next(iter(result.scores.values()))
    people = f"trained on {', '.join(TRAINED_ON)}; aligned {', '.join(ALIGNED)}: {first['n_notes']} notes"
    say(f"{people}, two of them about nothing in the recordings")
    print_table(
        ["method", "mean IoU", "recall@0.5", "median start error s", "without span", "foreign rejected"],
        [
            [
                name,
                s["mean_iou"],
                s["recall_at_0.5"],
                s["median_abs_start_error_s"],
                s["unmatched"],
                s["foreign_rejected"],
            ]
            for name, s in result.scores.items()
        ],
    )
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items())
    say(f"{stages}; {sum(result.seconds.values()):.1f} s in all")
    for report in result.reports:
        click.echo(str(report))
    return 0

"""``align eval``: align sessions whose truth is known, and score the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align.readers.policy import Policy
from cli.console import emit, print_table, progress, say
from cli.options import policy_options, settings_options

if TYPE_CHECKING:
    from pipelines.config import Settings

__all__ = ["command"]

_SHOWN = (
    ("mean_iou", "mean intersection over union"),
    ("recall_at_0.5", "recall at IoU 0.5"),
    ("recall_at_0.7", "recall at IoU 0.7"),
    ("median_abs_start_error_s", "median start error, s"),
    ("mean_abs_start_error_s", "mean start error, s"),
    ("ece", "expected calibration error"),
    ("brier", "Brier score of the probabilities"),
    ("unmatched", "notes without a span"),
    ("foreign_rejected", "foreign notes without a span"),
    ("foreign_precision", "unmatched notes that are foreign"),
    ("foreign_recall", "foreign notes that are unmatched"),
    ("foreign_auc", "foreign notes told apart (AUC)"),
)


@click.command("eval")
@click.argument("sessions", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="Model folder of align train; none: captions.")
@click.option("--notes-file", metavar="NAME", help="Notes in each session folder; the default is notes.*")
@click.option("--truth-file", metavar="NAME", default="truth.csv", show_default=True,
              help="True spans, one row per note, in the same order.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
@settings_options("matching.method", "matching.order", "text.encoder")
@policy_options
def command(
    sessions: tuple[Path, ...],
    model: Path | None,
    notes_file: str | None,
    truth_file: str,
    settings: Settings,
    policy: Policy,
    as_json: bool,
) -> int:
    """Align the notes of session folders and score them row by row against true spans.

    Alignment never sees the truth. --method dtw or equal-slices scores a baseline on the same notes.
    """
    from pipelines.evaluate import evaluate
    from pipelines.train import read_sessions

    read = read_sessions(sessions, notes_file=notes_file, truth_file=truth_file, policy=policy)
    trained = None
    if model is not None:
        from align.coordination import load_coordination

        trained = load_coordination(model)
    method = settings.config.matching.method
    with progress("aligning", total=len(read)) as advance:
        result = evaluate(read, method, settings.config, trained, advance)
    if as_json:
        emit({"event": "result", **result})
        return 0
    _show(result)
    return 0


def _show(result: dict[str, Any]) -> None:
    sessions = f"{result['n_sessions']} session" + "s" * (result["n_sessions"] > 1)
    say(f"{result['n_notes']} notes of {sessions}, method {result['method']}")
    print_table(["measure", "value"], [[words, result[key]] for key, words in _SHOWN])
    print()
    print_table(["label", "mean IoU"], [[label, value] for label, value in result["per_label"].items()])
    print()
    rows = [[row["probability"], row["share"], row["n_notes"]] for row in result["reliability"]]
    print_table(["probability", "came true", "notes"], rows)
    if "retrieval" in result:
        print()
        print_table(["other uses of the model", "value"], [[words, value] for words, value in _uses(result)])


def _uses(result: dict[str, Any]) -> list[tuple[str, float | None]]:
    rows: list[tuple[str, float | None]] = []
    for direction, words in (("text_to_span", "text to span"), ("span_to_text", "span to text")):
        found = result["retrieval"][direction]
        rows += [(f"{words}: a right one of {found['n_items']} comes first", found["recall_at_1"])]
        rows += [(f"{words}: mean reciprocal rank", found["mrr"])]
    search = result["search"]
    rows += [("search: spans found", search["r_precision"]), ("search: calibration error", search["ece"])]
    if "zero_shot" in result:
        zero = result["zero_shot"]
        rows += [
            (f"frames: macro-F1 of {zero['n_labels']} labels' own words", zero["macro_f1"]),
            ("frames: accuracy of the same", zero["accuracy"]),
            ("frames: accuracy of the most frequent label", zero["majority"]),
        ]
    return rows

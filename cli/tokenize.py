"""``align tokenize``: any number of recordings as named tokens, by one codebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align.readers.policy import Policy
from cli.console import emit, print_table, say, say_findings, staged_progress
from cli.failures import report_one
from cli.options import policy_options, recordings_argument

if TYPE_CHECKING:
    from pipelines.tokenize import Tokenized

__all__ = ["command"]


def _codes(ctx: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """A number, or None for "auto"."""
    if value == "auto":
        return None
    if not value.isdecimal() or not 1 <= int(value) <= 4096:
        raise click.BadParameter("allowed: 1 to 4096, or auto")
    return int(value)


@click.command("tokenize")
@recordings_argument
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the tokens.")
@click.option("--codebook", metavar="BOOK", type=click.Path(path_type=Path),
              help="Use this codebook; without it, one is made and written beside the tokens.")  # fmt: skip
@click.option("--codes", "n_codes", metavar="N|auto", default="64", show_default=True, callback=_codes,
              help="How many codes a new codebook has for each kind of stream.")  # fmt: skip
@click.option("--keep-ids", "keep", metavar="BOOK", type=click.Path(path_type=Path),
              help="Make a new codebook whose codes keep the numbers and names of this one.")  # fmt: skip
@click.option("--levels", type=click.IntRange(0, 16), default=0, show_default=True,
              help="Levels of finer codes for what a code leaves over.")  # fmt: skip
@click.option(
    "--joint", is_flag=True, help="Also one lane of joint tokens for recordings of several streams."
)
@click.option("--merge", is_flag=True, help="Neighbouring tokens of one code as one.")
@click.option("--jsonl", is_flag=True, help="Also write tokens.jsonl.")
@click.option("--per-hour", type=float, metavar="N", help="About how many segments per recorded hour.")
@click.option("--hop", type=click.FloatRange(0.01, 3600), default=0.25, show_default=True,
              help="Seconds per frame with which streams are cut.")  # fmt: skip
@click.option("--no-captions", is_flag=True, help="Name codes by their features alone, which is faster.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True,
              help="Processors to use; the result is the same to the last byte.")  # fmt: skip
@click.option("--device", metavar="NAME", default="cpu", show_default=True,
              help="Where a codebook is fitted: cpu, cuda, cuda:N, or auto, a card where there is one.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything random."
)
@click.option("--force", is_flag=True, help="Replace tokens that are there already.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
@policy_options
def command(
    sensors: tuple[Path, ...], output: Path, force: bool, as_json: bool, policy: Policy, **asked: Any
) -> int:
    """Cut recordings into segments and name each by a code: tokens.parquet, with the codebook beside it.

    Each session folder and each single file is a recording. Memory is that of the longest recording, or of a
    block of a long Parquet file, however many there are. A recording that fails is named on stderr and the others
    are still done.
    """
    from pipelines.tokenize import tokenize_recordings

    wanted = _wanted(asked)
    with staged_progress() as tell:
        found = tokenize_recordings(sensors, output, wanted, policy, force=force, tell=tell)
    for error in found.errors:
        report_one(error)
    say_findings(found.findings)
    for drift in found.drifts:
        say(drift.verdict)
    if as_json:
        emit({"event": "result", **_result(found)})
    else:
        print_table(
            ["stream", "codes", "segments", "hours", "version", "codebook"],
            [[b.stream, len(b.counts), int(b.counts.sum()), float(b.seconds.sum()) / 3600, b.version, b.hash[:12]]
             for b in found.books],
        )  # fmt: skip
        say(
            f"{found.n_tokens:,} tokens of {found.n_recordings} recordings, {found.seconds / 3600:.2f} h of streams"
        )
    return 4 if found.errors else 0


def _wanted(asked: dict[str, Any]) -> Any:
    from align.tokens.saved import load_books, load_joints
    from pipelines.config import SegmentationConfig
    from pipelines.token_books import Wanted

    book, keep, per_hour = asked.pop("codebook"), asked.pop("keep"), asked.pop("per_hour")
    if book is not None and keep is not None:
        raise click.UsageError("--codebook uses a codebook and --keep-ids makes a new one: give one of them.")
    if book is not None and asked["levels"]:
        raise click.UsageError("--levels belong to a new codebook; one that has them writes them by itself.")
    given = book or keep
    return Wanted(
        books=None if book is None else load_books(book),
        keep=None if keep is None else load_books(keep),
        joints={} if given is None else load_joints(given),
        how=SegmentationConfig() if per_hour is None else SegmentationConfig(per_hour=per_hour),
        captions=not asked.pop("no_captions"),
        **asked,
    )


def _result(found: Tokenized) -> dict[str, object]:
    from pipelines.tokens import book_rows

    return {
        "n_recordings": found.n_recordings,
        "n_failed": len(found.errors),
        "n_tokens": found.n_tokens,
        "seconds": round(found.seconds, 6),
        "books": book_rows(found.books),
        "kept": [len(m.pairs) for m in found.mappings],
        "drift": [
            {"beyond": d.beyond_all, "moved": d.moved, "is_far": d.is_far, "n_segments": int(d.counts.sum())}
            for d in found.drifts
        ],
    }

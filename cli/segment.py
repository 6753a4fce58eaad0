"""``align segment``: cut streams into segments and print them as a table, with a code for each."""

from __future__ import annotations

import csv
import io
import math
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align.errors import AlignError, ParameterError, UnsafeError, escape_controls
from align.readers.policy import Policy
from cli.failures import report_one
from cli.options import policy_options

if TYPE_CHECKING:
    from align.answers import TokenSequence
    from align.datatypes import Segmentation, Stream

__all__ = ["command"]


def _price(value: str) -> float | str:
    """A number, or a word: ``segment`` says which words it knows."""
    try:
        return float(value)
    except ValueError:
        return value


def _spans(value: str) -> list[tuple[float, float]]:
    """Pairs of seconds from "10-20.5,60-75", or from the columns start and end of a file."""
    if Path(value).is_file():
        with open(value, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        pairs = [(row.get("start") or "", row.get("end") or "") for row in rows]
    else:
        pairs = [tuple(part.split("-")) for part in value.split(",")]  # type: ignore[misc]
    try:
        return [(float(start), float(end)) for start, end in pairs]
    except (ValueError, TypeError):
        raise click.BadParameter(
            "allowed: START-END,START-END in seconds, or a CSV file with the columns start and end"
        ) from None


@dataclass(frozen=True, slots=True)
class _Cutting:
    """What is asked of every stream."""

    method: str
    penalty: float | str
    per_hour: float | None
    n_segments: int | None
    like: list[tuple[float, float]] | None
    min_duration: float | None
    features: bool
    explain: bool


@click.command("segment")
@click.argument("sensors", metavar="SENSOR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="-",
    show_default=True,
    help="Where the table goes; - is stdout.",
)
@click.option(
    "--method",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="l2 (level), meanvar (level and spread), trend, shape (a recurring pattern), l1, huber, rank, kernel, "
    "poisson, ar, ...; binary:, seeded:, bottom-up: or window: before a cost; ruptures:NAME.",
)
@click.option(
    "--penalty",
    type=_price,
    metavar="auto|NUMBER",
    default="auto",
    show_default=True,
    help="Price of one more change point; a number is taken in the data's own units, squared.",
)
@click.option("--per-hour", type=float, metavar="N", help="About how many segments per recorded hour.")
@click.option("--n-segments", type=int, metavar="N", help="How many segments a stream has.")
@click.option(
    "--like",
    type=_spans,
    metavar="SPANS",
    help="Segments as they should be: START-END,START-END in seconds, or a CSV file with start and end.",
)
@click.option("--min-duration", type=float, metavar="S", help="Least seconds of a segment.")
@click.option(
    "--features",
    is_flag=True,
    help="Cut frames of features (movement, rhythm, sound bands) instead of the samples.",
)
@click.option("--explain", is_flag=True, help="Say on stderr how each stream was cut, and why so.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@policy_options
def command(sensors: tuple[Path, ...], output: str, force: bool, policy: Policy, **cutting: Any) -> int:
    """Cut streams into segments: stream, start, end (seconds) and code, one row each, as CSV.

    Segments of one stream with the same code are alike; codes are made for each stream on its own. A file
    that fails is named on stderr and the others are still done.
    """
    target = None if output == "-" else Path(output)
    if target is not None and os.path.lexists(target) and not force:  # said before the work, not after it
        raise UnsafeError("E-EXISTS", "exists already", hint="--force replaces it", file=target)
    tokens: list[tuple[Path, TokenSequence]] = []
    errors: list[AlignError] = []
    for path in sensors:
        try:
            tokens += [(path, sequence) for sequence in _tokens_of(path, policy, _Cutting(**cutting))]
        except ParameterError:
            raise  # the same for every file
        except AlignError as error:
            if len(sensors) == 1:
                raise
            errors.append(error)
            report_one(error)
    if len(errors) == len(sensors):
        return errors[0].exit_code
    table = _table(tokens)
    if target is None:
        sys.stdout.write(table)
    else:
        from pipelines.store import atomic_write

        atomic_write(target, table, force=force)
    return 4 if errors else 0


def _tokens_of(path: Path, policy: Policy, cutting: _Cutting) -> list[TokenSequence]:
    """The coded segments of every stream of a file."""
    from align.readers import read_streams

    streams = read_streams(path, policy)  # before the rest is loaded: reading needs the most memory
    from align.features import featurize
    from align.segmentation import segment
    from align.tokens import fit_and_tokenize

    sequences = []
    for stream in streams:
        frames = featurize(stream) if cutting.features else stream
        segments = segment(
            frames,
            method=cutting.method,
            penalty=cutting.penalty,
            per_hour=cutting.per_hour,
            n_segments=cutting.n_segments,
            like=cutting.like,
            min_duration=cutting.min_duration,
        )
        if cutting.explain:
            print(_explained(frames, segments, cutting), file=sys.stderr)
        sequences.append(fit_and_tokenize(frames, segments)[1])
    return sequences


def _explained(stream: Stream, segments: Segmentation, cutting: _Cutting) -> str:
    from align.segmentation import choose_method

    parts = [f"{stream.name}: {segments.n_segments} segments by {segments.method}"]
    if cutting.method == "auto":
        parts.append(choose_method(stream, cutting.penalty).why)
    if not math.isnan(segments.penalty):
        parts.append(f"penalty {segments.penalty:.4g}")
    return escape_controls("; ".join(parts))


def _table(tokens: list[tuple[Path, TokenSequence]]) -> str:
    """CSV with a header; a stream's name that occurs in more than one file gets the file before it."""
    times = Counter(sequence.stream for _, sequence in tokens)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("stream", "start", "end", "code"))
    for path, sequence in tokens:
        name = sequence.stream if times[sequence.stream] == 1 else f"{path}:{sequence.stream}"
        name = _inert(name)
        for (start, end), code in zip(sequence.spans.tolist(), sequence.codes.tolist(), strict=True):
            rows.writerow((name, _seconds(start), _seconds(end), code))
    return out.getvalue()


def _seconds(value: float) -> str:
    """Nanoseconds at most, no zeros behind: 0.25, 3600."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula, on one line."""
    shown = escape_controls(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown

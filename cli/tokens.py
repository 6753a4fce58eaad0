"""``align tokens``: look at codebooks: what is in one, which code of another it is, whether it still fits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align.errors import UnsafeError, escape_controls
from align.readers.policy import Policy
from cli.console import emit, print_table, say, say_findings, staged_progress
from cli.failures import report_one
from cli.options import policy_options

if TYPE_CHECKING:
    from align.tokens.saved import Book

__all__ = ["command"]

_BOOK = click.argument("book", type=click.Path(path_type=Path))
_SENSORS = {"metavar": "RECORDING...", "nargs": -1, "type": click.Path(path_type=Path)}
_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON per row, then the result."
)


@click.group("tokens")
def command() -> None:
    """Look at codebooks: show, compare and export them, and measure whether they still fit."""


@command.command("show")
@_BOOK
@click.option(
    "--plot", metavar="FILE", type=click.Path(path_type=Path), help="Draw the codes: a .html or .svg file."
)
@click.option("--drift", "recordings", metavar="PATH", multiple=True, type=click.Path(path_type=Path),
              help="Also say how far a recording falls from the codebook. May be repeated.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@_JSON
@policy_options
def show(
    book: Path,
    plot: Path | None,
    recordings: tuple[Path, ...],
    force: bool,
    as_json: bool,
    policy: Policy,
) -> int:
    """Show the codes of a codebook: name, segments, share of the time, and where a code is most typical.

    The sparkline is the middle of that segment, in the channel that changes most.
    """
    from align.tokens.saved import load_books
    from pipelines.tokens import book_rows, code_rows_of

    if plot is not None:
        _check_target(plot, (".html", ".svg"), force)
    books = load_books(book)
    if plot is not None:
        _draw(books, plot, force)
    rows = [row for one in books for row in code_rows_of(one)]
    if as_json:
        for row in rows:
            emit({"event": "code", **row})
    else:
        for about, one in zip(book_rows(books), books, strict=True):
            _print_book(about, code_rows_of(one))
    code = _drift(books, recordings, policy, as_json) if recordings else 0
    if as_json and not recordings:
        emit({"event": "result", "books": book_rows(books)})
    return code


def _print_book(about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    hours = about["seconds"] / 3600
    segments = f"{about['n_codes']} codes of {about['n_segments']:,} segments, {hours:.2f} h"
    click.echo(
        f"{escape_controls(about['stream'])}: {segments}, version {about['version']}, {about['hash'][:12]}"
    )
    print_table(
        ["code", "name", "segments", "% of time", "typical in", "from, s", "to, s", ""],
        [
            [
                r["code"],
                r["name"],
                r["count"],
                100 * r["share"],
                _where(r),
                r["start"],
                r["end"],
                r["sparkline"],
            ]
            for r in rows
        ],
    )


def _where(row: dict[str, Any]) -> str | None:
    """The recording of a medoid, and its stream where the recording's name does not say it."""
    recording: str | None = row["recording"]
    if recording is None or Path(recording).stem == row["in_stream"]:
        return recording
    return f"{recording}:{row['in_stream']}"


def _draw(books: tuple[Book, ...], plot: Path, force: bool) -> None:
    from pipelines.code_plot import book_page, book_svg
    from pipelines.store import atomic_write

    drawn = book_page(books) if plot.suffix.lower() == ".html" else book_svg(books) + "\n"
    atomic_write(plot, drawn, force=force)
    say(f"wrote {plot}")


def _check_target(path: Path, suffixes: tuple[str, ...], force: bool) -> None:
    """Said before the work, not after it."""
    if path.suffix.lower() not in suffixes:
        raise click.UsageError(f"{path.name!r} ends in {path.suffix!r}; allowed: {', '.join(suffixes)}.")
    if os.path.lexists(path) and not force:
        raise UnsafeError("E-EXISTS", "exists already", hint="--force replaces it", file=path)


@command.command("drift")
@_BOOK
@click.argument("recordings", required=True, **_SENSORS)  # type: ignore[arg-type]
@_JSON
@policy_options
def drift(book: Path, recordings: tuple[Path, ...], as_json: bool, policy: Policy) -> int:
    """Say how far recordings fall from a codebook, code by code.

    "beyond" is the share of a code's segments beyond the distance that held 99 % when the codebook was made, "place"
    where their median distance lies among those of then: 0.5 when nothing changed, 1 when farther than any.
    """
    from align.tokens.saved import load_books

    return _drift(load_books(book), recordings, policy, as_json)


def _drift(books: tuple[Book, ...], recordings: tuple[Path, ...], policy: Policy, as_json: bool) -> int:
    from pipelines.tokens import drift_rows, measure_drifts

    with staged_progress() as tell:
        drifts, errors, findings = measure_drifts(recordings, books, policy, tell)
    for error in errors:
        report_one(error)
    say_findings(findings)
    pairs = [(book, found) for book, found in zip(books, drifts, strict=True) if found is not None]
    for book, found in pairs:
        rows = drift_rows(book, found)
        if as_json:
            for row in rows:
                emit({"event": "drift", **row})
            continue
        click.echo(f"{escape_controls(book.stream)}: {found.verdict}")
        print_table(
            ["code", "name", "segments", "% then", "% now", "beyond", "place"],
            [[r["code"], r["name"], r["count"], 100 * r["share_before"], 100 * r["share_now"], r["beyond"], r["place"]]
             for r in rows],
        )  # fmt: skip
    if as_json:
        said = [{"stream": b.stream, "n_segments": int(d.counts.sum()), "beyond": d.beyond_all, "moved": d.moved,
                 "is_far": d.is_far} for b, d in pairs]  # fmt: skip
        emit({"event": "result", "drift": said, "n_failed": len(errors)})
    return 4 if errors else 0


@command.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.argument("recordings", **_SENSORS)  # type: ignore[arg-type]
@_JSON
@policy_options
def diff(old: Path, new: Path, recordings: tuple[Path, ...], as_json: bool, policy: Policy) -> int:
    """Say which code of the codebook OLD is which of NEW.

    With recordings, codes are the same that get the same stretches of time: "overlap" is 1 where always. Without,
    codes are the same whose centroids are (of a codebook made with --keep-ids OLD, those of one number): "distance"
    is in robust standard deviations of the features.
    """
    from pipelines.tokens import compare_books, mapping_rows

    with staged_progress() as tell:
        pairs = compare_books(old, new, recordings, policy, tell)
    for compared in pairs:
        rows, mapping = mapping_rows(compared), compared.mapping
        if as_json:
            for row in rows:
                emit({"event": "mapping", **row})
            continue
        same = "the same codes" if mapping.is_identity else f"{len(mapping.pairs)} codes map"
        lost = f"{mapping.gone.size} are gone, {mapping.fresh.size} are new"
        if compared.new.parent == compared.old.hash:
            lost += f"; NEW is version {compared.new.version} of OLD, codes keep their numbers"
        click.echo(f"{escape_controls(compared.old.stream)}: {same}, {lost}")
        names = ["old", "old_name", "new", "new_name", mapping.by]
        print_table([n.replace("_", " ") for n in names], [[r[n] for n in names] for r in rows])
    if as_json:
        said = [{"stream": c.old.stream, "by": c.mapping.by, "n_same": len(c.mapping.pairs),
                 "n_gone": int(c.mapping.gone.size), "n_new": int(c.mapping.fresh.size),
                 "is_identity": c.mapping.is_identity} for c in pairs]  # fmt: skip
        emit({"event": "result", "mappings": said})
    return 0


@command.command("export")
@_BOOK
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path),
              help="A .csv, .json or .parquet file.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def export(book: Path, output: Path, force: bool) -> int:
    """Write every code with its counts, radii, typical segment and centroid in the features' own units."""
    from align.tokens.saved import load_books
    from pipelines.store import atomic_write
    from pipelines.tokens import export_bytes

    _check_target(output, (".csv", ".json", ".parquet"), force)
    atomic_write(output, export_bytes(load_books(book), output.suffix.lower()[1:]), force=force)
    say(f"wrote {output}")
    return 0

"""Codebook files as tables: what is in them, how two of them map, how far recordings fall from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding
from align.errors import AlignError, InputError, ParameterError
from align.readers import Policy
from align.tokens.drift import Drift
from align.tokens.mapping import CodeMapping, map_by_distance, map_by_number, map_by_overlap
from align.tokens.saved import QUANTILES, Book, load_books
from align.writers import parquet_bytes
from pipelines.token_books import Tell, Wanted, coded, drifts_of, quiet
from pipelines.token_parts import Sample, find_recordings
from pipelines.tokenize import described_parts

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Compared",
    "book_rows",
    "channel_ranges",
    "code_rows_of",
    "compare_books",
    "drift_rows",
    "export_bytes",
    "mapping_rows",
    "measure_drifts",
    "sparkline",
]

_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK = 24  # characters
_MOST_ROWS = 200_000  # segments by which two codebooks are compared
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two books of one kind of stream, and which code of the one is which of the other."""

    old: Book
    new: Book
    mapping: CodeMapping


def book_rows(books: Sequence[Book]) -> list[Row]:
    """What each book of a file is, as plain values.

    Args:
        books: of one file.
    """
    return [
        {
            "stream": book.stream,
            "modality": book.modality,
            "channels": list(book.channels),
            "units": list(book.units),
            "n_codes": len(book.counts),
            "n_segments": int(book.counts.sum()),
            "seconds": round(float(book.seconds.sum()), 3),
            "hop": book.hop,
            "n_levels": len(book.residual),
            "version": book.version,
            "hash": book.hash,
            "parent": book.parent or None,
        }
        for book in books
    ]


def code_rows_of(book: Book) -> list[Row]:
    """One row per code, as plain values: what it is called, how often it was seen, and where it looks typical.

    Args:
        book: as made.
    """
    rows = []
    for code, name in enumerate(book.codebook.names):
        medoid = book.medoids[code]
        rows.append(
            {
                "stream": book.stream,
                "code": code,
                "name": name,
                "count": int(book.counts[code]),
                "seconds": round(float(book.seconds[code]), 6),
                "share": round(float(book.shares[code]), 6),
                "radius": _number(book.radii[code, QUANTILES.index(0.99)]),
                "recording": None if medoid is None else medoid.recording,
                "in_stream": None if medoid is None else medoid.stream,
                "start": None if medoid is None else round(medoid.start, 6),
                "end": None if medoid is None else round(medoid.end, 6),
                "sparkline": sparkline(book, code),
            }
        )
    return rows


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def sparkline(book: Book, code: int) -> str:
    """The channel of a code's medoid that changes most, beside its range in the whole book, in 24 characters or fewer.

    Args:
        book: with excerpts.
        code: row.

    Returns:
        blocks of eight heights from the middle of the excerpt; "" without one.
    """
    shown = book.excerpts[code].astype(np.float64)
    shown = shown[np.isfinite(shown).any(axis=1)]
    if not len(shown):
        return ""
    low, high = channel_ranges(book)
    scaled = (shown - low) / (high - low)
    channel = int(np.argmax(np.nan_to_num(np.nanstd(scaled, axis=0))))
    line = scaled[:, channel]
    if len(line) > 2 * _SPARK and len(line) % 2 == 0:  # least and greatest, turn by turn: their middle
        line = 0.5 * (line[::2] + line[1::2])
    first = max(0, (len(line) - _SPARK) // 2)
    heights = np.clip(np.nan_to_num(line[first : first + _SPARK]) * len(_BLOCKS), 0, len(_BLOCKS) - 1)
    return "".join(_BLOCKS[int(h)] for h in heights)


def channel_ranges(book: Book) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(n_channels,) least and greatest value of each channel in the excerpts, a rare far one left out.

    Args:
        book: any; a channel that was never seen or never changes gets a range of 1 around its value.
    """
    values = book.excerpts.reshape(-1, len(book.channels)).astype(np.float64)
    values = values[np.isfinite(values).any(axis=1)]
    if not len(values):
        return np.zeros(len(book.channels)), np.ones(len(book.channels))
    values = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    low, high = np.nanquantile(values, [0.005, 0.995], axis=0)
    flat = high - low <= 1e-9 * np.maximum(np.abs(high), 1e-300)
    return np.where(flat, low - 0.5, low), np.where(flat, high + 0.5, high)


def export_bytes(books: Sequence[Book], kind: str) -> bytes:
    """Every code of a codebook file as one table: what ``code_rows_of`` says, radii, and centroids in their units.

    Args:
        books: of one file.
        kind: "csv", "json" or "parquet". Streams of different kinds have different features: cells of the others
            are empty (null); JSON has only its own.

    Raises:
        ParameterError: another kind.
    """
    if kind == "json":
        said = [
            {**about, "codes": [{**row, **_radii(book, i), "centroid": _centroid(book, i)} for i, row in
             enumerate(code_rows_of(book))]}
            for about, book in zip(book_rows(books), books, strict=True)
        ]  # fmt: skip
        return (json.dumps({"schema": "align.codebook/1", "books": said}, indent=1) + "\n").encode()
    if kind not in ("csv", "parquet"):
        raise ParameterError("kind", kind, "csv, json or parquet")
    frame = _frame(books)
    if kind == "parquet":
        return parquet_bytes(frame)
    text: str = _inert(frame).write_csv()
    return text.encode()


def _radii(book: Book, code: int) -> Row:
    return {f"radius_{q * 100:g}": _number(r) for q, r in zip(QUANTILES, book.radii[code], strict=True)}


def _centroid(book: Book, code: int) -> dict[str, float]:
    made = book.codebook
    natural = made.centroids[code].astype(np.float64) * made.scale + made.shift
    return {name: float(np.float32(v)) for name, v in zip(made.features, natural, strict=True)}


def _frame(books: Sequence[Book]) -> pl.DataFrame:
    import polars as pl

    rows = [
        {**row, **_radii(book, i), **_centroid(book, i)}
        for book in books
        for i, row in enumerate(code_rows_of(book))
    ]
    return pl.DataFrame(rows, infer_schema_length=None).drop("radius")


def _inert(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts that no spreadsheet takes for formulas."""
    import polars as pl

    def shown(name: str) -> pl.Expr:
        text = pl.col(name)
        formula = text.str.contains(r"^[=+\-@]")
        return pl.when(formula).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(name)

    return frame.with_columns(shown(name) for name, kind in frame.schema.items() if kind == pl.String)


def _described(paths: Sequence[Path], books: Sequence[Book], policy: Policy, tell: Tell) -> Iterator[Any]:
    """Parts of recordings on disk, errors and findings; the parts are gone when the generator ends."""
    wanted = Wanted(books=tuple(books), hop=books[0].hop)
    with TemporaryDirectory(prefix="align-") as folder:
        yield described_parts(find_recordings(paths), wanted, policy, Path(folder), tell)


def measure_drifts(
    paths: Sequence[Path], books: Sequence[Book], policy: Policy | None = None, tell: Tell = quiet
) -> tuple[list[Drift | None], tuple[AlignError, ...], tuple[Finding, ...]]:
    """How far recordings fall from each book of a file; None for a book that has no stream of its kind among them.

    Args:
        paths: recordings, as of ``pipelines.token_parts.find_recordings``.
        books: of one file.
        policy: opt-in repairs.
        tell: called with stage, recordings done and their number.

    Returns:
        also the errors of recordings that were left out, and what was noticed while reading.
    """
    for files, errors, findings in _described(paths, books, policy or Policy(), tell):
        return drifts_of(files, tuple(books), tell), errors, findings
    raise AssertionError("described once")


def drift_rows(book: Book, drift: Drift) -> list[Row]:
    """One row per code: its share of the time before and now, and how far its segments lie, as plain values.

    Args:
        book: as made.
        drift: from it.
    """
    return [
        {
            "stream": book.stream,
            "code": code,
            "name": name,
            "count": int(drift.counts[code]),
            "share_before": round(float(drift.shares_before[code]), 6),
            "share_now": round(float(drift.shares_now[code]), 6),
            "beyond": _number(drift.beyond[code]),
            "place": _number(drift.place[code]),
        }
        for code, name in enumerate(book.codebook.names)
    ]


def compare_books(
    old: Path, new: Path, paths: Sequence[Path] = (), policy: Policy | None = None, tell: Tell = quiet
) -> list[Compared]:
    """Which code of one codebook file is which of another: by the time they share, or by their centroids.

    Args:
        old, new: codebook files.
        paths: recordings: codes are the same that the same segments get. Without any, codes are the same whose
            centroids are; of a codebook that keeps the ids of the old one, those of one number.
        policy: opt-in repairs.
        tell: called with stage, recordings done and their number.

    Returns:
        one for each kind of stream that both have, in the order of the old file.

    Raises:
        InputError: E-CODEBOOK-FEATURES, no kind of stream is in both.
    """
    before, after = load_books(old), load_books(new)
    pairs = [(a, b) for a in before for b in after if _same_kind(a, b)]
    if not pairs:
        raise InputError(
            "E-CODEBOOK-FEATURES",
            "the two codebooks are of no common kind of stream",
            hint="compare codebooks of the same channels",
            file=new,
        )
    if not paths:
        return [Compared(a, b, _by_centroids(a, b)) for a, b in pairs]
    found = []
    for files, _, _ in _described(paths, before, policy or Policy(), tell):
        samples: dict[int, Sample] = {}
        for part, at, _ in coded(files, before):
            samples.setdefault(at, Sample(_MOST_ROWS)).add(part)
        for a, b in pairs:
            sample = samples.get(next(i for i, book in enumerate(before) if book is a))
            if sample is not None:
                found.append(
                    Compared(a, b, map_by_overlap(a.codebook, b.codebook, sample.rows, sample.seconds))
                )
    return found


def _by_centroids(old: Book, new: Book) -> CodeMapping:
    if new.parent == old.hash:
        return map_by_number(old.codebook, new.codebook)
    return map_by_distance(old.codebook, new.codebook)


def _same_kind(a: Book, b: Book) -> bool:
    units = dict(zip(b.channels, b.units, strict=True)) if b.units else {}
    pairs = zip(a.channels, a.units, strict=True) if a.units else ()
    agree = all(not unit or not units.get(channel) or units[channel] == unit for channel, unit in pairs)
    return a.modality == b.modality and set(a.codebook.features) == set(b.codebook.features) and agree


def mapping_rows(compared: Compared) -> list[Row]:
    """One row per pair of codes, then those of the old book and of the new that have no counterpart.

    Args:
        compared: two books.
    """
    ours, theirs, mapping = compared.old.codebook.names, compared.new.codebook.names, compared.mapping
    pairs = zip(mapping.pairs.tolist(), mapping.measure.tolist(), strict=True)
    matched: list[tuple[int | None, int | None, float | None]] = [(a, b, round(m, 6)) for (a, b), m in pairs]
    matched += [(a, None, None) for a in mapping.gone.tolist()] + [
        (None, b, None) for b in mapping.fresh.tolist()
    ]
    return [
        {
            "stream": compared.old.stream,
            "old": a,
            "old_name": None if a is None else ours[a],
            "new": b,
            "new_name": None if b is None else theirs[b],
            mapping.by: measure,
        }
        for a, b, measure in matched
    ]

"""Described segments on disk -> codebooks: fitted to a sample, counted over all, and shown by their medoids."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from align.answers import Codebook
from align.readers import Policy, session_of
from align.readers.blocks import TableBlocks
from align.tokens.codebook import code_rows, fit_rows
from align.tokens.drift import Drift, measure_drift
from align.tokens.mapping import CodeMapping, keep_ids, map_by_overlap
from align.tokens.residual import fit_residual
from align.tokens.saved import Book, Medoid, book_for
from align.tokens.tally import Tally, empty_book, excerpt, with_excerpts
from pipelines.config import SegmentationConfig
from pipelines.token_parts import Kind, Part, Recording, Sample, long_table, read_part

__all__ = ["Joints", "Tell", "Wanted", "coded", "counted", "drifts_of", "fitted", "pictured", "quiet"]

_AROUND_ROWS, _AROUND_S = 4096, 32.0  # of a long table, around an excerpt of its rows: the longer of the two

Joints = Mapping[tuple[str, ...], npt.NDArray[np.int32]]
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a tokenization.

    Attributes:
        n_codes: of each codebook; None chooses.
        books: codebooks to use, None to make new ones.
        keep: codebooks whose ids new ones keep, None for ids of their own.
        joints: joint tokens that keep their codes.
        levels: of residual codes, 0 for none.
        hop: seconds per frame with which streams are cut; ``books`` have one of their own.
        how: to cut.
        captions: name codes by what their segments are in words.
        joint: also one lane of joint tokens for each recording with several streams.
        merge: neighbouring tokens of one code as one.
        jsonl: also ``tokens.jsonl``.
        most_rows: segments of each kind that a codebook is fitted to, at most.
        seed: of everything random.
        threads: processors to use.
        device: where a codebook is fitted: "cpu", "cuda", "cuda:N", or "auto", a card where there is one.
    """

    n_codes: int | None = 64
    books: tuple[Book, ...] | None = None
    keep: tuple[Book, ...] | None = None
    joints: Joints = field(default_factory=dict)
    levels: int = 0
    hop: float = 0.25
    how: SegmentationConfig = field(default_factory=SegmentationConfig)
    captions: bool = True
    joint: bool = False
    merge: bool = False
    jsonl: bool = False
    most_rows: int = 200_000
    seed: int = 0
    threads: int = 1
    device: str = "cpu"


def quiet(stage: str, done: int, total: int) -> None:
    """Tells nobody."""


def fitted(files: list[Path], wanted: Wanted) -> tuple[tuple[Book, ...], tuple[CodeMapping, ...]]:
    """A codebook for each kind of stream, in the order of the kinds' first parts; nothing is counted yet.

    Args:
        files: parts on disk, by recording and stream.
        wanted: how many codes, whose ids they keep, levels, sample, seed and threads.

    Returns:
        the books, and how their codes map to those that are kept.

    Raises:
        InputError: as ``book_for``, of a kind that the codebook to keep does not have.
    """
    samples: dict[Kind, Sample] = {}
    first: dict[Kind, Part] = {}
    names: dict[Kind, set[str]] = {}
    for file in files:
        part = read_part(file)
        names.setdefault(part.kind, set()).add(part.like.name)
        samples.setdefault(part.kind, Sample(wanted.most_rows, wanted.seed)).add(part)
        first.setdefault(part.kind, part)
    made = [
        _fitted_kind(first[kind], sample, wanted, _title(names[kind], first[kind]))
        for kind, sample in samples.items()
    ]
    return tuple(book for book, _ in made), tuple(mapping for _, mapping in made if mapping is not None)


def _title(names: set[str], part: Part) -> str:
    """What streams of a kind are called: by their name where they have one in common, or by their channels."""
    return min(names) if len(names) == 1 else ", ".join(part.like.channels[:4])


def _fitted_kind(part: Part, sample: Sample, wanted: Wanted, title: str) -> tuple[Book, CodeMapping | None]:
    rows, features, mapping = sample.rows, part.features, None
    seed, threads = wanted.seed, wanted.threads
    codebook = _fitted_rows(rows, features, wanted)
    version, parent, residual = 1, "", np.zeros((0, 0, 0), np.float32)
    if wanted.keep is not None:
        old = book_for(wanted.keep, part.like)
        rows = _ordered(rows, features, old)
        mapping = map_by_overlap(old.codebook, codebook, rows, sample.seconds)
        codebook = keep_ids(old.codebook, codebook, mapping)
        version, parent = old.version + 1, old.hash
    if wanted.levels:
        residual = fit_residual(rows, codebook, levels=wanted.levels, seed=seed, threads=threads)
    book = empty_book(codebook, part.like, wanted.hop)
    return dataclasses.replace(book, stream=title, version=version, parent=parent, residual=residual), mapping


def _fitted_rows(rows: npt.NDArray[np.float32], features: tuple[str, ...], wanted: Wanted) -> Codebook:
    """By the kernels, or on a card: the processor with torch would only be slower."""
    n_codes, seed, threads = wanted.n_codes, wanted.seed, wanted.threads
    if wanted.device != "cpu":
        from align.coordination.loop.device import choose_device, memory_counted

        device = choose_device(wanted.device)
        if device.type != "cpu":
            with memory_counted():
                return fit_rows(rows, features, n_codes=n_codes, seed=seed, device=device)
    return fit_rows(rows, features, n_codes=n_codes, seed=seed, threads=threads)


def _ordered(rows: npt.NDArray[np.float32], features: tuple[str, ...], book: Book) -> npt.NDArray[np.float32]:
    """The columns in the order of the book's."""
    if features == book.codebook.features:
        return rows
    return rows[:, [features.index(name) for name in book.codebook.features]]


def coded(files: list[Path], books: tuple[Book, ...]) -> Iterator[tuple[Part, int, npt.NDArray[np.float32]]]:
    """Each part, the number of its book, and its rows with their columns in that book's order.

    Args:
        files: parts on disk.
        books: one of each kind.
    """
    for file in files:
        part = read_part(file)
        book = book_for(books, part.like)
        at = next(i for i, one in enumerate(books) if one is book)
        yield part, at, _ordered(part.rows, part.features, book)


def _tallied(files: list[Path], books: tuple[Book, ...], tell: Tell) -> list[Tally]:
    tallies = [Tally(book) for book in books]
    for i, (part, at, rows) in enumerate(coded(files, books)):
        tell("counting", i, len(files))
        codes, distances = code_rows(rows, books[at].codebook)
        tallies[at].add((part.recording, part.like.name), codes, distances, part.spans, part.captions)
    return tallies


def counted(files: list[Path], books: tuple[Book, ...], wanted: Wanted, tell: Tell) -> tuple[Book, ...]:
    """The books with what is seen of every code; kept codes keep their names.

    Args:
        files: parts on disk.
        books: of ``fitted``.
        wanted: whose ids are kept.
        tell: called with stage, parts done and their number.
    """
    out = []
    for book, tally in zip(books, _tallied(files, books, tell), strict=True):
        kept = 0 if wanted.keep is None else len(_parent(book, wanted.keep).counts)
        out.append(tally.book(kept))
    return tuple(out)


def _parent(book: Book, keep: tuple[Book, ...]) -> Book:
    return next(old for old in keep if old.hash == book.parent)


def drifts_of(files: list[Path], books: tuple[Book, ...], tell: Tell = quiet) -> list[Drift | None]:
    """How far described recordings fall from each book; None for a book that has none of its kind.

    Args:
        files: of ``described_parts``.
        books: as made.
        tell: as of ``counted``.
    """
    tallies = _tallied(files, books, tell)
    return [
        measure_drift(book, *tally.segments()) if tally.n_segments else None
        for book, tally in zip(books, tallies, strict=True)
    ]


def pictured(
    books: tuple[Book, ...], recordings: list[Recording], policy: Policy, tell: Tell = quiet
) -> tuple[Book, ...]:
    """The books with excerpts of their medoids: the recordings that hold one are read again, each once.

    Args:
        books: as counted.
        recordings: of ``find_recordings``.
        policy: opt-in repairs, as when they were read first.
        tell: as of ``counted``.
    """
    from pipelines.run import as_described

    wanted: dict[str, list[tuple[int, int]]] = {}
    for i, book in enumerate(books):
        for code, medoid in enumerate(book.medoids):
            if medoid is not None:
                wanted.setdefault(medoid.recording, []).append((i, code))
    found: list[dict[int, tuple[npt.NDArray[np.float32], float]]] = [{} for _ in books]
    for number, (name, files) in enumerate(one for one in recordings if one[0] in wanted):
        tell("showing", number, len(wanted))
        long = long_table(files, policy)
        if isinstance(long, TableBlocks):
            for i, code in wanted[name]:
                medoid = _medoid(books[i], code)
                found[i][code] = _excerpt_of(long, (medoid.start, medoid.end))
            continue
        streams = {s.name: s for s in session_of(files, None, policy).streams}
        for stream in streams.values():
            codes = [(i, code) for i, code in wanted[name] if _medoid(books[i], code).stream == stream.name]
            if codes:
                seen = as_described(stream, books[codes[0][0]].hop)
                for i, code in codes:
                    medoid = _medoid(books[i], code)
                    found[i][code] = excerpt(seen, (medoid.start, medoid.end))
    return tuple(with_excerpts(book, shown) for book, shown in zip(books, found, strict=True))


def _excerpt_of(table: TableBlocks, span: tuple[float, float]) -> tuple[npt.NDArray[np.float32], float]:
    """``excerpt`` of the rows around the middle of a span."""
    n_rows = max(_AROUND_ROWS, round(_AROUND_S * table.rate))
    stream = table.around(0.5 * (span[0] + span[1]), n_rows).stream
    return (
        excerpt(stream, span) if stream is not None else (np.zeros((0, len(table.channels)), np.float32), 0.0)
    )


def _medoid(book: Book, code: int) -> Medoid:
    medoid = book.medoids[code]
    assert medoid is not None  # asked only for codes that have one
    return medoid

"""Any number of recordings -> one codebook and the tokens of all, in the memory of the largest recording or block.

1. Each recording is read, cut and described once; its described segments are put on disk (``token_parts``).
2. A codebook is fitted to a sample of the segments of each kind of stream, or the given one is taken.
3. Every segment gets its code; counts, distances and most typical segments are added up.
4. The tokens are written, recording by recording.

Recordings go through in the order of their names, so neither the order of the files nor the number of threads
changes a byte of what is written.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from align.answers import TokenSequence
from align.datatypes import Finding
from align.errors import AlignError, InputError, ParameterError
from align.readers import Policy
from align.tokens.codebook import code_rows
from align.tokens.drift import Drift
from align.tokens.lanes import joint_lane, joint_parts, run_lengths
from align.tokens.mapping import CodeMapping
from align.tokens.residual import residual_codes
from align.tokens.saved import Book, book_for, books_to_bytes
from pipelines.store import atomic_write, check_output, prepare_output
from pipelines.token_books import Joints, Tell, Wanted, coded, counted, drifts_of, fitted, pictured, quiet
from pipelines.token_files import TokenWriter, put_in_place
from pipelines.token_parts import Part, Recording, describe_recording, find_recordings, write_part

__all__ = ["CODEBOOK", "FILES", "Tokenized", "described_parts", "tokenize_recordings", "tokens_of"]

_T = TypeVar("_T")

CODEBOOK = "codebook.safetensors"
FILES = (CODEBOOK, "tokens.parquet", "tokens.jsonl")


@dataclass(frozen=True, slots=True)
class Tokenized:
    """What came of it: the books used or made, drift against given ones, errors by recording, findings by code."""

    books: tuple[Book, ...]
    n_recordings: int
    n_tokens: int
    seconds: float
    drifts: tuple[Drift, ...]
    mappings: tuple[CodeMapping, ...]
    errors: tuple[AlignError, ...]
    findings: tuple[Finding, ...]


def tokenize_recordings(
    paths: Sequence[Path],
    out: Path,
    wanted: Wanted,
    policy: Policy | None = None,
    *,
    force: bool = False,
    tell: Tell = quiet,
) -> Tokenized:
    """Tokenize recordings into a folder: ``tokens.parquet``, the codebook and, where asked for, ``tokens.jsonl``.

    A recording that fails is left out and its error returned; where all fail, the first is raised.

    Args:
        paths: as of ``find_recordings``.
        out: folder; created, or empty, or with ``force`` an earlier one.
        wanted: what is asked for.
        policy: opt-in repairs.
        force: replace earlier tokens.
        tell: called with stage, recordings done and their number.

    Raises:
        ParameterError: a number out of range; InputError: nothing could be read; UnsafeError, ResourceError: as
            ``prepare_output``, and E-DEVICE.
    """
    check_output(out, force=force, known=FILES)
    if wanted.merge and wanted.levels:
        raise ParameterError("merge", True, "False with levels: merged tokens have no finer codes")
    if wanted.books is not None:
        hops = {book.hop for book in wanted.books}
        wanted = dataclasses.replace(wanted, hop=wanted.books[0].hop)
        if len(hops) > 1:
            raise ParameterError("codebook", f"books of {len(hops)} frame lengths", "one")
    if wanted.device != "cpu":
        from align.coordination.loop.device import choose_device

        wanted = dataclasses.replace(wanted, device=str(choose_device(wanted.device)))
    recordings = find_recordings(paths)
    if not recordings:
        raise ParameterError("paths", "none", "at least one recording")
    was_there = out.is_dir()
    # On the file system of the output: inside it where it is there, for it may be one of its own.
    beside = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    with TemporaryDirectory(prefix=".align-tokenize-", dir=beside) as folder:
        work, policy = Path(folder), policy or Policy()
        files, errors, findings = described_parts(recordings, wanted, policy, work, tell)
        drifts: tuple[Drift, ...] = ()
        mappings: tuple[CodeMapping, ...] = ()
        if wanted.books is not None:
            books = wanted.books
            drifts = tuple(d for d in drifts_of(files, books, tell) if d is not None)
        else:
            books, mappings = fitted(files, wanted)
            books = pictured(counted(files, books, wanted, tell), recordings, policy, tell)
        joints = {**wanted.joints, **_joints(files, books, wanted)}
        writer = _written(files, books, joints, TokenWriter(work, jsonl=wanted.jsonl), wanted, tell)
        made = writer.finish()
        if not was_there:
            prepare_output(out, known=FILES)
        for name in FILES:  # of an earlier run; what else was there was refused at the start
            (out / name).unlink(missing_ok=True)
        atomic_write(out / CODEBOOK, books_to_bytes(books, joints))
        for file in made:
            put_in_place(file, out / file.name)
    done = len(recordings) - len(errors)
    return Tokenized(books, done, writer.n_tokens, writer.seconds, drifts, mappings, errors, findings)


def described_parts(
    recordings: list[Recording], wanted: Wanted, policy: Policy, work: Path, tell: Tell = quiet
) -> tuple[list[Path], tuple[AlignError, ...], tuple[Finding, ...]]:
    """Stage 1: the parts of all recordings as files in ``work``, by recording and stream.

    Args:
        recordings: of ``find_recordings``.
        wanted: how to cut and describe; with books, what cannot be told by them is an error of its recording.
        policy: opt-in repairs.
        work: an empty folder.
        tell: as of ``tokenize_recordings``.

    Raises:
        AlignError: the first, where every recording failed.
    """

    def one(number: int) -> tuple[list[Path], tuple[Finding, ...]] | AlignError:
        try:
            parts, found = describe_recording(
                recordings[number], wanted.hop, wanted.how, policy, captions=wanted.captions and wanted.books is None
            )  # fmt: skip
            if wanted.books is not None:
                for part in parts:
                    book_for(wanted.books, part.like)
        except ParameterError:
            raise  # the same for every recording
        except AlignError as error:
            return error
        files = [work / f"{number:08d}-{i:04d}" for i in range(len(parts))]
        for file, part in zip(files, parts, strict=True):
            write_part(file, part)
        return files, tuple(found)

    files: list[Path] = []
    errors: list[AlignError] = []
    findings: dict[str, Finding] = {}
    for number, result in enumerate(_in_order(one, len(recordings), wanted.threads)):
        tell("reading", number, len(recordings))
        if isinstance(result, AlignError):
            errors.append(result)
            continue
        files += result[0]
        for found in result[1]:
            before = findings.get(found.code)
            count = found.count + (0 if before is None else before.count)
            findings[found.code] = dataclasses.replace(before or found, count=count)
    if not files:
        raise errors[0] if errors else InputError("E-NO-STREAMS", "no recording has a stream")
    return files, tuple(errors), tuple(findings[code] for code in sorted(findings))


def _in_order(work: Callable[[int], _T], count: int, threads: int) -> Iterator[_T]:
    """``work(0)``, ``work(1)``, ...: as many at once as there are threads, answers in order."""
    if threads == 1:
        yield from map(work, range(count))
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_T]] = deque()
        for number in range(count):
            waiting.append(pool.submit(work, number))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _by_recording(
    files: list[Path], books: tuple[Book, ...]
) -> Iterator[tuple[Part, list[tuple[Part, TokenSequence, Book]]]]:
    """The tokens of one recording after the other, and its first part."""
    tokens = ((part, tokens_of(rows, part, books[at]), books[at]) for part, at, rows in coded(files, books))
    for _, group in itertools.groupby(tokens, key=lambda one: one[0].recording):
        streams = list(group)
        yield streams[0][0], streams


def tokens_of(rows: npt.NDArray[np.float32], part: Part, book: Book) -> TokenSequence:
    """The tokens of one part by its book.

    Args:
        rows: the part's, columns in the book's order.
        part: where they are.
        book: of its kind.
    """
    codes = code_rows(rows, book.codebook)[0]
    return TokenSequence(part.like.name, codes, part.spans, rows, book.hash, book.codebook.names)


def _joints(
    files: list[Path], books: tuple[Book, ...], wanted: Wanted
) -> dict[tuple[str, ...], npt.NDArray[np.int32]]:
    """Every combination of codes of each combination of streams: known ones first, others in ascending order."""
    if not wanted.joint:
        return {}
    seen: dict[tuple[str, ...], set[tuple[int, ...]]] = {}
    for _, streams in _by_recording(files, books):
        sequences = [sequence for _, sequence, _ in streams]
        if len(sequences) > 1:
            parts = joint_parts(sequences)[1]
            names = tuple(s.stream for s in sequences)
            seen.setdefault(names, set()).update(map(tuple, parts.tolist()))
    out = {}
    for names, rows in sorted(seen.items()):
        known = [
            tuple(row) for row in np.asarray(wanted.joints.get(names, ())).reshape(-1, len(names)).tolist()
        ]
        out[names] = np.array([*known, *sorted(rows - set(known))], np.int32).reshape(-1, len(names))
    return out


def _written(
    files: list[Path],
    books: tuple[Book, ...],
    joints: Joints,
    writer: TokenWriter,
    wanted: Wanted,
    tell: Tell,
) -> TokenWriter:
    """Stage 4."""
    for i, (first, streams) in enumerate(_by_recording(files, books)):
        tell("writing", i, len(files))
        for part, sequence, book in streams:
            levels = (
                residual_codes(sequence.features, book.codebook, book.residual) if wanted.levels else None
            )
            writer.add(part, run_lengths(sequence) if wanted.merge else sequence, levels)
        if wanted.joint and len(streams) > 1:
            sequences = [sequence for _, sequence, _ in streams]
            writer.add(first, joint_lane(sequences, joints[tuple(s.stream for s in sequences)]).tokens)
    return writer

"""Recordings -> described segments on disk, one part for each stream: what ``align tokenize`` reads again and again.

A part is small beside its recording: seven numbers a channel and segment. So recordings are read and cut once, and
everything that follows needs the memory of one part. A long table file is read and cut block by block.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from align.datatypes import Finding, Floats, Segmentation, Session, Stream
from align.errors import InputError
from align.readers import Policy, session_files, session_folders, session_of
from align.readers.blocks import TableBlocks, read_blocks
from align.sealed import opened, sealed
from pipelines.config import SegmentationConfig

__all__ = ["Part", "Sample", "describe_recording", "find_recordings", "long_table", "pieces", "read_part",
           "write_part"]  # fmt: skip

_MOST_FRAMES = 65_536  # of a piece that is cut at once: 4.5 h of frames of 0.25 s
_MOST_CELLS = 1 << 24  # samples times channels of such a piece, and of a block of rows
_MOST_ROWS = 1 << 22  # of a block that is read at once: such pieces up to 256 Hz
_LEAST_SAMPLES = 4  # of a frame: of fewer, noise looks like change

Recording = tuple[str, tuple[Path, ...]]
Kind = tuple[tuple[str, ...], str, tuple[str, ...]]  # features, modality and units: one codebook for each


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The described segments of one stream of one recording.

    ``rows`` f4 (n, n_features), ``spans`` f8 (n, 2) seconds, ``captions`` n texts or none, ``like`` a sample of the
    stream that stands for its kind.
    """

    recording: str
    rows: npt.NDArray[np.float32]
    spans: Floats
    features: tuple[str, ...]
    captions: tuple[str, ...]
    like: Stream
    epoch: int | None = None

    @property
    def kind(self) -> Kind:
        return self.features, self.like.modality, self.like.units

    @property
    def seconds(self) -> Floats:
        return np.asarray(self.spans[:, 1] - self.spans[:, 0])


def find_recordings(paths: Sequence[Path]) -> list[Recording]:
    """Name and stream files of each recording, by name: each session folder, WFDB record and single file is one.

    Names are paths below the folder that all recordings lie in, so that they do not depend on where that is.

    Args:
        paths: session folders, folders of them, headers of records and stream files, in any order.

    Raises:
        InputError: E-NO-FILE, E-NO-STREAMS, E-NOTES-AMBIGUOUS.
    """
    folders = [p for p in paths if p.is_dir() or p.suffix.lower() == ".hea"]
    found: dict[Path, tuple[Path, ...]] = {}
    for folder in session_folders(folders) if folders else ():
        found[folder] = tuple(session_files(folder)[0])
    for path in paths:
        if path not in folders:
            if not path.exists():
                raise InputError("E-NO-FILE", "no such file or folder", file=path)
            found[path] = (path,)
    whole = {Path(os.path.abspath(path)): files for path, files in found.items()}
    root = Path(os.path.commonpath([path.parent for path in whole])) if whole else Path()
    return sorted((path.relative_to(root).as_posix(), files) for path, files in whole.items())


def describe_recording(
    recording: Recording, hop: float, how: SegmentationConfig, policy: Policy, *, captions: bool = True
) -> tuple[list[Part], list[Finding]]:
    """Read a recording, cut its streams and describe their segments.

    Args:
        recording: of ``find_recordings``.
        hop: seconds per frame; of a slow stream as many as four samples take.
        how: to cut.
        policy: opt-in repairs.
        captions: say in words what each segment is.

    Returns:
        one part a stream; what was noticed while reading.

    Raises:
        InputError, ResourceError: the recording cannot be read or described.
    """
    from pipelines.run import findings_of

    name, files = recording
    long = long_table(files, policy)
    if isinstance(long, TableBlocks):
        found = [dataclasses.replace(f, message=f"{long.name}: {f.message}") for f in long.findings]
        return [_described(name, long, long.epoch, (hop, how), captions)], found
    session = session_of(files, None, policy)
    parts = [_described(name, stream, session.epoch, (hop, how), captions) for stream in session.streams]
    return parts, [*findings_of(session), *([] if long is None else [long])]


def long_table(files: Sequence[Path], policy: Policy) -> TableBlocks | Finding | None:
    """The table of a recording that is one long Parquet file; or why it has to be read as a whole; None of others.

    Long is what has more rows than 6,291,456, or more numbers than 25,165,824: one and a half blocks.

    Args:
        files: of a recording.
        policy: opt-in repairs.

    Raises:
        InputError, UnsafeError: what is wrong with the file.
    """
    return read_blocks(files[0], policy, _MOST_ROWS, _MOST_CELLS) if len(files) == 1 else None


def _described(
    name: str,
    stream: Stream | TableBlocks,
    epoch: int | None,
    cutting: tuple[float, SegmentationConfig],
    captions: bool,
) -> Part:
    from align.features import caption_segments
    from align.features.captions import describe
    from align.tokens import describe_segments
    from pipelines.run import as_described

    rows, spans, said = [], [], []
    for piece, cut in pieces(stream, *cutting):
        seen = as_described(piece, cutting[0])
        described, features = describe_segments(seen, cut)
        rows.append(described)
        spans.append(cut.spans)
        if captions:
            alone = Session(stream.name, (piece,))
            said += caption_segments(alone, cut.spans, describe(alone))
    like = Stream(
        seen.values[:1],
        seen.rate,
        name=stream.name,
        modality=seen.modality,
        channels=seen.channels,
        units=seen.units,
    )
    return Part(name, np.concatenate(rows), np.concatenate(spans), features, tuple(said), like, epoch)


def pieces(
    recorded: Stream | TableBlocks, hop: float, how: SegmentationConfig, most: int = _MOST_FRAMES
) -> Iterator[tuple[Stream, Segmentation]]:
    """A stream in pieces that are cut one by one: what cutting takes is bounded, whatever its length.

    A piece ends where its last segment but one does, and the next begins there, so no segment is cut in two (but one
    that fills a piece is). A sensor of fewer frames than ``most`` is one piece, and sound always is: its loudness is
    relative to the loudest moment of the recording.

    Of a table in blocks a block is held at a time. The last piece of a block ends likewise, and the next block begins
    with the row where that piece ends. Samples that were lost just before that row belong to the piece.

    Args:
        recorded: a stream as read, or a long table.
        hop: seconds per frame; of a slow stream as many as four samples take.
        how: to cut.
        most: frames of a piece; the last may be half as long again.

    Yields:
        consecutive parts of the stream, each with its cut.
    """
    if isinstance(recorded, Stream):
        yield from _pieces(recorded, (hop, how), most, is_last=True)
        return
    first, start = 0, None
    while first < recorded.n_rows:
        block = recorded.read(first, recorded.end_of(first), start)
        if block.stream is not None:
            done = 0
            for piece, cut in _pieces(block.stream, (hop, how), most, is_last=block.end == recorded.n_rows):
                yield piece, cut
                done += piece.n_samples
            start = _start_after(block.stream, done, float(cut.spans[-1, 1]))
            first = block.row_at(done)
        else:
            first = block.end
        del block  # before the next is read


def _start_after(stream: Stream, done: int, end: float) -> float:
    """Where the sample after a piece begins: at the piece's ``end``, but after a gap at its own time."""
    after_gap = done < stream.n_samples and bool((stream.run_index == done).any())
    return max(end, float(stream.times([done])[0])) if after_gap else end


def _pieces(
    stream: Stream, cutting: tuple[float, SegmentationConfig], most: int, *, is_last: bool
) -> Iterator[tuple[Stream, Segmentation]]:
    """The pieces of a stream, or of a block of one; all but those after which the next block is to begin."""
    from pipelines.run import cut_session

    hop, how = max(cutting[0], _LEAST_SAMPLES / stream.rate), cutting[1]
    n, first, last = stream.n_samples, 0, 0
    size = (
        n
        if stream.modality == "audio"
        else int(min(most * hop * stream.rate, _MOST_CELLS / stream.n_channels))
    )
    while last < n:
        last = n if n - first <= 1.5 * size else first + size
        piece = _between(stream, first, last)
        (cut,) = cut_session(Session(stream.name, (piece,)), hop, how)
        kept = int(cut.boundaries[-2])
        if kept > 0 and (last < n or not is_last):
            changes = cut.changes[cut.changes < kept]
            if last == n:
                kept += _lost_at(stream, first + kept)
            piece = _between(stream, first, first + kept)
            cut = Segmentation.of(piece, changes, method=cut.method, penalty=cut.penalty)
        yield piece, cut
        first += piece.n_samples


def _lost_at(stream: Stream, sample: int) -> int:
    """How many samples from this one on were lost."""
    count = 0
    while bool(np.isnan(stream.values[sample + count]).all()):
        count += 1
    return count


def _between(stream: Stream, first: int, last: int) -> Stream:
    """Samples ``first`` to ``last`` with their times and gaps; no copy."""
    if (first, last) == (0, stream.n_samples):
        return stream
    inside = stream.run_index[(stream.run_index > first) & (stream.run_index < last)]
    begins = np.concatenate([[first], inside])
    return dataclasses.replace(
        stream,
        values=stream.values[first:last],
        run_index=begins - first,
        run_start=stream.times(begins),
        findings=(),
    )


def write_part(path: Path, part: Part) -> None:
    """Put a part on disk, for ``read_part``.

    Args:
        path: where.
        part: what.
    """
    like = part.like
    about = {
        "recording": part.recording, "features": list(part.features), "captions": list(part.captions),
        "epoch": part.epoch, "stream": like.name, "modality": like.modality, "rate": like.rate,
        "channels": list(like.channels), "units": list(like.units),
    }  # fmt: skip
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "rows": np.ascontiguousarray(part.rows),
        "spans": np.ascontiguousarray(part.spans),
        "sample": np.ascontiguousarray(like.values),
    }
    path.write_bytes(sealed(about, arrays))


def read_part(path: Path) -> Part:
    """What ``write_part`` was given.

    Args:
        path: where.

    Raises:
        InputError: E-CHECKSUM, the disk holds something else.
    """
    about, arrays = opened(path.read_bytes(), "a part of the work", "run align tokenize again")
    like = Stream(
        arrays["sample"],
        about["rate"],
        name=about["stream"],
        modality=about["modality"],
        channels=tuple(about["channels"]),
        units=tuple(about["units"]),
    )
    return Part(
        about["recording"],
        arrays["rows"],
        arrays["spans"],
        tuple(about["features"]),
        tuple(about["captions"]),
        like,
        about["epoch"],
    )


class Sample:
    """At most so many segments out of any number, drawn alike, whatever the order they come in.

    Each gets a random number that follows from its part's content alone; those with the least numbers stay
    (Vitter 1985 calls it a reservoir; the numbers make it independent of the order).
    """

    def __init__(self, most: int, seed: int = 0) -> None:
        self.most, self.seed, self.seen = most, seed, 0
        self._held: list[tuple[Floats, npt.NDArray[np.float32], Floats]] = []  # numbers, rows, seconds
        self._waiting, self._limit = 0, np.inf

    def add(self, part: Part) -> None:
        """Offer the segments of a part.

        Args:
            part: of the same kind as those before.
        """
        content = hashlib.sha256(np.ascontiguousarray(part.rows).data)
        content.update(np.ascontiguousarray(part.spans).data)
        random = np.random.default_rng([self.seed, int.from_bytes(content.digest()[:16], "little")])
        numbers = random.random(len(part.rows))
        low = numbers <= self._limit
        self._held.append((numbers[low], part.rows[low], part.seconds[low]))
        self._waiting += int(low.sum())
        self.seen += len(part.rows)
        if self._waiting > self.most:
            self._settle()

    def _settle(self) -> None:
        """Keep those with the least numbers; of equal numbers, which are of equal parts, either will do."""
        if not self._held:
            return
        numbers, rows, seconds = (np.concatenate(arrays) for arrays in zip(*self._held, strict=True))
        order = np.argsort(numbers, kind="stable")[: self.most]
        if len(order) == self.most:
            self._limit = float(numbers[order[-1]])
        self._held, self._waiting = [(numbers[order], rows[order], seconds[order])], 0

    @property
    def rows(self) -> npt.NDArray[np.float32]:
        """(n, n_features) f4 of those that stayed, in the order of their numbers."""
        self._settle()
        return self._held[0][1] if self._held else np.zeros((0, 0), np.float32)

    @property
    def seconds(self) -> Floats:
        """(n,) how long each of them lasts."""
        self._settle()
        return self._held[0][2] if self._held else np.zeros(0)

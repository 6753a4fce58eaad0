"""What is seen of the codes of a codebook, added up recording by recording, until it is a ``Book``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from align import clock
from align.answers import Codebook
from align.datatypes import Floats, Segmentation, Stream
from align.tokens.codebook import code_rows
from align.tokens.describe import describe_segments
from align.tokens.naming import Said, code_names
from align.tokens.saved import QUANTILES, Book, Medoid

__all__ = ["Tally", "empty_book", "excerpt", "make_book", "radii_of", "with_excerpts"]

_EXCERPT_S, _EXCERPT_SAMPLES = 8.0, 64  # of a medoid, from its middle: the longer of the two
_POINTS = 160  # of an excerpt, at most: two pixels each


class Tally:
    """Counts, durations, distances and most typical segments of each code, over any number of recordings.

    Add recordings in one order that does not depend on how they were found: sums of durations are rounded in the
    order of adding. Memory is 12 bytes a segment and a little for each code.
    """

    def __init__(self, book: Book) -> None:
        k = len(book.counts)
        self._book = book
        self._counts = np.zeros(k, np.int64)
        self._seconds = np.zeros(k)
        self._codes: list[npt.NDArray[np.int32]] = []
        self._distances: list[npt.NDArray[np.float32]] = []
        self._lasting: list[npt.NDArray[np.float32]] = []
        self._medoids: list[Medoid | None] = [None] * k
        self._said = Said(k)

    def add(
        self,
        where: tuple[str, str],
        codes: npt.NDArray[np.int32],
        distances: npt.NDArray[np.float32],
        spans: Floats,
        captions: Sequence[str] = (),
    ) -> None:
        """Count one recording's segments.

        Args:
            where: its name and the stream's.
            codes, distances: (n,) from ``code_rows``.
            spans: (n, 2) seconds.
            captions: (n,) what each segment is in words (``align.features.caption_segments``), or none.
        """
        k, seconds = len(self._counts), spans[:, 1] - spans[:, 0]
        self._counts += np.bincount(codes, minlength=k)
        self._seconds += np.bincount(codes, seconds, minlength=k)
        self._codes.append(codes)
        self._distances.append(distances)
        self._lasting.append(seconds.astype(np.float32))
        # The nearest of each code first; of equally near ones the earliest.
        order = np.lexsort((np.arange(len(codes)), distances, codes))
        first = order[np.flatnonzero(np.diff(codes[order], prepend=-1))]
        for i in first.tolist():
            found = Medoid(*where, float(spans[i, 0]), float(spans[i, 1]), float(distances[i]))
            kept = self._medoids[codes[i]]
            if kept is None or _rank(found) < _rank(kept):
                self._medoids[codes[i]] = found
        if captions:
            self._said.add(codes, seconds, captions)

    @property
    def n_segments(self) -> int:
        return int(self._counts.sum())

    def segments(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Code, distance and duration in seconds of every segment, in the order in which they were added."""
        none = np.zeros(0, np.float32)
        codes = np.concatenate([none.astype(np.int32), *self._codes])
        return codes, np.concatenate([none, *self._distances]), np.concatenate([none, *self._lasting])

    def names(self) -> tuple[str, ...]:
        """A name per code: its handle, and what captions say of most of its time, or else its unusual features."""
        code = self._book.codebook
        return self._said.names(code_names(code.centroids, code.shift, code.scale, code.features))

    def book(self, kept_names: int = 0) -> Book:
        """The book with what was counted; excerpts are as before.

        Args:
            kept_names: how many codes keep the names they have: the first ones.
        """
        code = self._book.codebook
        names = (*code.names[:kept_names], *self.names()[kept_names:])
        codes, distances, _ = self.segments()
        return dataclasses.replace(
            self._book,
            codebook=dataclasses.replace(code, names=names),
            counts=self._counts,
            seconds=self._seconds,
            radii=radii_of(codes, distances, len(self._counts)),
            medoids=tuple(self._medoids),
        )


def empty_book(codebook: Codebook, stream: Stream, hop: float = 0.25) -> Book:
    """A book in which nothing is counted yet.

    Args:
        codebook: as fitted.
        stream: one of those described: its name, modality and units stand in the book.
        hop: seconds per frame with which streams were cut.
    """
    k = len(codebook.names)
    return Book(
        codebook,
        np.zeros(k, np.int64),
        np.zeros(k),
        np.full((k, len(QUANTILES)), np.nan, np.float32),
        (None,) * k,
        np.full((k, 0, stream.n_channels), np.nan, np.float32),
        np.zeros(k),
        stream.name,
        stream.modality,
        stream.units,
        hop,
    )


def _rank(medoid: Medoid) -> tuple[float, str, str, float]:
    return medoid.distance, medoid.recording, medoid.stream, medoid.start


def radii_of(
    codes: npt.NDArray[np.int32], distances: npt.NDArray[np.float32], n_codes: int
) -> npt.NDArray[np.float32]:
    """(n_codes, 6) f4: the ``QUANTILES`` of each code's distances; NaN for a code without a segment.

    Args:
        codes: (n,) below ``n_codes``.
        distances: (n,) >= 0.
        n_codes: rows of the answer.

    >>> radii_of(np.array([0, 0], np.int32), np.array([1.0, 3.0], np.float32), 2)[:, 0].tolist()
    [2.0, nan]
    """
    out = np.full((n_codes, len(QUANTILES)), np.nan, np.float32)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(n_codes + 1))
    for code in range(n_codes):
        own = distances[order[ends[code] : ends[code + 1]]]
        if own.size:
            out[code] = np.quantile(own.astype(np.float64), QUANTILES)
    return out


def excerpt(stream: Stream, span: tuple[float, float]) -> tuple[npt.NDArray[np.float32], float]:
    """The middle of a span, to look at: its eight seconds or 64 samples, whichever is longer, as 160 points or fewer.

    Of more samples every point is, turn by turn, the least and the greatest of its stretch, so that a rhythm stays
    as tall as it is.

    Args:
        stream: as it was described.
        span: seconds, within one run of the stream.

    Returns:
        (m, n_channels) f4, m <= 160, and the seconds that it shows. Nothing, and 0, for a span without a sample.
    """
    run = int(np.searchsorted(stream.run_start, 0.5 * (span[0] + span[1]), side="right")) - 1
    run = max(0, run)
    begin, rate = float(stream.run_start[run]), stream.rate
    first, last = clock.samples_in(span[0], span[1], begin, rate)
    offset, end = int(stream.run_index[run]), int(stream.run_ends[run])
    low, high = max(offset + first, offset), min(offset + last, end)
    shown = min(max(0, high - low), max(clock.sample_count(_EXCERPT_S, rate), _EXCERPT_SAMPLES))
    low += (max(0, high - low) - shown) // 2
    values = stream.values[low : low + shown].astype(np.float64)
    if shown > _POINTS:
        bins = _POINTS // 2
        edges = np.arange(bins) * shown // bins
        pair = np.stack([np.fmin.reduceat(values, edges), np.fmax.reduceat(values, edges)], axis=1)
        values = pair.reshape(2 * bins, -1)
    with np.errstate(over="ignore"):
        return values.astype(np.float32), shown / rate


def with_excerpts(book: Book, found: dict[int, tuple[npt.NDArray[np.float32], float]]) -> Book:
    """A copy of the book that shows what medoids look like.

    Args:
        book: as counted.
        found: code -> ``excerpt`` of its medoid.
    """
    k, longest = len(book.counts), max((len(e) for e, _ in found.values()), default=0)
    excerpts = np.full((k, longest, len(book.channels)), np.nan, np.float32)
    seconds = np.zeros(k)
    for code, (values, shown) in found.items():
        excerpts[code, : len(values)], seconds[code] = values, shown
    return dataclasses.replace(book, excerpts=excerpts, excerpt_seconds=seconds)


def make_book(
    codebook: Codebook,
    recordings: list[tuple[str, Stream, Segmentation]],
    captions: list[list[str]] | None = None,
) -> Book:
    """The book of a codebook over recordings that are all in memory.

    Args:
        codebook: of ``fit_codebook``.
        recordings: name, stream and cut of each, streams of the codebook's kind.
        captions: of each recording, one a segment; None: names come from the features.

    Raises:
        ParameterError: a segmentation of another stream.
    """
    tally = Tally(empty_book(codebook, recordings[0][1]))
    for i, (name, stream, cut) in enumerate(recordings):
        codes, distances = code_rows(describe_segments(stream, cut)[0], codebook)
        tally.add((name, stream.name), codes, distances, cut.spans, captions[i] if captions else ())
    book = tally.book()
    streams = {(name, stream.name): stream for name, stream, _ in recordings}
    found = {
        code: excerpt(streams[m.recording, m.stream], (m.start, m.end))
        for code, m in enumerate(book.medoids)
        if m is not None and math.isfinite(m.start)
    }
    return with_excerpts(book, found)

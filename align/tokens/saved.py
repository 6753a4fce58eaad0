"""A codebook to keep: its codes with what was seen of each, as one file under one checksum.

A file holds one ``Book`` for each kind of stream (the same features in the same units): a wrist sensor and a
microphone have one each.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from align.answers import Codebook
from align.datatypes import Floats, Stream, frozen_array, set_fields
from align.errors import InputError, ParameterError, UnsafeError
from align.sealed import Arrays, opened, sealed, under

__all__ = [
    "QUANTILES",
    "Book",
    "Medoid",
    "book_for",
    "books_from_bytes",
    "books_to_bytes",
    "joints_from_bytes",
    "load_books",
    "load_joints",
]

_T = TypeVar("_T")

FORMAT = 1
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)  # of the distances of a code's segments, kept at fitting
_LARGEST = 2_000_000_000  # bytes; 4,096 codes of 100 channels with their pictures take a quarter of that
_HINT = "make it again with align tokenize, or take it from a backup"


@dataclass(frozen=True, slots=True)
class Medoid:
    """The most typical segment of a code, which is nearest to its centroid: where it is.

    ``recording`` is a path below the folder that all recordings lie in; ``start`` and ``end`` seconds on the
    recording's clock; ``distance`` to the centroid in scaled features.
    """

    recording: str
    stream: str
    start: float
    end: float
    distance: float


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """A codebook and what was seen of each of its codes when it was made.

    ``counts`` i8 (n_codes,) segments and ``seconds`` f8 (n_codes,) their duration; ``radii`` f4 (n_codes, 6) the
    ``QUANTILES`` of the distances of a code's segments to its centroid, NaN for a code without any; ``medoids`` one
    a code or None; ``excerpts`` f4 (n_codes, n_points, n_channels) what the medoid looks like, NaN where there is
    nothing, and ``excerpt_seconds`` f8 (n_codes,) how long that is. ``residual`` f4 (n_levels, n, n_features):
    centroids of what is left over, level by level (``align.tokens.residual``). ``version`` counts from 1 along a
    line of books that keep their codes; ``parent`` is the hash of the one before. ``hop``: seconds per frame with
    which the streams were cut and sound was described.
    """

    codebook: Codebook
    counts: npt.NDArray[np.int64]
    seconds: Floats
    radii: npt.NDArray[np.float32]
    medoids: tuple[Medoid | None, ...]
    excerpts: npt.NDArray[np.float32]
    excerpt_seconds: Floats
    stream: str = "stream"
    modality: str = "sensor"
    units: tuple[str, ...] = ()
    hop: float = 0.25
    version: int = 1
    parent: str = ""
    residual: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    def __post_init__(self) -> None:
        k, kinds = len(self.codebook.names), {"counts": np.int64, "seconds": np.float64, "radii": np.float32,
                 "excerpts": np.float32, "excerpt_seconds": np.float64, "residual": np.float32}  # fmt: skip
        arrays = {name: frozen_array(getattr(self, name), kind) for name, kind in kinds.items()}
        shapes = {
            "counts": (k,), "seconds": (k,), "radii": (k, len(QUANTILES)), "excerpt_seconds": (k,),
            "excerpts": (k, *arrays["excerpts"].shape[1:2], len(self.channels)),
        }  # fmt: skip
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ParameterError(name, arrays[name].shape, f"{shape}: one row per code")
        if arrays["residual"].ndim != 3 or not np.isfinite(arrays["residual"]).all():
            raise ParameterError("residual", arrays["residual"].shape, "finite (n_levels, n, n_features)")
        if arrays["residual"].shape[0] and arrays["residual"].shape[2] != len(self.codebook.features):
            raise ParameterError("residual", arrays["residual"].shape, "one column per feature")
        if len(self.medoids) != k or (arrays["counts"] < 0).any():
            raise ParameterError("medoids, counts", (len(self.medoids), k), "one per code, counts >= 0")
        if not (np.isfinite(arrays["seconds"]).all() and (arrays["seconds"] >= 0).all()):
            raise ParameterError("seconds", "negative or not finite", "seconds >= 0")
        if not (math.isfinite(self.hop) and self.hop > 0) or self.version < 1:
            raise ParameterError("hop, version", (self.hop, self.version), "seconds > 0, 1 or more")
        if len(self.units) not in (0, len(self.channels)):
            raise ParameterError("units", len(self.units), f"{len(self.channels)}, one per channel, or none")
        set_fields(self, **arrays)

    @property
    def hash(self) -> str:
        """Of the codebook: the same hash gives the same tokens."""
        return self.codebook.hash

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name in self.codebook.features))

    @property
    def shares(self) -> Floats:
        """(n_codes,) share of the time that each code had; zeros where no time was seen."""
        total = float(self.seconds.sum())
        return self.seconds / total if total > 0 else np.zeros_like(self.seconds)


def book_for(books: Sequence[Book], stream: Stream) -> Book:
    """The book that was made from streams of this kind: the same features, modality and units.

    Units differ only where both were written.

    Args:
        books: of one file.
        stream: as it is described: a sensor raw, sound as ``align.features.sound_summary``.

    Raises:
        InputError: E-CODEBOOK-FEATURES, no book has the stream's features; E-CODEBOOK-UNITS, one has them in
            other units.
    """
    from align.tokens.describe import feature_names

    wanted = set(feature_names(stream))
    alike = [b for b in books if set(b.codebook.features) == wanted and b.modality == stream.modality]
    if not alike:
        known = "; ".join(f"{b.stream}: {_listed(b.channels)}" for b in books)
        raise InputError(
            "E-CODEBOOK-FEATURES",
            f"stream {stream.name!r} has the channels {_listed(stream.channels)} at {stream.rate:g} Hz; "
            f"the codebook was made from {known}",
            hint="make a codebook from such streams, or rename the channels",
        )
    units = dict(zip(stream.channels, stream.units, strict=True))
    for book in alike:
        pairs = zip(book.channels, book.units, strict=True) if book.units else ()
        other = [c for c, unit in pairs if unit and units[c] and unit != units[c]]
        if not other:
            return book
    raise InputError(
        "E-CODEBOOK-UNITS",
        f"in another unit than the codebook's: {_listed(tuple(other))}",
        hint="convert the channel, or make a codebook from such streams",
        channel=other[0],
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def books_to_bytes(
    books: Sequence[Book], joints: Mapping[tuple[str, ...], npt.ArrayLike] | None = None
) -> bytes:
    """The bytes of a codebook file; the same books give the same bytes.

    Args:
        books: at least one, of different kinds of streams.
        joints: names of streams -> (n, n_streams) ``parts`` of their joint tokens (``align.tokens.lanes``).

    Raises:
        ParameterError: none.
    """
    if not books:
        raise ParameterError("books", "none", "at least one")
    arrays: Arrays = {}
    said = []
    for i, book in enumerate(books):
        code = book.codebook
        held = {
            "centroids": code.centroids, "shift": code.shift, "scale": code.scale, "counts": book.counts,
            "seconds": book.seconds, "radii": book.radii, "excerpts": book.excerpts,
            "excerpt_seconds": book.excerpt_seconds, "residual": book.residual,
        }  # fmt: skip
        arrays |= {f"{i}/{name}": np.ascontiguousarray(array) for name, array in held.items()}
        said.append(
            {
                "features": list(code.features),
                "names": list(code.names),
                "seed": code.seed,
                "hash": code.hash,
                "stream": book.stream,
                "modality": book.modality,
                "units": list(book.units),
                "hop": book.hop,
                "version": book.version,
                "parent": book.parent,
                "medoids": [None if m is None else dataclasses.asdict(m) for m in book.medoids],
            }
        )
    lanes = dict(sorted((joints or {}).items()))
    arrays |= {f"joint/{i}": np.asarray(parts, np.int32) for i, parts in enumerate(lanes.values())}
    about = {"what": "codebook", "format": FORMAT, "books": said, "joints": [list(names) for names in lanes]}
    return sealed(about, arrays)


def books_from_bytes(data: bytes) -> tuple[Book, ...]:
    """The books that ``books_to_bytes`` was given.

    Args:
        data: its bytes.

    Raises:
        InputError: E-CHECKSUM, not the bytes that were saved; E-CODEBOOK, something else than a codebook;
            E-CODEBOOK-VERSION, of another format than this version reads.
    """
    about, arrays = _opened(data)
    try:
        if not about["books"]:
            raise ValueError("no book")
        return tuple(_book(one, under(f"{i}/", arrays)) for i, one in enumerate(about["books"]))
    except _BROKEN as error:
        raise _not_whole(error) from error


def joints_from_bytes(data: bytes) -> dict[tuple[str, ...], npt.NDArray[np.int32]]:
    """The joint tokens that ``books_to_bytes`` was given.

    Args:
        data: its bytes.

    Raises:
        InputError: as ``books_from_bytes``.
    """
    about, arrays = _opened(data)
    try:
        return {tuple(names): arrays[f"joint/{i}"] for i, names in enumerate(about["joints"])}
    except _BROKEN as error:
        raise _not_whole(error) from error


_BROKEN = (KeyError, TypeError, ValueError, AttributeError)


def _not_whole(error: Exception) -> InputError:
    return InputError(
        "E-CODEBOOK", f"the codebook's parts do not fit together ({type(error).__name__})", hint=_HINT
    )


def _opened(data: bytes) -> tuple[dict[str, Any], Arrays]:
    about, arrays = opened(data, "the codebook", _HINT)
    if about.get("what") != "codebook":
        raise InputError("E-CODEBOOK", "not a codebook, but some other saved state", hint=_HINT)
    if about.get("format") != FORMAT:
        raise InputError(
            "E-CODEBOOK-VERSION",
            f"codebook format {about.get('format')}; this version of align reads {FORMAT}",
            hint="use the version of align that wrote it, or make it again with align tokenize",
        )
    return about, arrays


def _book(said: Mapping[str, Any], held: Mapping[str, npt.NDArray[Any]]) -> Book:
    codebook = Codebook(
        held["centroids"], held["shift"], held["scale"], tuple(said["features"]), tuple(said["names"]), said["seed"]
    )  # fmt: skip
    if codebook.hash != said["hash"]:
        raise ValueError("hash")
    return Book(
        codebook,
        held["counts"],
        held["seconds"],
        held["radii"],
        tuple(None if m is None else Medoid(**m) for m in said["medoids"]),
        held["excerpts"],
        held["excerpt_seconds"],
        said["stream"],
        said["modality"],
        tuple(said["units"]),
        said["hop"],
        said["version"],
        said["parent"],
        held["residual"],
    )


def load_books(path: str | os.PathLike[str]) -> tuple[Book, ...]:
    """Read the books of a codebook file.

    Args:
        path: as written by ``align tokenize``.

    Raises:
        InputError: E-NO-FILE; or as ``books_from_bytes``, with the file's name.
        UnsafeError: E-LIMIT, larger than any codebook.
    """
    return _loaded(Path(path), books_from_bytes)


def load_joints(path: str | os.PathLike[str]) -> dict[tuple[str, ...], npt.NDArray[np.int32]]:
    """Read the joint tokens of a codebook file: names of streams -> ``parts`` of ``align.tokens.lanes.Joint``.

    Args:
        path: as of ``load_books``.

    Raises:
        InputError, UnsafeError: as ``load_books``.
    """
    return _loaded(Path(path), joints_from_bytes)


def _loaded(file: Path, read: Callable[[bytes], _T]) -> _T:
    if not file.is_file():
        raise InputError("E-NO-FILE", "no such codebook file", hint="make one with align tokenize", file=file)
    if file.stat().st_size > _LARGEST:
        raise UnsafeError("E-LIMIT", f"more than {_LARGEST} bytes: no codebook is as large", file=file)
    try:
        return read(file.read_bytes())
    except InputError as error:
        raise InputError(error.code, error.message, hint=error.hint, file=file) from error

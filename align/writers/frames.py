"""The three tables: alignment, segments and tokens as polars frames, schema fixed even when empty.

polars is imported inside the functions, so that ``import align.writers`` stays light.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from align.answers import Alignment, Link, TokenSequence
from align.clock import ns_from_seconds
from align.datatypes import Segmentation

if TYPE_CHECKING:
    import polars as pl

__all__ = ["alignment_frame", "segments_frame", "tokens_frame"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def _storable(text: str) -> str:
    """Text that UTF-8 can hold: a lone surrogate becomes U+FFFD (alignment.jsonl keeps it)."""
    return _SURROGATE.sub("\ufffd", text)


def alignment_frame(alignment: Alignment) -> pl.DataFrame:
    """One row per note, in order: the columns of alignment.jsonl, with ``source`` as ``file``, ``line``.

    ``start_time`` and ``end_time`` are UTC with nanoseconds. ``text_exact`` is false where the text held lone
    surrogates, which Parquet cannot: then ``text`` holds U+FFFD for each and alignment.jsonl the exact text.

    Returns:
        A frame of len(alignment.notes) rows.
    """
    import polars as pl

    span = pl.Struct({"start": pl.Float64, "end": pl.Float64, "probability": pl.Float64})
    edge = pl.Struct({"low": pl.Float64, "high": pl.Float64})
    moment = pl.Datetime("ns", "UTC")
    notes, links = alignment.notes, alignment.links
    starts = [None if link.span is None else float(link.span[0]) for link in links]
    ends = [None if link.span is None else float(link.span[1]) for link in links]
    columns: dict[str, tuple[Sequence[object], pl.DataType | type[pl.DataType]]] = {
        "note": (list(range(len(notes))), pl.Int64),
        "text": ([_storable(note.text) for note in notes], pl.String),
        "text_exact": ([_SURROGATE.search(note.text) is None for note in notes], pl.Boolean),
        "status": ([link.status for link in links], pl.String),
        "start": (starts, pl.Float64),
        "end": (ends, pl.Float64),
        "start_time": (_moments(starts, alignment.epoch), moment),
        "end_time": (_moments(ends, alignment.epoch), moment),
        "probability": ([float(link.probability) for link in links], pl.Float64),
        "stream": ([[_storable(name) for name in link.streams] for link in links], pl.List(pl.String)),
        "alternatives": (
            [[{"start": a, "end": b, "probability": p} for a, b, p in link.alternatives] for link in links],
            pl.List(span),
        ),
        "start_range": ([_range(link, 0) for link in links], edge),
        "end_range": ([_range(link, 1) for link in links], edge),
        "start_probability": ([link.edges and link.edges[0].probability for link in links], pl.Float64),
        "end_probability": ([link.edges and link.edges[1].probability for link in links], pl.Float64),
        "method": ([alignment.method] * len(notes), pl.String),
        "file": ([_storable(note.file) for note in notes], pl.String),
        "line": ([note.line for note in notes], pl.Int64),
        "distance_s": ([link.distance for link in links], pl.Float64),
    }
    return pl.DataFrame([pl.Series(name, values, dtype) for name, (values, dtype) in columns.items()])


def _range(link: Link, which: int) -> dict[str, float] | None:
    return None if link.edges is None else {"low": link.edges[which].low, "high": link.edges[which].high}


def _moments(seconds: Sequence[float | None], epoch: int | None) -> list[int | None]:
    if epoch is None:
        return [None] * len(seconds)
    return [None if value is None else ns_from_seconds(value, epoch) for value in seconds]


def segments_frame(segmentations: Sequence[Segmentation]) -> pl.DataFrame:
    """One row per segment of every stream: half-open, in seconds (``start``, ``end``) and in samples.

    ``first`` is the index of its first sample, ``last`` the index just past its last. ``change`` is true
    where a change point starts it, false where a run does. ``method`` and ``penalty`` say how it was cut.

    Args:
        segmentations: one per stream, any number.
    """
    import polars as pl

    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "stream": pl.String, "segment": pl.Int64, "start": pl.Float64, "end": pl.Float64,
        "first": pl.Int64, "last": pl.Int64, "change": pl.Boolean, "method": pl.String, "penalty": pl.Float64,
    }  # fmt: skip
    parts = [
        pl.DataFrame(
            {
                "stream": [_storable(cut.stream)] * cut.n_segments,
                "segment": np.arange(cut.n_segments, dtype=np.int64),
                "start": cut.spans[:, 0].copy(),
                "end": cut.spans[:, 1].copy(),
                "first": cut.boundaries[:-1].copy(),
                "last": cut.boundaries[1:].copy(),
                "change": np.isin(cut.boundaries[:-1], cut.changes),
                "method": [cut.method] * cut.n_segments,
                "penalty": [float(cut.penalty)] * cut.n_segments,
            },
            schema=schema,
        )
        for cut in segmentations
    ]
    return pl.concat([pl.DataFrame(schema=schema), *parts])


def tokens_frame(tokens: Sequence[TokenSequence]) -> pl.DataFrame:
    """One row per token of every stream: span in seconds, code, name, features, hash of the codebook.

    Args:
        tokens: one sequence per stream, any number.
    """
    import polars as pl

    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "stream": pl.String, "token": pl.Int64, "start": pl.Float64, "end": pl.Float64, "code": pl.Int32,
        "name": pl.String, "features": pl.List(pl.Float32), "codebook": pl.String,
    }  # fmt: skip
    parts = []
    for sequence in tokens:
        n = len(sequence.codes)
        named = [sequence.names[code] if 0 <= code < len(sequence.names) else "" for code in sequence.codes]
        features = pl.Series("features", np.asarray(sequence.features).tolist(), pl.List(pl.Float32))
        columns = {
            "stream": [_storable(sequence.stream)] * n,
            "token": np.arange(n, dtype=np.int64),
            "start": sequence.spans[:, 0].copy(),
            "end": sequence.spans[:, 1].copy(),
            "code": sequence.codes.copy(),
            "name": [_storable(name) for name in named],
            "features": features,
            "codebook": [sequence.codebook] * n,
        }
        parts.append(pl.DataFrame(columns, schema=schema))
    return pl.concat([pl.DataFrame(schema=schema), *parts])

"""The three tables and their Parquet bytes."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from align.answers import Alignment, Edge, Link, TokenSequence
from align.datatypes import Note, Segmentation, Stream
from align.writers import alignment_frame, parquet_bytes, segments_frame, tokens_frame

EPOCH = 1_774_735_800_000_000_000  # 2026-03-28T22:10:00Z


def _alignment(epoch: int | None = EPOCH) -> Alignment:
    notes = (Note("walks", file="n.csv", line=2), Note("odd \ud800 text", file="n.csv", line=3))
    edges = Edge(1.8, 2.3, 0.91), Edge(4.1, 4.6, 0.88)
    links = (
        Link("aligned", (2.07, 4.33), 0.93, ((5.7, 7.8, 0.04),), ("phone", "watch"), edges=edges),
        Link("outside", None, 1.0, distance=12.5),
    )
    return Alignment(notes, links, "dtw", epoch=epoch, timezone="+02:00")


def _cut() -> Segmentation:
    stream = Stream(np.zeros(100), 10.0, "phone", run_index=np.array([0, 60]), run_start=np.array([0.0, 9.0]))
    return Segmentation.of(stream, [20], method="pelt", penalty=3.5)


def _tokens() -> TokenSequence:
    spans = np.array([[0.0, 2.0], [2.0, 6.0], [9.0, 13.0]])
    return TokenSequence(
        "phone", np.array([1, 0, 7]), spans, np.array([[0.5, 1], [2, 3], [4, 5]]), "c0de", ("rest", "walk")
    )


def test_alignment_frame_has_one_row_per_note() -> None:
    frame = alignment_frame(_alignment())
    assert frame["note"].to_list() == [0, 1]
    assert frame["status"].to_list() == ["aligned", "outside"]
    assert frame["start"].to_list() == [2.07, None]
    assert frame["start_time"][0] == datetime(2026, 3, 28, 22, 10, 2, 70_000, tzinfo=UTC)
    assert frame["start_time"].dtype == pl.Datetime("ns", "UTC")
    assert frame["stream"].to_list() == [["phone", "watch"], []]
    assert frame["alternatives"].to_list() == [[{"start": 5.7, "end": 7.8, "probability": 0.04}], []]
    assert frame["end_range"].to_list() == [{"low": 4.1, "high": 4.6}, None]
    assert frame["start_probability"].to_list() == [0.91, None]
    assert frame["distance_s"].to_list() == [None, 12.5]
    assert (frame["file"].to_list(), frame["line"].to_list()) == (["n.csv"] * 2, [2, 3])


def test_N06_text_that_parquet_cannot_hold_is_marked() -> None:
    frame = alignment_frame(_alignment())
    assert frame["text"].to_list() == ["walks", "odd \ufffd text"]
    assert frame["text_exact"].to_list() == [True, False]


def test_relative_clock_has_no_times() -> None:
    assert alignment_frame(_alignment(epoch=None))["start_time"].to_list() == [None, None]


def test_segments_frame_tells_change_points_from_run_edges() -> None:
    frame = segments_frame([_cut()])
    assert frame.select("start", "end").rows() == [(0.0, 2.0), (2.0, 6.0), (9.0, 13.0)]
    assert frame.select("first", "last").rows() == [(0, 20), (20, 60), (60, 100)]
    assert frame["change"].to_list() == [False, True, False]
    assert frame["segment"].to_list() == [0, 1, 2]
    assert frame["method"].unique().to_list() == ["pelt"] and frame["penalty"].unique().to_list() == [3.5]


def test_tokens_frame_names_codes_and_keeps_features() -> None:
    frame = tokens_frame([_tokens()])
    assert frame["code"].to_list() == [1, 0, 7]
    assert frame["name"].to_list() == ["walk", "rest", ""]
    assert frame["features"].to_list() == [[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert frame["codebook"].to_list() == ["c0de"] * 3


def test_empty_tables_keep_their_columns_and_types() -> None:
    empty = Alignment((), (), "m")
    assert alignment_frame(empty).schema == alignment_frame(_alignment()).schema
    assert segments_frame([]).schema == segments_frame([_cut()]).schema
    assert tokens_frame([]).schema == tokens_frame([_tokens()]).schema


TABLES = {
    "alignment": lambda: alignment_frame(_alignment()),
    "segments": lambda: segments_frame([_cut(), _cut()]),
    "tokens": lambda: tokens_frame([_tokens()]),
}


@pytest.mark.parametrize("name", TABLES)
def test_parquet_comes_back_equal_and_twice_the_same(name: str) -> None:
    frame = TABLES[name]()
    raw = parquet_bytes(frame)
    assert pl.read_parquet(io.BytesIO(raw)).equals(frame)
    assert parquet_bytes(TABLES[name]()) == raw


def test_parquet_bytes_do_not_show_how_a_frame_was_put_together() -> None:
    frame = segments_frame([_cut()])
    pieces = pl.concat([frame[:1], frame[1:]], rechunk=False)
    assert pieces.n_chunks() == 2
    assert parquet_bytes(pieces) == parquet_bytes(frame)


def test_importing_the_writers_loads_no_polars() -> None:
    code = "import sys, align.writers; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""pipelines/token_parts.py: a long table is cut block by block, and no segment ends because a block does."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from align.datatypes import Finding, Segmentation, Stream
from align.errors import InputError
from align.readers import Policy, read_stream
from align.readers.blocks import TableBlocks
from align.tokens import describe_segments
from align.tokens.saved import load_books
from align.tokens.tally import excerpt
from pipelines import token_parts
from pipelines.config import SegmentationConfig
from pipelines.token_books import Wanted
from pipelines.token_parts import describe_recording, find_recordings, long_table, pieces
from pipelines.tokenize import tokenize_recordings

HOW, RATE = SegmentationConfig(), 20
LEVELS = np.random.default_rng(5).choice([0.0, 3.0, 6.0, 9.0], 60)


def walk(path: Path, *, slots: np.ndarray | None = None, levels: np.ndarray = LEVELS, seed: int = 5) -> Path:
    """Ten-second stretches of changing level at 20 Hz; ``slots`` says when the rows were."""
    values = np.repeat(levels, 200) + 0.1 * np.random.default_rng(seed).normal(size=200 * len(levels))
    times = 1_770_000_000_000 + 50 * (np.arange(values.size) if slots is None else slots)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame({"timestamp_ms": times, "x (g)": values, "y (g)": -values})
    frame.write_parquet(path, row_group_size=1000)
    return path


def with_gap_and_losses() -> np.ndarray:
    rows = np.arange(12_000)
    lost = np.random.default_rng(1).choice(rows[:-1], 400, replace=False) + 1
    return rows + 2 * np.searchsorted(np.sort(lost), rows, side="right") + 5000 * (rows >= 4077)


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(token_parts, "_MOST_ROWS", 2500)


def reads_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Where blocks begin and end, as they are read."""
    read, seen = TableBlocks.read, []

    def noted(self, first, end, start=None):
        seen.append((first, end))
        return read(self, first, end, start)

    monkeypatch.setattr(TableBlocks, "read", noted)
    return seen


@pytest.mark.parametrize("most", [100, 400, 65_536])
@pytest.mark.parametrize("slots", [None, with_gap_and_losses()])
def test_pieces_of_blocks_make_up_the_recording_and_cut_no_segment_in_two(
    tmp_path, short_blocks, monkeypatch, slots, most
):
    path = walk(tmp_path / "w.parquet", slots=slots)
    whole, long = read_stream(path), long_table([path], Policy())
    assert isinstance(long, TableBlocks)
    seen = reads_of(monkeypatch)
    made = list(pieces(long, 0.25, HOW, most))
    assert seen[0] == (0, 2500) and seen[-1][1] == 12_000 and len(seen) >= 4
    assert all(after[0] < before[1] for before, after in itertools.pairwise(seen))  # they overlap
    values = np.concatenate([p.values for p, _ in made])
    np.testing.assert_array_equal(values, whole.values)  # lost samples too, each once
    times = np.concatenate([p.times() for p, _ in made])
    np.testing.assert_allclose(times, whole.times(), rtol=0, atol=1e-6)
    spans = np.concatenate([cut.spans for _, cut in made])
    assert spans[0, 0] == 0.0 and spans[-1, 1] == pytest.approx(whole.end)
    between = spans[1:, 0] - spans[:-1, 1]
    assert (between > -1e-9).all() and (between > 1e-6).sum() == whole.n_runs - 1  # gaps and nothing else
    row_times = whole.times(np.flatnonzero(~np.isnan(whole.values[:, 0])))
    for first, end in seen:
        assert np.abs(spans[:, 0] - row_times[first]).min() < 1e-6, "a block begins where a segment does"
        if end < 12_000:
            ends_there = np.abs(spans[:, 1] - row_times[end]).min() < 1e-6
            assert not ends_there or abs(np.diff(LEVELS.repeat(200))[end - 1]) > 0
    jumps = np.flatnonzero(np.abs(np.diff(LEVELS.repeat(200))) > 0) + 1
    away = np.abs(row_times[jumps][:, None] - spans[:, 0]).min(axis=1)
    assert (away < 1.0).mean() > 0.9  # frames look at a second of signal


def test_a_stretch_without_a_change_ends_with_its_block(tmp_path, short_blocks):
    path = walk(tmp_path / "w.parquet", levels=np.zeros(60))
    frame = pl.read_parquet(path).with_columns(pl.lit(2.0).alias("x (g)"), pl.lit(1.0).alias("y (g)"))
    frame.write_parquet(path)
    made = list(pieces(long_table([path], Policy()), 0.25, HOW))
    assert [p.n_samples for p, _ in made] == [2500, 2500, 2500, 2500, 2000]
    assert [cut.n_segments for _, cut in made] == [1] * 5
    np.testing.assert_allclose(np.diff([p.start for p, _ in made]), 125.0)


def test_hours_without_a_number_are_a_gap(tmp_path, short_blocks):
    path = walk(tmp_path / "w.parquet")
    hole = pl.int_range(pl.len()).is_between(2600, 9999)
    columns = [pl.when(hole).then(None).otherwise(pl.col(c)).alias(c) for c in ("x (g)", "y (g)")]
    pl.read_parquet(path).with_columns(columns).write_parquet(path)
    policy = Policy(on_nan="gap")
    whole, made = read_stream(path, policy), list(pieces(long_table([path], policy), 0.25, HOW))
    np.testing.assert_array_equal(np.concatenate([p.values for p, _ in made]), whole.values)
    np.testing.assert_allclose(np.concatenate([p.times() for p, _ in made]), whole.times(), atol=1e-6)
    ((found,), said) = describe_recording(("w", (path,)), 0.25, HOW, policy)
    assert {f.code: f.count for f in said} == {f.code: f.count for f in whole.findings}
    assert all(f.message.startswith("w: ") for f in said)
    assert (found.spans[1:, 0] - found.spans[:-1, 1] > 1.0).sum() == 1


def test_a_recording_in_blocks_is_described_as_it_is_whole(tmp_path, monkeypatch):
    path = walk(tmp_path / "w.parquet")
    ((whole,), _) = describe_recording(("w", (path,)), 0.25, HOW, Policy())
    monkeypatch.setattr(token_parts, "_MOST_ROWS", 2500)
    ((parted,), _) = describe_recording(("w", (path,)), 0.25, HOW, Policy())
    assert (parted.features, parted.kind, parted.epoch) == (whole.features, whole.kind, whole.epoch)
    assert len(parted.rows) == len(parted.spans) == len(parted.captions)
    stream = read_stream(path)  # the same cut of the whole stream
    cut = Segmentation.of(stream, np.round(parted.spans[:, 0] * RATE).astype(int))
    np.testing.assert_allclose(parted.spans, cut.spans, rtol=0, atol=1e-9)
    rows, features = describe_segments(stream, cut)
    assert features == parted.features
    np.testing.assert_allclose(parted.rows, rows, rtol=1e-3, atol=1e-4)


def tokenized(given: list[Path], out: Path, **options: object) -> dict[str, bytes]:
    tokenize_recordings(given, out, dataclasses.replace(Wanted(n_codes=3, jsonl=True), **options))
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_the_same_bytes_for_any_number_of_threads_and_short_files_as_ever(tmp_path, monkeypatch):
    given = [walk(tmp_path / "in" / f"w{i}.parquet", seed=i, levels=LEVELS[i : i + 55]) for i in range(3)]
    before = tokenized(given, tmp_path / "before")
    monkeypatch.setattr(token_parts, "_MOST_ROWS", 7500)  # 11,000 rows are less than one and a half
    assert tokenized(given, tmp_path / "short") == before
    monkeypatch.setattr(token_parts, "_MOST_ROWS", 2500)
    one = tokenized(given, tmp_path / "one")
    assert one != before and one.keys() == before.keys()
    assert tokenized(given[::-1], tmp_path / "two", threads=2) == one
    assert tokenized(given, tmp_path / "four", threads=4) == one


def test_excerpts_of_a_long_table_are_those_of_the_whole(tmp_path, short_blocks):
    path = walk(tmp_path / "w.parquet", slots=with_gap_and_losses())
    tokenize_recordings([path], tmp_path / "out", Wanted(n_codes=4))
    (book,) = load_books(tmp_path / "out" / "codebook.safetensors")
    whole, shown = read_stream(path), 0
    for code, medoid in enumerate(book.medoids):
        if medoid is not None:
            values, seconds = excerpt(whole, (medoid.start, medoid.end))
            assert book.excerpt_seconds[code] == pytest.approx(seconds)
            np.testing.assert_array_equal(book.excerpts[code][: len(values)], values)
            shown += 1
    assert shown == 4


def test_merged_tokens_go_on_from_block_to_block(tmp_path, short_blocks):
    path = walk(tmp_path / "w.parquet")
    tokenize_recordings([path], tmp_path / "out", Wanted(n_codes=1, merge=True))
    (token,) = pl.read_parquet(tmp_path / "out" / "tokens.parquet").iter_rows(named=True)
    assert (token["start"], token["end"]) == (0.0, pytest.approx(600.0))


def test_a_table_that_only_the_whole_reader_can_read_is_read_whole_and_that_is_said(tmp_path, monkeypatch):
    path = walk(tmp_path / "w.parquet", slots=np.arange(12_000) // 20 * 20)  # times in whole seconds
    before, _ = describe_recording(("w", (path,)), 0.25, HOW, Policy())
    monkeypatch.setattr(token_parts, "_MOST_ROWS", 2500)
    assert isinstance(long_table([path], Policy()), Finding)
    after, said = describe_recording(("w", (path,)), 0.25, HOW, Policy())
    np.testing.assert_array_equal(after[0].rows, before[0].rows)
    assert [f.code for f in said].count("W-WHOLE") == 1


def test_faults_of_a_long_table_are_errors_of_its_recording(tmp_path, short_blocks):
    good = walk(tmp_path / "in" / "good.parquet")
    slots = np.arange(12_000)
    slots[2500] = 2400
    bad = walk(tmp_path / "in" / "bad.parquet", slots=slots)
    found = tokenize_recordings([good, bad], tmp_path / "out", Wanted(n_codes=3))
    (error,) = found.errors
    assert error.code == "E-UNSORTED" and error.where["sample"] == 2500 and found.n_recordings == 1
    with pytest.raises(InputError, match="E-UNSORTED"):
        describe_recording(("bad", (bad,)), 0.25, HOW, Policy())


def test_folders_of_several_files_and_other_streams_are_read_as_ever(tmp_path, short_blocks):
    walk(tmp_path / "s" / "a.parquet")
    walk(tmp_path / "s" / "b.parquet", seed=8)
    ((_, files),) = find_recordings([tmp_path / "s"])
    assert long_table(files, Policy()) is None
    sound = Stream(np.zeros(100), 10.0, modality="audio")
    assert len(list(pieces(sound, 0.25, HOW, 1))) == 1

"""pipelines/tokenize.py and its parts: every segment once, one codebook a kind, the same bytes however it is run."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from align.datatypes import Session, Stream
from align.errors import InputError, ParameterError, UnsafeError
from align.readers import Policy, read_stream
from align.tokens import describe_segments
from align.tokens.codebook import code_rows
from align.tokens.saved import load_books, load_joints
from pipelines.config import SegmentationConfig
from pipelines.run import cut_session
from pipelines.token_books import Wanted
from pipelines.token_parts import Sample, describe_recording, find_recordings, pieces, read_part, write_part
from pipelines.tokenize import tokenize_recordings
from tests.pipelines.walks import files, heart, sessions, wrist
from tests.source import ROOT

WANTED = Wanted(n_codes=3)


def test_every_segment_of_every_recording_gets_the_code_of_its_nearest_centroid(tmp_path):
    given = files(tmp_path / "in")
    found = tokenize_recordings(given, tmp_path / "out", WANTED)
    table = pl.read_parquet(tmp_path / "out" / "tokens.parquet")
    (book,) = load_books(tmp_path / "out" / "codebook.safetensors")
    assert found.books[0].hash == book.hash and found.n_tokens == len(table)
    assert table["recording"].unique(maintain_order=True).to_list() == ["r0.csv", "r1.csv", "r2.csv"]
    for path in given:
        stream = read_stream(path)
        session = Session("x", (stream,))
        (cut,) = cut_session(session, 0.25, SegmentationConfig())
        rows = describe_segments(stream, cut)[0]
        own = table.filter(pl.col("recording") == path.name)
        assert own["code"].to_list() == code_rows(rows, book.codebook)[0].tolist()
        np.testing.assert_allclose(own.select("start", "end").to_numpy(), cut.spans)
        np.testing.assert_array_equal(np.array(own["features"].to_list(), np.float32), rows)
    assert book.counts.tolist() == np.bincount(table["code"], minlength=3).tolist()
    assert table["codebook"].unique().to_list() == [book.hash]
    assert book.excerpts.shape[1] > 0 and (book.excerpt_seconds > 0).all()
    assert not list((tmp_path).glob(".align*")) and not list((tmp_path / "out").glob(".align*"))


def run_once(given: list[Path], out: Path, hash_seed: int, threads: int) -> None:
    code = (
        "import sys, pathlib as p; from pipelines.tokenize import tokenize_recordings as t; "
        "from pipelines.token_books import Wanted as W; a = [p.Path(x) for x in sys.argv[2:]]; "
        f"t(a, p.Path(sys.argv[1]), W(n_codes=3, levels=1, joint=True, jsonl=True, threads={threads}))"
    )
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed), "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads),
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", code, str(out), *map(str, given)], check=True, env=environment, timeout=300
    )


def test_the_same_bytes_for_any_order_of_files_number_of_threads_and_hash_seed(tmp_path):
    given = [*files(tmp_path / "in"), *sessions(tmp_path / "in")]
    orders = (given, given[::-1], [*given[2:], *given[:2]])
    for run, (order, threads) in enumerate(zip(orders, (1, 2, 2), strict=True)):
        run_once(order, tmp_path / f"out{run}", run, threads)
    for name in ("tokens.parquet", "tokens.jsonl", "codebook.safetensors"):
        first, *others = [(tmp_path / f"out{run}" / name).read_bytes() for run in range(3)]
        assert all(first == other for other in others), name


def test_a_given_codebook_is_used_and_told_whether_it_fits(tmp_path):
    tokenize_recordings(files(tmp_path / "in"), tmp_path / "a", WANTED)
    books = load_books(tmp_path / "a" / "codebook.safetensors")
    again = tokenize_recordings(
        files(tmp_path / "in"), tmp_path / "b", dataclasses.replace(WANTED, books=books)
    )
    assert pl.read_parquet(tmp_path / "b" / "tokens.parquet").equals(
        pl.read_parquet(tmp_path / "a" / "tokens.parquet")
    )
    assert (tmp_path / "b" / "codebook.safetensors").read_bytes() == (
        tmp_path / "a" / "codebook.safetensors"
    ).read_bytes()
    assert again.drifts[0].moved == pytest.approx(0.0, abs=1e-6)
    loud = wrist(tmp_path / "loud.csv", ["shake", "walk", "shake"], 9, grown=6.0)
    far = tokenize_recordings([loud], tmp_path / "c", dataclasses.replace(WANTED, books=books))
    assert far.drifts[0].is_far


def test_kept_ids_give_next_month_the_same_tokens(tmp_path):
    tokenize_recordings(files(tmp_path / "in"), tmp_path / "a", WANTED)
    old = load_books(tmp_path / "a" / "codebook.safetensors")
    month = [
        wrist(tmp_path / "in2" / f"m{i}.csv", ["shake", "walk", "rest", "walk"], 50 + i) for i in range(3)
    ]
    with_old = tokenize_recordings(month, tmp_path / "b", dataclasses.replace(WANTED, books=old))
    kept = tokenize_recordings(month, tmp_path / "c", dataclasses.replace(WANTED, keep=old))
    before, after = (pl.read_parquet(tmp_path / x / "tokens.parquet")["code"] for x in "bc")
    assert (before == after).mean() > 0.8
    assert kept.books[0].version == 2 and kept.books[0].parent == old[0].hash
    assert kept.books[0].codebook.names[:3] == old[0].codebook.names
    assert len(kept.mappings) == 1 and with_old.mappings == ()


def test_sessions_have_a_book_for_each_kind_and_a_joint_lane(tmp_path):
    given = sessions(tmp_path / "in")
    wanted = dataclasses.replace(WANTED, joint=True)
    found = tokenize_recordings(given, tmp_path / "out", wanted)
    assert sorted(book.stream for book in found.books) == ["heart", "wrist"]
    table = pl.read_parquet(tmp_path / "out" / "tokens.parquet")
    assert table["stream"].unique().sort().to_list() == ["heart", "heart+wrist", "wrist"]
    joints = load_joints(tmp_path / "out" / "codebook.safetensors")
    assert list(joints) == [("heart", "wrist")]
    joint = table.filter(stream="heart+wrist", recording="s0")
    lanes = {s: table.filter(stream=s, recording="s0") for s in ("heart", "wrist")}
    for row in joint.iter_rows(named=True):
        middle = 0.5 * (row["start"] + row["end"])
        at = [
            lane.filter((pl.col("start") <= middle) & (pl.col("end") > middle))["code"]
            for lane in lanes.values()
        ]
        assert joints["heart", "wrist"][row["code"]].tolist() == [c[0] if len(c) else -1 for c in at]
    assert joint["code"].n_unique() > 1
    books = load_books(tmp_path / "out" / "codebook.safetensors")
    later = dataclasses.replace(wanted, books=books, joints=joints)
    tokenize_recordings(given[:1], tmp_path / "next", later)
    again = pl.read_parquet(tmp_path / "next" / "tokens.parquet").filter(stream="heart+wrist")
    assert again["code"].to_list() == joint["code"].to_list()


def test_merged_tokens_have_no_equal_neighbours_and_levels_lower_nothing_else(tmp_path):
    given = files(tmp_path / "in")
    tokenize_recordings(given, tmp_path / "a", dataclasses.replace(WANTED, n_codes=1, merge=True))
    table = pl.read_parquet(tmp_path / "a" / "tokens.parquet")
    assert len(table) == 3  # one code: each recording is one token
    tokenize_recordings(given, tmp_path / "b", dataclasses.replace(WANTED, levels=2))
    levels = pl.read_parquet(tmp_path / "b" / "tokens.parquet")["levels"]
    assert levels.list.len().unique().to_list() == [2]
    with pytest.raises(ParameterError, match="merge"):
        tokenize_recordings(given, tmp_path / "c", dataclasses.replace(WANTED, levels=2, merge=True))


def test_a_recording_that_fails_is_named_and_the_others_are_done(tmp_path):
    given = files(tmp_path / "in")
    bad = tmp_path / "in" / "bad.csv"
    bad.write_text("time,tap [mm]\n0,1\n0.1\n")
    found = tokenize_recordings([*given, bad], tmp_path / "out", WANTED)
    assert found.n_recordings == 3 and len(found.errors) == 1 and "bad.csv" in str(found.errors[0])
    with pytest.raises(InputError):
        tokenize_recordings([bad], tmp_path / "none", WANTED)
    assert not (tmp_path / "none").exists()


def test_an_empty_folder_is_used_and_force_leaves_no_earlier_file(tmp_path):
    given = files(tmp_path / "in")
    out = tmp_path / "out"
    out.mkdir()
    tokenize_recordings(given, out, dataclasses.replace(WANTED, jsonl=True))
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UnsafeError):
        tokenize_recordings(given, out, WANTED)
    tokenize_recordings(given, out, WANTED, force=True)
    assert sorted(p.name for p in out.iterdir()) == ["codebook.safetensors", "notes.txt", "tokens.parquet"]
    assert all(p.stat().st_mode & 0o077 == 0 for p in out.iterdir() if p.name != "notes.txt")


def test_what_a_codebook_does_not_know_is_an_error_of_its_recording(tmp_path):
    given = files(tmp_path / "in")
    tokenize_recordings(given, tmp_path / "a", WANTED)
    books = load_books(tmp_path / "a" / "codebook.safetensors")
    other = heart(tmp_path / "in" / "heart.csv", ["rest", "walk", "rest"])
    found = tokenize_recordings([*given, other], tmp_path / "b", dataclasses.replace(WANTED, books=books))
    assert [e.code for e in found.errors] == ["E-CODEBOOK-FEATURES"]
    with pytest.raises(UnsafeError, match="E-EXISTS"):
        tokenize_recordings(given, tmp_path / "b", WANTED)


def test_recordings_are_named_below_their_common_folder_and_sorted(tmp_path):
    given = [*files(tmp_path / "in"), *sessions(tmp_path / "in")]
    names = [name for name, _ in find_recordings(given[::-1])]
    assert names == ["r0.csv", "r1.csv", "r2.csv", "s0", "s1"]
    assert [name for name, _ in find_recordings(given[:1] * 2)] == ["r0.csv"]
    with pytest.raises(InputError, match="E-NO-FILE"):
        find_recordings([tmp_path / "none.csv"])


def parts(tmp_path):
    return [
        describe_recording(r, 0.25, SegmentationConfig(), Policy())[0][0]
        for r in find_recordings(files(tmp_path / "in"))
    ]


def long_walk(n: int = 60, gap: bool = True) -> Stream:
    """Ten-second stretches of changing level at 20 Hz, with a gap after a third."""
    random = np.random.default_rng(5)
    values = np.repeat(random.choice([0.0, 3.0, 6.0, 9.0], n), 200) + 0.1 * random.normal(size=200 * n)
    runs = ([0, 200 * (n // 3) + 77], [5.0, 4000.0]) if gap else ([0], [5.0])
    return Stream(np.column_stack([values, -values]), 20.0, name="w", run_index=runs[0], run_start=runs[1])


@pytest.mark.parametrize("most", [50, 200, 1000])
def test_pieces_make_up_the_stream_and_cut_no_segment_in_two(most):
    stream = long_walk()
    whole = [cut for _, cut in pieces(stream, 0.25, SegmentationConfig())]
    made = list(pieces(stream, 0.25, SegmentationConfig(), most))
    assert len(whole) == 1 and len(made) >= 2400 // most - 1
    np.testing.assert_array_equal(np.concatenate([p.values for p, _ in made]), stream.values)
    times = np.concatenate([p.times() for p, _ in made])
    np.testing.assert_allclose(times, stream.times(), atol=1e-9)
    spans = np.concatenate([cut.spans for _, cut in made])
    assert spans[0, 0] == 5.0 and spans[-1, 1] == pytest.approx(stream.end)
    assert (spans[1:, 0] - spans[:-1, 1] > 1e-6).sum() == 1  # the gap
    # A piece is scaled by what is in it, so weak changes may differ; the real ones are found in any case.
    jumps = np.flatnonzero(np.abs(np.diff(stream.values[:, 0])) > 2) + 1
    away = np.abs(stream.times(jumps)[:, None] - spans[:, 0]).min(axis=1)
    assert (away < 1.0).mean() > 0.9  # frames look at a second of signal


def test_a_stretch_without_a_change_ends_with_its_piece():
    stream = Stream(np.full(4000, 2.0), 20.0)
    made = list(pieces(stream, 0.25, SegmentationConfig(), 100))
    assert [cut.n_segments for _, cut in made] == [1] * len(made) and len(made) > 5
    assert sum(p.n_samples for p, _ in made) == 4000


def test_a_part_comes_back_from_disk(tmp_path):
    part = parts(tmp_path)[0]
    write_part(tmp_path / "p", part)
    back = read_part(tmp_path / "p")
    np.testing.assert_array_equal(back.rows, part.rows)
    np.testing.assert_array_equal(back.spans, part.spans)
    assert (back.captions, back.features, back.kind, back.epoch) == (
        part.captions, part.features, part.kind, part.epoch,
    )  # fmt: skip
    assert len(part.captions) == len(part.rows)


def test_a_sample_is_the_same_in_any_order_bounded_and_drawn_alike(tmp_path):
    all_parts = parts(tmp_path)
    whole, some, other = Sample(10_000), Sample(7), Sample(7)
    for part in all_parts:
        whole.add(part)
        some.add(part)
    for part in all_parts[::-1]:
        other.add(part)
    total = sum(len(p.rows) for p in all_parts)
    assert len(whole.rows) == whole.seen == total and len(some.rows) == 7
    np.testing.assert_array_equal(some.rows, other.rows)
    np.testing.assert_array_equal(some.seconds, other.seconds)
    np.testing.assert_array_equal(whole.rows[:7], some.rows)
    assert len(Sample(7).rows) == len(Sample(7).seconds) == 0
    drawn = np.zeros(total)  # each row about equally often over seeds
    rows = np.concatenate([p.rows for p in all_parts])
    for seed in range(60):
        sample = Sample(max(1, total // 2), seed)
        for part in all_parts:
            sample.add(part)
        drawn += (rows[:, None] == sample.rows[None]).all(axis=2).any(axis=1)
    assert abs(drawn.mean() / 60 - 0.5) < 0.1 and drawn.min() > 12 and drawn.max() < 48

"""``align tokenize`` and ``align tokens`` in this process: outputs, refusals, exit codes."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tests.pipelines.walks import files, sessions, wrist


@pytest.fixture
def book(align, tmp_path):
    done = align("tokenize", *files(tmp_path / "in"), "-o", tmp_path / "out", "--codes", 3)
    assert done.code == 0, done
    return tmp_path / "out" / "codebook.safetensors"


def test_tokenize_writes_tokens_and_a_codebook_and_says_what_it_did(align, tmp_path):
    done = align("tokenize", *files(tmp_path / "in"), "-o", tmp_path / "out", "--codes", 3, "--jsonl")
    assert done.code == 0 and "tokens of 3 recordings" in done.err
    assert done.out.splitlines()[0].split() == ["stream", "codes", "segments", "hours", "version", "codebook"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "codebook.safetensors", "tokens.jsonl", "tokens.parquet",
    ]  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "out" / "tokens.jsonl").read_text().splitlines()]
    table = pl.read_parquet(tmp_path / "out" / "tokens.parquet")
    assert [r["code"] for r in rows] == table["code"].to_list()
    assert {r["recording"] for r in rows} == {"r0.csv", "r1.csv", "r2.csv"}


def test_tokenize_prints_json_and_chooses_the_number_of_codes(align, tmp_path):
    done = align("tokenize", tmp_path / "in", "-o", tmp_path / "out", "--codes", "auto", "--json")
    done.refused("E-NO-FILE")
    sessions(tmp_path / "in")
    done = align("tokenize", tmp_path / "in", "-o", tmp_path / "out", "--codes", "auto", "--json", "--joint")
    result = json.loads(done.out)
    assert done.code == 0 and result["event"] == "result" and result["n_recordings"] == 2
    assert all(1 <= b["n_codes"] <= 64 for b in result["books"])


def test_what_makes_no_sense_is_refused_before_the_work(align, tmp_path, book):
    given = files(tmp_path / "in")
    assert align("tokenize", *given, "-o", tmp_path / "o", "--codes", "many").code == 2
    assert align("tokenize", *given, "-o", tmp_path / "o", "--codes", 5000).code == 2
    both = align("tokenize", *given, "-o", tmp_path / "o", "--codebook", book, "--keep-ids", book)
    assert both.code == 2 and "one of them" in both.err
    assert align("tokenize", *given, "-o", tmp_path / "o", "--codebook", book, "--levels", 1).code == 2
    align("tokenize", *given, "-o", tmp_path / "out").refused("E-EXISTS", 7)
    align("tokenize", *given, "-o", tmp_path / "o", "--codebook", tmp_path / "none").refused("E-NO-FILE")
    book.write_bytes(book.read_bytes()[:-9])
    assert "codebook.safetensors" in align(
        "tokenize", *given, "-o", tmp_path / "o", "--codebook", book
    ).refused("E-CHECKSUM")
    assert not (tmp_path / "o").exists()


def test_a_codebook_is_fitted_on_a_card_where_there_is_one(align, tmp_path):
    import torch

    given = files(tmp_path / "in")
    if not torch.cuda.is_available():
        align("tokenize", *given, "-o", tmp_path / "o", "--device", "cuda").refused("E-DEVICE", 5)
    assert align("tokenize", *given, "-o", tmp_path / "o", "--device", "tpu").code == 2
    assert not (tmp_path / "o").exists()
    tables = []
    for name in ("auto", "cpu"):
        assert align("tokenize", *given, "-o", tmp_path / name, "--codes", 3, "--device", name).code == 0
        tables.append(pl.read_parquet(tmp_path / name / "tokens.parquet")["code"].to_list())
    assert tables[0] == tables[1]


def test_a_bad_recording_is_named_and_the_exit_code_is_4(align, tmp_path):
    bad = tmp_path / "in" / "zz.csv"
    given = [*files(tmp_path / "in"), bad]
    bad.write_text("time,tap [mm]\n0,1\n0.1\n")
    done = align("tokenize", *given, "-o", tmp_path / "out", "--codes", 3)
    assert done.code == 4 and "zz.csv" in done.err and "3 recordings" in done.err


def test_a_codebook_is_used_and_its_ids_are_kept(align, tmp_path, book):
    month = wrist(tmp_path / "m.csv", ["walk", "rest", "shake", "walk", "rest"], 77)
    used = align("tokenize", month, "-o", tmp_path / "a", "--codebook", book)
    assert used.code == 0 and "beyond the radius" in used.err
    kept = align("tokenize", month, "-o", tmp_path / "b", "--keep-ids", book, "--codes", 3, "--json")
    result = json.loads(kept.out)
    assert result["books"][0]["version"] == 2 and result["books"][0]["parent"]


def test_tokens_show_prints_a_table_draws_and_says_drift(align, tmp_path, book):
    plot = tmp_path / "codes.html"
    done = align("tokens", "show", book, "--plot", plot, "--drift", tmp_path / "in" / "r0.csv")
    assert done.code == 0 and "typical in" in done.out and ".csv" in done.out
    assert "beyond the radius" in done.out
    assert done.out.startswith(
        "tap, tip: 3 codes"
    )  # the files' names differ, so their channels name the kind
    assert plot.read_text().startswith("<!doctype html>")
    align("tokens", "show", book, "--plot", plot).refused("E-EXISTS", 7)
    assert align("tokens", "show", book, "--plot", tmp_path / "codes.png").code == 2
    assert align("tokens", "show", book, "--plot", tmp_path / "codes.svg").code == 0
    lines = [json.loads(line) for line in align("tokens", "show", book, "--json").out.splitlines()]
    assert [line["event"] for line in lines] == ["code"] * 3 + ["result"]
    align("tokens", "show", tmp_path / "none").refused("E-NO-FILE")


def test_of_a_session_the_stream_of_a_medoid_is_said_too(align, tmp_path):
    sessions(tmp_path / "in")
    align("tokenize", tmp_path / "in", "-o", tmp_path / "out", "--codes", 2)
    shown = align("tokens", "show", tmp_path / "out" / "codebook.safetensors").out
    assert "s0:heart" in shown or "s1:heart" in shown
    assert "s0:wrist" in shown or "s1:wrist" in shown


def test_tokens_diff_and_drift_and_export(align, tmp_path, book):
    same = align("tokens", "diff", book, book)
    assert same.code == 0 and "the same codes" in same.out and "distance" in same.out
    by_time = align("tokens", "diff", book, book, tmp_path / "in" / "r0.csv", "--json")
    lines = [json.loads(line) for line in by_time.out.splitlines()]
    assert lines[-1]["event"] == "result" and lines[-1]["mappings"][0]["by"] == "overlap"
    done = align("tokens", "drift", book, *files(tmp_path / "in"), "--json")
    last = json.loads(done.out.splitlines()[-1])
    assert done.code == 0 and last["drift"][0]["is_far"] is False
    for suffix in ("csv", "json", "parquet"):
        target = tmp_path / f"codes.{suffix}"
        assert align("tokens", "export", book, "-o", target).code == 0 and target.stat().st_size > 100
        align("tokens", "export", book, "-o", target).refused("E-EXISTS", 7)
    assert align("tokens", "export", book, "-o", tmp_path / "codes.xlsx").code == 2

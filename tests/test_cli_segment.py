"""``align segment``: the table it prints, files that fail, files that exist."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import align
from cli.main import main


@pytest.fixture
def sensor(tmp_path):
    """A table of two channels at 50 Hz, 40 s, level changes every 10 s, and a pause of 100 s in the middle."""

    def make(name="wrist.csv", seed=0):
        rng = np.random.default_rng(seed)
        x = 6.0 * (np.arange(2000) // 500 % 2) + rng.normal(size=2000)
        times = np.arange(2000) / 50 + 100 * (np.arange(2000) >= 1000)
        rows = "".join(
            f"{t:.2f},{v:.5f},{w:.5f}\n" for t, v, w in zip(times, x, rng.normal(size=2000), strict=True)
        )
        (tmp_path / name).write_text("time,x,y\n" + rows)
        return tmp_path / name

    return make


def rows_of(text):
    return [
        (row["stream"], float(row["start"]), float(row["end"]), int(row["code"]))
        for row in csv.DictReader(io.StringIO(text))
    ]


def test_prints_one_row_per_segment_in_seconds(sensor, capsys):
    path = sensor()
    assert main(["segment", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.splitlines()[0] == "stream,start,end,code"
    rows = rows_of(out)
    expected = [("wrist", 0, 10), ("wrist", 10, 20), ("wrist", 120, 130), ("wrist", 130, 140)]
    assert [row[:3] for row in rows] == [pytest.approx(e, abs=0.1) for e in expected]
    assert {row[3] for row in rows} <= set(range(4))


def test_says_what_the_library_says(sensor, capsys):
    """--penalty, --min-duration and --per-hour reach ``align.segment`` as they are."""
    path = sensor()
    stream = align.read_stream(path)
    for options, arguments in (
        (["--penalty", "3", "--min-duration", "0.5"], {"penalty": 3.0, "min_duration": 0.5}),
        (["--per-hour", "900"], {"per_hour": 900.0}),
        (["--method", "l2"], {"method": "l2"}),
    ):
        assert main(["segment", str(path), *options]) == 0
        spans = [row[1:3] for row in rows_of(capsys.readouterr().out)]
        expected = align.segment(stream, **arguments).spans
        np.testing.assert_allclose(spans, expected, atol=1e-8)


def test_features_cuts_frames(sensor, capsys):
    path = sensor()
    assert main(["segment", str(path), "--features", "--penalty", "auto"]) == 0
    spans = [row[1:3] for row in rows_of(capsys.readouterr().out)]
    frames = align.featurize(align.read_stream(path))
    np.testing.assert_allclose(spans, align.segment(frames).spans, atol=1e-8)


def test_streams_of_one_name_in_two_files_stay_apart(sensor, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    one, two = sensor(), sensor("other/wrist.csv", seed=1)
    assert main(["segment", str(one), str(two)]) == 0
    names = {row[0] for row in rows_of(capsys.readouterr().out)}
    assert names == {f"{one}:wrist", f"{two}:wrist"}


def test_a_failing_file_leaves_the_others_done(sensor, tmp_path, capsys):
    """Exit 4, one line per failure on stderr, the others' rows on stdout."""
    good = sensor()
    (tmp_path / "empty.csv").write_text("")
    assert main(["segment", str(tmp_path / "empty.csv"), str(good), str(tmp_path / "none.csv")]) == 4
    out, err = capsys.readouterr()
    assert {row[0] for row in rows_of(out)} == {"wrist"}
    assert [line.split()[0] for line in err.splitlines()] == ["E-EMPTY", "E-NO-FILE"]


def test_F01_a_single_failing_file_is_bad_input(tmp_path, capsys):
    (tmp_path / "empty.csv").write_text("")
    assert main(["segment", str(tmp_path / "empty.csv")]) == 3
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "E-EMPTY" in err


def test_an_existing_file_is_replaced_only_by_force(sensor, tmp_path, capsys):
    path, out = sensor(), tmp_path / "cuts.csv"
    out.write_text("mine")
    assert main(["segment", str(path), "-o", str(out)]) == 7
    assert out.read_text() == "mine" and "E-EXISTS" in capsys.readouterr().err
    assert main(["segment", str(path), "-o", str(out), "--force"]) == 0
    assert len(rows_of(out.read_text())) == 4 and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "wrong",
    [
        ["--penalty", "-1"],
        ["--penalty", "nan"],
        ["--penalty", "x"],
        ["--min-duration", "0"],
        ["--per-hour", "x"],
        ["--method", "fpop"],
        ["--per-hour", "3", "--penalty", "3"],
    ],
)
def test_S17_bad_options_are_usage_errors(wrong, sensor, capsys):
    assert main(["segment", str(sensor()), *wrong]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["segment", "inspect"])
def test_failures_beside_good_files_are_json_when_asked(command, sensor, capsys, tmp_path):
    good = sensor()
    (tmp_path / "empty.csv").write_bytes(b"")
    assert main([command, str(tmp_path / "empty.csv"), str(good), "--errors", "json"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["file"].endswith("empty.csv")


def test_S03_a_name_is_no_formula(sensor, capsys):
    path = sensor("=cmd.csv")
    assert main(["segment", str(path), "--penalty", "1e9"]) == 0
    assert {row[0] for row in rows_of(capsys.readouterr().out)} == {"'=cmd"}


def test_explain_says_how_and_why_on_stderr(sensor, capsys):
    path = sensor()
    assert main(["segment", str(path), "--explain"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("stream,start,end,code\n")
    assert err.startswith("wrist: 4 segments by ") and "penalty" in err and len(err.splitlines()) == 1


def test_n_segments_and_like_reach_the_library(sensor, capsys, tmp_path):
    path = sensor()
    stream = align.read_stream(path)
    spans = tmp_path / "spans.csv"
    spans.write_text("label,start,end\na,0,10\nb,10,20\n")
    for options, arguments in (
        (["--n-segments", "6", "--method", "l2"], {"n_segments": 6, "method": "l2"}),
        (["--like", "0-10,10-20", "--method", "l2"], {"like": [(0, 10), (10, 20)], "method": "l2"}),
        (["--like", str(spans), "--method", "l2"], {"like": [(0, 10), (10, 20)], "method": "l2"}),
    ):
        assert main(["segment", str(path), *options]) == 0
        printed = [row[1:3] for row in rows_of(capsys.readouterr().out)]
        assert printed == [pytest.approx(span) for span in align.segment(stream, **arguments).spans.tolist()]


@pytest.mark.parametrize("value", ["0-10,x", "10", "0-1-2", "no-such.csv"])
def test_spans_that_are_none_are_refused(sensor, capsys, value):
    assert main(["segment", str(sensor()), "--like", value]) == 2
    assert "START-END" in capsys.readouterr().err


def test_S17_an_unknown_method_names_the_nearest(sensor, capsys):
    assert main(["segment", str(sensor()), "--method", "binry:l1"]) == 2
    assert 'Did you mean "binary:l1"?' in capsys.readouterr().err

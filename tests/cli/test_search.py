"""``align search``, ``classify`` and ``suggest`` from the outside: what they print and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cli.recordings import SAMPLES, Done, table

Align = Callable[..., Done]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two sample sessions without their sound: quick to read."""
    for name in ("p5", "p6"):
        folder = tmp_path / "people" / name
        shutil.copytree(SAMPLES / name, folder)
        (folder / "microphone.flac").unlink()
    return tmp_path / "people"


def events(done: Done, kind: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["event"] for line in lines] == [kind] * (len(lines) - 1) + ["result"]
    return lines[:-1], lines[-1]


def test_search_prints_spans_best_first(align: Align, people: Path, tiny_model: Path) -> None:
    hits, result = events(align("search", people, "coughed", "--model", tiny_model, "-k", 5, "--json"), "hit")
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    chances = [round(hit["probability"], 3) for hit in hits]
    assert chances == sorted(chances, reverse=True) and all(0 <= p <= 1 for p in chances)
    assert {hit["session"] for hit in hits} <= {"p5", "p6"} and all(h["start"] < h["end"] for h in hits)
    assert (result["schema"], result["n_hits"], result["n_sessions"]) == ("align.search/1", 5, 2)


def test_search_for_people(align: Align, people: Path, tiny_model: Path) -> None:
    done = align("search", people / "p5", "coughed", "--model", tiny_model, "-k", 2)
    assert done.out.splitlines()[0].split() == ["session", "start", "end", "probability"]
    assert len(done.out.splitlines()) == 3 and "2 spans of 1 recording, 0.03 h" in done.err


def test_arithmetic_changes_the_answer(align: Align, people: Path, tiny_model: Path) -> None:
    model = ("--model", tiny_model, "-k", 3, "--json")
    plain = align("search", people / "p5", "coughed", *model).out
    other = align("search", people / "p5", "coughed", "--like", "25-34", "--minus", "walking", *model)
    assert events(other, "hit")[0] and other.out != plain
    align("search", people / "p5", "coughed", "--like", "900-950", *model).refused("E-PARAM", 2)
    align("search", people / "p5", "coughed", "--like", "soon", *model).refused("E-USAGE", 2)


def test_absolute_times_are_given_where_they_are_known(
    align: Align, tmp_path: Path, tiny_model: Path
) -> None:
    folder = tmp_path / "day"
    shutil.copytree(SAMPLES / "p5", folder)
    (folder / "microphone.flac").unlink()
    for name in ("wrist.csv", "heart.csv"):
        lines = (folder / name).read_text().splitlines()
        moved = [
            f"{1_774_000_000 + float(row.split(',', 1)[0]):.3f},{row.split(',', 1)[1]}" for row in lines[1:]
        ]
        (folder / name).write_text("\n".join([lines[0], *moved]) + "\n")
    hits, _ = events(align("search", folder, "coughed", "--model", tiny_model, "--json"), "hit")
    assert hits[0]["start_time"].startswith("2026-03-20T")
    assert "2026-03-20T" in align("search", folder, "coughed", "--model", tiny_model).out


def test_files_of_one_session_and_no_notes_are_needed(align: Align, people: Path, tiny_model: Path) -> None:
    files = (people / "p5" / "wrist.csv", people / "p5" / "heart.csv")
    (people / "p5" / "notes.csv").write_bytes(b"\xff\x00 not notes")
    hits, result = events(align("search", *files, "coughed", "--model", tiny_model, "--json"), "hit")
    assert result["n_sessions"] == 1 and {h["session"] for h in hits} == {"wrist"}
    assert events(align("search", people / "p5", "coughed", "--model", tiny_model, "--json"), "hit")[0]


def test_what_search_refuses(align: Align, people: Path, tiny_model: Path) -> None:
    model = ("--model", tiny_model)
    assert "query" in align("search", people / "p5", people / "p6", *model).refused("E-USAGE", 2)
    align("search", people / "p5", "...", *model).refused("E-PARAM", 2)
    align("search", people / "p5", people / "p6" / "wrist.csv", "coughed", *model).refused("E-PARAM", 2)
    align("search", people / "none", "coughed", *model).refused("E-NO-FILE")
    align("search", people / "p5", "coughed").refused("E-USAGE", 2)


def test_classify_covers_the_recording_in_order(align: Align, people: Path, tiny_model: Path) -> None:
    done = align(
        "classify", people / "p5", "--labels", "walking, lying down", "--model", tiny_model, "--json"
    )
    rows, result = events(done, "row")
    assert result["labels"] == ["walking", "lying down"] and result["schema"] == "align.classify/1"
    for row in rows:
        assert set(row["probabilities"]) == {"walking", "lying down"}
        assert sum(row["probabilities"].values()) + row["none"] == pytest.approx(1.0, abs=1e-4)
        assert row["label"] in (None, "walking", "lying down")
    spans = [(row["start"], row["end"]) for row in rows]
    assert spans == sorted(spans)
    joined = [(a, b) for a, b in pairwise(rows) if a["end"] == b["start"]]
    assert joined and all(a["label"] != b["label"] for a, b in joined)


def test_classify_by_frames_and_recording(align: Align, people: Path, tiny_model: Path) -> None:
    asked = ("--labels", "walking,lying down", "--model", tiny_model)
    frames, _ = events(
        align("classify", people / "p5", *asked, "--by", "frames", "--closed", "--json"), "row"
    )
    assert len({round(row["end"] - row["start"], 6) for row in frames}) == 1 and len(frames) > 100
    assert all(row["label"] is not None and row["none"] == 0.0 for row in frames)
    shares, _ = events(align("classify", people, *asked, "--by", "recording", "--json"), "row")
    assert [row["session"] for row in shares] == ["p5", "p6"]
    assert sum(shares[0]["probabilities"].values()) + shares[0]["none"] == pytest.approx(1.0, abs=1e-4)
    shown = align("classify", people, *asked, "--by", "recording").out.splitlines()
    assert [line.split()[0] for line in shown] == ["share", "walking", "lying", "none"]


def test_classify_for_people_says_none_of_these(align: Align, people: Path, tiny_model: Path) -> None:
    done = align("classify", people / "p5", "--labels", "xylophone", "--model", tiny_model)
    assert done.code == 0 and "none of these" in done.out


@pytest.mark.parametrize("labels", ["", "a,,b", "walking, walking", "...,walking"])
def test_labels_that_are_none(align: Align, people: Path, tiny_model: Path, labels: str) -> None:
    align("classify", people / "p5", "--labels", labels, "--model", tiny_model).refused("E-PARAM", 2)


def test_suggest_names_spans_of_the_sessions(align: Align, people: Path, tiny_model: Path) -> None:
    done = align("suggest", people, "--model", tiny_model, "-k", 4, "--json")
    rows, result = events(done, "suggestion")
    assert len(rows) == result["n_suggestions"] == 4 and result["schema"] == "align.suggest/1"
    assert all(row["session"] in ("p5", "p6") and row["start"] < row["end"] for row in rows)
    shown = align("suggest", people, "--model", tiny_model, "-k", 4)
    assert shown.out.splitlines()[0].endswith("why") and len(shown.out.splitlines()) == 5


def test_recordings_that_the_model_cannot_read(align: Align, tmp_path: Path, tiny_model: Path) -> None:
    other = table(tmp_path / "other.csv", [f"{i / 10:.1f},{i % 7}" for i in range(600)])
    align("search", other, "coughed", "--model", tiny_model).refused("E-MODEL-STREAMS")


@pytest.mark.parametrize(
    "asked", [("search", "coughed"), ("classify", "--labels", "coughing, walking"), ("suggest",)]
)
def test_what_the_model_misses_in_a_recording_is_said(
    align: Align, people: Path, tiny_model: Path, asked: tuple[str, ...]
) -> None:
    done = align(asked[0], people / "p5", *asked[1:], "--model", tiny_model, "--json")
    result = json.loads(done.out.splitlines()[-1])
    said = [found for found in result["findings"] if "microphone" in found["message"]]
    assert len(said) == 1 and said[0]["code"].startswith("W-") and said[0]["code"] in done.err

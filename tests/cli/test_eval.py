"""``align eval`` from the outside: the figures, the baselines, what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.cli.recordings import SAMPLES, Done, note_file, schema, table

Eval = Callable[..., Done]


@pytest.fixture
def evaluate(align: Callable[..., Done]) -> Eval:
    return lambda *arguments: align("eval", "--encoder", "hashed", *arguments)


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Two sample sessions without their sound: quick to read."""
    for name in ("p5", "p6"):
        folder = tmp_path / "people" / name
        shutil.copytree(SAMPLES / name, folder)
        (folder / "microphone.flac").unlink()
    return tmp_path / "people"


def result(done: Done) -> dict[str, object]:
    """The last line of stdout, checked against its schema."""
    assert done.code == 0, done.err
    found: dict[str, object] = json.loads(done.out.splitlines()[-1])
    jsonschema.validate(found, schema("eval"))
    assert found["event"] == "result"
    return found


def test_json_ends_with_a_result_that_fits_the_schema(evaluate: Eval, quick: Path, tiny_model: Path) -> None:
    done = evaluate(quick, "--model", tiny_model, "--notes-file", "notes_untimed.txt", "--json")
    found = result(done)
    assert (found["n_sessions"], found["n_notes"], found["method"]) == (2, 22, "contrastive")
    truth = "".join((quick / p / "truth.csv").read_text() for p in ("p5", "p6"))
    labels = {row.split(",")[2] for row in truth.splitlines()} - {"label", "NOTHING"}
    assert set(found["per_label"]) == labels  # type: ignore[call-overload]


@pytest.mark.parametrize("method", ["equal-slices", "dtw"])
def test_baselines_place_every_note(evaluate: Eval, quick: Path, method: str) -> None:
    found = result(evaluate(quick, "--method", method, "--json"))
    assert (found["method"], found["unmatched"], found["foreign_rejected"]) == (method, 0, 0.0)
    assert 0.0 < float(found["mean_iou"]) < 1.0  # type: ignore[arg-type]


def test_foreign_notes_count_as_rejected_when_they_get_no_span(evaluate: Eval, tmp_path: Path) -> None:
    """One note outside the recording, one empty, one placed: all of them about nothing."""
    folder = tmp_path / "night"
    folder.mkdir()
    table(folder / "a.csv", [f"{i / 10:.1f},{i % 7}" for i in range(600)])
    note_file(folder / "notes.csv", [("500", "after"), ("5", ""), ("", "a")])
    table(folder / "truth.csv", [",,NOTHING,x"] * 3, "start,end,label,text")
    found = result(evaluate(folder, "--method", "equal-slices", "--json"))
    assert found["foreign_rejected"] == pytest.approx(2 / 3)
    assert (found["unmatched"], found["mean_iou"], found["per_label"]) == (2, None, {})


def test_equal_slices_are_scored_by_hand(evaluate: Eval, tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    table(folder / "a.csv", [f"{i / 10:.1f},{i % 7}" for i in range(600)])
    note_file(folder / "notes.csv", [("", "a"), ("", "b")])
    table(folder / "truth.csv", ["0,30,A,a", "45,60,B,b"], "start,end,label,text")
    found = result(evaluate(folder, "--method", "equal-slices", "--json"))
    assert found["mean_iou"] == pytest.approx((1.0 + 0.5) / 2)
    assert found["per_label"] == {"A": pytest.approx(1.0), "B": pytest.approx(0.5)}
    assert found["mean_abs_start_error_s"] == pytest.approx(7.5)
    assert (found["recall_at_0.5"], found["recall_at_0.7"]) == (1.0, 0.5)


def test_the_table_for_people(evaluate: Eval, quick: Path) -> None:
    done = evaluate(quick / "p5", "--method", "equal-slices")
    assert done.code == 0 and "11 notes of 1 session, method equal-slices" in done.err
    assert "mean intersection over union" in done.out and "STAIRS" in done.out


@pytest.mark.parametrize("change", ["fewer", "more"])
def test_another_number_of_rows_than_notes(evaluate: Eval, quick: Path, change: str) -> None:
    file = quick / "p6" / "truth.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-1] if change == "fewer" else [*lines, "1,2,X,x"]) + "\n")
    line = evaluate(quick, "--method", "equal-slices", "--json").refused("E-TRUTH-ROWS")
    assert "'p6'" in line and "11 notes" in line


def test_truth_that_is_not_there_or_has_another_name(evaluate: Eval, quick: Path) -> None:
    (quick / "p6" / "truth.csv").rename(quick / "p6" / "spans.csv")
    method = ("--method", "equal-slices", "--json")
    assert result(evaluate(quick / "p6", "--truth-file", "spans.csv", *method))["n_notes"] == 11
    evaluate(quick / "p5", "--truth-file", "spans.csv", *method).refused("E-NO-FILE")
    evaluate(quick / "p5", "--truth-file", "../p6/spans.csv", *method).refused("E-PARAM", 2)


def test_a_model_is_asked_for_by_the_method_that_needs_it(
    evaluate: Eval, quick: Path, tmp_path: Path
) -> None:
    evaluate(quick, "--method", "contrastive").refused("E-PARAM", 2)
    (tmp_path / "model.pt").write_bytes(b"PK")
    evaluate(quick, "--model", tmp_path / "model.pt").refused("E-UNSAFE-FORMAT", 7)

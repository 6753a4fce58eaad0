"""``align apply`` from the outside: corrected links stay, the others get better, and nothing else may change."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from align.clock import span_iou
from tests.cli.recordings import SAMPLES, Done, answers, record

Align = Callable[..., Done]
NOTE = 3  # of p3 without its sound: a conversation, which the captions place elsewhere


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a session without sound and what ``align run`` made of it."""
    from cli.main import main

    folder = tmp_path_factory.mktemp("apply")
    (folder / "p3").mkdir()
    for name in ("wrist.csv", "heart.csv", "notes_untimed.txt"):
        shutil.copy(SAMPLES / "p3" / name, folder / "p3")
    given = ["--notes", "notes_untimed.txt", "--encoder", "hashed", "--seed", "3"]
    assert main(["run", str(folder / "p3"), "-o", str(folder / "out"), *given]) == 0
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of the output, for a test to change; the inputs are where the run read them."""
    shutil.copytree(finished / "out", tmp_path / "out")
    return tmp_path


def truth() -> np.ndarray:
    with open(SAMPLES / "p3" / "truth.csv", newline="") as file:
        return np.array([[float(row[k] or "nan") for k in ("start", "end")] for row in csv.DictReader(file)])


def spans(out: Path) -> np.ndarray:
    return np.array([[np.nan if r[k] is None else r[k] for k in ("start", "end")] for r in answers(out)])


def corrections(folder: Path, *rows: dict[str, object]) -> Path:
    file = folder / "corrections.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def correct(*notes: int) -> list[dict[str, object]]:
    return [{"note": n, "start": truth()[n, 0], "end": truth()[n, 1]} for n in notes]


@pytest.fixture(scope="module")
def applied(finished: Path) -> Path:
    """The output with one link corrected."""
    from cli.main import main

    said = corrections(finished, *correct(NOTE))
    assert main(["apply", str(finished / "out"), str(said), "-o", str(finished / "new")]) == 0
    return finished / "new"


def test_one_wrong_link_corrected_makes_the_others_better(finished: Path, applied: Path) -> None:
    before, after = (span_iou(spans(out), truth()) for out in (finished / "out", applied))
    others = np.arange(len(after)) != NOTE
    assert before[NOTE] < 0.3 and after[NOTE] == 1.0
    assert (after >= before - 0.05)[others].all() and after[others].mean() > before[others].mean() + 0.1
    # what was right stays; boundaries are refined within a frame, so those of notes that stay move a little
    right = others & (before >= 0.5)
    assert right.sum() >= 2 and (after >= before - 0.001)[right].all()
    row = answers(applied)[NOTE]
    assert (row["status"], row["probability"], row["anchor"]) == ("aligned", 1.0, True)
    assert [row["start"], row["end"]] == truth()[NOTE].tolist()
    assert sum("anchor" in row for row in answers(applied)) == 1


def test_the_record_keeps_how_it_was_made_and_says_what_was_corrected(finished: Path, applied: Path) -> None:
    before, after = record(finished / "out"), record(applied)
    for key in ("command", "config", "seed", "inputs", "method", "policy", "policies", "versions"):
        assert after[key] == before[key], key
    assert before["corrections"] == [] and after["corrections"] == correct(NOTE)


def test_the_same_again_changes_nothing_and_later_corrections_add_up(
    align: Align, applied: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(applied, out)
    names = ("alignment.jsonl", "alignment.parquet", "segments.parquet", "tokens.parquet", "report.html")
    bytes_of = {name: (out / name).read_bytes() for name in names}
    done = align("apply", out, corrections(tmp_path, *correct(NOTE)), "--force")
    assert done.out.splitlines() == [str(out / n) for n in ("alignment.jsonl", "report.html")]
    assert bytes_of == {name: (out / name).read_bytes() for name in names}

    copied = next(row for row in answers(out) if row["start"] is not None and row["note"] > NOTE)
    said = corrections(tmp_path, {"note": 0, "start": None, "end": None}, copied)
    done = align("apply", out, said, "--force")
    assert done.code == 0 and "2 corrections read; 3 notes" in done.err
    rows = answers(out)
    assert (rows[0]["status"], rows[0]["start"], rows[0]["anchor"]) == ("unmatched", None, True)
    for note, span in ((NOTE, truth()[NOTE].tolist()), (copied["note"], [copied["start"], copied["end"]])):
        assert [rows[note]["start"], rows[note]["end"]] == span and rows[note]["probability"] == 1.0
    assert [row["note"] for row in record(out)["corrections"]] == [0, NOTE, copied["note"]]


# --- what is refused


def test_nothing_is_overwritten_unasked(align: Align, work: Path) -> None:
    before = (work / "out" / "alignment.jsonl").read_bytes()
    assert "--force" in align("apply", work / "out", corrections(work, *correct(NOTE))).refused("E-EXISTS", 7)
    assert (work / "out" / "alignment.jsonl").read_bytes() == before


def test_inputs_that_changed_or_are_gone_are_named(align: Align, finished: Path, work: Path) -> None:
    file, said = finished / "p3" / "heart.csv", corrections(work, *correct(NOTE))
    original = file.read_bytes()
    try:
        file.write_bytes(original + b"999,70\n")
        assert "heart.csv" in align("apply", work / "out", said, "-o", work / "a").refused("E-INPUT-CHANGED")
        file.unlink()
        assert "heart.csv" in align("apply", work / "out", said, "-o", work / "a").refused("E-INPUT-GONE")
    finally:
        file.write_bytes(original)
    extra = finished / "p3" / "more.csv"
    extra.write_bytes(original)
    try:
        assert "more.csv" in align("apply", work / "out", said, "-o", work / "a").refused("E-INPUT-CHANGED")
    finally:
        extra.unlink()
    assert not (work / "a").exists()


def test_a_correction_that_cannot_be_is_named_with_its_line(align: Align, work: Path) -> None:
    for row, says in (
        ({"note": 99, "start": 1, "end": 2}, "0 to 10"),
        ({"note": 1, "start": 5e3, "end": 6e3}, "recording"),
    ):
        error = align("apply", work / "out", corrections(work, row), "-o", work / "a").refused("E-CORRECTION")
        assert "line 1" in error and says in error
    two = [{"note": 2, "start": 50, "end": 52}, {"note": 5, "start": 20, "end": 22}]
    reverse = align("apply", work / "out", corrections(work, *two), "-o", work / "a")
    assert reverse.code in (2, 3) and "order" in reverse.err and not (work / "a").exists()


def test_a_folder_that_is_no_run_and_a_record_that_is_none(align: Align, work: Path) -> None:
    said = corrections(work, *correct(NOTE))
    align("apply", work, said, "-o", work / "a").refused("E-NO-FILE")
    file = work / "out" / "run.json"
    whole = json.loads(file.read_text())
    for broken in ("{", "[]", "{}", json.dumps({**whole, "command": ["align", "train", "x"]}),
                   json.dumps({**whole, "command": ["align", "run"]}), json.dumps({**whole, "inputs": 3})):  # fmt: skip
        file.write_text(broken)
        align("apply", work / "out", said, "-o", work / "a").refused("E-RUN")


def test_a_baseline_keeps_no_links(align: Align, finished: Path, work: Path) -> None:
    given = ["--notes", "notes_untimed.txt", "--encoder", "hashed", "--method", "equal-slices"]
    assert align("run", finished / "p3", "-o", work / "even", *given).code == 0
    error = align("apply", work / "even", corrections(work, *correct(NOTE)), "-o", work / "a").refused(
        "E-PARAM", 2
    )
    assert "captions" in error

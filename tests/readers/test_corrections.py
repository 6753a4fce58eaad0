"""corrections.jsonl: what is read, what wins, and errors that name the line and no note's text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from align.errors import InputError
from align.readers.corrections import Correction, read_corrections


def written(folder: Path, *lines: object) -> Path:
    file = folder / "corrections.jsonl"
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    file.write_text(text, encoding="utf-8")
    return file


def test_seconds_and_nothing(tmp_path: Path) -> None:
    file = written(
        tmp_path, {"note": 3, "start": 12, "end": 15.5}, "", {"note": 0, "start": None, "end": None}
    )
    found, findings = read_corrections(file, n_notes=4)
    assert found == (Correction(0, None, 3), Correction(3, (12.0, 15.5), 1)) and findings == ()


def test_lines_of_an_alignment_may_be_copied(tmp_path: Path) -> None:
    row = {"note": 1, "text": "secret", "status": "ambiguous", "start": 1.0, "end": 2.0, "start_time": None,
           "end_time": None, "probability": 0.2, "stream": ["x"], "alternatives": [], "method": "captions",
           "source": {"file": "n", "line": 1}, "corrected": True}  # fmt: skip
    assert read_corrections(written(tmp_path, row))[0] == (Correction(1, (1.0, 2.0), 1),)
    both = {**row, "start_time": "2026-03-28T08:00:09.000+01:00", "end_time": "2026-03-28T08:00:10.000+01:00"}
    assert read_corrections(written(tmp_path, both), epoch=0)[0][0].span == (1.0, 2.0), "seconds count"


def test_absolute_times_where_the_recording_has_dates(tmp_path: Path) -> None:
    row = {"note": 0, "start_time": "1970-01-01T01:00:05.5+01:00", "end_time": "1970-01-01T00:00:07Z"}
    file = written(tmp_path, row, {"note": 1, "start_time": None, "end_time": None})
    assert [c.span for c in read_corrections(file, epoch=2_000_000_000)[0]] == [(3.5, 5.0), None]
    with pytest.raises(InputError, match="without dates"):
        read_corrections(file)


def test_the_last_line_of_a_note_wins_and_is_counted(tmp_path: Path) -> None:
    rows = [{"note": 2, "start": s, "end": s + 1} for s in (1, 2, 3)]
    found, (finding,) = read_corrections(written(tmp_path, *rows))
    assert found == (Correction(2, (3.0, 4.0), 3),)
    assert (finding.code, finding.count) == ("W-TWICE", 2)


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("{note: 3}", "E-JSON", "not JSON"),
        ("[3, 1, 2]", "E-JSON", "a list"),
        ("[" * 100_000, "E-JSON", "not JSON"),
        ('{"start": 1, "end": 2}', "E-CORRECTION", "no note"),
        ('{"note": "secret", "start": 1, "end": 2}', "E-CORRECTION", "note is a string"),
        ('{"note": true, "start": 1, "end": 2}', "E-CORRECTION", "note is a boolean"),
        ('{"note": 1.5, "start": 1, "end": 2}', "E-CORRECTION", "note is 1.5"),
        ('{"note": -1, "start": 1, "end": 2}', "E-CORRECTION", "note is -1"),
        ('{"note": 7, "start": 1, "end": 2}', "E-CORRECTION", "0 to 4"),
        ('{"note": 1}', "E-CORRECTION", "no start"),
        ('{"note": 1, "start": 1}', "E-CORRECTION", "no end"),
        ('{"note": 1, "start": 1, "end": null}', "E-CORRECTION", "one of start and end is null"),
        ('{"note": 1, "start": 2, "end": 2}', "E-CORRECTION", "after the start"),
        ('{"note": 1, "start": "secret", "end": 2}', "E-CORRECTION", "start is a string"),
        ('{"note": 1, "start": NaN, "end": 2}', "E-CORRECTION", "not finite"),
        ('{"note": 1, "start_time": "secret", "end_time": "secret"}', "E-CORRECTION", "ISO 8601"),
        ('{"note": 1, "start_time": "2026-01-01T00:00:00", "end_time": null}', "E-CORRECTION", "offset"),
        ('{"note": 1, "start_time": "2026-01-01T00:00:00Z"}', "E-CORRECTION", "no end_time"),
    ],
)
def test_N_a_bad_line_is_named_with_what_is_allowed(tmp_path: Path, line: str, code: str, says: str) -> None:
    file = written(tmp_path, {"note": 0, "start": 1, "end": 2}, line)
    with pytest.raises(InputError) as caught:
        read_corrections(file, n_notes=5, epoch=0)
    assert caught.value.code == code and says in str(caught.value)
    assert caught.value.where["file"] == file and caught.value.where["line"] == 2
    assert "secret" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputError, match="E-NO-FILE"):
            read_corrections(path)

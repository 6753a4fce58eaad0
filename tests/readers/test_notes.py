"""Notes come out as written: as many, in order, byte for byte, with the times that can be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.clock import ns_from_iso
from align.datatypes import NoteTime
from align.errors import InputError
from align.readers import read_notes, read_notes_with_findings, read_truth
from align.readers.cells import csv_records, lines_of
from align.readers.written_times import Clock

EPOCH = ns_from_iso("2026-03-28T06:00:00+01:00")[0]
DAY = Clock(EPOCH, "+01:00", 0.0, 17 * 3600.0)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
    return path


def likely(path: Path, clock: Clock | None = None) -> list[float | None]:
    return [n.time.likely if n.time else None for n in read_notes_with_findings(path, clock)[0]]


def test_plain_text_is_one_note_a_line(tmp_path: Path) -> None:
    notes = read_notes(write(tmp_path, "notes.txt", "  sits down \n\nstands up\r\n \t\nwalks\rstops"))
    assert [n.text for n in notes] == ["  sits down ", "stands up", "walks", "stops"]
    assert [n.line for n in notes] == [1, 3, 5, 6]
    assert {n.file for n in notes} == {"notes.txt"}
    assert all(n.time is None for n in notes)


def test_csv_with_seconds(tmp_path: Path) -> None:
    notes = read_notes(
        write(tmp_path, "notes.csv", 'time,text\n16.6,"upright, standing"\n-2,"says ""ow"""\n')
    )
    assert [(n.text, n.line) for n in notes] == [("upright, standing", 2), ('says "ow"', 3)]
    assert [n.time for n in notes] == [NoteTime(16.6, 16.6, 16.6), NoteTime(-2, -2, -2)]


def test_csv_author_uncertainty_and_intervals(tmp_path: Path) -> None:
    path = write(
        tmp_path, "notes.csv",
        "Start,End,Text,Author,Uncertainty\n10,20,a,Ann,\n10,,b,,3\n,,c,Bo,\n10,20,d,,1.5\n",
    )  # fmt: skip
    notes = read_notes(path)
    assert [n.author for n in notes] == ["Ann", "", "Bo", ""]
    assert [n.time for n in notes] == [
        NoteTime(10, 15, 20), NoteTime(7, 10, 13), None, NoteTime(8.5, 15, 21.5)
    ]  # fmt: skip


def test_units_of_time_columns(tmp_path: Path) -> None:
    assert likely(write(tmp_path, "a.csv", "time_ms,text\n1500,a\n")) == [1.5]
    epoch_ms = write(
        tmp_path, "b.csv", f"timestamp,text\n{EPOCH // 10**6 + 2500},a\n{EPOCH // 10**9 + 3},b\n"
    )
    assert likely(epoch_ms, DAY) == [2.5, 3.0]
    assert likely(epoch_ms) == [None, None]


def test_csv_times_of_every_kind_row_by_row(tmp_path: Path) -> None:
    path = write(
        tmp_path, "notes.csv",
        "time,text\n07:40,a\n10:40:05,b\n3 pm,c\n2026-03-28T09:00:00+02:00,d\n2026-03-28 09:00,e\n12.5,f\n"
        "after lunch,g\n",
    )  # fmt: skip
    hour = 3600.0
    expected = [1 * hour + 2400, 4 * hour + 2405, 9 * hour, 2 * hour, 3 * hour, 12.5, 7.75 * hour]
    assert likely(path, DAY) == expected


def test_without_a_clock_a_time_of_day_is_untimed_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "notes.csv", "time,text\n07:40,a\n00:12:30,b\n2026-03-28T09:00Z,c\n08:15,d\n")
    notes, findings = read_notes_with_findings(path, Clock(end=3600.0))
    assert [n.time and n.time.likely for n in notes] == [None, 750.0, None, None]
    assert [(f.code, f.count) for f in findings] == [("W-NOTE-AMBIGUOUS", 2), ("W-NOTE-CLOCK", 1)]
    assert "line 2" in findings[0].message


def test_markdown_headings_are_no_notes_and_dates_count_for_the_lines_below(tmp_path: Path) -> None:
    text = "# Diary\n\n## 2026-03-28\n- 07:40 woke up\n---\n2026-03-29\n- 06:30 woke up\n"
    week = Clock(EPOCH, "+01:00", 0.0, 7 * 86400.0)
    notes, findings = read_notes_with_findings(write(tmp_path, "notes.md", text), week)
    assert [n.text for n in notes] == ["- 07:40 woke up", "2026-03-29", "- 06:30 woke up"]
    assert [n.time and n.time.likely for n in notes] == [6000.0, None, 86400 + 1800.0]
    assert [(f.code, f.count) for f in findings] == [("W-HEADING", 3)]


def test_N01_empty_notes_are_kept(tmp_path: Path) -> None:
    notes = read_notes(write(tmp_path, "notes.csv", 'time,text\n1,\n2," "\n3,\u200b\n4,"\n"\n5,a\n'))
    assert [n.text for n in notes] == ["", " ", "\u200b", "\n", "a"]
    assert [n.is_empty for n in notes] == [True] * 4 + [False]
    lone = read_notes(write(tmp_path, "one.csv", 'text\n""\n\na\n'))
    assert [n.text for n in lone] == ["", "a"]


def test_N02_no_notes(tmp_path: Path) -> None:
    assert read_notes(write(tmp_path, "notes.csv", "time,text\n")) == ()
    assert read_notes(write(tmp_path, "notes.txt", "\n\n")) == ()


def test_N03_times_are_never_clamped(tmp_path: Path) -> None:
    path = write(tmp_path, "notes.csv", "time,text\n-500,before\n1e6,after\n05:00,early\n")
    assert likely(path, DAY) == [-500.0, 1e6, -3600.0]


def test_N04_order_and_duplicates_are_kept(tmp_path: Path) -> None:
    notes = read_notes(write(tmp_path, "notes.csv", "time,text\n9,b\n1,a\n9,b\n9,b\n"))
    assert [(n.text, n.time and n.time.likely, n.line) for n in notes] == [
        ("b", 9, 2), ("a", 1, 3), ("b", 9, 4), ("b", 9, 5)
    ]  # fmt: skip


def test_N05_no_time_a_date_only_and_what_cannot_be_read(tmp_path: Path) -> None:
    path = write(
        tmp_path, "notes.csv", "time,text\n,a\n2026-03-28,b\n28/03/2026 10:00h,c\nnan,d\n,e at 10:00\n"
    )
    notes, findings = read_notes_with_findings(path, DAY)
    assert [n.time and n.time.likely for n in notes] == [None, None, None, None, 4 * 3600.0]
    assert [(f.code, f.count) for f in findings] == [("W-NOTE-UNREAD", 2)]


def test_N05_a_time_inside_the_text_that_disagrees(tmp_path: Path) -> None:
    path = write(
        tmp_path, "notes.csv", "time,text\n10:00,at 10:30 dizzy\n10:00,at 11:30 dizzy\n10:00,after lunch\n"
    )
    notes, findings = read_notes_with_findings(path, DAY)
    assert [n.time and n.time.likely for n in notes] == [4 * 3600.0] * 3
    assert [(f.code, f.count) for f in findings] == [("W-NOTE-TIME", 1)]
    assert "line 3" in findings[0].message


NASTY = [
    "😀 emoji 👩‍👩‍👧",
    "שלום right to left",
    "e\u0301 and é",
    "\u202ebidi override",
    "NUL \x00 ESC \x1b[31m",
    "\x0c form feed \x1c \x85 \u2028 separators",
    "\ud800 lone",
    'tab\tand ,"quote"',
    "=cmd|'/C calc'!A0",
]


@pytest.mark.parametrize("text", NASTY)
def test_N06_text_is_kept_in_jsonl(tmp_path: Path, text: str) -> None:
    for ascii_only in (True, False):
        line = json.dumps({"time": 1, "text": text}, ensure_ascii=ascii_only)
        path = write(tmp_path, "notes.jsonl", line.encode("utf-8", "surrogatepass") + b"\n")
        (note,) = read_notes(path)
        if ascii_only or text != "\ud800 lone":
            assert note.text == text
        else:  # the bytes ED A0 80 are no UTF-8: kept one by one
            assert note.text.encode("utf-8", "surrogateescape") == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("text", [t for t in NASTY if "\ud800" not in t])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_N06_text_is_kept_in_csv(tmp_path: Path, text: str, encoding: str) -> None:
    quoted = text.replace('"', '""')
    (note,) = read_notes(write(tmp_path, "notes.csv", f'time,text\n1,"{quoted}"\n'.encode(encoding)))
    assert note.text == text


def test_N06_bytes_that_are_no_utf8_come_back(tmp_path: Path) -> None:
    (note,) = read_notes(write(tmp_path, "notes.txt", b"caf\xe9 \xff\n"))
    assert note.text.encode("utf-8", "surrogateescape") == b"caf\xe9 \xff"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8))
def test_P15_csv_records_are_what_was_written(texts: list[str]) -> None:
    rows = "".join(f'{i},"{text.replace(chr(34), chr(34) * 2)}"\r\n' for i, text in enumerate(texts))
    assert [fields for _, fields in csv_records(rows, ",", Path("a.csv"))] == [
        [str(i), text] for i, text in enumerate(texts)
    ]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)))
def test_P15_lines_are_what_was_written(lines: list[str]) -> None:
    for end in ("\n", "\r\n", "\r"):
        assert lines_of("".join(line + end for line in lines)) == lines


def test_N07_a_note_of_ten_megabytes(tmp_path: Path) -> None:
    text = 'a "b", ' * 1_400_000
    (note,) = read_notes(write(tmp_path, "notes.csv", f'text\n"{text.replace(chr(34), chr(34) * 2)}"\n'))
    assert note.text == text


@pytest.mark.parametrize(
    ("line", "column"),
    [('{"text": "a",}', 14), ('{"text": "a"', 13), ("{'text': 1}", 2), ('{"text": "a"} x', 15), ("[1", 3),
     ('{"text": "a", "time": NaN}', 1), ("5", 1), ('{"text": 5}', 1), ("[" * 100_000, 1),
     ('{"text":"a","x":' + "[" * 200 + "]" * 200 + "}", 1), ('{"text":"a","n":' + "9" * 5000 + "}", 1)],
)  # fmt: skip
def test_N11_malformed_json(tmp_path: Path, line: str, column: int) -> None:
    path = write(tmp_path, "notes.jsonl", f'{{"text": "ok"}}\n{line}\n')
    with pytest.raises(InputError) as caught:
        read_notes(path)
    assert caught.value.code == "E-JSON"
    assert (caught.value.where["line"], caught.value.where["column"]) == (2, column)
    assert "ok" not in str(caught.value)


def test_jsonl_objects_and_strings(tmp_path: Path) -> None:
    rows = (
        '{"time": 1.5, "text": "a", "author": "Ann"}\n"b at 10:00"\n\n{"start": 3, "end": 5, "note": "c"}\n'
    )
    notes = read_notes(write(tmp_path, "notes.jsonl", rows), epoch=EPOCH, timezone="+01:00")
    assert [n.text for n in notes] == ["a", "b at 10:00", "c"]
    assert [n.time and n.time.likely for n in notes] == [1.5, 4 * 3600.0, 4.0]
    assert notes[0].author == "Ann"


@pytest.mark.parametrize(
    ("name", "content", "code", "line"),
    [
        ("notes.csv", "5,he sat\n6,he stood\n", "E-COLUMNS", 1),
        ("notes.csv", "time,text\n5,he sat, then stood\n", "E-RAGGED", 2),
        ("notes.csv", 'time,text\n5,"he\nsat"\n6,"he stood\n', "E-QUOTE", 4),
        ("notes.csv", 'time,text\n5,"he" sat\n', "E-QUOTE", 2),
        ("notes.csv", "time,text,text\n", "E-DUP-COLUMN", 1),
        ("notes.csv", "start,end,text\n5,4,a\n", "E-SPAN", 2),
        ("notes.csv", "time,text,uncertainty\n5,a,x\n", "E-NUMBER", 2),
        ("notes.jsonl", '{"time": 5}\n', "E-COLUMNS", 1),
        ("notes.csv", "", "E-EMPTY", None),
        ("notes.csv", b"\xff\xfea", "E-ENCODING", None),
        ("notes.pdf", "%PDF", "E-FORMAT", None),
    ],
)
def test_bad_notes_are_refused_at_their_line(
    tmp_path: Path, name: str, content: str | bytes, code: str, line: int | None
) -> None:
    with pytest.raises(InputError) as caught:
        read_notes(write(tmp_path, name, content))
    assert caught.value.code == code
    assert caught.value.where.get("line") == line
    assert "sat" not in str(caught.value).replace(str(tmp_path), "")
    assert "stood" not in str(caught.value)


def test_truth(tmp_path: Path) -> None:
    spans = read_truth(
        write(tmp_path, "truth.csv", 'start,end,label,text\n0.5,2,SIT,"sits, still"\n2,3,,b\n')
    )
    assert [(s.start, s.end, s.label, s.text) for s in spans] == [
        (0.5, 2, "SIT", "sits, still"),
        (2, 3, "", "b"),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [("start,end\n1,2\n", "E-COLUMNS"), ("start,end,text\n2,1,a\n", "E-SPAN"), ("start,end,text\nx,1,a\n", "E-NUMBER"),
     ("start,end,text\n1,2\n", "E-RAGGED")],
)  # fmt: skip
def test_bad_truth(tmp_path: Path, content: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        read_truth(write(tmp_path, "truth.csv", content))
    assert caught.value.code == code


@pytest.mark.data
def test_real_notes(data_dir: Path) -> None:
    folder = data_dir / "hapt" / "user01_exp01"
    truth, timed = read_truth(folder / "truth.csv"), read_notes(folder / "notes_5s.csv")
    untimed = read_notes(folder / "notes_untimed.txt")
    assert [n.text for n in timed] == [n.text for n in untimed] == [s.text for s in truth]
    assert all(n.time is not None for n in timed)
    assert all(n.time is None for n in untimed)

"""alignment.jsonl: one line per note, in order, exactly as written, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from align.answers import Alignment, Edge, Link
from align.datatypes import Note, NoteTime
from align.errors import InputError, ParameterError
from align.writers import alignment_jsonl, read_alignment_jsonl
from align.writers.jsonl import KEYS, STATUSES

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/alignment-row.schema.json").read_text("utf-8"))
EDGES = Edge(1.8, 2.3, 0.91), Edge(4.1, 4.6, 0.88)
EPOCH = 1_774_735_800_000_000_000  # 2026-03-28T22:10:00Z


def example(epoch: int | None = None, timezone: str = "") -> Alignment:
    notes = (
        Note("walks three metres", NoteTime(1.0, 2.0, 3.0), "Ada", "notes.csv", 4),
        Note("a bang?", None, "", "notes.csv", 5),
        Note("nothing of the kind", None, "", "notes.csv", 6),
        Note("the day before", NoteTime(-86400.0, -86400.0, -86400.0), "", "notes.csv", 7),
        Note(" \u200b", None, "", "notes.csv", 8),
    )
    links = (
        Link("aligned", (2.07, 4.33), 0.93, ((5.7, 7.8, 0.04),), ("phone",), edges=EDGES),
        Link("ambiguous", (10.0, 11.0), 0.41, ((1.0, 2.0, 0.4), (7.0, 8.0, 0.1))),
        Link("unmatched", None, 0.8),
        Link("outside", None, 1.0, distance=-86400.0),
        Link("empty", None, 0.0),
    )
    return Alignment(notes, links, "contrastive", epoch=epoch, timezone=timezone)


def test_the_line_of_the_interface_byte_for_byte() -> None:
    first = alignment_jsonl(example()).split("\n")[0]
    assert first == (
        '{"note": 0, "text": "walks three metres", "status": "aligned", "start": 2.07, "end": 4.33, '
        '"start_time": null, "end_time": null, "probability": 0.93, "stream": ["phone"], '
        '"alternatives": [{"start": 5.7, "end": 7.8, "probability": 0.04}], "start_range": [1.8, 2.3], '
        '"end_range": [4.1, 4.6], "start_probability": 0.91, "end_probability": 0.88, "method": "contrastive", '
        '"source": {"file": "notes.csv", "line": 4}}'
    )


@pytest.mark.parametrize(
    ("epoch", "timezone"), [(None, ""), (EPOCH, ""), (EPOCH, "+02:00"), (EPOCH, "-03:30")]
)
def test_rows_have_the_keys_in_order_and_fit_the_schema(epoch: int | None, timezone: str) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    rows = [json.loads(line) for line in alignment_jsonl(example(epoch, timezone)).splitlines()]
    assert [row["note"] for row in rows] == [0, 1, 2, 3, 4]
    for row in rows:
        Draft202012Validator(SCHEMA).validate(row)
        assert tuple(row) == (*KEYS, "distance_s") if row["status"] == "outside" else tuple(row) == KEYS
    assert rows[3]["distance_s"] == -86400.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "lost"), ("start", None), ("probability", 1.5), ("start_time", "yesterday"),
        ("start_range", [1.0]), ("end_probability", 1.5),
        ("distance_s", 1.0), ("note", -1), ("surprise", 1),
        ("source", {"file": "a"}), ("alternatives", [{"start": 1.0}]),
    ],
)  # fmt: skip
def test_the_schema_refuses_what_is_not_a_row(key: str, value: object) -> None:
    row = json.loads(alignment_jsonl(example()).split("\n")[0])
    assert not Draft202012Validator(SCHEMA).is_valid({**row, key: value})


@pytest.mark.parametrize(
    ("timezone", "expected"),
    [
        ("", ("2026-03-28T22:10:02.070+00:00", "2026-03-28T22:10:04.330+00:00")),
        ("+02:00", ("2026-03-29T00:10:02.070+02:00", "2026-03-29T00:10:04.330+02:00")),
    ],
)
def test_absolute_times_carry_the_written_offset(timezone: str, expected: tuple[str, str]) -> None:
    row = json.loads(alignment_jsonl(example(EPOCH, timezone)).split("\n")[0])
    assert (row["start_time"], row["end_time"]) == expected


def test_no_notes_no_lines() -> None:
    assert alignment_jsonl(Alignment((), (), "dtw")) == ""
    assert read_alignment_jsonl("").links == ()


def test_N06_texts_that_act_are_escaped_and_come_back() -> None:
    texts = [
        "\ud800",
        "\udcff tail",
        "a\x00\x1b[31m\x7f\x85",
        "\u2028\u2029\u202e\u2066\ufeff",
        "👍🏽 ñ n\u0303 שלום",
        "\r\n\t",
    ]
    notes = tuple(Note(text) for text in texts)
    written = alignment_jsonl(Alignment(notes, (Link("unmatched", None, 0.5),) * len(texts), "m"))
    assert written.encode("utf-8")
    assert '"text": "\\ud800"' in written and "\\u001b[31m\\u007f\\u0085" in written
    assert "👍🏽 ñ n\u0303 שלום" in written
    assert len(written.splitlines()) == len(texts), "no character of a note breaks a line"
    assert [note.text for note in read_alignment_jsonl(written).notes] == texts
    assert [json.loads(line)["text"] for line in written.splitlines()] == texts


_seconds = st.floats(-1e7, 1e7).map(lambda v: v + 0.0)
_share = st.floats(0, 1)
# JSON joins a high surrogate that a low one follows into one character: the only text it cannot hold
_texts = st.text(st.characters(codec=None), max_size=30).filter(
    lambda t: t == t.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
)


@st.composite
def _alignments(draw: st.DrawFn) -> Alignment:
    notes, links = [], []
    for _ in range(draw(st.integers(0, 4))):
        notes.append(Note(draw(_texts), file=draw(_texts), line=draw(st.integers(0, 10**6))))
        status = draw(st.sampled_from(STATUSES))
        span = tuple(sorted((draw(_seconds), draw(_seconds)))) if status in ("aligned", "ambiguous") else None
        others = tuple(draw(st.lists(st.tuples(_seconds, _seconds, _share), max_size=2)))
        streams = tuple(draw(st.lists(_texts, max_size=2)))
        distance = draw(_seconds) if status == "outside" else None
        edges = tuple(Edge(draw(_seconds), draw(_seconds), draw(_share)) for _ in "ab") if span else None
        links.append(Link(status, span, draw(_share), others, streams, distance, edges))
    method = draw(_texts) if notes else ""
    return Alignment(tuple(notes), tuple(links), method)


@settings(max_examples=150, deadline=None)
@given(_alignments(), st.sampled_from([None, 0, EPOCH]), st.sampled_from(["", "Z", "+02:00", "-09:30"]))
def test_P15_rows_out_are_notes_in_and_come_back_the_same(
    alignment: Alignment, epoch: int | None, timezone: str
) -> None:
    alignment = Alignment(alignment.notes, alignment.links, alignment.method, epoch=epoch, timezone=timezone)
    written = alignment_jsonl(alignment)
    assert written.count("\n") == len(written.splitlines()) == len(alignment.notes)
    back = read_alignment_jsonl(written, epoch=epoch, timezone=timezone)
    assert (back.notes, back.links, back.method) == (alignment.notes, alignment.links, alignment.method)
    assert alignment_jsonl(back) == written


@pytest.mark.parametrize(
    "link",
    [
        Link("aligned", (0.0, 1.0), 0.5, ((0.0, float("inf"), 0.1),)),
        Link("outside", None, 0.5, distance=float("-inf")),
        Link("aligned", (0.0, 1.0), 0.5, edges=(Edge(0.0, 1.0, 0.5), Edge(0.0, float("nan"), 0.5))),
    ],
)
def test_numbers_that_are_not_finite_are_refused(link: Link) -> None:
    with pytest.raises(ParameterError, match=r"links\[0\]"):
        alignment_jsonl(Alignment((Note("a"),), (link,), "m"))


def test_a_timezone_that_is_no_offset_is_refused() -> None:
    with pytest.raises(ParameterError, match="timezone"):
        alignment_jsonl(example(EPOCH, "Europe/Berlin"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"note": 1', '"note": 2'),
        ('"note": 1', '"note": "1"'),
        ('"text": "a bang?"', '"text": 7'),
        ('"status": "ambiguous"', '"status": "lost"'),
        ('"start": 10.0', '"start": NaN'),
        ('"probability": 0.41', '"probability": true'),
        ('"status": "ambiguous"', '"status": "unmatched"'),
        ('"start": 10.0', '"start": 12.0'),
        ('"line": 5', '"line": "5"'),
        ('"method": "contrastive"', '"way": "contrastive"'),
        ('{"note"', '["note"'),
        ('"note": 1,', ""),
        ('"alternatives": [', '"alternatives": 3, "was": ['),
    ],
)
def test_N11_a_row_that_is_wrong_names_its_line(old: str, new: str) -> None:
    lines = alignment_jsonl(example()).split("\n")
    assert old in lines[1]
    lines[1] = lines[1].replace(old, new, 1)
    with pytest.raises(InputError) as caught:
        read_alignment_jsonl("\n".join(lines))
    assert (caught.value.code, caught.value.where["line"]) == ("E-JSON", 2)
    assert "bang" not in str(caught.value)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"note": ' + "9" * 10_000 + "}", "3", ""])
def test_N11_nesting_and_huge_numbers_are_errors_not_crashes(line: str) -> None:
    with pytest.raises(InputError, match="E-JSON"):
        read_alignment_jsonl(line + "\n")


def test_a_row_written_before_edges_were_has_none() -> None:
    row = json.loads(alignment_jsonl(example()).split("\n")[0])
    for key in ("start_range", "end_range", "start_probability", "end_probability"):
        del row[key]
    assert read_alignment_jsonl(json.dumps(row) + "\n").links[0].edges is None


def test_rows_of_two_methods_are_not_one_alignment() -> None:
    lines = alignment_jsonl(example()).split("\n")
    lines[2] = lines[2].replace("contrastive", "dtw")
    with pytest.raises(InputError, match="2 methods"):
        read_alignment_jsonl("\n".join(lines))

"""benchmarks/alignment.py: the second wording, and notes reworded by the grammar."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from align.datatypes import Session, Span, Stream
from benchmarks.alignment import (
    REWORDED,
    SETS,
    asked,
    main,
    paraphrased,
    truth_of,
    wording_file,
    wordings,
)

DATA = Path(os.environ.get("ALIGN_DATA", "../shared/data"))


def session(name="p1"):
    truth = (Span(0, 1, "a", "sits down"), Span(1, 2, "b", "stands up"), Span(2, 3, "?", "walks"))
    return Session(name, (Stream(np.zeros((30, 1)), 10.0, "wrist"),), truth=truth)


def test_notes_say_their_label_in_a_wording_of_the_file():
    wordings = {"a": ["takes a seat", "is seated"], "b": ["rises"]}
    seen = {asked(session(f"p{i}"), wordings).notes[0].text for i in range(20)}
    assert seen == {"takes a seat", "is seated"}
    one = asked(session(), wordings)
    assert [n.text for n in one.notes][1:] == ["rises", "walks"]
    assert [r.text for r in one.truth] == [n.text for n in one.notes]
    assert asked(session(), wordings).notes == one.notes
    assert all(n.time is None for n in one.notes)


def test_the_grammar_rewords_every_note():
    found = paraphrased(session())
    assert len(found.notes) == 3
    assert all(n.text != r.text for n, r in zip(found.notes, session().truth, strict=True))


DAYS = {"second": "2026-11-21", "third": "2026-11-22", "fourth": "2026-11-23", "fifth": "2026-11-24"}
WRITTEN = [(name, which) for which in REWORDED for name in (SETS if which != "fifth" else ("hapt", "tug"))]


@pytest.mark.parametrize(("name", "which"), WRITTEN)
def test_the_files_say_who_wrote_them_and_hold_three_to_twelve_wordings_a_label(name, which):
    lines = wording_file(name, which).read_text(encoding="utf-8").splitlines()
    assert f"Written {DAYS[which]}" in " ".join(line for line in lines if line[0] == "#")
    for label, texts in wordings(name, which).items():
        assert 3 <= len(texts) <= 12 and len(set(texts)) == len(texts), label


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_the_wordings_are_of_the_labels_and_none_of_the_data_or_of_another_file(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not in {DATA.name}")
    rows = truth_of(DATA, name)
    known = {row.text.casefold() for row in rows}
    for which in (which for own, which in WRITTEN if own == name):
        found = wordings(name, which)
        assert set(found) == {row.label for row in rows}
        texts = {text.casefold() for own in found.values() for text in own}
        assert not known & texts
        known |= texts


@pytest.mark.parametrize("name", ["hapt", "tug"])
def test_what_the_plain_rules_were_made_with_is_asked_of_nobody(name):
    made_with = {text.casefold() for own in wordings(name, "development").values() for text in own}
    assert len(made_with) > 200
    for which in REWORDED:
        assert not made_with & {text.casefold() for own in wordings(name, which).values() for text in own}


def test_wordings_that_nobody_wrote_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["hapt", "digits", "--asked", "written", "fifth"])
    assert "no such wordings of digits" in capsys.readouterr().err

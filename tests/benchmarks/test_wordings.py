"""benchmarks/alignment.py: the second wording, and notes reworded by the grammar."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from align.datatypes import Session, Span, Stream
from benchmarks.alignment import SETS, WORDINGS, asked, paraphrased, second_wordings, truth_of

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


@pytest.mark.parametrize("name", SETS)
def test_the_files_say_who_wrote_them_and_hold_three_to_five_wordings_a_label(name):
    header = [x for x in (WORDINGS / f"{name}.csv").read_text(encoding="utf-8").splitlines() if x[0] == "#"]
    assert "Written 2026-11-21" in " ".join(header)
    for label, texts in second_wordings(name).items():
        assert 3 <= len(texts) <= 5 and len(set(texts)) == len(texts), label


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_second_wordings_are_of_the_labels_and_none_of_the_data(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not in {DATA.name}")
    rows = truth_of(DATA, name)
    second = second_wordings(name)
    assert set(second) == {row.label for row in rows}
    written = {row.text.casefold() for row in rows}
    assert not written & {text.casefold() for texts in second.values() for text in texts}

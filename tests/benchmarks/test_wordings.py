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
    WORDINGS,
    asked,
    hissing,
    lacking,
    paraphrased,
    truth_of,
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


@pytest.mark.parametrize(
    ("which", "folder", "day"),
    [("second", "", "2026-11-21"), ("third", "third", "2026-11-22"), ("fourth", "fourth", "2026-11-23")],
)
@pytest.mark.parametrize("name", SETS)
def test_the_files_say_who_wrote_them_and_hold_three_to_six_wordings_a_label(name, which, folder, day):
    lines = (WORDINGS / folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    assert f"Written {day}" in " ".join(line for line in lines if line[0] == "#")
    for label, texts in wordings(name, which).items():
        assert 3 <= len(texts) <= 6 and len(set(texts)) == len(texts), label


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_the_wordings_are_of_the_labels_and_none_of_the_data_or_of_another_file(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not in {DATA.name}")
    rows = truth_of(DATA, name)
    known = {row.text.casefold() for row in rows}
    for which in REWORDED:
        found = wordings(name, which)
        assert set(found) == {row.label for row in rows}
        texts = {text.casefold() for own in found.values() for text in own}
        assert not known & texts
        known |= texts


def test_streams_and_channels_that_are_named_are_left_out():
    values = np.arange(12.0).reshape(3, 4)
    phone = Stream(
        values, 1.0, "phone", channels=("acc_x", "gyro_x", "acc_y", "gyro_y"), units=("g", "", "g", "")
    )
    watch = Stream(values[:, :1], 1.0, "watch", channels=("gyro_z",))
    found = lacking(Session("p1", (phone, watch), ()), ["gyro"])
    (kept,) = found.streams
    assert kept.channels == ("acc_x", "acc_y") and kept.units == ("g", "g")
    np.testing.assert_array_equal(kept.values, values[:, ::2])
    assert [s.name for s in lacking(Session("p1", (phone, watch), ()), ["phone"]).streams] == ["watch"]
    assert lacking(Session("p1", (phone, watch), ()), []).streams[0].channels == phone.channels


def test_hiss_lies_so_far_below_the_loudest_moment_of_sound_alone() -> None:
    t = np.arange(32000) / 16000.0
    sound = Stream((0.5 * np.sin(2 * np.pi * 440 * t) * (t < 1.0)), 16000.0, "mic", modality="audio")
    wrist = Stream(np.ones((50, 1)), 25.0, "wrist", channels=("hr",))
    session = Session("p1", (sound, wrist), ())
    found = hissing(session, 20.0)
    added = found.streams[0].values - sound.values
    loudest = np.mean((0.5 * np.sin(2 * np.pi * 440 * t[:800])) ** 2)
    assert 10 * np.log10(np.mean(added**2) / loudest) == pytest.approx(-20.0, abs=0.2)
    np.testing.assert_array_equal(found.streams[1].values, wrist.values)
    np.testing.assert_array_equal(hissing(session, None).streams[0].values, sound.values)

"""align/text/wording.py: short forms are written out, words are parted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.text.wording import SHORT_FORMS, expanded, word_set, words_of


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Pt amb w/ stick", "patient walking with stick"),
        ("w/o moving", "without moving"),
        ("OOB to chair", "out of bed to chair"),
        ("STS x5", "sit to stand x5"),
        ("lying -> sitting", "lying to sitting"),
        ("sit\u2192stand", "sit to stand"),
        ("HR 120.", "heart rate 120."),
        ("attempts to stand", "attempts to stand"),
        ("chart, adapt, optic", "chart, adapt, optic"),
        ("", ""),
    ],
)
def test_short_forms(text, meant):
    assert expanded(text) == meant


def test_every_short_form_stands_for_words_that_are_none():
    for short, meant in SHORT_FORMS.items():
        assert short == short.lower()
        assert expanded(f"now {short.upper()} again") == f"now {meant} again"
        assert expanded(meant) == meant, "writing out twice changes nothing"


@given(st.text(max_size=60))
def test_no_text_is_refused(text):
    assert all(word and word == word.casefold() for word in words_of(text))
    expanded(text)


def test_words():
    assert words_of("Sat DOWN, didn\u2019t move (2.5 min)") == [
        "sat",
        "down",
        "didn't",
        "move",
        "2.5",
        "minutes",
    ]
    assert word_set("a b  a") == {"a", "b"}


def test_a_huge_text_is_cut():
    assert len(words_of("sat " * 100_000)) == 5_000

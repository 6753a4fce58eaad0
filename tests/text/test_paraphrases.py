"""align/text/paraphrases.py: other ways to write a note say the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.text.meanings import _AXES, meaning_vector
from align.text.paraphrases import SAME, paraphrases
from align.text.verbs import lemma_of


def rng(seed=0):
    return np.random.default_rng(seed)


def roles(text):
    axes = [a for a in _AXES if a.startswith(("from ", "to ", "state ", "stairs ", "walk ")) or " to " in a]
    vector = dict(zip(_AXES, meaning_vector(text), strict=True))
    return {axis for axis in axes if vector[axis]}


@settings(max_examples=60)
@given(st.text(max_size=40), st.integers(0, 6), st.integers(0, 99))
def test_at_most_n_distinct_ones_none_of_them_the_note(text, n, seed):
    found = paraphrases(text, n, rng(seed))
    assert len(found) <= n and len(set(found)) == len(found)
    assert all(said.casefold() != text.strip().casefold() for said in found)
    assert found == paraphrases(text, n, rng(seed))


@pytest.mark.parametrize(
    "text",
    [
        "sits down",
        "stood up from the stool",
        "gets up from lying",
        "climbs the stairs",
        "goes down the stairs",
        "walking along the path",
        "stays seated",
        "lies flat",
        "turns around",
        "goes to bed",
    ],
)
def test_who_goes_where_stays_as_it_was(text):
    found = paraphrases(text, 30, rng(1))
    assert len(found) >= 10
    for said in found:
        assert roles(said) == roles(text), said


def test_they_differ_in_verb_tense_person_and_register():
    said = " | ".join(paraphrases("sits down on the chair", 60, rng(2)))
    for part in (
        "takes a seat",
        "took a seat",
        "sat down",
        "I ",
        "patient",
        "pt ",
        "noted: ",
        "on chair",
    ):
        assert part in said, part


def test_a_note_without_a_verb_keeps_its_words():
    for said in paraphrases("loud bang in the hall", 5, rng(3)):
        assert "bang in" in said and "hall" in said


@pytest.mark.parametrize("text", ["", "  ", "?!"])
def test_nothing_is_made_of_nothing(text):
    assert paraphrases(text, 3, rng()) == ()


def test_every_phrase_of_the_table_begins_with_a_verb_that_can_be_said_otherwise():
    for group in SAME:
        assert len(group) > 1 and len(set(group)) == len(group)
        for phrase in group:
            verb = phrase.split()[0]
            assert verb == "be" or (lemma_of(verb) or ("", ""))[0] == verb, phrase

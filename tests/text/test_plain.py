"""align/text/plain.py: spelling mended, turns of phrase and stories put into words that the tables know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.text import plain
from align.text.meanings import MEANINGS
from align.text.plain import mended, plain_name, plain_words, posture_words
from align.text.wording import MOST

KNOWN = frozenset(word for words in MEANINGS.values() for word in words.split())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Strollin to the shops", "Strolling to the shops"),
        ("dozing on the mattres", "dozing on the mattress"),
        ("wheelchiar by the door", "wheelchair by the door"),
        ("clmibs the ladder", "climbs the ladder"),
        ("joggging", "jogging"),
        ("Pt \u2191 x2, nil pain", "Pt up x2, no pain"),
        ("desc. 2 flights, indep.", "descending 2 flights, independently"),
        (
            "the train left in the rain, a plain cabin within",
            "the train left in the rain, a plain cabin within",
        ),
        ("sta sti", "sta sti"),
        ("", ""),
    ],
)
def test_spelling_is_mended_where_it_hardly_means_another_word(written: str, meant: str) -> None:
    assert mended(written, KNOWN) == meant


@given(st.lists(st.sampled_from(sorted(KNOWN)), max_size=8))
def test_known_words_are_left_alone(words: list[str]) -> None:
    assert mended(" ".join(words), KNOWN) == " ".join(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("She perches on the wall", "she sitting on the wall"),
        ("plopped into the armchair", "lowered into the armchair"),
        ("grabs a seat", "sits down"),
        ("he trudged home on foot", "he walked home walking"),
        ("went across the yard", "walks across the yard"),
        ("climbed to the fourth floor", "climbed up stairs"),
        ("took the lift to the fourth floor", "took the lift"),
        ("HR 180, a turn of 180", "heart rate 180 a turn of 180"),
        ("gave him a flu shot in spring", "gave him a flu shot in spring"),
        ("ward rounds took place", "ward rounds took place"),
        ("going through the list", "going through the list"),
        ("from the top floor", "down stairs"),
        ("curled up under the blanket", "lying in bed"),
        ("leapt out the chair", "rose out of chair"),
        ("standing, no steps", "standing still"),
        ("she stands, not walking", "she stands"),
        ("on his feet, both feet flat", "on feet flat"),
        ("swung round in three steps", "turns around in"),
        ("has been waiting for ages", "stays waiting stays"),
        ("felt dizzy after lunch", "felt dizzy after lunch"),
    ],
)
def test_turns_of_phrase(text: str, words: str) -> None:
    assert " ".join(plain_words(text)) == words


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("was standing in the hall and then lay on the rug", "from standing to lying"),
        ("sits after lying", "from lying to sitting"),
        ("i was in bed and now stand", "from lying to standing"),
        ("he was sitting and rose", "from sitting and rose"),
        ("lay there then in the chair", "from lying to sitting"),
        ("sits upright in the chair", "sits upright in the chair"),
        ("sits down from standing", "sits down from standing"),
        ("from lying to sitting then standing", "from lying to sitting then standing"),
        ("stands by the stairs and sits", "stands by the stairs and sits"),
        ("rises from chair no arms", "rises from chair"),
        ("lies in bed", "lies in bed"),
        ("", ""),
    ],
)
def test_a_story_of_two_postures_is_a_change(words: str, read: str) -> None:
    assert " ".join(posture_words(words.split())) == read


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    words = plain_words(mended(text, KNOWN))
    assert all(words) and all(posture_words(words))
    assert plain_words(text) == plain_words(text.upper()) or text.upper().lower() != text.lower()


def test_no_more_is_looked_at_than_of_any_note() -> None:
    assert mended("sit " * MOST, KNOWN) == ("sit " * MOST)[:MOST]
    assert mended("a" * MOST, KNOWN) == "a" * MOST


def test_the_name_changes_with_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plain_name()
    monkeypatch.setitem(plain._SHORT, "brb", "be right back")
    assert plain_name() != before

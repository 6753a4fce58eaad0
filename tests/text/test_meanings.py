"""align/text/meanings.py: opposites lie apart, whatever their wording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError
from align.text import meanings, plain
from align.text.hashed import HashedEncoder
from align.text.meanings import _AXES, MEANINGS, WithMeanings, branch_name, meaning_vector
from align.text.postures import ROLES
from align.text.protocol import TextEncoder


def named(text):
    return {axis for axis, value in zip(_AXES, meaning_vector(text), strict=True) if value}


def cosine(a, b):
    return float(meaning_vector(a) @ meaning_vector(b))


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("Walking UP the stairs", {"walk", "up", "stairs", "stairs up"}),
        ("steps down", {"down", "stairs down"}),
        ("takes a few steps", {"change", "walk level"}),
        ("sits down", {"down", "sit", "from stand", "to sit", "stand to sit"}),
        ("was sitting still", {"sit", "still", "state sit"}),
        ("doesn't move", {"still"}),
        ("turned the light on", {"turn", "begin"}),
        ("a cup on the table", set()),
        ("five", {"says 5"}),
        ("says 5", {"says 5"}),
        ("the number 12", {"says 12"}),
        ("99", set()),
        ("two cups of coffee", {"drink"}),
        ("5 minutes", set()),
        ("left the room", {"outside"}),
        ("raised the left arm", {"up", "left"}),
        ("HR fast", {"heart", "fast"}),
        ("", set()),
        ("\ud800 \U0001f600 \x00", set()),
    ],
)
def test_what_is_named(text, axes):
    assert named(text) == axes


@pytest.mark.parametrize(
    ("a", "like", "opposite"),
    [
        ("walking upstairs", "climbs the stairs", "walking downstairs"),
        ("sits down", "drops onto a chair", "stands up"),
        ("from sitting to standing", "gets up from the chair", "from standing to sitting"),
        ("lay down on the bed", "goes to bed", "got out of bed"),
        ("lies in bed", "lying flat", "lies down"),
        ("opened the door", "the door opens", "closed the door"),
        ("switched the machine on", "the machine starts", "switched the machine off"),
        ("turned left", "a turn to the left", "turned right"),
        ("five", "the digit 5", "nine"),
    ],
)
def test_another_wording_is_nearer_than_the_opposite(a, like, opposite):
    assert cosine(a, like) > cosine(a, opposite)


def test_each_word_of_the_table_carries_its_meaning():
    for meaning, text in MEANINGS.items():
        for word in text.split():
            assert word.isalpha() and word == word.lower()
            said = "on their feet" if word == "feet" else word  # a posture only where one is on them
            assert meaning in named(said), f"{word} does not carry {meaning}"


@given(st.lists(st.text(max_size=30), max_size=5), st.sampled_from([0.0, 0.5, 1.5]))
def test_rows_have_unit_length_or_are_zero(texts, weight):
    encoder = WithMeanings(HashedEncoder(64), weight)
    rows = encoder.encode(texts)
    assert rows.shape == (len(texts), 64 + len(_AXES)) and rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert ((np.abs(lengths - 1) < 1e-5) | (lengths == 0)).all()
    if texts:
        np.testing.assert_array_equal(encoder.encode(texts[-1:])[0], rows[-1])


def test_the_branch_lies_beside_the_vector_of_the_text_written_out():
    base = HashedEncoder(64)
    encoder = WithMeanings(base, 2.0)
    assert isinstance(encoder, TextEncoder)
    assert (encoder.name, encoder.dimension) == ("hashed-64" + branch_name(), 64 + len(_AXES))
    row = encoder.encode(["pt sits"])[0]
    np.testing.assert_allclose(row[:64] * np.sqrt(5), base.encode(["patient sits"])[0], rtol=1e-5)
    np.testing.assert_allclose(row[64:] * np.sqrt(5), 2 * meaning_vector("pt sits"), rtol=1e-5)


def test_the_name_changes_with_the_tables(monkeypatch):
    before = branch_name()
    monkeypatch.setitem(meanings.MEANINGS, "cough", "cough hack")
    assert branch_name() != before


def test_rules_are_raised_when_the_same_table_gives_other_vectors():
    """Where this fails: raise ``_RULES`` in meanings.py or plain.py, so that models of before are told apart, then the
    sum here. (The first is what models of before notes were said plainly read: it must not change.)
    """
    texts = (
        "sits down",
        "gets up from lying",
        "up one flight",
        "says 5",
        "not moving",
        "pt OOB",
        "left the bed",
    )
    at = np.arange(1, len(_AXES) + 1)
    older = sum((i + 1) * meaning_vector(t, plain=False) @ at for i, t in enumerate(texts))
    assert (meanings._RULES, round(float(older), 1)) == (1, 1586.4)
    told = (
        *texts,
        "was lyin there, now on her feet",
        "no arms, chair rise",
        "perched since noon",
        "u-turn, 3 steps",
    )
    today = sum((i + 1) * meaning_vector(t) @ at for i, t in enumerate(told))
    assert (plain._RULES, round(float(today), 1)) == (1, 3556.9)


def test_a_huge_note_stalls_nothing():
    """Once 266 s: every posture word was compared with every other."""
    for text in ("sit " * 5000, "was sitting and stood " * 1000):
        assert named(text) <= {"sit", "stand"} | {f"{role} {p}" for role in ROLES for p in ("sit", "stand")}


def test_models_of_before_notes_were_said_plainly_read_as_they_did():
    older, today = WithMeanings(HashedEncoder(64), plain=False), WithMeanings(HashedEncoder(64))
    assert older.name == "hashed-64" + branch_name(plain=False) and older.name != today.name
    texts = ["sits still", "plonked down on the settee"]
    rows, now = older.encode(texts), today.encode(texts)
    np.testing.assert_array_equal(rows[0], now[0])
    assert older.dimension == today.dimension and not np.allclose(rows[1], now[1])
    np.testing.assert_array_equal(rows[1, 64:] != 0, meaning_vector(texts[1], plain=False) != 0)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ParameterError, match="weight"):
        WithMeanings(HashedEncoder(), weight)

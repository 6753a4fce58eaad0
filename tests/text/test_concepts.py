"""align/text/concepts.py: opposites lie apart, whatever their wording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError
from align.text.concepts import _AXES, CONCEPTS, WithConcepts, concept_vector
from align.text.hashed import HashedEncoder
from align.text.protocol import TextEncoder


def named(text):
    return {axis for axis, value in zip(_AXES, concept_vector(text), strict=True) if value}


def cosine(a, b):
    return float(concept_vector(a) @ concept_vector(b))


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("Walking UP the stairs", {"walk", "up", "stairs"}),
        ("sits down", {"sit", "down", "to sit"}),
        ("gets up from the chair", {"change", "up", "sit", "from sit", "to stand"}),
        ("from lying to sitting", {"change", "lie", "sit", "from lie", "to sit"}),
        ("was sitting still", {"sit", "still", "state sit"}),
        ("out of bed", {"change", "lie", "from lie"}),
        ("the price of tea", {"drink"}),
        ("", set()),
        ("\ud800 \U0001f600 \x00", set()),
    ],
)
def test_what_is_named(text, concepts):
    found = named(text)
    assert concepts <= found and found - concepts <= {"end"}


@pytest.mark.parametrize(
    ("a", "like", "opposite"),
    [
        ("walking upstairs", "climbs the stairs", "walking downstairs"),
        ("sits down", "lowers onto a chair", "stands up"),
        ("from sitting to standing", "gets up from the chair", "from standing to sitting"),
        ("lay down on the bed", "lies down", "got out of bed"),
        ("opened the door", "the door opens", "closed the door"),
    ],
)
def test_another_wording_is_nearer_than_the_opposite(a, like, opposite):
    assert cosine(a, like) > cosine(a, opposite)


def test_a_note_is_a_bag_of_few_concepts_each_in_the_table():
    words = [w for text in CONCEPTS.values() for w in text.split()]
    assert all(w == w.lower() and w.isalpha() for w in words)
    for concept, text in CONCEPTS.items():
        for word in text.split():
            assert concept in named(word), f"{word} does not carry {concept}"


@given(st.lists(st.text(max_size=30), max_size=5), st.sampled_from([0.0, 0.5, 1.0]))
def test_rows_have_unit_length_or_are_zero(texts, weight):
    encoder = WithConcepts(HashedEncoder(64), weight)
    rows = encoder.encode(texts)
    assert rows.shape == (len(texts), 64 + len(_AXES)) and rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert ((np.abs(lengths - 1) < 1e-5) | (lengths == 0)).all()
    if texts:
        np.testing.assert_array_equal(encoder.encode(texts[-1:])[0], rows[-1])


def test_the_branch_lies_beside_the_vector():
    base = HashedEncoder(64)
    encoder = WithConcepts(base, 2.0)
    assert isinstance(encoder, TextEncoder)
    assert (encoder.name, encoder.dimension) == ("hashed-64+concepts", 64 + len(_AXES))
    row = encoder.encode(["sits down"])[0]
    np.testing.assert_allclose(row[:64] * np.sqrt(5), base.encode(["sits down"])[0], rtol=1e-5)
    np.testing.assert_allclose(row[64:] * np.sqrt(5), 2 * concept_vector("sits down"), rtol=1e-5)
    np.testing.assert_allclose(WithConcepts(base, 0.0).encode(["sits"])[0, :64], base.encode(["sits"])[0])


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ParameterError, match="weight"):
        WithConcepts(HashedEncoder(), weight)

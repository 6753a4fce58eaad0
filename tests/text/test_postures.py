"""align/text/postures.py: which posture is left, reached or kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.text.postures import POSTURES, ROLES, posture_roles
from align.text.wording import word_set


def change(origin, reached, supposed=False):
    return {("from", origin): 0.5 if supposed else 1.0, ("to", reached): 1.0}


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("lies on the couch", {("state", "lie"): 1.0}),
        ("stands next to the bed", {("state", "stand"): 1.0}),
        ("sits on the edge of the bed", {("state", "sit"): 1.0}),
        ("rolled over in bed", {("state", "lie"): 1.0}),
        ("lying down", {("state", "lie"): 1.0}),
        ("keeps on his feet", {("state", "stand"): 1.0}),
        ("moved from bed to chair", change("lie", "sit")),
        ("transfer bed to wheelchair", change("lie", "sit")),
        ("transition from sit to stand", change("sit", "stand")),
        ("got up and left the chair", change("sit", "stand")),
        ("jumps out of bed", change("lie", "stand")),
        ("gets off the bed", change("lie", "stand")),
        ("up from bed", change("lie", "stand")),
        ("gets up from lying down", change("lie", "stand")),
        ("sat up straight", change("lie", "sit", supposed=True)),
        ("drops onto the couch", change("stand", "sit", supposed=True)),
        ("lies down on the couch", change("stand", "lie", supposed=True)),
        ("sits down on the bed", change("stand", "sit", supposed=True)),
        ("flops into bed", change("stand", "lie", supposed=True)),
        ("she went to lie down on the sofa", change("stand", "lie", supposed=True)),
        ("got up", {("to", "stand"): 1.0}),
        ("goes up to the second floor", {}),
        ("drinks tea", {}),
        ("", {}),
    ],
)
def test_what_is_meant(text, roles):
    assert posture_roles(text.split()) == roles


def test_sitting_down_may_be_both():
    found = posture_roles(["sitting", "down"])
    assert found == {("state", "sit"): 1.0, ("to", "sit"): 0.5, ("from", "stand"): 0.5}


WORDS = st.sampled_from(
    sorted(
        word_set("sits down up from to bed chair out of the standing lying gets still on into left back and")
    )
)


@given(st.lists(WORDS, max_size=8))
def test_roles_are_of_the_table_and_their_weights_of_two(words):
    for (role, posture), weight in posture_roles(words).items():
        assert role in ROLES and posture in POSTURES and weight in (0.5, 1.0)

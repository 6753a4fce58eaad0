"""The encoder that always works."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.text.hashed import HashedEncoder, content_words
from align.text.protocol import TextEncoder


def cosine(a, b):
    x, y = HashedEncoder().encode([a, b]).astype(float)
    return float(x @ y)


@given(st.lists(st.text(max_size=40), max_size=6))
@settings(max_examples=60, deadline=None)
def test_rows_have_unit_length_or_are_zero_and_stand_alone(texts):
    encoder = HashedEncoder(64)
    rows = encoder.encode(texts)
    assert rows.shape == (len(texts), 64) and rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    for text, row in zip(texts, rows, strict=True):
        assert np.array_equal(encoder.encode([text])[0], row)


def test_it_is_a_text_encoder():
    assert isinstance(HashedEncoder(), TextEncoder)
    assert (HashedEncoder(128).name, HashedEncoder(128).dimension) == ("hashed-128", 128)


def test_the_same_in_every_process():
    code = "from align.text.hashed import HashedEncoder as H; print(H(32).encode(['Walks upstairs']).tobytes().hex())"
    other = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert other == [HashedEncoder(32).encode(["Walks upstairs"]).tobytes().hex()] * 2


def test_like_words_are_near_and_opposites_are_apart():
    assert cosine("walking", "walks") > 0.15 > cosine("walking", "sneezed")
    assert cosine("he was sitting on the chair", "sitting, chair") > 0.7
    assert cosine("goes up", "goes down") < 0.7
    assert cosine("SITTING", "sitting") == pytest.approx(1.0, abs=1e-6)


def test_stop_words_weigh_little():
    assert cosine("the dog is at it", "the cat is at it") < 0.3


def test_content_words_keep_what_tells_opposites_apart():
    assert content_words("He was NOT going up the stairs, the lights off") == [
        "not", "going", "up", "stairs", "lights", "off",
    ]  # fmt: skip
    assert content_words("") == content_words(" \u200b…!") == []


def test_N06_any_text_is_encoded():
    texts = ["\ud800", "😀", "مرحبا", "e\u0301 é", "\x00\x1b[31m", "a" * 100_000]
    assert np.isfinite(HashedEncoder().encode(texts)).all()
    assert cosine("cafe\u0301", "café") == pytest.approx(1.0, abs=1e-6)


def test_too_few_columns_are_refused():
    with pytest.raises(ParameterError, match="dimension"):
        HashedEncoder(4)

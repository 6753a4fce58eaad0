"""align/text/sentence.py: sentence-transformers models, where they are; without them a clear refusal."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch

from align.errors import ResourceError
from align.text import choose
from align.text.choose import text_encoder
from align.text.meanings import branch_name
from align.text.protocol import TextEncoder
from align.text.sentence import FOLDERS, SentenceEncoder


class Fake:
    """Stands for sentence_transformers.SentenceTransformer 5 and 6: the arguments and methods that are used."""

    asked: list[tuple[str, bool]] = []  # noqa: RUF012

    def __init__(self, model, *, device, local_files_only, trust_remote_code):
        assert device == "cpu" and trust_remote_code is False
        Fake.asked.append((model, local_files_only))
        if "absent" in model:
            raise OSError("not in the cache")
        self.seed = len(model.rsplit("/", 1)[-1])

    def encode(self, texts, *, batch_size, show_progress_bar, convert_to_numpy, normalize_embeddings):
        assert convert_to_numpy and normalize_embeddings and not show_progress_bar
        return np.array([[self.seed, len(t), 1.0] for t in texts], np.float64)

    def state_dict(self):
        return {"w": torch.full((2,), float(self.seed))}


@pytest.fixture
def library(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Fake))
    monkeypatch.delenv(FOLDERS, raising=False)
    Fake.asked.clear()
    choose._loaded.cache_clear()
    yield
    choose._loaded.cache_clear()


def test_rows_have_unit_length_in_order_and_zeros_where_there_is_nothing(library):
    encoder = SentenceEncoder("some-model")
    assert isinstance(encoder, TextEncoder) and encoder.dimension == 3
    rows = encoder.encode(["sat", "", "walked about", "?"])
    assert rows.dtype == np.float32 and not rows[[1, 3]].any()
    np.testing.assert_allclose(np.linalg.norm(rows[[0, 2]], axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(encoder.encode(["walked about"])[0], rows[2])
    assert encoder.encode([]).shape == (0, 3)


def test_nothing_is_fetched_unless_asked(library):
    SentenceEncoder("some-model")
    SentenceEncoder("some-model", download=True)
    assert Fake.asked == [("some-model", True), ("some-model", False)]


def test_the_name_holds_no_folder_and_changes_with_the_weights(library):
    a, b = SentenceEncoder("/somewhere/private/model"), SentenceEncoder("model-of-others")
    assert a.name.startswith("sentence:model@") and "private" not in a.name
    assert a.name.split("@")[1] != b.name.split("@")[1]


def test_a_model_finds_its_encoder_by_the_name_that_it_recorded(library, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    recorded = text_encoder(f"sentence:{tmp_path / 'mine'}").name
    assert recorded.endswith(branch_name())
    monkeypatch.setenv(FOLDERS, str(tmp_path))
    assert text_encoder(recorded).name == recorded
    assert Fake.asked[-1] == (str(tmp_path / "mine"), True)


def test_a_model_that_is_not_here_is_refused_with_what_to_do(library):
    with pytest.raises(ResourceError, match="E-TEXT-ENCODER") as caught:
        text_encoder("sentence:absent")
    assert FOLDERS in str(caught.value.hint) and caught.value.exit_code == 5


def test_without_the_library_it_says_how_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ResourceError, match="not installed") as caught:
        SentenceEncoder("any")
    assert "pip install" in str(caught.value.hint)


def test_a_real_model_of_the_library(tmp_path, monkeypatch):
    library = pytest.importorskip(
        "sentence_transformers", reason="pip install 'streamnotes[sentence-transformers]'"
    )
    tokenizers = pytest.importorskip("tokenizers")
    words = {w: i for i, w in enumerate(["[UNK]", "walked", "to", "the", "shop", "slept", "badly"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).normal(size=(len(words), 16)).astype(np.float32)
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    embedding = StaticEmbedding(tokenizer, embedding_weights=weights)
    library.SentenceTransformer(modules=[embedding], device="cpu").save(str(tmp_path / "static"))
    monkeypatch.setenv(FOLDERS, str(tmp_path))
    encoder = SentenceEncoder("static")
    rows = encoder.encode(["walked to the shop", "", "slept badly"])
    assert rows.shape == (3, 16) and not rows[1].any()
    mean = weights[[5, 6]].mean(0)
    np.testing.assert_allclose(rows[2], mean / np.linalg.norm(mean), atol=1e-5)

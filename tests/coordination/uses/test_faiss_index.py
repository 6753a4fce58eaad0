"""faiss where it is installed: found rows are right and enough; where it is not, that is said."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from align.coordination.uses.faiss_index import FaissIndex
from align.coordination.uses.index import EmbeddingIndex
from align.errors import ParameterError, ResourceError

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="faiss is not installed")


def vectors(n: int, d: int = 8) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_without_faiss_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ResourceError, match="E-EXTRA"):
        FaissIndex.build(vectors(5))


def test_vectors_and_recall_are_checked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    for rows, recall in ((vectors(0), 0.9), (vectors(5) * np.nan, 0.9), (vectors(5), 0.0), (vectors(5), 1.1)):
        with pytest.raises(ParameterError):
            FaissIndex.build(rows, recall)


@needs_faiss
@pytest.mark.parametrize("n", [3, 5000])
def test_products_are_exact_and_the_recall_is_what_was_asked_for(n: int) -> None:
    own = FaissIndex.build(vectors(n), recall=0.9)
    queries = vectors(40) + 0.05
    products, rows = own.search(queries, 10)
    exact, of_exact = EmbeddingIndex(vectors(n)).search(queries, 10)
    assert own.recall >= 0.9 and products.shape == exact.shape
    known = rows >= 0
    direct = np.einsum("md,mkd->mk", queries, vectors(n)[np.maximum(rows, 0)])
    np.testing.assert_allclose(products[known], direct[known], atol=1e-6)
    assert (np.diff(products, axis=1)[known[:, 1:]] <= 0).all()
    shared = [len(set(a) & set(b)) / len(b) for a, b in zip(rows.tolist(), of_exact.tolist(), strict=True)]
    assert np.mean(shared) > 0.7

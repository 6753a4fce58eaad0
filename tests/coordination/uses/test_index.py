"""The index: the same as sorting everything, whatever the blocks; saved and mapped; what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.coordination.uses import index as module
from align.coordination.uses.index import INDEX_FILES, EmbeddingIndex, index_files, load_index
from align.errors import AlignError, ParameterError


def vectors(n: int, d: int = 8, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sorted_all(index: EmbeddingIndex, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Every product, sorted; equal ones by row."""
    products = queries @ index.vectors.T
    rows = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(products, rows, axis=1), rows


@given(
    n=st.integers(1, 60), m=st.integers(1, 5), k=st.integers(1, 70), cells=st.integers(1, 64), seed=st.integers(0, 99)
)  # fmt: skip
def test_the_same_as_sorting_everything(n: int, m: int, k: int, cells: int, seed: int) -> None:
    """Whole numbers, so that products are exact and many are equal."""
    rng = np.random.default_rng(seed)
    index = EmbeddingIndex(rng.integers(-2, 3, (n, 3)).astype(np.float32))
    queries = rng.integers(-2, 3, (m, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SCORES", cells)
        patch.setattr(module, "_QUERIES", 2)
        scores, rows = index.search(queries, k)
    wanted, of_wanted = sorted_all(index, queries, k)
    assert scores.shape == rows.shape == (m, min(k, n))
    np.testing.assert_array_equal(scores, wanted)
    np.testing.assert_array_equal(rows, of_wanted)


def test_real_numbers_and_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    index = EmbeddingIndex(vectors(5000))
    queries = vectors(3, seed=1)
    wanted = sorted_all(index, queries, 10)
    monkeypatch.setattr(module, "_SCORES", 999)
    scores, rows = index.search(queries, 10)
    np.testing.assert_allclose(scores, wanted[0], atol=1e-6)
    np.testing.assert_array_equal(rows, wanted[1])


def test_one_query_may_be_given_as_a_vector_and_a_row_with_nan_is_never_found() -> None:
    rows = np.eye(3, dtype=np.float32)
    rows[1] = np.nan
    scores, found = EmbeddingIndex(rows).search([0.0, 1.0, 0.5], k=3)
    assert found.tolist() == [[2, 0, -1]]
    assert scores.tolist() == [[0.5, 0.0, -np.inf]]


def test_an_empty_index_finds_nothing() -> None:
    scores, rows = EmbeddingIndex(np.zeros((0, 4), np.float32)).search(np.ones((2, 4)), 5)
    assert scores.shape == rows.shape == (2, 0)


@pytest.mark.parametrize(
    ("queries", "k"),
    [(np.ones((1, 3)), 1), (np.full((1, 4), np.nan), 1), (np.ones((1, 4)), 0), (np.ones((1, 2, 4)), 1)],
)
def test_what_is_refused(queries: np.ndarray, k: int) -> None:
    with pytest.raises(ParameterError):
        EmbeddingIndex(vectors(5, 4)).search(queries, k)


def test_vectors_of_another_kind_are_refused() -> None:
    for wrong in (np.zeros(3, np.float32), np.zeros((2, 2))):
        with pytest.raises(ParameterError):
            EmbeddingIndex(wrong)


def saved(folder: Path, index: EmbeddingIndex) -> Path:
    for name, data in index_files(index, {"spans": [[0.0, 1.5]]}).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("n", [0, 1, 300])
def test_saved_and_mapped_it_gives_the_same(tmp_path: Path, n: int) -> None:
    index = EmbeddingIndex(vectors(n))
    back, about = load_index(saved(tmp_path, index))
    assert about == {"spans": [[0.0, 1.5]]}
    assert n == 0 or isinstance(back.vectors, np.memmap)
    for ours, theirs in zip(
        index.search(vectors(2, seed=3), 4), back.search(vectors(2, seed=3), 4), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def broken(folder: Path, how: str) -> None:
    numbers, about = (folder / name for name in INDEX_FILES)
    if how == "pickle":
        out = io.BytesIO()
        np.save(out, np.asarray([{}], object), allow_pickle=True)
        facts = json.loads(about.read_text())
        facts["bytes"] = len(out.getvalue())
        facts["seal"] = module._seal(facts)
        numbers.write_bytes(out.getvalue())
        about.write_text(json.dumps(facts))
    elif how == "cut":
        numbers.write_bytes(numbers.read_bytes()[:-4])
    elif how == "gone":
        numbers.unlink()
    elif how == "edited":
        about.write_text(about.read_text().replace('"rows": 6', '"rows": 5'))
    elif how == "no json":
        about.write_text("{")
    else:
        about.write_text('{"format": "align-index/99"}')


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("pickle", "E-UNSAFE-FORMAT"),
        ("cut", "E-CHECKSUM"),
        ("gone", "E-NO-FILE"),
        ("edited", "E-CHECKSUM"),
        ("no json", "E-JSON"),
        ("later", "E-MODEL-VERSION"),
    ],
)
def test_what_is_not_what_was_saved_is_refused(tmp_path: Path, how: str, code: str) -> None:
    saved(tmp_path, EmbeddingIndex(vectors(6)))
    broken(tmp_path, how)
    with pytest.raises(AlignError) as caught:
        load_index(tmp_path)
    assert caught.value.code == code

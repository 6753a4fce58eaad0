"""align/coordination/functions/hubness.py against loops, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.coordination.functions import hubness
from align.coordination.functions.hubness import csls, csls_top, mean_nearest
from align.errors import ParameterError


def unit(n, d=6, seed=0, dtype=np.float64):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(dtype)


def by_loops(similarity, k):
    n, m = similarity.shape
    out = np.empty((n, m))
    for i in range(n):
        for j in range(m):
            row = sorted(similarity[i], reverse=True)[:k]
            column = sorted(similarity[:, j], reverse=True)[:k]
            out[i, j] = 2 * similarity[i, j] - sum(row) / len(row) - sum(column) / len(column)
    return out


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 10), st.integers(0, 9999))
def test_it_is_the_formula(n, m, k, seed):
    similarity = np.random.default_rng(seed).uniform(-1, 1, (n, m))
    before = similarity.copy()
    np.testing.assert_allclose(csls(similarity, k), by_loops(similarity, k), atol=1e-12)
    np.testing.assert_array_equal(similarity, before)
    np.testing.assert_allclose(csls(similarity.T, k), csls(similarity, k).T, atol=1e-12)


@pytest.mark.parametrize("cells", [1, 7, 50, 10**6])
def test_in_parts_it_is_the_same(cells, monkeypatch):
    monkeypatch.setattr(hubness, "_CELLS", cells)
    a, b = unit(23), unit(17, seed=1)
    whole = csls(a @ b.T, 5)
    index, score = csls_top(a, b, 4, 5)
    np.testing.assert_array_equal(index, np.argsort(-whole, axis=1)[:, :4])
    np.testing.assert_allclose(score, np.take_along_axis(whole, index, axis=1))
    expected = np.sort(a @ b.T, axis=1)[:, -5:].mean(axis=1)
    np.testing.assert_allclose(mean_nearest(a, b, 5), expected)


def test_no_part_holds_more_than_it_may(monkeypatch):
    monkeypatch.setattr(hubness, "_CELLS", 1000)
    held = []
    real = np.partition
    monkeypatch.setattr(
        np, "partition", lambda x, *rest, **more: (held.append(x.size), real(x, *rest, **more))[1]
    )
    csls_top(unit(300), unit(200, seed=1), 3)
    assert 0 < max(held) <= 1000


def test_a_hub_is_no_ones_first_choice():
    """A text near to everything wins by plain cosine where the right one is a little off."""
    a = np.eye(5)
    right = 0.5 * np.eye(5)
    hub = np.full((1, 5), 0.6)
    similarity = a @ np.vstack([right, hub]).T
    assert (similarity.argmax(axis=1) == 5).all()
    assert (csls(similarity, 3).argmax(axis=1) == np.arange(5)).all()


def test_dtype_stays_and_empty_is_empty():
    a, b = unit(4, dtype=np.float32), unit(3, seed=1, dtype=np.float32)
    assert csls(a @ b.T).dtype == np.float32
    index, score = csls_top(a, b, 9)
    assert index.shape == score.shape == (4, 3) and score.dtype == np.float32
    assert csls(np.zeros((0, 3))).shape == (0, 3) and csls(np.zeros((3, 0))).shape == (3, 0)
    assert csls_top(a[:0], b, 2)[0].shape == (0, 2) and mean_nearest(a[:0], b).shape == (0,)


def test_what_cannot_be_is_refused():
    a = unit(4)
    for bad in (
        lambda: csls(a[0]),
        lambda: csls(a, 0),
        lambda: csls_top(a, a, 0),
        lambda: mean_nearest(a, a, 0),
    ):
        with pytest.raises(ParameterError):
            bad()

"""Patterns of a signal against their slow twins."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.kernels.patterns import (
    convolution_quantiles,
    nearest,
    partitions,
    rolling_range,
    sign_counts,
    split_profile,
)
from tests import naive

TRIPLES = np.array(list(itertools.combinations(range(9), 3))[::17], np.int64)


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 7))
def test_signs_are_those_of_the_convolutions(seed, dilation, hop):
    values = np.random.default_rng(seed).standard_normal(45)
    dilations = np.array([dilation], np.int64)
    at = np.arange(45)
    quantiles = np.linspace(0.2, 0.8, len(TRIPLES))
    thresholds = convolution_quantiles(values, dilations, TRIPLES, at, quantiles)
    counts = sign_counts(values, dilations, TRIPLES, thresholds - 1e-9, hop)
    assert counts.shape == (45 // hop, len(TRIPLES))
    for f, triple in enumerate(TRIPLES):
        response = naive.convolution(values, dilation, list(triple))
        assert thresholds[f] == pytest.approx(np.sort(response)[int(quantiles[f] * 44)], abs=1e-9)
        high = (response > thresholds[f] - 1e-9)[: 45 // hop * hop]
        assert counts[:, f] == pytest.approx(high.reshape(-1, hop).mean(axis=1))


def test_a_level_does_not_change_the_signs():
    values = np.random.default_rng(1).standard_normal(60)
    dilations, quantiles = np.array([1, 3], np.int64), np.full(2 * len(TRIPLES), 0.5)
    counts = []
    for offset in (0.0, 50.0):
        at = np.arange(60)
        thresholds = convolution_quantiles(values + offset, dilations, TRIPLES, at, quantiles)
        counts.append(sign_counts(values + offset, dilations, TRIPLES, thresholds - 1e-6, 5))
    assert counts[0] == pytest.approx(counts[1])


@given(st.integers(0, 2**31), st.integers(3, 10), st.integers(1, 3), st.integers(1, 3))
def test_partitions_are_the_best_of_all(seed, n, d, min_size):
    rows = np.random.default_rng(seed).integers(-3, 4, (n, d)).astype(float)
    rows -= rows.mean(axis=0)
    sums = np.concatenate([np.zeros((1, d)), np.cumsum(rows, axis=0)])
    least, last = partitions(sums, min_size, 3)
    for k in range(4):
        cost, _ = naive.best_partition(rows, min_size, k)
        assert least[k, n] + (rows**2).sum() == pytest.approx(cost, abs=1e-9)
        if np.isfinite(cost):
            edges, t = [n], n
            for j in range(k, 0, -1):
                t = int(last[j, t])
                edges.append(t)
            parts = [rows[a:b] for a, b in itertools.pairwise([0, *edges[::-1]])]
            assert sum(((p - p.mean(axis=0)) ** 2).sum() for p in parts) == pytest.approx(cost, abs=1e-9)
            assert min(map(len, parts)) >= min_size


@given(st.integers(0, 2**31), st.integers(2, 14), st.integers(0, 4))
def test_nearest_rows(seed, n, exclude):
    similarity = np.random.default_rng(seed).integers(0, 5, (n, n)).astype(np.float32)
    assert nearest(similarity, exclude, 3).tolist() == naive.nearest_rows(similarity, exclude, 3).tolist()


@given(st.integers(0, 2**31), st.integers(4, 16), st.integers(1, 3))
def test_split_profile(seed, n, margin):
    random = np.random.default_rng(seed)
    near = random.integers(0, n, (n, 3))
    low, high = int(random.integers(0, n // 4 + 1)), n - int(random.integers(0, n // 4 + 1))
    assert split_profile(near, low, high, margin) == pytest.approx(
        naive.split_profile(near, low, high, margin)
    )


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=30), st.integers(1, 30))
def test_rolling_range(values, width):
    width = min(width, len(values))
    windows = np.lib.stride_tricks.sliding_window_view(np.array(values, float), width)
    assert rolling_range(np.array(values, float), width).tolist() == np.ptp(windows, axis=1).tolist()

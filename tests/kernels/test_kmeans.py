"""align/kernels/kmeans.py and seeding.py: bounds, float32 against float64, and their twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.kernels.centroids import centroid_moves, own_distances
from align.kernels.kmeans import (
    NONE,
    assign_rows,
    nearest_centroids,
)
from align.kernels.seeding import seed_rows
from align.kernels.tiles import TILE, column_ranges, make_tiles, sum_rows
from tests import naive

POINTS = st.tuples(st.integers(1, 25), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))
)


def blobs(n=300, d=4, k=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-6, 6, (k, d))
    return centres[rng.integers(0, k, n)] + rng.standard_normal((n, d)), rng


def tiled(points, scale=2.0**-4):
    n, d = points.shape
    origin = points.mean(axis=0).astype(np.float32).astype(np.float64)
    tiles = np.zeros((-(-n // TILE), -(-d // 4) * 4, TILE), np.float32)
    make_tiles(points, origin, scale, tiles)
    return tiles, (origin, scale)


def fresh(points, k):
    lanes = -(-len(points) // TILE) * TILE
    state = (np.full(lanes, NONE, np.int32), np.zeros((2, lanes), np.float32))
    return state, np.zeros((k, points.shape[1] + 1)), np.array([0, len(points)])


def seeded(points, k, seed=0, trials=3):
    uniforms = np.random.default_rng(seed).random((k, trials))
    return points[seed_rows(tiled(points)[0], len(points), k, uniforms)]


@given(POINTS, st.integers(1, 30))
def test_V11_k_is_reduced_to_the_distinct_rows(points, k):
    start = seeded(points, k)
    assert len(start) == len(np.unique(start, axis=0)) == min(k, len(np.unique(points, axis=0)))


def test_seeding_equals_its_twin():
    points, rng = blobs(seed=4)
    uniforms = rng.random((12, 4))
    expected = naive.seed_centroids(points, 12, uniforms)
    assert points[seed_rows(tiled(points)[0], len(points), 12, uniforms)].tolist() == expected.tolist()


@given(st.integers(0, 10_000), st.integers(1, 20), st.sampled_from([np.float32, np.float64]))
def test_every_pass_labels_with_the_nearest_and_keeps_true_bounds(seed, k, dtype):
    # Random moves, small and large, so that some rows sleep and others wake.
    points, rng = blobs(n=int(rng_size(seed)), d=1 + seed % 6, k=5, seed=seed)
    points = points.astype(dtype)
    tiles, frame = tiled(points)
    state, sums, part = fresh(points, k)
    centroids, moves = rng.uniform(-6, 6, (k, points.shape[1])), np.zeros((3, 0), np.float32)
    for size in (0.0, 1e-3, 0.3, 3.0, 1e-5):
        shares = rng.choice([0.01, 1.0], (k, 1))  # some centroids move farther than others
        moved = centroids + size * shares * rng.standard_normal(centroids.shape)
        if size:
            moves = centroid_moves(centroids, moved, frame[1])
        centroids = moved
        assign_rows(points, tiles, part, frame, centroids, moves, state, sums)
        squares = ((points[:, None].astype(np.float64) - centroids) ** 2).sum(axis=2)
        labels, n = state[0][: len(points)], np.arange(len(points))
        assert labels.tolist() == squares.argmin(axis=1).tolist()
        assert (state[1][0, : len(points)] >= np.sqrt(squares[n, labels]) * frame[1]).all()
        squares[n, labels] = np.inf
        assert (state[1][1, : len(points)] <= np.sqrt(squares.min(axis=1)) * frame[1]).all()
        assert sums[:, -1].tolist() == np.bincount(labels, minlength=k).tolist()
        totals = np.array([(points[labels == j] - frame[0]).sum(axis=0) for j in range(k)])
        np.testing.assert_allclose(sums[:, :-1], totals, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_one_centroid_that_moves_far_wakes_only_the_rows_near_it(seed):
    points, rng = blobs(n=2000, d=8, k=12, seed=seed)
    tiles, frame = tiled(points)
    state, sums, part = fresh(points, 12)
    centroids = np.array(points[rng.choice(2000, 12, replace=False)])
    assign_rows(points, tiles, part, frame, centroids, np.zeros((3, 0), np.float32), state, sums)
    for fast in rng.permutation(12)[:4]:
        moved = centroids + 1e-3 * rng.standard_normal(centroids.shape)
        moved[fast] += 6.0 / np.sqrt(8.0)
        moves, before = centroid_moves(centroids, moved, frame[1]), state[1][:, :2000].copy()
        own = state[0][:2000].copy()
        assign_rows(points, tiles, part, frame, moved, moves, state, sums)
        squares = ((points[:, None] - moved) ** 2).sum(axis=2)
        labels, n = state[0][:2000], np.arange(2000)
        assert labels.tolist() == squares.argmin(axis=1).tolist()
        assert (state[1][0, :2000] >= np.sqrt(squares[n, labels]) * frame[1]).all()
        squares[n, labels] = np.inf
        assert (state[1][1, :2000] <= np.sqrt(squares.min(axis=1)) * frame[1]).all()
        # Most rows slept: their upper bound only followed their own centroid. Without the look at the fast one, its
        # move would have brought their lower bounds below that.
        slept = state[1][0, :2000] > (before[0] + moves[0, own]) * (1.0 - 1e-6)
        would_wake = before[0] + moves[0, own] >= np.maximum(before[1] - moves[1, own], moves[2, own])
        assert (slept & would_wake).sum() > 200
        centroids = moved


def rng_size(seed):
    return (1, 7, 255, 256, 700)[seed % 5]


def test_what_float32_cannot_tell_is_decided_by_float64():
    # float32 sees both centroids at the same place.
    rng = np.random.default_rng(1)
    centroids = np.array([[1.0, 1.0], [1.0 + 1e-8, 1.0]])
    points = np.column_stack([1.0 + rng.uniform(0, 1e-8, 500), 1.0 + rng.uniform(0, 1e-3, 500)])
    tiles, frame = tiled(points)
    state, sums, part = fresh(points, 2)
    assign_rows(points, tiles, part, frame, centroids, np.zeros((3, 0), np.float32), state, sums)
    expected = ((points[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
    assert 100 < expected.sum() < 400
    assert state[0][:500].tolist() == expected.tolist()


def test_ties_go_to_the_lowest():
    points = np.zeros((3, 1))
    tiles, frame = tiled(points)
    state, sums, part = fresh(points, 3)
    centroids = np.array([[2.0], [1.0], [-1.0]])
    assign_rows(points, tiles, part, frame, centroids, np.zeros((3, 0), np.float32), state, sums)
    assert state[0][:3].tolist() == [1, 1, 1]
    assert nearest_centroids(points, centroids)[0].tolist() == [1, 1, 1]


def test_tiles_hold_centred_scaled_rows_and_the_columns_are_summed_up():
    points, rng = blobs(n=300, d=3)
    tiles, (origin, scale) = tiled(points)
    laid = tiles.transpose(0, 2, 1).reshape(-1, 4)
    np.testing.assert_allclose(laid[:300, :3], (points - origin) * scale, atol=1e-7)
    assert not laid[300:].any() and not laid[:, 3].any()
    ranges = column_ranges(points)
    assert ranges[:2].tolist() == [points.min(axis=0).tolist(), points.max(axis=0).tolist()]
    np.testing.assert_allclose(ranges[2], points.mean(axis=0), rtol=1e-12, atol=1e-12)
    points[7, 1] = np.nan
    assert np.isfinite(column_ranges(points)[2]).tolist() == [True, False, True]
    labels, sums = rng.integers(0, 2, 300).astype(np.int32), np.zeros((2, 4))
    sum_rows(points, np.array([10, 300]), np.zeros(3), labels, sums)
    assert sums[:, 3].tolist() == np.bincount(labels[10:]).tolist()
    np.testing.assert_allclose(sums[1, 0], points[10:][labels[10:] == 1, 0].sum(), rtol=1e-12)


def test_own_distances_are_the_labels_distances():
    points, rng = blobs(n=40)
    centroids, labels = rng.uniform(-6, 6, (5, 4)), rng.integers(0, 5, 40).astype(np.int32)
    squares = np.zeros(40)
    total = own_distances(points, np.array([10, 40]), centroids, labels, squares)
    expected = ((points - centroids[labels]) ** 2).sum(axis=1)
    np.testing.assert_allclose(squares[10:], expected[10:], rtol=1e-12)
    assert total == pytest.approx(expected[10:].sum(), rel=1e-12)
    assert not squares[:10].any()


def test_greedy_seeding_beats_drawing_rows_evenly():
    points, rng = blobs(n=600, k=12, seed=9)
    greedy = np.mean([nearest_centroids(points, seeded(points, 12, s))[1].sum() for s in range(20)])
    evenly = np.mean([nearest_centroids(points, points[rng.choice(600, 12)])[1].sum() for _ in range(20)])
    assert greedy < 0.8 * evenly

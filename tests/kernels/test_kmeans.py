"""align/kernels/kmeans.py: laws, its twins and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.kernels.kmeans import lloyd, nearest_centroids, seed_centroids
from tests import naive

POINTS = st.tuples(st.integers(1, 25), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))
)


def blobs(n=300, d=4, k=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-6, 6, (k, d))
    return centres[rng.integers(0, k, n)] + rng.standard_normal((n, d)), rng


def seeded(points, k, seed=0, trials=3):
    return seed_centroids(points, k, np.random.default_rng(seed).random((k, trials)))


@given(POINTS, st.integers(1, 30))
def test_V11_k_is_reduced_to_the_distinct_rows(points, k):
    start = seeded(points, k)
    distinct = len(np.unique(points, axis=0))
    assert len(start) == len(np.unique(start, axis=0)) == min(k, distinct)
    if k >= distinct:
        assert lloyd(points, start, 50)[2][-1] == 0.0


@given(POINTS, st.integers(1, 8), st.integers(0, 10))
def test_inertia_never_rises_and_no_cluster_is_empty(points, k, seed):
    # The worst start there is: all centroids far outside, all but one of them without rows.
    k = min(k, len(np.unique(points, axis=0)))
    start = 100.0 + np.random.default_rng(seed).random((k, points.shape[1]))
    centroids, labels, inertias = lloyd(points, start, 100)
    assert (np.diff(inertias) <= 1e-9 * (1.0 + inertias[:-1])).all()
    assert np.unique(labels).tolist() == list(range(k))
    means = np.array([points[labels == c].mean(axis=0) for c in range(k)])
    np.testing.assert_allclose(centroids, means, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 9))
def test_lloyd_equals_its_twin_where_nothing_ties(seed, k):
    points, rng = blobs(n=40, d=2, k=4, seed=seed)
    start = rng.uniform(-6, 6, (k, 2))
    centroids, labels, inertias = lloyd(points, start, 60)
    expected, same, history = naive.lloyd(points, start, 60)
    assert labels.tolist() == same.tolist()
    np.testing.assert_allclose(centroids, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(inertias, history, rtol=1e-9, atol=1e-12)


def test_empty_clusters_take_the_farthest_rows_in_order():
    points = np.array([[0.0], [1.0], [2.0], [10.0]])
    start = np.array([[0.0], [50.0], [60.0]])
    centroids, labels, _ = lloyd(points, start, 1)
    assert labels.tolist() == [0, 0, 2, 1]
    assert centroids.ravel().tolist() == [0.5, 10.0, 2.0]


def test_seeding_equals_its_twin():
    points, rng = blobs(seed=4)
    uniforms = rng.random((12, 4))
    expected = naive.seed_centroids(points, 12, uniforms)
    assert seed_centroids(points, 12, uniforms).tolist() == expected.tolist()


@pytest.mark.parametrize("k", [1, 5, 16])
def test_inertia_equals_scikit_learns_from_the_same_start(k):
    from sklearn.cluster import KMeans

    points, _ = blobs(n=800, d=5, k=7, seed=k)
    start = seeded(points, k)
    reference = KMeans(k, init=start, n_init=1, max_iter=300, tol=0.0).fit(points)
    centroids, labels, inertias = lloyd(points, start, 300)
    assert inertias[-1] == pytest.approx(reference.inertia_, rel=1e-5)
    np.testing.assert_allclose(centroids, reference.cluster_centers_, atol=1e-6)
    assert labels.tolist() == reference.labels_.tolist()


def test_permuted_rows_give_the_same_clusters():
    points, rng = blobs(seed=2)
    start = seeded(points, 8)
    order = rng.permutation(len(points))
    centroids, labels, inertias = lloyd(points, start, 100)
    permuted, moved, others = lloyd(points[order], start, 100)
    assert moved.tolist() == labels[order].tolist()
    np.testing.assert_allclose(permuted, centroids, rtol=1e-10)
    assert inertias[-1] == pytest.approx(others[-1], rel=1e-12)


def test_converged_labels_are_the_nearest_centroids_and_ties_go_to_the_lowest():
    points, _ = blobs(seed=5)
    centroids, labels, inertias = lloyd(points, seeded(points, 7), 300)
    assert len(inertias) < 300
    nearest, squares = nearest_centroids(points, centroids)
    assert nearest.tolist() == labels.tolist()
    assert squares.sum() == pytest.approx(inertias[-1], rel=1e-12)
    assert nearest_centroids(np.zeros((1, 1)), np.array([[1.0], [-1.0]]))[0].tolist() == [0]


def test_greedy_seeding_beats_drawing_rows_evenly():
    points, rng = blobs(n=600, k=12, seed=9)
    greedy = np.mean([lloyd(points, seeded(points, 12, s), 1)[2][0] for s in range(20)])
    evenly = np.mean([lloyd(points, points[rng.choice(600, 12)], 1)[2][0] for _ in range(20)])
    assert greedy < 0.8 * evenly

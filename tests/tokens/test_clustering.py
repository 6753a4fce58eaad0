"""align/tokens/clustering.py: laws of k-means and its relatives, their twins and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.errors import ParameterError
from align.tokens.clustering import Running, kmeans, kmeans_minibatch, kmeans_spherical, update
from align.tokens.torch_clustering import kmeans_torch
from tests import naive

POINTS = st.tuples(st.integers(1, 25), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))
)


def blobs(n=300, d=4, k=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-6, 6, (k, d))
    return centres[rng.integers(0, k, n)] + rng.standard_normal((n, d)), rng


@given(POINTS, st.integers(1, 8), st.integers(0, 10))
def test_inertia_never_rises_and_no_cluster_is_empty(points, k, seed):
    # The worst start there is: all centroids far outside, all but one of them without rows.
    k = min(k, len(np.unique(points, axis=0)))
    start = 100.0 + np.random.default_rng(seed).random((k, points.shape[1]))
    inertias = [kmeans(points, start, iterations=i).inertia for i in range(6)]
    assert (np.diff(inertias) <= 1e-9 * (1.0 + np.array(inertias[:-1]))).all()
    found = kmeans(points, start)
    assert np.unique(found.labels).tolist() == list(range(k))
    means = np.array([points[found.labels == c].mean(axis=0) for c in range(k)])
    np.testing.assert_allclose(found.centroids, means, atol=1e-12)


@given(POINTS, st.integers(1, 25))
def test_as_many_clusters_as_distinct_rows_leave_no_inertia(points, k):
    k = min(k, len(points))
    found = kmeans(points, k)
    distinct = len(np.unique(points, axis=0))
    assert len(found.centroids) == min(k, distinct)
    if k >= distinct:
        assert found.inertia == 0.0


@pytest.mark.parametrize("cluster", [kmeans, kmeans_torch])
@given(seed=st.integers(0, 10_000), k=st.integers(1, 9))
def test_kmeans_equals_its_twin_where_nothing_ties(cluster, seed, k):
    points, rng = blobs(n=40, d=2, k=4, seed=seed)
    start = rng.uniform(-6, 6, (k, 2))
    found = cluster(points, start, iterations=60)
    centroids, labels, history = naive.lloyd(points, start, 60)
    assert found.labels.tolist() == labels.tolist()
    np.testing.assert_allclose(found.centroids, centroids, rtol=1e-9, atol=1e-12)
    assert found.inertia == pytest.approx(history[-1], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 5, 16, 70])
def test_inertia_is_scikit_learns_from_the_same_start(k, dtype):
    from sklearn.cluster import KMeans

    points, rng = blobs(n=1500, d=5, k=7, seed=k)
    points = points.astype(dtype)
    start = points[rng.choice(1500, k, replace=False)]
    for iterations in (3, 300):
        theirs = KMeans(k, init=start, n_init=1, max_iter=iterations, tol=0.0).fit(points)
        found = kmeans(points, start, iterations=iterations)
        inertia = ((points.astype(np.float64) - theirs.cluster_centers_[theirs.labels_]) ** 2).sum()
        assert found.inertia <= inertia * (1.0 + 1e-5)
        assert found.iterations <= iterations
    if dtype == np.float64:
        assert found.labels.tolist() == theirs.labels_.tolist()
        np.testing.assert_allclose(found.centroids, theirs.cluster_centers_, atol=1e-6)


def test_seeded_inertia_is_no_worse_than_scikit_learns_on_average():
    from sklearn.cluster import KMeans

    points, _ = blobs(n=800, d=3, k=20, seed=3)
    ours = np.mean([kmeans(points, 20, seed=s).inertia for s in range(10)])
    theirs = np.mean([KMeans(20, n_init=1, random_state=s, tol=0.0).fit(points).inertia_ for s in range(10)])
    assert ours <= 1.02 * theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_threads_gives_the_same_bits(dtype):
    points, _ = blobs(n=20_000, d=6, k=9, seed=1)
    points = points.astype(dtype)
    one, two, five = (kmeans(points, 24, seed=3, iterations=25, threads=t) for t in (1, 2, 5))
    for other in (two, five):
        assert one.centroids.tobytes() == other.centroids.tobytes()
        assert one.labels.tobytes() == other.labels.tobytes()
        assert one.inertia == other.inertia


def test_ids_are_in_lexical_order_and_a_start_keeps_its_own():
    points, _ = blobs(seed=5)
    found = kmeans(points, 7, restarts=2)
    assert found.centroids.tolist() == sorted(found.centroids.tolist())
    again = kmeans(points, found.centroids[::-1])
    assert again.centroids.tolist() == found.centroids[::-1].tolist()
    assert again.labels.tolist() == (6 - found.labels).tolist()


def test_permuted_rows_and_shifted_or_scaled_data_give_the_same_clusters():
    points, rng = blobs(seed=2)
    start, order = points[:8], rng.permutation(len(points))
    found = kmeans(points, start)
    assert kmeans(points[order], start).labels.tolist() == found.labels[order].tolist()
    for shift, scale in ((1e6, 1.0), (0.0, 1e-30), (0.0, 1e100), (-3.0, 1024.0)):
        other = kmeans(points * scale + shift, start * scale + shift)
        assert other.labels.tolist() == found.labels.tolist()


def test_empty_clusters_take_the_farthest_rows_in_order():
    points = [[0.0], [1.0], [2.0], [10.0]]
    found = kmeans(points, [[0.0], [50.0], [60.0]], iterations=0)
    assert found.labels.tolist() == [0, 0, 2, 1]
    assert found.centroids.ravel().tolist() == [0.0, 10.0, 2.0]


def test_a_tolerance_ends_earlier_as_in_scikit_learn():
    from sklearn.cluster import KMeans

    points, rng = blobs(n=900, seed=8)
    start = points[rng.choice(900, 12, replace=False)]
    theirs = KMeans(12, init=start, n_init=1, tol=1e-3).fit(points)
    found = kmeans(points, start, tolerance=1e-3)
    assert found.iterations == theirs.n_iter_ < kmeans(points, start).iterations
    assert found.inertia == pytest.approx(theirs.inertia_, rel=1e-9)


def test_directions_are_clustered_by_cosine():
    rng = np.random.default_rng(0)
    axes = np.eye(4)[rng.integers(0, 4, 300)]
    points = (axes + 0.1 * rng.standard_normal((300, 4))) * rng.uniform(0.01, 100.0, (300, 1))
    found = kmeans_spherical(points, 4)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1.0, rtol=1e-12)
    unit = points / np.linalg.norm(points, axis=1)[:, None]
    assert found.labels.tolist() == (unit @ found.centroids.T).argmax(axis=1).tolist()
    assert found.inertia == pytest.approx(2 * (300 - (unit * found.centroids[found.labels]).sum()), rel=1e-9)
    # One axis is one cluster, whatever the lengths of its rows.
    assert len(np.unique(np.column_stack([axes.argmax(axis=1), found.labels]), axis=0)) == 4
    steps = [kmeans_spherical(points, unit[:4], iterations=i).inertia for i in range(8)]
    assert (np.diff(steps) <= 1e-9).all()
    with pytest.raises(ParameterError, match="zeros"):
        kmeans_spherical([[0.0, 0.0], [1.0, 0.0]], 1)


def test_opposite_directions_keep_the_centroid():
    found = kmeans_spherical([[1.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0]])
    assert found.centroids.tolist() == [[0.0, 1.0]]


@given(st.integers(0, 1000), st.integers(1, 6))
def test_a_stream_in_parts_ends_at_the_mean_of_all_its_rows(seed, n_parts):
    # Blobs so far apart that no row changes its cluster: the running mean must be the mean.
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    labels = np.concatenate([np.arange(3), rng.integers(0, 3, 57)])
    points = centres[labels] + rng.standard_normal((60, 2))
    running = Running(centres, np.zeros(3))
    for part in np.array_split(points, n_parts):
        running = update(running, part)
    expected = [points[labels == j].mean(axis=0) for j in range(3)]
    np.testing.assert_allclose(running.centroids, expected, rtol=1e-9, atol=1e-9)
    assert running.weights.tolist() == np.bincount(labels).tolist()


def test_what_is_forgotten_lets_the_centroid_follow():
    running = Running(np.array([[0.0], [50.0]]), np.array([1000.0, 10.0]))
    followed = update(running, np.full((10, 1), 2.0), forget=0.0)
    kept = update(running, np.full((10, 1), 2.0))
    assert followed.centroids.ravel().tolist() == [2.0, 50.0]
    assert followed.weights.tolist() == [10.0, 0.0]
    assert kept.centroids[0, 0] == pytest.approx(20.0 / 1010.0)


def test_batches_come_close_to_the_whole():
    points, _ = blobs(n=6000, d=4, k=8, seed=6)
    whole, batches = kmeans(points, 8, restarts=3), kmeans_minibatch(points, 8, batch=500)
    assert whole.inertia <= batches.inertia * (1 + 1e-9)
    assert batches.inertia <= 1.5 * whole.inertia
    assert np.unique(batches.labels).tolist() == list(range(8))
    assert kmeans_minibatch(points, 8, batch=500, threads=2).labels.tobytes() == batches.labels.tobytes()


@pytest.mark.parametrize(
    ("points", "k", "options"),
    [
        ([[1.0], [np.nan]], 1, {}),
        ([[1.0], [np.inf]], 1, {}),
        (np.zeros((0, 2)), 1, {}),
        ([1.0, 2.0], 1, {}),
        ([[1.0], [2.0]], 3, {}),
        ([[1.0], [2.0]], 0, {}),
        ([[1.0], [2.0]], [[1.0, 2.0]], {}),
        ([[1.0], [2.0]], [[1.0], [2.0], [3.0]], {}),
        ([[1.0], [2.0]], 1, {"seed": -1}),
        ([[1.0], [2.0]], 1, {"restarts": 0}),
        ([[1.0], [2.0]], 1, {"iterations": -1}),
        ([[1.0], [2.0]], 1, {"tolerance": float("nan")}),
        ([[1.0], [2.0]], 1, {"threads": 0}),
    ],
)
def test_bad_arguments_are_named(points, k, options):
    with pytest.raises(ParameterError):
        kmeans(points, k, **options)

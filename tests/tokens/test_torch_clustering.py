"""align/tokens/torch_clustering.py: the contract of the kernels' k-means, its twin, and a card where there is one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from align.errors import ParameterError
from align.tokens import torch_clustering
from align.tokens.clustering import kmeans
from align.tokens.torch_clustering import kmeans_torch

POINTS = st.tuples(st.integers(1, 25), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))
)
CARD = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a card that CUDA can use")
)
DEVICES = pytest.mark.parametrize("device", ["cpu", CARD])


def blobs(n=300, d=4, k=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-6, 6, (k, d))
    return centres[rng.integers(0, k, n)] + rng.standard_normal((n, d)), rng


@DEVICES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 5, 70])
def test_the_same_start_ends_where_the_kernels_end(k, dtype, device):
    points, rng = blobs(n=5000, d=5, k=7, seed=k)
    points = points.astype(dtype)
    start = points[rng.choice(len(points), k, replace=False)]
    for iterations in (0, 3, 300):
        ours = kmeans_torch(points, start, iterations=iterations, device=torch.device(device))
        theirs = kmeans(points, start, iterations=iterations)
        assert ours.inertia == pytest.approx(theirs.inertia, rel=1e-12)
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert ours.iterations == theirs.iterations
        np.testing.assert_allclose(ours.centroids, theirs.centroids, rtol=1e-9, atol=1e-12)


@DEVICES
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e100])
def test_seeded_it_finds_what_the_kernels_find(scale, device):
    # Far from the origin, where products without centring would lose every digit.
    points = (blobs(n=4000, d=3, k=9, seed=2)[0] + 1e5) * scale
    ours = kmeans_torch(points, 9, seed=5, restarts=2, device=torch.device(device))
    theirs = kmeans(points, 9, seed=5, restarts=2)
    assert ours.labels.tolist() == theirs.labels.tolist()
    assert ours.inertia == pytest.approx(theirs.inertia, rel=1e-9)
    assert ours.centroids.tolist() == sorted(ours.centroids.tolist())


@given(POINTS, st.integers(1, 8), st.integers(0, 10))
def test_ties_and_empty_clusters_are_settled_as_by_the_kernels(points, k, seed):
    # Small whole numbers: half of all distances tie; and a start far outside leaves all clusters but one empty.
    k = min(k, len(np.unique(points, axis=0)))
    random = np.random.default_rng(seed)
    for start in (
        points[random.choice(len(points), k, replace=False)],
        100.0 + random.random((k, points.shape[1])),
    ):
        ours, theirs = kmeans_torch(points, start, iterations=1), kmeans(points, start, iterations=1)
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert np.unique(kmeans_torch(points, start).labels).tolist() == list(range(k))


@given(POINTS, st.integers(1, 25))
def test_as_many_clusters_as_distinct_rows_leave_no_inertia(points, k):
    k, distinct = min(k, len(points)), len(np.unique(points, axis=0))
    found = kmeans_torch(points, k)
    assert len(found.centroids) == min(k, distinct)
    if k >= distinct:
        assert found.inertia == 0.0


def test_the_size_of_a_block_changes_no_label(monkeypatch):
    points, rng = blobs(n=1000, seed=4)
    start = points[rng.choice(1000, 12, replace=False)]
    whole = kmeans_torch(points, start)
    monkeypatch.setattr(torch_clustering, "_CELLS", {"cpu": 100})  # eight rows at a time
    parts = kmeans_torch(points, start)
    assert parts.labels.tolist() == whole.labels.tolist()
    assert parts.inertia == pytest.approx(whole.inertia, rel=1e-12)
    assert np.unique(kmeans_torch(points, 12).labels).size == 12


@DEVICES
def test_the_same_bits_every_time_and_the_callers_precision_back(device):
    points, _ = blobs(n=20_000, d=6, k=9, seed=1)
    torch.set_float32_matmul_precision("medium")
    try:
        one, two = (
            kmeans_torch(points, 24, seed=3, iterations=25, device=torch.device(device)) for _ in range(2)
        )
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert one.centroids.tobytes() == two.centroids.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    assert one.inertia == two.inertia


def test_a_tolerance_ends_as_early_as_in_the_kernels():
    points, rng = blobs(n=900, seed=8)
    start = points[rng.choice(900, 12, replace=False)]
    ours, theirs = kmeans_torch(points, start, tolerance=1e-3), kmeans(points, start, tolerance=1e-3)
    assert ours.iterations == theirs.iterations < kmeans(points, start).iterations


def test_rows_that_may_not_be_written_are_read_without_a_warning():
    points = np.arange(6.0)[:, None]
    points.setflags(write=False)
    assert kmeans_torch(points, 2).labels.tolist() == kmeans(points, 2).labels.tolist()


@pytest.mark.parametrize(
    ("points", "k", "options"),
    [
        ([[1.0], [np.nan]], 1, {}),
        ([[1.0], [np.inf]], 1, {}),
        ([[1.7e308], [1.7e308]], 1, {}),
        (np.zeros((0, 2)), 1, {}),
        ([[1.0], [2.0]], 3, {}),
        ([[1.0], [2.0]], 0, {}),
        ([[1.0], [2.0]], [[1.0, 2.0]], {}),
        ([[1.0], [2.0]], [[1.0], [2.0], [3.0]], {}),
        ([[1.0], [2.0]], 1, {"seed": -1}),
        ([[1.0], [2.0]], 1, {"restarts": 0}),
        ([[1.0], [2.0]], 1, {"iterations": -1}),
        ([[1.0], [2.0]], 1, {"tolerance": float("nan")}),
    ],
)
def test_bad_arguments_are_named(points, k, options):
    with pytest.raises(ParameterError):
        kmeans_torch(points, k, **options)


def test_tokens_load_no_torch():
    code = "import sys, align.tokens.codebook, align.tokens.choosing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0

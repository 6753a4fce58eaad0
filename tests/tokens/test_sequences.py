"""align/tokens/sequences.py: clusters of segments of any length under time warping."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.errors import ParameterError
from align.tokens.sequences import sequence_distances, warped_means, warped_medoids


def shapes(n: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Bumps and ramps of 12 to 40 samples, two channels."""
    random = np.random.default_rng(seed)
    found, truth = [], []
    for i in range(n):
        t = np.linspace(0, 1, int(random.integers(12, 41)))
        kind = i % 3
        curve = (np.sin(np.pi * t) * 3, 3 * t, 3 - 3 * t)[kind]
        found.append(np.column_stack([curve, -curve]) + 0.1 * random.normal(size=(len(t), 2)))
        truth.append(kind)
    return found, np.array(truth)


def cost_of(a: np.ndarray, b: np.ndarray) -> float:
    """The plain table of totals, over n + m."""
    table = np.full((len(a) + 1, len(b) + 1), np.inf)
    table[0, 0] = 0.0
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = ((x - y) ** 2).sum() + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return float(table[-1, -1]) / (len(a) + len(b))


def test_distances_are_totals_per_step() -> None:
    some, _ = shapes(6)
    found = sequence_distances(some)
    wanted = np.array([[cost_of(a, b) for b in some] for a in some])
    assert np.allclose(found, wanted, rtol=1e-12)
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diag(found), np.zeros(6))
    assert np.allclose(sequence_distances(some[:2], some[2:]), wanted[:2, 2:])


def test_playing_a_segment_slower_costs_nothing() -> None:
    some, _ = shapes(1)
    assert sequence_distances([some[0], np.repeat(some[0], 3, axis=0)])[0, 1] == 0.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 9), st.integers(1, 4))
def test_no_exchange_of_a_medoid_lowers_the_inertia(seed: int, n: int, k: int) -> None:
    k = min(k, n)
    random = np.random.default_rng(seed)
    some = [random.normal(size=int(random.integers(1, 6))) for _ in range(n)]
    costs = sequence_distances(some)
    found = warped_medoids(some, k, seed=seed)
    assert sorted(set(found.medoids.tolist())) == found.medoids.tolist()
    assert found.inertia == pytest.approx(costs[:, found.medoids].min(axis=1).sum())
    assert np.array_equal(found.labels[found.medoids], np.arange(k))
    for out in range(k):
        for into in range(n):
            other = found.medoids.copy()
            other[out] = into
            assert costs[:, other].min(axis=1).sum() >= found.inertia - 1e-9
    best = min(costs[:, list(c)].min(axis=1).sum() for c in combinations(range(n), k))
    assert found.inertia >= best - 1e-9
    if k == 1:
        assert found.inertia == pytest.approx(best)


@pytest.mark.parametrize("cluster", [warped_medoids, warped_means])
def test_shapes_of_different_lengths_are_told_apart(cluster) -> None:
    some, truth = shapes(30)
    found = cluster(some, 3)
    assert len(set(zip(found.labels.tolist(), truth.tolist(), strict=True))) == 3
    assert [c.shape[1] for c in found.centres] == [2, 2, 2]
    assert (np.diff(found.medoids) > 0).all()
    again = cluster(some, 3)
    assert np.array_equal(found.labels, again.labels)
    assert found.inertia == again.inertia
    for own, medoid in enumerate(found.medoids):
        assert found.labels[medoid] == own


def test_means_never_cost_more_than_the_medoids_they_start_from() -> None:
    some, _ = shapes(24, seed=3)
    medoids = warped_medoids(some, 3)
    lengths = np.array([len(s) for s in some])
    costs = sequence_distances(some, list(medoids.centres))
    totals = costs * (lengths[:, None] + np.array([len(c) for c in medoids.centres]))
    start = (totals / lengths[:, None]).min(axis=1).sum()
    inertia = [warped_means(some, 3, iterations=i).inertia for i in (1, 2, 5, 20)]
    assert inertia[0] < start
    assert all(b <= a for a, b in pairwise(inertia))


def test_means_of_equal_segments_are_those_segments() -> None:
    found = warped_means([[1.0, 2.0, 3.0]] * 4 + [[9.0, 9.0]], 2)
    assert found.inertia == 0.0
    assert found.centres[0].ravel().tolist() == [1.0, 2.0, 3.0]


def test_many_segments_are_clustered_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    import align.tokens.sequences as module

    some, truth = shapes(60, seed=2)
    monkeypatch.setattr(module, "_MOST", 24)
    found = warped_medoids(some, 3)
    assert len(set(zip(found.labels.tolist(), truth.tolist(), strict=True))) == 3
    with pytest.raises(ParameterError, match="24"):
        warped_medoids(some, 25)


@pytest.mark.parametrize(
    ("sequences", "k", "name"),
    [
        ([], 1, "sequences"),
        ([[1.0], []], 1, "sequences"),
        ([[1.0], [np.nan]], 1, "sequences"),
        ([[1.0], [1e150]], 1, "sequences"),
        ([[1.0], [[1.0, 2.0]]], 1, "sequences"),
        ([[1.0], [2.0]], 0, "k"),
        ([[1.0], [2.0]], 3, "k"),
    ],
)
def test_what_cannot_be_clustered_is_refused(sequences, k: int, name: str) -> None:
    with pytest.raises(ParameterError, match=name):
        warped_means(sequences, k)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError, match="iterations"):
        warped_means([[1.0]], 1, iterations=0)
    with pytest.raises(ParameterError, match="seed"):
        warped_medoids([[1.0]], 1, seed=-1)
    with pytest.raises(ParameterError, match="channels"):
        sequence_distances([[1.0]], [[[1.0, 2.0]]])

"""align/warping/barycentre.py: tslearn's results, laws of means, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.barycentre import dtw_barycentre, dtw_kmeans, soft_dtw_barycentre
from align.warping.pairwise import dtw_pairwise

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def walks(seed, count, length, d=1):
    return np.random.default_rng(seed).standard_normal((count, length, d)).cumsum(axis=1)


@pytest.mark.parametrize(("length", "d", "weighted"), [(20, 1, False), (15, 3, True)])
def test_barycentre_equals_tslearns(length, d, weighted):
    from tslearn.barycenters import dtw_barycenter_averaging_petitjean

    series = walks(1, 7, length, d)
    weights = np.arange(1.0, 8.0) if weighted else None
    expected = dtw_barycenter_averaging_petitjean(series, weights=weights, max_iter=4)
    np.testing.assert_allclose(dtw_barycentre(series, weights=weights, iterations=4), expected, rtol=1e-10)


def test_barycentre_of_unequal_lengths_equals_tslearns():
    from tslearn.barycenters import dtw_barycenter_averaging_petitjean
    from tslearn.utils import to_time_series_dataset

    series = [walks(n, 1, n)[0] for n in (5, 9, 9, 12)]
    init = walks(3, 1, 8)[0]
    expected = dtw_barycenter_averaging_petitjean(
        to_time_series_dataset(series), init_barycenter=init, max_iter=5
    )
    np.testing.assert_allclose(dtw_barycentre(series, init=init, iterations=5), expected, rtol=1e-10)


def test_each_round_brings_the_centre_nearer():
    series = walks(2, 12, 30)
    costs = [
        (dtw_pairwise(dtw_barycentre(series, iterations=n)[None], series) ** 2).mean() for n in (1, 2, 3, 6)
    ]
    assert (np.diff(costs) <= 1e-9).all()


def test_the_barycentre_of_one_series_is_that_series():
    series = walks(4, 1, 10)
    np.testing.assert_array_equal(dtw_barycentre(series), series[0])


def test_a_band_of_radius_0_gives_the_mean():
    series = walks(5, 6, 12)
    found = dtw_barycentre(series, band=Band("sakoe-chiba", 0))
    np.testing.assert_allclose(found, series.mean(axis=0), rtol=1e-12)


def test_kmeans_equals_tslearns():
    from tslearn.clustering import TimeSeriesKMeans

    series = walks(6, 40, 16)
    model = TimeSeriesKMeans(4, metric="dtw", init=series[:4].copy(), max_iter=3, tol=0.0, n_init=1)
    labels = model.fit_predict(series)
    found = dtw_kmeans(series, series[:4], iterations=3)
    np.testing.assert_allclose(found.centres, model.cluster_centers_, rtol=1e-8)
    assert found.labels.tolist() == model.predict(series).tolist()
    assert len(labels) == len(found.labels)
    own = dtw_pairwise(series, found.centres).min(axis=1)
    assert found.inertia == pytest.approx((own**2).mean(), rel=1e-12)


def test_kmeans_finds_planted_clusters_the_same_way_each_time():
    rng = np.random.default_rng(7)
    shapes = 20.0 * walks(8, 3, 24)[:, :, 0]
    truth = np.arange(30) % 3
    series = shapes[truth] + rng.standard_normal((30, 24))
    found = dtw_kmeans(series, 3, seed=1, band=Band("sakoe-chiba", 4))
    assert len(set(zip(truth, found.labels, strict=True))) == 3
    again = dtw_kmeans(series, 3, seed=1, band=Band("sakoe-chiba", 4))
    np.testing.assert_array_equal(found.centres, again.centres)


def test_no_cluster_stays_empty():
    series = walks(9, 6, 8)
    found = dtw_kmeans(series, np.concatenate([series[:2], 1e4 + series[:1]]), iterations=1)
    assert np.abs(found.centres).max() < 100  # the lost centre took a series
    assert dtw_kmeans(np.zeros((4, 3)), 2).inertia == 0


def test_soft_barycentre_lies_between_its_series():
    series = np.stack([np.zeros(6), np.ones(6)])
    found = soft_dtw_barycentre(series, gamma=0.1)
    np.testing.assert_allclose(found, 0.5, atol=0.05)


@pytest.mark.parametrize(
    "arguments",
    [
        {"series": []},
        {"series": [[np.nan]]},
        {"series": [[0.0], [0.0, 1.0]]},
        {"series": [[0.0]], "iterations": 0},
        {"series": [[0.0]], "weights": [0.0]},
        {"series": [[0.0]], "weights": [1.0, 1.0]},
        {"series": [[0.0]], "init": [[0.0, 1.0]]},
    ],
)
def test_barycentre_refuses(arguments):
    with pytest.raises(ParameterError):
        dtw_barycentre(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"k": 0},
        {"k": 3},
        {"k": 1, "iterations": 0},
        {"k": 1, "barycentre_iterations": 0},
        {"k": np.zeros((1, 2, 3))},
        {"series": [[0.0], [0.0, 1.0]], "k": 1},
    ],
)
def test_kmeans_refuses(arguments):
    with pytest.raises(ParameterError):
        dtw_kmeans(**({"series": [[0.0], [1.0]]} | arguments))


def test_soft_barycentre_refuses():
    for wrong in ({"gamma": 0.0}, {"gamma": np.nan}, {"iterations": 0}):
        with pytest.raises(ParameterError):
            soft_dtw_barycentre([[0.0]], **wrong)

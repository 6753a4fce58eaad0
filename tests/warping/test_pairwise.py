"""align/warping/pairwise.py: against the distance of each pair, and tslearn."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import AlignError, ParameterError
from align.warping.bands import Band, column_ranges
from align.warping.dtw import dtw_distance
from align.warping.pairwise import dtw_pairwise
from tests import naive

RAGGED = [5, 9, 1, 7, 9, 4]


def series_of(rng, lengths, d=1):
    return [rng.standard_normal((n, d)).cumsum(axis=0) for n in lengths]


@pytest.mark.parametrize("d", [1, 3])
def test_entries_are_the_distances_of_the_pairs(d):
    rng = np.random.default_rng(d)
    a, b = series_of(rng, RAGGED, d), series_of(rng, RAGGED[:4], d)
    expected = [[dtw_distance(x, y) for y in b] for x in a]
    np.testing.assert_allclose(dtw_pairwise(a, b), expected, rtol=1e-14)
    within = dtw_pairwise(a)
    np.testing.assert_array_equal(within, within.T)
    assert (np.diag(within) == 0).all()
    np.testing.assert_allclose(within, [[dtw_distance(x, y) for y in a] for x in a], rtol=1e-14)


@pytest.mark.parametrize("band", [Band("sakoe-chiba", 2), Band("sakoe-chiba", 0.4), Band("itakura", 2.0)])
def test_entries_are_the_distances_within_the_band(band):
    rng = np.random.default_rng(7)
    series = series_of(rng, [9, 8, 9, 10])
    found = dtw_pairwise(series, band=band)
    for i, j in zip(*np.triu_indices(4, 1), strict=True):
        ranges = np.stack(column_ranges(len(series[i]), len(series[j]), band))
        assert found[i, j] == pytest.approx(
            np.sqrt(naive.band_total(series[i], series[j], ranges)), rel=1e-14
        )


def test_distances_have_the_bits_of_the_twin_and_are_tslearns():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 100, 24)).cumsum(axis=2)
    found = dtw_pairwise(a, b)
    for i, j in rng.integers(100, size=(40, 2)):
        assert found[i, j] == np.sqrt(naive.band_total(a[i][:, None], b[j][:, None]))
    from tslearn.metrics import dtw

    for i, j in rng.integers(100, size=(10, 2)):  # 10,000 pairs: benchmarks/warping_agreement.py
        assert found[i, j] == pytest.approx(float(dtw(a[i], b[j], be="pytorch")), rel=1e-12)


def test_threads_and_the_kind_of_collection_change_no_bit():
    rng = np.random.default_rng(2)
    table = rng.standard_normal((300, 6))
    alone = dtw_pairwise(table)
    np.testing.assert_array_equal(dtw_pairwise(table, threads=3), alone)
    np.testing.assert_array_equal(dtw_pairwise(list(table)), alone)
    np.testing.assert_array_equal(dtw_pairwise(table[:, :, None]), alone)
    np.testing.assert_array_equal(dtw_pairwise(table, table), alone)


def test_float32_is_near_and_says_so():
    rng = np.random.default_rng(3)
    table = rng.standard_normal((5, 50))
    found = dtw_pairwise(table, dtype=np.float32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, dtw_pairwise(table), rtol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"a": []},
        {"a": np.zeros((0, 3))},
        {"a": [[0.0], []]},
        {"a": [[0.0], [np.nan]]},
        {"a": np.array([[np.inf]])},
        {"a": [[0.0]], "b": np.zeros((1, 2, 2))},
        {"a": [np.zeros((2, 1)), np.zeros((2, 2))]},
        {"a": [["x"]]},
        {"a": [[0.0]], "dtype": np.float16},
        {"a": [[1e20]], "dtype": np.float32},
        {"a": [[0.0]], "threads": 0},
        {"a": 3.0},
    ],
)
def test_what_cannot_be_compared_is_refused(arguments):
    with pytest.raises(ParameterError):
        dtw_pairwise(**arguments)


def test_a_band_without_a_path_is_an_error():
    with pytest.raises(AlignError):
        dtw_pairwise([np.zeros(3), np.zeros(30)], band=Band("itakura", 1.5))

"""align/warping/search.py: what pruning finds is what comparing everything finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align.errors import ParameterError
from align.warping.bands import Band
from align.warping.pairwise import dtw_pairwise
from align.warping.search import nearest, subsequence_search
from tests import naive

BANDS = [None, Band("sakoe-chiba", 0), Band("sakoe-chiba", 0.1), Band("itakura", 2.0)]


def walks(rng, count, length):
    made = rng.standard_normal((count, length)).cumsum(axis=1)
    made -= made.mean(axis=1, keepdims=True)
    return made / made.std(axis=1, keepdims=True)


@given(st.integers(0, 2**32 - 1), st.sampled_from(BANDS), st.integers(1, 5))
def test_nearest_equals_comparing_all(seed, band, k):
    rng = np.random.default_rng(seed)
    d, count, length = rng.integers(1, 3), rng.integers(5, 600), rng.integers(2, 30)
    query, candidates = (
        rng.standard_normal((length, d)),
        rng.standard_normal((count, length, d)).cumsum(axis=1),
    )
    indices, distances = nearest(query, candidates, band=band, k=k)
    every = dtw_pairwise(query[None], candidates, band=band)[0]
    assert indices.tolist() == np.argsort(every, kind="stable")[:k].tolist()
    assert distances.tolist() == np.sort(every)[:k].tolist()


def test_nearest_equals_comparing_all_where_bounds_prune():
    rng = np.random.default_rng(1)
    query, candidates = walks(rng, 1, 64)[0], walks(rng, 5000, 64)
    band = Band("sakoe-chiba", 6)
    every = dtw_pairwise(query[None], candidates, band=band)[0]
    for k in (1, 20, 3000):
        indices, distances = nearest(query, candidates, band=band, k=k)
        assert indices.tolist() == np.argsort(every, kind="stable")[:k].tolist()
        assert distances.tolist() == np.sort(every)[:k].tolist()


def test_of_equal_candidates_the_first_come_first():
    candidates = np.tile(np.arange(6.0), (500, 1))
    candidates[::2] += 1.0
    indices, distances = nearest(np.arange(6.0), candidates, k=3)
    assert indices.tolist() == [1, 3, 5]
    assert distances.tolist() == [0.0, 0.0, 0.0]


def test_query_and_candidates_may_differ_in_length():
    rng = np.random.default_rng(2)
    query, candidates = rng.standard_normal(9), rng.standard_normal((300, 14))
    for band in (None, Band("sakoe-chiba", 7)):
        every = dtw_pairwise([query], list(candidates), band=band)[0]
        assert nearest(query, candidates, band=band, k=4)[1].tolist() == np.sort(every)[:4].tolist()


def test_candidates_are_left_as_they_are():
    candidates = np.random.default_rng(3).standard_normal((50, 8))
    before = candidates.copy()
    candidates.flags.writeable = False
    nearest(candidates[0], candidates)
    np.testing.assert_array_equal(candidates, before)


@pytest.mark.parametrize(
    ("query", "candidates", "k"),
    [
        ([], [[0.0]], 1),
        ([np.nan], [[0.0]], 1),
        ([0.0], [[0.0], [np.nan]], 1),
        ([0.0], [[0.0], [-np.inf]], 1),
        ([0.0], [[0.0], [1e200]], 1),
        ([0.0], np.zeros((0, 1)), 1),
        ([0.0], np.zeros(3), 1),
        ([0.0], np.zeros((2, 1, 2)), 1),
        ([0.0], [["x"]], 1),
        ([0.0], [[0.0]], 0),
        ([0.0], [[0.0]], 2),
    ],
)
def test_nearest_refuses_what_it_cannot_search(query, candidates, k):
    with pytest.raises(ParameterError):
        nearest(query, candidates, k=k)


# --- subsequence search


def every_window(query, series, radius):
    m = len(query)
    shape = naive.normalised(np.asarray(query))[:, None]
    rows = np.arange(m)
    ranges = np.stack([np.maximum(rows - radius, 0), np.minimum(rows + radius + 1, m)])
    windows = [naive.normalised(series[i : i + m])[:, None] for i in range(len(series) - m + 1)]
    return [naive.band_total(shape, window, ranges) for window in windows]


@pytest.mark.parametrize(
    ("m", "radius", "k", "apart"), [(5, 1, 3, None), (5, 0, 30, 2), (8, 3, 4, 5), (1, 0, 3, 1)]
)
def test_search_equals_comparing_all_windows(m, radius, k, apart):
    rng = np.random.default_rng(m + k)
    series = rng.standard_normal(150).cumsum()
    series[40:60] = 3.7
    query = series[20 : 20 + m] * 2.0 + rng.standard_normal(m)
    starts, distances = subsequence_search(
        query, series, band=Band("sakoe-chiba", radius), k=k, exclusion=apart
    )
    totals = every_window(query, series, radius)
    expected = naive.greedy_matches(np.round(totals, 9), k, apart or m)
    assert starts.tolist() == expected
    np.testing.assert_allclose(distances, np.sqrt(np.asarray(totals)[expected]), atol=1e-7)


def test_matches_in_a_long_series_equal_those_of_all_windows():
    rng = np.random.default_rng(9)
    series = rng.standard_normal(20_000).cumsum()
    query = series[777:817] + 0.05 * rng.standard_normal(40)
    band = Band("sakoe-chiba", 4)
    starts, distances = subsequence_search(query, series, band=band, k=5)
    windows = np.lib.stride_tricks.sliding_window_view(series, 40)
    shaped = (windows - windows.mean(axis=1, keepdims=True)) / windows.std(axis=1, keepdims=True)
    every = dtw_pairwise(naive.normalised(query)[None], shaped, band=band)[0]
    assert starts.tolist() == naive.greedy_matches(every, 5, 40)
    assert starts[0] == 777
    np.testing.assert_allclose(distances, every[starts], rtol=1e-9)


def test_level_and_size_do_not_matter_and_matches_share_no_sample():
    rng = np.random.default_rng(4)
    series = rng.standard_normal(3000).cumsum()
    starts, distances = subsequence_search(series[100:130], series, k=200)
    again, same = subsequence_search(1e5 + 7.0 * series[100:130], series, k=200)
    assert starts.tolist() == again.tolist()
    np.testing.assert_allclose(distances, same, atol=1e-6)
    assert (np.diff(np.sort(starts)) >= 30).all()
    assert (np.diff(distances) >= 0).all()
    assert len(starts) < 100  # no window is left


@pytest.mark.parametrize(
    "arguments",
    [
        {"query": [0.0, 1.0], "series": [0.0]},
        {"query": [], "series": [0.0]},
        {"query": [0.0], "series": [np.nan]},
        {"query": [0.0], "series": [[0.0, 1.0]]},
        {"query": [0.0], "series": [0.0], "k": 0},
        {"query": [0.0], "series": [0.0], "exclusion": 0},
    ],
)
def test_search_refuses_what_it_cannot_find(arguments):
    with pytest.raises(ParameterError):
        subsequence_search(**arguments)

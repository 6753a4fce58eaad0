"""align/warping/subsequence.py: against tslearn and librosa."""

from __future__ import annotations

import numpy as np
import pytest

from align.errors import ParameterError
from align.warping.subsequence import (
    subsequence_dtw_cost_matrix,
    subsequence_dtw_distance,
    subsequence_dtw_path,
)

SIZES = [(1, 6, 1), (5, 30, 1), (20, 60, 3), (9, 4, 1)]


@pytest.mark.parametrize(("m", "n", "d"), SIZES)
def test_path_and_distance_equal_tslearns(m, n, d):
    from tslearn.metrics import dtw_subsequence_path

    rng = np.random.default_rng(m * n)
    query, series = rng.standard_normal((m, d)), rng.standard_normal((n, d))
    path, distance = subsequence_dtw_path(query, series)
    reference, expected = dtw_subsequence_path(query, series)
    assert path.tolist() == [list(pair) for pair in reference]
    assert distance == pytest.approx(float(expected), rel=1e-12)
    assert subsequence_dtw_distance(query, series) == distance
    squares = ((query[path[:, 0]] - series[path[:, 1]]) ** 2).sum()
    assert np.sqrt(squares) == pytest.approx(distance, rel=1e-12)


@pytest.mark.parametrize(("m", "n", "d"), SIZES[:3])  # librosa exchanges the two when the query is longer
def test_cost_matrix_equals_librosas(m, n, d):
    import librosa

    rng = np.random.default_rng(m + n)
    query, series = rng.standard_normal((m, d)), rng.standard_normal((n, d))
    reference, _ = librosa.sequence.dtw(query.T, series.T, metric="sqeuclidean", subseq=True)
    table = subsequence_dtw_cost_matrix(query, series)
    np.testing.assert_allclose(table, reference, rtol=1e-10)
    assert np.sqrt(table[-1].min()) == subsequence_dtw_distance(query, series)


def test_a_stretch_of_a_series_is_found_in_it():
    series = np.random.default_rng(0).standard_normal(500)
    path, distance = subsequence_dtw_path(series[100:150], series)
    assert distance == 0
    assert path.tolist() == [[i, 100 + i] for i in range(50)]


@pytest.mark.parametrize("bad", [[], [np.nan], [[0.0, 1.0]], ["x"]])
def test_what_cannot_be_warped_is_refused(bad):
    for call in (subsequence_dtw_distance, subsequence_dtw_cost_matrix, subsequence_dtw_path):
        with pytest.raises(ParameterError):
            call([0.0], bad)

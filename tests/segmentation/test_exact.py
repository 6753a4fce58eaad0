"""Runs made ready to be cut."""

from __future__ import annotations

import numpy as np

from align.datatypes import Stream
from align.segmentation.exact import changes_exact, filled, misfit_l2, prepared_runs


def test_filled_returns_the_same_array_when_nothing_is_missing():
    values = np.ones((4, 2))
    assert filled(values) is values


def test_filled_takes_half_a_stretch_from_either_side():
    nan = np.nan
    column = [nan, nan, 1, 3, 8, nan, nan, nan, 10, 20, nan, nan]
    values = np.array([column, np.full(12, nan)]).T
    got = filled(values)
    assert got[:, 0].tolist() == [2, 2, 1, 3, 8, 4, 4, 15, 10, 20, 15, 15]
    assert got[:, 1].tolist() == [0] * 12
    assert np.isnan(values[0, 0])  # the input is left alone


def test_filled_needs_no_more_than_one_valid_cell():
    assert filled(np.array([[np.nan], [1e9], [np.nan]])).ravel().tolist() == [1e9] * 3


def test_a_run_too_short_for_two_segments_is_not_summed():
    stream = Stream(np.arange(15.0), rate=1.0, run_index=np.array([0, 9]), run_start=np.array([0.0, 20.0]))
    runs = prepared_runs(stream, "l2", np.ones(1), 4)
    assert [run.fitted.tables == () for run in runs] == [False, True]
    assert changes_exact(runs[1].fitted, 0.0, 6).size == 0
    assert misfit_l2(runs[1], [0, 6]) == 17.5


def test_change_points_are_indices_of_the_stream():
    stream = Stream(
        [0.0, 0, 0, 0, 0, 9, 9], rate=1.0, run_index=np.array([0, 3]), run_start=np.array([0.0, 20.0])
    )
    runs = prepared_runs(stream, "l2", np.ones(1), 1)
    assert [(run.first + changes_exact(run.fitted, 1.0, 7)).tolist() for run in runs] == [[], [5]]
